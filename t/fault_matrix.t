#!/usr/bin/perl

# Every fault of the table in each of its phases: what the caller is told, what
# the log says, what reached CBS, and what becomes of the same copy after it;
# the oracle looks at all logs after each cell.  If this broke, a caller would
# repeat a copy that was made, or not repeat one that was not.
#
# TCCBS_MATRIX=all: all rows on kept connections and with callers that left as
# well, otherwise a sixth ("make faults").

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use JSON::XS;
use Test::More;
use Time::HiRes qw/ sleep time /;
use TCCBS::Matrix;
use TCCBS::Test qw/ copy /;
use TCCBS::Trust;

my $action = 'CopySnapshotCrossRegions';
my $json = JSON::XS->new->canonical->allow_nonref;
my @exempt = (qr/refused the credential "prod"/, qr/exited on signal 9/,
    qr/open socket #\d+ left/, qr/nothing is forwarded until/,
    qr/write\(\) "\S+" failed/);
my $lib = TCCBS::Test::root() . '/' . ($ENV{TCCBS_OBJS} // 'objs')
    . '/test/short.so';

my ($cells, %cells, @deviations) = (0);
my $started = time;
my $since = $started;
my $all = ($ENV{TCCBS_MATRIX} // '') eq 'all';

sub gateway {
    my ($workers, %conf) = @_;
    my $t = TCCBS::Test->new(workers => $workers, torn => 1,
        exempt => [ @exempt ]);
    $conf{location} = 'tccbs_read_timeout 1s; tccbs_connect_timeout 500ms;
        tccbs_total_timeout 4s; tccbs_hold 300s; tccbs_response_size 64k;'
        . ($conf{location} // '');
    $t->run(%conf);
    return $t;
}

# one cell: {t, row, name, do => sub returning the answer or undef, params}

sub cell {
    my ($c) = @_;
    my ($t, $row, $p) = @$c{qw/ t row params /};
    my @wrong;

    $cells++;
    $cells{$row->{id}}++;

    my $wrong = sub {
        my ($what, $is, $wanted) = @_;
        push @wrong, "$what is " . ($is // 'undef') . ', not '
            . ($wanted // 'undef') if ($is // '') ne ($wanted // '');
    };

    my $r = $c->{do}->();

    if ($r) {
        $wrong->('status', $r->{status}, 200);
        $wrong->('code', $r->{code}, $row->{code});
        $wrong->('header', $r->{outcome}, $row->{outcome} // 'not-sent');
    }

    # what the log says, and CBS

    my ($intent, $end);

    if (defined $row->{outcome}) {
        $t->wait_for(sub {
            my @audit = $t->audit;
            ($intent) = grep { $_->{kind} eq 'intent'
                && ($_->{snapshot} // '') eq $p->{SnapshotId} } @audit;
            ($end) = grep { $intent && $_->{id} eq $intent->{id}
                && $_->{kind} =~ /^(outcome|recovery)$/ } @audit;
        }, 12);
        $wrong->('recorded', $end->{outcome}, $row->{outcome});

    } else {
        $wrong->('intents', scalar(grep { ($_->{snapshot} // '')
            eq $p->{SnapshotId} } $t->audit(kind => 'intent')), 0);
    }

    my $whole = sub { scalar grep { $_->{complete}
        && ($_->{body} // '') =~ /"$p->{SnapshotId}"/ } $t->emulated };
    $wrong->('sent', $whole->(), $row->{sent});

    # the same copy again: held, answered, or free to go

    $t->faults;
    my $before = $whole->();
    my $again = $c->{again} ? $c->{again}->() : $t->call($action, $p);

    if ($row->{held}) {
        $wrong->('again', $again->{code}, 'InternalError.ComponentError');
        $wrong->('again says', $again->{message} =~ /is unknown/, 1);
        $wrong->('then sent', $whole->(), $before);

    } elsif (($row->{outcome} // '') =~ /success|partial/) {
        $wrong->('again', $again->{code}, '');
        $wrong->('again of', $again->{headers}{'x-tccbs-duplicate-of'},
            $intent->{id});
        $wrong->('again body', $again->{body}, $r->{body}) if $r;
        $wrong->('then sent', $whole->(), $before);

    } else {
        $wrong->('again', $again->{code}, '');
        $wrong->('then sent', $whole->(), $before + 1);
    }

    push @wrong, map { $_->{said} } $t->contradictions;

    push @deviations, map { "$row->{id} $row->{phase} $c->{name}: $_" }
        @wrong;
    return;
}

sub name {
    my ($row) = @_;
    my $f = $row->{fault} // {};
    my %f = ref $f ? %$f : (fault => $f);
    my $kind = delete $f{kind} // $row->{snapshot} // '';
    return substr(join(' ', $kind, map { "$_ " . (ref $f{$_}
        ? $json->encode($f{$_}) : $f{$_}) } sort keys %f), 0, 60);
}

my $serial = 0;

sub params {
    my ($row) = @_;
    my $p = copy();
    return $p if !$row->{snapshot};
    return { SnapshotId => sprintf("snap-%s%04d", $row->{snapshot},
        ++$serial), DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] };
}

sub deviations {
    my ($what, $from) = @_;
    is(join("\n", splice(@deviations)), '', "$what: " . ($cells - $from)
        . sprintf(' cells in %.0f s', time - $since));
    $since = time;
    return;
}

# upstream: on a new connection, on a kept one, and with a caller that left

my %how = (new => '', kept => 'keepalive 4;', left => '');

for my $how (qw/ new kept left /) {
    my $from = $cells;
    my $t = gateway(1, keepalive => $how{$how});

    my @rows = (($how eq 'kept' ? () : TCCBS::Matrix::connecting()),
        TCCBS::Matrix::answering());

    @rows = @rows[grep { $_ % 6 == 1 } 0 .. $#rows]
        if !$all && $how ne 'new';

    for my $row (@rows) {
        my $p = params($row);
        my $fault = $row->{fault};

        my $do = sub {
            if ($how eq 'kept') {
                $t->faults;
                $t->call($action, copy());
            }

            $t->faults($fault ? $fault : ());

            if ($how ne 'left') {
                my $r = $t->call($action, $p);

                # the connection was the one of the call before
                if ($how eq 'kept') {
                    my @seen = $t->emulated;
                    push @deviations, name($row) . ': no kept connection'
                        if $seen[-1]{conn} != $seen[-2]{conn};
                }

                return $r;
            }

            my $client = $t->client(seen => undef);
            $client->send($client->request($action, $p, close => 1));

            # it leaves as soon as its call has an intent
            $t->wait_for(sub { grep { ($_->{snapshot} // '')
                eq $p->{SnapshotId} } $t->audit(kind => 'intent') });
            sleep 0.01;
            $client->close(rst => 1);
            return;
        };

        # who left before a connection was there has sent nothing

        my %row = %$row;
        cell({ t => $t, row => \%row, name => "$how: " . name($row),
            params => $p, do => $do, again => sub {
                $t->release if $row->{release};
                $t->call($action, $p) } });
    }

    deviations("upstream, $how", $from);
    $t->finish;
}

# callers

{
    my $from = $cells;
    my $t = TCCBS::Test->new;
    my $accounts = join('', $t->account('slow', rate => '1r/m burst=0'),
        $t->account('poor', quota => '1/d'),
        $t->account('reader', actions => 'DescribeSnapshots'));

    $t->run(accounts => $accounts . $t->account('team-dr', quota => '500/d'));

    for my $account (qw/ slow poor /) {
        $t->call($action, copy(), client => { account => $account });
    }

    for my $row (TCCBS::Matrix::calling()) {
        my $p = copy();
        my %f = %{$row->{fault}};

        $p->{DestinationRegions} = [ delete $f{to} ] if $f{to};
        $f{stamp} = int(time) + delete $f{shift} if $f{shift};
        my $account = delete $f{account};
        $f{raw_answer} = 1 if $row->{code} eq 'UnsupportedProtocol';

        cell({ t => $t, row => $row, name => name($row), params => $p,
            do => sub { $t->call(delete $f{action} // $action, $p, %f,
                $account ? (client => { account => $account }) : ()) },
            again => sub { $t->call($action, { %$p,
                DestinationRegions => [ 'ap-beijing' ] },
                stamp => int(time) - 3) } });
    }

    # the same bytes again, and the same call beside itself

    my $p = copy();
    my $bytes = $t->client->request($action, $p, close => 1);
    my $first;
    cell({ t => $t, name => 'same bytes', params => $p,
        row => TCCBS::Matrix::row('M4', 'signature', {}, '', 'success'),
        do => sub { $first = $t->raw($bytes); $t->raw($bytes) } });

    $p = copy();
    cell({ t => $t, name => 'beside itself', params => $p,
        row => TCCBS::Matrix::row('M7', 'in flight', {}, '', 'success'),
        do => sub {
            $t->faults({ kind => 'delay', ms => 300 });
            my @clients = map { $t->client } 1, 2;
            $_->send($_->request($action, $p, close => 1)) for @clients;
            my @said = map { $_->answer } @clients;
            push @deviations, 'M7: two answers'
                if $said[0]{body} ne $said[1]{body};
            return $said[1];
        } });

    # I-7: so many regions were counted as were sent

    my %to = map { $_->{id} => scalar @{$_->{to}} }
        $t->audit(kind => 'intent', account => 'team-dr');
    my $spent = 0;
    $spent += $to{$_->{id}} // 0 for grep { $_->{outcome} eq 'success' }
        $t->audit(kind => 'outcome', account => 'team-dr');
    $t->write_conf(accounts => $accounts
        . $t->account('team-dr', quota => '1/d'));
    $t->reload;
    like($t->call($action, copy())->{message}, qr/ $spent were made/,
        "I-7: the quota has counted $spent regions");

    deviations('callers', $from);
    $t->finish;
}

# who answers in the place of Tencent, or nobody

{
    my $from = $cells;
    my $t = TCCBS::Test->new(exempt => [ @exempt ]);
    my $pki = $t->{pki};
    my $name = 'cbs.intl.tencentcloudapi.com';

    $pki->ca('rogue');
    $pki->cert('rogue-signed', 'rogue', "/CN=$name", "DNS:$name");
    $pki->cert('other-name', 'ca', '/CN=other.example', 'DNS:other.example');
    $pki->expired('past', 'ca', "/CN=$name", "DNS:$name");

    my (%port, @servers, @held);

    for my $cert (qw/ rogue-signed other-name past upstream /) {
        $port{$cert} = TCCBS::Test::free_port();
        push @servers, $t->spawn('/dev/null', 'openssl', 's_server', '-quiet',
            '-accept', "127.0.0.1:$port{$cert}",
            '-cert', $pki->path("$cert.crt"), '-key', $pki->path("$cert.key"),
            $cert eq 'upstream' ? ('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0')
                : ());
        $t->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $port{$cert}) });
    }

    $port{refused} = TCCBS::Test::free_port();

    # a full queue of connections: no answer to another SYN
    my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "no port: $!\n";
    $port{silent} = $full->sockport;
    push @held, IO::Socket::INET->new(PeerAddr => '127.0.0.1', Blocking => 0,
        PeerPort => $port{silent}) for 1 .. 4;

    for my $case (sort keys %port) {
        my $p = copy();
        my $phase = $case =~ /refused|silent/ ? 'connect' : 'handshake';

        $t->{emulator_port} ? ($t->write_conf(%{$t->{conf}},
            upstream => "server 127.0.0.1:$port{$case};"), $t->reload)
            : $t->run(upstream => "server 127.0.0.1:$port{$case};",
                location => 'tccbs_connect_timeout 300ms;');

        cell({ t => $t, name => $case, params => $p,
            row => TCCBS::Matrix::row($phase eq 'connect' ? 'M10' : 'M11',
                $phase, {}, 'ServiceUnavailable', 'not-sent'),
            do => sub { $t->call($action, $p) },
            again => sub {
                $t->write_conf(%{$t->{conf}},
                    upstream => "server 127.0.0.1:$t->{emulator_port};");
                $t->reload;
                $t->call($action, $p) } });
    }

    kill 'TERM', @servers;
    waitpid($_, 0) for @servers;
    deviations('connect and handshake', $from);
    $t->finish;
}

# the audit file, and the gateway itself

SKIP: {
    skip 'no short.so, run "make unit"', 1 if !-e $lib;

    my $from = $cells;
    my $control;
    my $t = TCCBS::Test->new(workers => 1, torn => 1, exempt => [ @exempt,
        qr/the audit file is written again/ ]);

    $control = $t->file('short', pack('i7', (0) x 7), 0666);
    $ENV{TCCBS_SHORT} = $control;
    local $ENV{TCCBS_LD_PRELOAD} = join(' ', grep { $_ }
        $ENV{TCCBS_LD_PRELOAD}, $lib);
    $t->run(location => 'tccbs_read_timeout 20s; tccbs_hold 300s;');

    my $set = sub {
        my (@set) = @_;
        open(my $fh, '+<:raw', $control) or die "$control: $!\n";
        syswrite($fh, pack('i' . @set, @set));
    };
    my $well = sub {
        $set->((0) x 7);
        $t->wait_for(sub { $t->call($action, copy())->{code} eq '' }, 10);
    };

    for my $error (28, 5, 122, 30) {
        for my $skip (0, 1) {
            my $p = copy();
            my $row = $skip
                ? TCCBS::Matrix::row('M8', 'outcome', {}, '', 'success')
                : TCCBS::Matrix::row('M8', 'intent', {}, 'InternalError',
                    'not-sent');

            cell({ t => $t, name => "errno $error", params => $p, row => $row,
                do => sub {
                    $set->(1, $skip, 50, $error);
                    my $r = $t->call($action, $p);
                    $well->();
                    return $r;
                } });
        }
    }

    my $p = copy();
    cell({ t => $t, name => 'slow', params => $p,
        row => TCCBS::Matrix::row('M8', 'intent', {}, 'InternalError',
            'not-sent'),
        do => sub {
            $set->((0) x 6, 2600);
            my $r = $t->call($action, $p);
            $set->((0) x 7);
            $t->settled;
            return $r;
        } });

    # killed: the worker, and all at once, in each phase of a call

    my %phase = (
        intent => [ undef, 'not-sent', sub { $set->((0) x 6, 700) } ],
        handshake => [ { kind => 'hold_connect' }, 'not-sent' ],
        answer => [ { kind => 'hold' }, 'unknown' ],
        body => [ { kind => 'slow_trickle', bytes_per_second => 60 },
            'unknown' ],
    );

    for my $what (qw/ worker crash /) {
        for my $phase (sort keys %phase) {
            my ($fault, $outcome, $prepare) = @{$phase{$phase}};
            my $p = copy();

            # after a crash the log alone says that there was an intent
            my $row = TCCBS::Matrix::row($what eq 'crash' ? 'M25' : 'M24',
                $phase, {}, undef, $what eq 'crash' ? 'unknown' : $outcome);
            $row->{sent} = $outcome eq 'not-sent' ? 0 : 1;

            cell({ t => $t, name => "$what, $phase", params => $p,
                row => $row, do => sub {
                    $prepare->() if $prepare;
                    $t->faults($fault ? $fault : ());

                    my $client = $t->client(seen => undef);
                    $client->send($client->request($action, $p, close => 1));
                    $t->wait_for(sub { grep { ($_->{snapshot} // '')
                        eq $p->{SnapshotId} } $t->audit(kind => 'intent') });
                    $outcome eq 'unknown'
                        ? $t->wait_for(sub { $t->sent($p) }) : sleep 0.2;

                    if ($what eq 'worker') {
                        $t->kill_worker;
                    } else {
                        $t->crash;
                        $t->start;
                    }

                    $set->((0) x 7);
                    $client->close;
                    $t->release;
                    return;
                } });
        }
    }

    # a caller that does not read its answer

    $p = copy();
    cell({ t => $t, name => 'slow reader', params => $p,
        row => TCCBS::Matrix::row('M23', 'answer', {}, '', 'success'),
        do => sub {
            my $client = $t->client;
            $client->send($client->request($action, $p, close => 1));
            $t->settled;
            my $other = $t->call($action, copy());
            push @deviations, 'M23: another call waits'
                if $other->{code} ne '' || $other->{ms} > 2000;
            return $client->answer;
        } });

    deviations('the audit file and kills', $from);
    $t->finish;
}

my $classes = join(', ', map { "$_ $cells{$_}" }
    sort { substr($a, 1) <=> substr($b, 1) } keys %cells);

diag(sprintf('%d cells in %.0f s: %s', $cells, time - $started, $classes));

# figures are written when nothing deviated

TCCBS::Trust::figure('Faults', 'cells of the fault matrix', "$cells executed, "
    . "0 deviations ($classes)", 'all, 0', 'TCCBS_MATRIX=all prove '
    . 't/fault_matrix.t') if $all && Test::More->builder->is_passing;

done_testing;
