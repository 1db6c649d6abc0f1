#!/usr/bin/perl

# What is told to Redis afterwards: here, that something was not sent.  If this
# broke, limits would be spent on nothing, or passed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $t = TCCBS::Test->new;
my $redis = TCCBS::Redis->new($t);
my $mapped = TCCBS::Test::free_port();

sleep(86400 - time % 86400 + 1) if 86400 - time % 86400 < 60;

# nothing in the scripts is newer than Redis 5, as this Redis says of itself

my $scripts = join('', map { $t->slurp($t->root . "/src/$_.c") =~ /"(.*?)"/g }
    qw/ ngx_http_tccbs_script ngx_tccbs_lease_script /) =~ s/\\n/\n/gr;

# the words in capitals of each command: it, and those of its arguments

my (%calls, %known);

while ($scripts =~ /\bcall(?=(\((?:'[^']*'|[^()']++|(?1))*\)))/g) {
    my ($command, @words) = $1 =~ /'([A-Z]+)'/g;
    $calls{$command}{$_} = 1 for $command, @words;
}

sub known {
    my ($command, %docs) = @_;

    return if exists $docs{since} && $docs{since} !~ /^[0-5]\./;

    $known{$command}{uc($docs{token} // $command)} = 1;
    known($command, @$_) for @{$docs{arguments} // []};
}

known($_, @{$redis->command('COMMAND', 'DOCS', $_)->[1]}) for keys %calls;

ok($calls{$_->[0]}{$_->[1]}, "found: @$_") for [ qw/ SET PX / ],
    [ qw/ ZADD NX / ], [ qw/ ZRANGE WITHSCORES / ], [ qw/ PTTL PTTL / ];
ok(!$known{$_->[0]}{$_->[1]}, "newer: @$_") for [ qw/ SET KEEPTTL / ],
    [ qw/ PEXPIRE NX / ];

for my $command (sort keys %calls) {
    is(join(' ', grep { !$known{$command}{$_} } keys %{$calls{$command}}), '',
        "in Redis 5: $command");
}

is(join(' ', grep { $_ ne 'call' } $scripts =~ /\bredis\.(\w+)/g), '',
    'and no other function');

# given back: both limits, with the ends that they had

my %conf = (credential => "tccbs_credential prod {
        file $t->{dir}/keys/prod.json; }",
    accounts => $t->account('both', rate => '1r/m burst=9 nodelay',
        quota => '9/d')
    . $t->account('once', quota => '9/d')
    . $t->account('again', quota => '9/d')
    . $t->account('late', rate => '1r/m burst=9 nodelay', quota => '20/d',
        identity => 'late'),
    http => 'tccbs_redis ' . $redis->wire . ' nodes=1 deadline=500ms
        duplicates=local;',
    servers => TCCBS::Conf::mapped($mapped));

$t->run(%conf);

sub call {
    my ($account, $params) = @_;
    return $t->call($action, $params // copy(), client =>
        { account => $account })->{code};
}

sub used {
    my ($account) = @_;
    my $used = $redis->command('GET', "tccbs:{a:$account}:q") // '';
    return $used =~ / (\d+)$/ ? $1 : 0;
}

sub ends { return $redis->command('PTTL', "tccbs:{a:both}:$_[0]") }

my $twice = copy();
my $rate = "tccbs:{a:both}:r:$action";

is(call('both', $twice), '', 'a copy');
my $next = $redis->command('GET', $rate);
is(used('both'), 1, 'counted');

is(call('both', $twice), '', 'a duplicate');
ok($t->wait_for(sub { used('both') == 1 }), 'is not');
is($redis->command('GET', $rate), $next, 'nor by the rate');
cmp_ok(ends("r:$action"), '>', 0, 'which ends');
cmp_ok(ends("r:$action"), '<=', 120_000, 'as before');
cmp_ok(ends('q'), '>', 172_000_000, 'and the quota in two days');

# what Redis may have run is not said again: a reply is lost behind the call of
# which something is said when Redis is back, and that comes after

$t->faults({ kind => 'delay', ms => 1500 });

my $flies = $t->client(account => 'once');
$flies->send($flies->request($action, copy()));

my $claim = $t->wait_for(sub { (grep { ($redis->command('HGET', $_, 's') // '')
    eq 'f' } @{$redis->command('KEYS', '*:d:*')})[0] });
ok($claim, 'a call flies');

$redis->mode('lose');
is(call('both', $twice), '', 'a duplicate, given back');
ok($t->wait_for(sub { $redis->lost }), 'without a reply');
is(used('both'), 1, 'in Redis');
$redis->cut_wire;
is($redis->command('HGET', $claim, 's'), 'f', 'the other still flies');

is($flies->answer->{code}, '', 'answered without Redis');
$redis->wire;
ok($t->wait_for(sub { $redis->command('HGET', $claim, 's') eq 'a' }, 20),
    'which is told of it, and of what was said before');
is(used('both'), 1, 'given back once');

# a reply that is too late: this gateway has let the calls through and tells it
# later, so what Redis has counted is given back; without a signature the limit
# is the first thing that is asked

sub late {
    return $t->call($action, copy(), headers => [ [ 'X-Who', 'late' ] ],
        client => { port => $mapped, plain => 1 })->{code};
}

# what is late is a failure, and three in a row would be too many

for my $n (1, 2) {
    $redis->mode('delay 1');
    is(late(), '', "late: $n");
    ok($t->wait_for(sub { used('late') == 0 }), 'is not counted twice');
    cmp_ok($redis->command('GET', "tccbs:{a:late}:r:$action"), '<=',
        time * 1e6, 'nor by the rate');

    $redis->mode('pass');
    is(call('again'), '', 'another in time');
    is(used('again'), $n, 'counted');
}

is(late(), '', 'the third one in time');
is(used('late'), 3, 'all are counted once');

# what fails by itself is not said again, what Redis may run later is

sub asked { return $redis->command('GET', "asked:$_[0]") // 0 }

sub not_sent { return call($_[0]) eq 'ServiceUnavailable' }

$redis->mode("give local account = string.match(KEYS[2], '{a:(.*)}')
    local n = redis.call('INCR', 'asked:' .. account)
    if account == 'once' then return redis.error_reply('ERR no') end
    if n < 3 then return redis.error_reply('BUSY yes') end
    return 0");
$t->stop_emulator;

ok(not_sent('once'), 'not sent');
ok($t->wait_for(sub { asked('once') }), 'given back, which fails');
ok(not_sent('again'), 'another');
ok($t->wait_for(sub { asked('again') == 3 }, 20), 'which Redis runs at last');
is(asked('once'), 1, 'the other was said once');

$t->done;
