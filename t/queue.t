#!/usr/bin/perl

# The limit of Tencent Cloud: never exceeded, fully used, and shared.  If this
# broke, one noisy tool could starve all others.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ busiest copy killed /;

my $t = TCCBS::Test->new(workers => 2, exempt => [ killed ]);

$t->credential('short');

my $file = "$t->{dir}/keys";

$t->run(credential => "tccbs_credential prod { file $file/prod.json; }
        tccbs_credential short { file $file/short.json;
            limit 5r/s; queue 500ms 4; }",
    accounts => $t->account('team-dr') . $t->account('noisy')
        . $t->account('heavy', weight => 3)
        . $t->account('brief', credential => 'short'),
    http => 'log_format delay "$tccbs_account $tccbs_delay";',
    server => "access_log $t->{dir}/logs/delay.log delay;");

my $action = 'CopySnapshotCrossRegions';

# handshakes take their time on a busy machine: connections come first

sub ready {
    my ($account, $n) = @_;

    return map {
        my $c = $t->client(account => $account);
        $c->connect;
        [ $c, $account ]
    } 1 .. $n;
}

sub go {
    for (@_) {
        my ($c) = @$_;
        my $p = copy();
        $c->send($c->request($action, $p, close => 1));
        $_->[2] = $p->{SnapshotId};
    }

    return @_;
}

sub start { return go(ready(@_)) }

sub finish {
    my %codes;
    for (@_) {
        my $r = $_->[0]->answer;
        $codes{$r->{code} // $r->{error}}++;
        $_->[0]->close;
    }
    return \%codes;
}

# when each snapshot arrived at the emulator, in microseconds, in order

sub arrivals {
    my (@calls) = @_;
    my %account = map { $_->[2] => $_->[1] } @calls;

    return map { [ $_->{t_first}, $account{$_->{params}} ] }
        sort { $a->{t_first} <=> $b->{t_first} }
        grep { $account{$_->{params}} }
        map { { %$_, params => ($_->{body} // '') =~ /"(snap-\d+)"/ ? $1 : '' } }
        $t->emulated;
}

# one account is noisy, another comes a little later with a few calls

my @calls = ready('noisy', 45);
my @few = ready('team-dr', 6);

go(@calls);
sleep 0.3;
push @calls, go(@few);

my $codes = finish(@calls);
is_deeply($codes, { '' => 51 }, 'all are answered');

my @order = arrivals(@calls);

is(scalar @order, 51, 'and arrived');

# the worker shakes hands with all clients before the first of them leaves

cmp_ok(busiest(1e6, map { $_->[0] } @order[1 .. $#order]), '<=', 20,
    'never more than 20 in a second');

my $took = ($order[-1][0] - $order[0][0]) / 1e6;
cmp_ok($took, '<', 50 / 20 * 1.25, 'and hardly less: ' . $took . ' s for 50');

my @late = grep { $order[$_][1] eq 'team-dr' } 0 .. $#order;
cmp_ok($late[-1], '<=', 24, "the few are served between the many: @late");

# by weight: three of one for each of the other

@calls = go(ready('noisy', 24), ready('heavy', 24));
finish(@calls);
@order = arrivals(@calls);

# the first may have been served before the others arrived
my $heavy = grep { $_->[1] eq 'heavy' } @order[4 .. 23];
cmp_ok(abs($heavy - 15), "<=", 2, "weight three: $heavy of 20");

# a queue is bounded in length and in time

@calls = start('brief', 12);
$codes = finish(@calls);

my $over = 'RequestLimitExceeded.GlobalRegionUinLimitExceeded';
is($codes->{''} + $codes->{$over}, 12, 'bounded: served or told');
cmp_ok($codes->{$over}, '>=', 6, 'bounded: most are told');
is(scalar(arrivals(@calls)), $codes->{''}, 'bounded: the told did not arrive');

my $r = (grep { $_->{code} eq $over } map { $_->[0]->answer }
    start('brief', 8))[0];
like($r->{message}, qr/nothing was sent/, 'bounded: says so');
ok($r->{headers}{'retry-after'}, 'bounded: says when to come back');

# who leaves does not take a slot

sleep 0.5;
@calls = start('noisy', 30);
sleep 0.2;
$_->[0]->close for @calls[10 .. 29];
my @stay = start('team-dr', 3);
my $begin = time;
finish(@stay);
cmp_ok(time - $begin, '<', 1.5, 'who leaves makes room');
finish(@calls[0 .. 9]);
cmp_ok(scalar(arrivals(@calls)), '<=', 20, 'and is not sent');

# a killed worker's waiters do not block the others

@calls = start('noisy', 40);
sleep 0.2;
my ($victim) = $t->workers;
kill 'KILL', $victim;
$t->wait_for(sub { my @w = $t->workers;
    @w == 2 && !grep { $_ == $victim } @w });

$begin = time;
@stay = start('team-dr', 2);
is(finish(@stay)->{''}, 2, 'after a killed worker');
cmp_ok(time - $begin, '<', 4, 'in time');
$_->[0]->close for @calls;

# and a reload loses none

@calls = start('heavy', 20);
$t->reload(keep => 1);
is(finish(@calls)->{''}, 20, 'through a reload');

# a look has no such limit by default

my $look = $t->client;
$look->connect;

$begin = time;
$look->call('DescribeSnapshots', { Limit => $_ }, region => 'ap-beijing')
    for 1 .. 30;
cmp_ok(time - $begin, '<', 1.2, 'looks are not in the queue');

like($t->slurp('logs/delay.log'), qr/^noisy 1\.\d{3}$/m, 'delay in the log');

$t->done;
