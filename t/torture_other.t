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
use TCCBS::Answer qw/ tag /;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $ANY_OTHER $OTHER /;

my $t = TCCBS::Torture::gateway(oracle => 0,
    exempt => [ qr/no memory for the audit record/ ]);

my $pki = $t->{pki};
my $mapped = TCCBS::Test::free_port();
my %bound = (subject => 'CN=team-dr,O=example', print => 'sha256:'
    . sha256_hex(decode_base64($t->slurp('pki/client.crt')
        =~ s/-----.*-----//gr)));

$t->key($_) for keys %bound;

# the configuration, with a key that is derived: refused; no
# gateway runs yet, in which something would fail instead

$t->file('keys/master', TCCBS::Test::random(64), 0400);
$t->file('conf/derived.conf', $t->conf(
    http => "tccbs_key_master $t->{dir}/keys/master;",
    accounts => TCCBS::Conf::account('derived', undef,
        key => 'AKIDgwderived derived')));

TCCBS::Torture::torture('a derived key', $ANY_OTHER, sub {
    my $said = $t->nginx("-e stderr -t -c $t->{dir}/conf/derived.conf");
    return 'signal ' . ($? & 127) if $? & 127;
    return "accepted: $said"
        if TCCBS::Torture::counters()->{failed} && $? == 0;
    return;
});

$t->run(
    accounts => join('', $t->account('team-dr'),
        $t->account('mapped', identity => '"CN=mapped,O=example"'),
        map { $t->account($_, key => "$t->{keys}{$_}{id} "
            . "file:$t->{keys}{$_}{path} \"cert=$bound{$_}\"") }
            sort keys %bound),
    location => 'tccbs_snapshot_tag on; tccbs_hold 600s;',
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
        return "made: $r->{raw}" if !$good && $r->{response}
            && $r->{code} eq '';
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

# a copy whose answer was lost, when it is seen: what cannot be recorded, or not
# be found out, is seen the next time

my ($lost, $tag);

sub lose {
    $t->faults({ kind => 'drop_before' });
    $lost = copy(SnapshotName => 'lost');
    $tag = tag($t->call('CopySnapshotCrossRegions', $lost)
        ->{headers}{'x-tccbs-id'});
}

TCCBS::Torture::torture('a copy that is found', $OTHER, sub {
    my $r = $t->call('DescribeSnapshots', { Filters => [ {
        Name => 'snapshot-name', Values => [ "lost #$tag" ] } ] },
        region => 'ap-beijing', timeout => 20);
    return "no form: $r->{raw}" if $r->{status} && !$r->{response};
    return 'another worker' if ($t->workers)[0] != $worker;
    return;
}, before => \&lose, after => sub {
    my $bad = opened();
    return $bad if $bad;
    $t->call('CopySnapshotCrossRegions', $lost);
    return "made again: $lost->{SnapshotId}" if $t->sent($lost) != 1;
    return;
});

# The same with no random bytes for the id of the record: five ids are used each
# time, so that each of the 64 is once the last.

my ($random) = grep { (TCCBS::Torture::places()->{$_} // '') =~ /RAND_bytes/ }
    keys %{TCCBS::Torture::counters()->{sites}};
my ($unsaid, $again) = (0, 0);

for (1 .. 64) {
    lose();
    $t->call('CopySnapshotCrossRegions', {}, method => 'PUT');

    my $said = () = $t->audit(kind => 'recovery');

    TCCBS::Torture::arm($OTHER, 0, 1, $random);
    my $r = $t->call('DescribeSnapshots', { Filters => [ {
        Name => 'snapshot-name', Values => [ "lost #$tag" ] } ] },
        region => 'ap-beijing', timeout => 20);
    TCCBS::Torture::disarm();

    $t->call('CopySnapshotCrossRegions', $lost);
    $again++ if $t->sent($lost) != 1;
    $unsaid++ if $r->{response} && $r->{code} eq ''
        && $said == (() = $t->audit(kind => 'recovery'));
}

cmp_ok($unsaid, '>', 0, "$unsaid copies that are found are not recorded");
cmp_ok($unsaid, '<', 10, 'the others are');
is($again, 0, 'and none is made again');

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
