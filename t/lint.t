#!/usr/bin/perl

# The rules of the house, see tools/lint.

use strict;
use warnings;

use FindBin;
use Test::More tests => 2;

my $said = `$^X $FindBin::Bin/../tools/lint`;

is($said, '', 'nothing to complain about');

# a mutant without its line is one that no run can find

is(`$^X $FindBin::Bin/../tools/mutants -c`, '', 'each mutant has its line');
