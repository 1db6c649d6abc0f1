#!/usr/bin/perl

# After a crash of the whole gateway the audit log is what is left: it says
# which calls are open, which regions are held and which copies were made.  If
# this broke, a restart would be a licence to copy twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ time /;
use TCCBS::Answer qw/ copied /;
use TCCBS::Test qw/ copy killed /;

my $t = TCCBS::Test->new(workers => 2);

$t->run(location => 'tccbs_hold 6s; tccbs_replay_window 60s;
    tccbs_read_timeout 3s;');

my $action = 'CopySnapshotCrossRegions';

my $done = copy(DestinationRegions => [ 'ap-singapore', 'ap-beijing' ],
    SnapshotName => "n\x{e9}");
my $answer = $t->call($action, $done);
is($answer->{code}, '', 'a copy');

my $part = { SnapshotId => 'snap-part0001',
    DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] };
my $partial = $t->call($action, $part);

my $lost = copy();
$t->faults({ kind => 'drop_before' });
is($t->call($action, $lost)->{headers}{'x-tccbs-outcome'}, 'unknown',
    'an unknown one');

# one in flight, when everything dies

my $flying = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
$t->faults({ kind => 'hold' });
my $client = $t->client;
$client->send($client->request($action, $flying));
$t->wait_for(sub { $t->sent($flying) });

