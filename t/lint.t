#!/usr/bin/perl

# The rules of the house, see tools/lint.

use strict;
use warnings;

use FindBin;
use Test::More tests => 1;

my $said = `$^X $FindBin::Bin/../tools/lint`;

is($said, '', 'nothing to complain about');
