package TCCBS::Load;

# Clients that call at a fixed rate over kept connections, each with snapshots
# of its own, and write down what they were told.  A call is never repeated.

use strict;
use warnings;

use JSON::XS;
use POSIX ();
use Time::HiRes qw/ time sleep /;

# start(test, rate =>, seconds =>, clients =>): pids, to be given to finish()

sub start {
    my ($t, %o) = @_;

    my $clients = $o{clients} // 4;
    my @pids;

    for my $n (1 .. $clients) {
        my $pid = fork // die "fork: $!\n";

        if ($pid == 0) {
            @TCCBS::Test::live = ();
            eval { client($t, $n, $o{rate} / $clients, $o{seconds}) };
            print STDERR $@ if $@;
            POSIX::_exit($@ ? 1 : 0);
        }

        push @pids, $pid;
    }

    return @pids;
}

sub client {
    my ($t, $n, $rate, $seconds) = @_;

    open(my $log, '>>', "$t->{dir}/clients.$n.jsonl") or die "log: $!\n";
    $log->autoflush(1);

    local $SIG{PIPE} = 'IGNORE';

    my $client = $t->client(seen => undef);
    my $start = time;
    my $i = 0;

    while (time - $start < $seconds) {

        my $due = $start + $i / $rate;
        sleep($due - time) if $due > time;

        my $params = { SnapshotId => sprintf('snap-%02d%08d', $n, ++$i),
            DestinationRegions => [ 'ap-beijing' ] };

        my $r = eval {
            $client->call('CopySnapshotCrossRegions', $params);
        } // { error => $@ };

        $client->close if $r->{error};

        print $log encode_json({ t => time,
            snapshot => $params->{SnapshotId}, error => $r->{error},
            id => $r->{headers}{'x-tccbs-id'}, code => $r->{code},
            outcome => $r->{headers}{'x-tccbs-outcome'},
            request_id => $r->{id} }), "\n";
    }
}

sub finish {
    my (@pids) = @_;
    my $failed = 0;
    for (@pids) { waitpid($_, 0); $failed++ if $? }
    return $failed;
}

sub told {
    my ($t) = @_;
    return map { $t->lines($_) }
        map { s{.*/}{}r } glob("$t->{dir}/clients.*.jsonl");
}

1;
