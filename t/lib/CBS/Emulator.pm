package CBS::Emulator;

# An emulator of CBS: one process per connection, so that a fault can do with
# its connection whatever it likes.  What the processes share are files in one
# directory, each changed under a lock:
#
#   emulator.jsonl   one line per request that was seen, before its answer
#   faults.json      faults that are to come; see fault()
#   copies.jsonl     the snapshots that copies made
#   config.json      limit, progress time
#   release          ends all "hold" faults

use strict;
use warnings;

use Fcntl qw/ :flock SEEK_SET SEEK_END /;
use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::XS;
use Socket qw/ SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time sleep /;

use CBS::API;
use CBS::TC3;

sub new {
    my ($class, %o) = @_;
    return bless { host => 'cbs.intl.tencentcloudapi.com', %o }, $class;
}

sub run {
    my ($self) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $self->{port} // 0, Listen => 511, ReuseAddr => 1)
        or die "emulator cannot listen: $!\n";

    my $ready = encode_json({ pid => $$, port => $listen->sockport });
    $self->write_file('emulator.json', $ready);

    local $SIG{CHLD} = 'IGNORE';
    local $SIG{TERM} = sub { kill 'KILL', keys %{$self->{children}}; exit 0 };

    while (1) {
        my $socket = $listen->accept or next;

        my $pid = fork;
        die "emulator cannot fork: $!\n" if !defined $pid;

        if ($pid == 0) {
            $SIG{TERM} = 'DEFAULT';
            close $listen;
            eval { $self->serve($socket) };
            warn $@ if $@;
            # no destructors: they would say goodbye on a socket in a fault
            POSIX::_exit(0);
        }

        $self->{children}{$pid} = 1;

        for my $old (keys %{$self->{children}}) {
            delete $self->{children}{$old} if !kill 0, $old;
        }
    }
}

sub serve {
    my ($self, $socket) = @_;

    setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, pack('i', 1));

    return if $self->fault('connect');

    if (!$self->{plain}) {
        IO::Socket::SSL->start_SSL($socket, SSL_server => 1,
            SSL_cert_file => $self->{cert}, SSL_key_file => $self->{key})
            or return;
    }

    $self->{socket} = $socket;
    $self->{buffer} = '';
    $self->{conn} = "$$." . int(time * 1000);

    while (my $req = $self->read_request) {

        if (!$req->{complete}) {
            $self->log($req, undef, undef);
            return;
        }

        $self->answer($req) or return;
    }
}

sub read_request {
    my ($self) = @_;

    my $req = { complete => 0, headers => {} };

    while ($self->{buffer} !~ /\r\n\r\n/) {
        $self->fill or return $self->cut($req);
        $req->{t_first} //= int(time * 1e6);
    }

    $req->{t_first} //= int(time * 1e6);

    my ($head, $rest) = split(/\r\n\r\n/, $self->{buffer}, 2);
    my ($line, @lines) = split(/\r\n/, $head);

    @$req{qw/ method target /} = $line =~ m{^(\S+) (\S+) HTTP/1\.1$};

    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/;
        push @{$req->{headers}{lc $name}}, $value;
    }

    my $length = $req->{headers}{'content-length'}[0] // 0;

    $self->{buffer} = $rest;

    while (length($self->{buffer}) < $length) {
        $self->fill or do {
            $req->{body} = $self->{buffer};
            return $self->cut($req);
        };
    }

    $req->{body} = substr($self->{buffer}, 0, $length, '');
    $req->{complete} = 1;
    $req->{t} = int(time * 1e6);

    return $req;
}

sub fill {
    my ($self) = @_;
    my $n = sysread($self->{socket}, my $data, 65536);
    return 0 if !$n;
    $self->{buffer} .= $data;
    return 1;
}

sub cut {
    my ($self, $req) = @_;
    return if $self->{buffer} eq '' && !$req->{method};
    $req->{t_first} //= int(time * 1e6);
    return $req;
}

# true when the connection can be used again