my ($open) = grep { ($_->{snapshot} // '') eq $flying->{SnapshotId} }
    $t->audit(kind => 'intent');

$t->crash;
$client->close;
$t->release;

# and lines that were being written: the last one, and one of a worker that
# had died before, behind which another one went on with this very intent

my $piece = '{"v":1,"time":"2026-01-01T00:00:00.000000Z","id":"';
my $text = $t->slurp('audit.jsonl')
    =~ s/^(?=\{[^\n]*"id":"$open->{id}")/${piece}half/mr . "${piece}torn";

open(my $fh, '>', "$t->{dir}/audit.jsonl") or die;
print $fh $text;
close $fh;

like($text, qr/"half\{.*$open->{id}/, 'a half line');

$t->start;

# the open one gets its outcome, and is held

my $recovered = $t->wait_for(sub {
    grep { index($_, 'torn') < 0 && /$open->{id}/ && /"recovery"/ }
        split(/\n/, $t->slurp('audit.jsonl')) });
ok($recovered, 'the open intent has an outcome');
like($t->slurp('audit.jsonl'), qr/"id":"torn\n/, 'the torn line is sealed');

for my $same ({}, { DestinationRegions => [ 'ap-singapore' ] }) {
    my $r = $t->call($action, { %$flying, %$same });
    is($r->{code}, 'InternalError.ComponentError', 'the open one is held');
    like($r->{message}, qr/$open->{id}/, 'under its id');
}

is($t->call($action, $lost)->{code}, 'InternalError.ComponentError',
    'the unknown one is held');

# what was answered is answered again

my $again = $t->call($action, $done);
is_deeply($again->{json}, $answer->{json}, 'the copy has its answer');
is($again->{headers}{'x-tccbs-duplicate-of'},
    $answer->{headers}{'x-tccbs-id'}, 'of the first call');
is($again->{headers}{'x-tccbs-outcome'}, 'success', 'and its outcome');

$again = $t->call($action, $part);
is_deeply([ map { $_->{Code} } @{$again->{response}{SnapshotCopyResultSet}} ],
    [ 'Success', 'InsufficientSnapshotQuota' ], 'so has the partial one');
is($again->{id}, $partial->{id}, 'with the RequestId of Tencent');

is($t->sent($_), 1, 'sent once') for $done, $part, $lost, $flying;

# a reload does not read the log again; a hold ends

$t->reload;
is(scalar(grep { /$open->{id}/ && /"recovery"/ }
    split(/\n/, $t->slurp('audit.jsonl'))), 1, 'one outcome');
ok($t->wait_for(sub { $t->call($action, $flying)->{code} eq '' }, 12),
    'the hold ends');

# a rotation does not shorten the memory, nor do many; but what is older than
# it is not looked for

sub aside {
    my ($n) = @_;
    my $old = "$t->{dir}/audit.jsonl";

    rename($old, "$old-$n") or die "$old: $!\n";
    kill 'USR1', $t->{pid};
    $t->wait_for(sub { $t->call($action, copy()); -s $old })
        or die "not reopened\n";
}

my $rotated = copy();
my $of = $t->call($action, $rotated);

my $across = copy();
$t->faults({ kind => 'hold' });
$client = $t->client;
$client->send($client->request($action, $across));
$t->wait_for(sub { $t->sent($across) }) or die "not sent\n";

aside(1);
$t->release;
my $after = $client->answer;
is($after->{code}, '', 'a copy, with its outcome in the file behind');
$client->close;
aside(2);

my $held = copy();
$t->faults({ kind => 'drop_before' });
is($t->call($action, $held)->{headers}{'x-tccbs-outcome'}, 'unknown',
    'held, in the old file');

aside(3);

my $intent = ($text =~ /^(.*"kind":"intent".*\n)/m)[0];
my $stale = copy();
$intent =~ s/"id":"[^"]+/"id":"00000000-0000-4000-8000-000000000000/;
$intent =~ s/"snapshot":"[^"]+/"snapshot":"$stale->{SnapshotId}/;
utime(time - 600, time - 600, $t->file('audit.jsonl-4', $intent, 0640)) or die;
$t->file("audit.jsonl-0$_", "\n", 0640) for 'a' .. 'z';

# and as long as nothing was written nothing became older

my $long = copy();
$t->faults({ kind => 'hold' });
$client = $t->client;
$client->send($client->request($action, $long));
$t->wait_for(sub { $t->sent($long) }) or die "not sent\n";
aside(5);
($open) = grep { ($_->{snapshot} // '') eq $long->{SnapshotId} }
    map { $t->lines($_) } "audit.jsonl-5";
$t->crash;
$client->close;
$t->release;
rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl-6") or die "$!\n";
utime((stat $_)[9] - 3600, (stat $_)[9] - 3600, $_)
    for glob("$t->{dir}/audit.jsonl-*");
$t->start;
ok($t->wait_for(sub { grep { $_->{id} eq $open->{id}
    && $_->{kind} eq 'recovery' } $t->audit }), 'the open one has an outcome');
is(($t->slurp('logs/error.log')
    =~ /.* (\d+) intents in the audit file had no outcome/s)[0], 1,
    'the others had one, in the order of the files');
utime(undef, undef, grep { !/-4$/ } glob("$t->{dir}/audit.jsonl*"));
is($t->call($action, $rotated)->{id}, $of->{id}, 'the answer is known');
is($t->call($action, $across)->{id}, $after->{id}, 'that one, too');
is($t->call($action, $held)->{code}, 'InternalError.ComponentError',
    'and the hold');
is($t->call($action, $stale)->{code}, '', 'not what is older');
is($t->sent($across), 1, 'it was sent once');

# a log of many records is read in no time

$t->stop;
is(scalar($t->tampered), undef, 'and the log is intact up to here');

my @lines = split(/\n/, $t->slurp('audit.jsonl'));
my ($in) = grep { /"kind":"intent"/ } @lines;
my ($out) = grep { /"kind":"outcome"/ } @lines;

s/"time":"20\d\d/"time":"2020/ for $in, $out;

open($fh, '>>', "$t->{dir}/audit.jsonl") or die;
for my $n (1 .. 100_000) {
    my $id = sprintf('%08x-0000-4000-8000-000000000000', $n);
    print $fh $in =~ s/"id":"[^"]+/"id":"$id/r, "\n",
        $out =~ s/"id":"[^"]+/"id":"$id/r, "\n";
}
close $fh;

my $start = time;
$t->start;
is($t->call($action, $done)->{id}, $answer->{id}, 'and what counts is known');
my $took = time - $start;
cmp_ok($took, '<', 3, "200000 records: $took s to the first answer");

# copies of a minute, more than there is room for: it does not start, or it
# could make one of them again

$t->stop;

my ($now) = $lines[-1] =~ /"time":"([^"]+)/;
s/"time":"[^"]+/"time":"$now/ for $in, $out;

