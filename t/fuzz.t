#!/usr/bin/perl

# The fuzz targets over their corpora, and over what chance makes of these, with
# AddressSanitizer and UBSan.  If this broke, an input that was found to crash
# something, or to be read in two ways, would do so again.
#
# TCCBS_FUZZ_TIME  seconds for each target, 2
# TCCBS_SEED       the changes of an earlier run

use strict;
use warnings;

use File::Temp qw/ tempdir /;
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";
my $objs = "$root/" . ($ENV{TCCBS_OBJS} // 'objs') . '/replay';
my $time = $ENV{TCCBS_FUZZ_TIME} // 2;
my $seed = $ENV{TCCBS_SEED} // int(rand(2 ** 31));

# "whole" needs the source of nginx: "make fuzz-whole"

my @targets = grep { $_ ne 'whole' } map { m{([^/]+)$} } grep { -d }
    glob("$root/t/fuzz/corpus/*");

plan skip_all => 'no programs, run "make unit"' if !-d $objs;

cmp_ok(scalar @targets, '>=', 6, 'there are corpora');

# what is wrong ends the program, and leaks are wrong

$ENV{ASAN_OPTIONS} = 'detect_leaks=1:abort_on_error=1';
$ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';
delete $ENV{LD_PRELOAD};

chdir tempdir(CLEANUP => 1) or die "$!\n";

for my $name (@targets) {
    my $said = `$objs/$name -t $time -s $seed $root/t/fuzz/corpus/$name 2>&1`;

    is($?, 0, "$name: holds") or diag($said);
    like($said, qr/^(\d+) runs, (\d+) inputs/, "$name: has run") or next;

    my ($runs, $inputs) = $said =~ /^(\d+) runs, (\d+) inputs/;

    cmp_ok($inputs, '>=', 5, "$name: $inputs inputs");
    cmp_ok($runs, '>', $inputs, "$name: and changes of them");
    diag("$name: $runs runs, seed $seed");

    # a target that is given nothing says so

    mkdir 'empty';
    system("$objs/$name empty >/dev/null 2>&1");
    isnt($?, 0, "$name: not without inputs");
}

done_testing();
