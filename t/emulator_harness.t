#!/usr/bin/perl

# The checks that every test ends with find what they look for.  If this broke,
# a leaked secret or a crashed worker would go unseen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw/ tempdir /;
use MIME::Base64;
use POSIX qw/ strftime /;
use Test::More;

use CBS::TC3;
use TCCBS::Checks;
use TCCBS::Client;

my $secret = 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF';
my $pattern = TCCBS::Checks::pattern($secret, 'x' x 40);
my $today = strftime('%Y-%m-%d', gmtime);
my $dir = tempdir(CLEANUP => 1);

sub leaks {
    my ($text) = @_;
    open(my $fh, '>:raw', "$dir/file") or die "$dir/file: $!\n";
    print $fh $text;
    close $fh;
    return scalar(() = TCCBS::Checks::leaks($pattern, $dir));
}

is(leaks('nothing here ' x 200000), 0, 'nothing to find');
is(leaks("a $secret b"), 1, 'as it is');
is(leaks(scalar reverse($secret)), 1, 'reversed');
is(leaks(unpack('H*', $secret)), 1, 'hex');
is(leaks(uc unpack('H*', $secret)), 1, 'capital hex');

for my $before ('', 'a', 'ab', 'abc', "TC3") {
    is(leaks(encode_base64("$before$secret:c", '')), 1,
        "Base64 after \"$before\"");
}

for my $key (CBS::TC3::derive($secret, $today, 'cbs')) {
    is(leaks($key), 1, 'a derived key');
    is(leaks(unpack('H*', $key)), 1, 'a derived key, hex');
}

for my $at (1048576 - 40 .. 1048576) {
    leaks(('.' x $at) . $secret) == 1 or fail("not found at $at");
}

pass('found around the end of a block');

is(scalar(TCCBS::Checks::leaks($pattern, $dir, "$dir/file")), 0,
    'key files are left out');

# error logs

my $log = "2026/01/01 [error] a\n2026/01/01 [alert] worker process 7 exited on "
    . "signal 9\n2026/01/01 [crit] b\n";

is(scalar(TCCBS::Checks::alerts($log)), 2, 'alerts');
is(scalar(TCCBS::Checks::alerts($log, qr/process 7 exited/)), 1, 'exempt');
is(scalar(TCCBS::Checks::reports("==1==ERROR: AddressSanitizer: x\n"
    . "a.c:1:2: runtime error: y\nfine\n")), 2, 'reports');

# answers

sub form {
    my ($head, $body) = @_;
    return TCCBS::Checks::form(TCCBS::Client::result($head, $body)) // '';
}

my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
my $error = '{"Response":{"Error":{"Code":"A","Message":"m"},"RequestId":"r"}}';

is(form($head, $error), '', 'a good error');
is(form($head, '{"Response":{"RequestId":"r"}}'), '', 'a good answer');
like(form($head =~ s/200/502/r, $error), qr/status 502/, 'status');
like(form("$head; charset=utf-8", $error), qr/type/, 'type');
like(form($head, '<html>'), qr/no envelope/, 'HTML');
like(form($head, '{"Response":{}}'), qr/no RequestId/, 'no RequestId');
like(form($head, $error =~ s/"m"/null/r), qr/bad "Error"/, 'no message');
like(form($head, $error =~ s/\{/{"code":1,/r), qr/more than/, 'surplus');

done_testing();
