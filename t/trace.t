#!/usr/bin/perl

# Who asked, for those who look later: the trace of a caller in the audit log,
# the account in what Tencent records.  If this broke, nobody could tell which
# job a copy belongs to; or a caller could write into the log what it likes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $root = TCCBS::Test::root();
my $t = TCCBS::Test->new;
my $odd = "a\"b\\c;d\xc3\xa9=" . ('x' x 80);

my $quoted = "'" . ($odd =~ s/\\/\\\\/r) . "'";
my $named = $t->account('odd') =~ s/^tccbs_account odd/tccbs_account $quoted/r;

$t->run(accounts => $t->account('team-dr') . $named);

my ($trace, $parent) = ('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7');

# traced(headers): the records of a call with them, and what was sent

sub traced {
    my (@headers) = @_;

    my $params = copy();
    my $r = $t->call($action, $params,
        headers => [ map { [ 'traceparent', $_ ] } @headers ]);

    is($r->{code}, '', 'the call is answered: ' . join(', ', @headers));

    my ($sent) = grep { ($_->{body} // '') =~ /"$params->{SnapshotId}"/ }
        $t->emulated;
    my @records = $t->audit(id => $r->{audit_id});

    is(scalar @records, 2, 'two records');
    unlike(join("\n", @{$sent->{raw_headers}}), qr/traceparent|4bf92f/i,
        'nothing of it is passed on');

    my %seen = map { ($_->{trace} // '-') . ' ' . ($_->{parent} // '-') => 1 }
        @records;

    return join(', ', sort keys %seen);
}

for my $good ("00-$trace-$parent-01", "00-$trace-$parent-00",
    "00-$trace-$parent-ff", "01-$trace-$parent-01-more", "cc-$trace-$parent-01",
    "fe-$trace-$parent-09-")
{
    is(traced($good), "$trace $parent", "in the records: $good");
}

for my $bad ("00-$trace-$parent-01-more", "00-$trace-$parent-01-",
    "ff-$trace-$parent-01", "00-" . ('0' x 32) . "-$parent-01",
    "00-$trace-" . ('0' x 16) . '-01', "00-" . uc($trace) . "-$parent-01",
    "0-$trace-$parent-01", "00-$trace-$parent", "00-$trace-$parent-1",
    "00-$trace-$parent-0g", "00_$trace-$parent-01", "00-$trace$parent--01",
    "01-$trace-$parent-01more", "zz-$trace-$parent-01", '-', 'x' x 55,
    "00-${trace}0-$parent-01")
{
    is(traced($bad), '- -', "ignored: $bad");
}

is(traced("00-$trace-$parent-01", "00-$trace-$parent-01"), '- -',
    'two of them: ignored');
is(traced("00-$trace-$parent-01", 'x'), '- -', 'a good and a bad one');
is(traced('x', "00-$trace-$parent-01"), '- -', 'a bad and a good one');
is(traced(), '- -', 'none');

# a refusal has them, too

my $r = $t->call($action, copy(DestinationRegions => [ 'eu-frankfurt' ]),
    headers => [ [ 'TraceParent', "00-$trace-$parent-01" ] ]);
my $record;
ok($t->wait_for(sub { ($record) = $t->audit(id => $r->{audit_id}) }),
    'a refusal');
is("$record->{trace} $record->{parent}", "$trace $parent", 'has them');

# what Tencent is told

sub told {
    my ($params) = @_;
    my ($sent) = grep { ($_->{body} // '') =~ /"$params->{SnapshotId}"/ }
        $t->emulated;
    my @told = grep { /^X-TC-RequestClient: /i } @{$sent->{raw_headers}};
    is(scalar @told, 1, 'one X-TC-RequestClient');
    return $told[0] =~ s/^[^:]+: //r;
}

my ($version) = $t->slurp("$root/CHANGES") =~ /^Changes with \w+ (\S+)/m;

my $params = copy();
$t->call($action, $params, headers => [ [ 'X-TC-RequestClient', 'evil' ] ]);
is(told($params), "tccbs/$version; account=team-dr", 'gateway and account');

$params = copy();
is($t->call($action, $params, client => { account => 'odd' })->{code}, '',
    'an odd name');
is(told($params), "tccbs/$version; account="
    . substr('a_b_c_d___' . ('x' x 80), 0, 64), 'is made harmless, and cut');

# the id of the caller's own tracing is echoed, not passed on

$params = copy();
$r = $t->call($action, $params, headers => [ [ 'X-TC-TraceId', 'my-trace-1' ] ]);
is($r->{headers}{'x-tc-traceid'}, 'my-trace-1', 'X-TC-TraceId is echoed');
my ($sent) = grep { ($_->{body} // '') =~ /"$params->{SnapshotId}"/ }
    $t->emulated;
is_deeply([ grep { /^X-TC-TraceId: /i } @{$sent->{raw_headers}} ],
    [ "X-TC-TraceId: $r->{audit_id}" ], 'Tencent gets the id of the call');

# both verifiers take the new members

is(system("python3 $root/examples/verify-audit.py - - $t->{dir}/audit.jsonl"
    . " > $t->{dir}/verify.txt 2>&1"), 0, 'the other verifier agrees')
    or diag $t->slurp('verify.txt');

$t->done;
