#!/usr/bin/perl

# A copy whose answer was lost: what DescribeSnapshots shows of it ends the
# doubt, and the call then gets the answer it missed.  If this broke, callers
# would wait for nothing, or pay for a copy that they have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use TCCBS::Answer qw/ copied tag /;
use TCCBS::Test qw/ copy killed /;

my $t = TCCBS::Test->new(workers => 2, exempt => [ killed ]);

my $action = 'CopySnapshotCrossRegions';
my @both = ('ap-beijing', 'ap-singapore');

$t->run(accounts => $t->account('team-dr'),
    location => 'tccbs_hold 60s; tccbs_snapshot_tag on;');
$t->emulator_config(progress => 600);

sub call { return $t->call($action, @_) }

# another body each time: a signature is good for one region

my $looks = 20;

sub look {
    my ($region, $params) = @_;
    return $t->call('DescribeSnapshots', { Limit => ++$looks,
        %{$params // {}} }, region => $region);
}

sub sent {
    my ($params) = @_;
    return scalar grep { ($_->{action} // '') eq $action
        && ($_->{body} // '') =~ /$params->{SnapshotId}/ } $t->emulated;
}

sub lost {
    my ($params) = @_;
    $t->faults({ kind => 'drop_before' });
    my $r = call($params);
    is($r->{headers}{'x-tccbs-outcome'}, 'unknown', 'an answer is lost');
    return $r;
}

sub results { return $_[0]->{json}{Response}{SnapshotCopyResultSet} // [] }

# the tag

my $named = copy(SnapshotName => 'nightly');
my $first = call($named);
my ($seen) = grep { ($_->{body} // '') =~ /$named->{SnapshotId}/ }
    $t->emulated;
my $id = $first->{headers}{'x-tccbs-id'};
my $tag = tag($id);
like($seen->{body}, qr/"SnapshotName":"nightly #$tag"/,
    'the name carries the first digits of the id');
is(call($named)->{body}, $first->{body}, 'a repeat is a repeat all the same');
is(($t->audit(kind => 'intent', id => $id))[0]{tag}, $tag,
    'the intent has the tag');

my $nameless = copy();
call($nameless);
($seen) = grep { ($_->{body} // '') =~ /$nameless->{SnapshotId}/ }
    $t->emulated;
like($seen->{body}, qr/"SnapshotName":"$nameless->{SnapshotId} #[0-9a-f]{16}"/,
    'without a name: the source and the tag');

my $long = call(copy(SnapshotName => 'x' x 43));
is($long->{code}, 'InvalidParameterValue', 'a name without room for it');
like($long->{message}, qr/at most 42/, 'says how long it may be');
is(call(copy(SnapshotName => "\x{e9}" x 42))->{code}, '',
    'characters count, not bytes');

# found by its tag in one region, then in the other

my $two = copy(DestinationRegions => [ @both ], SnapshotName => 'two');
my $unknown = lost($two);
$id = $unknown->{headers}{'x-tccbs-id'};

is(call($two)->{code}, 'InternalError.ComponentError', 'held');

look('ap-beijing');

my $half = call({ %$two, DestinationRegions => [ 'ap-singapore' ] });
like($half->{message}, qr/unknown/, 'the other region is still held');
like(call($two)->{message}, qr/is unknown/, 'and so is the call');

look('ap-singapore');

my $again = call($two);
is($again->{code}, '', 'found in both: the call is answered');
is($again->{headers}{'x-tccbs-outcome'}, 'success', 'as a success');
is($again->{headers}{'x-tccbs-duplicate-of'}, $id, 'of the first call');
is_deeply([ map { $_->{DestinationRegion} } @{results($again)} ], [ @both ],
    'with each region');

my %there = map { my $region = $_;
    map { $_->{SnapshotName} =~ /^two #/ ? ($region => $_->{SnapshotId}) : () }
        @{look($region)->{json}{Response}{SnapshotSet}} } @both;
is_deeply({ map { $_->{DestinationRegion} => $_->{SnapshotId} }
    @{results($again)} }, \%there, 'and the snapshots that are there');
is(sent($two), 1, 'sent once');

my @found = $t->audit(kind => 'recovery', of => $id);
is(scalar(@found), 2, 'the log says so, once for each region');
is($found[0]{per}[0]{snapshot}, $there{$found[0]{per}[0]{region}},
    'with the snapshot');
is(scalar($t->audit(id => $id, kind => 'outcome', outcome => 'unknown')), 1,
    'and the outcome stays what it was');

my $other = call({ %$two, SnapshotName => 'on purpose' });
is($other->{code}, '', 'another copy to the same regions is free to go');

# seen at the source: the copy is made, its new id is not known yet

my $source = copy(SnapshotName => 'source');
lost($source);
look('ap-guangzhou', { SnapshotIds => [ $source->{SnapshotId} ] });

my $r = call($source);
is($r->{code}, 'InternalError.ComponentError', 'not made again');
like($r->{message}, qr/answer was lost, made the copy.*"ap-beijing"/,
    'says that it is made');
is(sent($source), 1, 'sent once');

look('ap-beijing');
is(call($source)->{code}, '', 'and with the new id it is answered');

# two of a region that differ in the name, both unknown: what is seen may be of
# either, so that it is free for none

my @pair = map { { %{$source}, SnapshotId => 'snap-pair0001',
    SnapshotName => $_ } } qw/ one other /;
my @clients = map { $t->client } @pair;

$t->faults(({ kind => 'hold+drop_in_header' }) x 2);
$clients[$_]->send($clients[$_]->request($action, $pair[$_])) for 0, 1;
$t->wait_for(sub { sent($pair[0]) == 2 }) or die "not sent\n";
$t->release;
is($_->answer->{headers}{'x-tccbs-outcome'}, 'unknown', 'one of two')
    for @clients;
$_->close for @clients;

look('ap-guangzhou', { SnapshotIds => [ $pair[0]{SnapshotId} ] });
look('ap-beijing');
like(call($_)->{message}, qr/is unknown/, "$_->{SnapshotName}: still held")
    for @pair, { %{$pair[0]}, SnapshotName => 'third' };
is(sent($pair[0]), 2, 'none is sent');

# the same when its worker dies, or is told to end at once

for my $signal (qw/ KILL TERM /) {
    my $orphan = copy(SnapshotName => "orphan $signal");
    $t->faults({ kind => 'hold+drop_in_header' });
    my $client = $t->client;
    $client->send($client->request($action, $orphan));
    $t->wait_for(sub { sent($orphan) }) or die "not sent\n";
    my ($intent) = grep { ($_->{snapshot} // '') eq $orphan->{SnapshotId} }
        $t->audit(kind => 'intent');
    $t->kill_worker($signal, $intent->{pid});
    $client->close;
    ok($t->wait_for(sub { $t->audit(kind => 'recovery',
        id => $intent->{id}) }), "$signal: a worker ends");
    is(call($orphan)->{code}, 'InternalError.ComponentError',
        "$signal: the call is held");
    look('ap-beijing');
    $r = call($orphan);
    is($r->{headers}{'x-tccbs-duplicate-of'}, $intent->{id},
        "$signal: found: the call is answered");
    is(sent($orphan), 1, "$signal: sent once");
    $t->release;
}

# made in one region only

my $part = copy(DestinationRegions => [ @both ], SnapshotName => 'part');
$t->faults({ kind => 'body', body => copied(
    [ 'ap-beijing', 'Success', 'snap-new00001' ],
    [ 'ap-singapore', 'InternalError' ]) });
$unknown = call($part);
is($unknown->{headers}{'x-tccbs-outcome'}, 'unknown', 'half an answer');
like(call({ %$part, DestinationRegions => [ 'ap-singapore' ] })->{message},
    qr/unknown/, 'the region without one is held');

$tag = tag($unknown->{headers}{'x-tccbs-id'});

sub shows {
    my ($name) = @_;
    $t->faults({ kind => 'body', body => encode_json({ Response => {
        RequestId => 'tc-3',
        TotalCount => 1, SnapshotSet => [ { SnapshotId => 'snap-new00002',
            SnapshotName => $name } ] } }) });
    look('ap-singapore');
    return call($part);
}

for my $near ("#$tag", " #$tag ", " #" . uc $tag, " #0$tag", "x #" .
    substr($tag, 1) . 'g', "part $tag")
{
    like(shows($near)->{message}, qr/is unknown/, "another name: '$near'");
}

$again = shows("part #$tag");
is($again->{code}, '', 'found in the other region: answered');
is(results($again)->[0]{SnapshotId}, 'snap-new00001',
    'with what was known before');
is(results($again)->[1]{SnapshotId}, 'snap-new00002', 'and what was found');

# a Success that names no snapshot is none

for my $none (undef, '') {
    my $bad = copy();
    $t->faults({ kind => 'body', body => copied(
        [ 'ap-beijing', 'Success', $none ]) });
    is(call($bad)->{headers}{'x-tccbs-outcome'}, 'unknown',
        'a Success without a snapshot');
}

# after a crash the log tells it all again

my $kept = copy(DestinationRegions => [ @both ], SnapshotName => 'kept');
lost($kept);
look('ap-beijing');
my $seen_source = copy(SnapshotName => 'seen');
lost($seen_source);
look('ap-guangzhou', { SnapshotIds => [ $seen_source->{SnapshotId} ] });
$t->wait_for(sub { $t->audit(kind => 'recovery',
    source => $seen_source->{SnapshotId}) });
$t->settled;

SKIP: {
    skip 'workers that valgrind runs are not to be found', 2
        if $ENV{TCCBS_BINARY};

    ok($t->reload, 'a reload');
    like(call($kept)->{message}, qr/is unknown/, 'reload: one region of two');
}

$t->crash;
$t->start;

like(call($seen_source)->{message}, qr/made the copy/, 'restart: the source');
like(call($kept)->{message}, qr/is unknown/, 'restart: one region of two');
look('ap-singapore');
$again = call($kept);
is($again->{code}, '', 'and then both');
is(sent($kept), 1, 'sent once');

$t->done;
