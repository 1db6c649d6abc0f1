#!/usr/bin/perl

# Each allocation of the module fails once, and then all from it on: while a
# call is handled, while the configuration is read.  If this broke, a moment
# without memory could crash a worker, or forward a call without a record.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::UNIX;
use Test::More;
use TCCBS::Answer qw/ copied tag /;
use TCCBS::Status qw/ status /;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $ANY $WORKER /;

my $t = TCCBS::Torture::gateway(exempt => [ qr/no memory for the audit record/,
    qr/has no room for \d/, qr/no room to hold/ ]);

# The configuration: refused, with a message, and no crash

$t->emulator;
$t->key($_) for qw/ mapped limited slow /;
$t->credential('temporary', token => 1);

my $mapped = TCCBS::Test::free_port();
my $limits = 'limit 10000r/s; queue 5s 100;';

my %conf = (listen => '', accounts => $t->account('team-dr')
        . $t->account('limited', rate => '1r/m burst=1 nodelay',
            quota => '5/d', snapshots => 'snap-*')
        . $t->account('mapped', identity => '"CN=mapped,O=example"',
            credential => 'temporary')
        . $t->account('slow', credential => 'slow'),
    credential => "tccbs_credential prod {
            file $t->{dir}/keys/prod.json; $limits }
        tccbs_credential temporary {
            file $t->{dir}/keys/temporary.json; $limits }
        tccbs_credential slow {
            file $t->{dir}/keys/prod.json; limit 20r/s; queue 5s 100; }",
    audit => "tccbs_audit $t->{dir}/audit.jsonl
        syslog:server=unix:$t->{dir}/syslog,nohostname;",
    http => 'log_format all "$tccbs_account $tccbs_delay'
        . ' $tccbs_upstream_limit";',
    location => "tccbs_signed_host cbs.intl.tencentcloudapi.com;
        tccbs_snapshot_tag on; access_log $t->{dir}/logs/all.log all;",
    server => 'location = /tccbs { tccbs_status; }',
    servers => TCCBS::Conf::mapped($mapped, 'tccbs_ssl_verify_depth 2;'));

my $syslog = IO::Socket::UNIX->new(Type => SOCK_DGRAM,
    Local => "$t->{dir}/syslog") or die "syslog: $!\n";
chmod 0666, "$t->{dir}/syslog";

$t->write_conf(%conf);

TCCBS::Torture::torture('configuration', $ANY, sub {
    my $bad = TCCBS::Torture::configures($t);
    my $c = TCCBS::Torture::counters();
    return $bad if $bad;
    return 'accepted' if $c->{failed} && $? == 0 && $c->{count} < 5;
    return;
});

# so many derived keys that the memory for secrets must grow for one

my $master = $t->file('keys/master', TCCBS::Test::random(64), 0400);

$t->write_conf(http => "tccbs_key_master $master;", accounts => join('', map {
    TCCBS::Conf::account("team-$_", undef,
        key => sprintf('AKIDgwderived%06d derived', $_)) } 1 .. 1100));

TCCBS::Torture::torture_places('calls', 'derived keys', $ANY, sub {
    my $bad = TCCBS::Torture::configures($t);
    return $bad if $bad;
    return 'accepted' if TCCBS::Torture::counters()->{failed} && $? == 0;
    return;
}, of => qr/tccbs_arena/, times => 4);

# Calls: each is answered in the one form, or the connection is closed; the
# worker goes on.

$t->run(%conf);

is($t->call('CopySnapshotCrossRegions', copy(), client => { plain => 1 })
    ->{code}, '', 'a call before');

my ($worker) = $t->workers;
my ($shut, %told);

