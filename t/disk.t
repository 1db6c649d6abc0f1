#!/usr/bin/perl

# A disk that takes part of a record: at each byte of it, once and for good, and
# one that becomes read-only.  If this broke, a call could be sent that is in no
# log, or what became of one could be lost.
#
# TCCBS_OFFSETS=N: every N-th byte of a record (1: "make faults", slow).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Errno qw/ ENOSPC EIO EDQUOT /;
use Test::More;
use Time::HiRes qw/ sleep time /;
use TCCBS::Test qw/ busiest copy /;
use TCCBS::Trust;

my $step = $ENV{TCCBS_OFFSETS} // 131;
my $action = 'CopySnapshotCrossRegions';
my $lib = TCCBS::Test::root() . '/' . ($ENV{TCCBS_OBJS} // 'objs')
    . '/test/short.so';

plan skip_all => 'no short.so, run "make unit"' if !-e $lib;

my @exempt = (qr/nothing is forwarded until/, qr/write\(\) "\S+" failed/,
    qr/the audit file is written again/);

my $t = TCCBS::Test->new(torn => 1, exempt => \@exempt);
my $control = $t->file('short', pack('i7', (0) x 7), 0666);

$t->credential('limited');

$ENV{TCCBS_SHORT} = $control;
{
    local $ENV{TCCBS_LD_PRELOAD} = join(' ', grep { $_ }
        $ENV{TCCBS_LD_PRELOAD}, $lib);
    $t->run(location => 'tccbs_read_timeout 2s;',
        credential => "tccbs_credential prod { file $t->{dir}/keys/prod.json;
                limit 10000r/s; }
            tccbs_credential limited { file $t->{dir}/keys/limited.json; }",
        accounts => $t->account('team-dr')
            . $t->account('paced', credential => 'limited'),
        server => 'location = /page { return 200 "page"; }');
}

sub control {
    my (@set) = @_;
    open(my $fh, '+<:raw', $control) or die "$control: $!\n";
    syswrite($fh, pack('i4', @set)) == 16 or die if @set;
    sysseek($fh, 0, 0);
    sysread($fh, my $now, 24) == 24 or die;
    return unpack('i6', $now);
}

sub calls { return $t->call($action, copy())->{code} eq '' }

# a disk that is slow holds up nothing but calls

sub page {
    my ($client, $n) = @_;
    my @ms = map {
        my $from = time;
        $client->exchange("GET /page HTTP/1.1\r\nHost: x\r\n\r\n",
            raw_answer => 1)->{body} eq 'page' or die "no page\n";
        sleep 0.002;
        (time - $from) * 1000 - 2;
    } 1 .. $n;
    return (sort { $a <=> $b } @ms)[int($n * 0.95)];
}

sub delay {
    open(my $fh, '+<:raw', $control) or die "$control: $!\n";
    sysseek($fh, 24, 0);
    syswrite($fh, pack('i', shift)) == 4 or die;
}

my $pages = $t->client;
page($pages, 5);
my @more;

for (1 .. 5) {
    my $alone = page($pages, 60);
    delay(500);
    my $client = $t->client;
    my $from = time;
    $client->send($client->request($action, copy(), close => 1));
    my $beside = page($pages, 60);
    is($client->answer->{code}, '', 'slow: the call is answered');
    cmp_ok(time - $from, '>', 0.9, 'slow: its records were waited for');
    delay(0);
    push @more, $beside - $alone;
}

my ($least, $median) = (sort { $a <=> $b } @more)[0, 2];
cmp_ok($least, '<=', 5, sprintf('slow: others wait %.1f ms longer', $median));

TCCBS::Trust::figure('The audit log', 'other requests while each sync takes '
    . '500 ms: their 95th percentile, median of 5 rounds',
    sprintf('%+.1f ms', $median), '<= 5 ms', 'prove t/disk.t');

# who asks for the same is told when the log knows it

