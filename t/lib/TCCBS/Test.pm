package TCCBS::Test;

# A gateway, an emulated CBS and clients, in a directory of their own.  At the
# end of each test file: no alert in the error log, no report of a sanitizer,
# no secret anywhere, each answer in the one form, and no contradiction between
# the audit log, CBS and the clients.
#
# TCCBS_NGINX, TCCBS_MODULE, TCCBS_OBJS choose what is tested, TCCBS_LD_PRELOAD
# goes to nginx only, TCCBS_LEAVE keeps the directory.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use File::Copy ();
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use JSON::XS;
use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ time sleep /;

use TCCBS::Checks;
use TCCBS::Client;
use TCCBS::Conf;
use TCCBS::Oracle;
use TCCBS::PKI;
use TCCBS::Processes qw/ killed /;

use parent qw/ Exporter TCCBS::Processes /;
our @EXPORT_OK = qw/ busiest copy killed /;

my $root = abs_path(__FILE__ =~ s{[^/]*$}{../../..}r);
my $objs = $ENV{TCCBS_OBJS} // 'objs';

our @live;

for my $signal (qw/ INT TERM HUP /) {
    $SIG{$signal} = sub { exit 130 };
}

# new(workers, log: the level, exempt: [regexes of alerts], oracle => 0,
#     any_answer => 1, torn => 1, module, nginx)

sub new {
    my ($class, %o) = @_;

    my $self = bless { workers => 1, log => 'info', exempt => [],
        oracle => 1, owner => $$, %o }, $class;

    $self->{dir} = tempdir('tccbs-XXXXXXXX', TMPDIR => 1,
        CLEANUP => !$ENV{TCCBS_LEAVE});
    chmod 0755, $self->{dir};

    $self->{nginx} //= $ENV{TCCBS_NGINX} // (grep { -x } '/usr/sbin/nginx',
        map { "$_/nginx" } split(/:/, $ENV{PATH}))[0]
        // die "no nginx, run \"make deps\"\n";
    $self->{module} = abs_path($self->{module} // $ENV{TCCBS_MODULE}
        // "$root/$objs/ngx_http_tccbs_module.so");

    mkdir "$self->{dir}/$_" for qw/ keys emulator logs body conf pki /;
    chmod 0777, "$self->{dir}/$_" for qw/ logs body /;

    $self->{pki} = $self->pki;
    $self->{secrets} = {};
    $self->credential('prod');
    $self->key('team-dr');

    push @live, $self;

    return $self;
}

sub root { return $root }

# the command line tool: its exit code and what it said

