#!/usr/bin/perl

# What an account may do.  If this broke, data could leave for a region where
# it must not be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->run(accounts => join('', $t->account('team-dr', snapshots =>
        'snap-dr* snap-*99 snap-a*b*c snap-exactly1* snap-exactly2'),
    $t->account('many', from => join(' ', map { sprintf('ap-region%04d', $_) }
        1 .. 60)),
    $t->account('reader', actions => 'DescribeSnapshots'),
    $t->account('writer', actions => 'CopySnapshotCrossRegions'),
    $t->account('idle', actions => undef),
    $t->account('nowhere', from => undef, to => undef),
    $t->account('anywhere', from => '*', to => '*')));

sub try {
    my ($account, $id, $from, $to, %o) = @_;
    return $t->call($o{action} // 'CopySnapshotCrossRegions',
        $o{params} // { SnapshotId => $id, DestinationRegions => $to },
        region => $from, client => { account => $account });
}

my $serial = 1000;
sub dr { return 'snap-drxx' . ++$serial }

my ($gz, $bj, $sg) = qw/ ap-guangzhou ap-beijing ap-singapore /;

is(try('team-dr', dr(), $gz, [ $bj, $sg ])->{code}, '', 'allowed');
is(try('team-dr', 'snap-00000099', $gz, [ $bj ])->{code}, '', 'suffix');
is(try('team-dr', 'snap-a1b2222c', $gz, [ $bj ])->{code}, '', 'two stars');
is(try('team-dr', "snap-exactly$_", $gz, [ $bj ])->{code}, '',
    'a star for nothing, or none') for 1 .. 2;
is(try('team-dr', 'snap-a1bcc000', 'ap-shanghai', [ $bj ])->{code},
    'UnauthorizedOperation', 'pattern must match to the end');

my $forwarded = () = $t->emulated;

my @denied = (
    [ 'from', qr/source region "ap-nanjing".*ap-guangzhou, ap-shanghai/,
        'team-dr', dr(), 'ap-nanjing', [ $bj ] ],
    [ 'to', qr/destination region "ap-tokyo".*ap-beijing, ap-singapore/,
        'team-dr', dr(), $gz, [ 'ap-tokyo' ] ],
    [ 'to', qr/"ap-tokyo"/, 'team-dr', dr(), $gz, [ $bj, 'ap-tokyo' ] ],
    [ 'snapshots', qr/snapshot "snap-zz000000".*snap-dr\*/, 'team-dr',
        'snap-zz000000', $gz, [ $bj ] ],
    [ 'actions', qr/action "CopySnapshotCrossRegions".*DescribeSnapshots/,
        'reader', dr(), $gz, [ $bj ] ],
    [ 'actions', qr/allows: nothing/, 'idle', dr(), $gz, [ $bj ] ],
    [ 'from', qr/allows: nothing/, 'nowhere', dr(), $gz, [ $bj ] ],
    [ 'from', qr/allows: (?:ap-region\d{4}, ){20,59}\.\.\.\.$/, 'many', dr(),
        $gz, [ $bj ] ],
);

for my $case (@denied) {
    my ($rule, $message, @call) = @$case;
    my $r = try(@call);

    is($r->{code}, 'UnauthorizedOperation', "denied by $rule");
    like($r->{message}, $message, 'says what is allowed');
    like($r->{message}, qr/rule "$rule"/, 'names the rule');
    like($r->{message}, qr/account "$call[0]"/, 'names the account');
}

is(try('writer', undef, $bj, undef, action => 'DescribeSnapshots',
    params => {})->{code}, 'UnauthorizedOperation', 'no look without it');
is(scalar(() = $t->emulated), $forwarded, 'nothing was forwarded');

# a look is allowed in source and destination regions; the bodies differ, since
# one signature is good for one region

my $limit = 0;

for my $region ($gz, 'ap-shanghai', $bj, $sg) {
    is(try('reader', undef, $region, undef, action => 'DescribeSnapshots',
        params => { Limit => ++$limit })->{code}, '', "look in $region");
}

is(try('reader', undef, 'ap-tokyo', undef, action => 'DescribeSnapshots',
    params => { Limit => ++$limit })->{code}, 'UnauthorizedOperation', 'and in no other');

is(try('anywhere', dr(), 'eu-frankfurt', [ 'sa-saopaulo' ])->{code}, '',
    'stars where they are written');

# refusals are in the audit log with their rule

$t->stop;

my @refusals = $t->audit(kind => 'refusal');
my %rules;
$rules{$_->{rule}}++ for @refusals;

is_deeply(\%rules, { from => 4, to => 2, snapshots => 2, actions => 3 },
    'rules recorded');
is($refusals[0]{decision}, 'refused', 'decision recorded');
is($refusals[0]{code}, 'UnauthorizedOperation', 'code recorded');
like($refusals[0]{policy}, qr/^[0-9a-f]{16}$/, 'policy digest recorded');

$t->done;
