#!/usr/bin/perl

# Each allocation fails once, and then all from it on, while nginx starts and
# reads what the audit log knows.  If this broke, a gateway could start and not
# know of a copy that it made, or that may have been made.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Answer qw/ copied tag /;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $ANY $WORKER /;

my $action = 'CopySnapshotCrossRegions';
my @plain = (client => { plain => 1 });

my $t = TCCBS::Torture::gateway(oracle => 0);

my %conf = (listen => '', location => 'tccbs_snapshot_tag on; tccbs_hold 600s;
    tccbs_replay_window 600s; tccbs_read_timeout 20s;');

$t->run(%conf);

# what the log knows: a copy, and one of two regions of which one was refused;
# one whose answer was lost, one that was found later; then, in a new file, one
# that is open

sub call { return $t->call($action, $_[0], @plain, timeout => 20) }

sub lost {
    my ($params) = @_;
    $t->faults({ kind => 'drop_before' });
    return call($params);
}

my ($made, $lost, $open) = map { copy() } 1 .. 3;
my ($part, $found) = (copy(SnapshotName => 'part',
    DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]),
    copy(SnapshotName => 'found'));

is(call($made)->{code}, '', 'a copy');
$t->faults({ kind => 'body', body => copied(
    [ 'ap-beijing', 'Success', 'snap-00000001' ],
    [ 'ap-singapore', 'InsufficientSnapshotQuota', '' ]) });
is(call($part)->{headers}{'x-tccbs-outcome'}, 'partial', 'a part of one');
is(lost($lost)->{headers}{'x-tccbs-outcome'}, 'unknown', 'one that is lost');

my $tag = tag(lost($found)->{headers}{'x-tccbs-id'});
$t->call('DescribeSnapshots', { Filters => [ { Name => 'snapshot-name',
    Values => [ "found #$tag" ] } ] }, @plain, region => 'ap-beijing');
ok(scalar $t->audit(kind => 'recovery'), 'one that is found');

rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-1") or die "$!\n";
kill 'USR1', $t->{pid};
$t->wait_for(sub { -e "$t->{dir}/audit.jsonl" });

# a call that is in flight until it is let go

sub fly {
    my ($params) = @_;

    $t->faults({ kind => 'hold' });

    my $client = $t->client(plain => 1);
    $client->send($client->request($action, $params, close => 1));
    $t->wait_for(sub { $t->sent($params) }) or die "not sent\n";

    return $client;
}

my $client = fly($open);
is($t->sent($open), 1, 'one that is open');
$t->crash;
$client->close;
$t->release;

my %log = map { $_ => $t->slurp($_) } qw/ audit.jsonl audit.jsonl-1 /;

sub starts {
    $t->file($_, $log{$_}) for keys %log;
    return TCCBS::Torture::starts($t);
}

# what is known is not made again, whoever asks

sub known {
    for my $params ($made, $part, $lost, $found, $open) {
        my $r = call($params);
        return "made again: $params->{SnapshotId}"
            if $r->{response} && $t->sent($params) != 1;
    }
    return;
}

my ($refused, $started) = (0, 0);

sub start_and_ask {
    my $up = starts() // return 'neither up nor down';
    $up > 0 ? $started++ : $refused++;
    my $bad = $up > 0 ? known() : undef;
    call(copy()) if $up > 0 && !$bad;
    return $bad;
}

sub crash { $t->crash; return }
sub ends { $t->stop('TERM'); return }

TCCBS::Torture::torture_places('start', 'start', $ANY, \&start_and_ask,
    after => \&ends);

# so many intents that the table of the reader grows

my ($in, $out) = map { my $kind = $_; (grep { /"kind":"$kind"/ }
    split(/^/, $log{'audit.jsonl-1'}))[0] } qw/ intent outcome /;
my %few = %log;

$log{'audit.jsonl-1'} .= join('', map { my $n = sprintf('%08x', $_);
    map { s/"id":"[0-9a-f]{8}/"id":"$n/r =~ s/"success"/"rejected"/r }
        $in, $out } 1 .. 3000);

