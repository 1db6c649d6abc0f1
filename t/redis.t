#!/usr/bin/perl

# Limits that gateways share through Redis.  If this broke, two gateways would
# let twice as much through, or a Redis that is lost would stop them all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2,
    exempt => [ qr/connect\(\) to unix:/ ]);
my $redis = TCCBS::Redis->new($t);
my $action = 'CopySnapshotCrossRegions';

sleep(86400 - time % 86400 + 1) if 86400 - time % 86400 < 60;

# what cannot be configured, with what to write instead

for my $case (
    [ 'redis://u:secret@127.0.0.1 nodes=1', qr/password_file=path/ ],
    [ 'http://127.0.0.1 nodes=1', qr/redis:/ ],
    [ 'redis://127.0.0.1', qr/nodes=number/ ],
    [ 'redis://127.0.0.1 nodes=0', qr/1 to 10000/ ],
    [ 'redis://127.0.0.1 nodes=2 deadline=2s', qr/1ms to 1s/ ],
    [ 'redis://127.0.0.1 nodes=2 prefix={x}', qr/A-Z/ ],
    [ 'redis://127.0.0.1 nodes=2 rates=open', qr/"local" or "deny"/ ],
    [ 'redis://127.0.0.1/x nodes=2', qr/invalid database/ ],
    [ 'redis://u@127.0.0.1 nodes=2', qr/password_file=path/ ],
    [ 'redis://127.0.0.1:x nodes=2', qr/invalid port/ ],
    [ 'redis://127.0.0.1 nodes=2 more=1', qr/invalid parameter "more=1"/ ],
    [ 'rediss://127.0.0.1 nodes=2 trusted_certificate=/none', qr/none/ ])
{
    my ($rc, $said) = $t->check(http => qq{tccbs_redis "}
        . ($case->[0] =~ s/ /" "/gr) . '";');
    isnt($rc, 0, "refused: $case->[0]");
    like($said, $case->[1], 'and says why');
    unlike($said, qr/secret/, 'without the password');
}

# one rate for two gateways

my @accounts = (
    $t->account('team-dr', rate => '1r/m burst=3 nodelay'),
    $t->account('slow', rate => '10r/s burst=5'),
    $t->account('daily', quota => '5/d'),
    $t->account('both', rate => '1r/m burst=9 nodelay', quota => '2/d'),
    $t->account('part', rate => '1r/m burst=5 nodelay'),
    $t->account('share', quota => '5/d'),
    $t->account('free'),
);

my %conf = (accounts => join('', @accounts),
    http => 'tccbs_redis ' . $redis->url(':/3') . ' nodes=2 prefix=test:1;');

$t->run(%conf);

my $other = $t->another(%conf);

sub call {
    my ($gateway, $account, %o) = @_;
    return $gateway->call($action, copy(%o), client => { account => $account });
}

is(call($_ % 2 ? $t : $other, 'team-dr')->{code}, '', "call $_ of the burst")
    for 1 .. 4;

for my $gateway ($t, $other) {
    my $r = call($gateway, 'team-dr');
    is($r->{code}, 'RequestLimitExceeded', 'over the rate at both');
    like($r->{message}, qr{limited to 1r/m with a burst of 3}, 'says it');
    like($r->{headers}{'retry-after'}, qr/^(5\d|60)$/, 'and until when');
}

is(call($t, 'daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ])
    ->{code}, '', 'two of five');
is(call($other, 'daily', DestinationRegions => [ 'ap-beijing',
    'ap-singapore' ])->{code}, '', 'four of five, at another gateway');

my $r = call($t, 'daily', DestinationRegions => [ 'ap-beijing',
    'ap-singapore' ]);
is($r->{code}, 'LimitExceeded', 'six of five');
like($r->{message}, qr/4 were made and 2 are asked for/, 'says how many');
is(call($other, 'daily')->{code}, '', 'five of five');
is(call($_, 'daily')->{code}, 'LimitExceeded', 'and no more') for $t, $other;

is(call($_, 'both')->{code}, '', 'both') for $t, $other;
is(call($_, 'both')->{code}, 'LimitExceeded', 'both: refused')
    for ($t, $other) x 6;

# within the burst calls are delayed

my $start = time;
is(call($_ % 2 ? $t : $other, 'slow')->{code}, '', 'delayed') for 1 .. 6;
cmp_ok(time - $start, '>', 0.45, 'to the rate');

# every key has an end, the prefix, and a hash tag

my @keys = @{$redis->command('EVAL', 'redis.call("select", 3)
    return redis.call("keys", "*")', 0)};
cmp_ok(scalar @keys, '>', 3, 'keys');
is(scalar(grep { !/^test:1:\{[a-z]+:?[\w-]*\}/ } @keys), 0,
    'have the prefix and a hash tag') or diag("@keys");
is($redis->command('EVAL', 'redis.call("select", 3)
    for _, k in ipairs(redis.call("keys", "*")) do
        if redis.call("pttl", k) < 0 then return k end
    end return "none"', 0), 'none', 'and an end');

# what was not sent is given back

$t->stop_emulator;
is(call($t, 'free')->{code}, 'ServiceUnavailable', 'not sent');

$_->file('nginx.conf', $_->slurp('nginx.conf') =~ s{quota 5/d}{quota 7/d}r),
    $_->reload for $t, $other;

is(call($t, 'daily')->{code}, 'ServiceUnavailable', "not sent $_") for 1 .. 6;

ok($t->wait_for(sub { call($other, 'daily', DestinationRegions =>
    [ 'ap-beijing', 'ap-singapore' ])->{code} !~ /LimitExceeded/ }),
    'and not counted');

# a script that Redis has forgotten

is(${\$redis->command('SCRIPT', 'FLUSH')}, 'OK', 'scripts are gone');
is(call($t, 'daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ])
    ->{code}, 'ServiceUnavailable', 'loaded again');
unlike($t->slurp('logs/error.log'), qr/redis.*(says|cannot be used)/,
    'without a word');

# a key of another kind is the bad luck of one account, which has its part

$redis->command('EVAL', 'redis.call("select", 3)
    redis.call("del", "test:1:{a:daily}:q")
    redis.call("lpush", "test:1:{a:daily}:q", "x")', 0);

is(call($t, 'daily')->{code}, 'ServiceUnavailable', 'its part is left');
like($t->slurp('logs/error.log'), qr/redis .* says "WRONGTYPE/, 'and it says');

# an idle connection does not keep a worker, nor does a busy Redis

ok($t->reload, 'reloaded with an idle connection');
$redis->signal('STOP');
$start = time;
ok($t->reload, 'reloaded with a Redis that hangs');
cmp_ok(time - $start, '<', 10, 'at once');
$redis->signal('CONT');

# without Redis each of the two has its part

sub lost {
    my ($policy) = @_;

    $conf{http} =~ s/ nodes=2.*;/ nodes=2 prefix=test:1 duplicates=local
        rates=$policy;/s;
    $t->write_conf(%conf);
    return $t->reload;
}

my $looks = 0;

sub look {
    return $t->call('DescribeSnapshots', { Limit => ++$looks },
        region => 'ap-beijing', client => { account => 'part' });
}

$redis->stop;
$t->emulator(port => $t->{emulator_port});
ok(lost('local'), 'no Redis: rates=local');

my @alone = map { look() } 1 .. 6;
is(scalar(grep { $_->{code} eq '' } @alone), 3, 'three of the burst of six');
like($alone[-1]{message}, qr/lost the others and has its part/, 'says why');

@alone = map { call($t, 'share') } 1 .. 5;
is(scalar(grep { $_->{code} eq '' } @alone), 2, 'two of five copies');
like($alone[-1]{message}, qr/lost the others and has its part/, 'says why');

# or nothing, where that is wanted

my $before = () = $t->emulated;

ok(lost('deny'), 'no Redis: rates=deny');
$r = look();
is($r->{code}, 'ServiceUnavailable', 'no limits, no calls');
like($r->{message}, qr/cannot tell whether the limits/, 'says why');
is(scalar(() = $t->emulated), $before, 'nothing was sent');

$t->done;
