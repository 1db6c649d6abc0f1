#!/usr/bin/perl

# No copy is made twice by several gateways that share a Redis.  If this broke,
# an SDK that is sent to another gateway with its retry would pay twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use JSON::PP;
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Redis;
use TCCBS::Test qw/ copy killed /;

my $action = 'CopySnapshotCrossRegions';
my $rounds = $ENV{TCCBS_ROUNDS} // 30;

my $t = TCCBS::Test->new(workers => 2,
    exempt => [ qr/connect\(\) to unix:/, killed ]);
my $redis = TCCBS::Redis->new($t);

my $location = 'tccbs_read_timeout 2s; tccbs_hold 4s; tccbs_replay_window 3s;
    tccbs_snapshot_tag on;';
my %conf = (http => 'tccbs_redis ' . $redis->url . ' nodes=3 deadline=500ms;',
    accounts => $t->account('team-dr') . $t->account('quota', quota => '2/d'),
    location => $location);

$t->run(%conf);

my @gateways = ($t, map { $t->another(%conf) } 1 .. 2);
my $wired = $t->another(%conf, location => "$location tccbs_total_timeout 5s;",
    http => 'tccbs_redis ' . $redis->wire . ' nodes=3 deadline=500ms;');

sub call {
    my ($gateway, $params, %o) = @_;
    return $gateways[$gateway]->call($action, $params, %o);
}

# answered at one gateway: the same answer at the others

my $params = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $first = call(0, $params);
is($first->{code}, '', 'first');

$t->wait_for(sub { call(1, $params)->{headers}{'x-tccbs-duplicate-of'} });

for my $gateway (1, 2) {
    my $r = call($gateway, { %$params, DestinationRegions =>
        [ 'ap-singapore', 'ap-beijing' ] });
    is($r->{body}, $first->{body}, 'the same answer');
    is($r->{headers}{'x-tccbs-duplicate-of'}, $first->{headers}{'x-tccbs-id'},
        'says of which call');
    is($r->{headers}{'x-tccbs-outcome'}, 'success', 'and its outcome');
}

is($t->sent($params), 1, 'sent once');
isnt(call(1, { %$params, SnapshotName => 'x' })->{body}, $first->{body},
    'another name is another call');

# at all at once

sub at_once {
    my ($params, @gateways) = @_;

    my @clients = map { my $c = $_->client;
        $c->send($c->request($action, $params, close => 1)); $c } @gateways;
    my @answers = map { my $r = $_->answer; $_->close; $r } @clients;

    return @answers;
}

my ($made, $same, $worst) = (0, 0, 0);

for (1 .. $rounds) {
    my $params = copy();
    my $start = time;
    my %bodies = map { ($_->{body} => 1) } at_once($params, @gateways);

    $worst = time - $start if time - $start > $worst;
    $made += $t->sent($params) if $rounds < 100;
    $same++ if keys %bodies == 1 && (keys %bodies)[0] =~ /"Success"/;
}

