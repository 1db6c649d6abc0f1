package CBS::HTTP;

# The emulator's side of HTTP/1.1: reading a request as its bytes come, and
# laying out an answer, right or wrong, as steps to be taken one by one.

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use JSON::XS;
use POSIX qw/ strftime /;

my $json = JSON::XS->new->utf8->canonical;

# read(buffer): takes one request from the buffer when it is complete; what
# has come of an incomplete one is told as well

sub read {
    my ($buffer) = @_;

    my $end = index($$buffer, "\r\n\r\n");
    my $req = { complete => 0, pairs => [], body => '' };

    return $req if $end < 0;

    head($req, substr($$buffer, 0, $end));

    my %header = map { lc $_->[0] => $_->[1] } @{$req->{pairs}};
    my $from = $end + 4;
    my $length = $header{'content-length'} // 0;

    if (lc($header{'transfer-encoding'} // '') eq 'chunked') {
        chunks($req, $buffer, $from);
        return $req;
    }

    if ($length !~ /^\d{1,9}$/) {
        $req->{bad} = 'Content-Length';
        $length = 0;
    }

    $req->{body} = substr($$buffer, $from, $length);

    if (length $req->{body} == $length) {
        substr($$buffer, 0, $from + $length, '');
        $req->{complete} = 1;
    }

    return $req;
}

sub head {
    my ($req, $head) = @_;

    my ($line, @lines) = split(/\r\n/, $head);

    @$req{qw/ method target version_http /} =
        ($line // '') =~ m{^([A-Z]+) (\S+) HTTP/(1\.[01])$}
        or $req->{bad} = 'request line';

    for (@lines) {
        if (/^([!#\$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/) {
            push @{$req->{pairs}}, [ $1, $2 ];

        } else {
            $req->{bad} = 'header line';
        }
    }
}

sub chunks {
    my ($req, $buffer, $from) = @_;

    pos($$buffer) = $from;

    while ($$buffer =~ /\G([0-9a-fA-F]{1,7})\r\n/gc) {
        my $size = hex $1;

        if ($size == 0) {
            $$buffer =~ /\G\r\n/gc or return;
            substr($$buffer, 0, pos $$buffer, '');
            $req->{complete} = 1;
            return;
        }

        my $at = pos $$buffer;
        return if length($$buffer) < $at + $size + 2;
        $req->{body} .= substr($$buffer, $at, $size);
        pos($$buffer) = $at + $size + 2;
    }
}

# Everything that can be wrong with an answer.  The members of "Response" are
# changed by distort(), its bytes and their way by layout().

sub distort {
    my ($fault, $response) = @_;

    my %is = %{$fault->{is}};
    my $set = $response->{SnapshotCopyResultSet};

    delete $response->{RequestId} if $is{no_request_id};
    $response->{Error} = undef if $is{error_null};

    return if !$set;

    pop @$set if $is{missing_region};
    $_->{Message} = undef for $is{null_message} ? @$set : ();
    $set->[0]{DestinationRegion} = 'ap-elsewhere' if $is{other_region};
}

# layout(request, fault, response): {steps, status, body}

sub layout {
    my ($req, $fault, $response) = @_;

    my %is = %{$fault->{is}};
    my $status = $is{status} ? $fault->{code} // 500 : 200;
    my $body = body($fault, $response);

    my ($framing, $data, $close) = framing($req, $fault, $body);

    my $type = $is{charset} ? 'application/json; charset=utf-8'
        : $fault->{type} // 'application/json';

    my $version = $fault->{version} // '1.1';
    my $head = "HTTP/$version $status " . ($status == 200 ? 'OK' : 'Emulated')
        . "\r\nServer: emulator\r\n"
        . ((grep { lc $_->[0] eq 'date' } @{$fault->{headers} // []}) ? ''
            : strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime))
        . ($type eq '' ? '' : "Content-Type: $type\r\n")
        . join('', map { "$_->[0]: $_->[1]\r\n" } @{$fault->{headers} // []})
        . ($is{big_header} ? 'X-Big: ' . ('x' x ($fault->{bytes} // 65536))
            . "\r\n" : '')
        . $framing . ($close ? "Connection: close\r\n" : '') . "\r\n";

    my $whole = !$is{drop_before} && !$is{rst} && !$is{drop_in_header}
        && !$is{drop_in_body};

    if ($is{drop_in_header}) {
        $head = substr($head, 0, $fault->{bytes} // 25);
        $data = '';

    } elsif ($is{drop_in_body}) {
        $data = substr($data, 0, $fault->{bytes} // 10);

    } elsif ($is{http09}) {
        ($head, $close) = ('', 1);

    } elsif ($is{garbage}) {
        ($head, $data, $close) = ('', "\x16\x03\x01 no http \x00\r\n\r\n", 1);

    } elsif ($is{informational}) {
        $head = ("HTTP/1.1 " . ($fault->{code} // '103 Early Hints')
            . "\r\n\r\n") x ($fault->{times} // 1) . $head;
    }

    my @steps = ($fault->{of} // '') eq 'body'
        ? ([ send => $head ], pieces($fault, $data))
        : pieces($fault, $head . $data);

    unshift @steps, [ 'hold' ] if $is{hold};
    unshift @steps, [ sleep => ($fault->{ms} // 100) / 1000 ] if $is{delay};

    @steps = () if $is{drop_before} || $is{rst};

    push @steps, $is{rst} ? [ 'reset' ]
        : !$whole ? [ $fault->{notify} ? 'close' : 'cut' ]
        : $is{idle_close}
            ? ([ sleep => ($fault->{ms} // 0) / 1000 ], [ 'close' ])
        : $close ? [ 'close' ] : [ 'next' ];

    unshift @steps, [ sleep => $fault->{ms} / 1000 ]
        if !$whole && $fault->{ms};

    return { steps => \@steps, status => $status + 0, body => $body,
        whole => $whole };
}

sub body {
    my ($fault, $response) = @_;

    my %is = %{$fault->{is}};

    return $fault->{body} if defined $fault->{body};

    my $body = $json->encode({ Response => $response });

    $body = substr($body, 0, length($body) / 2) if $is{bad_json};
    $body =~ s/^(\{"Response":\{)/$1"RequestId":"first",/
        if $is{duplicate_key};
    $body =~ s/\}\}$/sprintf(',"Filling":"%s"}}',
        'x' x ($fault->{bytes} \/\/ 1048576))/e if $is{oversized};

    return $body;
}

sub framing {
    my ($req, $fault, $body) = @_;

    my %is = %{$fault->{is}};
    my $length = $is{length} ? $fault->{value} // 0 : length $body;
    my $line = "Content-Length: $length\r\n";

    my $close = ($req->{version_http} // '') eq '1.0'
        || grep { lc $_->[0] eq 'connection' && lc $_->[1] eq 'close' }
            @{$req->{pairs}};

    if ($is{chunked} || $is{te_and_cl}) {
        my $size = $fault->{size} // 7;
        my $data = join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
            unpack("(a$size)*", $body)) . "0\r\n\r\n";

        return (($is{te_and_cl} ? $line : '')
            . "Transfer-Encoding: chunked\r\n", $data, $close);
    }

    return ('', $body, 1) if $is{close_delimited};
    return ($line . 'Content-Length: ' . ($length + 1) . "\r\n", $body, $close)
        if $is{two_lengths};
    return ($line, $body . ($fault->{extra} // 'HTTP/1.1 200 OK'), $close)
        if $is{extra_bytes};

    return ($line, $body, $close);
}

sub pieces {
    my ($fault, $data) = @_;

    my %is = %{$fault->{is}};
    my ($n, $pause) = (0, 0);

    if ($is{split}) {
        ($n, $pause) = ($fault->{bytes} // 1, ($fault->{ms} // 1) / 1000);

    } elsif ($is{slow_trickle}) {
        ($n, $pause) = (1, 1 / ($fault->{bytes_per_second} // 1));
    }

    return [ send => $data ] if !$n || $data eq '';

    return map { ([ send => $_ ], [ sleep => $pause ]) }
        unpack("(a$n)*", $data);
}

sub hash {
    my ($body) = @_;
    return sha256_hex($body);
}

1;