sub answer {
    my ($self, $req) = @_;

    my $header = sub { ($req->{headers}{$_[0]} // [''])->[0] };

    $req->{action} = $header->('x-tc-action');
    $req->{region} = $header->('x-tc-region');
    $req->{trace} = $header->('x-tc-traceid');

    my $call = { action => $req->{action}, region => $req->{region} };
    my $params = eval { decode_json($req->{body}) };
    $call->{snapshot} = $params->{SnapshotId} if ref $params eq 'HASH';

    my $fault = $self->fault('request', $call) // { kind => '' };

    $req->{why} = CBS::TC3::verify($req, $self->secrets, $self->{host}, time);

    my $response;

    if ($req->{why}) {
        $response = error($req->{why}, 'emulator refused');

    } elsif (my $code = $fault->{kind} eq 'throttle' ? 'RequestLimitExceeded'
        : $fault->{kind} eq 'error' ? $fault->{code} : undef)
    {
        $response = error($code, $fault->{message} // 'as told');

    } else {
        $response = $self->locked('copies.jsonl', sub {
            return CBS::API::call($self, $req, $params, @_);
        });
    }

    $response->{RequestId} = uuid();

    CBS::API::distort($fault->{kind}, $response);

    my $json = JSON::XS->new->utf8->canonical;
    my $body = $json->encode({ Response => $response });

    return $self->reply($req, $fault, $body, $response);
}

sub reply {
    my ($self, $req, $fault, $body, $response) = @_;

    my $kind = $fault->{kind};
    my $status = $kind eq 'status' ? $fault->{code} : 200;
    my $type = $kind eq 'charset' ? 'application/json; charset=utf-8'
        : 'application/json';

    $body = $fault->{body} if defined $fault->{body};
    $body = substr($body, 0, length($body) / 2) if $kind eq 'bad_json';
    $body = '{"Response":{"RequestId":"' . ('x' x $fault->{bytes}) . '"}}'
        if $kind eq 'oversized';

    my $length = "Content-Length: " . length($body) . "\r\n";
    my $data = $body;
    my $close = 0;

    if ($kind eq 'chunked') {
        my $size = $fault->{size} // 7;
        $length = "Transfer-Encoding: chunked\r\n";
        $data = join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
            unpack("(a$size)*", $body)) . "0\r\n\r\n";

    } elsif ($kind eq 'close_delimited') {
        ($length, $close) = ("Connection: close\r\n", 1);

    } elsif ($kind eq 'two_lengths') {
        $length .= $length;

    } elsif ($kind eq 'te_and_cl') {
        $length .= "Transfer-Encoding: chunked\r\n";

    } elsif ($kind eq 'extra_bytes') {
        $data .= 'HTTP/1.1 200 OK';

    } elsif ($kind eq 'drop_in_body') {
        $data = substr($data, 0, $fault->{bytes} // 10);
        $close = 1;

    } elsif ($kind eq 'idle_close') {
        $close = 1;
    }

    my $head = "HTTP/1.1 $status Emulated\r\nContent-Type: $type\r\n"
        . "Server: emulator\r\n$length\r\n";

    $head = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" x 2 . $head
        if $kind eq 'informational';
    $head = '' if $kind eq 'http09';
    ($head, $data) = ('', "\x16\x03\x01 no http \x00\r\n\r\n")
        if $kind eq 'garbage';

    if ($kind eq 'drop_in_header') {
        ($head, $data, $close) = (substr($head, 0, 25), '', 1);
    }

    $self->log($req, $kind, $kind =~ /^(drop_before|rst|hold_drop)$/ ? undef
        : { status => $status + 0, request_id => $response->{RequestId},
            code => $response->{Error} ? $response->{Error}{Code} : undef });

    if ($kind eq 'rst') {
        setsockopt($self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
        return 0;
    }

    return 0 if $kind eq 'drop_before';

    sleep($fault->{ms} / 1000) if $kind eq 'delay' || $kind eq 'idle_close';

    if ($kind eq 'hold') {
        sleep 0.01 while !-e "$self->{dir}/release";
    }

    if ($kind eq 'split' || $kind eq 'slow_trickle') {
        my $n = $fault->{bytes} // 1;

        for my $piece (unpack("(a$n)*", $head . $data)) {
            $self->send($piece) or return 0;
            sleep(($fault->{ms} // 0) / 1000) if $fault->{ms};
        }

    } else {
        $self->send($head . $data) or return 0;
    }

    return 0 if $kind eq 'http09' || $kind eq 'garbage';

    if ($close) {
        $self->{socket}->can('close_SSL')
            && $self->{socket}->close(SSL_fast_shutdown => 1);
        return 0;
    }

    return 1;
}

sub send {
    my ($self, $data) = @_;
    local $SIG{PIPE} = 'IGNORE';

    while (length $data) {
        my $n = syswrite($self->{socket}, $data);
        return 0 if !$n;
        substr($data, 0, $n, '');
    }

    return 1;
}

# the next fault that fits, used up unless it is "forever"

sub fault {
    my ($self, $phase, $call) = @_;

    return if !-s "$self->{dir}/faults.json";

    return $self->locked('faults.json', sub {
        my ($fh) = @_;

        my $text = do { local $/; <$fh> } // '';
        my $faults = $text eq '' ? [] : decode_json($text);
        my $found;

        FAULT: for my $i (0 .. $#$faults) {
            my $fault = $faults->[$i];

            next if ($fault->{kind} eq 'drop_connect') ne ($phase eq 'connect');

            for my $name (keys %{$fault->{match} // {}}) {
                next FAULT
                    if ($call->{$name} // '') ne $fault->{match}{$name};
            }

            $found = $fault;
            splice(@$faults, $i, 1)
                if !$fault->{forever} && --($fault->{count} //= 1) < 1;
            last;
        }

        if ($found) {
            truncate($fh, 0);
            seek($fh, 0, SEEK_SET);
            print $fh encode_json($faults) if @$faults;
        }

        return $found;
    });
}

sub log {
    my ($self, $req, $kind, $answered) = @_;

    my $line = {
        conn => $self->{conn}, t_first => $req->{t_first}, t => $req->{t},
        complete => $req->{complete} ? \1 : \0,
        verified => $req->{complete} && !$req->{why} ? \1 : \0,
        why => $req->{why}, fault => $kind, answered => $answered,
        map { $_ => $req->{$_} }
            qw/ method target headers body action region trace /
    };

    $self->locked('emulator.jsonl', sub {
        my ($fh) = @_;
        seek($fh, 0, SEEK_END);
        print $fh JSON::XS->new->canonical->ascii->encode($line), "\n";
    });
}

sub secrets {
    my ($self) = @_;
    open(my $fh, '<', $self->{secrets}) or die "no secrets: $!\n";
    local $/;
    return decode_json(<$fh>);
}

sub config {
    my ($self) = @_;
    open(my $fh, '<', "$self->{dir}/config.json") or return {};
    local $/;
    return decode_json(<$fh>);
}

sub locked {
    my ($self, $name, $code) = @_;

    open(my $fh, '+>>', "$self->{dir}/$name") or die "$name: $!\n";
    flock($fh, LOCK_EX);
    seek($fh, 0, SEEK_SET);

    my $result = $code->($fh);

    close $fh;
    return $result;
}

sub write_file {
    my ($self, $name, $text) = @_;
    open(my $fh, '>', "$self->{dir}/$name.new") or die "$name: $!\n";
    print $fh $text;
    close $fh;
    rename("$self->{dir}/$name.new", "$self->{dir}/$name");
}

sub error {
    my ($code, $message) = @_;
    return { Error => { Code => $code, Message => $message } };
}

sub uuid {
    open(my $fh, '<', '/proc/sys/kernel/random/uuid') or die "uuid: $!\n";
    chomp(my $uuid = <$fh>);
    return $uuid;
}

1;
