#!/usr/bin/perl

# A Redis that is lost, slow, full or mad.  If this broke, it would take the
# gateways with it, or they would make copies twice because of it.
#
# TCCBS_CALLS: how many calls in each fault, 5.  TCCBS_NOISE: seconds that the
# machine may add, 0.6.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $calls = $ENV{TCCBS_CALLS} // 5;

# what a busy machine adds; without a deadline it would be seconds

my $noise = $ENV{TCCBS_NOISE} // 0.6;

my $t = TCCBS::Test->new(exempt => [ qr/connect\(\) to unix:/ ]);
my $redis = TCCBS::Redis->new($t, '--maxmemory-policy', 'noeviction');
my $wire = $redis->wire;

my %conf = (credential => "tccbs_credential prod {
        file $t->{dir}/keys/prod.json; }",
    accounts => $t->account('team-dr', rate => '60r/m burst=9999 nodelay')
        . $t->account('quota', quota => '9/d'),
    http => "tccbs_redis $wire nodes=3 duplicates=local;",
    server => 'location = /ping { return 204; }');

$t->run(%conf);

my $strict = $t->another(%conf, http => "tccbs_redis $wire nodes=3;");
my $denies = $t->another(%conf, http => "tccbs_redis $wire nodes=3
    duplicates=local rates=deny;");

sub call {
    my ($gateway, %o) = @_;
    my $start = time;
    my $r = $gateway->call($action, copy(), %o);
    $r->{took} = time - $start;
    return $r;
}

# a look has no limit of Tencent's here, so it waits for nothing but Redis

my $looks = 0;

sub look {
    my ($gateway, %o) = @_;
    my $start = time;
    my $r = $gateway->call('DescribeSnapshots', { Limit => ++$looks % 100 + 1 },
        region => 'ap-beijing', %o);
    $r->{took} = time - $start;
    return $r;
}

sub said {
    my ($gateway, $what) = @_;
    return scalar(() = $gateway->slurp('logs/error.log') =~ /$what/g);
}

# the script of the limits was run for a call

sub used {
    my ($gateway) = @_;

    my $key = 'tccbs:{a:team-dr}:r:DescribeSnapshots';

    $redis->command('DEL', $key);
    return look($gateway)->{code} eq '' && $redis->command('EXISTS', $key);
}

sub well {
    my (@gateways) = @_;
    return $t->wait_for(sub { !grep { !used($_) } @gateways }, 15);
}

ok(well($t, $strict), 'healthy');
is(said($t, qr/redis/), 0, 'nothing to say');

my @figures;

for my $fault (
    [ 'black hole', sub { $redis->mode('hole') } ],
    [ 'latency of 5 s', sub { $redis->mode('delay 5') } ],
    [ 'reset in a reply', sub { $redis->mode('cut') } ],
    [ 'garbage', sub { $redis->mode('garbage') } ],
    [ 'another number', sub { $redis->mode("reply *1\r\n:99") } ],
    [ 'another type', sub { $redis->mode('reply :0') } ],
    [ 'too much', sub { $redis->mode('reply *999999999') } ],
    [ 'read only', sub { $redis->command(qw/ REPLICAOF 127.0.0.1 1 /) },
        sub { $redis->command(qw/ REPLICAOF NO ONE /) } ],
    [ 'out of memory', sub { $redis->command(qw/ CONFIG SET maxmemory 1 /) },
        sub { $redis->command(qw/ CONFIG SET maxmemory 0 /) } ],
    [ 'refused', sub { $redis->cut_wire }, sub { $redis->wire } ])
{
    my ($name, $break, $mend) = @$fault;

    my $sent = () = $t->emulated;

    $break->();

    my @r = map { look($t) } 1 .. $calls;
    my $copy = call($t);
    my @refused = map { call($strict) } 1 .. 4;
    my $after = () = $t->emulated;
    my $free = look($denies, client => { account => 'quota' });
    my $bound = look($denies);

    is(scalar(grep { $_->{code} eq '' } @r), $calls, "$name: calls go on")
        or diag(join(' ', map { $_->{code} } @r));

    my ($worst) = sort { $b <=> $a } map { $_->{took} } @r;
    cmp_ok($worst, '<', 0.05 + $noise, "$name: within the deadline");
    push @figures, sprintf('%s %.0f (%.0f)', $name, $worst * 1000,
        $copy->{took} * 1000);

    is(scalar(grep { $_->{code} eq 'ServiceUnavailable' } @refused), 4,
        "$name: copies are refused unless that is wanted")
        or diag(join(' ', map { $_->{code} } @refused));
    is($after, $sent + $calls + 1, "$name: and not sent");
    is($bound->{code}, 'ServiceUnavailable', "$name: so are looks, likewise");
    is($free->{code}, '', "$name: but none that nothing limits");

    # the part of the limit of Tencent's begins when no lease of others is left

    is($copy->{code}, '', "$name: nor are copies where that is wanted");
    cmp_ok($copy->{took}, '<', 1.1 + $noise, "$name: in a second");

    like($t->slurp('logs/error.log'), qr/redis .* cannot be used/,
        "$name: it says so");

    $mend ? $mend->() : $redis->mode('pass');

    ok(well($t, $strict), "$name: and when it is over");
}

diag('slowest of ' . $calls . ' looks (a copy) in ms: '
    . join(', ', @figures));
cmp_ok(said($t, qr/cannot be used/), '>=', scalar @figures,
    'each was said');
cmp_ok(said($t, qr/cannot be used/), '<=', scalar @figures + 3,
    'and not for each call');

# the breaker: one question of a call opens it no more, and a probe a second

$redis->mode('hole');
look($t) for 1 .. 3;

my $asked = () = $redis->asked;
my $start = time;
my $n = 0;

look($t), $n++ while time - $start < 2;

my $probes = (() = $redis->asked) - $asked;
cmp_ok($probes, '<=', 20, "$n calls in 2 s, $probes questions: the breaker");
cmp_ok($probes, '>=', 1, 'and probes');
diag(sprintf('%d calls in %.1f s', $n, time - $start));

$redis->mode('pass');
ok(well($t), 'half open, and closed');

# a worker is never blocked: others are served while a call waits for Redis

$t->write_conf(%conf, http => "tccbs_redis $wire nodes=3 deadline=1s;");
$t->reload;
is(call($t)->{code}, '', 'a patient gateway');

$redis->mode('hole');
my $client = $t->client;
$start = time;
$client->send($client->request($action, copy()));
sleep 0.05;

for (1 .. 5) {
    like($t->raw("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        raw_answer => 1)->{raw} // '', qr/ 204 /, 'somebody else is served');
}

# with TLS 1.3 a socket can be read when there are only tickets

is(sysread($client->{socket}, my $byte, 1), undef, 'while it waits');
is($client->answer->{code}, 'ServiceUnavailable', 'until its time is over');
cmp_ok(time - $start, '>', 0.9, 'which is a second');
cmp_ok(time - $start, '<', 1 + 2 * $noise, 'for all questions together');

# a reload in the middle of it loses no request

$client = $t->client;
$client->connect;
my @clients = map { my $c = $t->client;
    $c->send($c->request($action, copy())); $c } 1 .. 3;
sleep 0.05;
ok($t->reload, 'a reload while calls wait');
is($_->answer->{code}, 'ServiceUnavailable', 'which are answered')
    for @clients;

$redis->mode('pass');
$t->write_conf(%conf);
$t->reload;

# a failover to an empty replica: what was known of the quota is not forgotten

sub quota { return call($_[0], client => { account => 'quota' })->{code} }

is(quota($t), '', "quota: copy $_") for 1 .. 6;

# the gateway, which puts keys of its own there, comes after we have looked

$redis->cut_wire;
$redis->stop;
$redis->start;
cmp_ok($redis->command('DBSIZE'), '<=', 1, 'it is empty, but for a probe');
$redis->wire;

ok(well($t), 'and used again');
my @after = map { quota($t) } 1 .. 6;
is(scalar(grep { $_ eq '' } @after), 3, 'nine of nine');
is($after[-1], 'LimitExceeded', 'and no more');

# what was let through without it is counted afterwards

$redis->command('FLUSHALL');
$t->write_conf(%conf, accounts => $conf{accounts} =~ s{9/d}{15/d}r);
$t->reload;
is(quota($t), '', 'ten of fifteen');
$redis->cut_wire;
@after = map { quota($t) } 1 .. 4;
is(scalar(grep { $_ eq '' } @after), 1, 'one of the five, for three gateways');
$redis->wire;
ok(well($t), 'back');
@after = map { quota($t) } 1 .. 6;
is(scalar(grep { $_ eq '' } @after), 4, 'the other four');

$t->done;
