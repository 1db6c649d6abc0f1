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