open($fh, '>>', "$t->{dir}/audit.jsonl") or die;
for my $n (1 .. 3000) {
    my ($id, $call) = (sprintf('%08x-0000-4000-8000-000000000001', $n),
        sprintf('%064x', $n));
    print $fh $in =~ s/"id":"[^"]+/"id":"$id/r
        =~ s/"call":"[^"]+/"call":"$call/r, "\n",
        $out =~ s/"id":"[^"]+/"id":"$id/r, "\n";
}
close $fh;

$t->write_conf(%{$t->{conf}}, zone => 'tccbs_zone tccbs:512k;');
$t->exec_nginx;
ok($t->wait_for(sub { waitpid($t->{pid}, WNOHANG) > 0 }, 30),
    'a zone without room for what is known');
delete $t->{pid};
like($t->slurp('logs/error.log'),
    qr/knows of the last copies has no room, make tccbs_zone "tccbs"/,
    'says so');

$t->write_conf(%{$t->{conf}}, zone => 'tccbs_zone tccbs:16m;');
$t->start;
is($t->call($action, $done)->{id}, $answer->{id}, 'and one that has it');

$t->{oracle} = 0;
$t->{altered} = 1;
$t->{exempt} = [ qr/has no room, make tccbs_zone/ ];
$t->finish;

# A worker that dies is another thing: the zone knows its calls, and the next
# worker looks into the log for what became of them.

