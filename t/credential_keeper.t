#!/usr/bin/perl

# Secret keys stay with the master and the keeper.  If this broke, a hole in a
# process that speaks to the network would be worth the secret key, and not a
# signing key of the day.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;
use Test::More;
use Time::HiRes ();

use TCCBS::Memory;
use TCCBS::Test qw/ copy /;

plan skip_all => 'reads the memory of processes, needs root' if $> != 0;

my $t = TCCBS::Test->new(workers => 2);
my $dir = $t->{dir};
my $user = TCCBS::Test::user();
my $uid = getpwnam $user;

my $fixed = $t->credential('prod', token => 1);
my $live = $t->credential('live');

chown $uid, -1, "$dir/keys/live.json";

# one from the environment of the master

my $env = { secret_id => 'AKID' . TCCBS::Test::random(32),
    secret_key => TCCBS::Test::random(32) };

$t->{credentials}{env} = $env;
$t->{secrets}{$env->{secret_key}} = 1;
$t->file('keys/emulator.json',
    JSON::XS::encode_json([ values %{$t->{credentials}} ]), 0400);

$ENV{TENCENTCLOUD_SECRET_ID} = $env->{secret_id};
$ENV{TENCENTCLOUD_SECRET_KEY} = $env->{secret_key};

chmod 0711, "$dir/keys";

my $credentials = join('', map { "tccbs_credential $_->[0] { $_->[1];"
    . " limit 10000r/s; }\n" } [ prod => "file $dir/keys/prod.json" ],
    [ live => "file $dir/keys/live.json json" ], [ env => 'env' ]);
my $accounts = join('', $t->account('team-dr'),
    map { $t->account("team-$_", credential => $_) } qw/ live env /);

$t->run(credential => $credentials, accounts => $accounts);

delete @ENV{qw/ TENCENTCLOUD_SECRET_ID TENCENTCLOUD_SECRET_KEY /};

sub call { return $t->call('CopySnapshotCrossRegions', copy(), @_) }

# the key id that the emulator saw with the call of an answer

