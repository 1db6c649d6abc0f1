package TCCBS::Torture;

# Allocations of the module that fail, each in its turn: what t/torture*.t have
# in common.  The module is linked with t/torture/wrap.c, which shares a file
# with us: seven numbers, then pairs of a place and how often it has failed.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use POSIX qw/ WNOHANG /;
use Test::More;

use TCCBS::Test;
use TCCBS::Trust;

our @EXPORT_OK = qw/ $ANY $WORKER $OTHER $ANY_OTHER /;

# where allocations fail: in all processes, in workers; and what fails for other
# reasons than memory, in workers and in all processes

our ($ANY, $WORKER, $OTHER, $ANY_OTHER) = (1, 2, 6, 5);

# The functions whose allocations a test makes fail, also those that the compiler
# puts into another one; and what fails for other reasons; t/torture.t has the
# rest.

my %part = (
    start => qr/^ngx_http_tccbs_(?:restore|scan|segment|recovery|takeover
        |journal_init|keeper_start|heads|key_init|batch(?!_copy)
        |chain_anchor)/x,
    redis => qr/^ngx_(?:http_)?tccbs_(?:redis|link|command|claim|resp|lease
        |fleet|ask_|duplicate:|duplicate_fleet)/x,
    source => qr/^ngx_(?:http_)?tccbs_(?:refresh|temporary|fetch|peer_name
        |source_sts|source_error)/x,
    other => qr/:\ (?:EVP_(?:Digest|MD_CTX_copy)|RAND_bytes|X509_digest
        |ngx_ssl_get_subject_dn|ngx_http_complex_value|ngx_read_file)/x,
);

