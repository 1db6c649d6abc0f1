package TCCBS::Client;

# A client that speaks the API as the SDKs do, or in any wrong way on demand.
# An object is one connection: it is opened when needed and kept.

use strict;
use warnings;

use Errno qw/ EAGAIN EINTR /;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::XS;
use Socket qw/ SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time sleep /;

use CBS::TC3;

# new(port, ca, id, secret, host, name, plain, cert, cert_key, seen, timeout)

sub new {
    my ($class, %o) = @_;
    return bless { host => 'cbs.gw.test', name => 'cbs.gw.test',
        timeout => 90, in => '', %o }, $class;
}

sub connect {
    my ($self) = @_;

    return $self->{socket} if $self->{socket};

    my %o = (PeerAddr => '127.0.0.1', PeerPort => $self->{port},
        Timeout => 30);

    my $socket = $self->{plain} ? IO::Socket::INET->new(%o)
        : IO::Socket::SSL->new(%o, SSL_ca_file => $self->{ca},
            SSL_hostname => $self->{name},
            SSL_verifycn_name => $self->{name},
            SSL_verifycn_scheme => 'http',
            $self->{cert} ? (SSL_cert_file => $self->{cert},
                SSL_key_file => $self->{cert_key}) : ());

    if (!$socket) {
        my $why = $self->{plain} ? $! : $SSL_ERROR || $!;
        die "cannot connect: $why\n";
    }

    $socket->blocking(0);
    setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, pack('i', 1));

    $self->{in} = '';

    return $self->{socket} = $socket;
}

sub close {
    my ($self, %o) = @_;

    my $socket = delete $self->{socket} or return;

    setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $o{rst};

    $socket->close($self->{plain} ? () : (SSL_no_shutdown => 1));
}

# The bytes of a request: action, parameters, and what is to be different:
#
#   region version method path host type stamp        other values
#   key {id, secret} or id, secret; service date sign [names] authorization
#   signed_host signed_body signed_type               sign what is not sent
#   body                                              instead of parameters
#   headers [[name, value], ...], drop_headers [names]
#   chunked N, length N, close 1, http "1.0"

