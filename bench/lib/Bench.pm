package Bench;

# Starts what is measured, and measures it: a client and an upstream on one
# processor, what is measured on another, its processor time from the kernel.

use strict;
use warnings;

use File::Copy ();
use JSON::XS;
use POSIX qw/ WNOHANG /;
use Time::HiRes qw/ sleep /;

use TCCBS::Test;

my $root = TCCBS::Test->root;
my $load = "$root/objs/bench/load";
my $templates = "$root/bench/subjects";

sub new {
    my ($class) = @_;

    my $t = TCCBS::Test->new(oracle => 0);
    my $self = bless { t => $t, dir => $t->{dir}, pids => [] }, $class;

    $t->key('slow');

    mkdir "$self->{dir}/temp";
    chmod 0777, "$self->{dir}/temp";

    # made-up keys of one run; workers of njs read them
    $t->file('peer.json', encode_json($t->{credentials}{prod}));
    File::Copy::copy("$templates/$_", $self->{dir})
        for qw/ sign.js sign.lua /;

    $SIG{INT} = $SIG{TERM} = sub { $self->stop; exit 1 };

    return $self;
}

sub template {
    my ($self, $name, %holes) = @_;

    my $text = $self->{t}->slurp("$templates/$name");

    # a hole may be in what fills another
    for (1, 2) {
        $text =~ s/\@([a-z_]+)\@/$holes{$1}
            \/\/ die "$name: no \@$1\@\n"/ge;
    }

    return $text;
}

sub spawn {
    my ($self, $cpu, @command) = @_;

    my $pid = $self->{t}->spawn("$self->{dir}/stderr", 'taskset', '-c', $cpu,
        @command);

    push @{$self->{pids}}, $pid;

    return $pid;
}

sub up {
    my ($self, $port, $pid, $what) = @_;

    my $up = $self->{t}->wait_for(sub {
        waitpid($pid, WNOHANG) > 0 ? -1
            : IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $port) ? 1 : 0 }, 60) // 0;

    return if $up == 1;

    die "$what does not start: ", $self->{t}->slurp('stderr'),
        map { $self->{t}->slurp($_) } glob("$self->{dir}/*.log");
}

sub upstream {
    my ($self) = @_;

    $self->{ports} = [ map { TCCBS::Test::free_port() } 0, 1 ];

    my $conf = $self->{t}->file('upstream.conf', $self->template(
            'upstream.conf', dir => $self->{dir},
            pki => $self->{t}{pki}{dir}, plain_port => $self->{ports}[0],
            tls_port => $self->{ports}[1]));

    my $pid = $self->spawn(1, $self->{t}{nginx}, '-p', $self->{dir}, '-e',
        "$self->{dir}/upstream.log", '-c', $conf);

    $self->up($self->{ports}[0], $pid, 'the upstream');
}

# who signs must satisfy the emulator, which verifies by code of its own

sub verify {
    my ($self, $subject) = @_;

    my $t = $self->{t};

    $t->emulator(plain => !$subject->{tls});

    local $self->{ports} = [ ($t->{emulator_port}) x 2 ];

    $self->start($subject);

    my $said = $self->load($subject, '--calls', 1, '--connections', 1);

    $self->end($subject);
    $t->stop_emulator;

    die "$subject->{title} does not sign rightly: $said->{error}\n"
        if $said->{errors} || $said->{calls} != 1;
}

