#!/usr/bin/perl

# The tool "tccbs", as an operator meets it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw/ tempdir /;
use Test::More;

use CBS::TC3;

my $tool = "$FindBin::Bin/../" . ($ENV{TCCBS_OBJS} // 'objs') . '/tccbs';

my $dir = tempdir(CLEANUP => 1);

sub tccbs {
    my ($args, $in) = @_;
    open(my $fh, '>', "$dir/in") or die;
    print $fh $in // '';
    close $fh;
    my $said = `$tool $args <$dir/in 2>&1`;
    return ($? >> 8, $said);
}

my ($rc, $said) = tccbs('');
is($rc, 2, 'usage');
like($said, qr/tccbs key new NAME.*tccbs sign /s, 'usage lists commands');

# keys

($rc, $said) = tccbs('key new team-dr');
is($rc, 0, 'key new');
my ($id) = $said =~ /^SecretId:  (AKIDgw[A-Za-z0-9]{26})$/m;
ok($id, 'id');
like($said, qr/^SecretKey: [A-Za-z0-9]{40}$/m, 'secret');
like($said, qr{^    key $id file:/etc/nginx/tccbs/keys/team-dr;$}m, 'line');

isnt((tccbs('key new team-dr'))[1], $said, 'another one each time');

($rc, $said) = tccbs("key new team-dr --out $dir/key");
is($rc, 0, 'key new --out');
is((stat "$dir/key")[2] & 07777, 0400, 'mode');
my $secret = do { open(my $fh, '<', "$dir/key") or die; <$fh> };
like($secret, qr/^[A-Za-z0-9]{40}\n$/, 'secret in the file');
chomp $secret;
unlike($said, qr/$secret/, 'and not on the screen');

is((tccbs("key new team-dr --out $dir/key"))[0], 1, 'a file is not replaced');
is((tccbs('key new'))[0], 2, 'no name');
is((tccbs('key new Team_DR'))[0], 2, 'no such name');
is((tccbs('key new a b'))[0], 2, 'two names');
is((tccbs('key old'))[0], 2, 'no such command');

# signatures

my $body = '{"SnapshotId":"snap-ckgjwkqh"}';
my $sign = "sign --id AKIDx --secret-file $dir/key --host cbs.example "
    . '--action CopySnapshotCrossRegions';

($rc, $said) = tccbs("$sign --timestamp 1767225600", $body);
is($rc, 0, 'sign');

my $want = CBS::TC3::authorization(id => 'AKIDx', secret => $secret,
    stamp => 1767225600, body => $body,
    headers => [ [ 'content-type', 'application/json' ],
        [ 'host', 'cbs.example' ],
        [ 'x-tc-action', 'copysnapshotcrossregions' ] ]);

like($said, qr/^Authorization: \Q$want\E$/m, 'as computed independently');
like($said, qr{^1767225600\n2026-01-01/cbs/tc3_request\n}m,
    'string to sign');
unlike($said, qr/$secret/, 'no secret');

($rc, $said) = tccbs($sign, $body);
like($said, qr/^X-TC-Timestamp: \d{10}$/m, 'the time is now');
cmp_ok(abs(($said =~ /^X-TC-Timestamp: (\d+)/m)[0] - time), '<', 60, 'time');

is((tccbs("$sign --timestamp 1", $body))[0], 2, 'timestamp');
is((tccbs('sign --id x'))[0], 2, 'options are missing');
is((tccbs("$sign extra"))[0], 2, 'too much');
is((tccbs('sign --id a --secret-file /none --host h --action a'))[0], 1,
    'no secret file');

done_testing();
