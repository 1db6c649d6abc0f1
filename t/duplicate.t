#!/usr/bin/perl

# No copy is made twice by accident.  If this broke, the retries of SDKs would
# be paid for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ copy killed /;

my $t = TCCBS::Test->new(workers => 2, exempt => [ killed ]);

$t->run(accounts => $t->account('team-dr') . $t->account('other')
        . $t->account('limited', rate => '1r/m burst=1 nodelay',
            quota => '2/d'),
    location => 'tccbs_read_timeout 2s; tccbs_hold 4s;
        tccbs_replay_window 3s;');

my $action = 'CopySnapshotCrossRegions';

sub call {
    my ($params, %o) = @_;
    return $t->call($action, $params, %o);
}

sub sent { return scalar grep { ($_->{action} // '') eq $action }
    $t->emulated }

# answered: the same answer again, nothing is sent, nothing is spent

my $params = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $first = call($params);
my $again = call($params);

is($first->{code}, '', 'first');
is($again->{body}, $first->{body}, 'the same answer');
is($again->{headers}{'x-tccbs-duplicate-of'}, $first->{headers}{'x-tccbs-id'},
    'says of which call');
is($again->{headers}{'x-tccbs-outcome'}, 'success', 'and its outcome');
isnt($again->{headers}{'x-tccbs-id'}, $first->{headers}{'x-tccbs-id'},
    'with an id of its own');
is(sent(), 1, 'sent once');

is(call({ %$params, DestinationRegions =>
    [ 'ap-singapore', 'ap-beijing' ] })->{body}, $first->{body},
    'the order of regions is none');
is(call($params, client => { account => 'other' })->{body}, $first->{body},
    'another account with the same credential');
is(sent(), 1, 'still once');

for my $other ({ SnapshotName => 'x' }, { SnapshotId => 'snap-other0001' },
    { DestinationRegions => [ 'ap-beijing' ] })
{
    call({ %$params, %$other });
}

is(sent(), 4, 'another name, snapshot or set of regions is another call');
my $source = call($params, region => 'ap-shanghai', stamp => int(time) - 100);
is($source->{code}, '', 'from another source');
is(sent(), 5, 'and so is another source');

# limits are not spent on what is not sent

my $limited = copy();
is(call($limited, client => { account => 'limited' })->{code}, '',
    "limited: call $_") for 1 .. 6;
is(call(copy(), client => { account => 'limited' })->{code}, '',
    'limited: another');
is(call(copy(), client => { account => 'limited' })->{code},
    'RequestLimitExceeded', 'limited: over the rate');

# after the window it is a new call

my $before = sent();
$t->wait_for(sub { !call($params)->{headers}{'x-tccbs-duplicate-of'} }, 10);
is(sent(), $before + 1, 'after the window it is sent');

# and the very same request, captured and sent again, is refused by then

my $once = copy();
my $bytes = $t->client->request($action, $once);
is($t->raw($bytes)->{code}, '', 'a request');
is($t->raw($bytes)->{code}, '', 'and the same bytes: its answer');
ok($t->wait_for(sub { $t->raw($bytes)->{code}
    eq 'AuthFailure.SignatureExpire' }, 10), 'its signature is spent');
is(scalar(grep { ($_->{body} // '') =~ /$once->{SnapshotId}/ } $t->emulated),
    1, 'sent once');

# in flight: all wait for the one answer, in both workers

my $joint = copy();
$t->faults({ kind => 'delay', ms => 500 });
$before = sent();

my @clients = map { my $c = $t->client;
    $c->send($c->request($action, $joint, close => 1)); $c } 1 .. 20;
my %bodies = map { my $r = $_->answer; $_->close;
    ($r->{body} => 1) } @clients;

is(scalar(keys %bodies), 1, 'twenty at once: one answer');
like((keys %bodies)[0], qr/Success/, 'a good one');
is(sent(), $before + 1, 'sent once');

# who waits may leave, and who was first may leave

$joint = copy();
$t->faults({ kind => 'delay', ms => 500 });
$before = sent();

my $leaver = $t->client;
$leaver->send($leaver->request($action, $joint));
$t->wait_for(sub { grep { ($_->{snapshot} // '') eq $joint->{SnapshotId} }
    $t->audit(kind => 'intent') });
my $waiter = $t->client;
$waiter->send($waiter->request($action, $joint));
sleep 0.1;
$leaver->close;
is($waiter->answer->{code}, '', 'the first left, the second is answered');
is(sent(), $before + 1, 'sent once');

# refused by Tencent: those who waited get it, a later call is a new one

$joint = copy();
$t->faults({ kind => 'error', code => 'ResourceBusy' });
is(call($joint)->{code}, 'ResourceBusy', 'rejected');
$before = sent();
is(call($joint)->{code}, '', 'and then not');
is(sent(), $before + 1, 'sent again');

# unknown: the snapshot and the region are held, whatever else differs

my $lost = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
$t->faults({ kind => 'drop_before' });
$before = sent();
my $unknown = call($lost);
is($unknown->{headers}{'x-tccbs-outcome'}, 'unknown', 'unknown');

for my $same ({}, { SnapshotName => 'x' },
    { DestinationRegions => [ 'ap-singapore' ] })
{
    my $r = call({ %$lost, %$same });
    is($r->{code}, 'InternalError.ComponentError', 'held');
    my $id = $unknown->{headers}{'x-tccbs-id'};
    like($r->{message}, qr/earlier copy.*$id.*unknown.*in \d+ seconds/,
        'says why and until when');
    is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', 'not sent');
}

is(sent(), $before + 1, 'nothing was sent');
ok($t->wait_for(sub { call($lost)->{code} eq '' }, 10), 'until its time ends');

# not sent: free at once

$t->stop_emulator;
my $free = copy();
is(call($free)->{code}, 'ServiceUnavailable', 'not sent');
$t->emulator(port => $t->{emulator_port});
is(call($free)->{code}, '', 'and then sent');

# a worker that dies with a call in flight leaves it held; reload keeps all

my $kept = copy();
my $answer = call($kept);
$t->reload;
is(call($kept)->{body}, $answer->{body}, 'after a reload');

my $dead = copy();
$t->faults({ kind => 'hold' });
my $victim = $t->client;
$victim->send($victim->request($action, $dead));
$t->wait_for(sub { grep { ($_->{body} // '') =~ /$dead->{SnapshotId}/ }
    $t->emulated });
my @old = $t->workers;
kill 'KILL', @old;
$t->wait_for(sub { my %old = map { $_ => 1 } @old;
    my @new = grep { !$old{$_} } $t->workers; @new == 2 });

$before = sent();
is($t->wait_for(sub { my $r = eval { call($dead) }; $r && $r->{code} }),
    'InternalError.ComponentError', 'after a killed worker: held');
ok($t->wait_for(sub { $t->audit(kind => 'recovery') }), 'it is closed');
is(call({ %$dead, SnapshotName => 'x' })->{code},
    'InternalError.ComponentError', 'and the region is held');
is(sent(), $before, 'not sent');
$t->release;

# what the audit log says of a duplicate

my ($record) = $t->wait_for(sub {
    $t->audit(kind => 'refusal', decision => 'duplicate') });
ok($record, 'duplicates are recorded');
my ($of) = grep { ($_->{of} // '') eq $first->{headers}{'x-tccbs-id'} }
    $t->audit(decision => 'duplicate');
ok($of, 'with the call they are of');

# what clients do: the sequence of the Python retryer after a rate limit, and
# a resend on a dead connection, see docs/clients.md

my $retry = copy();
call($retry) for 1 .. 3;
is(scalar(grep { ($_->{body} // '') =~ /$retry->{SnapshotId}/ }
    $t->emulated), 1, 'three tries, one copy');

$t->done;