my $w = TCCBS::Test->new(exempt => [ killed ], torn => 1);
$w->run(location => 'tccbs_hold 600s; tccbs_read_timeout 60s;
    tccbs_connect_timeout 60s;');

sub begun {
    my ($fault) = @_;
    my $params = copy();

    $w->faults({ kind => $fault });

    my $client = $w->client;
    $client->send($client->request($action, $params));
    my ($intent) = $w->wait_for(sub {
        my @found = grep { ($_->{snapshot} // '') eq $params->{SnapshotId} }
            $w->audit(kind => 'intent');
        @found && ($fault eq 'hold' ? $w->sent($params)
            : !@{$w->emulator_state->{faults}}) ? \@found : 0;
    }) or die "not begun\n";

    return { params => $params, client => $client, id => $intent->[0]{id},
        time => $intent->[0]{time} };
}

# also what stands in a log that was renamed

sub closed {
    my ($call) = @_;
    return map { $_->{id} eq $call->{id} && $_->{kind} eq 'recovery'
        ? $_->{outcome} : () } map { $w->lines($_) } glob("$w->{dir}/audit.*");
}

sub rotate {
    my ($n, %o) = @_;
    my $old = "$w->{dir}/audit.jsonl";

    rename($old, "$old-$n") or die "$old: $!\n";

    reopen() if !$o{keep};
}

sub put {
    my ($text) = @_;
    my $new = $w->file('new', $text, 0640);
    chown((getpwnam(TCCBS::Test::user()))[2], -1, $new) if $> == 0;
    rename($new, "$w->{dir}/audit.jsonl") or die "$new: $!\n";
}

my $looks = 0;

sub reopen {
    kill 'USR1', $w->{pid};

    # the worker writes there, so that all have done with the old one
    $w->wait_for(sub {
        $w->call('DescribeSnapshots', { Offset => ++$looks },
            region => 'ap-beijing');
        -s "$w->{dir}/audit.jsonl";
    }) or die "not reopened\n";
}

# while the log is not where it should be, nobody says what became of a call,
# neither who reads it nor who ends then

my ($sent, $kept) = (begun('hold'), begun('hold_connect'));

rotate(1, keep => 1);

for my $signal (qw/ KILL QUIT /) {
    $w->kill_worker($signal);
    my ($pid) = $w->all_workers;
    ok($w->wait_for(sub { $w->slurp('logs/error.log')
        =~ / $pid#\d+: the audit file "\S+" cannot be read/ }),
        "$signal: the log cannot be read");
}

unlike($w->slurp('audit.jsonl-1'), qr/"kind":"recovery"/,
    'nothing is said of the calls');

# who rotates makes a new one, and tells us later

put('');

ok($w->wait_for(sub { closed($sent) && closed($kept) }),
    'and then they are closed');
reopen();
is_deeply([ closed($sent) ], [ 'unknown' ], 'one that was sent: once');
is_deeply([ closed($kept) ], [ 'not-sent' ], 'one that was not');
is($w->call($action, { %{$sent->{params}}, SnapshotName => 'x' })->{code},
    'InternalError.ComponentError', 'the region of the sent one is held');
is($w->sent($sent->{params}), 1, 'and it is not made again');
$w->faults;
$w->release;
is($w->call($action, { %{$kept->{params}}, SnapshotName => 'x' })->{code}, '',
    'that of the other one is free');

# What stands in the log is found however often it was rotated; half a line is
# no outcome.

ok($w->reload, 'a worker that ends');

my $waiting = begun('hold_connect');
my ($far, $ended, $said, $torn, $cut) = map { begun('hold') } 1 .. 5;

# more than is read for one that was being written

my $anchor = ($w->slurp('audit.jsonl') =~ /^(\{.*"kind":"anchor".*\n)/m)[0];
open($fh, '>>', "$w->{dir}/audit.jsonl") or die "$!\n";
print $fh $anchor x (10_000_000 / length $anchor);
close $fh;

rotate($_) for 2, 3;

my ($rejected, $made) = map { begun('hold') } 1 .. 2;

my ($dead) = $w->all_workers;
my $line = ($w->slurp('audit.jsonl-1') =~ /^(\{.*"kind":"outcome".*\n)/m)[0]
    // $out . "\n";
$line =~ s/"time":"[^"]+/"time":"$rejected->{time}/;

$w->freeze($w->{pid});
push @{$w->{exempt}}, TCCBS::Processes::ended($dead, 9);
kill 'KILL', $dead;
ok($w->wait_for(sub { $w->slurp("/proc/$dead/stat") =~ /\) Z / }),
    'a worker dies');

open($fh, '>>', "$w->{dir}/audit.jsonl") or die "$!\n";
print $fh $line =~ s/"id":"[^"]+/"id":"$ended->{id}/r,
    $line =~ s/"id":"[^"]+/"id":"$made->{id}/r,
    $line =~ s/"id":"[^"]+/"id":"$rejected->{id}/r
        =~ s/"outcome":"success"/"outcome":"rejected"/r,
    $line =~ s/"id":"[^"]+/"id":"$said->{id}/r
        =~ s/"kind":"outcome".*/"kind":"recovery","outcome":"unknown"}/r,
    $line =~ s/"id":"[^"]+/"id":"$cut->{id}/r =~ s/,"status".*//r,
    $line =~ s/"id":"[^"]+/"id":"$torn->{id}/r =~ s/,"status".*\n//r;
close $fh;

kill 'CONT', $w->{pid};
ok($w->wait_for(sub {
    !grep { !closed($_) } $far, $torn, $cut, $waiting }), 'four are closed');
is_deeply([ map { closed($_) } $far, $torn, $cut ], [ ('unknown') x 3 ],
    'as unknown, also those whose outcome is torn');
is_deeply([ closed($waiting) ], [ 'not-sent' ], 'and as not sent, the other');
is_deeply([ closed($ended) ], [], 'the one that has an outcome is not');
is_deeply([ closed($said) ], [ 'unknown' ],
    'nor one of which it was said: not once more');
$w->faults;
$w->release;
is($w->call($action, { %{$_->{params}}, SnapshotName => 'x' })->{code},
    'InternalError.ComponentError', 'a region is held') for $far, $torn, $cut;
is($w->call($action, { %{$waiting->{params}}, SnapshotName => 'x' })->{code},
    '', 'that of the one that was not sent is free');

