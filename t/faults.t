#!/usr/bin/perl

# Each system call of one call's way through a worker: killed there, and told
# there that it failed.  Whatever happens, no copy is made twice, none is
# unrecorded, and the log tells the truth.
#
# TCCBS_FAULTS=all does all of them ("make faults"), otherwise one of so many;
# for TCCBS_SECONDS at most.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ WNOHANG /;
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ copy killed /;

my $each = ($ENV{TCCBS_FAULTS} // '') eq 'all' ? 1 : ($ENV{TCCBS_FAULTS} || 2);

plan skip_all => 'no strace' if !grep { -x "$_/strace" } split(/:/, $ENV{PATH});

my $t = TCCBS::Test->new(workers => 1, exempt => [ killed,
    qr/was not closed/, qr/\bfailed \(\d+: /,
    qr/nothing is forwarded until/, qr/no room can be reserved/,
    qr/the audit log is too slow/, qr/SSL handshak/ ]);

$t->run(location => 'tccbs_read_timeout 2s; tccbs_hold 1s;');

my $action = 'CopySnapshotCrossRegions';
my $strace = "$t->{dir}/strace";

# what belongs to the way of a call; what waits is not among it

my $calls = 'accept4,recvfrom,read,write,writev,sendto,connect,socket,openat,'
    . 'fstat,newfstatat,fallocate,fdatasync,fsync,close,epoll_ctl,setsockopt,'
    . 'getsockopt,ioctl';

# errors of what is done to the audit file, and to sockets

my %file = map { $_ => 1 } qw/ write fdatasync fallocate fstat newfstatat
    openat /;

my %errors = (write => [ qw/ EIO ENOSPC EINTR / ],
    fdatasync => [ qw/ EIO ENOSPC EINTR / ],
    fallocate => [ qw/ ENOSPC EIO / ], fstat => [ qw/ EIO / ],
    newfstatat => [ qw/ EIO / ], openat => [ qw/ EACCES ENOENT / ],
    connect => [ qw/ ECONNREFUSED ENETUNREACH / ],
    socket => [ qw/ EMFILE / ], sendto => [ qw/ ECONNRESET EPIPE / ],
    recvfrom => [ qw/ ECONNRESET / ], read => [ qw/ ECONNRESET / ],
    writev => [ qw/ ECONNRESET / ], getsockopt => [ qw/ ECONNRESET / ]);

sub worker {
    return $t->wait_for(sub { my @w = $t->workers; @w == 1 && $w[0] }, 20);
}

# strace at work: every thread of the worker is traced

sub traced {
    my (@how) = @_;

    for (1 .. 2) {
        my $worker = worker();

        unlink $strace;
        my $pid = $t->spawn("$t->{dir}/strace.err", 'strace', '-f', '-o',
            $strace, @how, '-p', $worker);

        return $pid if $t->wait_for(sub {
            my @threads = glob("/proc/$worker/task/*/status");
            @threads && @threads == grep {
                $t->slurp($_) =~ /^TracerPid:\s+[1-9]/m } @threads;
        }, 2);

        # that worker was just ending
        untraced($pid);
    }

    return;
}

sub untraced {
    my ($pid) = @_;
    kill 'TERM', $pid;

    # strace may hang when a thread of a process is killed, and its threads stop

    return if $t->wait_for(sub { waitpid($pid, WNOHANG) }, 2);

    kill 'KILL', $pid;
    waitpid($pid, 0);
}

# who is traced and killed may stay until strace is gone: nobody is waited for

sub call {
    my $p = copy();
    my $r = eval {
        local $SIG{ALRM} = sub { die "no answer\n" };
        alarm(4);
        my $r = $t->call($action, $p);
        alarm(0);
        $r;
    } // {};
    alarm(0);
    return ($p, $r);
}

# a first call, so that what happens once has happened; then the way of one

call() for 1 .. 2;
my $pid = traced('-e', "trace=$calls") or die 'strace does not attach';
my ($p, $r) = call();
untraced($pid);
is($r->{code}, '', 'a call that is watched');

my %n;
$n{$_}++ for $t->slurp('strace') =~ /^\d+\s+(?:\d+:\S+ )?(\w+)\(/mg;
cmp_ok($n{$_} // 0, '>', 0, "it has $_") for qw/ accept4 write fdatasync /;

my @points;
for my $name (sort keys %n) {
    push @points, map { [ $name, $_, 'signal=SIGKILL' ] } 1 .. $n{$name};

    for my $error (@{$errors{$name} // []}) {
        push @points, map { [ $name, $_, "error=$error" ] }
            1 .. ($file{$name} ? 2 : $n{$name});
    }
}

my ($done, $twice, $lied, $hit) = (0, '', '', 0);
my $deadline = time + ($ENV{TCCBS_SECONDS} // 40);
my $start = int(rand($each));

for my $i (grep { $_ % $each == $start } 0 .. $#points) {
    my ($name, $k, $how) = @{$points[$i]};

    last if time > $deadline;

    my $from = time;

    # the file may have failed: it is to be well again
    $t->wait_for(sub { ((call())[1]->{code} // 'x') eq '' }, 30);

    my $tracer = traced('-e', "trace=$name", '-e',
        "inject=$name:$how:when=$k", $how =~ /^error/ && $file{$name}
            ? ('-P', "$t->{dir}/audit.jsonl") : ()) or next;
    my ($p, $r) = call();
    untraced($tracer);

    $done++;
    diag(sprintf '%s %d %s: %.1f s', $name, $k, $how, time - $from)
        if time - $from > 3;
    $hit++ if $t->slurp('strace') =~ /INJECTED|\+\+\+ killed/;

    my $made = $t->sent($p);
    $twice .= "$name $k $how: $made\n" if $made > 1;

    # whoever is told that nothing was sent can rely on it, and on success
    my $said = ($r->{headers} // {})->{'x-tccbs-outcome'} // '';
    $lied .= "$name $k $how: $said, $made made\n"
        if ($said eq 'not-sent' && $made) || ($said eq 'success' && !$made);
}

$t->wait_for(sub { ((call())[1]->{code} // 'x') eq '' }, 30);

is($twice, '', "$done of " . @points . " points, $hit hit: none made twice");
is($lied, '', 'and no caller was told what is not so');
cmp_ok($hit, '>', $done / 2, 'most were hit');
ok($t->settled, 'every intent has an outcome');

diag("$done of " . @points . " points, $hit were hit");

$t->done;
