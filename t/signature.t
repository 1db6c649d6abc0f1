#!/usr/bin/perl

# Who may call: every rule about the signature.  If this broke, somebody
# without a key, or with a captured request, could make copies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->run(location => 'tccbs_signed_host cbs.intl.tencentcloudapi.com;');

my $action = 'CopySnapshotCrossRegions';
my $invalid = 'AuthFailure.InvalidAuthorization';
my $failure = 'AuthFailure.SignatureFailure';
my $port = $t->{port};
my $now = time;

# accepted: what the SDKs and the documentation do

my @accepted = (
    [ 'plain', {} ],
    [ 'host with port', { host => "cbs.gw.test:$port" } ],
    [ 'host with port signed without (Node)',
      { host => "cbs.gw.test:$port", signed_host => 'cbs.gw.test' } ],
    [ 'address, service 127 (Node)',
      { host => "127.0.0.1:$port", signed_host => '127.0.0.1',
        service => '127' } ],
    [ 'mixed case, signed as sent', { host => 'CBS.gw.test' } ],
    [ 'mixed case, signed lower',
      { host => 'CBS.gw.test', signed_host => 'cbs.gw.test' } ],
    [ 'configured host (apigw endpoint)',
      { signed_host => 'cbs.intl.tencentcloudapi.com' } ],
    [ 'charset (Java)', { type => 'application/json; charset=utf-8' } ],
    [ 'action signed (documentation)',
      { sign => [ qw/ content-type host x-tc-action / ] } ],
    [ 'much signed', { sign => [ qw/ content-type host x-tc-action
        x-tc-region x-tc-timestamp x-tc-version / ] } ],
    [ 'question mark (Python async)', { target => '/?' } ],
    [ '299 s behind', { stamp => $now - 298 } ],
    [ '299 s ahead', { stamp => $now + 298 } ],
    [ 'first label as service', { host => 'copygw.test',
        service => 'copygw' } ],
    [ 'a service that begins that one', { host => 'copy.test',
        service => 'copy' } ],
    [ 'first label with port as service', { host => "copygw:$port",
        service => "copygw:$port" } ],
);

for my $case (@accepted) {
    my ($name, $o) = @$case;
    my $r = $t->call($action, copy(), %$o);
    is($r->{code}, '', "accepted: $name") or diag($r->{message});
}

my $params = copy();
my $body = JSON::XS->new->canonical->encode($params);

sub auth {
    my (%o) = @_;
    my $key = $t->{keys}{'team-dr'};
    my $a = CBS::TC3::authorization(id => $key->{id},
        secret => $key->{secret}, stamp => $o{stamp} // time, body => $body,
        headers => [ [ 'content-type', 'application/json' ],
            [ 'host', 'cbs.gw.test' ] ]);
    return $o{edit} ? do { local $_ = $a; $o{edit}->(); $_ } : $a;
}

my $refused = () = $t->emulated;

