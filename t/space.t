#!/usr/bin/perl

# The file of the audit log: full, deleted, replaced, rotated under load.  If
# this broke, a copy could be made that is in no log, or the gateway could stop
# for good.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Load;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';

sub intact {
    my ($what, @paths) = @_;
    my ($rc, $said) = TCCBS::Test::tccbs('audit', 'verify', @paths);
    is($rc, 0, "$what: the log is intact") or diag $said;
}

# deleted: nothing is forwarded until there is a file again

my $t = TCCBS::Test->new(workers => 1, oracle => 0);
$t->run(location => 'tccbs_read_timeout 2s;');

is($t->call($action, copy())->{code}, '', 'a copy');

unlink "$t->{dir}/audit.jsonl";

my $r = $t->call($action, copy());
my $sent = () = $t->emulated;

like($r->{code}, qr/^InternalError$/, 'deleted: refused');
like($r->{message}, qr/audit log cannot be written; nothing was sent/,
    'deleted: says so');
is($t->call('DescribeSnapshots', {}, region => 'ap-beijing')->{code},
    'InternalError', 'deleted: reads as well');
is(scalar(() = $t->emulated), $sent, 'deleted: nothing was sent');

my $new = $t->file('audit.jsonl', '');
chown((getpwnam(TCCBS::Test::user()))[2], -1, $new);
ok($t->wait_for(sub { $t->call($action, copy())->{code} eq '' }, 10),
    'there is a file again: forwarded');
like($t->slurp('audit.jsonl'), qr/"kind":"anchor"/, 'with an anchor');

# replaced, without a word to nginx: what comes goes to the new one

rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-1");
is($t->call($action, copy())->{code}, '', 'renamed: goes on in the old one');
my $before = -s "$t->{dir}/audit.jsonl-1";
$new = $t->file('audit.jsonl', '');
chown((getpwnam(TCCBS::Test::user()))[2], -1, $new);
$t->call($action, copy()) for 1 .. 3;
ok($t->wait_for(sub { $t->call($action, copy());
    -s "$t->{dir}/audit.jsonl" }, 10), 'replaced: goes on in the new one');
