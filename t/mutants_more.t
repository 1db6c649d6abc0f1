#!/usr/bin/perl

# What "make mutants" found untested.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->run;

my $copy = 'CopySnapshotCrossRegions';

is($t->call($copy, copy())->{code}, '', 'a copy');

$t->done;
