#!/usr/bin/perl

# The binary is replaced (USR2) with calls in flight, and put back.  Two masters
# run side by side then, each with a zone of its own: if this broke, a call
# would get two outcomes, or be sent by both.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Time::HiRes qw/ sleep /;
use TCCBS::Load;
use TCCBS::Test qw/ copy killed /;
use TCCBS::Trust;

my $rounds = $ENV{TCCBS_UPGRADES} // 4;
my $action = 'CopySnapshotCrossRegions';

my $t = TCCBS::Test->new(workers => 2, exempt => [ killed ]);

$t->credential('lazy');
$t->run(daemon => 'on', accounts => $t->account('team-dr')
        . $t->account('queued', credential => 'lazy'),
    credential => join('', map { "tccbs_credential $_->[0] { "
        . "file $t->{dir}/keys/$_->[0].json; limit $_->[1]; }" }
        [ prod => '10000r/s' ], [ lazy => '1r/s' ]),
    location => 'tccbs_hold 30s; tccbs_read_timeout 20s;');

sub master_gone {
    my ($pid) = @_;
    kill 'QUIT', $pid;
    return $t->wait_for(sub { waitpid($pid, 1); !kill 0, $pid }, 60);
}

sub flying {
    my $params = copy();
    $t->faults({ kind => 'hold' });
    my $client = $t->client;
    $client->send($client->request($action, $params, close => 1));
    $t->wait_for(sub { $t->sent($params) }) or die "not sent\n";
    return ($client, $params);
}

# the same snapshots, whatever tells of them

sub made_so {
    my ($r, $first, $name) = @_;
    is_deeply($r->{response}{SnapshotCopyResultSet},
        $first->{response}{SnapshotCopyResultSet}, $name);
}

# the old master has its pid file back, and takes USR2 again

sub back {
    return $t->wait_for(sub { $t->slurp('nginx.pid') =~ /^$t->{pid}$/m });
}

# what ends the call is found by its snapshot

