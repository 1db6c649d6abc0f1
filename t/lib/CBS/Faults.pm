package CBS::Faults;

# Faults that are to come, in order; the next request that fits uses one up.
#
#   {"kind": "delay", "ms": 500, "match": {"action": "CopySnapshotCrossRegions",
#    "region": "ap-guangzhou", "snapshot": "snap-00000001"}, "count": 2}
#
# "forever": true keeps it.  Kinds are combined with "+" ("chunked+split").
# "after" (a number) lets that many fitting requests pass first.

use strict;
use warnings;

my %connect = map { $_ => 1 } qw/ drop_connect rst_connect hold_connect
    plain_connect drop_handshake /;

my %request = map { $_ => 1 } qw/ drop_before drop_in_header drop_in_body rst
    delay split slow_trickle hold idle_close chunked close_delimited
    extra_bytes oversized garbage status informational http09 two_lengths
    te_and_cl length big_header bad_json duplicate_key no_request_id charset
    throttle error missing_region other_region null_message error_null body /;

sub new {
    my ($class) = @_;
    return bless { list => [] }, $class;
}

sub add {
    my ($self, @faults) = @_;

    for my $fault (@faults) {
        my @kinds = split(/\+/, $fault->{kind} // '');
        my ($bad) = grep { !$connect{$_} && !$request{$_}
            && $_ ne 'drop_in_request' } @kinds;

        die 'no such fault: ' . ($bad // 'without kind') . "\n"
            if !@kinds || defined $bad;

        push @{$self->{list}}, { count => 1, %$fault,
            is => { map { $_ => 1 } @kinds },
            phase => $connect{$kinds[0]} ? 'connect'
                : $kinds[0] eq 'drop_in_request' ? 'reading' : 'request' };
    }
}

sub clear {
    my ($self) = @_;
    $self->{list} = [];
}

sub list {
    my ($self) = @_;

    return [ map { my %f = %$_; delete @f{qw/ is phase /}; \%f }
        @{$self->{list}} ];
}

sub take {
    my ($self, $phase, $call) = @_;

    my $list = $self->{list};

    FAULT: for my $i (0 .. $#$list) {
        my $fault = $list->[$i];

        next if $fault->{phase} ne $phase;

        for my $name (keys %{$fault->{match} // {}}) {
            next FAULT if ($call->{$name} // '') ne $fault->{match}{$name};
        }

        next if $fault->{after} && $fault->{after}-- > 0;

        splice(@$list, $i, 1) if !$fault->{forever} && --$fault->{count} < 1;

        return $fault;
    }

    return;
}

1;
