#!/usr/bin/perl

# Gateways in network namespaces of their own share the limit of a credential
# through a real Redis.  If this broke, a fleet would exceed the limit of
# Tencent Cloud, or use less of it, or one gateway's accounts would starve those
# of another.
#
# TCCBS_FLEET=long, "make fleet": 3 and 5 gateways, and for longer;
# TCCBS_FLEET=5: those alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Handle;
use List::Util qw/ min /;
use POSIX ();
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Net;
use TCCBS::Redis;
use TCCBS::Test qw/ busiest copy /;

my $long = $ENV{TCCBS_FLEET} // '';
my $seconds = $long ? 30 : 6;
my $limit = 20;

# what is granted ahead, see docs/fleet.md

my $outstanding = 5;

my $net = TCCBS::Net->new or plan(skip_all => $@);

# the figures are those of a fleet, and not of a busy machine: a record that is
# on the disk 20 ms later is a call that is sent 20 ms later

TCCBS::Net::hurry();
$ENV{TMPDIR} = '/dev/shm' if -w '/dev/shm';

# account => how many calls it has open at the first, second ... gateway

my %spread = (
    everywhere => [ 12, 12, 12, 12, 12 ],
    two => [ 4, 4 ],
    first => [ 8 ],
    second => [ 0, 8 ],
    third => [ 0, 0, 4 ],
    thirds => [ 0, 0, 8 ],
);

fleet($_) for $long eq 'long' ? (3, 5) : $long || 3;

done_testing();

