package TCCBS::Trust;

# The figures of docs/trust.md: one line of JSON each, with what was measured,
# what was wanted, by which command and when.  A harness calls figure(), which
# writes where TCCBS_TRUST says and is silent without it: what CI runs is too
# short to be a figure.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Fcntl qw/ :flock /;
use JSON::XS;
use POSIX qw/ strftime /;

my $root = abs_path(__FILE__ =~ s{[^/]*$}{../../..}r);
my $json = JSON::XS->new->canonical->ascii;

sub path { return $ENV{TCCBS_TRUST} // "$root/objs/trust.jsonl" }

# figure(section, name, value, bar, command)

sub figure {
    add(path(), @_) if $ENV{TCCBS_TRUST};
    return;
}

sub add {
    my ($path, $section, $name, $value, $bar, $command) = @_;

    open(my $fh, '>>', $path) or die "$path: $!\n";
    flock($fh, LOCK_EX);

    print $fh $json->encode({ section => $section, name => $name,
        value => "$value", bar => "$bar", command => $command,
        date => strftime('%Y-%m-%d', gmtime) }), "\n";

    close $fh or die "$path: $!\n";
    return;
}

# those of the files, in order; a later one takes the place of one of the same
# name

sub figures {
    my (@paths) = @_;
    my (@names, %of);

    for my $path (@paths) {
        open(my $fh, '<', $path) or next;

        while (my $line = <$fh>) {
            my $figure = decode_json($line);
            my $name = "$figure->{section}\0$figure->{name}";

            push @names, $name if !$of{$name};
            $of{$name} = $figure;
        }
    }

    return map { $of{$_} } @names;
}

sub replace {
    my ($path, @figures) = @_;

    open(my $fh, '>', $path) or die "$path: $!\n";
    print $fh $json->encode($_), "\n" for @figures;
    close $fh or die "$path: $!\n";
    return;
}

sub page {
    my (@figures) = @_;

    my $text = <<'END';
# Trust, measured

Each figure was measured with the command beside it, on the day beside it, on a
machine with 2 cores that did other work as well. What was not measured is not
here. The page is made by `tools/trust` from [trust.jsonl](trust.jsonl), where
the commands leave what they found with `TCCBS_TRUST=objs/trust.jsonl`.
END

    my (@sections, %in);

    for my $figure (@figures) {
        push @sections, $figure->{section} if !$in{$figure->{section}};
        push @{$in{$figure->{section}}}, $figure;
    }

    for my $section (@sections) {
        $text .= "\n## $section\n\n| what | measured | wanted | command | date |\n"
            . "|---|---|---|---|---|\n";

        for my $figure (@{$in{$section}}) {
            my @cells = map { $figure->{$_} =~ s/\|/\\|/gr }
                qw/ name value bar command date /;
            $cells[3] = "`$cells[3]`";
            $text .= '| ' . join(' | ', @cells) . " |\n";
        }
    }

    return $text;
}

1;
