#!/usr/bin/perl

# Reloads and killed workers under a load of 200 calls a second: what arrived,
# what the log says and what the clients were told agree.  If this broke, a
# copy could be paid without a record.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Load;
use TCCBS::Oracle;
use TCCBS::Test qw/ killed /;
use TCCBS::Trust;

my $rounds = $ENV{TCCBS_KILLS} // 15;
my $reloads = $ENV{TCCBS_RELOADS} // 10;

# worker processes that are killed are what this is about

my $t = TCCBS::Test->new(workers => 2, torn => 1, exempt => [ killed ]);

# a long run has many answers to remember

$t->run(zone => 'tccbs_zone tccbs:64m;');

sub agree {
    my ($what) = @_;

    # the last outcomes, and the recovery of what was killed
    $t->wait_for(sub {
        my (%open, $other);
        for ($t->audit) {
            $open{$_->{id}} = 1 if $_->{kind} eq 'intent';
        }
        for ($t->audit) {
            delete $open{$_->{id}} if $_->{kind} =~ /outcome|recovery/;
        }
        return !%open;
    }, 20);

    my @emulated = $t->emulated;
    my @audit = $t->audit;
    my @told = TCCBS::Load::told($t);

    my @bad = TCCBS::Oracle::violations(\@emulated, \@audit, \@told);

    is(scalar @bad, 0, "$what: the logs agree")
        or diag(join("\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]));

    my %count;
    $count{$_->{outcome} // $_->{kind}}++ for @audit;

    diag("$what: " . @emulated . ' arrived, ' . @told . ' told, '
        . join(', ', map { "$_ $count{$_}" } sort keys %count));

    return @told;
}

# reloads lose nothing at all

my @pids = TCCBS::Load::start($t, rate => 200,
    seconds => 1 + $reloads * 0.4);

for (1 .. $reloads) {
    sleep 0.4;
    kill 'HUP', $t->{pid};
}

is(TCCBS::Load::finish(@pids), 0, 'reload: clients are well');

my @told = agree('reload');

# a kept connection may be closed between two calls: the call did not start
my @failed = grep { $_->{error} } @told;
my @wrong = grep { !$_->{error} && $_->{outcome} ne 'success' } @told;

is(scalar @wrong, 0, 'reload: each answer is a success');
cmp_ok(scalar @failed, '<=', $reloads * 8, 'reload: only idle closes');
cmp_ok(scalar @told, '>', $reloads * 30, 'reload: there was a load');

my %arrived = map { ($_->{headers}{'x-tc-traceid'}[0] // '') => 1 }
    $t->emulated;
cmp_ok(scalar(keys %arrived), '>=', @told - @failed, 'reload: all arrived');

TCCBS::Trust::figure('Kills and restarts', 'reload every 400 ms under load of '
    . '200 calls/s', "$reloads reloads, " . @told . ' calls, 0 lost, 0 '
    . 'violations', '0', "TCCBS_RELOADS=$reloads prove t/kill.t")
    if Test::More->builder->is_passing;

# killed workers, with calls in flight at any time

$t->faults({ kind => 'delay', ms => 25, forever => JSON::XS::true });

@pids = TCCBS::Load::start($t, rate => 200, seconds => 1 + $rounds * 0.25);

for (1 .. $rounds) {
    sleep 0.25;
    my @workers;
    $t->wait_for(sub { @workers = $t->workers }, 10);
    kill 'KILL', $workers[rand @workers];
}

is(TCCBS::Load::finish(@pids), 0, 'kill: clients are well');

@told = agree('kill');

my $killed = () = $t->slurp('logs/error.log') =~ /exited on signal 9/g;
cmp_ok($killed, '>=', $rounds * 0.9, "kill: $killed workers were killed");

TCCBS::Trust::figure('Kills and restarts', 'kill -9 of a worker under load of '
    . '200 calls/s', "$killed rounds, " . @told . ' calls, '
    . (() = $t->audit(kind => 'recovery')) . ' in flight, 0 without an intent, '
    . '0 without an outcome, 0 twice', '1000 rounds, 0', "TCCBS_KILLS=$rounds "
    . 'prove t/kill.t') if Test::More->builder->is_passing;
cmp_ok(scalar($t->audit(kind => 'recovery')), '>', 0,
    'kill: calls were in flight');

$t->faults;

# a fast stop leaves no intent open

@pids = TCCBS::Load::start($t, rate => 200, seconds => 1);
sleep 0.5;
$t->stop('TERM');
TCCBS::Load::finish(@pids);
agree('stop');

$t->done;
