#!/usr/bin/perl

# A key is replaced while calls are in every phase.  If this broke, a revoked
# key would go on signing, or the audit log would name another key than the one
# that signed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;

use TCCBS::Load;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2);
my $uid = getpwnam TCCBS::Test::user();
my $dir = $t->{dir};
my $live = $> == 0;

$t->credential('prod');
chown $uid, -1, "$dir/keys/prod.json" if $live;
chmod 0711, "$dir/keys";

my $slow = "tccbs_credential slow { file $dir/keys/prod.json; limit 2r/s;"
    . " queue 20s 1000; }\n";
my $short = TCCBS::Test::free_port();

$t->run(credential => "tccbs_credential prod { file $dir/keys/prod.json;"
        . " limit 10000r/s; }\n$slow",
    accounts => $t->account('team-dr')
        . $t->account('team-slow', credential => 'slow'),
    http => 'tccbs_connect_timeout 30s;',
    servers => "server {
        listen 127.0.0.1:$short;
        location / {
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
            tccbs_total_timeout 10s;
        }
    }");

# CBS knows all keys to the end: what signs with a revoked one is seen

my @keys = ($t->{credentials}{prod}{secret_id});
my $n = 0;

sub rotate {
    $t->{credentials}{'old' . ++$n} = $t->{credentials}{prod};

    my $c = $t->credential('prod');
    chown $uid, -1, "$dir/keys/prod.json" if $live;
    push @keys, $c->{secret_id};
    return $c;
}

sub call { return $t->call('CopySnapshotCrossRegions', copy(), @_) }

# which key it was; CBS writes that down once it has answered

sub signed {
    my ($id) = @_;
    my ($request);

    $t->wait_for(sub { ($request) = $t->emulated(trace => $id) });

    return $request->{key_id};
}

# [request of CBS, intent of it]

sub joined {
    my %intent = map { $_->{id} => $_ } $t->audit(kind => 'intent');
    return map { [ $_, $intent{$_->{trace}} ] } $t->emulated;
}

# time => key id that is revoked then

my @revoked;