sub signer {
    my ($r) = @_;
    my ($seen) = $t->emulated(trace => $r->{audit_id} // '-');
    return $seen->{verified} ? $seen->{key_id} : 'none';
}

sub team { return (client => { account => "team-$_[0]" }) }

my %is = (dr => $fixed, live => $live, env => $env);

sub signs {
    my ($why) = @_;

    for my $team (sort keys %is) {
        my $r = call(team($team));
        is($r->{code}, '', "$why: $team: a copy");
        is(signer($r), $is{$team}{secret_id}, "$why: $team: who signed");
    }
}

signs('start');

# the processes

my @keepers = $t->wait_for(sub { $t->keepers }) ? $t->keepers : ();

is(scalar @keepers, 1, 'there is one keeper');

my ($keeper) = @keepers;

sub found {
    my ($pid, $what) = @_;
    return scalar TCCBS::Memory::holds($pid, qr/\Q$what\E/);
}

for my $name (sort keys %{$t->{credentials}}) {
    my $key = $t->{credentials}{$name}{secret_key};

    cmp_ok(found($keeper, $key), '>=', 1, "$name: the keeper has the key");

    SKIP: {
        skip "$name: a sanitizer keeps a copy of its environment", 2
            if $name eq 'env' && ($ENV{TCCBS_OBJS} // '') =~ /asan/;

        is(found($_, $key), 0, "$name: a worker has not") for $t->workers;
    }
}

my $day = (CBS::TC3::derive($fixed->{secret_key},
    strftime('%Y-%m-%d', gmtime), 'cbs'))[2];

cmp_ok(found($_, $day), '>=', 1, 'a worker has the signing key of the day')
    for $t->workers;

unlike($t->slurp("/proc/$_/environ"), qr/\Q$env->{secret_key}\E/,
    'and no secret in its environment') for $t->workers, $keeper;

# a process of the same user cannot look

is((stat "/proc/$keeper/mem")[4], 0, 'the memory of the keeper is root\'s');

is(system("setpriv --reuid=$uid --regid=$uid --clear-groups "
    . "cat /proc/$keeper/mem >/dev/null 2>&1") >> 8, 1,
    'and a process of its user cannot read it');

# the keeper dies

push @{$t->{exempt}}, qr/cache manager process $keeper exited on signal/;

kill 'KILL', $keeper;
signs('without a keeper');

ok($t->wait_for(sub { my @now = $t->keepers; @now == 1 && $now[0] != $keeper }),
    'another one takes its place');
signs('another keeper');

# a file that the keeper may read changes

my $old = 0;

sub rotate {
    my ($name) = @_;

    # CBS knows both for a while
    $t->{credentials}{'old' . ++$old} = $t->{credentials}{$name};

    my $c = $t->credential($name);
    chown $uid, -1, "$dir/keys/$name.json" if $name eq 'live';
    return $c;
}

$live = $is{live} = rotate('live');
my $start = Time::HiRes::time();

ok($t->wait_for(sub { signer(call(team('live'))) eq $live->{secret_id} }, 3),
    'a changed file is taken without a reload');

my $took = Time::HiRes::time() - $start;

cmp_ok($took, '<', 1, sprintf('in less than a second (%.2f s)', $took));
like($t->slurp('logs/error.log'), qr/"live" was read again, its file has/,
    'and the log says so');

cmp_ok(found(($t->keepers)[0], $live->{secret_key}), '>=', 1,
    'the keeper has the new key');
is(found($_, $live->{secret_key}), 0, 'a worker has not') for $t->workers;

# and once more the keeper dies: what it read is not what the master knows

my ($second) = $t->keepers;
push @{$t->{exempt}}, qr/cache manager process $second exited on signal/;
kill 'KILL', $second;
ok($t->wait_for(sub { my @now = $t->keepers; @now == 1 && $now[0] != $second }),
    'a third keeper');
signs('a third keeper');

# half of a file, a file of others: nothing changes

my %bad = (
    'half of a file' => [ '{"secret_id":"AKIDhalf","secret_', 0400,
        qr/cannot be used/ ],
    'no secret key' => [ '{"secret_id":"AKIDhalf"}', 0400,
        qr/must have a secret id/ ],
    'a file for all' => [ '{"secret_id":"AKIDall","secret_key":"x"}', 0444,
        qr/accessible to others/ ],
);

for my $what (sort keys %bad) {
    my ($text, $mode, $said) = @{$bad{$what}};

    $t->file('keys/live.json', $text, $mode);
    chown $uid, -1, "$dir/keys/live.json";

    ok($t->wait_for(sub { $t->slurp('logs/error.log') =~
        /"live" stays as it was.*$said/ }), "$what: the log says why");
    is(signer(call(team('live'))), $live->{secret_id}, "$what: the old one");
}

unlink "$dir/keys/live.json";
is(signer(call(team('live'))), $live->{secret_id}, 'no file: the old one');

$live = $is{live} = rotate('live');
ok($t->wait_for(sub { signer(call(team('live'))) eq $live->{secret_id} }),
    'a good file again');

# a file of root is taken by a reload

$is{dr} = rotate('prod');
ok($t->wait_for(sub { $t->slurp('logs/error.log') =~
    /"prod" stays as it was, a reload may.*Permission denied/ }),
    'a file of root: the log asks for a reload');
is(signer(call()), $fixed->{secret_id}, 'and the old one signs');

# the environment of a master does not change

ok($t->reload, 'a reload');
signs('reload');
is(scalar $t->keepers, 1, 'one keeper after it')
    if $t->wait_for(sub { $t->keepers == 1 });

is(found($_, $is{dr}{secret_key}), 0, 'no key in a worker') for $t->workers;

is((grep { ($_->{credential}{key} // '') =~ /^AKID/ } $t->audit(
    kind => 'intent')), (() = $t->audit(kind => 'intent')),
    'each intent names the key id');

$t->done;