my @cases = (
    [ 'no signature', $invalid, { drop => [ 'Authorization' ] } ],
    [ 'SKIP', $invalid, { authorization => 'SKIP' } ],
    [ 'empty', $invalid, { authorization => '' } ],
    [ 'v1', $invalid, { drop => [ 'Authorization' ],
        body => '{"SecretId":"x","Signature":"y"}' } ],
    [ 'other algorithm', $invalid,
        { authorization => auth(edit => sub { s/TC3/TC4/ }) } ],
    [ 'lower-case algorithm', $invalid,
        { authorization => auth(edit => sub { s/TC3/tc3/ }) } ],
    [ 'algorithm with a suffix', $invalid,
        { authorization => auth(edit => sub { s/SHA256 /SHA256x / }) } ],
    [ 'four parts', $invalid,
        { authorization => auth(edit => sub { s{/cbs/}{/} }) } ],
    [ 'terminator', $invalid,
        { authorization => auth(edit => sub { s/tc3_req/aws4_req/ }) } ],
    [ 'no host signed', $invalid,
        { authorization => auth(edit => sub { s/;host// }) } ],
    [ 'no content type signed', $invalid,
        { authorization => auth(edit => sub { s/content-type;// }) } ],
    [ 'names not ascending', $invalid, { authorization =>
        auth(edit => sub { s/content-type;host/host;content-type/ }) } ],
    [ 'name twice', $invalid, { authorization =>
        auth(edit => sub { s/;host/;host;host/ }) } ],
    [ 'upper-case name', $invalid,
        { authorization => auth(edit => sub { s/;host/;Host/ }) } ],
    [ 'signature short', $invalid,
        { authorization => auth(edit => sub { s/.$// }) } ],
    [ 'signature long', $invalid,
        { authorization => auth(edit => sub { s/$/0/ }) } ],
    [ 'signature upper case', $invalid,
        { authorization => auth(edit => sub { s/Signature=.*/\U$&/;
            s/SIGNATURE/Signature/; s/=[0-9A-F]+$/'=' . 'A' x 64/e }) } ],
    [ 'two signatures', $invalid, { authorization =>
        auth(edit => sub { s/$/, Signature=@{[ '0' x 64 ]}/ }) } ],
    [ 'unsigned payload', $invalid,
        { headers => [ [ 'X-TC-Content-SHA256', 'UNSIGNED-PAYLOAD' ] ],
          signed_body => 'UNSIGNED-PAYLOAD' } ],

    [ 'unknown key', 'AuthFailure.SecretIdNotFound',
        { id => 'AKIDgwnobody0000000000000000' } ],
    [ 'key of another shape', 'AuthFailure.InvalidSecretId',
        { id => 'a b' =~ s/ /./r } ],
    [ 'token', 'AuthFailure.TokenFailure',
        { headers => [ [ 'X-TC-Token', 'x' ] ] } ],

    [ 'wrong secret', $failure, { secret => 'x' x 40 } ],
    [ 'one bit', $failure, { authorization => auth(edit =>
        sub { s/(.)$/$1 eq '0' ? '1' : '0'/e }) } ],
    [ 'other body', $failure, { signed_body => '{}' } ],
    [ 'other host', $failure, { signed_host => 'other.example' } ],
    [ 'address without its last part', $failure,
        { host => '127.0.0.1', signed_host => '127.0.0' } ],
    [ 'other service', $failure, { service => 'cvm' } ],
    [ 'date of another day', $failure,
        { date => CBS::TC3::date(time - 86400) } ],
    [ 'signed header that was not sent', $failure,
        { sign => [ qw/ content-type host x-tc-language / ] } ],
    [ 'signed header the gateway does not read', $failure,
        { sign => [ qw/ content-type host x-forwarded-for / ] } ],
    [ 'signed as GET', $failure, { authorization => CBS::TC3::authorization(
        id => $t->{keys}{'team-dr'}{id},
        secret => $t->{keys}{'team-dr'}{secret}, stamp => time,
        body => $body, method => 'GET',
        headers => [ [ 'content-type', 'application/json' ],
            [ 'host', 'cbs.gw.test' ] ]) } ],

    [ '310 s behind', 'AuthFailure.SignatureExpire',
        { stamp => $now - 310 } ],
    [ '310 s ahead', 'AuthFailure.SignatureExpire',
        { stamp => $now + 310 } ],
    [ 'timestamp with a sign', 'InvalidParameterValue',
        { stamp => "+$now" } ],
    [ 'timestamp with zero', 'InvalidParameterValue', { stamp => "0$now" } ],
    [ 'timestamp in ms', 'InvalidParameterValue', { stamp => "${now}000", date => '2026-01-01' } ],
    [ 'no timestamp', 'MissingParameter', { drop => [ 'X-TC-Timestamp' ] } ],
    [ 'no action', 'MissingParameter', { drop => [ 'X-TC-Action' ] } ],
    [ 'no version', 'MissingParameter', { drop => [ 'X-TC-Version' ] } ],
    [ 'no region', 'MissingParameter', { drop => [ 'X-TC-Region' ] } ],

    (map { [ "two of $_", 'InvalidParameter', { headers => [
        [ $_, $_ eq 'Content-Type' ? 'application/json' : 'x' ],
        ($_ =~ /TC-(Token|Language|TraceId)/ ? [ $_, 'x' ] : ()) ] } ] }
        qw/ Content-Type X-TC-Action X-TC-Version X-TC-Region
            X-TC-Timestamp X-TC-Language X-TC-TraceId X-TC-Token /),

    [ 'unknown header', 'UnknownParameter',
        { headers => [ [ 'X-TC-Evil', '1' ] ] } ],
    [ 'header that is no ASCII', 'InvalidParameter',
        { headers => [ [ 'X-TC-TraceId', "\xc3\xa9" ] ] } ],
);

for my $case (@cases) {
    my ($name, $code, $o) = @$case;
    my $r = $t->call($action, $o->{body} // $params, %$o);
    is($r->{code}, $code, "refused: $name")
        or diag($r->{body} || $r->{error});
    is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', "not sent: $name");
}

# nginx itself refuses these

for my $name (qw/ Authorization Host Content-Length /) {
    my $r = $t->call($action, $params, headers => [ [ $name, '5' ] ]);
    is($r->{code}, 'InvalidRequest', "refused: two of $name");
}

is(scalar(() = $t->emulated), $refused, 'nothing was forwarded');

# a captured request is no good for another action, version or region; the
# same one again is the same signature, which is left to duplicate protection

my $client = $t->client;
my $stamp = time;
my $copy = copy();

is($client->call($action, $copy, stamp => $stamp)->{code}, '', 'first');

my $r = $client->call($action, $copy, stamp => $stamp,
    region => 'ap-shanghai');
is($r->{code}, $failure, 'captured: other region');

$r = $client->call('DescribeSnapshots', $copy, stamp => $stamp);
is($r->{code}, $failure, 'captured: other action');

$r = $client->call($action, $copy, stamp => $stamp,
    version => '2018-03-12');
is($r->{code}, $failure, 'captured: other version');

# for as long as its timestamp is good, not for a moment

sleep 2;
$r = $client->call($action, $copy, stamp => $stamp,
    region => 'ap-shanghai');
is($r->{code}, $failure, 'captured: other region, later');

# anonymous noise is summed up, refusals of an account are recorded

$t->stop;

is(scalar(grep { !$_->{account} && $_->{decision} ne 'anonymous' }
    $t->audit(kind => 'refusal')), 0, 'no record each for noise');
my ($sum) = $t->audit(kind => 'refusal', decision => 'anonymous');
cmp_ok($sum->{count}, '>', 40, 'noise is counted');
is(scalar($t->audit(kind => 'refusal', rule => 'replay')), 4,
    'misuse of a key is recorded');

$t->done;
