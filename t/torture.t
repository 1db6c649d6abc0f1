#!/usr/bin/perl

# Each allocation of the module fails once, and then all from it on: while a
# call is handled, while the configuration is read.  If this broke, a moment
# without memory could crash a worker, or forward a call without a record.
#
# TCCBS_TORTURE=all  each n-th allocation, not each place in the code once

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $objs = "$FindBin::Bin/../" . ($ENV{TCCBS_OBJS} // 'objs');
my $module = "$objs/torture/ngx_http_tccbs_module.so";
my $all = ($ENV{TCCBS_TORTURE} // '') eq 'all';

plan skip_all => 'no module for it, run "make unit"' if !-e $module;

# The file that the module shares with us: six numbers, then pairs of a place
# and how often it has failed; see t/torture/wrap.c.

my ($ANY, $WORKER) = (1, 2);
my $size = 8 * (6 + 2 * 1024);
my $t = TCCBS::Test->new(module => $module, log => 'error',
    exempt => [ qr/no memory for the audit record/, qr/has no room for \d/,
        qr/no room to hold/ ]);
my $path = $t->file('torture', "\0" x $size, 0666);

$ENV{TCCBS_TORTURE} = $path;

sub poke {
    my ($at, @numbers) = @_;
    open(my $fh, '+<:raw', $path) or die "$path: $!\n";
    sysseek($fh, 8 * $at, 0);
    syswrite($fh, pack('Q<*', @numbers));
}

sub arm {
    my ($who, $at, $persistent) = @_;
    poke(1, $at, $persistent, 0, 0);
    poke(0, $who);
}

sub disarm { poke(0, 0); return counters() }

sub counters {
    open(my $fh, '<:raw', $path) or die "$path: $!\n";
    sysread($fh, my $bytes, $size);
    my @n = unpack('Q<*', $bytes);
    my %c = (count => $n[3], failed => $n[4], trace => {});
    $c{sites} = { map { ($n[6 + 2 * $_] => $n[7 + 2 * $_]) } 0 .. $n[5] - 1 };
    return \%c;
}

# The audit file is tried again after a while; until then nothing is forwarded.

my $shut;

# Runs something with each allocation failing in turn.  Unless all are asked
# for, one whose failure reaches no new place is followed by a longer step.

sub torture {
    my ($name, $who, $run) = @_;

    for my $persistent (0, 1) {
        my $n = 0;
        my $tried = 0;
        my $step = 1;

        while (1) {
            my $before = keys %{failed_sites()};
            my $was = counters()->{sites};

            arm($who, $n, $persistent);
            my $bad = $run->();
            my $c = disarm();

            if ($shut) {
                $shut = 0;
                $t->wait_for(sub { $t->call('CopySnapshotCrossRegions', copy(),
                    client => { plain => 1 })->{code} eq '' }, 20)
                    or $bad //= 'nothing is forwarded any more';
            }

            last if !$c->{failed};
            $tried++;

            if ($bad) {
                fail("$name: allocation $n"
                    . ($persistent ? ' and all after it' : '') . ": $bad");
                my $sites = places();
                diag('failed: ' . ($sites->{$_} // '?'))
                    for grep { $c->{sites}{$_} > ($was->{$_} // 0) }
                    keys %{$c->{sites}};
                return;
            }

            my $new = keys(%{failed_sites()}) > $before;
            $step = $all || $new ? 1 : $step < 4 ? $step + 1 : 4;
            $step = 1 if !$persistent;
            $n += $step;

            if ($n > 2000) {
                fail("$name: it ends");
                last;
            }
        }

        cmp_ok($tried, '>', 0, "$name: $tried failures"
            . ($persistent ? ', lasting' : ''));
    }
}

sub failed_sites {
    my $sites = counters()->{sites};
    return { map { $sites->{$_} ? ($_ => 1) : () } keys %$sites };
}

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

# The configuration: refused, with a message, and no crash

$t->emulator;
$t->key($_) for qw/ mapped limited /;
$t->credential('temporary', token => 1);

my $mapped = TCCBS::Test::free_port();

my %conf = (listen => '', accounts => $t->account('team-dr')
        . $t->account('limited', rate => '1r/m burst=1 nodelay',
            quota => '5/d', snapshots => 'snap-*')
        . $t->account('mapped', identity => '"CN=mapped,O=example"',
            credential => 'temporary'),
    credential => join('', map { "tccbs_credential $_ {
        file $t->{dir}/keys/$_.json; limit 10000r/s; queue 5s 100; }" }
        qw/ prod temporary /),
    location => 'tccbs_signed_host cbs.intl.tencentcloudapi.com;'
        . ' tccbs_snapshot_tag on;',
    servers => <<END);
    server {
        listen 127.0.0.1:$mapped;
        location / {
            tccbs_identity \$http_x_who trusted;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
END

$t->write_conf(%conf);

torture('configuration', $ANY, sub {
    my $said = $t->nginx("-t -c $t->{dir}/nginx.conf");
    return 'signal ' . ($? & 127) if $? & 127;
    return 'accepted' if counters()->{failed} && $? == 0
        && counters()->{count} < 5;
    return;
});

# Calls: each is answered in the one form, or the connection is closed; the
# worker goes on.

$t->run(%conf);

is($t->call('CopySnapshotCrossRegions', copy(), client => { plain => 1 })
    ->{code}, '', 'a call before');

my ($worker) = $t->workers;
my %told;

sub told {
    my ($r) = @_;
    $shut = ($r->{message} // '') =~ /audit log cannot be written/;
    $told{$r->{response} ? $r->{code} || 'made' : $r->{error}}++;
    return "no form: $r->{raw}" if $r->{status} && !$r->{response};
    return 'another worker' if ($t->workers)[0] != $worker;
    return;
}

sub caller_of {
    my (%o) = @_;
    return sub {
        $t->faults({ kind => $o{fault} }) if $o{fault};
        my $r = $t->call($o{action} // 'CopySnapshotCrossRegions',
            $o{params} ? $o{params}->() : copy(SnapshotName => 'torture'),
            client => { plain => 1, %{$o{client} // {}} },
            timeout => 20, %{$o{call} // {}});
        return told($r);
    };
}

torture('copy', $WORKER, caller_of());
torture('two regions', $WORKER, caller_of(params => sub {
    copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]) }));
torture('describe', $WORKER, caller_of(action => 'DescribeSnapshots',
    params => sub { return { Limit => 3 } }));
torture('refused by policy', $WORKER, caller_of(params => sub {
    copy(DestinationRegions => [ 'ap-tokyo' ]) }));
torture('bad signature', $WORKER, caller_of(call => { secret => 'x' x 40 }));
torture('malformed', $WORKER, caller_of(call => { body => '{"a"' }));
torture('rate', $WORKER, caller_of(client => { account => 'limited' }));
torture('mapped', $WORKER, caller_of(client => { port => $mapped },
    call => { headers => [ [ 'X-Who', 'CN=mapped,O=example' ] ] }));
torture('an answer that is lost', $WORKER,
    caller_of(fault => 'drop_in_body'));

my $same = copy();
is($t->call('CopySnapshotCrossRegions', $same, client => { plain => 1 })
    ->{code}, '', 'a call whose answer is kept');
torture('the answer again', $WORKER, caller_of(params => sub { $same }));

is(told($t->call('CopySnapshotCrossRegions', copy(),
    client => { plain => 1 })), undef, 'the gateway goes on');
ok($told{made}, 'calls were made');
cmp_ok(scalar keys %told, '>', 1, 'and refused for want of memory');
diag(join(', ', map { "$told{$_} $_" } sort keys %told));

# An outcome for whose record there was no memory, twice in a row, is written
# when the gateway starts the next time.

$t->stop;
$t->start;
ok($t->settled, 'every intent has an outcome');
$t->stop;

# How many places there are: calls of the wrappers in the code.

my %sites = %{places()};
my $seen = counters()->{sites};
my @reached = grep { exists $seen->{$_} } keys %sites;
my @failed = grep { $seen->{$_} } @reached;
my @never = sort map { exists $seen->{$_} ? () : $sites{$_} } keys %sites;

diag(scalar(keys %sites) . ' places, ' . @reached . ' reached, ' . @failed
    . ' failed');
diag("not reached: $_") for @never;

# what a run does not reach: the start of a worker, the restore of a log, and
# what needs two failures in a row

cmp_ok(scalar @failed, '>=', 70, 'most of them have failed');

$t->done;
