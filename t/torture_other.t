#!/usr/bin/perl

# What the module calls in OpenSSL and nginx fails, each time once, and then
# all from it on, for other reasons than memory: a digest, random bytes, the
# subject of a certificate, a file.  If this broke, a caller could be taken for
# somebody because it could not be found out who it is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use MIME::Base64;
use Test::More;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $OTHER /;

my $t = TCCBS::Torture::gateway(oracle => 0,
    exempt => [ qr/no memory for the audit record/ ]);

my $pki = $t->{pki};
my $mapped = TCCBS::Test::free_port();
my %bound = (subject => 'CN=team-dr,O=example', print => 'sha256:'
    . sha256_hex(decode_base64($t->slurp('pki/client.crt')
        =~ s/-----.*-----//gr)));

$t->key($_) for keys %bound;

$t->run(
    accounts => join('', $t->account('team-dr'),
        $t->account('mapped', identity => '"CN=mapped,O=example"'),
        map { $t->account($_, key => "$t->{keys}{$_}{id} "
            . "file:$t->{keys}{$_}{path} \"cert=$bound{$_}\"") }
            sort keys %bound),
    server => "ssl_client_certificate $pki->{dir}/ca.crt;
        ssl_verify_client optional; client_body_buffer_size 1k;
        tccbs_signed_host cbs.intl.tencentcloudapi.com;",
    servers => TCCBS::Conf::mapped($mapped));

is($t->call('CopySnapshotCrossRegions', copy())->{code}, '',
    'a call before');

my ($worker) = $t->workers;
my ($shut, %told);

sub opened {
    return if !$shut;
    $shut = 0;
    return TCCBS::Torture::forwards($t);
}

# a call that is good, or never is: "good" says which

sub torture {
    my ($name, $good, %o) = @_;

    my $client = delete $o{client} // {};
    my $params = delete $o{params} // sub { copy() };
    my $each = delete $o{each} // sub { () };

    TCCBS::Torture::torture($name, $OTHER, sub {
        my $p = $params->();
        my $r = $t->call('CopySnapshotCrossRegions', ref $p ? $p : undef,
            timeout => 20, %o, $each->(), client => $client,
            ref $p ? () : (body => $p));

        $shut ||= ($r->{message} // '') =~ /audit log cannot be written/;
        $told{$r->{response} ? $r->{code} || 'made' : $r->{error}}++;

        return "no form: $r->{raw}" if $r->{status} && !$r->{response};
        return 'another worker' if ($t->workers)[0] != $worker;
        return "sent: $r->{raw}" if !$good && ref $p && $t->sent($p);
        return "made: $r->{raw}" if !$good && $r->{code} eq '';
        return;
    }, after => \&opened);
}

my %client = (cert => $pki->path('client.crt'),
    cert_key => $pki->path('client.key'));
my %other = (cert => $pki->path('other.crt'),
    cert_key => $pki->path('other.key'));
my $serial = 0;

torture('a good signature', 1);
torture('one of another host', 1,
    signed_host => 'cbs.intl.tencentcloudapi.com');
torture('a bad signature', 0, secret => 'x' x 40);
torture('another body', 0, signed_body => '{}');
torture('an unknown key', 0, id => 'AKIDgwnobody0000000000000000');
torture("a new day key of a $_ one", $_ eq 'good', each => sub {
    my $name = 'gw' . ++$serial;
    return (host => "$name.test", service => $name,
        $_ eq 'good' ? () : (secret => 'x' x 40));
}) for qw/ good bad /;

for my $name (sort keys %bound) {
    torture("$name: its certificate", 1, key => $name, client => \%client);
    torture("$name: another one", 0, key => $name, client => \%other);
    torture("$name: none", 0, key => $name);
}

torture('a name', 1, client => { port => $mapped, plain => 1 },
    headers => [ [ 'X-Who', 'CN=mapped,O=example' ] ]);
torture('another name', 0, client => { port => $mapped, plain => 1 },
    headers => [ [ 'X-Who', 'CN=mapped' ] ]);
torture('a body in a file', 1, params => sub {
    return '{' . ' ' x 9000 . '"DestinationRegions":["ap-beijing"],'
        . sprintf('"SnapshotId":"snap-file%04d"}', ++$serial) });

# random bytes are asked for when those for 64 ids are used up

TCCBS::Torture::torture('ids', $OTHER, sub {
    my $client = $t->client;
    my @answers = map { $client->call('CopySnapshotCrossRegions', {},
        method => 'PUT') } 1 .. 64;
    $client->close;

    $told{$_->{code} || $_->{error}}++ for @answers;
    my ($bad) = grep { ($_->{code} || $_->{error})
        !~ /^(?:UnsupportedProtocol|InternalError|connection closed)$/ }
        @answers;
    return $bad && "said: $bad->{raw}";
}, after => \&opened);

is($t->call('CopySnapshotCrossRegions', copy())->{code}, '',
    'the gateway goes on');
cmp_ok($told{made}, '>', 10, 'calls were made');
cmp_ok($told{'InternalError'}, '>', 10, 'and refused');
diag(join(', ', map { "$told{$_} $_" } sort keys %told));

$t->stop;
$t->start;
ok($t->settled, 'every intent has an outcome');

# an outcome that cannot be recorded, not even when the call ends, is told to
# the caller, and to those who read the error log

my %told_of = map { $_ => 1 } $t->slurp('logs/error.log')
    =~ /no memory for the audit record of (\S+), outcome success/g;

$t->none('no contradiction that the error log does not tell',
    grep { !/([0-9a-f-]{36})/ || !$told_of{$1} }
    map { $_->{said} } $t->contradictions);

TCCBS::Torture::all_failed('other');

$t->done;
