#!/usr/bin/perl

# The main job: a call signed with a gateway key is verified, recorded, signed
# anew and answered.  If this broke, nobody could copy a snapshot.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(log => 'debug');
$t->run;

my $r = $t->call('CopySnapshotCrossRegions',
    copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ],
        SnapshotName => "nightly \x{5907}\x{4efd}"));

is($r->{status}, 200, 'status');
is($r->{type}, 'application/json', 'content type');
is($r->{code}, '', 'no error') or diag($r->{body} // $r->{error});
is(scalar @{$r->{response}{SnapshotCopyResultSet}}, 2, 'two results');
is($r->{headers}{'x-tccbs-outcome'}, 'success', 'outcome header');

my ($seen) = $t->emulated;
is($seen->{verified}, 1, 'upstream signature');
is($r->{id}, $seen->{answered}{request_id}, 'RequestId is Tencent\'s');
is($seen->{trace}, $r->{headers}{'x-tccbs-id'}, 'audit id as trace id');

my ($intent) = $t->audit(kind => 'intent');
my ($outcome) = $t->audit(kind => 'outcome');

is($intent->{id}, $r->{headers}{'x-tccbs-id'}, 'intent');
is($outcome->{id}, $intent->{id}, 'outcome of the intent');
is($outcome->{outcome}, 'success', 'success');
is($outcome->{tcid}, $r->{id}, 'RequestId recorded');
is($intent->{account}, 'team-dr', 'account');
is_deeply($intent->{to}, [ 'ap-beijing', 'ap-singapore' ], 'destinations');
is($intent->{credential}{name}, 'prod', 'credential');
is(scalar @{$outcome->{per}}, 2, 'results recorded');

$t->done;
