#!/usr/bin/perl

# Workers sign with keys of the day.  If this broke, calls would fail at
# midnight UTC, or with a clock that is set, until somebody reloads nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;

use TCCBS::Test qw/ copy /;

my ($lib) = glob('/usr/lib/*/faketime/libfaketime.so.1');
plan skip_all => 'no libfaketime' if !$lib;
plan skip_all => 'a sanitizer wants to be the first library'
    if ($ENV{TCCBS_OBJS} // '') =~ /asan/;

my $t = TCCBS::Test->new(workers => 2);
my $step = $t->file('clock', '+0');

$ENV{FAKETIME_TIMESTAMP_FILE} = $step;
$ENV{FAKETIME_NO_CACHE} = 1;
$ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
$ENV{TCCBS_LD_PRELOAD} = join(' ', grep { $_ } $ENV{TCCBS_LD_PRELOAD}, $lib);

# CBS has the same clock, and refuses another day's signature; without TLS,
# since the certificates of the tests are not older than that

{
    local $ENV{LD_PRELOAD} = $lib;
    $t->emulator(plain => 1);
}

$t->run(main => join('', map { "env $_;\n" } qw/ LD_PRELOAD
        FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE
        FAKETIME_DONT_FAKE_MONOTONIC /),
    pass => "http://127.0.0.1:$t->{emulator_port}",
    http => 'tccbs_ssl_name cbs.intl.tencentcloudapi.com;');

my $offset = 0;

sub now { return int(time) + $offset }

sub clock {
    ($offset) = @_;
    $t->file('clock', sprintf('%+d', $offset));
    return;
}

sub call {
    return $t->call('CopySnapshotCrossRegions', copy(), stamp => now());
}

# of a call that CBS took: the day that it was signed for, and should be

sub days {
    my ($r) = @_;

    my ($seen) = $t->emulated(trace => $r->{audit_id} // '-');
    my ($day) = ($seen->{headers}{authorization}[0] // '')
        =~ m{/(\d{4}-\d\d-\d\d)/};
    my ($stamp) = $seen->{headers}{'x-tc-timestamp'}[0];

    return ($day // '', strftime('%Y-%m-%d', gmtime($stamp // 0)));
}

sub signed {
    my ($why) = @_;

    my $r = call();
    my ($day, $want) = days($r);

    is($r->{code}, '', "$why: a copy") or diag($r->{message});
    is($day, $want, "$why: signed for $want");
}

signed('start');

my ($keeper) = $t->keepers;

# without the keeper: a day behind and a day ahead

$t->freeze($keeper);

for my $to (-86_400, 86_400, 0) {
    clock($to);
    signed("$to, no keeper") for 1 .. 4;
}

# more is not signed, until the keeper is back

clock(3 * 86_400);

my $r = call();

is($r->{code}, 'ServiceUnavailable', 'three days ahead: refused');
is($r->{outcome}, 'not-sent', 'and not sent');

kill 'CONT', $keeper;

ok($t->wait_for(sub { call()->{code} eq '' }), 'until the keeper is there');
signed('three days ahead') for 1 .. 4;

clock(-4 * 86_400);
ok($t->wait_for(sub { call()->{code} eq '' }), 'and back');
signed('four days behind') for 1 .. 4;

# through midnight

my $midnight = (int(time / 86_400) + 1) * 86_400;

clock($midnight - int(time) - 2);
$t->wait_for(sub { call()->{code} eq '' });

my (%days, $failed, $wrong);

$t->wait_for(sub {
    my $r = call();
    my ($day, $want) = days($r);
    $days{$day} = 1;
    $failed .= "$r->{code} " if $r->{code} ne '';
    $wrong .= "$day for $want " if $day ne $want;
    return now() > $midnight + 2;
}, 15);

is($failed, undef, 'midnight: no call failed');
is($wrong, undef, 'midnight: each was signed for its day');
is(scalar keys %days, 2, 'midnight: on both days');

$t->done;
