package TCCBS::Memory;

# What the memory of a process holds, all that it can read of it.

use strict;
use warnings;
no warnings 'portable';              # addresses have 64 bits

# holds(pid, pattern): the places of matches, as "address mapping"

sub holds {
    my ($pid, $pattern) = @_;

    open(my $maps, '<', "/proc/$pid/maps") or die "maps of $pid: $!\n";
    open(my $mem, '<:raw', "/proc/$pid/mem") or die "memory of $pid: $!\n";

    my ($read, @found) = (0);

    while (<$maps>) {
        my ($from, $to, $what) =
            /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)/ or next;

        next if $what =~ /^\[v/;

        my ($at, $end, $tail) = (hex $from, hex $to, '');

        while ($at < $end) {
            my $size = $end - $at > 1048576 ? 1048576 : $end - $at;
            my $block;

            sysseek($mem, $at, 0) or last;
            sysread($mem, $block, $size) or last;

            $read += length $block;
            push @found, sprintf('%x %s', $at, $what)
                if ($tail . $block) =~ $pattern;

            $tail = substr($block, -512);
            $at += length $block;
        }
    }

    die "nothing to read of $pid\n" if $read < 1048576;

    return @found;
}

1;