is($w->call($action, $made->{params})->{headers}{'x-tccbs-duplicate-of'},
    $made->{id}, 'one that was made is answered');
is($w->sent($made->{params}), 1, 'and not made again');
is($w->call($action, $rejected->{params})->{code}, '',
    'one that was rejected can be repeated');
is($w->sent($rejected->{params}), 2, 'and is sent');

# a worker that is told to end at once

my $told = begun('hold');
$w->kill_worker('TERM');
ok($w->wait_for(sub { closed($told) }), 'one of a worker that ends is closed');
is_deeply([ closed($told) ], [ 'unknown' ], 'as unknown');
is($w->call($action, { %{$told->{params}}, SnapshotName => 'x' })->{code},
    'InternalError.ComponentError', 'and its region is held');
$w->release;

# a line that ends in the middle, in the file that is put there; the intent is
# in none any more

ok($w->reload, 'another one that ends');

my $last = begun('hold');
unlink("$w->{dir}/audit.jsonl") or die "$!\n";
$w->kill_worker;
my ($pid) = $w->all_workers;
ok($w->wait_for(sub { $w->slurp('logs/error.log')
    =~ / $pid#\d+: the audit file "\S+" cannot be read/ }),
    'the log cannot be read');
put('{"v":1,"id":"torn');
ok($w->wait_for(sub { closed($last) }), 'one that was sent is closed');
is_deeply([ closed($last) ], [ 'unknown' ], 'as unknown');
like($w->slurp('audit.jsonl'), qr/\A[^\n]*torn\n/, 'and the line ended');
$w->release;

# A hold that was over when another copy went there counts again after a start
# with a longer one, also where the other copy is known to be made; without one
# a region is free that is known.

$w->stop;
unlink glob("$w->{dir}/audit.jsonl*");
$w->write_conf(location => 'tccbs_hold 1s;');
$w->start;

my $over = copy();
my @half = map { { %$_, SnapshotName => 'half',
    DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] } } $over, copy();

$w->faults({ kind => 'drop_before' });
is($w->call($action, $over)->{headers}{'x-tccbs-outcome'}, 'unknown',
    'an unknown one');

for my $half (@half) {
    $w->faults({ kind => 'body', match => { action => $action },
        body => copied([ 'ap-beijing', 'Success', 'snap-half0001' ],
            [ 'ap-singapore', 'InternalError', '' ]) });
    ok($w->wait_for(sub { $w->call($action, $half)->{headers}
        {'x-tccbs-outcome'} eq 'unknown' }), 'one of which a half is known');
}

$w->crash;
$w->write_conf(location => 'tccbs_hold 600s;');
$w->start;

for ([ 0, 'beijing', 1 ], [ 1, 'beijing', 0 ], [ 1, 'singapore', 1 ]) {
    my ($n, $region, $held) = @$_;
    is($w->call($action, { %{$half[$n]}, SnapshotName => 'third',
        DestinationRegions => [ "ap-$region" ] })->{code},
        $held ? 'InternalError.ComponentError' : '', "$n: $region");
}

# more open calls than are closed at a time: all at once, no round later

$w->stop;

$line = ($w->slurp('audit.jsonl') =~ /^(\{.*"kind":"intent".*\n)/m)[0];
$line =~ s/,"call":"[^"]+"//;

unlink glob("$w->{dir}/audit.jsonl*");
my @many = map { sprintf('%08x-0000-4000-8000-000000000002', $_) } 1 .. 700;
put(join('', map { $line =~ s/"id":"[^"]+/"id":"$_/r } @many));

$w->start;
my @closed;
ok($w->wait_for(sub { (@closed = $w->audit(kind => 'recovery')) >= @many }),
    'many are closed');
is(join(' ', sort map { $_->{id} } @closed), join(' ', @many), 'each once');

my ($least, $most) = (sort map { $_->{time} =~ /:(\d\d\.\d+)/ }
    @closed)[0, -1];
cmp_ok(($most - $least + 60) % 60, '<', 1, 'in one go');

$w->{oracle} = 0;
$w->{altered} = 1;
$w->done;
