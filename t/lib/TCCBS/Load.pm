package TCCBS::Load;

# A client that calls at a fixed rate over a few kept connections, each call
# for a snapshot of its own, and writes down what it was told.  It never sends
# a call again: a lost connection is opened anew for the next call.

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use JSON::XS;
use POSIX ();
use Time::HiRes qw/ time sleep /;

use TCCBS::Client;

my $json = JSON::XS->new->canonical->ascii;
my $run = 0;

# new(rate, seconds, connections, log: path of JSON lines, client: sub that
#     makes a TCCBS::Client, params: sub from a number, timeout)

sub new {
    my ($class, %o) = @_;

    my $tag = sprintf('%x%x', $$, int(time * 1000) % 0xfffff);

    return bless { rate => 200, seconds => 1, connections => 4, timeout => 60,
        params => sub { return { SnapshotId => sprintf('snap-%s%07d', $tag,
            shift), DestinationRegions => [ 'ap-beijing' ] } }, %o }, $class;
}

# {sent, answered, failed, late_ms, p50, p99, rate}

sub run {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    open($self->{out}, '>>', $self->{log}) or die "$self->{log}: $!\n";
    $self->{out}->autoflush(1);

    my @idle = map { { client => $self->{client}->() } }
        1 .. $self->{connections};
    my ($n, $late, @busy) = (0, 0);

    $self->{ms} = [];
    $self->{failed} = 0;

    my $start = time;

    while (1) {
        my $now = time;
        my $total = int($self->{rate} * $self->{seconds});

        last if $n >= $total && !@busy;

        while (@idle && $n < $total && $start + $n / $self->{rate} <= $now) {
            my $due = $now - $start - $n / $self->{rate};
            $late = $due if $due > $late;

            my $conn = shift @idle;
            push @{$self->begin($conn, $n++) ? \@busy : \@idle}, $conn;
            $now = time;
        }

        my $next = $n < $total && @idle ? $start + $n / $self->{rate} - $now
            : 0.05;

        IO::Select->new(map { $_->{client}{socket} } @busy)
            ->can_read($next > 0 ? $next : 0) if @busy;
        sleep($next > 0 ? $next : 0) if !@busy;

        my @still;
        push @{$self->end($_) ? \@idle : \@still}, $_ for @busy;
        @busy = @still;
    }

    return $self->summary($n, time - $start, $late);
}

sub begin {
    my ($self, $conn, $n) = @_;

    my $client = $conn->{client};
    my $params = $self->{params}->($n);

    $conn->{t} = time;
    $conn->{snapshot} = $params->{SnapshotId};

    # closed meanwhile: nothing was sent on it, so a new one is no repetition
    $client->poll if $client->{socket}
        && IO::Select->new($client->{socket})->can_read(0);

    my $sent = eval {
        $client->send($client->request('CopySnapshotCrossRegions', $params));
        1;
    };

    return 1 if $sent;

    $self->write_down($conn, { error => $@ });
    return 0;
}

sub end {
    my ($self, $conn) = @_;

    my $answer = eval { $conn->{client}->poll };

    $answer //= { error => $@ } if $@;
    $answer //= { error => 'no answer in time' }
        if time - $conn->{t} > $self->{timeout};

    return 0 if !$answer;

    $self->write_down($conn, $answer);
    return 1;
}

sub write_down {
    my ($self, $conn, $answer) = @_;

    my $ms = (time - $conn->{t}) * 1000;

    if ($answer->{error}) {
        chomp $answer->{error};
        $self->{failed}++;
        $conn->{client}->close;

    } else {
        push @{$self->{ms}}, $ms;
    }

    print {$self->{out}} $json->encode({ t => $conn->{t}, ms => $ms,
        snapshot => $conn->{snapshot}, id => $answer->{audit_id},
        map { $_ => $answer->{$_} } qw/ error outcome code request_id / }),
        "\n";
}

sub summary {
    my ($self, $sent, $took, $late) = @_;

    my @ms = sort { $a <=> $b } @{$self->{ms}};
    my $at = sub { @ms ? sprintf('%.1f', $ms[$#ms * shift]) + 0 : undef };

    return { sent => $sent, answered => scalar @ms,
        failed => $self->{failed}, rate => sprintf('%.1f', $sent / $took) + 0,
        late_ms => int($late * 1000), p50 => $at->(0.5), p99 => $at->(0.99),
        max => $at->(1) };
}

# For a test: start(test, rate =>, seconds =>, connections =>) returns the pids
# for finish(), which returns how many of them failed; told(test) is all that
# the clients were told

sub start {
    my ($t, %o) = @_;

    my $log = sprintf("$t->{dir}/clients.%03d.jsonl", ++$run);
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
        my $summary = eval { TCCBS::Load->new(log => $log,
            client => sub { $t->client(seen => undef, timeout => 10) },
            connections => $o{clients} // 4, %o)->run };
        print STDERR $@ if $@;
        $t->file($log =~ s/\.jsonl$/.summary/r, $json->encode($summary))
            if $summary;
        POSIX::_exit($summary ? 0 : 1);
    }

    return $pid;
}

sub finish {
    my (@pids) = @_;
    my $failed = 0;

    for (@pids) {
        waitpid($_, 0);
        $failed++ if $?;
    }

    return $failed;
}

sub told {
    my ($t) = @_;
    return map { $t->lines($_) } sort glob("$t->{dir}/clients.*.jsonl");
}

sub summaries {
    my ($t) = @_;
    return map { decode_json($t->slurp($_)) }
        sort glob("$t->{dir}/clients.*.summary");
}

1;
