#!/usr/bin/perl

# The oracle itself: it finds nothing in honest logs and each kind of lie.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Oracle;

sub logs {
    return (
        [ { complete => 1, verified => 1, trace => 'a',
            t_first => 1767225600_500000,
            answered => { request_id => 'R' } } ],
        [ { chain => 'c', seq => 0, kind => 'intent', id => 'a',
            time => '2026-01-01T00:00:00.400000Z' },
          { chain => 'c', seq => 1, kind => 'outcome', id => 'a',
            outcome => 'success', tcid => 'R' },
          { chain => 'c', seq => 2, kind => 'intent', id => 'b',
            time => '2026-01-01T00:00:01.000000Z' },
          { chain => 'c', seq => 3, kind => 'recovery', id => 'b',
            outcome => 'not-sent' } ],
        [ { id => 'a', outcome => 'success' },
          { id => 'b', outcome => 'not-sent' }, { error => 'reset' } ]);
}

is_deeply([ TCCBS::Oracle::violations(logs()) ], [], 'honest');

my @lies = (
    [ 'I-1: a arrived without', sub { shift @{$_[1]} } ],
    [ 'I-1: the intent of a is younger',
        sub { $_[1][0]{time} = '2026-01-01T00:00:00.500001Z' } ],
    [ 'I-2: a arrived twice', sub { push @{$_[0]}, { %{$_[0][0]} } } ],
    [ 'I-3: a has 0 outcomes', sub { splice(@{$_[1]}, 1, 1) } ],
    [ 'I-3: a has 2 outcomes',
        sub { push @{$_[1]}, { %{$_[1][1]}, seq => 9 } } ],
    [ 'I-3: x has an outcome and no intent',
        sub { push @{$_[1]}, { %{$_[1][1]}, seq => 9, id => 'x' } } ],
    [ 'I-3: a ended as odd', sub { $_[1][1]{outcome} = 'odd' } ],
    [ 'I-4: a is not-sent and arrived',
        sub { $_[1][1]{outcome} = 'not-sent' } ],
    [ 'I-4: a is success and was not answered so',
        sub { $_[1][1]{tcid} = 'S' } ],
    [ 'I-4: a is success and was not answered so',
        sub { $_[0][0]{answered} = undef } ],
    [ 'I-5: a was told not-sent and arrived',
        sub { $_[2][0]{outcome} = 'not-sent' } ],
    [ 'I-5: b was told success and did not arrive',
        sub { $_[2][1]{outcome} = 'success' } ],
    [ 'a: bad signature X', sub { $_[0][0]{verified} = 0;
        $_[0][0]{why} = 'X' } ],
);

for my $lie (@lies) {
    my ($expected, $tell) = @$lie;
    my @logs = logs();
    $tell->(@logs);
    my @found = TCCBS::Oracle::violations(@logs);
    ok((grep { index($_, $expected) == 0 } @found), "found: $expected")
        or diag("@found");
}

# a batch that was written twice is tolerated

my @logs = logs();
push @{$logs[1]}, { %{$logs[1][0]} }, { %{$logs[1][1]} };
is_deeply([ TCCBS::Oracle::violations(@logs) ], [], 'written again');

done_testing();
