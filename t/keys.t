#!/usr/bin/perl

# Gateway keys: expiry, revocation, keys that are derived instead of stored,
# keys that are good with one client certificate only.  If this broke, a key
# that was taken away or stolen would go on to spend money.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 hmac_sha256_hex sha256_hex /;
use MIME::Base64;
use POSIX qw/ strftime /;
use Test::More;
use Time::HiRes qw/ time /;

use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $t = TCCBS::Test->new;
my $pki = $t->{pki};
my $dir = $t->{dir};

my ($first, $second) = ($t->key('team-dr'), $t->key('second'));

# a derived key, as "tccbs key new" issues it

my $master = TCCBS::Test::random(64);
my $path = $t->file('keys/master', "$master\n", 0400);
$t->{secrets}{$master} = 1;

my ($rc, $said) = TCCBS::Test::tccbs('key', 'new', '--master', $path, 'team');
is($rc, 0, 'key new --master');
my ($id) = $said =~ /^SecretId:  (AKIDgw\w{26})$/m;
my ($secret) = $said =~ /^SecretKey: ([0-9a-f]{64})$/m;
like($said, qr/^    key $id derived;$/m, 'the line');
unlike($said, qr/umask|$master/, 'nothing to store, no master key');

# the construction is that of the documentation

is($secret, hmac_sha256_hex("tccbs gateway key $id\1",
    hmac_sha256($master, "\0" x 32)), 'HKDF of RFC 5869');

my ($kdf) = `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:$master \\
    -kdfopt 'info:tccbs gateway key $id' HKDF` =~ /^([0-9A-F:]+)$/m;