sub told {
    my ($r) = @_;
    $shut ||= ($r->{message} // '') =~ /audit log cannot be written/;
    $told{$r->{response} ? $r->{code} || 'made' : $r->{error}}++;
    return "no form: $r->{raw}" if $r->{status} && !$r->{response};
    return 'another worker' if ($t->workers)[0] != $worker;
    return;
}

sub opened {
    return if !$shut;
    $shut = 0;
    return TCCBS::Torture::forwards($t, client => { plain => 1 });
}

sub torture {
    my ($name, $run, %o) = @_;
    TCCBS::Torture::torture($name, $WORKER, $run, after => \&opened, %o);
}

sub torture_new {
    my ($name, $run, %o) = @_;
    TCCBS::Torture::torture_places('calls', $name, $WORKER, $run,
        after => \&opened, new => 1, %o);
}

sub caller_of {
    my (%o) = @_;
    return sub {
        $t->faults({ kind => $o{fault}, %{$o{how} // {}} }) if $o{fault};
        my $r = $t->call($o{action} // 'CopySnapshotCrossRegions',
            $o{params} ? $o{params}->() : copy(SnapshotName => 'torture'),
            client => { plain => 1, %{$o{client} // {}} },
            timeout => 20, %{$o{call} // {}});
        return told($r);
    };
}

# several calls at once

sub callers_of {
    my ($n, $account, $params) = @_;
    return sub {
        my $same = $params->();
        my @clients = map { $t->client(plain => 1, account => $account) }
            1 .. $n;
        $_->send($_->request('CopySnapshotCrossRegions', $same // copy(),
            close => 1)) for @clients;
        my @bad = map { told($_->answer(20)) // () } @clients;
        $_->close for @clients;
        return $bad[0];
    };
}

torture('copy', caller_of(call => {
    headers => [ [ 'X-TC-TraceId', 'torture' ] ] }));
torture('two regions', caller_of(params => sub {
    copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]) }));
torture('describe', caller_of(action => 'DescribeSnapshots',
    params => sub { return { Limit => 3 } }));
torture('refused by policy', caller_of(params => sub {
    copy(DestinationRegions => [ 'ap-tokyo' ]) }));
torture('bad signature', caller_of(call => { secret => 'x' x 40 }));
torture('malformed', caller_of(call => { body => '{"a"' }));
torture('unknown parameter', caller_of(params => sub {
    return { %{copy()}, Unknown => 1 } }));
torture('rate', caller_of(client => { account => 'limited' }));
torture('mapped', caller_of(client => { port => $mapped },
    call => { headers => [ [ 'X-Who', 'CN=mapped,O=example' ] ] }));
torture('an answer that is lost', caller_of(fault => 'drop_in_body'));

# of one of two regions it is known

my @both = ('ap-beijing', 'ap-singapore');
my $half = copied([ $both[0], 'Success', 'snap-00000001' ],
    [ $both[1], 'InternalError', '' ]);

torture('half of an answer', caller_of(fault => 'body',
    how => { body => $half },
    params => sub { copy(DestinationRegions => [ @both ]) }));

# an answer that is lost, and what is seen of the copy later

my ($lost, $tag);

sub lose {
    $t->faults({ kind => 'drop_before' });
    $lost = copy(SnapshotName => 'lost');
    $tag = tag($t->call('CopySnapshotCrossRegions', $lost,
        client => { plain => 1 })->{headers}{'x-tccbs-id'});
}

sub looked_for {
    return { Filters => [ { Name => 'snapshot-name',
        Values => [ "lost #$tag" ] } ] };
}

sub find {
    lose();
    my $r = $t->call('DescribeSnapshots', looked_for(),
        client => { plain => 1 }, region => 'ap-beijing');
    die "not found: $r->{body}\n" if $r->{body} !~ /lost #$tag/;
}

my $seen = caller_of(action => 'DescribeSnapshots',
    params => \&looked_for, call => { region => 'ap-beijing' });

torture('seen again', $seen, before => \&lose);
torture_new('seen again', $seen, before => \&lose);

# and of one that is seen at its source, which has no new id yet

torture('seen at the source', caller_of(action => 'DescribeSnapshots',
    params => sub { return { SnapshotIds => [ $lost->{SnapshotId} ] } }),
    before => \&lose);
torture_new('found again', caller_of(params => sub { $lost }), before => \&find);

my $throttled = caller_of(fault => 'error',
    how => { code => 'RequestLimitExceeded' });

torture('refused for the rate', $throttled, once => 1);
torture_new('refused for the rate', $throttled);
torture_new('at once', callers_of(3, 'slow', sub { undef }));
torture_new('the same at once', callers_of(2, 'slow', sub { copy() }));

my $same = copy();
is($t->call('CopySnapshotCrossRegions', $same, client => { plain => 1 })
    ->{code}, '', 'a call whose answer is kept');
torture('the answer again', caller_of(params => sub { $same }));

for my $form (qw/ json prometheus html /) {
    torture("status as $form", sub {
        my $r = eval { status($t, $form, client => { plain => 1 }) };
        return if $@;
        return $r->{status} =~ /^(?:200|500)$/ ? undef : "said $r->{status}";
    });
}

# a new file for the log, made by the master

my $rotated = 0;

TCCBS::Torture::torture_places('calls', 'a new log', $ANY, sub {
    my $log = "$t->{dir}/audit.jsonl";
    rename($log, "$log." . ++$rotated) or die "$log: $!\n";
    kill 'USR1', $t->{pid};
    $t->wait_for(sub { -e $log }) or return 'there is none';
    return;
}, of => qr/journal_(?:appear|flush)/, after => sub {
    return TCCBS::Torture::forwards($t, client => { plain => 1 });
});

is(told($t->call('CopySnapshotCrossRegions', copy(),
    client => { plain => 1 })), undef, 'the gateway goes on');
ok($told{made}, 'calls were made');
cmp_ok(scalar keys %told, '>', 1, 'and refused for want of memory');
diag(join(', ', map { "$told{$_} $_" } sort keys %told));

# An outcome for whose record there was no memory, twice in a row, is written
# when the gateway starts the next time.

$t->stop;
$t->start;
ok($t->settled, 'every intent has an outcome');
$t->stop;

# yajl never asks for more than what is there for it; the others come after the
# failure of one before them: a header that says that there is no record, the
# second try to keep an answer

TCCBS::Torture::all_failed('calls', 'ngx_tccbs_json_malloc: ngx_palloc',
    'ngx_http_tccbs_answer: ngx_list_push',
    'ngx_http_tccbs_store_answer: ngx_slab_calloc_locked');

$t->done;
