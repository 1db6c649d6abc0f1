#!/usr/bin/perl

# The clock is set forward and back, by seconds and by days.  If a step ended
# what is remembered, a copy would be made again, and be paid for again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;
use Time::Local qw/ timegm /;
use TCCBS::Test qw/ copy /;

my ($lib) = glob('/usr/lib/*/faketime/libfaketime.so.1');
plan skip_all => 'no libfaketime' if !$lib;
plan skip_all => 'a sanitizer wants to be the first library'
    if ($ENV{TCCBS_OBJS} // '') =~ /asan/;

my $t = TCCBS::Test->new(workers => 2);
my $action = 'CopySnapshotCrossRegions';
my $step = $t->file('clock', '+0');

chmod 0644, $step;

$ENV{FAKETIME_TIMESTAMP_FILE} = $step;
$ENV{FAKETIME_NO_CACHE} = 1;
$ENV{TZ} = 'UTC';
$ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
$ENV{TCCBS_LD_PRELOAD} = join(' ', grep { $_ } $ENV{TCCBS_LD_PRELOAD}, $lib);

# the emulator has the same clock

{
    local $ENV{LD_PRELOAD} = $lib;
    $t->emulator;
}

$t->run(main => join('', map { "env $_;\n" } qw/ LD_PRELOAD
        FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE
        FAKETIME_DONT_FAKE_MONOTONIC /),
    accounts => $t->account('team-dr', rate => '100r/s burst=1000')
        . $t->account('quota', quota => '3/d'),
    location => 'tccbs_hold 100s; tccbs_replay_window 100s;');

my $offset = 0;

sub clock {
    ($offset) = @_;
    $t->file('clock', sprintf('%+d', $offset));
    return;
}

sub call {
    my ($params, %o) = @_;
    return $t->call($action, $params, stamp => int(time) + $offset, %o);
}

sub skewed {
    my $r = $t->call($action, copy(), stamp => int(time));
    return $r->{code} eq 'AuthFailure.SignatureExpire';
}

is(call(copy())->{code}, '', 'a copy');

my $done = copy();
my $bytes = $t->client->request($action, $done, stamp => int(time));
my $first = $t->raw($bytes);
is($first->{code}, '', 'a copy to be remembered');

my $held = copy();
$t->faults({ kind => 'drop_before' });
is(call($held)->{headers}{'x-tccbs-outcome'}, 'unknown', 'and one held');

for my $to (86_400, 0, -86_400, 3600, 300, -300, 1, -1, 0) {

    clock($to);
    ok($t->wait_for(\&skewed), "$to: the clock of the gateway is set")
        if abs($to) > 300;

    my $r = call($done);
    is($r->{body}, $first->{body}, "$to: the answer is still stored");
    is($r->{headers}{'x-tccbs-duplicate-of'}, $first->{headers}{'x-tccbs-id'},
        "$to: as that of the first call");
    is(call($held)->{code}, 'InternalError.ComponentError',
        "$to: and the region is held");
}

is($t->raw($bytes)->{body}, $first->{body},
    'the first request again: its answer');
is($t->sent($done), 1, 'made once');
is($t->sent($held), 1, 'and the other one once');

# a rate is not of that clock: no burst by a step

clock(3600);
ok($t->wait_for(\&skewed), 'an hour ahead');

# a day's quota comes back with a day, and not with the day before

clock(0);
$t->wait_for(sub { !skewed() });

my %client = (client => { account => 'quota' });

is(call(copy(), %client)->{code}, '', "quota: copy $_") for 1 .. 3;
is(call(copy(), %client)->{code}, 'LimitExceeded', 'quota: used up');

clock(-86_400);
$t->wait_for(\&skewed);
is(call(copy(), %client)->{code}, 'LimitExceeded',
    'quota: yesterday gives nothing');

clock(86_400);
$t->wait_for(sub { call(copy(), %client)->{code} ne 'LimitExceeded' });
isnt(call(copy(), %client)->{code}, 'LimitExceeded', 'quota: tomorrow does');

# midnight, also that of a year: signed a moment before, sent a moment after,
# and the other way; CBS has the same clock, and wants a key of its day

my %midnight = (midnight => (int(time / 86_400) + 1) * 86_400,
    'new year' => timegm(0, 0, 0, 1, 0, (gmtime)[5] + 1));

for my $name (sort keys %midnight) {
    for my $at (-2, 2) {
        clock($midnight{$name} - int(time) + $at);
        $t->wait_for(\&skewed);

        for my $stamp (-3, -1, 0, 1, 3) {
            my $r = call(copy(), stamp => $midnight{$name} + $stamp);
            unlike($r->{code}, qr/Signature/,
                "$name${\ sprintf '%+d', $at}: signed at $stamp");
        }
    }
}

# a clock that stands still

my $still = time + 7200;
$t->file('clock', strftime('%Y-%m-%d %H:%M:%S', gmtime($still)));
$t->wait_for(\&skewed);

# a step of more than a day: the keys of that day come with the keeper's turn

$t->wait_for(sub {
    call(copy(), stamp => int($still))->{code} ne 'ServiceUnavailable'
});

for my $n (1 .. 3) {
    is($t->call($action, copy(), stamp => int($still))->{code}, '',
        "standing still: copy $n");
}

is($t->call($action, $done, stamp => int($still))->{body}, $first->{body},
    'standing still: the answer is stored');
is($t->call($action, $held, stamp => int($still))->{code},
    'InternalError.ComponentError', 'standing still: and the region is held');

$t->done;
