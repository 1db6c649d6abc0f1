#!/usr/bin/perl

# Two verifiers, one of them ours, the other written by the description of the
# protocol: for each request they must say the same.  If they did not, one of
# them would let something in that the other takes for forged.
#
# TCCBS_SEED      the requests of an earlier run
# TCCBS_REQUESTS  how many, 100000

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw/ tempdir /;
use Test::More;
use TCCBS::Trust;
use TCCBS::Mutate;

my $root = "$FindBin::Bin/..";
my $ours = "$root/" . ($ENV{TCCBS_OBJS} // 'objs') . '/test/tc3';
my $theirs = "$FindBin::Bin/bin/verifier.py";

plan skip_all => 'no program, run "make unit"' if !-x $ours;

my $seed = $ENV{TCCBS_SEED} // int(rand(2 ** 31));
my $count = $ENV{TCCBS_REQUESTS} // 100000;
my $step = 10000;

diag("TCCBS_SEED=$seed TCCBS_REQUESTS=$count");

my %keys = map { ("AKIDgwdifferential$_" => chr(64 + $_) x 40) } 1 .. 3;
my @hosts = ('cbs.intl.tencentcloudapi.com', 'Apigw.test');
my $mutate = TCCBS::Mutate->new(seed => $seed, keys => \%keys,
    hosts => \@hosts);

my $conf = sprintf('{"keys":{%s},"hosts":[%s]}',
    join(',', map { qq("$_":"$keys{$_}") } sort keys %keys),
    join(',', map { qq("$_") } @hosts));

my $dir = tempdir(CLEANUP => 1);
my (%reason, @differ, $accepted, $seen);

for (my $from = 0; $from < $count; $from += $step) {
    my $n = $count - $from < $step ? $count - $from : $step;
    my @lines = map { $mutate->line } 1 .. $n;

    open(my $fh, '>', "$dir/in") or die "in: $!\n";
    print $fh map { "$_\n" } $conf, @lines;
    close $fh;

    # both at once
    my $second = open(my $said, '-|', "$theirs < $dir/in") // die "$theirs\n";
    my @a = `$ours < $dir/in`;
    my @b = <$said>;

    is($?, 0, 'ours ran') if $?;
    close $said or fail('the other ran');

    if (@a != $n || @b != $n) {
        fail("$n requests, " . @a . ' and ' . @b . ' answers');
        last;
    }

    for my $i (0 .. $n - 1) {
        chomp($a[$i], $b[$i]);
        $seen++;
        $accepted++ if $b[$i] eq '1';
        $reason{$b[$i]}++;

        next if substr($a[$i], 0, 1) eq substr($b[$i], 0, 1);

        push @differ, "request " . ($from + $i) . ": ours $a[$i], "
            . "the other $b[$i]: " . readable($lines[$i]);
    }
}

sub readable {
    my ($line) = @_;
    $line =~ s/"([0-9a-f]*)"/'"' . (pack('H*', $1)
        =~ s{([^ -~])}{sprintf('\\x%02x', ord $1)}ger) . '"'/ge;
    return $line;
}

is($seen, $count, "$count requests");
cmp_ok($accepted, '>', $count / 5, 'enough of them are good');
cmp_ok($accepted, '<', $count * 4 / 5, 'enough of them are bad');

# each rule was at work

for my $rule (qw/ authorization date key method query repeated service
    signature time timestamp unsigned-payload /) {
    cmp_ok($reason{"0 $rule"} // 0, '>=', $count / 5000,
        "enough are refused for: $rule");
}

is(scalar @differ, 0, 'no disagreement')
    or diag(join("\n", @differ > 10 ? @differ[0 .. 9] : @differ));

diag("$seen requests, $accepted accepted, " . @differ . ' disagreements');

TCCBS::Trust::figure('Inputs', 'requests that two verifiers have judged',
    "$seen requests, " . @differ . ' disagreements', '0 disagreements',
    "TCCBS_REQUESTS=$count prove t/differential.t");

done_testing();
