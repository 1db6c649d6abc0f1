#!/usr/bin/perl

# A zone without room: calls are refused, and what it protects stays protected.
# If this broke, a busy day would be the day on which copies are made twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use POSIX qw/ WNOHANG /;
use Test::More;
use TCCBS::Answer qw/ tag /;
use TCCBS::Test qw/ copy /;

my $says = qr/has no room for 5 accounts, make it larger/;
my $t = TCCBS::Test->new(exempt => [ qr/no memory/, $says ]);
my %conf = (zone => 'tccbs_zone tccbs:256k;',
    location => 'tccbs_snapshot_tag on;');

$t->run(%conf);

my $action = 'CopySnapshotCrossRegions';
my $client = $t->client;

my $first = copy();
my $answer = $client->call($action, $first);
my (%codes, $full);

# one that is under way meanwhile

my $flies = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $slow = $t->client;

$t->faults({ kind => 'hold+drop_in_header' });
$slow->send($slow->request($action, $flies));
ok($t->wait_for(sub { $t->sent($flies) }), 'one is under way');

for (1 .. 900) {
    my $r = $client->call($action, copy());
    $codes{$r->{code}}++;
    $full = $r if $r->{code} ne '';
    last if $codes{ServiceUnavailable} && $codes{ServiceUnavailable} >= 5;
}

cmp_ok($codes{''}, '>', 100, 'many are made');
is($full->{code}, 'ServiceUnavailable', 'until there is no room');
like($full->{message}, qr/no room .*nothing was sent/, 'says so');

my $before = () = $t->emulated;

is($client->call($action, $first)->{body}, $answer->{body},
    'the first one has its answer still');
is($client->call($action, copy())->{code}, 'ServiceUnavailable',
    'another is refused');
is(scalar(() = $t->emulated), $before, 'nothing was sent');

is($t->call('DescribeSnapshots', {}, region => 'ap-beijing')->{code}, '',
    'looks need no room');

# Of that one nobody can say what became.  A call that was refused would have had
# two entries, so there is none for one of its tags: what is seen there later
# does not end the doubt, and the region stays held.

$t->release;
my $lost = $slow->answer;
is($lost->{headers}{'x-tccbs-outcome'}, 'unknown', 'one that is lost');

my $name = "$flies->{SnapshotId} #" . tag($lost->{headers}{'x-tccbs-id'});
my $limit = 10;

like($t->call('DescribeSnapshots', { Limit => ++$limit, Filters => [ {
    Name => 'snapshot-name', Values => [ $name ] } ] }, region => $_)->{body},
    qr/\Q$name\E/, "it is seen in $_") for @{$flies->{DestinationRegions}};

# what is said of it is on the disk before the next intent is

is($t->call('DescribeSnapshots', { Limit => 3 }, region => 'ap-beijing')
    ->{code}, '', 'another look');
cmp_ok(scalar(() = $t->audit(kind => 'recovery')), '<', 2,
    'it is not found in both');
isnt($client->call($action, $flies)->{code}, '', 'the call is refused');
is($t->sent($flies), 1, 'and not sent again');

# a reload needs no room; one with other accounts does, and is refused

sub accounts {
    my ($gateway) = @_;
    return (accounts => $gateway->account('team-dr')
        . join('', map { $gateway->account("other$_") } 1 .. 4));
}

sub fill {
    my ($gateway) = @_;
    my $client = $gateway->client;

    for (1 .. 900) {
        my $r = $client->call($action, copy());
        return $r->{code} if $r->{code} ne '';
    }
}

is(fill($t), 'ServiceUnavailable', 'no room');

my $master = $t->{pid};

ok($t->reload, 'reloaded without room');
is($t->call($action, $first)->{body}, $answer->{body},
    'the new worker knows the first one');

$t->write_conf(%conf, accounts($t));
ok(!$t->reload, 'not with other accounts');
like($t->slurp('logs/error.log'), $says, 'which says so');
is($t->call($action, $first)->{body}, $answer->{body},
    'the old configuration goes on');
is(waitpid($master, WNOHANG), 0, 'with its master');

$t->write_conf(%conf);
ok($t->reload, 'and takes the next one');

# a copy that is under way when the room ends, and of which nobody can say what
# became: each of its regions is held, for copies with another name too

my $h = TCCBS::Test->new(exempt => [ qr/no memory/ ]);

$h->run(zone => 'tccbs_zone tccbs:256k;',
    location => 'tccbs_replay_window 2s; tccbs_hold 1h;');

my $left = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $caller = $h->client;