my $root = TCCBS::Test::root();
my $objs = "$root/" . ($ENV{TCCBS_OBJS} // 'objs');
my $module = "$objs/torture/ngx_http_tccbs_module.so";
my $size = 8 * (7 + 2 * 1024);
my ($path, $base, $places);

# gateway(as for TCCBS::Test): one with that module; it shares the file with each
# nginx that is started from now on.  Unless something else is exempt, it may say
# what it wants, as long as no process crashes.

sub gateway {
    plan skip_all => 'no module for it, run "make unit"' if !-e $module;

    my $t = TCCBS::Test->new(module => $module, log => 'error',
        exempt => [ qr/^(?!.*exited\ on\ signal\ (?!9))/x ], @_);

    $path = $t->file('torture', "\0" x $size, 0666);
    $ENV{TCCBS_TORTURE} = $path;

    return $t;
}

# reads the configuration, which may be refused: what is wrong, if anything

sub configures {
    my ($t) = @_;
    $t->nginx("-t -c $t->{dir}/nginx.conf");
    return $? & 127 ? 'signal ' . ($? & 127) : undef;
}

sub poke {
    my ($at, @numbers) = @_;
    open(my $fh, '+<:raw', $path) or die "$path: $!\n";
    sysseek($fh, 8 * $at, 0);
    syswrite($fh, pack('Q<*', @numbers));
}

sub arm {
    my ($who, $at, $more, $place) = @_;
    poke(1, $at, $more, $place // 0, 0, 0);
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
    my %c = (count => $n[4], failed => $n[5]);
    $c{sites} = { map { ($n[7 + 2 * $_] => $n[8 + 2 * $_]) } 0 .. $n[6] - 1 };
    return \%c;
}

# torture(name, who, run, before => sub, after => sub, once => 1): runs something
# with each allocation failing in turn, then, unless once, with all from it on.
# "run" and "after" say what is wrong, if anything; nothing fails while "before"
# and "after" run.

sub torture {
    my ($name, $who, $run, %o) = @_;

    for my $lasting (0 .. ($o{once} ? 0 : 1)) {
        my $what = $name . ($lasting ? ', and all after' : '');
        my $n = 0;

        while ($n < 2000) {
            my $failed = fail_at("$what: allocation $n", $run, \%o, $who, $n,
                $lasting) // return;

            last if !$failed;
            $n++;
        }

        cmp_ok($n, '>', 0, "$what: $n failures");
        cmp_ok($n, '<', 2000, "$what: it ends");
    }
}

# torture_places(part, name, who, run, before, after, times => 2, of => regex,
# new => 1): the same for what takes long: each place of a part of the code, or
# each of such a name, or that has not failed, fails the first "times" times, and
# always.

sub torture_places {
    my ($part, $name, $who, $run, %o) = @_;
    my ($tried, %seen) = (0);
    my $name_of = places();

    defined fail_at($name, $run, \%o, $who, 1 << 40, 0) or return;

    # what is reached only after a failure comes when that has happened

    while (my @places = grep { !$seen{$_}++ } keys %{counters()->{sites}}) {
        for my $place (@places) {
            next if !$name_of->{$place} || !in($part, $name_of->{$place})
                || ($o{of} && $name_of->{$place} !~ $o{of})
                || ($o{new} && counters()->{sites}{$place});

            for ([ 0, 1 ], map { [ $_, 0 ] } 0 .. ($o{times} // 2) - 1) {
                my ($n, $more) = @$_;

                my $failed = fail_at("$name: $name_of->{$place}, $n", $run,
                    \%o, $who, $n, $more, $place) // return;
                $tried++ if $failed;
            }
        }
    }

    cmp_ok($tried, '>=', $o{new} ? 0 : 1, "$name: $tried failures");
}

# One of them: how many have failed, undef when something was wrong.

sub fail_at {
    my ($name, $run, $o, @arm) = @_;
    my $was = counters()->{sites};

    $o->{before}->() if $o->{before};
    arm(@arm);
    my $bad = $run->();
    my $c = disarm();

    $bad //= $o->{after}->() if $o->{after};

    if ($bad) {
        fail("$name: $bad");
        my $sites = places();
        diag('failed: ' . ($sites->{$_} // '?'))
            for grep { $c->{sites}{$_} > ($was->{$_} // 0) }
            keys %{$c->{sites}};
        return;
    }

    return $c->{failed};
}

sub base {
    ($base) = map { /^([0-9a-f]+) \w tccbs_torture_base$/ ? hex $1 : () }
        `nm $module` if !defined $base;
    return $base;
}

# The audit file is tried again after a while; until then nothing is forwarded.

sub forwards {
    my ($t, %o) = @_;
    return if $t->wait_for(sub { $t->call('CopySnapshotCrossRegions',
        TCCBS::Test::copy(), %o)->{code} eq '' }, 20);
    return 'nothing is forwarded any more';
}

# Starts nginx: 1 when it has come up, -1 when it has not, -2 when it has no
# worker, undef when none of these is seen.

sub starts {
    my ($t) = @_;
    my $said = -s "$t->{dir}/logs/error.log" // 0;

    $t->exec_nginx;

    my $up = $t->wait_for(sub {
        return -1 if waitpid($t->{pid}, WNOHANG) > 0;
        return -2 if substr($t->slurp('logs/error.log'), $said)
            =~ /fatal code 2/;
        return 0 if !$t->workers;
        return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $t->{port}) ? 1 : 0;
    }, 30);

    delete $t->{pid} if ($up // 0) == -1;
    return $up;
}

# where the wrappers are called: {the place} = "function: what it calls"

sub places {
    return $places if $places;

    my $base = base();
    my (%sites, $function, $call);

    for (`objdump -d --no-show-raw-insn $module`) {
        $function = $1 if /^[0-9a-f]+ <(\w+)>:/;

        if (defined $call && /^\s+([0-9a-f]+):/) {
            $sites{hex($1) - $base} = $call;
            undef $call;
        }

        $call = "$function: $1" if /\tcall\s.*<__wrap_(\w+)>/;
    }

    return $places = \%sites;
}

# The line in the source, and those that it is inlined in.

sub where {
    my ($place) = @_;
    my $at = sprintf('%x', $place + base() - 1);
    return join(' ', map { m{([^/]+)$} } `addr2line -i -e $module $at`);
}

# Whether that place is of the part.

sub in {
    my ($part, $place) = @_;
    return $part eq 'other' if $place =~ $part{other};
    return $place =~ $part{$part} if $part{$part};
    return !grep { $place =~ $_ } values %part;
}

# Each place of a part has failed, except those of the names that are given,
# which need not.

sub all_failed {
    my ($part, @except) = @_;

    my ($sites, $seen) = (places(), counters()->{sites});
    my @ours = grep { in($part, $sites->{$_}) } keys %$sites;
    my @failed = grep { $seen->{$_} } @ours;
    my @never = grep { !$seen->{$_} } sort { $a <=> $b } @ours;

    diag(scalar(@ours) . ' places, ' . @failed . ' failed');

    for my $name (@except) {
        my ($i) = grep { $sites->{$never[$_]} eq $name } 0 .. $#never;
        splice(@never, $i, 1) if defined $i;
    }

    cmp_ok(scalar @failed, '>', 5, 'there are such');
    is(scalar @never, 0, 'each place has failed')
        or diag(map { "$sites->{$_}, " . where($_) } @never);

    TCCBS::Trust::figure('Memory and coverage', 'places that failed, each once '
        . 'and for good, of those that ask for memory or may fail otherwise: '
        . $part, @failed . ' of ' . @ours . ', a wrong answer to none', 'all',
        'make torture') if Test::More->builder->is_passing;
}

1;