TCCBS::Torture::torture_places('start', 'many intents', $ANY,
    \&start_and_ask, after => \&crash, of => qr/scan_grow/);

%log = %few;

cmp_ok($refused, '>', 0, "$refused did not start");
cmp_ok($started, '>', 0, "$started did");

# A worker that dies after its outcome is in the log, while nobody has seen it:
# the next one reads it, and tries again for what it had no memory.

my ($flying, $told);

sub dies {
    my ($end) = @_;
    $flying = copy();

    my $client = fly($flying);
    my ($worker) = $t->all_workers;
    my ($intent) = grep { ($_->{snapshot} // '') eq $flying->{SnapshotId} }
        $t->audit(kind => 'intent');
    my $line = $out =~ s/"id":"[^"]*"/"id":"$intent->{id}"/r
        =~ s/"time":"[^"]*"/"time":"$intent->{time}"/r;

    $told = -s "$t->{dir}/logs/error.log";

    # the master does not know yet
    $t->freeze($t->{pid});
    kill 'KILL', $worker;
    $t->wait_for(sub { $t->slurp("/proc/$worker/stat") =~ /\) Z / })
        or die "it lives\n";
    open(my $log, '>>', "$t->{dir}/audit.jsonl") or die "$!\n";
    print $log $line if $end ne 'none';
    close $log;
    $client->close;
    $t->release;
}

sub respawns {
    my ($done) = @_;
    kill 'CONT', $t->{pid};
    $t->wait_for(sub { TCCBS::Torture::counters()->{failed} || $done->() });
    return;
}

sub answered {
    return call($flying)->{headers}{'x-tccbs-duplicate-of'};
}

sub recovers {
    $t->wait_for(\&answered) or return 'it has no answer';
    return "made again: $flying->{SnapshotId}" if $t->sent($flying) != 1;

    # the one that had no memory ends as any other
    return 'it does not end' if !$t->reload;
    return;
}

# One whose outcome nobody knows is held.  Without its first record a worker
# does not even start, and somebody must start the gateway.

sub recovers_open {
    my $end = $t->wait_for(sub {
        return 'closed' if recovered();
        return substr($t->slurp('logs/error.log'), $told) =~ /fatal code 2/;
    }) or return 'it is not closed';

    if ($end ne 'closed') {
        $t->stop;
        $t->start;
        $t->wait_for(\&recovered) or return 'it is not closed by the next one';
    }

    my $r = call({ %$flying, SnapshotName => 'x' });
    return "not held: $r->{raw}" if $r->{code} ne 'InternalError.ComponentError'
        || $t->sent($flying) != 1;
    return 'it does not end' if !$t->reload;
    return;
}

sub recovered {
    my ($intent) = grep { ($_->{snapshot} // '') eq $flying->{SnapshotId} }
        $t->audit(kind => 'intent');
    return scalar $t->audit(kind => 'recovery', id => $intent->{id});
}

is(starts(), 1, 'a gateway for workers that die');
TCCBS::Torture::torture_places('start', 'recovery', $WORKER,
    sub { respawns(\&answered) }, before => sub { dies('success') },
    after => \&recovers, of => qr/restore_ended|recovery/,
    times => 1);
TCCBS::Torture::torture_places('calls', 'recovery', $WORKER,
    sub { respawns(\&answered) }, before => sub { dies('success') },
    after => \&recovers, of => qr/^ngx_tccbs_out_/, times => 1);
TCCBS::Torture::torture_places('start', 'recovery of an open one', $WORKER,
    sub { respawns(\&recovered) }, before => sub { dies('none') },
    after => \&recovers_open, of => qr/restore_intent|recovery|batch/);
crash();

# the last one, without failures

is(starts(), 1, 'started without failures');
is(known(), undef, 'nothing is made again');
is(call($made)->{code}, '', 'what was made has its answer');
is(call($found)->{code}, '', 'what was found has one');
is(call($lost)->{code}, 'InternalError.ComponentError', 'the lost one is held');
ok($t->settled, 'every intent has an outcome');

TCCBS::Torture::all_failed('start');

$t->done;
