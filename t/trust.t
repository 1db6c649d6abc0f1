#!/usr/bin/perl

# The page of figures says what the harnesses left, and nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw/ tempdir /;
use Test::More;
use TCCBS::Trust;

my $dir = tempdir(CLEANUP => 1);
my $root = "$FindBin::Bin/..";

{
    local $ENV{TCCBS_TRUST};
    TCCBS::Trust::figure('Kills', 'rounds', 1, '', 'x');
}

local $ENV{TCCBS_TRUST} = "$dir/new.jsonl";

TCCBS::Trust::figure('Kills', 'rounds', 10, '10', 'make kill');
TCCBS::Trust::figure('Fuzzing', 'a|b', '1e8', '', 'make fuzz');
is(system("$root/tools/trust", 'add', 'Kills', 'rounds', 20, '10', 'make kill'),
    0, 'a figure by command');

my @figures = TCCBS::Trust::figures("$dir/new.jsonl");

is_deeply([ map { "$_->{section} $_->{name} $_->{value}" } @figures ],
    [ 'Kills rounds 20', 'Fuzzing a|b 1e8' ],
    'the last one counts; what a short run found does not');
like($figures[0]{date}, qr/^20\d\d-\d\d-\d\d$/, 'with its date');

TCCBS::Trust::replace("$dir/kept.jsonl", @figures);
is_deeply([ TCCBS::Trust::figures("$dir/kept.jsonl") ], \@figures, 'kept');

my $page = TCCBS::Trust::page(@figures);
like($page, qr/^## Kills\n\n.*\n\|---.*\n\| rounds \| 20 \| 10 \| `make kill` /m,
    'in its section');
like($page, qr/^\| a\\\|b \|/m, 'a cell cannot end early');

SKIP: {
    skip 'no figures yet', 1 if !-e "$root/docs/trust.jsonl";

    open(my $fh, '<', "$root/docs/trust.md") or die "docs/trust.md: $!\n";
    is(join('', <$fh>), TCCBS::Trust::page(TCCBS::Trust::figures(
        "$root/docs/trust.jsonl")), 'docs/trust.md is what tools/trust writes');
}

done_testing();
