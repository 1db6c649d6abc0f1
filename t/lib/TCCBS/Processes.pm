package TCCBS::Processes;

# The processes of a gateway: its master, which is $self->{pid}, the workers and
# the keeper; what signals do to them.  TCCBS::Test is one of these.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX qw/ WNOHANG /;

use parent 'Exporter';
our @EXPORT_OK = qw/ killed /;

# the processes below the master; of these the workers, and the keeper, which
# is nginx's cache manager

sub workers {
    my ($self, $master) = @_;
    return grep { $self->title($_) =~ /worker process/ }
        $self->children($master);
}

# as many as there are to be: the first one answers before others have started

sub all_workers {
    my ($self, $master) = @_;
    my @all;

    $self->wait_for(sub { (@all = $self->workers($master))
        >= $self->{workers} }, 30) or die "workers are missing\n";

    return @all;
}

sub keepers {
    my ($self) = @_;
    return grep { $self->title($_) =~ /tccbs keeper/ } $self->children;
}

sub title {
    my ($self, $pid) = @_;
    return $self->slurp("/proc/$pid/cmdline");
}

# all of them, or those of another master

sub children {
    my ($self, $pid) = @_;

    $pid //= $self->{pid} // return;

    my $path = "/proc/$pid/task/$pid/children";

    return split(' ', $self->slurp($path)) if -e $path;

    return grep { $self->slurp("/proc/$_/stat") =~ /\) \S $pid / }
        map { m{^/proc/(\d+)/} } glob('/proc/[0-9]*/stat');
}

# the alerts of nginx about a process that a signal ended: it may have held the
# mutex of the zone

sub ended {
    my ($pid, $signal) = @_;

    return (qr/process $pid exited on signal $signal\b/,
        qr/shared memory zone "\w+" was locked by $pid\b/);
}

# what a test that kills any process with -9 exempts

sub killed { return (ended('\d+', 9), qr/open socket #\d+ left/) }

# kills a worker and waits for another in its place; returns its pid

sub kill_worker {
    my ($self, $signal, $pid) = @_;

    my %old = map { $_ => 1 } $self->workers;
    $pid //= (sort { $a <=> $b } keys %old)[0] // die "no worker to kill\n";
    $signal //= 'KILL';

    push @{$self->{exempt}}, ended($pid, '\d+');
    kill $signal, $pid or die "kill $pid: $!\n";

    $self->wait_for(sub {
        my @now = $self->workers;
        @now >= keys %old && !grep { $_ == $pid } @now;
    }, 20) or die "no new worker for $pid\n";

    return $pid;
}

# Stopped, and known to be: one that is about to stop may still be the one that
# is woken for a new connection, which nobody accepts then.

sub freeze {
    my ($self, @pids) = @_;
    kill 'STOP', @pids;
    $self->wait_for(sub { !grep { $self->slurp("/proc/$_/stat")
        !~ /\) T / } @pids }) or die "@pids go on\n";
}

sub signal {
    my ($self, $signal) = @_;
    return kill $signal, $self->{pid};
}

# HUP; true when the new workers are there and, unless keep => 1, the old are
# gone; false at once when the configuration is refused

sub reload {
    my ($self, %o) = @_;

    my %old = map { $_ => 1 } $self->workers;
    my $said = () = $self->slurp('logs/error.log') =~ /\[emerg\]/g;

    $self->signal('HUP');

    my $result = $self->wait_for(sub {
        my @workers = $self->workers;
        my @new = grep { !$old{$_} } @workers;
        return 1 if @new >= $self->{workers} && ($o{keep} || @new == @workers);

        my $now = () = $self->slurp('logs/error.log') =~ /\[emerg\]/g;
        return $now > $said ? -1 : 0;
    }, 80) // 0;

    return $result == 1;
}

sub stop {
    my ($self, $signal) = @_;

    my $pid = $self->{pid} or return;

    kill $signal // 'QUIT', $pid;

    my $gone = $self->wait_for(sub { waitpid($pid, WNOHANG) != 0 }, 90);

    if (!$gone) {
        kill 'KILL', $self->children, $pid;
        waitpid($pid, 0);
        push @{$self->{bad}}, 'nginx did not stop';
    }

    delete $self->{pid};
}

# kills the master and all workers at once, as a power cut would

sub crash {
    my ($self) = @_;
    my $pid = $self->{pid} or return;

    kill 'KILL', $pid, $self->children;
    waitpid($pid, 0);
    delete $self->{pid};

    $self->wait_for(sub { !IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}) });
}

1;
