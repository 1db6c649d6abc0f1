#!/usr/bin/perl

# The record comes first.  If this broke, a copy could be made that no log
# knows of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(exempt => [ qr/disk|audit/ ]);

$t->run(http => 'log_format tccbs "$tccbs_account|$tccbs_action|'
    . '$tccbs_decision|$tccbs_code|$tccbs_outcome|$tccbs_request_id";',
    server => "access_log $t->{dir}/logs/tccbs.log tccbs;");

my $action = 'CopySnapshotCrossRegions';

my $r = $t->call($action, copy());
$t->call($action, copy(DestinationRegions => [ 'ap-tokyo' ]));
$t->call($action, copy(), secret => 'x' x 40);

# variables for the operator's own log

my $log = $t->wait_for(sub {
    my @lines = split(/\n/, $t->slurp('logs/tccbs.log'));
    return @lines == 3 && \@lines;
});

is($log->[0], "team-dr|$action|allowed|-|success|"
    . $r->{headers}{'x-tccbs-id'}, 'variables: forwarded');
like($log->[1], qr/^team-dr\|$action\|refused\|UnauthorizedOperation\|-\|/,
    'variables: refused');
like($log->[2], qr/^-\|-\|refused\|AuthFailure.SignatureFailure\|-\|/,
    'variables: anonymous');

# a chain of lines: each has the hash of the one before

$t->wait_for(sub { $t->audit(kind => 'refusal') });

my $chained = sub {
    my ($file) = @_;
    my (%prev, $bad, %seq);
    for my $line (split(/\n/, $t->slurp($file))) {
        my $record = JSON::XS::decode_json($line);
        my $chain = $record->{chain};
        $bad++ if $record->{prev} ne ($prev{$chain} // '0' x 64);
        $bad++ if $record->{seq} != ($seq{$chain} // -1) + 1;
        $prev{$chain} = sha256_hex($line);
        $seq{$chain} = $record->{seq};
    }
    return $bad // 0;
};

is($chained->('audit.jsonl'), 0, 'chain');
is((stat "$t->{dir}/audit.jsonl")[2] & 07777, 0640, 'mode');

# rotation: renamed, reopened, and no record is lost

rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl.1");
kill 'USR1', $t->{pid};
ok($t->wait_for(sub { -e "$t->{dir}/audit.jsonl" }), 'reopened');

ok($t->wait_for(sub {
    $t->call($action, copy());
    return -s "$t->{dir}/audit.jsonl";
}), 'written to');

is((stat "$t->{dir}/audit.jsonl")[2] & 07777, 0640, 'mode after rotation');

# what the worker does, in its order

SKIP: {
    skip 'no strace', 12 if `sh -c 'command -v strace'` eq '';

    my ($worker) = $t->workers;

    my $trace = sub {
        my ($code, @options) = @_;

        my $out = "$t->{dir}/conf/strace";
        unlink $out;

        my $pid = $t->spawn("$t->{dir}/conf/strace.err", 'strace', '-f', '-s',
            '60', '-o', $out, '-p', $worker, @options);

        $t->wait_for(sub {
            $t->slurp('conf/strace.err') =~ /attached/ }, 10);

        my $result = $code->();

        kill 'INT', $pid;
        waitpid($pid, 0);
        unlink "$t->{dir}/conf/strace.err";

        return ($result, split(/\n/, $t->slurp('conf/strace')));
    };

    # without a kept connection, so that the connect() is to be seen

    my ($r, @calls) = $trace->(sub { $t->call($action, copy()) },
        '-e', 'trace=write,fdatasync,connect,sendto,writev');

    is($r->{code}, '', 'traced: answered');

    my ($intent, $sync, $sent);

    for my $i (0 .. $#calls) {
        $intent //= $i if $calls[$i] =~ /write\(\d+, "\{\\"v\\":1/;
        $sync //= $i if defined $intent
            && $calls[$i] =~ /fdatasync.*= 0$/;
        $sent //= $i if defined $intent
            && ($calls[$i] =~ /connect\(.*sin_port/
                || $calls[$i] =~ /write\(\d+, "\\27\\3\\3/);
    }

    ok(defined $intent && defined $sync && defined $sent,
        'traced: intent, sync, bytes');
    cmp_ok($intent, '<', $sync, 'traced: the sync is after the intent');
    cmp_ok($sync, '<', $sent, 'traced: the first byte is after the sync');

    # what cannot be recorded is not sent

    for my $fault ([ 'fdatasync', 'EIO' ], [ 'write', 'ENOSPC' ]) {
        my ($call, $error) = @$fault;

        my $before = () = $t->emulated;

        my ($r) = $trace->(sub {
            return $t->call($action, copy(SnapshotId =>
                "snap-" . lc "$error$call"));
        }, '-e', "trace=$call", '-e', "inject=$call:error=$error",
            ($call eq 'write' ? ('-P', "$t->{dir}/audit.jsonl") : ()));

        is($r->{code}, 'InternalError', "$error: refused");
        like($r->{message}, qr/audit log.*nothing was sent/,
            "$error: says why");
        is(scalar(() = $t->emulated), $before, "$error: nothing was sent");

        # and when the disk is well again, calls go through

        ok($t->wait_for(sub {
            $t->call($action, copy())->{code} eq '' }, 10),
            "$error: well again");

        my ($record) = grep { ($_->{snapshot} // '') eq
            "snap-" . lc "$error$call" } $t->audit(kind => 'outcome');
        is($record->{outcome}, 'not-sent', "$error: and it is recorded");
    }

    # a disk that takes its time: refused in time, the worker goes on

    my $before = () = $t->emulated;

    my ($slow) = $trace->(sub {
        return $t->call($action, copy());
    }, '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=3000000');

    is($slow->{code}, 'InternalError', 'slow: refused');
    like($slow->{message}, qr/too slow; nothing was sent/, 'slow: says why');
    is(scalar(() = $t->emulated), $before, 'slow: nothing was sent');

    ok($t->wait_for(sub {
        my ($record) = $t->audit(id => $slow->{headers}{'x-tccbs-id'},
            kind => 'outcome');
        return $record && $record->{outcome} eq 'not-sent' }, 10),
        'slow: recorded as not sent');
}

is($t->call($action, copy())->{code}, '', 'well in the end');

$t->done;
