#!/usr/bin/perl

# What "make mutants" found untested: answers of the upstream that are nearly
# right, outcomes that are known in part, limits that another action must not
# use up.  If this broke, a copy could be taken for done that is not, or be
# made twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->credential('second');
$t->key($_) for qw/ other daily /;

my @accounts = ($t->account('team-dr'),
    $t->account('other', credential => 'second'));

my %conf = (location => 'tccbs_total_timeout 6s;',
    server => 'large_client_header_buffers 4 32k;',
    credential => join(' ', map { "tccbs_credential $_ {
        file $t->{dir}/keys/$_.json; limit 10000r/s; }" } qw/ prod second /));

sub accounts {
    return join('', @accounts, $t->account('daily',
        rate => '100r/s burst=100 nodelay', @_));
}

$t->run(%conf, accounts => accounts(quota => '5/d'));

my $copy = 'CopySnapshotCrossRegions';
my $describe = 'DescribeSnapshots';
my ($bj, $sg) = qw/ ap-beijing ap-singapore /;
my $id = '"RequestId":"98f0b5f0-7d84-4d11-9819-ee7804e524a4"';

sub told {
    my ($body) = @_;
    $t->faults({ kind => 'body', body => qq({"Response":{$body}}) });
}

sub result {
    my ($region, $code) = @_;
    return encode_json({ DestinationRegion => $region, Code => $code,
        SnapshotId => $code eq 'Success' ? 'snap-replica1' : '',
        Message => '' });
}

sub results { return '"SnapshotCopyResultSet":[' . join(',', @_) . ']' }

# answers of a copy to two regions

my $good = result($bj, 'Success');
my $both = results($good, result($sg, 'Success'));

my @answers = (
    [ 'both done', "$both,$id", 'success', '' ],
    [ 'one region twice', results($good, $good) . ",$id", 'unknown',
      'InternalError' ],
    [ 'a RequestId that is a number', qq($both,"RequestId":1), 'unknown',
      'InternalError' ],
    [ 'an empty RequestId', qq($both,"RequestId":""), 'unknown',
      'InternalError' ],
    [ 'a RequestId with a blank', qq($both,"RequestId":"a b"), 'unknown',
      'InternalError' ],
    [ 'a long RequestId', qq($both,"RequestId":") . 'x' x 65 . '"',
      'unknown', 'InternalError' ],
    [ 'a result without a code', results($good,
      result($sg, '')) . ",$id", 'unknown', 'InternalError' ],
    [ 'a result with no known end', results($good,
      result($sg, 'InternalError')) . ",$id", 'unknown', '' ],
    [ 'an error without a text', qq("Error":{"Code":"ResourceBusy",)
      . qq("Message":1},$id), 'unknown', 'InternalError' ],
    [ 'an error without a code', qq("Error":{"Code":"","Message":"x"},$id),
      'unknown', 'InternalError' ],
    [ 'the shortest error with no known end', qq("Error":{)
      . qq("Code":"InternalError","Message":"x"},$id), 'unknown',
      'InternalError' ],
    [ 'an error with a known end', qq("Error":{"Code":"InternalErro",)
      . qq("Message":"x"},$id), 'rejected', 'InternalErro' ],
);

for my $case (@answers) {
    my ($name, $body, $outcome, $code) = @$case;

    told($body);
    my $r = $t->call($copy, copy(DestinationRegions => [ $bj, $sg ]));

    is($r->{outcome}, $outcome, "$name: outcome");
    is($r->{code}, $code, "$name: code");
}

# answers of a describe

for my $case ([ '0', '' ], [ '"0"', 'InternalError' ],
    [ 'null', 'InternalError' ])
{
    my ($count, $code) = @$case;

    told(qq("SnapshotSet":[],"TotalCount":$count,$id));
    is($t->call($describe, {})->{code}, $code, "TotalCount $count");
}

# of two regions one is done and one unknown: only the latter is held

my $params = copy(DestinationRegions => [ $bj, $sg ]);

told(results($good, result($sg, 'InternalError.ResourceOpFailed'))
    . ",$id");
is($t->call($copy, $params)->{outcome}, 'unknown', 'known in part');
is($t->call($copy, { %$params, DestinationRegions => [ $sg ] })->{code},
    'InternalError.ComponentError', 'the unknown one is held');
is($t->call($copy, { %$params, DestinationRegions => [ $bj ] })->{code}, '',
    'the other is not');

# nor is one of which Tencent said that it was refused

$params = copy(DestinationRegions => [ $bj, $sg ]);

told(results(result($bj, 'ResourceBusy'),
    result($sg, 'InternalError.ResourceOpFailed')) . ",$id");
is($t->call($copy, $params)->{outcome}, 'unknown', 'refused in part');
is($t->call($copy, { %$params, DestinationRegions => [ $sg ] })->{code},
    'InternalError.ComponentError', 'the unknown one is held');
is($t->call($copy, { %$params, DestinationRegions => [ $bj ] })->{code}, '',
    'the refused one is not');

# refused for its rate, then lost: that is not tried a third time

$t->faults({ kind => 'throttle' }, { kind => 'drop_before' });

my $before = () = $t->emulated;
my $r = $t->call($copy, copy());

is($r->{outcome}, 'unknown', 'lost after a refusal for the rate');
is(scalar(() = $t->emulated) - $before, 2, 'two attempts, no third');

# two accounts with credentials of their own make copies of their own

$params = copy();
$before = () = $t->emulated;

is($t->call($copy, $params, client => { account => $_ })->{code}, '',
    "copy of $_") for qw/ team-dr other /;
is(scalar(() = $t->emulated) - $before, 2, 'both were sent');

# the same bytes again: the signature may come twice, the copy is made once

my $stamp = time;
$params = copy();
$before = () = $t->emulated;

is($t->call($copy, $params, stamp => $stamp)->{code}, '', "signature, time $_")
    for 1 .. 2;
is(scalar(() = $t->emulated) - $before, 1, 'sent once');

# a header that nginx takes and the gateway need not

$r = $t->call($copy, copy(),
    headers => [ [ 'X-TC-TraceId', 'x' x 8193 ] ]);
is($r->{code}, 'InvalidParameter', 'a long header');
is($t->call($copy, copy(), headers => [ [ 'X-TC-TraceId', 'x' x 8192 ] ])
    ->{code}, '', 'the longest one');

# a quota that became smaller than what is used is no matter for a describe

is($t->call($copy, copy(), client => { account => 'daily' })->{code}, '',
    "copy $_ of the day") for 1 .. 4;

$t->write_conf(%conf, accounts => accounts(quota => '2/d'));
ok($t->reload, 'smaller quota');

is($t->call($copy, copy(), client => { account => 'daily' })->{code},
    'LimitExceeded', 'no copy any more');
is($t->call($describe, {}, client => { account => 'daily' })->{code}, '',
    'but a describe');

$t->done;
