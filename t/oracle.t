#!/usr/bin/perl

# The oracle itself: it finds nothing in honest logs and each kind of lie, in
# memory and in files.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use File::Temp qw/ tempdir /;
use JSON::XS;
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
    [ 'I-3: a has two intents',
        sub { push @{$_[1]}, { %{$_[1][0]}, seq => 9 } } ],
    [ 'I-4: a is rejected and was not answered so',
        sub { $_[1][1]{outcome} = 'rejected'; $_[0] = [] } ],
    [ 'I-4: a is unknown and was not answered so',
        sub { @{$_[1][1]}{qw/ outcome tcid /} = ('unknown', 'S') } ],
    [ 'I-5: a was told unknown, recorded is success',
        sub { $_[2][0]{outcome} = 'unknown' } ],
    [ 'I-5: a was told another RequestId',
        sub { $_[2][0]{request_id} = 'S' } ],
    [ 'I-6: chain c has two records 1',
        sub { push @{$_[1]}, { %{$_[1][1]}, tcid => 'S' } } ],
    [ 'I-5: b was told success and did not arrive',
        sub { $_[2][1]{outcome} = 'success' } ],
    [ 'a: bad signature X', sub { $_[0][0]{verified} = 0;
        $_[0][0]{why} = 'X' } ],
);

for my $lie (@lies) {
    my ($expected, $tell) = @$lie;
    my @logs = logs();
    $tell->(@logs);
    my @found = TCCBS::Oracle::violations(@logs[0 .. 2]);
    ok((grep { index($_, $expected) == 0 } @found), "found: $expected")
        or diag("@found");
}

# a batch that was written twice is tolerated

my @logs = logs();
push @{$logs[1]}, { %{$logs[1][0]} }, { %{$logs[1][1]} };
is_deeply([ TCCBS::Oracle::violations(@logs) ], [], 'written again');

# the same from files, with chains

my $dir = tempdir(CLEANUP => 1);

sub file {
    my ($name, @lines) = @_;
    open(my $fh, '>', "$dir/$name") or die "$name: $!\n";
    print $fh @lines;
    close $fh;
    return "$dir/$name";
}

sub chained {
    my $prev = '0' x 64;
    return map {
        my $line = JSON::XS->new->canonical->encode({ %$_, prev => $prev });
        $prev = sha256_hex($line);
        "$line\n";
    } @_;
}

sub run_oracle {
    my (@audit) = @_;
    my ($emulated, undef, $clients) = logs();
    my $bin = "$FindBin::Bin/bin/oracle";

    my $said = `$^X $bin --audit @{[ file('audit', @audit) ]} --emulator @{[
        file('emulator', map { encode_json($_) . "\n" } @$emulated)
        ]} --clients @{[ file('clients', map { encode_json($_) . "\n" }
        @$clients) ]}`;

    return ($? >> 8, $said);
}

my @audit = chained(@{(logs())[1]});

my ($rc, $said) = run_oracle(@audit);
is($rc, 0, 'files: honest') or diag($said);
like($said, qr/2 intents/, 'files: counted');

($rc, $said) = run_oracle(@audit, substr($audit[0], 0, 50));
is($rc, 0, 'files: a torn end is tolerated') or diag($said);

($rc, $said) = run_oracle(@audit, @audit[2, 3]);
is($rc, 0, 'files: a batch written twice is tolerated') or diag($said);
like($said, qr/2 repeated/, 'files: and counted');

for my $lie ([ 'a line that is cut', substr($audit[0], 0, 50) . "\n",
        @audit[1 .. 3] ],
    [ 'a record that is missing', @audit[0, 1, 3] ],
    [ 'a record that was changed', $audit[0], $audit[1] =~ s/"R"/"R" /r,
        @audit[2, 3] ])
{
    my ($name, @lines) = @$lie;
    ($rc, $said) = run_oracle(@lines);
    is($rc, 1, "files: found: $name");
    like($said, qr/^not ok 6 - I-6/m, "files: $name: I-6");
}

done_testing();
