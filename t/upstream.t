#!/usr/bin/perl

# What becomes of a call when the upstream misbehaves.  If this broke, a copy
# that was paid could be reported as failed, or be sent a second time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

# fault, outcome, code for the caller; "" is Tencent's success

my @cases = (
    [ { kind => 'chunked', size => 1 }, 'success', '' ],
    [ { kind => 'chunked', size => 7 }, 'success', '' ],
    [ { kind => 'close_delimited' }, 'success', '' ],
    [ { kind => 'split', bytes => 1 }, 'success', '' ],
    [ { kind => 'informational' }, 'success', '' ],
    [ { kind => 'extra_bytes' }, 'success', '' ],
    [ { kind => 'charset' }, 'success', '' ],
    [ { kind => 'null_message' }, 'success', '' ],
    [ { kind => 'error_null' }, 'success', '' ],
    [ { kind => 'delay', ms => 300 }, 'success', '' ],

    [ { kind => 'error', code => 'ResourceBusy' }, 'rejected',
      'ResourceBusy' ],
    [ { kind => 'error', code => 'AuthFailure.SecretIdNotFound' },
      'rejected', 'ServiceUnavailable' ],
    [ { kind => 'error', code => 'InternalError.ResourceOpFailed' },
      'unknown', 'InternalError.ResourceOpFailed' ],

    [ { kind => 'drop_before' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'rst' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'drop_in_header' }, 'unknown',
      'InternalError.ComponentError' ],
    [ { kind => 'drop_in_body', bytes => 20 }, 'unknown',
      'InternalError.ComponentError' ],
    [ { kind => 'delay', ms => 3000 }, 'unknown',
      'InternalError.ComponentError' ],
    [ { kind => 'garbage' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'http09' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'two_lengths' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'te_and_cl' }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'chunked', version => '1.0' }, 'unknown',
      'InternalError.ComponentError' ],
    [ { kind => 'close_delimited', headers => [ [ 'Transfer-Encoding',
      'gzip' ] ] }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'chunked', headers => [ [ 'Transfer-Encoding', 'gzip' ] ] },
      'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'delay', ms => 1, headers => [ [ 'Content-Encoding',
      'gzip' ] ] }, 'unknown', 'InternalError.ComponentError' ],
    [ { kind => 'delay', ms => 1, headers => [ [ "X-\0", 'x' ] ] }, 'unknown',
      'InternalError.ComponentError' ],
    [ { kind => 'oversized', bytes => 70000 }, 'unknown',
      'ResponseSizeLimitExceeded' ],
    [ { kind => 'oversized+chunked', bytes => 70000, size => 5000 },
      'unknown', 'ResponseSizeLimitExceeded' ],
    [ { kind => 'oversized+close_delimited', bytes => 70000 },
      'unknown', 'ResponseSizeLimitExceeded' ],
    [ { kind => 'bad_json' }, 'unknown', 'InternalError' ],
    [ { kind => 'no_request_id' }, 'unknown', 'InternalError' ],
    [ { kind => 'missing_region' }, 'unknown', 'InternalError' ],
    [ { kind => 'other_region' }, 'unknown', 'InternalError' ],
    [ { kind => 'status', code => 500 }, 'unknown', 'InternalError' ],
    [ { kind => 'status', code => 503, body => '<html>' }, 'unknown',
      'InternalError' ],
    [ { kind => 'status', code => 301, body => '{}' }, 'unknown',
      'InternalError' ],
    [ { kind => 'status', code => 101 }, 'unknown',
      'InternalError.ComponentError' ],
);

# our own credential refused is worth a crit

my $t = TCCBS::Test->new(exempt => [ qr/refused the credential "prod"/ ]);

$t->run(http => 'tccbs_read_timeout 1s; tccbs_total_timeout 3s;
    tccbs_response_size 64k;');

for my $case (@cases) {
    my ($fault, $outcome, $code) = @$case;

    my $name = join(' ', map { ref ? $_->[0][0] =~ s/\0/NUL/r : $_ }
        map { $fault->{$_} }
        sort { ($b eq 'kind') <=> ($a eq 'kind') || $a cmp $b } keys %$fault);
    my $before = () = $t->emulated;

    $t->faults($fault);

    my $r = $t->call('CopySnapshotCrossRegions', copy());

    is($r->{code}, $code, "$name: code")
        or diag($r->{body} || $r->{error});
    is($r->{headers}{'x-tccbs-outcome'}, $outcome, "$name: outcome");

    my @seen = $t->emulated;
    is(@seen - $before, 1, "$name: sent once");

    my ($record) = $t->audit(id => $r->{headers}{'x-tccbs-id'},
        kind => 'outcome');
    is($record->{outcome}, $outcome, "$name: recorded");

    if ($r->{code} eq '' || $code =~ /^(ResourceBusy|InternalError\.R)/) {
        is($r->{id}, $seen[-1]{answered}{request_id},
            "$name: Tencent's RequestId");
    }

    if ($fault->{kind} eq 'null_message') {
        is($r->{response}{SnapshotCopyResultSet}[0]{Message}, '',
            "$name: a string again");
    }

    if ($fault->{kind} eq 'error_null') {
        ok(!exists $r->{response}{Error}, "$name: left out");
    }

    if ($outcome eq 'unknown' && $code =~ /^InternalError/
        && $code !~ /Resource/)
    {
        like($r->{message}, qr/outcome is unknown/, "$name: says so");
    }
}

# each byte of an answer comes in time, all of them do not

$t->faults({ kind => 'slow_trickle', of => 'body', bytes_per_second => 20 });
my $slow = $t->call('CopySnapshotCrossRegions', copy());

is($slow->{code}, 'InternalError.ComponentError', 'total: refused');
is($slow->{outcome}, 'unknown', 'total: outcome');
cmp_ok(abs($slow->{ms} - 3000), '<', 900, 'total: when its time is over');
is(($t->audit(id => $slow->{headers}{'x-tccbs-id'}, kind => 'outcome'))[0]
    {outcome}, 'unknown', 'total: recorded');

# partial and wholly failed

for my $case ([ 'snap-part0001', 'partial' ], [ 'snap-full0001', 'rejected' ])
{
    my ($id, $outcome) = @$case;

    my $r = $t->call('CopySnapshotCrossRegions', { SnapshotId => $id,
        DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] });

    is($r->{code}, '', "$outcome: an answer");
    is($r->{headers}{'x-tccbs-outcome'}, $outcome, "$outcome: outcome");

    my ($record) = $t->audit(id => $r->{headers}{'x-tccbs-id'},
        kind => 'outcome');
    is($record->{per}[1]{code}, 'InsufficientSnapshotQuota',
        "$outcome: recorded");
}

# nothing leaves: the connection is refused

$t->stop_emulator;

my $r = $t->call('CopySnapshotCrossRegions', copy());

is($r->{code}, 'ServiceUnavailable', 'refused: code');
is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', 'refused: not sent');
like($r->{message}, qr/nothing was sent/, 'refused: says so');

my ($record) = $t->audit(id => $r->{headers}{'x-tccbs-id'},
    kind => 'outcome');
is($record->{outcome}, 'not-sent', 'refused: recorded');
is($record->{sent}, 0, 'refused: no byte');

$t->done;
