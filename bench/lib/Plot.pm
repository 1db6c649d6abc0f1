package Plot;

# Lines in an SVG that needs nothing else, for light and for dark pages.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT = qw/ plot /;

# plot(file, title, [ x label, ticks, log ], [ y label, ticks, log ],
#     [ name, [ [ x, y ] ... ] ] ...)

sub plot {
    my ($file, $title, $x, $y, @series) = @_;

    my ($w, $h, $left, $top, $right, $bottom) = (660, 360, 62, 56, 150, 52);

    my $scale = sub {
        my ($axis, $from, $to) = @_;
        my ($min, $max) = map { $axis->[2] ? log $_ : $_ }
            @{$axis->[1]}[0, -1];
        return sub {
            my $v = $axis->[2] ? log($_[0] > 0 ? $_[0] : 1e-9) : $_[0];
            $v = $v < $min ? $min : $v > $max ? $max : $v;
            return $from + ($to - $from) * ($v - $min) / ($max - $min);
        };
    };

    my $px = $scale->($x, $left, $w - $right);
    my $py = $scale->($y, $h - $bottom, $top);

    my $text = sub {
        my ($at, $down, $what, $anchor, $class) = @_;
        return sprintf qq{<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>\n},
            $at, $down, $anchor, $class ? qq{ class="$class"} : '', $what;
    };

    my $svg = qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $w $h" }
        . qq{width="$w" height="$h" role="img" aria-label="$title">\n}
        . <<'END';
<style>
svg { background: #ffffff }
text { font: 12px sans-serif; fill: #24292f }
.title { font-weight: bold; font-size: 14px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.s0 { stroke: #0550ae } .s1 { stroke: #bc4c00 }
.s2 { stroke: #116329 } .s3 { stroke: #8250df }
.d1 { stroke-dasharray: 7 3 } .d2 { stroke-dasharray: 2 3 }
.d3 { stroke-dasharray: 8 3 2 3 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 }
text { fill: #e6edf3 }
.grid { stroke: #30363d }
.s0 { stroke: #79c0ff } .s1 { stroke: #ffa657 }
.s2 { stroke: #7ee787 } .s3 { stroke: #d2a8ff }
}
</style>
END

    $svg .= $text->($left, 22, $title, 'start', 'title');

    for (@{$x->[1]}) {
        my $at = $px->($_);
        $svg .= sprintf qq{<path class="grid" d="M%.1f %dV%d"/>\n}, $at, $top,
            $h - $bottom;
        $svg .= $text->($at, $h - $bottom + 18, $_, 'middle');
    }

    for (@{$y->[1]}) {
        my $at = $py->($_);
        $svg .= sprintf qq{<path class="grid" d="M%d %.1fH%d"/>\n}, $left, $at,
            $w - $right;
        $svg .= $text->($left - 8, $at + 4, $_, 'end');
    }

    $svg .= $text->(($left + $w - $right) / 2, $h - 12, $x->[0], 'middle');
    $svg .= $text->($left - 50, $top - 10, $y->[0], 'start');

    for my $i (0 .. $#series) {
        my ($name, $points) = @{$series[$i]};
        my $d = join 'L', map { sprintf '%.1f %.1f', $px->($_->[0]),
            $py->($_->[1]) } @$points;
        my $down = $top + 12 + 22 * $i;
        $svg .= qq{<path class="line s$i d$i" d="M$d"/>\n};
        $svg .= sprintf qq{<path class="line s$i d$i" d="M%d %dH%d"/>\n},
            $w - $right + 10, $down - 4, $w - $right + 34;
        $svg .= $text->($w - $right + 40, $down, $name, 'start');
    }

    open(my $fh, '>', $file) or die "$file: $!\n";
    print $fh $svg, "</svg>\n";
    close $fh or die "$file: $!\n";
    print "$file\n";
}

1;
