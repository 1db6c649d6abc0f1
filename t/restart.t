#!/usr/bin/perl

# After a crash of the whole gateway the audit log is what is left: it says
# which calls are open, which regions are held and which copies were made.  If
# this broke, a restart would be a licence to copy twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ time /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2);

$t->run(location => 'tccbs_hold 6s; tccbs_replay_window 60s;
    tccbs_read_timeout 3s;');

my $action = 'CopySnapshotCrossRegions';

my $done = copy(DestinationRegions => [ 'ap-singapore', 'ap-beijing' ],
    SnapshotName => "n\x{e9}");
my $answer = $t->call($action, $done);
is($answer->{code}, '', 'a copy');

my $part = { SnapshotId => 'snap-part0001',
    DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] };
my $partial = $t->call($action, $part);

my $lost = copy();
$t->faults({ kind => 'drop_before' });
is($t->call($action, $lost)->{headers}{'x-tccbs-outcome'}, 'unknown',
    'an unknown one');

# one in flight, when everything dies

my $flying = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
$t->faults({ kind => 'hold' });
my $client = $t->client;
$client->send($client->request($action, $flying));
$t->wait_for(sub { $t->sent($flying) });

my ($open) = grep { ($_->{snapshot} // '') eq $flying->{SnapshotId} }
    $t->audit(kind => 'intent');

$t->crash;
$client->close;
$t->release;

# and a line that was being written

open(my $fh, '>>', "$t->{dir}/audit.jsonl") or die;
print $fh '{"v":1,"time":"2026-01-01T00:00:00.000000Z","id":"torn';
close $fh;

$t->start;

# the open one gets its outcome, and is held

my $recovered = $t->wait_for(sub {
    grep { index($_, 'torn') < 0 && /$open->{id}/ && /"recovery"/ }
        split(/\n/, $t->slurp('audit.jsonl')) });
ok($recovered, 'the open intent has an outcome');
like($t->slurp('audit.jsonl'), qr/"id":"torn\n/, 'the torn line is sealed');

for my $same ({}, { DestinationRegions => [ 'ap-singapore' ] }) {
    my $r = $t->call($action, { %$flying, %$same });
    is($r->{code}, 'InternalError.ComponentError', 'the open one is held');
    like($r->{message}, qr/$open->{id}/, 'under its id');
}

is($t->call($action, $lost)->{code}, 'InternalError.ComponentError',
    'the unknown one is held');

# what was answered is answered again

my $again = $t->call($action, $done);
is_deeply($again->{json}, $answer->{json}, 'the copy has its answer');
is($again->{headers}{'x-tccbs-duplicate-of'},
    $answer->{headers}{'x-tccbs-id'}, 'of the first call');
is($again->{headers}{'x-tccbs-outcome'}, 'success', 'and its outcome');

$again = $t->call($action, $part);
is_deeply([ map { $_->{Code} } @{$again->{response}{SnapshotCopyResultSet}} ],
    [ 'Success', 'InsufficientSnapshotQuota' ], 'so has the partial one');
is($again->{id}, $partial->{id}, 'with the RequestId of Tencent');

is($t->sent($_), 1, 'sent once') for $done, $part, $lost, $flying;

# a reload does not read the log again; a hold ends

$t->reload;
is(scalar(grep { /$open->{id}/ && /"recovery"/ }
    split(/\n/, $t->slurp('audit.jsonl'))), 1, 'one outcome');
ok($t->wait_for(sub { $t->call($action, $flying)->{code} eq '' }, 12),
    'the hold ends');

# a rotation does not shorten the memory

my $rotated = copy();
my $of = $t->call($action, $rotated);
my $held = copy();
$t->faults({ kind => 'drop_before' });
is($t->call($action, $held)->{headers}{'x-tccbs-outcome'}, 'unknown',
    'held, in the old file');
rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-1") or die;
kill 'USR1', $t->{pid};
$t->wait_for(sub { -e "$t->{dir}/audit.jsonl" });
is($t->call($action, copy())->{code}, '', 'a copy, in the new file');
$t->crash;
$t->start;
is($t->call($action, $rotated)->{id}, $of->{id}, 'the answer is known');
is($t->call($action, $held)->{code}, 'InternalError.ComponentError',
    'and the hold');

# a log of many records is read in no time

$t->stop;
is(scalar($t->tampered), undef, 'and the log is intact up to here');

my @lines = split(/\n/, $t->slurp('audit.jsonl'));
my ($in) = grep { /"kind":"intent"/ } @lines;
my ($out) = grep { /"kind":"outcome"/ } @lines;

s/"time":"20\d\d/"time":"2020/ for $in, $out;

open($fh, '>>', "$t->{dir}/audit.jsonl") or die;
for my $n (1 .. 100_000) {
    my $id = sprintf('%08x-0000-4000-8000-000000000000', $n);
    print $fh $in =~ s/"id":"[^"]+/"id":"$id/r, "\n",
        $out =~ s/"id":"[^"]+/"id":"$id/r, "\n";
}
close $fh;

my $start = time;
$t->start;
is($t->call($action, $done)->{id}, $answer->{id}, 'and what counts is known');
my $took = time - $start;
cmp_ok($took, '<', 3, "200000 records: $took s to the first answer");

# copies of a minute, more than there is room for: it does not start, or it
# could make one of them again

$t->stop;

my ($now) = $lines[-1] =~ /"time":"([^"]+)/;
s/"time":"[^"]+/"time":"$now/ for $in, $out;

open($fh, '>>', "$t->{dir}/audit.jsonl") or die;
for my $n (1 .. 3000) {
    my ($id, $call) = (sprintf('%08x-0000-4000-8000-000000000001', $n),
        sprintf('%064x', $n));
    print $fh $in =~ s/"id":"[^"]+/"id":"$id/r
        =~ s/"call":"[^"]+/"call":"$call/r, "\n",
        $out =~ s/"id":"[^"]+/"id":"$id/r, "\n";
}
close $fh;

$t->write_conf(%{$t->{conf}}, zone => 'tccbs_zone tccbs:512k;');
$t->exec_nginx;
ok($t->wait_for(sub { waitpid($t->{pid}, WNOHANG) > 0 }, 30),
    'a zone without room for what is known');
delete $t->{pid};
like($t->slurp('logs/error.log'),
    qr/knows of the last copies has no room, make tccbs_zone "tccbs"/,
    'says so');

$t->write_conf(%{$t->{conf}}, zone => 'tccbs_zone tccbs:16m;');
$t->start;
is($t->call($action, $done)->{id}, $answer->{id}, 'and one that has it');

$t->{oracle} = 0;
$t->{altered} = 1;
$t->{exempt} = [ qr/has no room, make tccbs_zone/ ];
$t->done;
