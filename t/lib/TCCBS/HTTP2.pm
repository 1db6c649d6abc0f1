package TCCBS::HTTP2;

# One HTTP/2 request over TLS, in frames that are as wrong as the caller wants.
# Fields go out as literals that are not indexed, so nothing of HPACK stands
# between a case and the wire.  Of an answer the status and the body are read.

use strict;
use warnings;

use IO::Select;
use IO::Socket::SSL;
use JSON::XS;
use Time::HiRes qw/ time /;

use constant {
    DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6,
    GOAWAY => 7, CONTINUATION => 9,
    END_STREAM => 1, ACK => 1, END_HEADERS => 4,
    FRAME => 16384,
};

# the statuses that HPACK has in its table, at these places

my %status = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400, 13 => 404,
    14 => 500);

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return pack('CnCCN', length($payload) >> 16, length($payload) & 0xffff,
        $type, $flags, $stream) . $payload;
}

# a string of HPACK, which is not Huffman coded

sub text {
    my ($text) = @_;
    my $n = length $text;

    return pack('C', $n) . $text if $n < 127;

    my $bytes = pack('C', 127);

    for ($n -= 127; $n > 127; $n >>= 7) {
        $bytes .= pack('C', $n & 127 | 128);
    }

    return $bytes . pack('C', $n) . $text;
}

sub block {
    return join('', map { "\0" . text($_->[0]) . text($_->[1]) } @_);
}

# request(fields, body, trailers): all frames of stream 1

sub request {
    my ($fields, $body, $trailers) = @_;

    my @pieces = unpack('(a' . FRAME . ')*', block(@$fields));
    my $last = END_STREAM;

    $last = 0 if $body ne '' || $trailers;

    my $bytes = '';

    for my $i (0 .. $#pieces) {
        $bytes .= frame($i ? CONTINUATION : HEADERS, ($i ? 0 : $last)
            | ($i == $#pieces ? END_HEADERS : 0), 1, $pieces[$i]);
    }

    $bytes .= frame(DATA, $trailers ? 0 : END_STREAM, 1, $_)
        for unpack('(a' . FRAME . ')*', $body);

    $bytes .= frame(HEADERS, END_HEADERS | END_STREAM, 1, block(@$trailers))
        if $trailers;

    return $bytes;
}

# exchange(port, ca, name, bytes, timeout): {status, body, raw, json, response,
# code, message}, or {error}, which is "connection closed" when the stream was
# reset or the connection given up

sub exchange {
    my (%o) = @_;

    my $socket = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
        PeerPort => $o{port}, Timeout => 30, SSL_ca_file => $o{ca},
        SSL_hostname => $o{name}, SSL_verifycn_name => $o{name},
        SSL_verifycn_scheme => 'http', SSL_alpn_protocols => [ 'h2' ])
        or die "cannot connect: $SSL_ERROR\n";

    die "no HTTP/2\n" if ($socket->alpn_selected // '') ne 'h2';

    local $SIG{PIPE} = 'IGNORE';

    my $bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . frame(SETTINGS, 0, 0, '') . $o{bytes};

    # it may be closed before all was said

    while (length $bytes) {
        my $n = syswrite($socket, $bytes) or last;
        substr($bytes, 0, $n, '');
    }

    $socket->blocking(0);

    my $answer = { status => 0, body => '', code => '', message => '',
        headers => {}, raw => '', type => '' };
    my ($in, $end) = ('', time + ($o{timeout} // 20));

    while (1) {
        my ($type, $flags, $stream, $payload) = next_frame($socket, \$in,
            $end);

        if (!defined $type || $type == GOAWAY
            || $type == RST_STREAM && $stream == 1)
        {
            last if $answer->{status} && defined $type;
            return { %$answer, error => defined $type || !defined $flags
                ? 'connection closed' : $flags };
        }

        if ($type == SETTINGS && !($flags & ACK)) {
            syswrite($socket, frame(SETTINGS, ACK, 0, ''));
        }

        next if $stream != 1;

        $answer->{status} ||= status($payload) if $type == HEADERS;
        $answer->{body} .= $payload if $type == DATA;

        last if ($type == HEADERS || $type == DATA) && $flags & END_STREAM;
    }

    $socket->close(SSL_no_shutdown => 1);

    return finished($answer);
}

# type, flags, stream, payload; nothing when the connection is closed; undef and
# why when nothing comes

sub next_frame {
    my ($socket, $in, $end) = @_;

    while (1) {
        if (length $$in >= 9) {
            my ($high, $low, $type, $flags, $stream) = unpack('CnCCN', $$in);
            my $length = $high << 16 | $low;

            if (length $$in >= 9 + $length) {
                my $payload = substr($$in, 9, $length);
                substr($$in, 0, 9 + $length, '');
                return ($type, $flags, $stream & 0x7fffffff, $payload);
            }
        }

        my $n = sysread($socket, $$in, 65536, length $$in);

        return if defined $n && $n == 0;
        next if $n;
        return if !$!{EAGAIN} && !$!{EINTR};
        return (undef, 'no answer in time') if time > $end;

        IO::Select->new($socket)->can_read(1);
    }
}

# of the first field of an answer, behind an update of the size of the table

sub status {
    my ($block) = @_;

    $block =~ s/^[\x20-\x3f]+//;

    my $first = unpack('C', $block);

    return $status{$first & 127} // 0 if $first & 128;
    return $block =~ /^[\x08\x18\x48]\x03(\d{3})/ ? $1 : 0;
}

sub finished {
    my ($answer) = @_;

    $answer->{raw} = $answer->{body};
    $answer->{json} = eval { decode_json($answer->{body}) };

    my $response = ref $answer->{json} eq 'HASH'
        ? $answer->{json}{Response} : undef;

    if (ref $response eq 'HASH') {
        $answer->{response} = $response;
        $answer->{code} = $response->{Error}{Code} // '';
        $answer->{message} = $response->{Error}{Message} // '';
    }

    return $answer;
}

1;