sub judge {
    my ($why) = @_;

    my @joined = joined();
    my @other = grep { ($_->[0]{key_id} // '')
        ne ($_->[1]{credential}{key} // 'none') } @joined;

    is(scalar @other, 0, "$why: each call was signed by the key of its intent");

    my @late;

    for my $revoked (@revoked) {
        my ($at, $key) = @$revoked;
        push @late, grep { $_->[0]{key_id} eq $key
            && $_->[0]{t_first} / 1e6 > $at + 1 } @joined;
    }

    is(scalar @late, 0, "$why: a revoked key signs nothing after a second");

    return @joined;
}

# under load, by files and by reloads, with calls in the queue all the time

my @pids = TCCBS::Load::start($t, rate => 60, seconds => 8, clients => 8);
push @pids, TCCBS::Load::start($t, rate => 4, seconds => 6, clients => 24,
    client => sub { $t->client(account => 'team-slow', seen => undef,
        timeout => 60) });

for my $round (1 .. 4) {
    sleep 1.2;

    my $old = $keys[-1];
    rotate();

    # a reload is done when its processes are there, a file is read by itself
    if ($round % 2 || !$live) {
        ok($t->reload(keep => 1), "round $round: reload");
    }

    push @revoked, [ time, $old ];
}

is(TCCBS::Load::finish(@pids), 0, 'the clients are well');
ok($t->settled(30), 'each intent has its outcome');

my @joined = judge('load');
my %used = map { $_->[0]{key_id} => 1 } @joined;

cmp_ok(scalar keys %used, '>=', 4, 'several keys were used, '
    . keys(%used) . ' for ' . @joined . ' calls');

my @told = TCCBS::Load::told($t);
my @failed = grep { $_->{error} || $_->{code} ne '' } @told;

# a reload closes connections that are idle, with a call on its way to one

my %read = map { ($_->{snapshot} // '') => 1 } $t->audit;
my @unread = grep { ($_->{error} // '') eq 'connection closed'
    && !$read{$_->{snapshot}} } @failed;

is(scalar @failed, scalar @unread, 'no caller noticed, of ' . @told . ' calls')
    or diag(join("\n", map { $_->{error} // $_->{code} } @failed));
cmp_ok(scalar @unread, '<=', 4, 'but who was about to call at a reload');

# in the handshake, which CBS does not answer meanwhile: no byte leaves with
# the old key, and the call is made with the new one, unless it is too late

ok($t->reload, 'no connection is kept');

my ($early, $late) = (copy(), copy());
my @connecting = map {
    my ($params, %o) = @$_;
    my $client = $t->client(%o);
    $client->connect;
    [ $client, $client->request('CopySnapshotCrossRegions', $params) ];
} [ $early ], [ $late, port => $short, plain => 1 ];

sub intents {
    my ($params) = @_;
    return $t->audit(kind => 'intent', snapshot => $params->{SnapshotId});
}

$t->freeze($t->{emulator_pid});
$_->[0]->send($_->[1]) for @connecting;
ok($t->wait_for(sub { intents($early) && intents($late) }),
    'two calls are connecting');

my $began = time;
my $old = $keys[-1];

rotate();
ok($t->reload(keep => 1), 'the key is another one');
push @revoked, [ time, $old ];

$t->wait_for(sub { time > $began + 5.1 });
kill 'CONT', $t->{emulator_pid};

my @answers = map { $_->[0]->answer } @connecting;

is($answers[0]{code}, '', 'connecting: made');
is_deeply([ map { $_->{credential}{key} } intents($early) ],
    [ $old, $keys[-1] ], 'connecting: with the new key');
is_deeply([ map { $_->{outcome} } $t->audit(kind => 'outcome',
    snapshot => $early->{SnapshotId}) ], [ qw/ not-sent success / ],
    'connecting: and nothing with the old one');
is($t->sent($early), 1, 'connecting: once');

is($answers[1]{code}, 'ServiceUnavailable', 'connecting, late: refused');
like($answers[1]{message}, qr/credential changed; nothing was sent/,
    'connecting, late: says why');
is($t->sent($late), 0, 'connecting, late: not sent');

# in flight: the answer still comes, of the old key

$t->faults({ kind => 'hold' });
$old = $keys[-1];

my $params = copy();
my $seen = () = $t->emulated;
my $flying = fork // die "fork: $!\n";

if ($flying == 0) {
    $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
    my $r = $t->call('CopySnapshotCrossRegions', $params);
    $t->file('flying', "$r->{code} $r->{outcome} $r->{audit_id}");
    POSIX::_exit(0);
}

$t->wait_for(sub { (() = $t->emulated) > $seen }, 5);

rotate();
$t->reload(keep => 1);
push @revoked, [ time, $old ];
$t->release;
waitpid($flying, 0);

my ($id) = $t->slurp('flying') =~ /^ success (\S+)$/;

ok($id, 'in flight: answered');
is(signed($id // '-'), $old,
    'in flight: signed by the old key, before');

# after: the new one

is(signed(call()->{audit_id}), $keys[-1],
    'after: the new key');

# a credential that is taken out of the configuration ends in old workers too:
# one call is in the queue of them

my $gone = $keys[-1];

my @waiting = map {
    my $client = $t->client(account => 'team-slow');
    $client->send($client->request('CopySnapshotCrossRegions', copy()));
    $client;
} 1 .. 6;

sleep 0.5;

$t->{credentials}{fresh} //= $t->credential('fresh');
$t->write_conf(%{$t->{conf}},
    credential => "tccbs_credential other { file $dir/keys/fresh.json; }",
    accounts => $t->account('team-dr', credential => 'other'));

ok($t->reload(keep => 1), 'without the credential');
push @revoked, [ time, $gone ];

my %ended;

$ended{$_->answer->{code} || 'success'}++ for @waiting;

cmp_ok(delete $ended{ServiceUnavailable} // 0, '>=', 1,
    'who waited for it is refused');
delete $ended{success};
is_deeply(\%ended, {}, 'with nothing else');

is(call()->{code}, '', 'another credential signs');

judge('all');

$t->done;