sub start {
    my ($self, $subject) = @_;

    my $t = $self->{t};
    my $name = lc($subject->{title}) =~ s/[^a-z]+/-/gr;
    my $port = $subject->{port} = TCCBS::Test::free_port();
    my $upstream = $self->{ports}[$subject->{tls}];

    my %holes = (dir => $self->{dir}, pki => $t->{pki}{dir}, name => $name,
        port => $port, upstream_port => $upstream,
        workers => $subject->{workers} // 1,
        user => TCCBS::Test::user(), s => $subject->{tls} ? 's' : '',
        ssl => $subject->{tls} ? "ssl verify required ca-file "
            . $t->{pki}->path('ca.crt') . ' verifyhost '
            . 'cbs.intl.tencentcloudapi.com sni str(cbs.intl.tencentcloudapi'
            . '.com)' : '',
        upstream => 'cbs.intl.tencentcloudapi.com', main => '', http => '');

    # plain http goes to this machine only

    $holes{upstream} = 'localhost' if $subject->{gateway} && !$subject->{tls};

    my @command;

    if ($subject->{node}) {
        File::Copy::copy("$templates/node.js", $self->{dir});
        @command = ('node', "$self->{dir}/node.js", $port, $upstream,
            $subject->{tls}, "$self->{dir}/peer.json",
            $t->{pki}->path('ca.crt'));

    } elsif ($subject->{haproxy}) {
        @command = ('haproxy', '-db', '-f', $t->file('haproxy.cfg',
                $self->template('haproxy.cfg', %holes)));

    } else {
        %holes = (%holes, $subject->{gateway}
            ? $self->gateway($name, %{$subject->{gateway}})
            : %{$subject->{nginx}});

        @command = ($t->{nginx}, '-p', $self->{dir}, '-e',
            "$self->{dir}/$name.log", '-c', $t->file("$name.conf",
                $self->template('nginx.conf', %holes)));

        # modules/ of the distribution is where nginx looks
        symlink('/usr/lib/nginx/modules', "$self->{dir}/modules");
    }

    $subject->{pid} = $self->spawn($subject->{cpus} // 0, @command);

    $self->up($port, $subject->{pid}, $subject->{title});
}

# The directives of a gateway; accounts => text adds some.  Answers are kept for
# a second: about as many as five minutes hold at the 20 calls a second that
# Tencent Cloud allows.

sub gateway {
    my ($self, $name, %o) = @_;

    my $t = $self->{t};
    my $zone = $o{zone} // '256m';

    return (
        main => "load_module $t->{module};",
        http => "tccbs_zone tccbs:$zone;\n"
            . "tccbs_credential prod { file $self->{dir}/keys/prod.json; "
            . "limit 100000r/s; queue 10s 1000; }\n"
            . 'tccbs_audit ' . ($o{file} // "$self->{dir}/$name.jsonl")
            . ($o{audit} // '') . ";\n"
            . "tccbs_replay_window 1s;\n"
            . "tccbs_ssl_trusted_certificate \@pki\@/ca.crt;\n"
            . $t->account('team-dr')
            . $t->account('slow', rate => '1r/m burst=0') . ($o{accounts} // ''),
        location => "tccbs_pass http\@s\@://\@upstream\@;\n"
            . "tccbs_ssl_name cbs.intl.tencentcloudapi.com;\n"
            . ($o{location} // ''));
}

sub key_args {
    my ($self, $name) = @_;
    my $key = $self->{t}{keys}{$name};
    return ('--key-id', $key->{id}, '--secret', $key->{path});
}

# what the client said of one run

sub load {
    my ($self, $subject, @args) = @_;

    my @command = ('taskset', '-c', 1, $load, '--port', $subject->{port},
        $self->key_args('team-dr'), @args, @{$subject->{load} // []});

    open(my $fh, '-|', @command) or die "load: $!\n";
    my $said = do { local $/; <$fh> };
    close $fh;

    return decode_json($said || die "load failed: $subject->{title}\n");
}

sub measure {
    my ($self, $subject, $seconds, $rate) = @_;

    $self->load($subject, '--seconds', 0.2);

    my $cpu = $self->cpu($subject->{pid});
    my $said = $self->load($subject, '--seconds', $seconds,
        $rate ? ('--rate', $rate) : ());

    my $kind = $rate ? 'steady' : 'fast';

    if ($said->{calls}) {
        $said->{cpu} = ($self->cpu($subject->{pid}) - $cpu) / $said->{calls};
    }

    $said->{rss} = $self->rss($subject->{pid});

    push @{$subject->{$kind}}, $said;

    if ($said->{errors}) {
        $subject->{errors} += $said->{errors};
        print STDERR "$subject->{title}: $said->{errors} errors, the first: "
            . "$said->{error}\n";
    }

    return $said;
}

# the processes below one, with it

sub tree {
    my ($self, $pid) = @_;

    return ($pid, map { $self->tree($_) }
        split(' ', $self->{t}->slurp("/proc/$pid/task/$pid/children")));
}

# microseconds of all threads, from the scheduler

sub cpu {
    my ($self, $pid) = @_;
    my $ns = 0;

    for my $process ($self->tree($pid)) {
        for my $path (glob("/proc/$process/task/*/schedstat")) {
            $ns += (split(' ', $self->{t}->slurp($path)))[0] // 0;
        }
    }

    return $ns / 1000;
}

# MiB of the largest process, without what all share

sub rss {
    my ($self, $pid) = @_;
    my $most = 0;

    for my $process ($self->tree($pid)) {
        my ($kib) = $self->{t}->slurp("/proc/$process/status")
            =~ /^RssAnon:\s+(\d+)/m;
        $most = $kib if ($kib // 0) > $most;
    }

    return $most / 1024;
}

sub middle {
    my @sorted = sort { $a <=> $b } grep { defined } @_;
    return $sorted[$#sorted / 2];
}

sub median {
    my ($self, $subject, $what, $kind) = @_;
    return middle(map { $_->{$what} } @{$subject->{$kind // 'fast'}});
}

# the median of the rounds' ratios

sub ratio {
    my ($self, $subject, $floor, $what, $kind) = @_;

    my ($a, $b) = map { $_->{$kind // 'fast'} } $subject, $floor;

    return middle(map { $b->[$_]{$what} ? ($a->[$_]{$what} // 0)
        / $b->[$_]{$what} : undef } 0 .. $#$a);
}

sub row {
    my ($self, $subject, @all) = @_;

    my ($floor) = grep { $_->{name} eq 'proxy_pass'
        && $_->{tls} == $subject->{tls} } @all;

    return { title => $subject->{title}, refused => $subject->{refused} // 0,
        tls => $subject->{tls}, errors => $subject->{errors} // 0,
        rate => $self->median($subject, 'rate'),
        rate_ratio => $self->ratio($subject, $floor, 'rate'),
        cpu => $self->median($subject, 'cpu'),
        cpu_ratio => $self->ratio($subject, $floor, 'cpu'),
        rss => $self->median($subject, 'rss'),
        p50 => $self->median($subject, 'p50', 'steady'),
        p99 => $self->median($subject, 'p99', 'steady') };
}

sub table {
    my ($self, $rate, @subjects) = @_;

    printf "%-28s %8s %6s %8s %6s %7s %7s %7s %6s\n", '', 'calls/s', 'ratio',
        'CPU us', 'ratio', 'p50 ms', 'p99 ms', 'MiB', 'errors';

    for (map { $self->row($_, @subjects) } @subjects) {
        printf "%-28s %8.0f %6.2f %8.1f %6.2f %7s %7s %7.1f %6d\n",
            $_->{title}, $_->{rate}, $_->{rate_ratio}, $_->{cpu},
            $_->{cpu_ratio},
            (map { defined ? sprintf('%.3f', $_) : '-' } $_->{p50}, $_->{p99}),
            $_->{rss}, $_->{errors};
    }

    print "latencies at $rate calls a second, on 32 connections\n";
}

sub save {
    my ($self, $name, %o) = @_;
    my @subjects = @{delete $o{subjects}};

    open(my $fh, '>', "$root/objs/bench/$name.json") or die "save: $!\n";
    print $fh JSON::XS->new->canonical->pretty->encode({ %o,
            rows => [ map { $self->row($_, @subjects) } @subjects ] });
    close $fh;
}

sub errors {
    my ($self, @subjects) = @_;
    return scalar grep { $_->{errors} } @subjects;
}

sub end {
    my ($self, $subject) = @_;

    kill 'TERM', $subject->{pid};
    waitpid($subject->{pid}, 0);
    @{$self->{pids}} = grep { $_ != $subject->{pid} } @{$self->{pids}};
}

sub stop {
    my ($self) = @_;

    for (@{$self->{pids}}) {
        kill 'TERM', $_;
        waitpid($_, 0);
    }

    $self->{pids} = [];
    $self->{t}->stop_emulator;
}

1;
