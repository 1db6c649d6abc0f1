#!/usr/bin/perl

# The official Node.js SDK with endpoint and keys as its only settings.  If
# this broke, the tools of every team would have to change.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::SDK;
use TCCBS::Test qw/ copy /;

plan skip_all => 'no SDK, run "make deps"'
    if !-d "$FindBin::Bin/sdk/node_modules" && !$ENV{CI};

my $t = TCCBS::Test->new;

$t->run(accounts => $t->account('team-dr', snapshots => 'snap-*')
    . $t->account('narrow', snapshots => 'snap-only*',
        actions => 'CopySnapshotCrossRegions')
    . $t->account('slow', rate => '1r/m nodelay')
    . $t->account('poor', quota => '1/d'));

sub sdk {
    my (@calls) = @_;

    return TCCBS::SDK::run(TCCBS::Test::root(), $t->{pki}->path('ca.crt'),
        map {
            my ($action, $params, %o) = @$_;
            my $key = $t->{keys}{$o{account} // 'team-dr'};
            { id => $key->{id}, key => $key->{secret}, action => $action,
              params => $params, endpoint => "localhost:$t->{port}",
              region => 'ap-guangzhou', %o };
        } @calls);
}

my $copy = 'CopySnapshotCrossRegions';
my $look = 'DescribeSnapshots';
my $name = "备份 a+b~c*d'e/é 😀";

# copies, and a look at them until they are done

my ($two, $named, $part) = sdk(
    [ $copy, copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]) ],
    [ $copy, copy(SnapshotName => $name), endpoint => "127.0.0.1:$t->{port}" ],
    [ $copy, { SnapshotId => 'snap-part0001',
        DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] } ]);

ok($two->{ok}, 'copied to two regions') or diag($two->{message});
is($two->{response}{SnapshotCopyResultSet}[1]{Code}, 'Success', 'both');

my ($seen) = $t->emulated;
is($two->{response}{RequestId}, $seen->{answered}{request_id},
    'RequestId of Tencent');

ok($named->{ok}, 'with a name') or diag($named->{message});
is(JSON::XS::decode_json(($t->emulated)[1]{body})->{SnapshotName}, $name,
    'the name arrives as it was given');

ok($part->{ok}, 'partial failure is an answer');
is_deeply([ map { $_->{Code} }
    @{$part->{response}{SnapshotCopyResultSet}} ],
    [ 'Success', 'InsufficientSnapshotQuota' ], 'with a code per region');

my $new = $two->{response}{SnapshotCopyResultSet}[0]{SnapshotId};
my %states;

my $done = $t->wait_for(sub {
    my ($r) = sdk([ $look, { SnapshotIds => [ $new ] },
        region => 'ap-beijing' ]);
    my $state = $r->{ok} ? $r->{response}{SnapshotSet}[0]{SnapshotState} : '';
    $states{$state} = 1;
    return $state eq 'NORMAL';
}, 20);

ok($done, 'polled until NORMAL');
ok(!$states{''}, 'each poll was answered');

# refusals arrive as the exception of the SDK, with their code

my $any = { SnapshotId => 'snap-12345678',
    DestinationRegions => [ 'ap-beijing' ] };

my @refusals = (
    [ 'AuthFailure.SecretIdNotFound',
        [ $copy, $any, id => 'AKIDgwnobody000000000000' ] ],
    [ 'AuthFailure.InvalidSecretId', [ $copy, $any, id => 'x!' ] ],
    [ 'AuthFailure.SignatureFailure', [ $copy, $any, key => 'x' x 40 ] ],
    [ 'UnauthorizedOperation', [ $copy, $any, region => 'ap-nanjing' ] ],
    [ 'UnauthorizedOperation', [ $copy, { %$any,
        DestinationRegions => [ 'ap-tokyo' ] } ] ],
    [ 'UnauthorizedOperation', [ $copy, $any, account => 'narrow' ] ],
    [ 'UnauthorizedOperation', [ $look, {}, account => 'narrow' ] ],
    [ 'InvalidAction', [ 'DescribeDisks', {} ] ],
    [ 'InvalidParameterValue', [ $copy, { %$any, SnapshotId => 'disk-1' } ] ],
    [ 'InvalidParameter', [ $copy, { %$any, DestinationRegions => 'x' } ] ],
    [ 'MissingParameter', [ $copy, { SnapshotId => 'snap-12345678' } ] ],
    [ 'UnsupportedProtocol', [ $copy, $any, method => 'GET' ] ],
    [ 'MissingParameter', [ $copy, copy(), region => '' ] ],
    [ 'AuthFailure.TokenFailure', [ $copy, copy(), token => 'x' ] ],
    [ 'UnknownParameter', [ $copy, { %{copy()}, ClientToken => 'x' } ] ],
    [ 'UnsupportedRegion', [ $copy, copy(), region => 'Guangzhou' ] ],
    [ 'RequestSizeLimitExceeded', [ $copy,
        copy(SnapshotName => 'x' x 20000) ] ],
    [ 'LimitExceeded', [ $copy, copy(DestinationRegions =>
        [ 'ap-beijing', 'ap-singapore' ]), account => 'poor' ] ],
    [ 'RequestLimitExceeded', [ $copy, copy(), account => 'slow' ] ],
    [ 'InvalidSnapshotId.NotFound', [ $copy, { %$any,
        SnapshotId => 'snap-none0001' } ] ],
);

ok((sdk([ $copy, copy(), account => 'slow' ]))[0]{ok}, 'the one of a minute');

my @results = sdk(map { $_->[1] } @refusals);

for my $i (0 .. $#refusals) {
    my ($code, $call) = @{$refusals[$i]};
    my $r = $results[$i];

    is($r->{exception}, 'TencentCloudSDKHttpException', "$code: exception");
    is($r->{code}, $code, "$code: code") or diag($r->{message});
    like($r->{requestId} // '', qr/^[0-9a-f-]{36}$/, "$code: RequestId");
}

my ($last) = (grep { ($_->{body} // '') =~ /snap-none0001/ } $t->emulated)[0];
is($results[-1]{requestId}, $last->{answered}{request_id},
    'what Tencent refused has its RequestId');

# what the upstream does to a call

for my $case ([ 'drop_before', 'InternalError.ComponentError' ],
    [ 'bad_json', 'InternalError' ])
{
    $t->faults({ kind => $case->[0] });
    my ($r) = sdk([ $copy, copy() ]);
    is($r->{code}, $case->[1], "$case->[0]: code");
    like($r->{message}, qr/outcome is unknown/, "$case->[0]: message");
}

$t->stop_emulator;
my ($gone) = sdk([ $copy, copy() ]);
is($gone->{code}, 'ServiceUnavailable', 'unreachable: code');

$t->done;