sub fleet {
    my ($n) = @_;

    my $t = TCCBS::Test->new(workers => 2);
    my $redis = TCCBS::Redis->new($t, '--port', 6379, '--bind', '0.0.0.0',
        '--protected-mode', 'no');
    my @gateways;

    $t->credential('fast');
    $t->emulator(args => [ '--bind', '0.0.0.0' ]);

    for my $i (1 .. $n) {

        $net->node("$n$i");

        my %conf = (listen => '', zone => 'tccbs_zone tccbs:16m;',
            accounts => join('', (map { $t->account($_) } sort keys %spread),
                $t->account('alone', credential => 'fast')),
            credential => "tccbs_credential prod {
                file $t->{dir}/keys/prod.json; limit 20r/s;
                queue 50s 1000; }
                tccbs_credential fast {
                file $t->{dir}/keys/fast.json; limit 1000r/s; }",
            upstream => "server 10.1.$n$i.1:$t->{emulator_port};",
            http => "tccbs_redis redis://10.2.$n$i.1 nodes=$n
                deadline=200ms;");

        push @gateways, $net->inside("$n$i", sub {
            return $i > 1 ? $t->another(%conf) : $t->run(%conf) });
    }

    my %load = open_calls($n, @gateways);
    my @log;
    my $clock = stalls("$t->{dir}/stalls");

    # what is wrong for some seconds, and how it is mended


    # the share of one gateway, or of all, that is left meanwhile

    my $share = int($limit / $n) * $n / $limit;

    # in a few seconds a stall of the machine is some of them

    my @phases = (
        [ 'healthy', $long ? 0.97 : 0.95,
            sub { $load{action} = 'CopySnapshotCrossRegions' },
            sub {
                $load{action} = 'DescribeSnapshots';
                $t->control('POST', '/reset');      # of what is looked through
            } ],
        [ 'failover', 0.6, sub { $redis->stop; $redis->start }, sub { } ],
        [ 'no Redis', 0.5 * $share, sub { $redis->stop },
            sub { $redis->start } ],
        [ 'one cut off', 0.7, sub { $net->cut("${n}1") },
            sub { $net->mend("${n}1") } ],
        [ 'Redis hangs', 0.5 * $share, sub { $redis->signal('STOP') },
            sub { $redis->signal('CONT') } ],
    );

    # without Redis no copy is made, but the state of snapshots can be asked for;
    # gateways come one after another, and count after a second

    run(\%load, 3);

    for my $phase (@phases) {
        my ($what, $least, $begin, $end) = @$phase;
        my $from = time;

        $begin->();
        run(\%load, $seconds);
        my $to = time;

        $end->();
        run(\%load, 2);
        push @log, [ $what, $least, $from, $to, time ];
    }

    once($t, $n, $long ? 5000 : 100, @gateways);

    my @bad = map { "$_->{code} $_->{message}" } @{$load{bad}};
    is(scalar @bad, 0, "$n gateways: no call was refused")
        or diag(join "\n", @bad[0 .. ($#bad > 4 ? 4 : $#bad)]);

    $_->close for values %{$load{busy}};

    kill 'KILL', $clock;
    waitpid($clock, 0);

    my @stalls = split ' ', $t->slurp('stalls');
    my @at = sort { $a->[0] <=> $b->[0] }
        map { ($_->{body} // '') =~ /"(snap-\d+)"/ && $load{of}{$1}
            ? [ $_->{t_first} / 1e6, $load{of}{$1}, $_->{action} ] : () }
        $t->emulated;

    for my $phase (@log) {
        my ($what, $least, $from, $to, $until) = @$phase;
        my $most = $limit + ($what eq 'healthy' ? 0 : $outstanding);
        my $stalls = grep { $_ >= $from && $_ < $until } @stalls;

        # whose machine does not let him run cannot be in time

        if (!$long && $stalls > 2) {
            $least = min($least, 0.7);
            $most += 2;
        }

        my $action = $what eq 'healthy' ? 'CopySnapshotCrossRegions'
            : 'DescribeSnapshots';
        my @of = grep { $_->[2] eq $action } @at;
        my @in = grep { $_->[0] >= $from && $_->[0] < $to } @of;
        my $used = @in / $limit / ($to - $from);
        my $busiest = busiest(1, grep { $_ >= $from && $_ < $until }
            map { $_->[0] } @of);
        my $jain = jain(@in);

        note(sprintf '%d gateways, %s: %.1f%% used, %d in the busiest second, '
            . 'at most %d, Jain %.4f, %d stalls', $n, $what, 100 * $used, $busiest,
            $most, $jain, $stalls);

        cmp_ok($busiest, '<=', $most, "$n gateways, $what: busiest second");
        cmp_ok($used, '>=', $least, "$n gateways, $what: used");
        cmp_ok($used, '<=', 1.005, "$n gateways, $what: not more")
            if $what eq 'healthy';
        cmp_ok($jain, '>=', 0.99, "$n gateways, $what: Jain")
            if $what eq 'healthy';
    }

    $t->finish;
    $redis->stop;
}

# how often this machine lets nobody run for longer than a slot is for

sub stalls {
    my ($path) = @_;

    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;

    open(my $fh, '>', $path) or POSIX::_exit(1);
    $fh->autoflush(1);

    my $parent = getppid;

    while (getppid == $parent) {
        my $before = time;
        select(undef, undef, undef, 0.002);
        print $fh "$before\n" if time - $before > 0.008;
    }

    POSIX::_exit(0);
}

# The same call to all gateways at once: one copy, and the same answer to all;
# when Redis does not answer in time a gateway refuses.

sub once {
    my ($t, $n, $tries, @gateways) = @_;

    my @clients = map { $gateways[$_ - 1]->client(account => 'alone',
        plain => 1, node => "$n$_") } 1 .. $n;

    my (@copies, @other, %refused);

    for (1 .. $tries) {

        my $copy = copy();
        my $request = $clients[0]->request('CopySnapshotCrossRegions', $copy);

        to($_) for @clients;
        $_->send($request) for @clients;
        push @copies, $copy->{SnapshotId};

        my @answers = map { $_->answer } @clients;
        my @bad = grep { ($_->{code} // 'x') ne '' } @answers;
        my %said = map { (join(' ', $_->{raw} =~ /"SnapshotId":"(snap-\w+)"/g),
            1) } grep { ($_->{code} // 'x') eq '' } @answers;

        $refused{$copy->{SnapshotId}} = 1
            if grep { ($_->{code} // '') eq 'ServiceUnavailable' } @bad;
        push @other, join(', ', sort(keys %said), map { $_->{raw} } @bad)
            if keys %said > 1
               || grep { ($_->{code} // '') ne 'ServiceUnavailable' } @bad;
    }

    my %sent;
    $sent{$_}++ for map { ($_->{body} // '') =~ /"(snap-\d+)"/ } $t->emulated;

    my $twice = grep { ($sent{$_} // 0) > 1 } @copies;
    my $never = grep { !$sent{$_} && !$refused{$_} } @copies;
    my $refused = keys %refused;

    note("$n gateways: $tries calls to all of them, $twice copies made twice, "
        . "$never not made, $refused refused somewhere");

    is($twice, 0, "$n gateways: one copy");
    is($never, 0, "$n gateways: and not none");
    is(scalar @other, 0, "$n gateways: the same answer to all")
        or diag($other[0]);
    cmp_ok($refused, '<=', $tries / 10, "$n gateways: seldom refused");

    $_->close for @clients;
}

# accounts whose calls are made anew as soon as they are answered

sub open_calls {
    my ($n, @gateways) = @_;

    my %load = (busy => {}, of => {}, bad => [], later => [],
        action => 'CopySnapshotCrossRegions');

    for my $name (sort keys %spread) {
        for my $i (0 .. $#gateways) {
            for (1 .. $spread{$name}[$i] // 0) {

                again(\%load, $gateways[$i]->client(account => $name,
                    plain => 1, of => $name, node => $n . ($i + 1)));
            }
        }
    }

    return %load;
}

# a connection may have ended

sub to {
    my ($client) = @_;
    $net->inside($client->{node}, sub { $client->connect });
}

sub again {
    my ($load, $client) = @_;

    my $copy = copy();

    to($client);

    my $about = $load->{action} =~ /^Copy/ ? $copy
        : { SnapshotIds => [ $copy->{SnapshotId} ] };

    $load->{of}{$copy->{SnapshotId}} = $client->{of};
    $client->send($client->request($load->{action}, $about));
    $load->{busy}{fileno $client->{socket}} = $client;
}

sub run {
    my ($load, $seconds) = @_;

    my $end = time + $seconds;

    while (time < $end) {

        my $set = '';
        vec($set, $_, 1) = 1 for keys %{$load->{busy}};
        select(my $ready = $set, undef, undef, 0.1);

        for my $fd (grep { vec($ready, $_, 1) } keys %{$load->{busy}}) {
            my $client = delete $load->{busy}{$fd};
            my $answer = $client->answer;

            if (($answer->{code} // 'x') eq '') {
                again($load, $client);

            } else {
                push @{$load->{bad}}, $answer;
                push @{$load->{later}}, [ time + 0.5, $client ];
            }
        }

        again($load, (shift @{$load->{later}})->[1])
            while @{$load->{later}} && $load->{later}[0][0] < time;
    }
}

sub jain {
    my %n = map { $_ => 0 } keys %spread;
    $n{$_->[1]}++ for @_;

    my ($sum, $squares) = (0, 0);

    for (values %n) {
        $sum += $_;
        $squares += $_ ** 2;
    }

    return $squares ? $sum ** 2 / (keys(%n) * $squares) : 0;
}
