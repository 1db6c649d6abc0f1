package TCCBS::Matrix;

# What can go wrong with a copy, and what is to become of it: the table of
# t/fault_matrix.t.  A row is a fault in one phase:
#
#   id        of the class of faults
#   phase     where it hits
#   fault     of the emulator, see CBS::Faults; or what else makes it
#   code      of the answer, "" for Tencent's own answer
#   outcome   in the header and in the audit log
#   held      whether the same copy is refused from then on
#   sent      how often it reaches CBS whole

use strict;
use warnings;

my $unreachable = 'ServiceUnavailable';
my $lost = 'InternalError.ComponentError';
my $unusable = 'InternalError';

sub row {
    my ($id, $phase, $fault, $code, $outcome, %more) = @_;

    return { id => $id, phase => $phase, fault => $fault, code => $code,
        outcome => $outcome, held => ($outcome // '') eq 'unknown',
        sent => ($outcome // 'not-sent') eq 'not-sent' ? 0 : 1, %more };
}

# what happens on a new connection only

sub connecting {
    return (
        row('M10', 'accept', { kind => 'drop_connect' }, $unreachable,
            'not-sent'),
        row('M10', 'accept', { kind => 'rst_connect' }, $unreachable,
            'not-sent'),
        row('M11', 'handshake', { kind => 'plain_connect' }, $unreachable,
            'not-sent'),
        row('M11', 'handshake', { kind => 'drop_handshake' }, $unreachable,
            'not-sent'),
        row('M11', 'handshake', { kind => 'hold_connect' }, $unreachable,
            'not-sent', release => 1),
    );
}

# what happens to a request and its answer

sub answering {
    my @rows;

    for my $bytes (1, 200, 400) {
        push @rows, map { row('M12', 'request', { kind => 'drop_in_request',
            bytes => $bytes, rst => $_ }, $lost, 'unknown', sent => 0) } 0, 1;
    }

    push @rows, map { row('M13', 'status line', $_, $lost, 'unknown') }
        { kind => 'drop_before' }, { kind => 'rst' },
        { kind => 'drop_before', ms => 50 };

    push @rows, row('M14', 'status line', { kind => 'delay', ms => 2500 },
        $lost, 'unknown');

    push @rows, map { row('M15', 'header', { kind => 'drop_in_header',
        bytes => $_ }, $lost, 'unknown') } 1, 9, 15, 60;

    push @rows, map { row('M15', 'header', $_, $lost, 'unknown') }
        { kind => 'big_header' }, { kind => 'garbage' }, { kind => 'http09' },
        { kind => 'two_lengths' }, { kind => 'te_and_cl' },
        { kind => 'length', value => '-1' }, { kind => 'length', value => '1x' },
        { kind => 'length', value => '99999999999999999999' };

    push @rows, map { row('M16', 'body', { kind => 'drop_in_body',
        bytes => $_ }, $lost, 'unknown') } 0, 1, 40;

    push @rows, row('M16', 'body', { kind => 'length+idle_close',
        value => 100_000 }, 'ResponseSizeLimitExceeded', 'unknown');

    push @rows, row('M16', 'body', { kind => 'length+idle_close',
        value => 10_000 }, $lost, 'unknown');

    push @rows, row('M16', 'body', { kind => 'oversized', bytes => 70_000 },
        'ResponseSizeLimitExceeded', 'unknown');

    push @rows, map { row('M16', 'body', $_, $unusable, 'unknown') }
        { kind => 'bad_json' }, { kind => 'duplicate_key' },
        { kind => 'no_request_id' }, { kind => 'missing_region' },
        { kind => 'other_region' }, { kind => 'length', value => 20 },
        { kind => 'body', body => '' }, { kind => 'body', body => 'null' },
        { kind => 'body', body => '{}' }, { kind => 'body', body => '[1]' },
        { kind => 'body', body => '{"Response":null}' },
        { kind => 'body', body => '{"Response":{"RequestId":"x"}}' },
        { kind => 'body', body => '{"Response":{"RequestId":"x",'
            . '"SnapshotCopyResultSet":{}}}' },
        { kind => 'body', body => "\xef\xbb\xbf{}" },
        { kind => 'body', body => '{"Response":{"RequestId":"x"}} x' };

    push @rows, map { row('M17', 'answer', { kind => 'error', code => $_ },
        $_, 'rejected') } qw/ InvalidSnapshotId.NotFound ResourceBusy
        InvalidSnapshot.NotSupported UnauthorizedOperation LimitExceeded
        InsufficientSnapshotQuota InvalidParameter UnsupportedOperation
        ResourceInUse.CopySnapshotConflict /;

    push @rows, map { row('M17', 'answer', { kind => 'error', code => $_ },
        $unreachable, 'rejected') } qw/ AuthFailure.SecretIdNotFound
        AuthFailure.SignatureExpire AuthFailure.UnauthorizedOperation /;

    push @rows, map { row('M18', 'answer', { kind => 'error', code => $_ },
        $_, 'unknown') } qw/ InternalError InternalError.ResourceOpFailed
        InternalError.ComponentError /;

    push @rows, row('M19', 'answer', undef, '', 'partial', snapshot => 'part');
    push @rows, row('M19', 'answer', undef, '', 'rejected',
        snapshot => 'full');

    push @rows, map { row('M20', 'status line', { kind => 'status',
        code => $_ }, $_ == 101 ? $lost : $unusable, 'unknown') } 101, 201,
        204, 301, 302, 304, 307, 400, 401, 403, 404, 408, 413, 429, 500, 502,
        503, 504, 599;

    push @rows, row('M20', 'header', { kind => 'informational', times => 3 },
        '', 'success');
    push @rows, row('M20', 'header', { kind => 'informational',
        times => 5000 }, $lost, 'unknown');

    push @rows, row('M21', 'answer', { kind => 'slow_trickle',
        bytes_per_second => 2000 }, '', 'success');
    push @rows, map { row('M21', 'answer', { kind => 'slow_trickle',
        bytes_per_second => 20, %$_ }, $lost, 'unknown') }
        {}, { of => 'body' };

    push @rows, map { row('M0', 'answer', $_, '', 'success') }
        undef, { kind => 'chunked', size => 1 }, { kind => 'chunked+split', bytes => 9 },
        { kind => 'close_delimited' }, { kind => 'split', bytes => 3 },
        { kind => 'extra_bytes' }, { kind => 'charset' },
        { kind => 'null_message' }, { kind => 'error_null' },
        { kind => 'delay', ms => 200 }, { kind => 'idle_close' };

    return @rows;
}

# what a caller does wrong: nothing is sent, nothing is held

sub calling {
    my @rows;

    push @rows, map { row('M1', 'shape', @$_, undef) } (
        [ { method => 'GET' }, 'UnsupportedProtocol' ],
        [ { method => 'PUT' }, 'UnsupportedProtocol' ],
        [ { target => '/?a=b' }, 'InvalidParameter' ],
        [ { type => 'application/x-www-form-urlencoded' }, 'InvalidRequest' ],
        [ { body => '{' }, 'InvalidParameter' ],
        [ { body => '{"SnapshotId":"a","SnapshotId":"a"}' },
          'InvalidParameter' ],
        [ { body => '{"DestinationRegions":["ap-beijing"]}' },
          'MissingParameter' ],
        [ { body => '{"Nothing":1}' }, 'UnknownParameter' ],
        [ { body => '{"SnapshotId":"no",'
            . '"DestinationRegions":["ap-beijing"]}' },
          'InvalidParameterValue' ],
        [ { body => ' ' x 20_000 }, 'RequestSizeLimitExceeded' ],
        [ { version => '2017-03-13' }, 'NoSuchVersion' ],
        [ { action => 'CopyNothing' }, 'InvalidAction' ],
        [ { drop_headers => [ 'X-TC-Timestamp' ] }, 'MissingParameter' ],
        [ { authorization => 'SKIP' }, 'AuthFailure.InvalidAuthorization' ],
        [ { headers => [ [ 'X-TC-Token', 'x' ] ] },
          'AuthFailure.TokenFailure' ]);

    push @rows, map { row('M2', 'signature', @$_, undef) } (
        [ { secret => 'x' x 40 }, 'AuthFailure.SignatureFailure' ],
        [ { signed_body => '{}' }, 'AuthFailure.SignatureFailure' ],
        [ { id => 'AKIDgw' . 'x' x 26 }, 'AuthFailure.SecretIdNotFound' ],
        [ { id => 'x!' }, 'AuthFailure.InvalidSecretId' ]);

    push @rows, map { row('M3', 'signature', { shift => $_ },
        'AuthFailure.SignatureExpire', undef) } -400, 400, -86_400;

    push @rows, map { row('M5', 'policy', $_, 'UnauthorizedOperation',
        undef) } { region => 'eu-frankfurt' }, { to => 'eu-frankfurt' },
        { account => 'reader' };

    push @rows, row('M6', 'rate', { account => 'slow' },
        'RequestLimitExceeded', undef);
    push @rows, row('M6', 'quota', { account => 'poor' }, 'LimitExceeded',
        undef);

    return @rows;
}

1;