sub request {
    my ($self, $action, $params, %o) = @_;

    my $method = $o{method} // 'POST';
    my $get = $method eq 'GET';
    my $body = $o{body} // ($get ? '' : encode($params));
    my $stamp = $o{stamp} // int(time);
    my $key = ref $o{key} ? $o{key} : {};
    my $target = $o{path} // $o{target} // '/';

    $target .= '?' . query($params)
        if $get && ref $params && %$params && $target !~ /\?/;

    my ($uri, $query) = split(/\?/, $target, 2);

    my @headers = (
        [ 'Host', $o{host} // $self->{host} ],
        [ 'Content-Type', $o{type} // ($get
            ? 'application/x-www-form-urlencoded' : 'application/json') ],
        [ 'X-TC-Action', $action ],
        [ 'X-TC-Version', $o{version} // '2017-03-12' ],
        [ 'X-TC-Region', $o{region} // 'ap-guangzhou' ],
        [ 'X-TC-Timestamp', $stamp ],
    );

    @headers = grep { defined $_->[1] } @headers;

    my %value = map { lc $_->[0] => $_->[1] } @headers, @{$o{headers} // []};
    $value{'x-tc-action'} = lc($value{'x-tc-action'} // '');
    $value{host} = $o{signed_host} // $value{host};
    $value{'content-type'} = $o{signed_type} // $value{'content-type'};

    my @names = sort @{$o{sign} // [ 'content-type', 'host' ]};

    my $authorization = $o{authorization} // CBS::TC3::authorization(
        id => $o{id} // $key->{id} // $self->{id},
        secret => $o{secret} // $key->{secret} // $self->{secret},
        stamp => $stamp, body => $o{signed_body} // $body,
        service => $o{service}, date => $o{date}, method => $method,
        query => $get ? $query : '', uri => $o{signed_uri} // $uri,
        headers => [ map { [ $_, $value{$_} // '' ] } @names ]);

    push @headers, [ 'Authorization', $authorization ],
        @{$o{headers} // []};

    my %drop = map { lc $_ => 1 } @{$o{drop_headers} // $o{drop} // []};
    @headers = grep { !$drop{lc $_->[0]} } @headers;

    if ($o{chunked}) {
        push @headers, [ 'Transfer-Encoding', 'chunked' ];
        $body = join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
            unpack("(a$o{chunked})*", $body)) . "0\r\n\r\n";

    } elsif (!$get || $body ne '') {
        push @headers, [ 'Content-Length', $o{length} // length $body ]
            if !$drop{'content-length'};
    }

    push @headers, [ 'Connection', 'close' ] if $o{close};

    return sprintf("%s %s HTTP/%s\r\n", $method, $target, $o{http} // '1.1')
        . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n" . $body;
}

sub encode {
    my ($params) = @_;

    return ref $params ? JSON::XS->new->canonical->utf8->encode($params)
        : $params // '';
}

# parameters as the SDKs put them in a query: flat, numbered from zero

sub query {
    my ($params) = @_;

    my $flat;
    $flat = sub {
        my ($name, $value) = @_;

        return map { $flat->("$name.$_", $value->[$_]) } 0 .. $#$value
            if ref $value eq 'ARRAY';
        return map { $flat->("$name.$_", $value->{$_}) } sort keys %$value
            if ref $value eq 'HASH';

        utf8::encode(my $text = $value);
        $text =~ s/([^A-Za-z0-9_.~-])/sprintf('%%%02X', ord $1)/ge;

        return "$name=$text";
    };

    return join('&', map { $flat->($_, $params->{$_}) } sort keys %$params);
}

# A call and its answer, see result().  More differences:
#
#   abort MS    leave without the answer, rst 1: with a reset
#   cut N       send N bytes only, then leave, or stay with stay 1
#   slow {bytes, ms}
#   timeout S, raw_answer 1

sub call {
    my ($self, $action, $params, %o) = @_;

    return $self->exchange($self->request($action, $params, %o), %o);
}

sub exchange {
    my ($self, $data, %o) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $t = time;
    my $answer = eval {
        $data = substr($data, 0, $o{cut}) if defined $o{cut};
        $self->send($data, $o{slow});

        if (defined $o{cut} && !$o{stay}) {
            $self->close(rst => $o{rst});
            return failed('cut');
        }

        if (defined $o{abort}) {
            sleep($o{abort} / 1000);
            $self->close(rst => $o{rst});
            return failed('aborted');
        }

        return $self->receive(%o);
    };

    if (!$answer) {
        $answer = failed($@);
        $answer->{raw} = $self->{in};
        $self->close;
    }

    $answer->{t} = $t;
    $answer->{ms} = (time - $t) * 1000;
    $self->{seen}->($answer, %o) if $self->{seen};

    return $answer;
}

sub failed {
    my ($why) = @_;
    chomp $why;
    return { status => 0, error => $why, headers => {}, type => '',
        content_type => '', code => '', body => '', raw => '' };
}

sub send {
    my ($self, $data, $slow) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $socket = $self->connect;
    my $end = time + $self->{timeout};

    for my $piece ($slow ? unpack("(a$slow->{bytes})*", $data) : $data) {

        while (length $piece) {
            my $n = syswrite($socket, $piece);

            if (defined $n) {
                substr($piece, 0, $n, '');

            } elsif ($! == EAGAIN || $! == EINTR) {
                IO::Select->new($socket)->can_write(1);
                die "cannot send in time\n" if time > $end;

            } else {
                # an answer may have come before the end of the request
                return;
            }
        }

        sleep($slow->{ms} / 1000) if $slow;
    }
}

sub answer {
    my ($self, $timeout) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $answer = eval { $self->receive(timeout => $timeout) };

    if (!$answer) {
        $answer = failed($@);
        $self->close;
    }

    $self->{seen}->($answer) if $self->{seen};

    return $answer;
}

sub receive {
    my ($self, %o) = @_;

    my $end = time + ($o{timeout} // $self->{timeout});
    my $head;

    do {
        $self->fill($end) or die "connection closed\n"
            while $self->{in} !~ /\r\n\r\n/;
        $self->{in} =~ s/^(.*?)\r\n\r\n//s;
        $head = $1;
    } while ($head =~ m{^HTTP/1\.1 1\d\d });

    my $body = '';

    if (($o{method} // '') eq 'HEAD') {
        # has none

    } elsif ($head =~ /\nContent-Length: (\d+)/i) {
        $self->fill($end) or die "connection closed in the body\n"
            while length $self->{in} < $1;
        $body = substr($self->{in}, 0, $1, '');

    } elsif ($head =~ /\nTransfer-Encoding: chunked/i) {
        while (1) {
            $self->fill($end) or die "connection closed in the body\n"
                while $self->{in} !~ /^[0-9a-f]+\r\n/i;
            $self->{in} =~ s/^([0-9a-f]+)\r\n//i;
            my $size = hex $1;
            $self->fill($end) or die "connection closed in the body\n"
                while length $self->{in} < $size + 2;
            $body .= substr($self->{in}, 0, $size);
            substr($self->{in}, 0, $size + 2, '');
            last if !$size;
        }

    } else {
        1 while $self->fill($end);
        ($body, $self->{in}) = ($self->{in}, '');
    }

    my $answer = result($head, $body);

    $self->close if lc($answer->{headers}{connection} // '') eq 'close';

    return $answer;
}

# Without waiting: nothing, when the answer is not complete yet

sub poll {
    my ($self) = @_;

    my $socket = $self->{socket} or return failed('connection closed');
    my ($n, $eof);

    1 while $n = sysread($socket, $self->{in}, 65536, length $self->{in});

    $eof = defined $n || ($! != EAGAIN && $! != EINTR);

    if ($self->{in} =~ /^(.*?)\r\n\r\n/s) {
        my ($length) = $1 =~ /\nContent-Length: (\d+)/i;

        return $self->receive
            if $eof || length($self->{in}) >= length($1) + 4 + ($length // 9e9);
    }

    return if !$eof;

    $self->close;
    return failed('connection closed');
}

sub fill {
    my ($self, $end) = @_;

    my $socket = $self->{socket} or return 0;

    while (1) {
        my $n = sysread($socket, $self->{in}, 65536, length $self->{in});

        return $n > 0 if defined $n;
        return 0 if $! != EAGAIN && $! != EINTR;

        my $left = $end - time;
        die "no answer in time\n" if $left <= 0;
        IO::Select->new($socket)->can_read($left);
    }
}

# {status, headers, raw_headers, type = content_type, body, raw, json, response,
# code ('' for a success), message, id = request_id, audit_id, outcome}

sub result {
    my ($head, $body) = @_;

    my ($line, @lines) = split(/\r\n/, $head);
    my $answer = { head => $head, body => $body, code => '', message => '',
        raw => "$head\r\n\r\n$body" };

    ($answer->{status}) = $line =~ m{^HTTP/1\.[01] (\d+)};
    $answer->{status} //= 0;
    $answer->{raw_headers} = [ map { /^([^:]+):\s*(.*)/ ? [ $1, $2 ] : () }
        @lines ];
    $answer->{headers} = { map { lc $_->[0] => $_->[1] }
        @{$answer->{raw_headers}} };
    $answer->{type} = $answer->{headers}{'content-type'} // '';
    $answer->{content_type} = $answer->{type};
    $answer->{outcome} = $answer->{headers}{'x-tccbs-outcome'};
    $answer->{audit_id} = $answer->{headers}{'x-tccbs-id'};

    $answer->{json} = eval { decode_json($body) };

    my $response = ref $answer->{json} eq 'HASH'
        ? $answer->{json}{Response} : undef;

    if (ref $response eq 'HASH') {
        $answer->{response} = $response;
        $answer->{id} = $answer->{request_id} = $response->{RequestId};

        if (ref $response->{Error} eq 'HASH') {
            $answer->{code} = $response->{Error}{Code};
            $answer->{message} = $response->{Error}{Message};
        }
    }

    return $answer;
}

1;