delay(500);
my $same = copy();
my @same = map { $t->client } 1, 2;
$same[0]->send($same[0]->request($action, $same));
$t->wait_for(sub { $t->sent($same) }) or die "not sent\n";
my $told = time;
$same[1]->send($same[1]->request($action, $same));
is($same[1]->answer->{headers}{'x-tccbs-outcome'}, 'success',
    'slow: a duplicate is answered');
cmp_ok(time - $told, '>', 0.4, 'slow: not before the outcome is durable');
is($same[0]->answer->{code}, '', 'slow: as the first');
$_->close for @same;

# what a slow disk has brought together does not arrive together

delay(600);
my @many = map { my $c = $t->client(account => 'paced'); my $p = copy();
    $c->send($c->request($action, $p, close => 1));
    [ $c, $p->{SnapshotId} ] } 1 .. 40;
is(scalar(grep { $_->[0]->answer->{code} eq '' } @many), 40,
    'brought together: all are answered');
delay(0);
my %many = map { $_->[1] => 1 } @many;
my @at = map { $_->{t_first} } grep {
    ($_->{body} // '') =~ /"(snap-\d+)"/ && $many{$1} } $t->emulated;
cmp_ok(busiest(1e6, @at), '<=', 20,
    'brought together: no second sees more than the limit');

# how long the records of a call are

calls();
my @len = map { my $skip = $_;
    control(1, $skip, 0, 0);
    $t->call($action, copy());
    $t->settled;
    (control())[5] } 0, 1;

cmp_ok($len[0], '>', 500, "an intent of $len[0] bytes");
cmp_ok($len[1], '>', 500, "an outcome of $len[1] bytes");

# a write that is cut and goes on

my ($points, $bad) = (0, '');

for my $which (0, 1) {
    for (my $k = 1 + int(rand($step)) % 7; $k < $len[$which];
        $k += $step > 40 ? 40 : $step)
    {
        my ($hits) = (control())[4];
        control(1, $which, $k, 0);
        my $r = $t->call($action, copy());
        $bad .= "$which $k: $r->{code}\n" if $r->{code} ne '';
        $t->settled if $which;
        $bad .= "$which $k: not hit\n" if (control())[4] != $hits + 1;
        $points++;
    }
}

is($bad, '', "a short write at $points offsets: nothing happens");
is(scalar($t->tampered), undef, 'and the log is whole');

my $short = $points;

# full at that byte, until there is room again

($points, $bad) = (0, '');
my @errors = (ENOSPC, EDQUOT, EIO);

for my $which (0, 1) {
    for (my $k = int(rand($step)); $k < $len[$which]; $k += $step) {
        my $p = copy();
        my ($hits) = (control())[4];

        control(1, $which, $k, $errors[$points++ % @errors]);

        my $r = $t->call($action, $p);
        my $said = $r->{outcome} // '';

        $bad .= "intent $k: $r->{code}, $said, sent " . $t->sent($p) . "\n"
            if !$which && ($r->{message} !~ /nothing was sent/
                || $said ne 'not-sent' || $t->sent($p));
        $bad .= "outcome $k: $r->{code}, $said\n"
            if $which && ($r->{code} ne '' || $said ne 'success');
        $bad .= "$which $k: not hit\n" if (control())[4] != $hits + 1;
        $bad .= "$which $k: another is sent meanwhile\n" if calls();

        control(0, 0, 0, 0);
        $bad .= "$which $k: it does not go on\n"
            if !$t->wait_for(\&calls, 10);
        $bad .= "$which $k: an intent without an outcome\n" if !$t->settled;
    }
}

# A worker that dies while an intent waits for the disk and another one, which
# is behind it, was not even written: of that one there is no trace.

{
    my ($first, $second) = map { copy() } 1 .. 2;
    my @clients = map { $t->client } 1 .. 2;
    $_->connect for @clients;
    my $closed = () = $t->audit(kind => 'recovery');
    my $sent = () = $t->emulated;

    delay(60_000);
    $clients[0]->send($clients[0]->request($action, $first));
    ok($t->wait_for(sub { grep { ($_->{snapshot} // '') eq
        $first->{SnapshotId} } $t->audit(kind => 'intent') }),
        'killed: an intent is written');
    $clients[1]->send($clients[1]->request($action, $second));
    page($t->client, 5);
    unlike($t->slurp('audit.jsonl'), qr/"$second->{SnapshotId}"/,
        'killed: another one is not');
    delay(0);
    $t->kill_worker;

    ok($t->wait_for(sub { (() = $t->audit(kind => 'recovery')) > $closed }),
        'killed: the first one is closed');
    is(($t->audit(kind => 'recovery'))[-1]{outcome}, 'not-sent',
        'killed: as one that was not sent');
    is($t->call($action, $_)->{code}, '', 'killed: a call that can be repeated')
        for $first, $second;
    is(scalar(() = $t->emulated), $sent + 2, 'killed: each was sent once');
    is(scalar(() = $t->audit(kind => 'recovery')), $closed + 1,
        'killed: nothing is said of the second one');
    ok($t->settled, 'killed: no intent is left open');
}

is($bad, '', "full at $points offsets: each outcome is recorded");

TCCBS::Trust::figure('The audit log', 'a write cut short at an offset of a '
    . 'record', "$short offsets, 0 lost", '0', "TCCBS_OFFSETS=$step prove t/disk.t");
TCCBS::Trust::figure('The audit log', 'disk full at an offset of a record, '
    . 'then room again', "$points offsets of $len[0] + $len[1], "
    . '0 intents without their outcome', '0',
    "TCCBS_OFFSETS=$step prove t/disk.t");

$t->finish;

# a file system that becomes read-only after an error: what flies is recorded
# where USR1 leads

SKIP: {
    my $f = TCCBS::Test->new(workers => 2, oracle => 0, torn => 1,
        exempt => [ @exempt,
        qr/Read-only file system/, qr/no room can be reserved/ ]);
    my $disk = "$f->{dir}/disk";
    my $image = "$f->{dir}/image";

    mkdir $disk;

    my $ready = $> == 0
        && system("(truncate -s 24M $image && mkfs.ext4 -q -O ^has_journal "
            . "$image && mount -o loop,errors=remount-ro $image $disk) "
            . ">/dev/null 2>&1") == 0;

    if (!$ready) {
        $f->{altered} = 1;
        skip 'no loop device', 1;
    }

    chmod 0755, $disk;
    $f->run(audit => "tccbs_audit $disk/audit.jsonl;",
        zone => 'tccbs_zone tccbs:256k;');
    is($f->call($action, copy())->{code}, '', 'read-only: a copy before');

    my $p = copy();
    $f->faults({ kind => 'hold' });
    my $client = $f->client;
    $client->send($client->request($action, $p, close => 1));
    $f->wait_for(sub { $f->sent($p) });

    is(system('mount', '-o', 'remount,abort', $disk), 0, 'read-only now');
    $f->release;
    is($client->answer->{code}, '', 'read-only: what flies is answered');

    my $r = $f->call($action, my $q = copy());
    is($r->{outcome} // '', 'not-sent', 'read-only: refused');
    like($r->{message}, qr/nothing was sent/, 'read-only: says so');
    is($f->sent($q), 0, 'read-only: not sent');

    # another file system takes its place

    my $before = $f->slurp("$disk/audit.jsonl");
    system('umount', '-l', $disk);
    kill 'USR1', $f->{pid};
    ok($f->wait_for(sub { $f->call($action, copy())->{code} eq '' }, 20),
        'another disk: forwarded again');
    my ($id) = $before =~ /"id":"([^"]+)"[^\n]*"kind":"intent"[^\n]*"$p->{SnapshotId}"/;
    ok($f->wait_for(sub { grep { $_->{id} eq $id && $_->{outcome} eq 'success' }
        $f->audit(kind => 'outcome') }), 'another disk: the outcome is there');
    $f->{altered} = 1;
    $f->finish;
}

done_testing;
