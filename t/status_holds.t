#!/usr/bin/perl

# Copies that nobody knows about, more of them than the status lists: it lists
# those that have waited the longest, in their order.  If this broke, an operator
# would not find the ones whose hold is about to end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use TCCBS::Status qw/ status /;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my @regions = map { "ap-region-$_" } 1 .. 8;
my $most = 128;

my $t = TCCBS::Test->new;

$t->run(accounts => $t->account('team-dr', to => join(' ', @regions)),
    location => 'tccbs_hold 60s;',
    server => 'location = /tccbs { tccbs_status; allow 127.0.0.1; deny all; }');

sub json { return status($t, 'json')->{json} }

sub lose {
    my ($calls, @to) = @_;

    return map {
        $t->faults({ kind => 'drop_before' });
        my $r = $t->call($action, copy(DestinationRegions => \@to));
        is($r->{outcome}, 'unknown', 'an answer is lost');
        $r->{audit_id};
    } 1 .. $calls;
}

# the table has them in no order

my @old = lose(2, @regions[0 .. 3]);

ok($t->wait_for(sub { json()->{holds}[0]{age} >= 2 }), 'time goes by');
is(scalar @{json()->{holds}}, 8, 'all are listed');

lose(30, @regions);
my $json = json();
my @listed = @{$json->{holds}};

is($json->{node}{holds}, 8 + 30 * 8, 'all are counted');
is(scalar @listed, $most, 'as many as there is room for are listed');

my %old = map { $_ => 1 } @old;

is_deeply([ map { $old{$_->{id}} // 0 } @listed ],
    [ (1) x 8, (0) x ($most - 8) ], 'the oldest are first');

my @ages = map { $_->{age} } @listed;
is_deeply(\@ages, [ sort { $b <=> $a } @ages ], 'the others follow by age');

# an id that comes again was not left in between

my @calls = grep { $_ ne '' } map { $listed[$_]{id}
    ne ($_ ? $listed[$_ - 1]{id} : '') ? $listed[$_]{id} : '' } 0 .. $#listed;
my %calls = map { $_ => 1 } @calls;
is(scalar @calls, scalar keys %calls, 'and the regions of a call together');

$t->done;
