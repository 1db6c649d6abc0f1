#!/usr/bin/perl

# Redis over TLS, with a user that may do no more than it must.  If this broke,
# somebody in between could lift the limits, or answer in place of Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Redis;
use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $t = TCCBS::Test->new;
my $pki = $t->{pki}{dir};
my $port = TCCBS::Test::free_port();

my $redis = TCCBS::Redis->new($t, '--tls-port', $port,
    '--bind', '127.0.0.1', '--tls-cert-file', "$pki/upstream.crt",
    '--tls-key-file', "$pki/upstream.key", '--tls-ca-cert-file', "$pki/ca.crt",
    '--tls-auth-clients', 'no');

# the user of the documentation

my $password = TCCBS::Test::random(40);
$t->{secrets}{$password} = 1;
$t->file('keys/redis', "$password\n", 0400);

my ($user) = $t->slurp($t->root . '/docs/redis.md')
    =~ /^user (tccbs on .*?)^```/ms or die;
$user =~ s/>PASSWORD/>$password/;
$user =~ s/\\\n/ /g;
is($redis->command('ACL', 'SETUSER', split(' ', $user)), 'OK', 'a user');
is($redis->command('ACL', 'SETUSER', 'default', 'resetpass', 'off'), 'OK',
    'and no other');

my $name = 'cbs.intl.tencentcloudapi.com';

sub conf {
    my ($url, @more) = @_;
    return (accounts => $t->account('team-dr', rate => '60r/m burst=99 nodelay',
        quota => '99/d'), http => "tccbs_redis $url nodes=2 deadline=500ms "
        . join(' ', @more) . ';');
}

my $url = "rediss://tccbs\@127.0.0.1:$port/0";
my @good = ("password_file=$t->{dir}/keys/redis",
    "trusted_certificate=$pki/ca.crt", "ssl_name=$name");

$t->run(conf($url, @good));

sub code { return $t->call($action, copy())->{code} }

is(code(), '', 'verified, and logged in') for 1 .. 3;
my $twice = copy();
my $first = $t->call($action, $twice);
is($t->call($action, $twice)->{body}, $first->{body}, 'a duplicate');
is($t->call('DescribeSnapshots', { Limit => 1 }, region => 'ap-beijing')
    ->{code}, '', 'a look');
unlike($t->slurp('logs/error.log'), qr/redis .* says/, 'nothing is forbidden');

for my $case (
    [ 'another name', qr/redis certificate does not match "127.0.0.1"/,
        $url, @good[0, 1] ],
    [ 'another CA', qr/redis certificate verify error/, $url, $good[0],
        "trusted_certificate=$pki/rogue.crt", $good[2] ],
    [ 'without TLS', qr/cannot be used/, $url =~ s/rediss/redis/r, $good[0] ],
    [ 'without a login', qr/redis .* says "NOAUTH/, $url =~ s/tccbs\@//r,
        @good[1, 2] ],
    [ 'another password', qr/redis .* refuses the "user, password/, $url,
        'password_file=' . $t->file('keys/other', "x\n", 0400),
        @good[1, 2] ],
    [ 'another prefix', qr/redis .* says "NOPERM/, $url, @good,
        'prefix=other' ])
{
    my ($what, $says, @conf) = @$case;
    my $seen = length $t->slurp('logs/error.log');

    $t->write_conf(conf(@conf));
    ok($t->reload, "$what: reload");
    is(code(), 'ServiceUnavailable', "$what: no copy");
    ok($t->wait_for(sub { substr($t->slurp('logs/error.log'), $seen)
        =~ $says }), "$what: it says so")
        or diag(substr($t->slurp('logs/error.log'), $seen));
}

$t->write_conf(conf($url, @good));
$t->reload;
is(code(), '', 'and again');

# a server may repeat what it was told: of itself to a login that it does not
# know, and out of malice to anything; done() finds it in the log

my $mute = TCCBS::Redis->new($t, '--rename-command', 'AUTH', '');

my ($repeated) = ${$mute->command('AUTH', 'tccbs', $password)};
like($repeated, qr/unknown command 'AUTH'.*\Q$password\E/, 'what it says');

my $wire = $redis->wire;
$redis->mode("reply -NOPERM it is $password");

for my $case ([ 'without AUTH', $mute->url ], [ 'out of malice', $wire ]) {
    my ($what, $url) = @$case;
    my $seen = length $t->slurp('logs/error.log');

    $t->write_conf(conf($url =~ s{//}{//tccbs\@}r, $good[0]));
    ok($t->reload, "$what: reload");
    is(code(), 'ServiceUnavailable', "$what: no copy");
    ok($t->wait_for(sub { substr($t->slurp('logs/error.log'), $seen)
        =~ qr/redis .* refuses the "user, password or database"/ }),
        "$what: it says so, but nothing else")
        or diag(substr($t->slurp('logs/error.log'), $seen));
}

$redis->mode('pass');
$t->write_conf(conf($url, @good));
$t->reload;
is(code(), '', 'and once more');

# what the configuration shows

my $shown = $t->nginx("-e stderr -T -c $t->{dir}/nginx.conf");
like($shown, qr/tccbs_redis rediss/, 'the configuration can be shown');
unlike($shown, $t->secret_pattern, 'without a secret');

$t->done;