is($secret, lc $kdf =~ tr/://dr, 'and that of openssl');

$t->{keys}{derived} = { id => $id, secret => $secret, path => '' };
$t->{secrets}{$secret} = 1;

(undef, $said) = TCCBS::Test::tccbs('key', 'new', 'team', '--expires',
    '2030-01-01T00:00:01Z');
like($said, qr/ expires=2030-01-01T00:00:01Z;$/m, 'key new --expires');
is((TCCBS::Test::tccbs('key', 'new', 'team', '--expires', '2030-02-30'))[0],
    2, 'no such date');
is((TCCBS::Test::tccbs('key', 'new', 'team', '--master', "$dir/none"))[0], 1,
    'no master key');

# certificates: the same subject again from a CA that nobody trusts

my $fingerprint = sha256_hex(decode_base64($t->slurp('pki/client.crt')
    =~ s/-----.*-----//gr));
my $pretty = uc join(':', unpack('(a2)*', $fingerprint));

my %bound = (subject => 'CN=team-dr,O=example', print => "sha256:$pretty");

# a subject that is as long as a fingerprint

my $name = 'n' x 58;
$bound{long} = "CN=$name,O=example";
$pki->cert('long', 'ca', "/O=example/CN=$name");
my %certificate = (long => 'long');
$t->key($_) for keys %bound, 'ending', 'stranger';

my $open = TCCBS::Test::free_port();

sub conf {
    my (%p) = @_;

    my @keys = ("$first->{id} file:$first->{path}"
        . ($p{expires} ? " expires=$p{expires}" : ''),
        $p{second} // "$second->{id} file:$second->{path}");

    return (
        http => "tccbs_key_master $path;",
        server => "ssl_client_certificate $pki->{dir}/ca.crt;
            ssl_verify_client optional;",
        accounts => join('',
            $t->account('team-dr', key => join('; key ', grep { $_ } @keys)),
            $t->account('derived', key => "$id derived"),
            $t->account('ending', key => "$t->{keys}{ending}{id} "
                . "file:$t->{keys}{ending}{path}"
                . ($p{ends} ? " expires=$p{ends}" : '')),
            map { $t->account($_, key => "$t->{keys}{$_}{id} "
                . "file:$t->{keys}{$_}{path} \"cert=$bound{$_}\"") }
                sort keys %bound),
        servers => "
            server {
                listen 127.0.0.1:$open ssl;
                ssl_certificate $pki->{dir}/gateway.crt;
                ssl_certificate_key $pki->{dir}/gateway.key;
                ssl_client_certificate $pki->{dir}/ca.crt;
                ssl_verify_client optional_no_ca;
                location / {
                    tccbs_pass https://cbs.intl.tencentcloudapi.com;
                }
            }");
}

$t->run(conf());

sub with {
    my ($name, %o) = @_;
    return $t->call($action, copy(), key => $name, %o);
}

is(with($_)->{code}, '', "a call with the key: $_")
    for qw/ team-dr second derived /;

# A key that has expired cannot be told from one that never was: the same
# answer, whether its signature is good or bad.

sub shape {
    my ($answer) = @_;
    return $answer->{raw} =~ s/[0-9a-f]{8}-[0-9a-f-]{27}/ID/gr
        =~ s/^Date:.*$//mr;
}

my $ends = int(time) + 3;

$t->write_conf(conf(expires => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $ends)));
ok($t->reload, 'reloaded with an end');

my $expired = $t->wait_for(sub {
    my $r = with('team-dr');
    return $r->{code} ne '' ? $r : undef;
}, 20);

cmp_ok(time, '>=', $ends, 'not before its time');
is($expired->{code}, 'AuthFailure.SecretIdNotFound', 'expired');
is(shape($expired), shape(with('stranger')), 'as an unknown key');
is(shape(with('team-dr', secret => 'x' x 40)), shape($expired),
    'and as one with a bad signature');
is(with('second')->{code}, '', 'the other key of the account is good');

# Revocation: requests that were begun before the reload are old workers', too

sub begun {
    my ($name, $params) = @_;

    my $client = $t->client(account => $name);
    my $bytes = $client->request($action, $params, close => 1);

    $client->send(substr($bytes, 0, -10));

    return sub { $client->exchange(substr($bytes, -10)) };
}

my @copies = map { copy() } 0 .. 4;
my $gone = begun('second', $copies[0]);
my $stays = begun('derived', $copies[1]);
my $again = begun('subject', $copies[2]);
my $bound = begun('print', $copies[3]);
my $ended = begun('ending', $copies[4]);

$t->{keys}{subject}{secret} = TCCBS::Test::random(40);
$t->{secrets}{$t->{keys}{subject}{secret}} = 1;
$t->file('keys/subject', "$t->{keys}{subject}{secret}\n", 0400);

$bound{print} = 'CN=another';
$t->write_conf(conf(second => '', ends => '2020-01-01'));
my %old = map { $_ => 1 } $t->workers;
ok($t->reload(keep => 1), 'reloaded without the key');

is(with('second')->{code}, 'AuthFailure.SecretIdNotFound', 'revoked');
is($gone->()->{code}, 'AuthFailure.SecretIdNotFound',
    'also for a request that had begun');
is($t->sent($copies[0]), 0, 'nothing was sent');
is($again->()->{code}, 'AuthFailure.SecretIdNotFound',
    'a secret that was changed is gone at once');
is($bound->()->{code}, 'AuthFailure.SecretIdNotFound',
    'and so is a key with another certificate');
is($ended->()->{code}, 'AuthFailure.SecretIdNotFound',
    'or with an end that it did not have');
$bound{print} = "sha256:$pretty";
ok(scalar(grep { $old{$_} } $t->workers), 'the old worker is there');
is($stays->()->{code}, '', 'and takes the keys that stay');
is($t->sent($copies[1]), 1, 'once');

# an account that is not there any more

my $dropped = begun('derived', $copies[0]);
my %conf = conf();
$conf{accounts} = $t->account('team-dr');
$t->write_conf(%conf);
ok($t->reload(keep => 1), 'reloaded without the account');
is($dropped->()->{code}, 'AuthFailure.SecretIdNotFound', 'its key is revoked');

$t->write_conf(conf());
ok($t->reload, 'and back');
is(with('derived')->{code}, '', 'its key is good again');
is(with($_)->{code}, '', "one key beside another: $_")
    for qw/ team-dr second /;

# another master key makes other secrets

$t->file('keys/master', TCCBS::Test::random(64), 0400);
ok($t->reload, 'another master key');
is(with('derived')->{code}, 'AuthFailure.SignatureFailure', 'another secret');

# keys that are bound to a certificate

sub as {
    my ($name, $cert, %o) = @_;
    return with($name, client => { %o, $cert
        ? (cert => $pki->path("$cert.crt"),
            cert_key => $pki->path("$cert.key")) : () });
}

for my $name (sort keys %bound) {

    my $its = $certificate{$name} // 'client';

    is(as($name, $its)->{code}, '', "$name: with its certificate");

    my $wrong = with($name, secret => 'x' x 40);

    for my $other (undef, 'other', 'rogue-client') {
        my %o = ($other // '') eq 'rogue-client' ? (port => $open) : ();
        my $with = $other // 'none';
        my $r = as($name, $other, %o);

        is(shape($r), shape($wrong), "$name with $with: as a wrong key");

        my ($record) = $t->wait_for(sub {
            grep { $_->{id} eq $r->{audit_id} } $t->audit(kind => 'refusal')
        });

        ($record) = $t->audit(kind => 'refusal', id => $r->{audit_id});
        is($record->{rule}, 'certificate', "$name with $with: recorded");
        is($record->{key}, $t->{keys}{$name}{id}, "$name with $with: its key");
    }

    is(as($name, $its, port => $open)->{code}, '',
        "$name: verified where others need not be");
}

is(as('derived', 'other')->{code}, 'AuthFailure.SignatureFailure',
    'a certificate replaces no signature');

# mistakes

my $key = "$first->{id} file:$first->{path}";

for my $case (
    [ 'derived without a master key', "$id derived", '',
        qr/derived, add "tccbs_key_master file;" .* in \S+check\.conf:\d+/ ],
    [ 'derived from an open file', "$id derived",
        'tccbs_key_master ' . $t->file('keys/loose', 'x' x 64, 0440) . ';',
        qr/accessible to others.*chmod 0400.* in \S+check\.conf:\d+/ ],
    [ 'short master key', "$id derived",
        'tccbs_key_master ' . $t->file('keys/few', 'x' x 31, 0400) . ';',
        qr/key of 32 to 256 bytes, such as "openssl rand -hex 32"/ ],
    [ 'two master keys', $key, "tccbs_key_master $path;" x 2,
        qr/"tccbs_key_master" directive is duplicate/ ],
    [ 'no such day', "$key expires=2026-02-29", '',
        qr/invalid date "2026-02-29".*one like "2026-12-31" or/ ],
    [ 'no such second', "$key expires=2026-02-28T23:59:60Z", '',
        qr/invalid date/ ],
    [ 'local time', "$key expires=2026-02-28T23:59:59", '', qr/invalid date/ ],
    [ 'two dates', "$key expires=2096-01-01 expires=2097-01-01", '',
        qr/expected, each once/ ],
    [ 'subject without a name', "$key cert=team-dr", '',
        qr/a subject like "cert=CN=team-dr,O=example", with quotes around/ ],
    [ 'quotes inside', "$key cert=\"CN=x\"", '', qr/with quotes around/ ],
    [ 'short fingerprint', "$key cert=sha256:00", '',
        qr/64 hexadecimal digits/ ],
    [ 'long fingerprint', "$key cert=sha256:" . '0' x 66, '',
        qr/64 hexadecimal digits/ ],
    [ 'no fingerprint', "$key cert=sha256:" . 'x' x 64, '',
        qr/64 hexadecimal digits/ ],
    [ 'two certificates', "$key cert=CN=team-dr cert=CN=other", '',
        qr/expected, each once/ ],
    [ 'no file', "AKIDgwodd nope:$t->{keys}{'team-dr'}{path}", '',
        qr/must be in a file of its own/ ],
    [ 'no name of a file', 'AKIDgwodd file:', '',
        qr/must be in a file of its own/ ],
    [ 'no certificate', "$key cert=", '', qr/with quotes around/ ],
    [ 'parameter', "$key until=2026-12-31", '',
        qr/invalid parameter "until=2026-12-31".*"expires=date" or/ ],
) {
    my ($what, $line, $http, $message) = @$case;
    my ($rc, $said) = $t->check(http => $http,
        accounts => $t->account('team-dr', key => $line));

    isnt($rc, 0, "$what is refused");
    like($said, qr/\[emerg\].*$message/, "$what: message");
}

($rc, $said) = $t->check(accounts => $t->account('team-dr',
    key => "$key expires=2020-01-01"));
is($rc, 0, 'an expired key is no error');
like($said, qr/\[warn\].*the key "$first->{id}" has expired, remove it in/,
    'but said');

# The key of a day is kept for a service whose name is short; one with a longer
# name must not be written over it, and is as good or bad as any.

for my $len (64, 65, 200) {
    my $service = 's' x $len;
    my %o = (host => "$service.test", service => $service);

    is(with('second', %o)->{code}, '', "a service of $len bytes: $_")
        for qw/ once again /;
    is(with('second', %o, service => 's' x ($len - 1))->{code},
        'AuthFailure.SignatureFailure', "another one than of $len bytes");
    is(with('second', %o, secret => 'x' x 40)->{code},
        'AuthFailure.SignatureFailure', "a wrong key, $len bytes");
    is(with('second')->{code}, '', "the usual service after $len bytes");
}

# what a file of a key may hold

for my $case ([ 'short', 'x' x 31, 1 ], [ 'shortest', 'x' x 32, 0 ],
    [ 'longest', 'x' x 256, 0 ], [ 'long', 'x' x 257, 1 ],
    [ 'a blank', 'x' x 20 . ' ' . 'x' x 20, 1 ],
    [ 'a byte above ASCII', 'x' x 40 . "\xe9", 1 ])
{
    my ($what, $text, $refused) = @$case;
    my $path = $t->file('keys/odd', "$text\n", 0400);
    my ($rc, $said) = $t->check(accounts => $t->account('team-dr',
        key => "AKIDgwodd file:$path"));

    is($rc ? 1 : 0, $refused, "a key: $what");
    like($said, qr/must hold one line|is too long|longer/, "a key: $what: says so")
        if $refused;
}

$t->done;
