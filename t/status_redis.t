#!/usr/bin/perl

# What the status says of a Redis that gateways share.  If this broke, a fleet
# that has fallen apart would look like one that works.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use TCCBS::Redis;
use TCCBS::Status qw/ status samples flat /;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $t = TCCBS::Test->new(workers => 2);
my $redis = TCCBS::Redis->new($t);
my $wire = $redis->wire;

my %conf = (credential => "tccbs_credential prod {
        file $t->{dir}/keys/prod.json; }",
    accounts => $t->account('team-dr', rate => '6000r/s burst=99'),
    server => 'location = /tccbs { tccbs_status; allow 127.0.0.1; deny all; }');

# a machine that is busy must not look like a Redis that is slow

my %shared = (%conf, http => "tccbs_redis $wire deadline=300ms nodes=4;");

$t->run(%shared);

my $json;

sub json { return $json = status($t, 'json')->{json} }
sub redis { return json()->{redis}{metrics} }
sub lease { return json()->{credentials}[0]{metrics} }

sub mode { return lease()->{lease_mode}{$action} }

sub look {
    my ($n) = @_;
    return $t->call('DescribeSnapshots', { Limit => $n }, region =>
        'ap-beijing');
}

# healthy

ok($t->wait_for(sub { mode()->{shared} }, 20), 'slots come from Redis');
is($t->call($action, copy())->{code}, '', "copy $_") for 1 .. 5;

my $m = redis();

