package CBS::Emulator;

# An emulator of CBS in one process: it judges the signature of each request
# from the bytes, writes a line about it, and answers, or does what a fault
# says.  A second port on loopback controls it, see control().

use strict;
use warnings;

use Fcntl qw/ O_WRONLY O_APPEND O_CREAT /;
use IO::Poll qw/ POLLIN POLLOUT POLLHUP POLLERR /;
use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::XS;
use Socket qw/ SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time /;

use CBS::API;
use CBS::Faults;
use CBS::HTTP;
use CBS::TC3;

my $json = JSON::XS->new->ascii->canonical;
my @config = (progress => 1.5, limit => 0,
    sources => [ 'ap-guangzhou', 'ap-shanghai' ]);

# new(dir, secrets, cert and key or plain, port, host, limit, bind: the address
# of CBS, follow: ends with its parent)

sub new {
    my ($class, %o) = @_;

    my $self = bless { host => 'cbs.intl.tencentcloudapi.com', %o,
        conns => {}, serial => 0, n => 0, recent => {},
        config => { @config }, faults => CBS::Faults->new }, $class;

    $self->{config}{limit} = $o{limit} if $o{limit};
    $self->{api} = CBS::API->new($self->{config});

    return $self;
}

sub run {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';
    local $SIG{TERM} = sub { $self->{stop} = 1 };
    local $SIG{INT} = $SIG{TERM};

    if (!$self->{plain}) {
        $self->{tls} = IO::Socket::SSL::SSL_Context->new(SSL_server => 1,
            SSL_cert_file => $self->{cert}, SSL_key_file => $self->{key})
            or die "emulator: $SSL_ERROR\n";
    }

    sysopen($self->{log}, "$self->{dir}/emulator.jsonl",
        O_WRONLY | O_APPEND | O_CREAT) or die "emulator.jsonl: $!\n";

    $self->{poll} = IO::Poll->new;
    $self->{listen} = $self->open_port($self->{port} // 0, $self->{bind});
    $self->{control} = $self->open_port(0);

    $self->ready;

    my $parent = getppid;

    while (!$self->{stop}) {
        $self->turn;
        last if $self->{follow} && getppid != $parent;
    }
}

sub open_port {
    my ($self, $port, $address) = @_;

    my $socket = IO::Socket::INET->new(LocalAddr => $address // '127.0.0.1',
        LocalPort => $port, Listen => 511, ReuseAddr => 1, Blocking => 0)
        or die "emulator cannot listen: $!\n";

    $self->{poll}->mask($socket => POLLIN);

    return $socket;
}

sub ready {
    my ($self) = @_;

    my $path = "$self->{dir}/emulator.json";

    open(my $fh, '>', "$path.new") or die "$path: $!\n";
    print $fh $json->encode({ pid => $$, port => $self->{listen}->sockport,
        control => $self->{control}->sockport }), "\n";
    close $fh;

    rename("$path.new", $path) or die "$path: $!\n";
}

sub turn {
    my ($self) = @_;

    my ($next) = sort { $a <=> $b }
        map { $_->{wake} // () } values %{$self->{conns}};

    my $wait = defined $next ? $next - time : 1;

    $self->{poll}->poll($wait > 0 ? $wait : 0);

    $self->welcome($self->{listen}, 'cbs');
    $self->welcome($self->{control}, 'control');

    for my $conn (values %{$self->{conns}}) {
        $self->serve($conn);
    }
}

sub welcome {
    my ($self, $listen, $kind) = @_;

    return if !$self->{poll}->events($listen);

    while (my $socket = $listen->accept) {
        $socket->blocking(0);
        setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, pack('i', 1));

        my $conn = { id => ++$self->{serial}, kind => $kind, in => '',
            socket => $socket, fd => fileno $socket, steps => [] };

        # IO::Poll knows a handle by its class too, which TLS changes
        $self->greet($conn) if $kind eq 'cbs';

        $self->{conns}{$conn->{id}} = $conn;
        $self->want($conn, $conn->{deaf} ? 0 : POLLIN);
    }
}

# what befalls a connection before its first request

sub greet {
    my ($self, $conn) = @_;

    my $fault = $self->{faults}->take('connect', {});

    if (!$fault) {
        $self->secure($conn);
        return;
    }

    my %is = %{$fault->{is}};

    $conn->{fault} = $fault->{kind};
    $conn->{deaf} = 1;
    $conn->{steps} = $is{hold_connect} ? [ [ 'hold' ], [ 'cut' ] ]
        : $is{plain_connect}
            ? [ [ send => "HTTP/1.1 400 Bad Request\r\n\r\n" ], [ 'cut' ] ]
        : $is{drop_handshake}
            ? [ [ sleep => ($fault->{ms} // 20) / 1000 ], [ 'cut' ] ]
        : $is{rst_connect} ? [ [ 'reset' ] ] : [ [ 'cut' ] ];
}

sub secure {
    my ($self, $conn) = @_;

    return if !$self->{tls};

    IO::Socket::SSL->start_SSL($conn->{socket}, SSL_server => 1,
        SSL_startHandshake => 0, SSL_reuse_ctx => $self->{tls});

    $conn->{handshake} = 1;
}

sub serve {
    my ($self, $conn) = @_;

    my $events = $self->{poll}->events($conn->{socket});

    if ($conn->{handshake} && $events) {
        $self->handshake($conn) or return;
    }

    if (!$conn->{handshake} && !$conn->{deaf}
        && $events & (POLLIN | POLLHUP | POLLERR))
    {
        $self->receive($conn) or return;
    }

    $self->proceed($conn);
}

sub handshake {
    my ($self, $conn) = @_;

    if ($conn->{socket}->accept_SSL) {
        delete $conn->{handshake};
        $self->want($conn, POLLIN);
        return 1;
    }

    if ($SSL_ERROR == SSL_WANT_READ || $SSL_ERROR == SSL_WANT_WRITE) {
        $self->want($conn, $SSL_ERROR == SSL_WANT_READ ? POLLIN : POLLOUT);
        return 0;
    }

    $self->step_cut($conn);
    return 0;
}

sub want {
    my ($self, $conn, $mask) = @_;
    $self->{poll}->mask($conn->{socket} => $mask);
}

sub receive {
    my ($self, $conn) = @_;

    while (1) {
        my $n = sysread($conn->{socket}, $conn->{in}, 65536,
            length $conn->{in});

        if (defined $n && $n > 0) {
            $conn->{t_first} //= int(time * 1e6) if !$conn->{req};
            next;
        }

        last if !defined $n && ($!{EAGAIN} || $!{EINTR});

        $conn->{eof} = 1;
        last;
    }

    $self->take($conn) if !$conn->{req} && $conn->{in} ne '';

    return 1 if !$conn->{eof};

    if (!$conn->{req} && $conn->{in} ne '' && $conn->{kind} eq 'cbs') {
        $self->partial($conn, 'cut by the client');
    }

    # a client that left is not to be waited for, but steps show what happens
    if (!@{$conn->{steps}}) {
        $self->step_cut($conn);
        return 0;
    }

    $conn->{deaf} = 1;
    $self->want($conn, 0);

    return 1;
}

sub take {
    my ($self, $conn) = @_;

    if ($conn->{kind} eq 'cbs' && !$conn->{limited}) {
        my $fault = $self->{faults}->take('reading', {});
        $conn->{limited} = $fault if $fault;
    }

    if ($conn->{limited}
        && length $conn->{in} >= ($conn->{limited}{bytes} // 1))
    {
        $conn->{in} = substr($conn->{in}, 0, $conn->{limited}{bytes} // 1);
        $conn->{fault} = 'drop_in_request';
        $self->partial($conn, 'cut by a fault');
        $conn->{deaf} = 1;
        $conn->{steps} = [ [ $conn->{limited}{rst} ? 'reset' : 'cut' ] ];
        return;
    }

    my $req = CBS::HTTP::read(\$conn->{in});
    return if !$req->{complete};

    $req->{t_first} = delete $conn->{t_first};
    $req->{t} = int(time * 1e6);
    $conn->{req} = $req;

    $conn->{steps} = $conn->{kind} eq 'control' ? $self->control($req)
        : $self->answer($conn, $req);
}

sub partial {
    my ($self, $conn, $why) = @_;

    my $req = CBS::HTTP::read(\$conn->{in});

    describe($req);
    $req->{complete} = 0;
    $req->{t_first} = delete $conn->{t_first};
    $req->{t} = int(time * 1e6);
    $req->{why} = $why;
    $self->record($conn, $req, { kind => $conn->{fault} }, undef);
    $conn->{in} = '';
}

# the members of a request that are spoken of

sub describe {
    my ($req) = @_;

    my %values;

    # a token is a secret, and this log is searched for secrets

    for (@{$req->{pairs}}) {
        my $name = lc $_->[0];
        push @{$values{$name}}, $name eq 'x-tc-token'
            ? 'sha256:' . CBS::HTTP::hash($_->[1]) : $_->[1];
    }

    $req->{headers} = \%values;
    $req->{$_} = ($values{"x-tc-$_"} // [])->[0]
        for qw/ action region version /;
    $req->{trace} = ($values{'x-tc-traceid'} // [])->[0];
}

sub answer {
    my ($self, $conn, $req) = @_;

    describe($req);

    my $params = eval { decode_json($req->{body}) };
    $req->{snapshot} = $params->{SnapshotId} if ref $params eq 'HASH';

    my $fault = $self->{faults}->take('request', $req)
        // { kind => undef, is => {} };

    my $response = $self->judge($req, $fault, $params);

    $response->{RequestId} = uuid();

    my $answered = { request_id => $response->{RequestId},
        code => $response->{Error} ? $response->{Error}{Code} : undef };

    CBS::HTTP::distort($fault, $response);

    my $layout = CBS::HTTP::layout($req, $fault, $response);

    if (defined $fault->{body}) {
        my $said = eval { decode_json($fault->{body})->{Response} } // {};
        $answered = { request_id => $said->{RequestId},
            code => eval { $said->{Error}{Code} } };
    }

    @$answered{qw/ status whole body_sha256 /} = ($layout->{status},
        $layout->{whole} ? \1 : \0, CBS::HTTP::hash($layout->{body}));

    undef $answered if $fault->{is}{drop_before} || $fault->{is}{rst};

    $self->record($conn, $req, $fault, $answered);

    return $layout->{steps};
}

sub judge {
    my ($self, $req, $fault, $params) = @_;

    my ($code, $why) = $req->{bad} ? ('InvalidRequest', $req->{bad})
        : CBS::TC3::verify($req, $self->secrets, $self->{host}, time);

    if ($code) {
        $req->{why} = "$code: $why";
        return CBS::API::error($code, "The emulator refused: $why.");
    }

    $req->{verified} = 1;

    return CBS::API::error($fault->{code} // 'InternalError',
        $fault->{message} // 'As told.') if $fault->{is}{error};

    return CBS::API::error('RequestLimitExceeded', 'Too many requests.')
        if $fault->{is}{throttle} || $self->throttled($req);

    return $self->{api}->call($req, $params, time);
}

# the documented limit: so many in any second, per key and action

sub throttled {
    my ($self, $req) = @_;

    my $limit = $self->{config}{limit} or return 0;
    my $recent = $self->{recent}{"$req->{key_id} $req->{action}"} //= [];
    my $now = time;

    shift @$recent while @$recent && $recent->[0] <= $now - 1;

    return 1 if @$recent >= $limit;

    push @$recent, $now;
    return 0;
}

sub secrets {
    my ($self) = @_;

    my $state = join(' ', (Time::HiRes::stat($self->{secrets}))[1, 7, 9]);

    if ($state ne ($self->{secrets_state} // '')) {
        open(my $fh, '<', $self->{secrets}) or die "$self->{secrets}: $!\n";
        local $/;
        $self->{known} = decode_json(<$fh>);
        $self->{secrets_state} = $state;
    }

    return $self->{known};
}

sub record {
    my ($self, $conn, $req, $fault, $answered) = @_;

    my $line = $json->encode({
        n => ++$self->{n}, conn => $conn->{id}, t_first => $req->{t_first},
        t => $req->{t}, complete => $req->{complete} ? \1 : \0,
        verified => $req->{verified} ? \1 : \0, fault => $fault->{kind},
        answered => $answered,
        raw_headers => [ map { lc $_->[0] eq 'x-tc-token'
            ? "$_->[0]: (hidden)" : "$_->[0]: $_->[1]" } @{$req->{pairs}} ],
        map { $_ => $req->{$_} } qw/ method target headers body why key_id
            action region trace /,
    }) . "\n";

    syswrite($self->{log}, $line) == length $line
        or die "emulator.jsonl: $!\n";
}

# takes the steps of an answer as far as they go without waiting

sub proceed {
    my ($self, $conn) = @_;

    my $steps = $conn->{steps};

    while (my $step = $steps->[0]) {
        my ($do, $what) = @$step;

        if ($do eq 'send') {
            return if !$self->push_out($conn, $step);

        } elsif ($do eq 'sleep') {
            $conn->{wake} //= time + $what;
            return if time < $conn->{wake};
            delete $conn->{wake};

        } elsif ($do eq 'hold') {
            return if !$conn->{released};
            delete $conn->{released};

        } elsif ($do eq 'next') {
            delete $conn->{req};
            $steps = $conn->{steps} = [];
            $conn->{t_first} = int(time * 1e6) if $conn->{in} ne '';
            $self->take($conn) if $conn->{in} ne '';
            $steps = $conn->{steps};

            if (!@$steps && $conn->{eof}) {
                $self->step_cut($conn);
                return;
            }

            next;

        } else {
            my $end = "step_$do";
            $self->$end($conn);
            return;
        }

        shift @$steps;
    }
}

sub push_out {
    my ($self, $conn, $step) = @_;

    while (length $step->[1]) {
        my $n = syswrite($conn->{socket}, $step->[1]);

        if (!defined $n) {
            if ($!{EAGAIN} || $!{EINTR}) {
                $self->want($conn, POLLOUT | ($conn->{deaf} ? 0 : POLLIN));
            } else {
                $self->step_cut($conn);
            }

            return 0;
        }

        substr($step->[1], 0, $n, '');
    }

    $self->want($conn, $conn->{deaf} ? 0 : POLLIN);
    return 1;
}

# three ways to end a connection: with TLS's goodbye, without it, with a reset

sub step_close {
    my ($self, $conn) = @_;
    $self->forget($conn);
    $conn->{socket}->close;
}

sub step_cut {
    my ($self, $conn) = @_;
    $self->forget($conn);
    $conn->{socket}->close($conn->{socket}->isa('IO::Socket::SSL')
        ? (SSL_no_shutdown => 1) : ());
}

sub step_reset {
    my ($self, $conn) = @_;
    setsockopt($conn->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    $self->step_cut($conn);
}

sub forget {
    my ($self, $conn) = @_;
    delete $self->{conns}{$conn->{id}};
    $self->{poll}->remove($conn->{socket});
    delete $conn->{wake};
    $conn->{steps} = [];
}

# POST /faults adds, PUT replaces, DELETE clears; POST /config; POST /release
# ends every "hold"; POST /reset; GET /state; GET /log

sub control {
    my ($self, $req) = @_;

    my $name = ($req->{method} // '') . ' ' . ($req->{target} // '');
    my ($status, $type, $body) = (200, 'application/json', '');

    my $result = eval {
        my $given = $req->{body} eq '' ? undef : decode_json($req->{body});

        if ($name =~ m{^(POST|PUT|DELETE) /faults$}) {
            $self->{faults}->clear if $1 ne 'POST';
            $self->{faults}->add(ref $given eq 'ARRAY' ? @$given : $given)
                if $given;

        } elsif ($name eq 'POST /config') {
            $self->{config}{$_} = $given->{$_} for keys %$given;

        } elsif ($name eq 'POST /release') {
            $_->{released} = 1 for $self->held;

        } elsif ($name eq 'POST /reset') {
            $self->{faults}->clear;
            $self->{api}->reset;
            %{$self->{config}} = @config;
            $self->{recent} = {};
            $_->{released} = 1 for $self->held;

        } elsif ($name eq 'GET /log') {
            open(my $fh, '<', "$self->{dir}/emulator.jsonl") or die "log: $!\n";
            local $/;
            ($type, $body) = ('application/jsonl', <$fh> // '');

        } elsif ($name ne 'GET /state') {
            $status = 404;
        }

        1;
    };

    if (!$result) {
        ($status, $body) = (400, $json->encode({ error => "$@" }));
    }

    $body = $json->encode($self->state) . "\n" if $body eq '';

    return [ [ send => "HTTP/1.1 $status Control\r\nContent-Type: $type\r\n"
        . "Content-Length: " . length($body) . "\r\nConnection: close\r\n\r\n"
        . $body ], [ 'close' ] ];
}

sub held {
    my ($self) = @_;
    return grep { @{$_->{steps}} && $_->{steps}[0][0] eq 'hold' }
        values %{$self->{conns}};
}

sub state {
    my ($self) = @_;

    return { requests => $self->{n}, config => $self->{config},
        faults => $self->{faults}->list, held => scalar(my @h = $self->held),
        connections => scalar(grep { $_->{kind} eq 'cbs' }
            values %{$self->{conns}}),
        accepted => $self->{serial}, copies => $self->{api}{copies} };
}

sub uuid {
    open(my $fh, '<', '/proc/sys/kernel/random/uuid') or die "uuid: $!\n";
    chomp(my $uuid = <$fh>);
    return $uuid;
}

1;