sub tccbs {
    my $tool = "$root/" . ($ENV{TCCBS_OBJS} // 'objs') . '/tccbs';
    my $said = `$tool @_ 2>&1`;
    return ($? >> 8, $said);
}

# certificates are made once and copied, so that a test can add its own

sub pki {
    my ($self) = @_;

    my $dir = "$self->{dir}/pki";
    my $cache = eval { TCCBS::PKI->cached("$root/$objs/test-pki")->{dir} };

    return TCCBS::PKI->new($dir)
        if !$cache || grep { !-r } glob("$cache/*");

    File::Copy::copy($_, $dir) or die "$_: $!\n" for glob("$cache/*");

    return bless { dir => $dir }, 'TCCBS::PKI';
}

sub random {
    my ($n) = @_;
    open(my $fh, '<:raw', '/dev/urandom') or die "urandom: $!\n";
    my $text = '';

    while (length $text < $n) {
        sysread($fh, my $bytes, 2 * $n);
        $text .= $bytes =~ tr/A-Za-z0-9//cdr;
    }

    return substr($text, 0, $n);
}

sub file {
    my ($self, $name, $text, $mode) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    # a reader sees the old or the new text, never half of it
    open(my $fh, '>', "$path.new") or die "$path: $!\n";
    chmod $mode // 0644, "$path.new";
    print $fh $text;
    close $fh;
    rename("$path.new", $path) or die "$path: $!\n";

    return $path;
}

sub slurp {
    my ($self, $name) = @_;
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    open(my $fh, '<', $path) or return '';
    local $/;
    return <$fh> // '';
}

# a central credential that the emulator knows; token => 1 for a temporary one

sub credential {
    my ($self, $name, %o) = @_;

    my $c = { secret_id => 'AKID' . random(32), secret_key => random(32),
        $o{token} ? (token => random(120)) : () };

    $self->{credentials}{$name} = $c;
    $self->{secrets}{$_} = 1
        for grep { defined } $c->{secret_key}, $c->{token};

    $self->file("keys/$name.json", encode_json($c), 0400);
    $self->file('keys/emulator.json',
        encode_json([ values %{$self->{credentials}} ]), 0400);

    return $c;
}

# a gateway key: {id, secret, path}

sub key {
    my ($self, $name) = @_;

    my $key = { id => 'AKIDgw' . random(26), secret => random(40) };

    $key->{path} = $self->file("keys/$name", "$key->{secret}\n", 0400);
    $self->{keys}{$name} = $key;
    $self->{secrets}{$key->{secret}} = 1;

    return $key;
}

sub account {
    my ($self, $name, %rules) = @_;
    return TCCBS::Conf::account($name, $self->{keys}{$name}
        // $self->key($name), %rules);
}

# how many of these times are in the worst window of that length

sub busiest {
    my ($window, @times) = @_;
    my @at = sort { $a <=> $b } @times;
    my ($most, $from) = (0, 0);

    for my $i (0 .. $#at) {
        $from++ while $at[$i] - $at[$from] >= $window;
        $most = $i - $from + 1 if $i - $from + 1 > $most;
    }

    return $most;
}

sub free_port { return TCCBS::Conf::free_port() }
sub user { return TCCBS::Conf::user() }

# the configuration with its holes filled, see TCCBS::Conf

sub conf {
    my ($self, %p) = @_;
    $self->{port} //= free_port();
    return TCCBS::Conf::text($self, %p);
}

sub write_conf {
    my ($self, %p) = @_;
    $self->{conf} = \%p;
    $self->{audit_file} = $1 if ($p{audit} // '') =~ /tccbs_audit (\S+?)[ ;]/;
    return $self->file('nginx.conf', $self->conf(%p));
}

# emulator(cert, key, plain, port, limit, args): starts it

sub emulator {
    my ($self, %o) = @_;

    my $dir = "$self->{dir}/emulator";

    unlink "$dir/emulator.json";

    $o{cert} //= $self->{pki}->path('upstream.crt');
    $o{key} //= $self->{pki}->path('upstream.key');

    $self->{emulator_pid} = $self->spawn("$dir/stderr", $^X,
        "$root/t/bin/cbs-emulator", '--dir', $dir, '--follow',
        '--secrets', "$self->{dir}/keys/emulator.json",
        $o{plain} ? '--plain' : ('--cert', $o{cert}, '--key', $o{key}),
        (map { $o{$_} ? ("--$_", $o{$_}) : () } qw/ port limit host /),
        @{$o{args} // []});

    $self->wait_for(sub { -s "$dir/emulator.json"
        || waitpid($self->{emulator_pid}, WNOHANG) }, 20)
        && -s "$dir/emulator.json"
        or die "no emulator: " . $self->slurp('emulator/stderr');

    my $ready = decode_json($self->slurp('emulator/emulator.json'));

    $self->{emulator_port} = $ready->{port};
    $self->{control_port} = $ready->{control};

    return $self;
}

sub spawn {
    my ($self, $out, @command) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>>', $out);
        open(STDERR, '>>', $out);
        exec(@command) or POSIX::_exit(127);
    }

    return $pid;
}

# control('POST', '/config', {...}): what the emulator says, decoded

sub control {
    my ($self, $method, $path, $data) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{control_port}, Timeout => 10)
        or die "no emulator to control: $!\n";
    my $body = defined $data ? encode_json($data) : '';

    print $socket "$method $path HTTP/1.1\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";

    my $said = do { local $/; <$socket> } // '';
    my ($head, $text) = split(/\r\n\r\n/, $said, 2);

    die "emulator: $method $path: $said\n"
        if ($head // '') !~ m{^HTTP/1.1 200 };

    return $head =~ m{application/json\r?$}m ? decode_json($text) : $text;
}

# the faults to come, in place of those that were; see CBS::Faults

sub faults {
    my ($self, @faults) = @_;
    return $self->control('PUT', '/faults', \@faults);
}

sub add_faults {
    my ($self, @faults) = @_;
    return $self->control('POST', '/faults', \@faults);
}

sub emulator_config {
    my ($self, %o) = @_;
    return $self->control('POST', '/config', \%o);
}

sub emulator_state { return shift->control('GET', '/state') }
sub release { return shift->control('POST', '/release') }

# another gateway with the same keys, in front of the same emulator; it is
# checked with this one

sub another {
    my ($self, %conf) = @_;

    my $other = (ref $self)->new(oracle => 0, workers => $self->{workers},
        exempt => $self->{exempt});

    $other->{$_} = $self->{$_}
        for qw/ keys credentials secrets emulator_port control_port /;

    $other->file('keys/prod.json', $self->slurp('keys/prod.json'), 0400);
    $other->write_conf(%conf);
    $other->start;

    push @{$self->{others}}, $other;

    return $other;
}

# starts the emulator, unless it runs, and nginx; the holes as in conf()

sub run {
    my ($self, %conf) = @_;

    $self->emulator if !$self->{emulator_pid};
    $self->write_conf(%conf);
    $self->start;

    return $self;
}

sub start {
    my ($self) = @_;

    for my $try (1 .. 3) {
        $self->exec_nginx;

        my $up = $self->wait_for(sub {
            waitpid($self->{pid}, WNOHANG) > 0 ? -1
                : IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                    PeerPort => $self->{port}) ? 1 : 0
        }, 30) // 0;

        return if $up == 1;

        my $said = $self->slurp('logs/error.log');

        if ($try == 3 || $said !~ /Address already in use/) {
            delete $self->{pid} if $up == -1;
            die "nginx does not start: " . $self->slurp('logs/stderr') . $said;
        }

        # somebody was faster
        unlink "$self->{dir}/logs/error.log";
        delete $self->{port};
        $self->write_conf(%{$self->{conf}});
    }
}

sub exec_nginx {
    my ($self) = @_;

    local $ENV{LD_PRELOAD} = $ENV{TCCBS_LD_PRELOAD}
        if $ENV{TCCBS_LD_PRELOAD};

    $self->{pid} = $self->spawn("$self->{dir}/logs/stderr",
        $self->{nginx}, '-p', $self->{dir},
        '-e', "$self->{dir}/logs/error.log",
        '-c', "$self->{dir}/nginx.conf");

    $self->adopt if ($self->{conf}{daemon} // '') eq 'on';
}

# A daemon, as USR2 wants one: its orphans become children of the test
# (prctl, PR_SET_CHILD_SUBREAPER)

sub adopt {
    my ($self) = @_;

    syscall((POSIX::uname())[4] eq 'x86_64' ? 157 : 167, 36, 1, 0, 0, 0) == 0
        or die "prctl: $!\n";

    waitpid($self->{pid}, 0);

    # one that did not start has exited, which start() asks for
    my ($pid) = $self->slurp('nginx.pid') =~ /(\d+)/;
    $self->{pid} = $pid // $self->spawn('/dev/null', 'false');
}

# USR2: the pid of the new master, when its workers are there

sub upgrade {
    my ($self) = @_;

    my $old = $self->{pid};
    $self->signal('USR2');

    my $new = $self->wait_for(sub {
        my ($pid) = $self->slurp('nginx.pid') =~ /(\d+)/;
        $pid && $pid != $old ? $pid : 0;
    }, 30) or die "no new master\n";

    $self->all_workers($new);

    return $new;
}

# nginx -t: exit code and what it said

sub check {
    my ($self, %conf) = @_;
    return $self->check_text($self->conf(%conf));
}

sub check_text {
    my ($self, $text) = @_;

    my $path = $self->file('conf/check.conf', $text);

    my $said = $self->nginx("-e stderr -t -c $path");

    return ($? >> 8, $said);
}

# what nginx says with these arguments

sub nginx {
    my ($self, $arguments) = @_;

    local $ENV{LD_PRELOAD} = $ENV{TCCBS_LD_PRELOAD}
        if $ENV{TCCBS_LD_PRELOAD};

    return `$self->{nginx} -p $self->{dir} $arguments 2>&1`;
}

# a connection of its own, see TCCBS::Client; account => NAME chooses the key

sub client {
    my ($self, %o) = @_;

    my $key = $self->{keys}{$o{account} // 'team-dr'};

    return TCCBS::Client->new(port => $self->{port},
        ca => $self->{pki}->path('ca.crt'), id => $key->{id},
        secret => $key->{secret}, seen => sub { $self->seen(@_) }, %o);
}

# call(action, parameters, differences): on a connection of its own

sub call {
    my ($self, $action, $params, %o) = @_;

    $o{key} = $self->{keys}{$o{key}} // die "no key $o{key}\n"
        if defined $o{key} && !ref $o{key};

    my $client = $self->client(%{$o{client} // {}});
    my $answer = $client->call($action, $params, close => 1, %o);
    $client->close;

    return $answer;
}

# bytes as they are, and the answer to them

sub raw {
    my ($self, $bytes, %o) = @_;

    my $client = $self->client(%{$o{client} // {}});
    my $answer = $client->exchange($bytes, %o);
    $client->close;

    return $answer;
}

# parameters of a copy of a snapshot that was not used before

my $serial = 0;

sub copy {
    my (%o) = @_;

    return { SnapshotId => sprintf('snap-%08d', ++$serial),
        DestinationRegions => [ 'ap-beijing' ], %o };
}

# every answer is looked at, and remembered for the oracle

sub seen {
    my ($self, $answer, %o) = @_;

    push @{$self->{told}}, { id => $answer->{audit_id},
        map { $_ => $answer->{$_} } qw/ outcome code request_id t error / };

    return if $answer->{error};

    push @{$self->{bad}}, 'a secret in ' . $answer->{raw}
        if $answer->{raw} =~ $self->secret_pattern;

    return if $self->{any_answer} || $o{raw_answer};

    my $bad = TCCBS::Checks::form($answer);

    push @{$self->{bad}}, "$bad: $answer->{raw}" if $bad;
}

sub lines {
    my ($self, $name) = @_;

    # a line that is still being written is left for the next time
    my @lines = $self->slurp($name) =~ /^(.+)\n/mg;

    # torn => 1: what a crash or a full disk cut off is left out

    return map { my $line = $self->{torn} ? s/^.+(?=\{"v":1,"time":")//r : $_;
        eval { decode_json($line) } // ($self->{torn} ? ()
            : die "no JSON in $name: $line\n") } @lines;
}

# what the emulator saw, and what the gateway wrote; for both: member => value
# chooses

sub emulated {
    my ($self, %want) = @_;
    return chosen(\%want, $self->lines('emulator/emulator.jsonl'));
}

# how often a snapshot that no other call names was sent

sub sent {
    my ($self, $params) = @_;
    return scalar grep { ($_->{body} // '') =~ /"$params->{SnapshotId}"/ }
        $self->emulated;
}

sub audit {
    my ($self, %want) = @_;
    return chosen(\%want, $self->lines($self->audit_file));
}

sub audit_file { return shift->{audit_file} // 'audit.jsonl' }

sub chosen {
    my ($want, @records) = @_;

    return grep {
        my $record = $_;
        !grep { ($record->{$_} // '') ne $want->{$_} } keys %$want;
    } @records;
}

# true when every intent has its outcome, waits for that

sub settled {
    my ($self, $timeout) = @_;

    return $self->wait_for(sub {
        my %open;
        for ($self->audit) {
            $open{$_->{id}} = 1 if $_->{kind} eq 'intent';
            delete $open{$_->{id}} if $_->{kind} =~ /^(outcome|recovery)$/;
        }
        return !%open;
    }, $timeout);
}

sub wait_for {
    my ($self, $code, $timeout) = @_;

    my $end = time + ($timeout // 10);

    while (1) {
        my $result = $code->();
        return $result if $result;
        return if time > $end;
        sleep 0.01;
    }
}

sub stop_emulator {
    my ($self) = @_;
    my $pid = delete $self->{emulator_pid} or return;
    kill 'TERM', $pid;
    waitpid($pid, 0);
}

# the checks that each test file ends with

sub done {
    my ($self) = @_;
    $self->finish;
    done_testing();
}

sub finish {
    my ($self) = @_;

    $self->stop;
    $_->finish for @{$self->{others} // []};
    $self->stop_emulator;

    $self->none('each answer has the one form', @{$self->{bad} // []});
    $self->none('no alert', TCCBS::Checks::alerts(
        $self->slurp('logs/error.log'), @{$self->{exempt}}));
    $self->none('no report of a sanitizer', (map {
        TCCBS::Checks::reports($_) ? $_ : () }
        map { $self->slurp($_) } qw{ logs/error.log logs/stderr }));
    $self->none('no secret anywhere', TCCBS::Checks::leaks(
        $self->secret_pattern, $self->{dir}, "$self->{dir}/keys/"));
    $self->none('the audit log is intact', $self->tampered);
    $self->none('the emulator is well', $self->slurp('emulator/stderr') || ());

    $self->none('no contradiction', map { $_->{said} }
        $self->contradictions) if $self->{oracle};

    @live = grep { $_ != $self } @live;
}

# what "tccbs audit verify" says of the log, when it is not whole

sub tampered {
    my ($self) = @_;

    my ($audit) = map { m{^/} ? $_ : "$self->{dir}/$_" } $self->audit_file;

    return if !-s $audit || $self->{altered};

    my ($rc, $said) = tccbs('audit', 'verify', $audit);
    return $rc ? $said : ();
}

sub none {
    my ($self, $name, @found) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 2;

    is(scalar @found, 0, $name)
        or diag(join("\n", @found > 20 ? @found[0 .. 19] : @found));
}

sub secret_pattern {
    my ($self) = @_;

    my @secrets = sort keys %{$self->{secrets}};

    if (@secrets != ($self->{pattern_of} // 0)) {
        $self->{pattern_of} = @secrets;
        $self->{pattern} = TCCBS::Checks::pattern(@secrets);
    }

    return $self->{pattern};
}

sub contradictions {
    my ($self) = @_;

    my $oracle = TCCBS::Oracle->new;
    my @gateways = ($self, @{$self->{others} // []});

    my @paths = map { $_->audit_file =~ m{^/} ? $_->audit_file
        : "$_->{dir}/" . $_->audit_file } @gateways;

    # with what was rotated away, oldest first
    my %begins = map { $_ => $self->slurp($_) =~ /"time":"([^"]+)/ ? $1 : '' }
        grep { -f } map { ($_, glob("$_.*")) } @paths;
    my @audit = sort { $begins{$a} cmp $begins{$b} } keys %begins;
    my @emulator = grep { -f } "$self->{dir}/emulator/emulator.jsonl";

    $oracle->audit(@audit)->emulator(@emulator)->clients(
        [ map { @{$_->{told} // []} } @gateways ]);

    return $oracle->judge;
}

END {
    my $status = $?;

    for my $self (grep { $_->{owner} == $$ } @live) {
        kill 'KILL', $self->children, $self->{pid} if $self->{pid};
        kill 'TERM', $self->{emulator_pid} if $self->{emulator_pid};
    }

    $? = $status;
}

1;
