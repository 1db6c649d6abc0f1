#!/usr/bin/perl

# What real clients do without being asked, request by request as it was seen
# on the wire: each sequence is one copy.  If this broke, the retries built into
# SDKs would be paid for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2);

$t->run(accounts => $t->account('team-dr')
        . $t->account('slow', rate => '1r/s burst=0'),
    location => 'tccbs_total_timeout 8s; tccbs_read_timeout 5s;');

my $action = 'CopySnapshotCrossRegions';
my $stamp = int(time) - 250;

sub made {
    my ($params) = @_;
    my $here = qr/"$params->{SnapshotId}"/;

    # a copy is made unless the emulator said that it is not
    return scalar grep { ($_->{action} // '') eq $action
        && ($_->{body} // '') =~ $here && !($_->{answered}{code} // '') }
        $t->emulated;
}

# each try is signed anew, a second or more later

sub try {
    my ($params, %o) = @_;
    return $t->call($action, $params, stamp => $stamp++, %o);
}

# Python's StandardRetryer does not forget a RequestLimitExceeded: after limited
# and success it sends again until its tries are used up

my $p = copy();
$t->faults({ kind => 'throttle', count => 4 });
is(try($p)->{code}, 'RequestLimitExceeded', 'Python: limited by Tencent');
is(try($p)->{code}, '', 'Python: success');
is(try($p)->{code}, '', 'Python: and again, not knowing it');
is(made($p), 1, 'Python: one copy');

# the same, limited by the gateway

$p = copy();
try(copy(), client => { account => 'slow' });
is(try($p, client => { account => 'slow' })->{code}, 'RequestLimitExceeded',
    'Python: limited by the gateway');
$t->wait_for(sub { try($p, client => { account => 'slow' })->{code} eq '' });
like(try($p, client => { account => 'slow' })->{code},
    qr/^(RequestLimitExceeded)?$/, 'Python: again');
is(made($p), 1, 'Python: one copy here as well');

# a time-out of the client, then the retry

$p = copy();
$t->faults({ kind => 'delay', ms => 1000 });
my $gone = $t->client;
$gone->send($gone->request($action, $p, stamp => $stamp++));
$t->wait_for(sub { grep { ($_->{body} // '') =~ /$p->{SnapshotId}/ }
    $t->emulated });
$gone->close;
is(try($p)->{code}, '', 'time-out: the retry is answered');
is(made($p), 1, 'time-out: one copy');

# OkHttp (Java) sends the very same bytes again on a new connection when a
# reused one dies without an answer

$p = copy();
my $java = $t->client;
$java->send($java->request($action, copy(), stamp => $stamp++));
is($java->answer->{code}, '', 'Java: the connection is used');
my $bytes = $java->request($action, $p, stamp => $stamp++);
$t->faults({ kind => 'delay', ms => 500 });
$java->send($bytes);
$t->wait_for(sub { grep { ($_->{body} // '') =~ /$p->{SnapshotId}/ }
    $t->emulated });
$java->close(rst => 1);
my $again = $t->client;
$again->send($bytes);
is($again->answer->{code}, '', 'Java: the second request is answered');
is(made($p), 1, 'Java: one copy');
is($t->raw($bytes)->{code}, '', 'Java: and a third one');
is(made($p), 1, 'Java: still');

# the bytes lost before the gateway had them all

$p = copy();
$bytes = $again->request($action, $p, stamp => $stamp++);
$again->send(substr($bytes, 0, length($bytes) - 5));
sleep 0.05;
$again->close(rst => 1);
is($t->raw($bytes)->{code}, '', 'Java: cut off, then whole');
is(made($p), 1, 'Java: one copy of it');

# tccli --waiter makes the same call until a condition holds

$p = copy();
my %bodies = map { my $r = try($p); ($r->{body} => 1) } 1 .. 8;
is(scalar(keys %bodies), 1, 'tccli: the same answer each time');
is(made($p), 1, 'tccli: one copy');

# Terraform's loop: busy, conflict, limited, the answer lost in its own time-out

$p = copy();
$t->faults({ kind => 'error', code => 'ResourceBusy' },
    { kind => 'error', code => 'ResourceInUse.CopySnapshotConflict' },
    { kind => 'error', code => 'ResourceUnavailable.SnapshotCreating' });

my @codes = map { try($p)->{code} } 1 .. 5;
is("@codes", 'ResourceBusy ResourceInUse.CopySnapshotConflict '
    . 'ResourceUnavailable.SnapshotCreating  ', 'Terraform: until it is done');
is(made($p), 1, 'Terraform: one copy');

# and an unknown outcome, which no client repeats by itself, scripts do

$p = copy();
$t->faults({ kind => 'drop_before' });
is(try($p)->{code}, 'InternalError.ComponentError', 'script: unknown');
is(try($p)->{code}, 'InternalError.ComponentError', 'script: held')
    for 1 .. 3;
is(made($p), 1, 'script: one copy');

# ten clients, one job: cron on every host

$p = copy();
my @clients = map { $t->client } 1 .. 10;
$_->send($_->request($action, $p, stamp => $stamp++, close => 1)) for @clients;
my @answers = map { $_->answer } @clients;
is(scalar(grep { $_->{code} eq '' } @answers), 10, 'cron: all are answered');
is(made($p), 1, 'cron: one copy');

$t->done;
