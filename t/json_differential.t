#!/usr/bin/perl

# Our reader of JSON and that of Python, made strict: both must take the same
# texts, and for the same values.  If they did not, a body could mean one thing
# to the gateway and another to everybody else.
#
# TCCBS_SEED   the texts of an earlier run
# TCCBS_TEXTS  how many are made, 50000

use strict;
use warnings;

use FindBin;
use File::Temp qw/ tempdir /;
use Test::More;

my $depth = 4;
my $nodes = 2048;
my $ours = "$FindBin::Bin/../" . ($ENV{TCCBS_OBJS} // 'objs')
    . "/test/json $depth $nodes";
my $judge = "$FindBin::Bin/bin/json_judge.py";

plan skip_all => 'no program, run "make unit"'
    if !-x $ours =~ s/ .*//r;

my $seed = $ENV{TCCBS_SEED} // int(rand(2 ** 31));
my $count = $ENV{TCCBS_TEXTS} // 50000;
my $dir = tempdir(CLEANUP => 1);

diag("TCCBS_SEED=$seed TCCBS_TEXTS=$count");

sub lines {
    my ($name) = @_;
    open(my $fh, '<:raw', "$FindBin::Bin/corpus/json/$name")
        or die "$name: $!\n";
    chomp(my @lines = <$fh>);
    return @lines;
}

sub through {
    my ($command, @lines) = @_;

    open(my $fh, '>', "$dir/in") or die "in: $!\n";
    print $fh map { "$_\n" } @lines;
    close $fh;

    chomp(my @said = `$command < $dir/in`);
    is($?, 0, 'the program ran') if $?;
    is(scalar @said, scalar @lines, 'an answer for each text')
        if @said != @lines;

    return @said;
}

# what both say of texts; @want is what is known of them

sub compare {
    my ($texts, @want) = @_;

    my @mine = through($ours, @$texts);
    my @judge = through("$judge judge $depth", @$texts);
    my (@bad, @taken);

    for my $i (0 .. $#$texts) {
        my $text = $texts->[$i];
        my ($a, $b) = map { substr($_ // '?', 0, 1) } $mine[$i], $judge[$i];

        push @bad, "ours $mine[$i], the other $judge[$i]: " . show($text)
            if $a ne $b || defined $want[$i] && $want[$i] ne $a;
        push @taken, [ $text, substr($mine[$i], 2) ] if $a eq '1' && $b eq '1';
    }

    my @same = through("$judge compare $depth", map { "@$_" } @taken);

    push @bad, map { show($taken[$_][0]) . " became " . show($taken[$_][1])
        . ": $same[$_]" } grep { $same[$_] ne '1' } 0 .. $#same;

    return (\@bad, scalar @taken);
}

sub show {
    return pack('H*', $_[0]) =~ s{([^ -~])}{sprintf('\\x%02x', ord $1)}ger;
}

sub verdict {
    my ($name, @bad) = @_;
    is(scalar @bad, 0, $name)
        or diag(join("\n", @bad > 10 ? @bad[0 .. 9] : @bad));
}

# by hand

my @good = map { unpack('H*', $_) } lines('valid.txt');
my @wrong = ((map { unpack('H*', $_) } lines('invalid.txt')),
    map { s/ //gr } lines('invalid.hex'));

my ($bad) = compare([ @good, @wrong ], (1) x @good, (0) x @wrong);
verdict(@good . ' good and ' . @wrong . ' wrong texts', @$bad);

# every byte outside of strings, in one, and behind one

($bad) = compare([ map { my $c = sprintf('%02x', $_);
    ("5b${c}315d", "5b31${c}5d", "2261${c}6222", "22615c${c}22",
        "7b2261223a31${c}7d", "5b315d$c") } 0 .. 255 ]);
verdict('every byte at every kind of place', @$bad);

# every byte as the first, second and last of a sequence of UTF-8

($bad) = compare([ map { my $c = sprintf('%02x', $_);
    ("22${c}8022", "22${c}808022", "22${c}80808022", "22e0${c}8022",
        "22ed${c}8022", "22f0${c}808022", "22f4${c}808022", "22c3${c}22") }
    0x80 .. 255 ]);
verdict('every byte in sequences of UTF-8', @$bad);

# the last byte of a text does not matter to what comes after it

($bad) = compare([ map { my $text = '{"a":["\u00e9\ud83d\ude00",-1.5e+3,'
    . 'true,null],"b":{"c":""}}'; unpack('H*', substr($text, 0, $_)) }
    0 .. 60 ]);
verdict('a text cut at every byte', @$bad);

# by chance

chomp(my @texts = `$judge make $seed $count`);
is(scalar @texts, $count, "$count texts are made");

($bad, my $taken) = compare(\@texts);
verdict('texts by chance', @$bad);
cmp_ok($taken, '>', $count / 5, 'enough of them are good');
cmp_ok($taken, '<', $count * 4 / 5, 'enough of them are bad');

diag(@good + @wrong . " texts by hand, $count by chance, $taken accepted");

done_testing();
