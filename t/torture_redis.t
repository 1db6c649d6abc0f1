#!/usr/bin/perl

# Each allocation fails once, and then always, of what asks Redis: for the
# configuration, a connection, the claim of a call.  If this broke, a moment
# without memory could crash a worker, or let two gateways make a copy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $ANY $WORKER /;

my $action = 'CopySnapshotCrossRegions';

my $t = TCCBS::Torture::gateway();

my $password = TCCBS::Test::random(40);
my $file = $t->file('keys/redis', "$password\n", 0400);
my $redis = TCCBS::Redis->new($t);

$t->{secrets}{$password} = 1;
is($redis->command(qw/ ACL SETUSER gateway on ~* &* +@all /, ">$password"),
    'OK', 'a user');

my %conf = (listen => '',
    http => "tccbs_redis redis://gateway\@unix:$redis->{path}:/1 nodes=2
        password_file=$file deadline=500ms;",
    accounts => $t->account('team-dr', rate => '10000r/s burst=100 nodelay',
        quota => '1000000/d'),
    location => 'tccbs_hold 60s; tccbs_snapshot_tag on;');

# the configuration

$t->emulator;

my $ca = $t->{pki}->path('ca.crt');

for my $http ($conf{http}, "tccbs_redis rediss://gateway\@127.0.0.1:1/1 nodes=2
        password_file=$file trusted_certificate=$ca;")
{
    $t->write_conf(%conf, http => $http);

    TCCBS::Torture::torture_places('redis', 'configuration', $ANY, sub {
        return TCCBS::Torture::configures($t) });
}

# the start

$t->write_conf(%conf);

my $refused = 0;

TCCBS::Torture::torture_places('redis', 'start', $ANY, sub {
    my $up = TCCBS::Torture::starts($t) // return 'neither up nor down';
    $refused += ($up < 0);
    return;
}, after => sub { $t->crash; return }, times => 1);

cmp_ok($refused, '>', 0, "$refused did not start");

$t->start;

my $other = $t->another(%conf);
my $params;

sub call {
    my ($gateway) = @_;
    my $r = $gateway->call($action, $params, client => { plain => 1 },
        timeout => 20);
    return "no form: $r->{raw}" if $r->{status} && !$r->{response};
    return 'sent twice' if $t->sent($params) > 1;
    return;
}

# it works again, and so does Redis

sub works {
    my $r;
    $t->wait_for(sub {
        my $own = copy();
        $r = $t->call($action, $own, client => { plain => 1 });
        return if $r->{code} ne '';
        return $other->call($action, $own, client => { plain => 1 })
            ->{headers}{'x-tccbs-duplicate-of'};
    }, 20) or return "does not work: $r->{raw}";
    return;
}

sub torture {
    my ($name, %o) = @_;
    TCCBS::Torture::torture_places('redis', $name, $WORKER,
        sub { return call($t) }, after => \&works, times => 1, %o);
}

is(works(), undef, 'it works');

torture('a call', before => sub { $params = copy() });
torture('its limits', before => sub { $params = copy() },
    of => qr/ask_|fleet_limit/, times => 8);
torture('made by another', before => sub {
    $params = copy();
    call($other);
});
torture('lost by another', before => sub {
    $params = copy();
    $t->faults({ kind => 'drop_before' });
    call($other);
});

torture('a connection', before => sub {
    $params = copy();
    $redis->command(qw/ CLIENT KILL USER gateway /);
});

# no script of ours says nil

TCCBS::Torture::all_failed('redis', 'ngx_tccbs_resp_make_nil: ngx_pcalloc');

$t->done;
