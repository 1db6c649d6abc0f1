package TCCBS::Client;

# A client that speaks the API as the SDKs do, or in any wrong way on demand.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::XS;

use CBS::TC3;

# new(port =>, ca =>, id =>, secret =>, host =>, plain =>, cert =>, cert_key =>)

sub new {
    my ($class, %o) = @_;
    return bless { host => 'cbs.gw.test', %o }, $class;
}

sub connect {
    my ($self) = @_;

    return $self->{socket} if $self->{socket};

    my %o = (PeerAddr => '127.0.0.1', PeerPort => $self->{port},
        Timeout => 30);

    $self->{socket} = $self->{plain} ? IO::Socket::INET->new(%o)
        : IO::Socket::SSL->new(%o, SSL_ca_file => $self->{ca},
            SSL_hostname => 'cbs.gw.test',
            SSL_verifycn_name => 'cbs.gw.test',
            SSL_verifycn_scheme => 'http',
            $self->{cert} ? (SSL_cert_file => $self->{cert},
                SSL_key_file => $self->{cert_key}) : ());

    die "cannot connect: " . ($SSL_ERROR || $!) . "\n" if !$self->{socket};

    return $self->{socket};
}

sub close {
    my ($self) = @_;
    my $socket = delete $self->{socket} or return;
    $socket->close;
}

# the bytes of a request: action, parameters, and what is to be different

sub request {
    my ($self, $action, $params, %o) = @_;

    my $body = $o{body} // (ref $params
        ? JSON::XS->new->canonical->utf8->encode($params) : $params // '');
    my $stamp = $o{stamp} // time;
    my $host = $o{host} // $self->{host};
    my $method = $o{method} // 'POST';

    my @headers = (
        [ 'Host', $host ],
        [ 'Content-Type', $o{type} // 'application/json' ],
        [ 'X-TC-Action', $action ],
        [ 'X-TC-Version', $o{version} // '2017-03-12' ],
        [ 'X-TC-Region', $o{region} // 'ap-guangzhou' ],
        [ 'X-TC-Timestamp', $stamp ],
    );

    my %value = map { lc $_->[0] => $_->[1] } @headers;
    $value{'x-tc-action'} = lc $value{'x-tc-action'};
    $value{host} = $o{signed_host} if defined $o{signed_host};

    my @names = sort @{$o{sign} // [ 'content-type', 'host' ]};

    my $authorization = $o{authorization} // CBS::TC3::authorization(
        id => $o{id} // $self->{id}, secret => $o{secret} // $self->{secret},
        stamp => $stamp, body => $o{signed_body} // $body,
        service => $o{service}, date => $o{date}, method => $method,
        headers => [ map { [ $_, $value{$_} // '' ] } @names ]);

    push @headers, [ 'Authorization', $authorization ],
        @{$o{headers} // []};

    my %drop = map { lc $_ => 1 } @{$o{drop} // []};
    @headers = grep { !$drop{lc $_->[0]} } @headers;

    if ($o{chunked}) {
        push @headers, [ 'Transfer-Encoding', 'chunked' ];
        $body = join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
            unpack("(a$o{chunked})*", $body)) . "0\r\n\r\n";

    } elsif ($method ne 'GET') {
        push @headers, [ 'Content-Length', $o{length} // length $body ];
    }

    push @headers, [ 'Connection', 'close' ] if $o{close};

    return sprintf("%s %s HTTP/1.1\r\n", $method, $o{target} // '/')
        . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n" . $body;
}

# a call and its answer: {status, headers, type, body, json, code, message, id}

sub call {
    my ($self, @args) = @_;
    $self->send($self->request(@args));
    return $self->answer;
}

sub send {
    my ($self, $data) = @_;

    my $socket = $self->connect;

    local $SIG{PIPE} = 'IGNORE';

    while (length $data) {
        my $n = syswrite($socket, $data);
        last if !$n;
        substr($data, 0, $n, '');
    }
}

sub answer {
    my ($self, $timeout) = @_;

    my $socket = $self->{socket};
    my ($data, $head) = ('');

    my $ok = eval {
        local $SIG{ALRM} = sub { die "no answer in time\n" };
        alarm($timeout // 90);

        while ($data !~ /\r\n\r\n/) {
            sysread($socket, $data, 65536, length $data)
                or die "connection closed\n";
        }

        ($head, $data) = split(/\r\n\r\n/, $data, 2);

        if ($head =~ m{^HTTP/1\.1 100 }) {
            redo_head(\$head, \$data, $socket);
        }

        if ($head =~ /\nContent-Length: (\d+)/i) {
            while (length $data < $1) {
                sysread($socket, $data, 65536, length $data)
                    or die "connection closed\n";
            }

        } else {
            1 while sysread($socket, $data, 65536, length $data);
        }

        1;
    };

    alarm(0);

    if (!$ok) {
        $self->close;
        return { status => 0, error => $@, body => $data };
    }

    my ($line, @lines) = split(/\r\n/, $head);
    my $answer = { body => $data, head => $head };

    ($answer->{status}) = $line =~ m{^HTTP/1\.1 (\d+)};
    $answer->{headers} = { map { /^([^:]+): (.*)/ ? (lc $1 => $2) : () }
        @lines };
    $answer->{type} = $answer->{headers}{'content-type'};
    $answer->{json} = eval { decode_json($data) };

    if (ref $answer->{json} eq 'HASH') {
        my $response = $answer->{json}{Response};
        $answer->{response} = $response;
        $answer->{id} = $response->{RequestId};
        $answer->{code} = $response->{Error} ? $response->{Error}{Code} : '';
        $answer->{message} = $response->{Error}
            ? $response->{Error}{Message} : '';
    }

    $self->{seen}->($answer) if $self->{seen};

    $self->close
        if lc($answer->{headers}{connection} // '') eq 'close';

    return $answer;
}

sub redo_head {
    my ($head, $data, $socket) = @_;

    while ($$data !~ /\r\n\r\n/) {
        sysread($socket, $$data, 65536, length $$data)
            or die "connection closed\n";
    }

    ($$head, $$data) = split(/\r\n\r\n/, $$data, 2);
}

1;