sub ends {
    my ($params) = @_;
    my ($intent) = grep { ($_->{snapshot} // '') eq $params->{SnapshotId} }
        $t->audit(kind => 'intent');
    return map { $_->{outcome} } grep { $_->{id} eq $intent->{id}
        && $_->{kind} =~ /outcome|recovery/ } $t->audit;
}

# one call in flight, the same call to the new workers

my ($client, $params) = flying();
my $old = $t->{pid};
my @old = $t->all_workers;
my $new = $t->upgrade;

$t->freeze(@old);
my $r = $t->call($action, $params);
is($r->{code}, 'InternalError.ComponentError', 'new worker: the call is held');
is($t->call($action, copy())->{code}, '', 'new worker: others go');
kill 'CONT', @old;
sleep 1.5;                       # the new workers look for what is orphaned
is_deeply([ ends($params) ], [], 'its worker is alive: it is left alone');

# the old workers send nothing any more

$t->freeze($t->children($new));
my $other = copy();
$r = $t->call($action, $other);
is($r->{code}, 'ServiceUnavailable', 'old worker: refused');
like($r->{message}, qr/Another nginx has taken over; nothing was sent/,
    'old worker: says so');
is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', 'old worker: not sent');
kill 'CONT', $t->children($new);

$t->release;
my $first = $client->answer;
is($first->{code}, '', 'the old worker answers');
is_deeply([ ends($params) ], [ 'success' ], 'and records it');

ok(master_gone($old), 'the old master is gone');
$t->{pid} = $new;
ok($t->wait_for(sub { ($r = $t->call($action, $params))->{code} eq '' }),
    'then the call is answered');
made_so($r, $first, 'with what it has made');
is($r->{headers}{'x-tccbs-duplicate-of'}, $first->{headers}{'x-tccbs-id'},
    'as a duplicate');
is($t->sent($params), 1, 'made once');
is($t->call($action, $other)->{code}, '', 'what was refused goes through now');

# a worker that dies after it was replaced: the new ones clear up

($client, $params) = flying();
$old = $new;
@old = $t->all_workers;
$new = $t->upgrade;
kill 'KILL', @old;
$client->close;
ok($t->wait_for(sub { ends($params) }, 10), 'killed: there is an outcome');
sleep 1.5;
is_deeply([ ends($params) ], [ 'unknown' ], 'killed: one');
$t->release;

# back again: HUP to the old master, QUIT to the new one

($client, $params) = flying();
kill 'HUP', $old;
ok($t->wait_for(sub { $t->slurp('logs/error.log') =~ /reconfiguring/ }),
    'back: HUP');
$t->wait_for(sub { (grep { $_ != $new } $t->workers) >= 2 });
$t->release;
is(($first = $client->answer)->{code}, '', 'back: it is answered');
ok(master_gone($new), 'back: the new master is gone');
ok($t->wait_for(sub { ($r = $t->call($action, $params))->{code} eq '' }),
    'back: the call has its answer');
made_so($r, $first, 'back: the one it had');
is_deeply([ ends($params) ], [ 'success' ], 'back: one outcome');
is($t->sent($params), 1, 'back: made once');

# a new binary that dies: the old one takes over again, and clears up

back();

my $twin = copy();
my @queue = map { my $c = $t->client(account => 'queued');
    $c->send($c->request($action, $_, close => 1));
    sleep 0.1;
    $c } (map { copy() } 1 .. 7), $twin;

$new = $t->upgrade;
@old = grep { $_ != $new } $t->workers;
$t->freeze(@old);
$first = $t->call($action, $twin, client => { account => 'queued' });
is($first->{code}, '', 'dead: a call that waits in an old worker is made');
($client, $params) = flying();
my @dead = ($new, $t->children($new));
kill 'KILL', @dead;
kill 'CONT', @old;
$t->wait_for(sub { waitpid($_, 1) for @dead; !grep { kill 0, $_ } @dead });
$client->close;
ok($t->wait_for(sub { $t->call($action, copy())->{code} eq '' }),
    'dead: the old ones send again');
ok($t->wait_for(sub { ends($params) }), 'dead: there is an outcome');
is_deeply([ ends($params) ], [ 'unknown' ], 'dead: one');
is($t->call($action, $params)->{code}, 'InternalError.ComponentError',
    'dead: and it is held');
is((map { $_->answer->{code} } @queue)[-1], 'ServiceUnavailable',
    'dead: what waited in the old worker is not sent');
$_->close for @queue;
is($t->sent($twin), 1, 'dead: made once');
$r = $t->call($action, $twin, client => { account => 'queued' });
made_so($r, $first, 'dead: and known');
$t->release;

# a reload that begins with an empty zone: the workers that end are alive

back();
($client, $params) = flying();
$t->write_conf(%{$t->{conf}}, zone => 'tccbs_zone tccbs:8m;');
my %old = map { $_ => 1 } $t->workers;
kill 'HUP', $t->{pid};
$t->wait_for(sub { 2 <= grep { !$old{$_} } $t->workers }) or die "no reload\n";
ok($t->wait_for(sub { $t->call($action, { %$params, SnapshotName => 'x' })
    ->{code} eq 'InternalError.ComponentError' }),
    'another zone: the region is held');
sleep 1.5;
is_deeply([ ends($params) ], [], 'another zone: its worker is left alone');
$t->release;
$first = $client->answer;
is($first->{code}, '', 'another zone: it is answered');
is_deeply([ ends($params) ], [ 'success' ], 'another zone: one outcome');
ok($t->wait_for(sub { ($r = $t->call($action, $params))->{code} eq '' }),
    'another zone: the call has its answer');
made_so($r, $first, 'another zone: the one it had');

# again and again, under load

$t->faults({ kind => 'delay', ms => 60, forever => JSON::PP::true() });

my @pids = TCCBS::Load::start($t, rate => 100, seconds => 2 + $rounds * 1.5);
my $done = 0;

for (1 .. $rounds) {
    sleep 0.3;
    $old = $t->{pid};
    $new = $t->upgrade;
    sleep 0.3;
    $done += master_gone($old) ? 1 : 0;
    $t->{pid} = $new;
}

is($done, $rounds, 'storm: each old master ended');
is(TCCBS::Load::finish(@pids), 0, 'storm: clients are well');
ok($t->settled, 'storm: each intent has an outcome');

my @told = TCCBS::Load::told($t);
push @{$t->{told}}, @told;
my @sent = grep { ($_->{outcome} // '') eq 'success' } @told;
cmp_ok(scalar(@sent), '>', $rounds * 50, 'storm: there was a load');
is(scalar(grep { !$_->{error} && ($_->{outcome} // '') !~
    /^(success|not-sent)$/ } @told), 0, 'storm: nothing is in doubt');

TCCBS::Trust::figure('Kills and restarts', 'binary upgrades under load',
    "$rounds upgrades, " . @told . ' calls, 0 intents without or with two '
    . 'outcomes, 0 made twice', '0', "TCCBS_UPGRADES=$rounds prove t/upgrade.t");

$t->done;
