#!/usr/bin/perl

# Callers that send a byte now and then, and callers without a key, many of
# them: those who call honestly do not notice, and the audit log does not grow.
# If this broke, anybody who reaches the gateway could stop it.
#
# Two gateways are measured in turns, one of them with the crowd, since the
# machine of the tests does other work as well.
#
# TCCBS_CROWD=2000, TCCBS_ROUNDS=10: "make crowd"

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/ sleep time /;
use TCCBS::Load;
use TCCBS::Test qw/ copy /;
use TCCBS::Trust;

my $crowd = $ENV{TCCBS_CROWD} // 300;
my $rounds = $ENV{TCCBS_ROUNDS} // 1;
my $flood = $ENV{TCCBS_FLOOD} // 500;
my $long = $ENV{TCCBS_ROUNDS};
my $action = 'CopySnapshotCrossRegions';
my $command = "TCCBS_CROWD=$crowd TCCBS_ROUNDS=$rounds prove t/crowd.t";

my @gateways = map { TCCBS::Test->new(workers => 2, log => 'warn') } 1, 2;
my %port = map { $_ => TCCBS::Test::free_port() } 0, 1;

for my $n (0, 1) {
    my $t = $gateways[$n];
    $t->run(connections => 8192, servers => <<END);
    server {
        listen 127.0.0.1:$port{$n};
        server_name cbs.gw.test;
        client_header_timeout 600s;
        client_body_timeout 600s;
        location / { tccbs_pass https://cbs.intl.tencentcloudapi.com; }
    }
END
}

my ($alone, $beside) = @gateways;

# A process of its own; it works on USR1 and pauses on USR2

sub crowd {
    my ($code) = @_;

    unlink "$beside->{dir}/crowd.ready";
    my $pid = fork // die "fork: $!\n";

    if ($pid) {
        $beside->wait_for(sub { -e "$beside->{dir}/crowd.ready" });
        return $pid;
    }

    $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
    my $on = 0;
    $SIG{USR1} = sub { $on = 1 };
    $SIG{USR2} = sub { $on = 0 };
    my $parent = getppid;
    $beside->file('crowd.ready', '');
    eval { $code->(sub { return getppid == $parent ? $on : undef }) };
    print STDERR $@ if $@;
    POSIX::_exit(0);
}

# half of them in their headers, half in the body

sub slow {
    my ($on) = @_;
    my $client = $beside->client;
    my (@open, $n);

    my $whole = $client->request($action, copy(SnapshotId => 'snap-slow0001'));
    my $end = index($whole, "\r\n\r\n") + 4;

    for my $i (1 .. $crowd) {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $port{1}) or die "slow: $!\n";
        my $at = $i % 2 ? 20 : $end;
        syswrite($s, substr($whole, 0, $at));
        push @open, $s;
    }

    $beside->file('crowd.open', scalar @open);

    # headers and bodies grow by a byte every ten seconds
    while (defined(my $works = $on->())) {
        my $part = $n++ % 100;
        for my $i ($works ? grep { $_ % 100 == $part } 0 .. $#open : ()) {
            syswrite($open[$i], $i % 2 ? ' ' : 'x');
        }
        sleep 0.1;
    }
}

# calls of nobody, at a rate, a few at once on each connection

sub flood {
    my ($on) = @_;
    my $client = $beside->client(id => 'AKIDgw' . 'n' x 26);
    my (@open, $sent);

    while (defined(my $works = $on->())) {
        my $from = time;

        if ($works) {
            @open = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $port{1}) // die "flood: $!\n" } 1 .. 4 if !@open;

            my $each = int($flood / 10 / @open);
            my $bytes = $client->request($action, copy()) x $each;

            for my $s (splice(@open)) {
                my $n = syswrite($s, $bytes) // next;
                $sent += int($each * $n / length $bytes);
                push @open, $s;
            }

            for my $s (IO::Select->new(@open)->can_read(0)) {
                sysread($s, my $said, 1 << 20)
                    or @open = grep { $_ != $s } @open;
            }

            $beside->file('crowd.sent', $sent);
        }

        my $left = 0.1 - (time - $from);
        sleep($left) if $left > 0;
    }
}

sub honest {
    my ($t) = @_;
    my $result = TCCBS::Load->new(rate => 40, seconds => $long ? 5 : 2,
        connections => 8, log => "$t->{dir}/honest.jsonl",
        client => sub { $t->client(seen => undef) })->run;
    return ($result->{p99}, $result->{failed});
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[$#sorted / 2];
}

# in turns: (alone, beside), (beside, alone), ...

sub compare {
    my ($what, $pid) = @_;
    my (@a, @b);
    my $failed = 0;

    for my $round (1 .. $rounds) {
        for my $which ($round % 2 ? (0, 1) : (1, 0)) {
            kill $which ? 'USR1' : 'USR2', $pid;
            sleep 0.3;
            my ($p99, $lost) = honest($gateways[$which]);
            push @{$which ? \@b : \@a}, $p99;
            $failed += $lost;
        }
    }

    is($failed, 0, "$what: each honest call is answered");

    my ($a, $b) = (median(@a), median(@b));
    my $limit = $long ? 1.1 * $a + 5 : 2 * $a + 100;
    my $text = sprintf('%.1f ms alone, %.1f ms beside: %+.0f %%', $a, $b,
        100 * ($b / $a - 1));

    cmp_ok($b, '<=', $limit, "$what: 99th percentile, $text");
    return $text;
}

honest($_) for @gateways;

# slow ones

my $pid = crowd(\&slow);
ok($beside->wait_for(sub { $beside->slurp('crowd.open') eq $crowd }, 60),
    "$crowd slow connections");
my $text = compare("$crowd slow connections", $pid);
TCCBS::Trust::figure('Crowds', "p99 of honest calls beside $crowd slow "
    . "connections, median of $rounds rounds", $text, 'within 10 %', $command);
kill 'TERM', $pid;
waitpid($pid, 0);

# anonymous ones; the log grows by a sum for each worker and minute

my $size = sub { -s "$beside->{dir}/audit.jsonl" };
$beside->settled;
$pid = crowd(\&flood);
my ($before, $from) = ($size->(), time);
kill 'USR1', $pid;
sleep($long ? 60 : 4);
kill 'USR2', $pid;
sleep 0.2;
my ($after, $took) = ($size->(), time - $from);
my $sent = $beside->slurp('crowd.sent');
cmp_ok($sent, '>', $flood * $took / 4, "$sent anonymous calls in "
    . sprintf('%.0f s', $took));
cmp_ok($after - $before, '<', 5000, 'the log does not grow by them');

$text = compare("$flood anonymous calls/s", $pid);
TCCBS::Trust::figure('Crowds', "p99 of honest calls beside $flood anonymous "
    . "calls/s, median of $rounds rounds", $text, 'within 10 %', $command);
TCCBS::Trust::figure('Crowds', 'growth of the audit log by anonymous calls',
    sprintf('%.1f KiB/min at %.0f calls/s', ($after - $before) * 60 / $took
    / 1024, $sent / $took), '<= 1 MiB/min', $command);
kill 'TERM', $pid;
waitpid($pid, 0);

for my $t (@gateways) {
    $t->stop;
    my ($counted) = map { $_->{count} } $t->audit(decision => 'anonymous');
    cmp_ok($counted // 0, '>', $t == $beside ? $sent / 10 : -1,
        'they are summed up');
    $t->finish;
}

done_testing;