$h->faults({ kind => 'hold+drop_in_header' });
$caller->send($caller->request($action, $left));
$h->wait_for(sub { grep { ($_->{body} // '') =~ /$left->{SnapshotId}/ }
    $h->emulated });

is(fill($h), 'ServiceUnavailable', 'no room beside one in flight');

$h->release;
is($caller->answer->{code}, 'InternalError.ComponentError',
    'its outcome is unknown');

ok($h->wait_for(sub { !grep { $h->call($action, copy())->{code} } 1 .. 20 }),
    'there is room again');

$before = () = $h->emulated;

for my $region (@{$left->{DestinationRegions}}) {
    my $r = $h->call($action, { %$left, DestinationRegions => [ $region ],
        SnapshotName => 'another' });
    is($r->{code}, 'InternalError.ComponentError', "$region is held");
    like($r->{message}, qr/takes the call again in/, 'and says for how long');
}

is(scalar(() = $h->emulated), $before, 'nothing of it was sent again');

# what has expired, and that no call has swept yet, makes room for them

is(fill($h), 'ServiceUnavailable', 'no room again');

my $filled = time;

$h->wait_for(sub { time > $filled + 3 });

$h->write_conf(%{$h->{conf}}, accounts($h));
ok($h->reload, 'reloaded with other accounts');
is($h->call($action, copy(), client => { account => 'other4' })->{code}, '',
    'which are served');

$h->finish;

# more open calls than there is room for: the next one has no record, and waits
# for nothing

my $o = TCCBS::Test->new;

$o->run(zone => 'tccbs_zone tccbs:256k;', listen => '');
$o->faults({ kind => 'hold', forever => JSON::XS::true });

my $look = 'DescribeSnapshots';
my (@open, $next);

sub look {
    my ($n) = @_;
    my $client = $o->client(plain => 1);
    $client->send($client->request($look, { Offset => $n },
        region => 'ap-beijing'));
    return $client;
}

sub intents { return scalar $o->audit(kind => 'intent') }

# those that are sent wait for us, one that is not sent is answered

for my $n (1 .. 1000) {
    my $client = look($n);

    $o->wait_for(sub { intents() >= $n || $o->audit(kind => 'refusal') });

    if (intents() < $n) {
        $next = $client->answer;
        last;
    }

    push @open, $client;
}

cmp_ok(scalar @open, '>', 200, scalar @open . ' open calls');
is($next->{code}, 'InternalError', 'one more is refused');
like($next->{message}, qr/too many open calls.*nothing was sent/, 'says so');
is($next->{headers}{'x-tccbs-outcome'}, 'not-sent', 'it was not sent');
is_deeply([ map { $_->{decision} } $o->audit(id => $next->{audit_id}) ],
    [ 'refused' ], 'recorded as refused, without an intent');

$o->faults;
$o->release;
is(scalar(grep { $_->answer->{code} eq '' } @open), scalar @open,
    'those that were open are answered');
is(scalar(() = $o->emulated), scalar @open, 'and no other was sent');
is(look(0)->answer->{code}, '', 'there is room again');
$o->finish;

# a reload that is refused leaves the room that it would have needed to copies

my $m = TCCBS::Test->new(exempt => [ qr/has no room for 151 accounts/ ]);

$m->run(zone => 'tccbs_zone tccbs:256k;');
$m->write_conf(accounts => $m->account('team-dr')
    . join('', map { $m->account("many$_") } 1 .. 150),
    zone => 'tccbs_zone tccbs:256k;');
ok(!$m->reload, 'too many accounts');
is(scalar(grep { $m->call($action, copy())->{code} } 1 .. 20), 0,
    'there is room for copies still');
$m->finish;

# signatures: none is forgotten while it is good, even when there is no room

my $s = TCCBS::Test->new;
$s->run(zone => 'tccbs_zone tccbs:256k;');

my $stamp = time;
my $c = $s->client;
my $captured = { Limit => 1 };

$c->call('DescribeSnapshots', $captured, stamp => $stamp,
    region => 'ap-beijing');

my $refused;

for my $n (1 .. 5000) {
    my $r = $c->call('DescribeSnapshots', { Offset => $n },
        region => 'ap-beijing');
    $refused = $r, last if $r->{code} ne '';
}

is($refused->{code}, 'RequestLimitExceeded.IPLimitExceeded',
    'no room for another signature');
is($c->call('DescribeSnapshots', $captured, stamp => $stamp,
    region => 'ap-singapore')->{code}, 'AuthFailure.SignatureFailure',
    'the first one is still known');

$s->finish;
$t->done;
