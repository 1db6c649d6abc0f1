#!/usr/bin/perl

# The whole gateway is killed under load and started again: all processes at
# once, or the master first, while its workers go on.  If this broke, a power
# cut would be a licence to copy twice, or leave copies without an outcome.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Time::HiRes qw/ sleep time /;
use TCCBS::Load;
use TCCBS::Test qw/ copy killed /;
use TCCBS::Trust;

my $rounds = $ENV{TCCBS_MASTER_KILLS} // 4;

my $t = TCCBS::Test->new(workers => 2, torn => 1, exempt => [ killed ]);

$t->run;
$t->faults({ kind => 'delay', ms => 40, forever => JSON::PP::true() });

my @pids = TCCBS::Load::start($t, rate => 100, seconds => $rounds * 1.2);
my $killed = 0;

for my $round (1 .. $rounds) {
    sleep 0.5;

    if ($round % 2) {
        $t->crash;

    } else {
        my @orphans = $t->children;
        my $pid = delete $t->{pid};

        kill 'KILL', $pid;
        waitpid($pid, 0);
        is($t->call('CopySnapshotCrossRegions', copy())->{code}, '',
            "round $round: workers without a master go on")
            if $round == 2;
        sleep 0.2;
        kill 'KILL', @orphans;
        $t->wait_for(sub { !grep { $t->slurp("/proc/$_/stat")
            =~ /\) [^Z] / } @orphans });
    }

    $killed++;
    $t->start;
}

is($killed, $rounds, "$rounds times killed");
is(TCCBS::Load::finish(@pids), 0, 'clients are well');
$t->faults;

my $from = time;
ok($t->settled(20), 'each intent has an outcome');

my @told = TCCBS::Load::told($t);
push @{$t->{told}}, @told;

my $open = () = $t->audit(kind => 'recovery');
cmp_ok($open, '>', 0, "$open calls were in flight");

my %sent;
$sent{$_->{body}}++ for grep { $_->{complete} } $t->emulated;
is(scalar(grep { $_ > 1 } values %sent), 0, 'none was made twice');

TCCBS::Trust::figure('Kills and restarts', 'the whole gateway killed under '
    . 'load, all at once or the master first', "$rounds rounds, " . @told
    . " calls, $open in flight, 0 violations", '200 rounds, 0',
    "TCCBS_MASTER_KILLS=$rounds prove t/kill_master.t");

$t->done;
