#!/usr/bin/perl

# Rates and quotas of accounts.  If this broke, one buggy tool could spend the
# budget of all, or a day's money in a minute.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ copy killed /;

my $t = TCCBS::Test->new(workers => 2, exempt => [ killed ]);

my @accounts = (
    $t->account('team-dr', rate => '1r/m burst=3 nodelay'),
    $t->account('slow', rate => '10r/s burst=5'),
    $t->account('daily', quota => '5/d'),
    $t->account('both', rate => '1r/m burst=9 nodelay', quota => '2/d'),
    $t->account('free'),
);

# a quota that runs over midnight while we count would not be the code's fault
sleep(86400 - time % 86400 + 1) if 86400 - time % 86400 < 60;

my $monitor = TCCBS::Test::free_port();

$t->run(accounts => join('', @accounts), servers => <<END);
    server {
        listen 127.0.0.1:$monitor;
        tccbs_monitor on;
        location / { tccbs_pass https://cbs.intl.tencentcloudapi.com; }
    }
END

my $action = 'CopySnapshotCrossRegions';

sub call {
    my ($account, %o) = @_;
    return $t->call($action, copy(%o), client => { account => $account });
}

# one and the burst, whichever worker is asked

is(call('team-dr')->{code}, '', "call $_ of the burst") for 1 .. 4;

my $before = () = $t->emulated;
my $r = call('team-dr');

is($r->{code}, 'RequestLimitExceeded', 'over the rate');
like($r->{message}, qr{limited to 1r/m with a burst of 3}, 'says the limit');
like($r->{headers}{'retry-after'}, qr/^(5\d|60)$/, 'says when to come back');
is(scalar(() = $t->emulated), $before, 'nothing was sent');

is(call('free')->{code}, '', 'another account is not affected');

# a look has a rate of its own

is($t->call('DescribeSnapshots', { Limit => $_ }, region => 'ap-beijing')
    ->{code}, '', "look $_") for 1 .. 4;
is($t->call('DescribeSnapshots', { Limit => 5 }, region => 'ap-beijing')
    ->{code}, 'RequestLimitExceeded', 'over the rate of looks');

# reload and a killed worker keep what was used

$t->reload;
is(call('team-dr')->{code}, 'RequestLimitExceeded',
    'after a reload');

my ($worker) = $t->workers;
kill 'KILL', $worker;
$t->wait_for(sub { my @w = $t->workers;
    @w == 2 && !grep { $_ == $worker } @w });
is(call('team-dr')->{code}, 'RequestLimitExceeded',
    'after a killed worker');

# within the burst calls are delayed to the rate

my $start = time;
is(call('slow')->{code}, '', "delayed call $_") for 1 .. 6;
my $took = time - $start;

cmp_ok($took, '>', 0.45, 'six calls at ten a second take half a second');
cmp_ok($took, '<', 2, 'and not much longer');

# who leaves while he waits is not sent

$before = () = $t->emulated;

my @clients = map {
    my $c = $t->client(account => 'slow');
    $c->send($c->request($action, copy()));
    $c } 1 .. 3;
sleep 0.05;
$_->close for @clients[1, 2];
is($clients[0]->answer->{code}, '', 'who stays is answered');
sleep 0.5;
is(scalar(() = $t->emulated), $before + 1, 'who left is not sent');

# a quota counts destinations, all of a call or none

is(call('daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ])
    ->{code}, '', 'two of five');
is(call('daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ])
    ->{code}, '', 'four of five');

$r = call('daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
is($r->{code}, 'LimitExceeded', 'six of five');
like($r->{message}, qr/5 copies.*UTC day, 4 were made and 2 are asked for/,
    'says the quota');
cmp_ok($r->{headers}{'retry-after'}, '<=', 86400, 'until midnight');

is(call('daily')->{code}, '', 'five of five');
is(call('daily')->{code}, 'LimitExceeded', 'and no more');

is($t->call('DescribeSnapshots', { Limit => $_ }, region => 'ap-beijing',
    client => { account => 'daily' })->{code}, '',
    "a quota is one of copies: look $_") for 1 .. 9;

# both or none: what the quota refused is not taken from the rate

is(call('both')->{code}, '', "both: call $_") for 1 .. 2;
is(call('both')->{code}, 'LimitExceeded', "both: refused $_") for 1 .. 20;

# monitor: judged and recorded, and let through

$r = $t->call($action, copy(), client => { port => $monitor, plain => 1 });
is($r->{code}, '', 'monitor: over the rate');
$r = $t->call($action, copy(DestinationRegions => [ 'ap-tokyo' ]),
    client => { port => $monitor, plain => 1, account => 'free' });
is($r->{code}, '', 'monitor: not allowed');
$r = $t->call($action, copy(), secret => 'x' x 40,
    client => { port => $monitor, plain => 1 });
is($r->{code}, 'AuthFailure.SignatureFailure',
    'monitor: who is not known is refused all the same');

# given back when it is certain that nothing was sent

$t->stop_emulator;

$t->file('nginx.conf', $t->slurp('nginx.conf') =~ s{quota 5/d}{quota 7/d}r);
$t->reload;

is(call('daily')->{code}, 'ServiceUnavailable', "not sent $_") for 1 .. 6;
unlike(call('daily', DestinationRegions => [ 'ap-beijing', 'ap-singapore' ])
    ->{code}, qr/LimitExceeded/, 'and not counted');

$t->stop;

my @would = grep { $_->{decision} eq 'would-refuse' }
    $t->audit(kind => 'refusal');
is_deeply([ map { $_->{rule} } @would ], [ 'rate', 'to' ],
    'monitor: recorded with the rule');

$t->done;
