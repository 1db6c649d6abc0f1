package TCCBS::Memory;

# What the memory of a process holds, all that it can read of it.

use strict;
use warnings;
no warnings 'portable';              # addresses have 64 bits

use POSIX ();

# maps(pid): what can be read, {from, to, own, inode, what, flags}

sub maps {
    my ($pid) = @_;
    my (@maps, $map);

    open(my $fh, '<', "/proc/$pid/smaps") or die "maps of $pid: $!\n";

    while (<$fh>) {
        if (/^([0-9a-f]+)-([0-9a-f]+) (.)..(.) \S+ \S+ (\d+)\s*(.*)/) {
            $map = { from => hex $1, to => hex $2, own => $4 eq 'p',
                inode => $5, what => $6 };
            push @maps, $map if $3 eq 'r';

        } elsif (/^VmFlags:(.*)/) {
            $map->{flags} = $1;
        }
    }

    # AddressSanitizer has terabytes to note which bytes may be touched, which
    # have no byte of the program in them

    return grep { $_->{what} !~ /^\[v/
        && $_->{to} - $_->{from} <= 2 ** 40 } @maps;
}

# holds(pid, pattern): the mappings with a match, with "at" where that is

sub holds {
    my ($pid, $pattern) = @_;

    open(my $mem, '<:raw', "/proc/$pid/mem") or die "memory of $pid: $!\n";
    open(my $pages, '<:raw', "/proc/$pid/pagemap")
        or die "pages of $pid: $!\n";

    my ($read, @found) = (0);

    for my $map (maps($pid)) {
        my ($at, $tail, $size) = ($map->{from}, '');

        for ( ; $at < $map->{to}; $at += $size) {
            my $block;

            $size = $map->{to} - $at;
            $size = 1048576 if $size > 1048576;

            # reading what was never written would make it, and use it up

            if ($map->{own} && !$map->{inode} && !touched($pages, $at, $size)) {
                $tail = '';
                next;
            }

            sysseek($mem, $at, 0) or last;
            $size = sysread($mem, $block, $size) or last;

            $read += $size;
            push @found, { %$map, at => $at }
                if ($tail . $block) =~ $pattern;

            $tail = substr($block, -512);
        }
    }

    die "nothing to read of $pid\n" if $read < 1048576;

    return @found;
}

# whether a page there is in memory or swapped out

sub touched {
    my ($pages, $at, $size) = @_;

    my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
    my $entries;

    sysseek($pages, 8 * $at / $page, 0) or return 1;
    sysread($pages, $entries, 8 * $size / $page) or return 1;

    return scalar grep { $_ >> 62 } unpack('Q*', $entries);
}

1;
