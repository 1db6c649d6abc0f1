#!/usr/bin/perl

# Secrets that are known are looked for wherever they might have got to: logs at
# the level "debug", answers, "nginx -T", the memory of every process, cores.
# If this broke, who may read a log or a dump could sign calls himself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ uname _exit /;
use Test::More;

use CBS::TC3;
use TCCBS::Checks;
use TCCBS::Memory;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $asan = ($ENV{TCCBS_OBJS} // '') =~ /asan/;
my $t = TCCBS::Test->new(workers => 2, log => 'debug');
my $dir = $t->{dir};

# the central secret and a token, a gateway key, one that is derived, what it is
# derived from, and the key of the audit log

$t->credential('prod', token => 1);

my %key;

for my $name (qw/ master audit /) {
    $key{$name} = TCCBS::Test::random(64);
    $t->{secrets}{$key{$name}} = 1;
    $t->file("keys/$name", "$key{$name}\n", 0400);
}

my ($id, $secret) = (TCCBS::Test::tccbs('key', 'new', '--master',
    "$dir/keys/master", 'derived'))[1] =~ /SecretId:  (\w+)\nSecretKey: (\w+)/;

$t->{keys}{derived} = { id => $id, secret => $secret, path => '' };
$t->{secrets}{$secret} = 1;

mkdir "$dir/cores";
chmod 0777, "$dir/cores";

sub conf {
    my ($main, %p) = @_;

    return (main => "working_directory $dir/cores; worker_rlimit_core 1g;
            $main",
        http => "tccbs_key_master $dir/keys/master;",
        audit => "tccbs_audit $dir/audit.jsonl key=$dir/keys/audit;",
        accounts => $t->account('team-dr')
            . $t->account('derived', key => "$id derived"), %p);
}

$t->run(conf(''));

# Calls of each kind.  What the gateway computes for a signature that is wrong
# would be a signature for the one who sent it.

my (%sent, %computed);

sub signature {
    my ($bytes) = @_;
    return $bytes =~ /Signature=([0-9a-f]{64})/ ? $1 : die;
}

for my $name (qw/ team-dr derived /) {
    my $client = $t->client(account => $name);

    for my $o ({}, { action => 'DescribeSnapshots' }, { region => 'ap-tokyo' },
        { body => '{' })
    {
        my $bytes = $client->request($o->{action} // $action, copy(), %$o);
        $sent{signature($bytes)} = 1;
        $client->exchange($bytes);
    }

    my $bytes = $client->request($action, copy());
    my $right = signature($bytes);
    $bytes =~ s/Signature=\K[0-9a-f]{64}/'0' x 64/e;
    $computed{$right} = 1;

    my $r = $client->exchange($bytes);
    is($r->{code}, 'AuthFailure.SignatureFailure', "$name: a wrong signature");
}

$t->faults({ kind => 'garbage' });
$t->call($action, copy());
ok($t->settled, 'settled');

# answers are looked at as they come, see seen() in TCCBS::Test

my $secrets = $t->secret_pattern;

# A token is part of a request, and so of nginx's buffers; it is of no use
# without the secret key.

my $keys = TCCBS::Checks::pattern(grep { $_ ne $t->{credentials}{prod}{token} }
    sort keys %{$t->{secrets}});
my $computed = join('|', map { quotemeta } map { my $raw = pack('H*', $_);
    ($_, uc, scalar reverse, $raw, scalar reverse($raw),
        map { TCCBS::Checks::base64($raw, $_) } 0 .. 2) } keys %computed);

sub logs { return grep { -f } glob("$dir/logs/* $dir/audit.jsonl*") }

$t->none('no secret in a log', TCCBS::Checks::leaks($secrets, "$dir/logs"));
$t->none('no secret in a file', TCCBS::Checks::leaks($secrets, $dir,
    "$dir/keys/"));
$t->none('no signature that was computed',
    map { TCCBS::Checks::leaks(qr/$computed/, $_) } logs());

# What nginx itself writes at this level, and is warned of: the headers that it
# has read.  They are in no other line, and in no other file.

my $sent = join('|', keys %sent);
my $lines = 0;

for my $log (logs()) {
    for my $line (grep { /$sent/ } split(/\n/, $t->slurp($log))) {
        $lines++ if $log =~ /error\.log$/
            && $line =~ /\[debug\].* http header: "Authorization: /;
        fail("a signature of a caller in $log: $line")
            if $log !~ /error\.log$/ || $line !~ /\[debug\]/;
    }
}

cmp_ok($lines, '>=', keys %sent, 'signatures of callers, as nginx logs them');

my $warning = qr/\[warn\].* "error_log" has the level "debug" where "tccbs_pass/;

like($t->slurp('logs/error.log'), $warning, 'which it is warned of');
like($t->slurp('logs/error.log'), qr/\[warn\].* "worker_rlimit_core" has no eff/,
    'and that there will be no core');

for my $case (
    [ 'a server', 1, server => 'error_log stderr debug;' ],
    [ 'a location', 1, location => 'error_log stderr debug_http;' ],
    [ 'a client', 1, events => 'debug_connection 192.0.2.1;' ],
    [ 'another server', 0, servers =>
        'server { listen 127.0.0.1:1; error_log stderr debug; }' ],
    [ 'the resolver', 0, server => 'error_log stderr debug_event;' ],
) {
    my ($what, $warned, @p) = @$case;

    local $t->{log} = 'info';
    my ($rc, $said) = $t->check(conf('', @p));

    is($rc, 0, "debug log of $what");
    is($said =~ $warning ? 1 : 0, $warned, "debug log of $what: "
        . ($warned ? 'warned of' : 'no matter'));
}

my ($rc, $said) = $t->check(conf(''));
my $dump = $t->nginx("-e stderr -T -c $dir/conf/check.conf");

like($dump, qr/tccbs_key_master/, 'nginx -T');
unlike($dump, $secrets, 'nginx -T: no secret');

($rc) = $t->check(conf('', server => 'location = /tccbs { tccbs_status; }'));

SKIP: {
    skip 'no tccbs_status', 3 if $rc;

    $t->write_conf(conf('', server => 'location = /tccbs { tccbs_status; }'));
    ok($t->reload, 'with a status page');

    for my $format (qw/ json prometheus /) {
        my $page = $t->raw("GET /tccbs?format=$format HTTP/1.1\r\n"
            . "Host: cbs.gw.test\r\nConnection: close\r\n\r\n",
            raw_answer => 1)->{raw};
        unlike($page, qr/$secrets|$computed/, "status: $format");
    }

    $t->call($action, copy()) for 1 .. 4;
}

# Memory.  Secrets are in pages that are not dumped, and locked, for all of them
# in one process if they share it, and nowhere else: in the zone as little as on
# the stack or in what was freed.

SKIP: {
    skip 'who is not root cannot look', 6 if $> != 0;

    # with a sanitizer mlock() does nothing

    my $locked = $asan ? qr/ dd / : qr/ (?:lo|sh)\b.* dd /;

    for my $pid ($t->{pid}, $t->workers) {
        my @found = TCCBS::Memory::holds($pid, $keys);

        cmp_ok(scalar(grep { $_->{flags} =~ $locked } @found), '>', 0,
            "memory of $pid: found");
        $t->none("memory of $pid: nowhere else", map {
            $_->{flags} =~ $locked ? () : sprintf('%x %s', @$_{qw/ at what /})
        } @found);
    }
}

# Another process of the user of the workers

sub may {
    my ($pid, $what) = @_;

    my $child = fork // die "fork: $!\n";

    if ($child == 0) {
        my (undef, undef, $uid, $gid) = getpwnam(TCCBS::Test::user());

        $( = $gid;
        $) = "$gid $gid";
        ($<, $>) = ($uid, $uid);
        _exit($> == $uid && $what->($pid) ? 0 : 1);
    }

    waitpid($child, 0);
    return $? == 0;
}

my %ptrace = (x86_64 => 101, aarch64 => 117);
my $ptrace = $ptrace{(uname())[4]};

my %look = (
    memory => sub { open(my $fh, '<', "/proc/$_[0]/mem") },
    maps => sub { $t->slurp("/proc/$_[0]/maps") ne '' },
    environment => sub { open(my $fh, '<', "/proc/$_[0]/environ") },
    descriptors => sub { opendir(my $dh, "/proc/$_[0]/fd") },
    $ptrace ? (ptrace => sub {
        no warnings;
        my $attach = 0x4206;                            # PTRACE_SEIZE
        return syscall($ptrace, $attach, $_[0] + 0, 0, 0) == 0;
    }) : (),
);

my $yama = $t->slurp('/proc/sys/kernel/yama/ptrace_scope') =~ /[1-9]/;

sub looks {
    my ($worker, $allowed) = @_;

    for my $what (sort keys %look) {

        # there the kernel allows no such look in any case
        next if $allowed && $yama && $what =~ /memory|ptrace/;

        is(may($worker, $look{$what}) ? 1 : 0, $allowed,
            "same user: $what, " . ($allowed ? 'with' : 'without')
            . ' core dumps');
    }
}

# Cores

my ($pattern) = $t->slurp('/proc/sys/kernel/core_pattern') =~ /(.*)/;
my $here = $pattern !~ m{[|/]};

sub killed {
    my ($signal) = @_;

    my $pid = $t->kill_worker($signal);
    my ($line) = $t->slurp('logs/error.log')
        =~ /worker process $pid exited on (.*)/;

    return $line;
}

sub cores { return grep { -s } glob("$dir/cores/*") }

SKIP: {
    skip 'needs root', 5 if $> != 0;
    looks(($t->workers)[0], 0);
}

SKIP: {
    skip 'a sanitizer handles signals itself', 8 if $asan;

    for my $signal (qw/ SEGV ABRT /) {
        like(killed($signal), qr/^signal \d+$/, "$signal: no core");
    }

    $t->none('no file', cores());

    # what was asked for is done, and the secrets are left out

    $t->write_conf(conf('', core_dump => 'tccbs_core_dump on;'));
    ok($t->reload, 'with core dumps');

    skip 'needs root', 5 if $> != 0;
    looks(($t->workers)[0], 1);
    $t->call($action, copy()) for 1 .. 4;

    skip "cores go to \"$pattern\"", 4 if !$here;

    like(killed('SEGV'), qr/\(core dumped\)/, 'a core');
    is(scalar cores(), 1, 'in a file');
    ok(TCCBS::Checks::leaks(qr/tccbs_core_dump/, "$dir/cores") > 0,
        'of the gateway');
    $t->none('without keys', TCCBS::Checks::leaks($keys, "$dir/cores"));
    unlink cores();
}

$t->done;
