#!/usr/bin/perl

# The number of gateways changes with a reload, while workers that know the old
# one have calls that wait.  If this broke, those calls would be lost, with
# copies among them of which nobody could say whether they were made.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;
my $redis = TCCBS::Redis->new($t);
my $action = 'CopySnapshotCrossRegions';
my $url = $redis->url;

sub conf {
    my ($nodes) = @_;

    return (accounts => $t->account('team-dr')
        . $t->account('slow', rate => '2r/s burst=10'),
        http => $nodes ? "tccbs_redis $url nodes=$nodes deadline=500ms;" : '');
}

sub code {
    my $r = shift->answer;
    return $r->{error} // $r->{code};
}

$t->run(conf(1));

my @held;

for my $nodes (2, 1, 3, 0, 2) {

    # one that keeps its worker, and some that have their turns after the reload

    my $held = $t->client;
    my $params = copy();
    my $say = $nodes ? "nodes=$nodes" : 'none';

    $t->faults({ kind => 'hold' });
    $held->send($held->request($action, $params));
    ok($t->wait_for(sub { $t->sent($params) }), "one is under way: $say");
    push @held, $held;

    my @late = map { my $c = $t->client(account => 'slow'); $c->connect; $c }
        1 .. 4;
    my @params = map { copy() } @late;

    $late[$_]->send($late[$_]->request($action, $params[$_])) for 0 .. $#late;
    ok($t->wait_for(sub { grep { $t->sent($_) } @params }), 'others wait');

    $t->write_conf(conf($nodes));
    ok($t->reload(keep => 1), 'reloaded');

    my $left = grep { !$t->sent($_) } @params;
    cmp_ok($left, '>', 0, "$left of them have had no turn yet");

    is_deeply([ map { code($_) } @late ], [ ('') x @late ],
        'they have it in the old worker');
    is($t->call($action, copy())->{code}, '', 'as one in the new one');
}

$t->release;
is_deeply([ map { code($_) } @held ], [ ('') x @held ],
    'those that were under way are answered');

$t->done;