is($json->{redis}{name}, $wire =~ s{^redis://}{}r, 'which Redis');
is($m->{redis_up}, 1, 'it is used');
is($m->{redis_open_workers}, 0, 'by all workers');
is($m->{redis_opens_total}, 0, 'all the time');
is($m->{redis_nodes}, 4, 'gateways');
is($m->{redis_servers}, 1, 'addresses');
is_deeply($m->{redis_mode_workers}, {
    rates => { shared => 2, local => 0, closed => 0 },
    duplicates => { shared => 2, local => 0, closed => 0 } },
    'both workers decide with the others');

# a copy asks for its limit, its signature, and a claim

cmp_ok($m->{redis_calls_total}{ok}, '>=', 15, 'calls are counted');
is($m->{redis_calls_total}{$_}, 0, "none: $_")
    for qw/ timeout error not-asked /;
ok($t->wait_for(sub { $m = redis(); $m->{redis_calls_total}{ok}
    == $m->{redis_call_duration_seconds}{count} }), 'and measured');
cmp_ok($m->{redis_call_duration_seconds}{sum}, '>', 0, 'in parts of seconds');
cmp_ok($m->{redis_call_duration_seconds}{sum} / $m->{redis_calls_total}{ok},
    '<', 0.3, 'less than the deadline');

# each slot was used, or lapsed, or is there; DescribeSnapshots has no limit

sub slots {
    my $m = lease();
    return map { $m->{"lease_slots_$_"}{$action} }
        qw/ lent_total lapsed_total held /;
}

ok($t->wait_for(sub { my ($lent, $lapsed, $held) = slots();
    $lent - $lapsed - $held == 5 }), 'five slots were used')
    or diag join(' ', slots());
is_deeply([ keys %{lease()->{lease_slots_asked}} ], [ $action ],
    'of the limit that is shared, and of no other');
is(lease()->{lease_slots_asked}{$action}, 0, 'nobody waits for one');

# more calls than slots

my @clients = map { my $c = $t->client; $c->send($c->request($action, copy()));
    $c } 1 .. 15;
ok($t->wait_for(sub { lease()->{lease_slots_asked}{$action} > 0 }),
    'slots that calls wait for');
is($_->answer->{code}, '', 'a call that has waited') for @clients;
ok($t->wait_for(sub { lease()->{lease_slots_asked}{$action} == 0 }),
    'and then no more');

my (@differ, $text);

ok($t->wait_for(sub {
    $text = status($t, 'prometheus')->{body};
    my $samples = samples($text);
    my $flat = flat(json());
    @differ = grep { /redis_|lease_/ && ($samples->{$_} // '')
        ne ($flat->{$_} // '') } keys %$samples, keys %$flat;
    !@differ;
}), 'JSON and Prometheus agree') or diag join("\n", @differ);

SKIP: {
    skip 'no promtool', 1 if !grep { -x "$_/promtool" } split(/:/, $ENV{PATH});
    my $path = $t->file('metrics.txt', $text);
    my $lint = `promtool check metrics < $path 2>&1`;
    is($? . $lint, '0', 'promtool check metrics');
}

# it does not answer

$redis->mode('hole');
ok($t->wait_for(sub { look(1); redis()->{redis_calls_total}{timeout} >= 3 }),
    'answers that are late are counted');
ok($t->wait_for(sub { look(2); redis()->{redis_open_workers} == 2 }, 30),
    'no worker asks any more');
$m = redis();
is($m->{redis_up}, 0, 'it is not used');
cmp_ok($m->{redis_opens_total}, '>=', 2, 'each has ceased to');
is_deeply($m->{redis_mode_workers}, {
    rates => { shared => 0, local => 2, closed => 0 },
    duplicates => { shared => 0, local => 0, closed => 2 } },
    'the defaults: rates by this gateway alone, copies not at all');

my $asked = $m->{redis_calls_total}{'not-asked'};
is($t->call($action, copy())->{code}, 'ServiceUnavailable', 'no copy');
cmp_ok(redis()->{redis_calls_total}{'not-asked'}, '>', $asked,
    'a call that is decided without it is counted');

ok($t->wait_for(sub { mode()->{local} }, 20), 'the share of this gateway');
is_deeply(mode(), { shared => 0, local => 1, closed => 0 }, 'and nothing else');

$m = redis();
is($m->{redis_call_duration_seconds}{count}, $m->{redis_calls_total}{ok},
    'what was not answered is not measured');

# it is back

$redis->mode('pass');
ok($t->wait_for(sub { redis()->{redis_up} }, 20), 'it is used again');
ok($t->wait_for(sub { mode()->{shared} }, 20), 'for slots as well');
is($t->call($action, copy())->{code}, '', 'copies are made');
is(redis()->{redis_mode_workers}{duplicates}{shared}, 2, 'by both workers');

# it answers nonsense: that is no answer

my $ok = redis()->{redis_calls_total}{ok};
my $error = redis()->{redis_calls_total}{error};
$redis->mode("reply *1\r\n:99");
ok($t->wait_for(sub { look(3); redis()->{redis_calls_total}{error} > $error },
    20), 'nonsense is an error');
$redis->mode('pass');
ok($t->wait_for(sub { redis()->{redis_up} }, 20), 'and back');

# it is gone, and the other way to decide

$t->write_conf(%shared,
    http => "tccbs_redis $wire deadline=300ms nodes=4 rates=deny duplicates=local;");
ok($t->reload, 'another configuration');
$t->wait_for(sub { json()->{node}{workers} == 2 });

my $opens = redis()->{redis_opens_total};
$error = redis()->{redis_calls_total}{error};
$redis->cut_wire;

ok($t->wait_for(sub { look(4); redis()->{redis_open_workers} == 2 }, 30),
    'a server that is gone');
is_deeply(redis()->{redis_mode_workers}, {
    rates => { shared => 0, local => 0, closed => 2 },
    duplicates => { shared => 0, local => 2, closed => 0 } },
    'the other way round');
cmp_ok(redis()->{redis_opens_total}, '>', $opens, 'counters stay');
ok($t->wait_for(sub { mode()->{closed} }, 20), 'no slot without Redis');

my ($account) = grep { $_->{name} eq 'team-dr' } @{json()->{accounts}};
cmp_ok($account->{metrics}{refusals_total}{redis}, '>=', 1,
    'who was refused for it');

# a worker that is new says so too

$t->kill_worker;
ok($t->wait_for(sub { json()->{node}{workers} == 2
    && redis()->{redis_open_workers} == 2 }, 30), 'a new worker');

# without it there is nothing to say

$t->write_conf(%conf);
ok($t->reload, 'a gateway of its own');
ok($t->wait_for(sub { json()->{node}{workers} == 2 }), 'alone');
ok(!exists json()->{redis}, 'no Redis');
unlike(status($t, 'prometheus')->{body}, qr/redis_|lease_/, 'and no series');

$t->done;
