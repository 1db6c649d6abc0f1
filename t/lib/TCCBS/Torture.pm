package TCCBS::Torture;

# Allocations of the module that fail, each in its turn: what t/torture*.t have
# in common.  The module is linked with t/torture/wrap.c, which shares a file
# with us: six numbers, then pairs of a place and how often it has failed.

use strict;
use warnings;

use Exporter 'import';
use Test::More;

use TCCBS::Test;

our @EXPORT_OK = qw/ $ANY $WORKER $OTHER /;

# where allocations fail: in all processes, in workers; and what fails in
# workers for other reasons than memory

our ($ANY, $WORKER, $OTHER) = (1, 2, 6);

my $other = qr/:\ (?:EVP_(?:Digest|MD_CTX_copy)|RAND_bytes|X509_digest
    |ngx_ssl_get_subject_dn|ngx_http_complex_value|ngx_read_file)/x;

# The functions whose allocations a test makes fail; t/torture.t has the rest.

my %part = (
    start => qr/^ngx_http_tccbs_(?:restore|scan|recovery|takeover|journal_init
        |keeper_start|heads|key_init|batch_append|chain_anchor)/x,
    redis => qr/^ngx_(?:http_)?tccbs_(?:redis|link|command|claim|resp|lease
        |fleet|duplicate:)/x,
    source => qr/^ngx_(?:http_)?tccbs_(?:ask|refresh|temporary|fetch|peer
        |source_sts)/x,
);

my $root = TCCBS::Test::root();
my $objs = "$root/" . ($ENV{TCCBS_OBJS} // 'objs');
my $module = "$objs/torture/ngx_http_tccbs_module.so";
my $all = ($ENV{TCCBS_TORTURE} // '') eq 'all';
my $size = 8 * (6 + 2 * 1024);
my $path;

sub module {
    plan skip_all => 'no module for it, run "make unit"' if !-e $module;
    return $module;
}

# shares the file with each nginx that is started from now on

sub share {
    my ($t) = @_;
    $path = $t->file('torture', "\0" x $size, 0666);
    $ENV{TCCBS_TORTURE} = $path;
}

sub poke {
    my ($at, @numbers) = @_;
    open(my $fh, '+<:raw', $path) or die "$path: $!\n";
    sysseek($fh, 8 * $at, 0);
    syswrite($fh, pack('Q<*', @numbers));
}

sub arm {
    my ($who, $at, $more) = @_;
    poke(1, $at, $more, 0, 0);
    poke(0, $who);
}

sub disarm {
    poke(0, 0);
    return counters();
}

sub counters {
    open(my $fh, '<:raw', $path) or die "$path: $!\n";
    sysread($fh, my $bytes, $size);
    my @n = unpack('Q<*', $bytes);
    my %c = (count => $n[3], failed => $n[4]);
    $c{sites} = { map { ($n[6 + 2 * $_] => $n[7 + 2 * $_]) } 0 .. $n[5] - 1 };
    return \%c;
}

# torture(name, who, run, before => sub, after => sub, pairs => n): runs
# something with each allocation failing in turn, then with all from it on, then
# together with another that is 2 to n later.  "run" and "after" say what is
# wrong, if anything; nothing fails while "before" and "after" run.  Unless all
# are asked for, one whose failure with all after it reaches no new place is
# followed by a longer step.

sub torture {
    my ($name, $who, $run, %o) = @_;
    my @and = ('', ' and all after', map { " and $_ later" }
        2 .. $o{pairs} // 1);

    for my $more (0, 1, 2 .. $o{pairs} // 1) {
        my ($n, $tried, $step) = (0, 0, 1);

        while (1) {
            my $was = counters()->{sites};

            $o{before}->() if $o{before};
            arm($who, $n, $more);
            my $bad = $run->();
            my $c = disarm();

            $bad //= $o{after}->() if $o{after};

            if ($bad) {
                fail("$name: allocation $n$and[$more]: $bad");
                my $sites = places();
                diag('failed: ' . ($sites->{$_} // '?'))
                    for grep { $c->{sites}{$_} > ($was->{$_} // 0) }
                    keys %{$c->{sites}};
                return;
            }

            last if !$c->{failed};
            $tried++;

            my $new = grep { $c->{sites}{$_} && !$was->{$_} }
                keys %{$c->{sites}};
            $step = $all || $new || $more != 1 ? 1 : $step < 4 ? $step + 1 : 4;
            $n += $step;

            if ($n > 2000) {
                fail("$name: it ends");
                last;
            }
        }

        cmp_ok($tried, '>', 0, "$name: $tried failures$and[$more]");
    }
}

# where the wrappers are called: {the place} = "function: what it calls"

sub places {
    my ($base) = map { /^([0-9a-f]+) \w tccbs_torture_base$/ ? hex $1 : () }
        `nm $module`;
    my (%sites, $function, $call);

    for (`objdump -d --no-show-raw-insn $module`) {
        $function = $1 if /^[0-9a-f]+ <(\w+)>:/;

        if (defined $call && /^\s+([0-9a-f]+):/) {
            $sites{hex($1) - $base} = $call;
            undef $call;
        }

        $call = "$function: $1" if /\tcall\s.*<__wrap_(\w+)>/;
    }

    return \%sites;
}

# Each place of a part has failed, except those whose text is given.

sub all_failed {
    my ($part, @except) = @_;

    my ($sites, $seen) = (places(), counters()->{sites});
    my $others = join('|', map { $_ eq $part ? () : $part{$_} }
        sort keys %part);
    my @ours = grep { $part eq 'other' ? $sites->{$_} =~ $other
        : $sites->{$_} =~ $other ? 0
        : $part{$part} ? $sites->{$_} =~ $part{$part}
        : $sites->{$_} !~ /$others/ } keys %$sites;
    my @failed = grep { $seen->{$_} } @ours;
    my @never = sort map { $seen->{$_} ? () : $sites->{$_} } @ours;

    diag(scalar(@ours) . ' places, ' . @failed . ' failed');
    cmp_ok(scalar @failed, '>', 5, 'there are such');
    is_deeply(\@never, [ sort @except ], 'each place has failed')
        or diag(join("\n", @never));
}

1;
