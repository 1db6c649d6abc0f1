#!/usr/bin/perl

# A zone without room: calls are refused, and what it protects stays protected.
# If this broke, a busy day would be the day on which copies are made twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(exempt => [ qr/no memory/ ]);

$t->run(zone => 'tccbs_zone tccbs:256k;');

my $action = 'CopySnapshotCrossRegions';
my $client = $t->client;

my $first = copy();
my $answer = $client->call($action, $first);
my (%codes, $full);

for (1 .. 900) {
    my $r = $client->call($action, copy());
    $codes{$r->{code}}++;
    $full = $r if $r->{code} ne '';
    last if $codes{ServiceUnavailable} && $codes{ServiceUnavailable} >= 5;
}

cmp_ok($codes{''}, '>', 100, 'many are made');
is($full->{code}, 'ServiceUnavailable', 'until there is no room');
like($full->{message}, qr/no room .*nothing was sent/, 'says so');

my $before = () = $t->emulated;

is($client->call($action, $first)->{body}, $answer->{body},
    'the first one has its answer still');
is($client->call($action, copy())->{code}, 'ServiceUnavailable',
    'another is refused');
is(scalar(() = $t->emulated), $before, 'nothing was sent');

is($t->call('DescribeSnapshots', {}, region => 'ap-beijing')->{code}, '',
    'looks need no room');

# a copy that is under way when the room ends, and of which nobody can say what
# became: each of its regions is held, for copies with another name too

my $h = TCCBS::Test->new(exempt => [ qr/no memory/ ]);

$h->run(zone => 'tccbs_zone tccbs:256k;',
    location => 'tccbs_replay_window 2s; tccbs_hold 1h;');

my $left = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $caller = $h->client;

$h->faults({ kind => 'hold+drop_in_header' });
$caller->send($caller->request($action, $left));
$h->wait_for(sub { grep { ($_->{body} // '') =~ /$left->{SnapshotId}/ }
    $h->emulated });

$client = $h->client;

for (1 .. 900) {
    $full = $client->call($action, copy());
    last if $full->{code} ne '';
}

is($full->{code}, 'ServiceUnavailable', 'no room beside one in flight');

$h->release;
is($caller->answer->{code}, 'InternalError.ComponentError',
    'its outcome is unknown');

ok($h->wait_for(sub { !grep { $h->call($action, copy())->{code} } 1 .. 20 }),
    'there is room again');

$before = () = $h->emulated;

for my $region (@{$left->{DestinationRegions}}) {
    my $r = $h->call($action, { %$left, DestinationRegions => [ $region ],
        SnapshotName => 'another' });
    is($r->{code}, 'InternalError.ComponentError', "$region is held");
    like($r->{message}, qr/takes the call again in/, 'and says for how long');
}

is(scalar(() = $h->emulated), $before, 'nothing of it was sent again');
$h->finish;

# signatures: none is forgotten while it is good, even when there is no room

my $s = TCCBS::Test->new;
$s->run(zone => 'tccbs_zone tccbs:256k;');

my $stamp = time;
my $c = $s->client;
my $captured = { Limit => 1 };

$c->call('DescribeSnapshots', $captured, stamp => $stamp,
    region => 'ap-beijing');

my $refused;

for my $n (1 .. 5000) {
    my $r = $c->call('DescribeSnapshots', { Offset => $n },
        region => 'ap-beijing');
    $refused = $r, last if $r->{code} ne '';
}

is($refused->{code}, 'RequestLimitExceeded.IPLimitExceeded',
    'no room for another signature');
is($c->call('DescribeSnapshots', $captured, stamp => $stamp,
    region => 'ap-singapore')->{code}, 'AuthFailure.SignatureFailure',
    'the first one is still known');

$s->finish;
$t->done;