like((split(/\n/, $t->slurp('audit.jsonl')))[0],
    qr/"kind":"anchor","why":"segment","heads":\[/, 'which has a header');
$t->settled;
$t->{altered} = 1;
$t->finish;

# rotated again and again under load: one chain through all

$t = TCCBS::Test->new(workers => 2, oracle => 0);
$t->run;
my @segments;
for my $n (1 .. 8) {
    my @clients = map { my $c = $t->client;
        $c->send($c->request($action, copy(), close => 1)); $c } 1 .. 10;
    rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-$n") or die;
    push @segments, "$t->{dir}/audit.jsonl-$n";
    kill 'USR1', $t->{pid};
    is(scalar(grep { $_->answer->{code} ne '' } @clients), 0, "rotation $n");
    $_->close for @clients;
    $t->wait_for(sub { -e "$t->{dir}/audit.jsonl" });
}
$t->call($action, copy()) for 1 .. 10;
$t->stop;
push @segments, "$t->{dir}/audit.jsonl";
intact('rotations', @segments);
my $records = join('', map { $t->slurp($_) } @segments);
my $intents = () = $records =~ /"kind":"intent"/g;
is($intents, 90, 'rotations: each intent is there');
is(scalar(() = $records =~ /"kind":"outcome"/g), 90, 'and each outcome');
is(scalar(() = $records =~ /"why":"stop"/g), 2, 'and how the workers ended');
$t->{altered} = 1;
$t->finish;

# a worker that looks while the master makes the new file does not find one
# that is not its own yet

SKIP: {
    skip 'no strace', 4 if !grep { -x "$_/strace" } split(/:/, $ENV{PATH});

    $t = TCCBS::Test->new(oracle => 0);
    $t->run;

    my $strace = $t->spawn("$t->{dir}/strace.err", 'strace', '-o', '/dev/null',
        '-e', 'trace=chown,fchown', '-e', 'inject=chown,fchown:delay_enter='
        . 500000, '-p', $t->{pid});
    $t->wait_for(sub { $t->slurp('strace.err') =~ /attached/ }, 10)
        or die "strace does not start\n";

    my @pids = TCCBS::Load::start($t, rate => 100, seconds => 3, clients => 8);

    $t->wait_for(sub { $t->emulated });
    rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-1") or die;
    kill 'USR1', $t->{pid};

    is(TCCBS::Load::finish(@pids), 0, 'calls during a slow rotation');
    is_deeply([ map { $_->{code} || $_->{error} || () }
        TCCBS::Load::told($t) ], [], 'none is refused');
    cmp_ok(-s "$t->{dir}/audit.jsonl", '>', 0, 'the new file is in use');

    kill 'INT', $strace;
    waitpid $strace, 0;
    $t->settled;
    intact('a slow rotation', map { "$t->{dir}/$_" } 'audit.jsonl-1',
        'audit.jsonl');
    $t->{altered} = 1;
    $t->finish;
}

# copies to a syslog server, when they are durable

my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp')
    or die "no port: $!\n";
$t = TCCBS::Test->new;
$t->run(audit => "tccbs_audit $t->{dir}/audit.jsonl syslog:server=127.0.0.1:"
    . $server->sockport . ',tag=tccbs;');
my $call = $t->call($action, copy());
my %copied;
while (keys %copied < 3) {
    vec(my $set = '', fileno $server, 1) = 1;
    last if !select($set, undef, undef, 5);
    $server->recv(my $line, 65536);
    $copied{$1}++ if $line =~ /^<190>.* tccbs: \{.*"kind":"(\w+)".*\}$/;
}
is_deeply([ sort keys %copied ], [ qw/ anchor intent outcome / ],
    'syslog: each record');
$t->finish;

# buffered: asked for, warned of, and not synced

$t = TCCBS::Test->new;
my ($rc, $said) = $t->check(audit =>
    "tccbs_audit $t->{dir}/audit.jsonl buffered;");
is($rc, 0, 'buffered');
like($said, qr/warn.*"buffered".*before their record is on the disk/,
    'buffered: warned of');
$t->run(audit => "tccbs_audit $t->{dir}/audit.jsonl buffered;");
is($t->call($action, copy())->{code}, '', 'buffered: a copy');
ok($t->wait_for(sub { $t->audit(kind => 'outcome') }), 'buffered: recorded');

# and not written for each: what gathers while one write runs does not follow it

SKIP: {
    skip 'no strace', 2 if !grep { -x "$_/strace" } split(/:/, $ENV{PATH});

    my ($worker) = $t->workers;
    my $pid = $t->spawn("$t->{dir}/strace.err", 'strace', '-f', '-ttt', '-e',
        'trace=write', '-P', "$t->{dir}/audit.jsonl", '-o', "$t->{dir}/writes",
        '-p', $worker);
    $t->wait_for(sub { $t->slurp('strace.err') =~ /attached/ }, 10)
        or die "strace does not start\n";

    my $client = $t->client;

    for (1 .. 100) {
        $client->send($client->request($action, copy()));
        $client->answer;
    }

    ok($t->wait_for(sub { $t->audit(kind => 'outcome') == 101 }),
        'buffered: all are recorded');

    kill 'INT', $pid;
    waitpid $pid, 0;

    my @at = $t->slurp('writes') =~ /([\d.]+) write\(/g;
    my @apart = sort { $a <=> $b } map { $at[$_] - $at[$_ - 1] } 1 .. $#at;
    cmp_ok($apart[@apart / 5], '>=', 0.009, 'buffered: ' . @at
        . ' writes for 200 records, each after a while');
}

$t->finish;

# what a configuration may not be

for (['key=none', qr/open\(\) "\S+none" failed/],
    ['buffer', qr/invalid parameter "buffer"/],
    ['syslog:server=127.0.0.1 syslog:server=127.0.0.1', qr/more than one/],
    ["key=$t->{dir}/keys/short", qr/must hold a key of 32 to 256 bytes/])
{
    $t->file('keys/short', 'x' x 31, 0400);
    ($rc, $said) = $t->check(audit =>
        "tccbs_audit $t->{dir}/audit.jsonl $_->[0];");
    is($rc, 1, "refused: $_->[0]");
    like($said, qr/$_->[1].* in \S+check.conf:\d+/s, 'with file and line');
}

# a disk that fills up: calls are refused while there is room for outcomes

SKIP: {
    skip 'not root', 1 if $> != 0;

    my $f = TCCBS::Test->new(workers => 2, oracle => 0,
        exempt => [ qr/no room can be reserved/ ]);
    my $disk = "$f->{dir}/disk";

    mkdir $disk;
    if (system('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', $disk) != 0) {
        $f->stop_emulator;
        skip 'no mount', 1;
    }

    chmod 0755, $disk;
    chown((getpwnam(TCCBS::Test::user()))[2], -1, $disk);

    $f->run(audit => "tccbs_audit $disk/audit.jsonl;",
        zone => 'tccbs_zone tccbs:256k;');
    my $refused;
    is($f->call($action, copy())->{code}, '', 'disk: a copy');

    # calls in flight, then the disk is full to the last byte

    $f->faults({ kind => 'delay', ms => 700, count => 6 });
    my @flying = map { my $c = $f->client;
        $c->send($c->request($action, copy(), close => 1)); $c } 1 .. 6;
    $f->wait_for(sub { 7 == grep { ($_->{action} // '') eq $action }
        $f->emulated });

    open(my $fh, '>', "$disk/ballast");
    1 while syswrite($fh, 'x' x 4096);
    1 while syswrite($fh, 'x');
    close $fh;

    is(scalar(grep { $_->answer->{code} ne '' } @flying), 0,
        'disk: what flies is answered');
    $_->close for @flying;
    is(scalar(grep { $_->{outcome} eq 'success' }
        $f->audit(kind => 'outcome')), 7, 'disk: and recorded');

    my $look = sub { $f->call('DescribeSnapshots', {},
        region => 'ap-beijing') };
    my $seen = 0;

    for (1 .. 5000) {
        my $r = $look->();
        $refused = $r and last if $r->{code} ne '';
        $seen++;
    }

    is($refused->{code}, 'InternalError', "disk: refused after $seen more");
    like($refused->{message}, qr/audit log cannot be written; nothing was/,
        'disk: says so');
    $f->settled;
    is(scalar(grep { $_->{outcome} eq 'success' }
        $f->audit(kind => 'outcome')), $seen + 7,
        'disk: each has its outcome');

    # a flood of refusals does not take what is kept for outcomes; a worker
    # forwards until the room is gone that it has reserved itself

    my $size = -s "$disk/audit.jsonl";
    my $more = grep { $look->()->{code} eq '' } 1 .. 200;
    sleep 1.5;
    cmp_ok($more, '<', 200, "disk: refused after $more more");
    cmp_ok(-s "$disk/audit.jsonl", '<', $size + 10_000 + 2000 * $more,
        'disk: refusals are summed up');

    unlink "$disk/ballast";
    ok($f->wait_for(sub { $look->()->{code} eq '' }, 10),
        'disk: room again, forwarded again');
    $f->settled;
    $f->stop;
    intact('disk', "$disk/audit.jsonl");
    $f->finish;
    system('umount', $disk);
}

done_testing;