if ($rounds >= 100) {
    my %seen;
    $seen{$_}++ for map { ($_->{body} // '') =~ /"(snap-\d+)"/ }
        grep { ($_->{action} // '') eq $action } $t->emulated;
    my @twice = grep { $_ > 1 } values %seen;
    is(scalar @twice, 1, 'only the one above, with two names, was sent twice');
}

diag("$rounds calls, each to 3 gateways at once: $made sent, $same with one"
    . sprintf(' answer, at most %.0f ms', $worst * 1000));
is($made, $rounds, 'each was sent once') if $rounds < 100;
is($same, $rounds, 'and all got its answer');

# in flight for a while, and in both workers

$params = copy();
$t->faults({ kind => 'delay', ms => 700 });
my %bodies = map { ($_->{body} => 1) } at_once($params, (@gateways) x 5);
is(scalar(keys %bodies), 1, 'fifteen at once: one answer');
is($t->sent($params), 1, 'sent once');

# refused by Tencent: those who waited get it, a later call is a new one

$params = copy();
$t->faults({ kind => 'delay', ms => 300 }, { kind => 'error',
    code => 'ResourceBusy' });
$t->faults({ kind => 'error', code => 'ResourceBusy' });
is(call(0, $params)->{code}, 'ResourceBusy', 'rejected');
ok($t->wait_for(sub { call(1, $params)->{code} eq '' }), 'and then not');

# unknown: the snapshot and the region are held at all gateways

my $lost = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
$t->faults({ kind => 'drop_before' });
my $unknown = call(0, $lost);
my $id = $unknown->{headers}{'x-tccbs-id'};
is($unknown->{headers}{'x-tccbs-outcome'}, 'unknown', 'unknown');

$t->wait_for(sub { @{$redis->command('KEYS', '*:h:*')} >= 2 });

for my $same ({}, { SnapshotName => 'x' },
    { DestinationRegions => [ 'ap-singapore' ] })
{
    my $r = call(1, { %$lost, %$same });
    is($r->{code}, 'InternalError.ComponentError', 'held');
    like($r->{message}, qr/earlier copy.*$id.*unknown.*in \d+ seconds/,
        'says why and until when');
}

is($t->sent($lost), 1, 'sent once');
ok($t->wait_for(sub { call(2, $lost)->{code} eq '' }, 10),
    'until its time ends');

# an answer that was lost is found, and is the answer everywhere

my $found = copy();
$t->faults({ kind => 'drop_before' });
is(call(0, $found)->{headers}{'x-tccbs-outcome'}, 'unknown', 'lost');
is($t->call('DescribeSnapshots', { Limit => 100 }, region => 'ap-beijing')
    ->{code}, '', 'looked for');

my $settled;
$t->wait_for(sub { $settled = call(1, $found); $settled->{code} eq '' });
is($settled->{code}, '', 'found at another gateway');
is($settled->{headers}{'x-tccbs-outcome'}, 'success', 'made');
is($t->sent($found), 1, 'sent once');

# two of a region, at two gateways: what is found is of either, and frees none

my @long = map { $t->another(%conf, location => "tccbs_hold 60s;
    tccbs_snapshot_tag on;") } 1, 2;

sub flying {
    my ($gateway, $p) = @_;
    my $client = $gateway->client;
    $client->send($client->request($action, $p));
    return $client;
}

my $pair = copy();
my @pair = map { { %$pair, SnapshotName => $_ } } qw/ one other /;
$t->faults(({ kind => 'hold+drop_in_header' }) x 2);
my @flying = map { flying($long[$_], $pair[$_]) } 0, 1;
$t->wait_for(sub { $t->sent($pair) == 2 }) or die "not sent\n";
$t->release;
is($_->answer->{headers}{'x-tccbs-outcome'}, 'unknown', 'one of two')
    for @flying;
$_->close for @flying;

ok($t->wait_for(sub { grep { $redis->command('HGET', $_, 'c') eq '' }
    @{$redis->command('KEYS', '*:h:*')} }), 'both are known');
is($_->call('DescribeSnapshots', { Limit => 99 }, region => 'ap-beijing')
    ->{code}, '', 'looked for') for @long;
like(call(2, $_)->{message}, qr/is unknown/, 'held at a third')
    for @pair, $pair;
is($t->sent($pair), 2, 'sent once each');

# a worker that dies, or is told to end: the others know it, too

for my $signal (qw/ KILL TERM /) {
    my $dead = copy();
    $t->faults({ kind => 'hold' });
    my $orphan = flying($long[0], $dead);
    $t->wait_for(sub { $t->sent($dead) }) or die "not sent\n";
    my ($intent) = grep { ($_->{snapshot} // '') eq $dead->{SnapshotId} }
        $long[0]->audit(kind => 'intent');
    $long[0]->kill_worker($signal, $intent->{pid});
    $orphan->close;
    ok($t->wait_for(sub { $long[0]->audit(kind => 'recovery',
        id => $intent->{id}) }), "$signal: a worker ends");

    # it is told behind the record

    ok($t->wait_for(sub { grep { $redis->command('HGET', $_, 'id')
        eq $intent->{id} } @{$redis->command('KEYS', '*:h:*')} }),
        "$signal: Redis is told");
    is(call(1, { %$dead, SnapshotName => 'x' })->{code},
        'InternalError.ComponentError', "$signal: its region is held");
    like(call(2, $dead)->{message}, qr/is unknown/,
        "$signal: at each of the others");
    is($t->sent($dead), 1, "$signal: sent once");
    $t->release;
}

# not sent, and a client that has left: free at once

$t->stop_emulator;
my $free = copy();
is(call(0, $free)->{code}, 'ServiceUnavailable', 'not sent');
$t->emulator(port => $t->{emulator_port});
ok($t->wait_for(sub { call(1, $free)->{code} eq '' }, 3), 'and then sent');

# limits are not spent on what is not sent

my $limited = copy();
is(call($_ % 3, $limited, client => { account => 'quota' })->{code}, '',
    "one of the quota: call $_") for 0 .. 5;
ok($t->wait_for(sub { call(1, copy(), client => { account => 'quota' })->{code}
    eq '' }), 'the other');

# a signature: what it does not cover cannot be changed at another gateway

my $client = $t->client;
my $once = copy();
my $bytes = $client->request($action, $once);
is($gateways[0]->raw($bytes)->{code}, '', 'a request');
(my $moved = $bytes) =~ s/ap-guangzhou/ap-shanghai/;
is($gateways[1]->raw($moved)->{code}, 'AuthFailure.SignatureFailure',
    'with another region at another gateway');
is($gateways[1]->raw($bytes)->{code}, '', 'as it was: its answer');
ok($t->wait_for(sub { $gateways[2]->raw($bytes)->{code}
    eq 'AuthFailure.SignatureExpire' }, 10), 'later it is spent');
is($t->sent($once), 1, 'sent once');

# what Redis cannot say of a signature is not guessed

$once = copy();
$bytes = $client->request($action, $once);
my ($signature) = $bytes =~ /Signature=(\w+)/;
my $spent = 'tccbs:{s:' . sha256_hex(pack('H*', $signature)) . '}:c';

$redis->command('RPUSH', $spent, 'x');
is($gateways[1]->raw($bytes)->{code}, 'ServiceUnavailable',
    'a signature of which nothing is known');
is($t->sent($once), 0, 'not sent');
$redis->command('DEL', $spent);
is($gateways[1]->raw($bytes)->{code}, '', 'until something is');

# a claim is ended by its owner only

my ($key) = grep { $redis->command('HGET', $_, 's') eq 'a' }
    @{$redis->command('KEYS', '*:d:*')};
$params = copy();
$t->faults({ kind => 'delay', ms => 600 });
my $c = $t->client;
$c->send($c->request($action, $params));
my ($claim) = $t->wait_for(sub { my ($k) = grep { ($redis->command('HGET', $_,
    's') // '') eq 'f' } @{$redis->command('KEYS', '*:d:*')}; $k });
$redis->command('HSET', $claim, 'id', '00000000-0000-4000-8000-000000000000');
is($c->answer->{code}, '', 'an owner that has lost its claim');
$t->wait_for(sub { $t->settled });
sleep 0.2;
is($redis->command('HGET', $claim, 's'), 'f', 'does not end that of another');

# what Redis says is not believed

my $answered = copy();
$first = call(0, $answered);
is($first->{code}, '', 'answered');
$id = $first->{headers}{'x-tccbs-id'};

my $store = $t->wait_for(sub { (grep { ($redis->command('HGET', $_, 'id')
    // '') eq $id && $redis->command('HGET', $_, 's') eq 'a' }
    @{$redis->command('KEYS', '*:d:*')})[0] });
ok($store, 'in Redis, too');
$redis->command('PERSIST', $store);

for my $bad ('', 'x', substr($id, 1), "${id}0", substr($id, 1) . 'g',
    substr($id, 1) . 'A', substr($id, 15) . "\r\nSet-Cookie: x")
{
    $redis->command('HSET', $store, 'id', $bad);
    is(call(1, $answered)->{code}, 'ServiceUnavailable', 'no id of ours');
}

$redis->command('HSET', $store, 'id', $id);
is(call(1, $answered)->{body}, $first->{body}, 'its id: its answer');

for my $bad ('x', '{"Response":{"RequestId":"r","SnapshotCopyResultSet":[]}}',
    '{"Response":{"Error":{"Code":"X","Message":"y"},"RequestId":"r"}}')
{
    $redis->command('HSET', $store, 'a', $bad);
    is(call(1, $answered)->{code}, 'ServiceUnavailable', 'no answer of ours');
}

is($t->sent($answered), 1, 'and not sent');

# no reply of that script: nothing is sent, and the claim that it made is free

for my $reply ('{5, ID, 1000}', '{3, ID, -1}', '{4, {1, ID, ""}}',
    '{4, {-1, ID, ""}}', '{4, {0, "x", ""}}', '{4, {0, ID, "snap 1"}}', '0')
{
    my $params = copy();

    $redis->mode("claim redis.call('HSET', KEYS[1], 's', 'f', 'id', ARGV[1])
        return " . $reply =~ s/ID/'$id'/r);
    is($wired->call($action, $params)->{code}, 'ServiceUnavailable',
        "claimed, with the reply $reply");
    is($t->sent($params), 0, 'not sent');

    $redis->mode('pass');
    is($wired->call($action, $params)->{code}, '', 'and then sent');
}

like($wired->slurp('logs/error.log'), qr/makes no sense to "a claim"/,
    'it says so');

# nor of that of signatures: the zone alone remembers them then

my %looked;

$redis->mode('spend return 3');
ok($wired->wait_for(sub { $looked{$wired->call('DescribeSnapshots', {},
    region => 'ap-beijing')->{code}}++;
    $wired->slurp('logs/error.log') =~ /makes no sense to "a signature"/ }),
    'no sense of a signature');
is_deeply([ keys %looked ], [ '' ], 'and looks go on');
$redis->mode('pass');

# an answer for which there is no room in Redis: nor is it sent again

my $large = copy();
$t->faults({ kind => 'body', body => encode_json({ Response => {
    RequestId => $id, SnapshotCopyResultSet => [ { Code => 'Success',
    DestinationRegion => 'ap-beijing', SnapshotId => 'snap-large001',
    Message => 'x' x (128 * 1024) } ] } }) });
is(call(0, $large)->{headers}{'x-tccbs-outcome'}, 'success', 'a large answer');

my $held = call(1, $large);
is($held->{code}, 'InternalError.ComponentError', 'held at another gateway');
like($held->{message}, qr/earlier copy of "$large->{SnapshotId}"/,
    'which says why');
is($t->sent($large), 1, 'and not sent');

# a refusal of that size: nothing was made, and it is free to go

$large = copy();
$t->faults({ kind => 'body', body => encode_json({ Response => {
    RequestId => $id, Error => { Code => 'ResourceBusy',
    Message => 'x' x (128 * 1024) } } }) });
is(call(0, $large)->{code}, 'ResourceBusy', 'a large refusal');
ok($t->wait_for(sub { call(1, $large)->{code} eq '' }, 2), 'made by another');
is($t->sent($large), 2, 'sent again, once');

# nothing in Redis that is worth to be stolen

my $all = join(' ', map { my $k = $_; $k, map { $_ // '' }
    ref $redis->command('HGETALL', $k) eq 'ARRAY'
    ? @{$redis->command('HGETALL', $k)} : $redis->command('GET', $k) }
    @{$redis->command('KEYS', '*')});
unlike($all, $t->secret_pattern, 'no secret');
unlike($all, qr/Authorization|Signature=/, 'no signature');

# without Redis: copies are refused, looks are not

$redis->stop;

my %code;
$code{call($_ % 3, copy())->{code}}++ for 1 .. 12;
is_deeply(\%code, { ServiceUnavailable => 12 }, 'copies are refused');
is($gateways[$_]->call('DescribeSnapshots', { Limit => 1 },
    region => 'ap-beijing')->{code}, '', 'looks are not') for 0 .. 2;
like($t->slurp('logs/error.log'),
    qr/redis .* cannot be used.*copies are refused/, 'and it says so');

# unless that is wanted

$_->file('nginx.conf', $_->slurp('nginx.conf')
    =~ s{nodes=3}{nodes=3 duplicates=local}r), $_->reload for @gateways;
is(call(0, copy())->{code}, '', 'a copy of this gateway alone');

# and all is well when Redis is back

$_->file('nginx.conf', $_->slurp('nginx.conf')
    =~ s{ duplicates=local}{}r), $_->reload for @gateways;
$redis->start;
ok($t->wait_for(sub { call(0, copy())->{code} eq '' }, 10), 'Redis is back');

$t->done;
