#!/usr/bin/perl

# What may be asked for, and in which form it may arrive.  If this broke, two
# readers of one body could disagree about where a copy goes.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Encode qw/ encode_utf8 /;
use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->run(location => 'client_body_buffer_size 1k; client_body_timeout 1s;',
    listen => 'ssl http2');

my $copy = 'CopySnapshotCrossRegions';
my $id = 'snap-ckgjwkqh';
my $to = '"DestinationRegions":["ap-beijing"]';

my @refused = (
    [ '', 'InvalidParameter' ],
    [ '{', 'InvalidParameter' ],
    [ '[]', 'InvalidParameter' ],
    [ '"x"', 'InvalidParameter' ],
    [ 'null', 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id"}x), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id"}{}), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id",}), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id"/**/}), 'InvalidParameter' ],
    [ qq(\xef\xbb\xbf{$to,"SnapshotId":"$id"}), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id",$to}), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","Snapshot\\u0049d":"$id"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"a\\u0000"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"\\ud800"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"\\udc00\\ud800"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"\xc0\xaf"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"\xed\xa0\x80"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"\xff"}),
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"a\nb"}),
      'InvalidParameter' ],
    [ '{"DestinationRegions":' . '[' x 1000 . ']' x 1000 . '}',
      'InvalidParameter' ],
    [ qq({$to,"SnapshotId":1}), 'InvalidParameter' ],
    [ qq({"DestinationRegions":"ap-beijing","SnapshotId":"$id"}),
      'InvalidParameter' ],
    [ qq({"DestinationRegions":[1],"SnapshotId":"$id"}),
      'InvalidParameter' ],
    [ qq({"DestinationRegions":{},"SnapshotId":"$id"}), 'InvalidParameter' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":null}), 'InvalidParameter' ],

    [ qq({$to,"SnapshotId":"$id","ClientToken":"x"}), 'UnknownParameter' ],
    [ qq({$to,"SnapshotId":"$id","snapshotname":"x"}), 'UnknownParameter' ],
    [ qq({"DestinationRegions.0":"ap-beijing","SnapshotId":"$id"}),
      'UnknownParameter' ],
    [ '{}', 'MissingParameter' ],
    [ "{$to}", 'MissingParameter' ],
    [ qq({"SnapshotId":"$id"}), 'MissingParameter' ],

    [ qq({"DestinationRegions":[],"SnapshotId":"$id"}),
      'InvalidParameterValue' ],
    [ qq({"DestinationRegions":["ap-guangzhou"],"SnapshotId":"$id"}),
      'InvalidParameterValue' ],
    [ qq({"DestinationRegions":["ap-beijing","ap-beijing"],)
      . qq("SnapshotId":"$id"}), 'InvalidParameterValue' ],
    [ qq({"DestinationRegions":["AP-BEIJING"],"SnapshotId":"$id"}),
      'InvalidParameterValue' ],
    [ qq({"DestinationRegions":["ap-beijing\\n"],"SnapshotId":"$id"}),
      'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"SNAP-ckgjwkqh"}), 'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"disk-ckgjwkqh"}), 'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"$id ","SnapshotName":"x"}),
      'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":""}),
      'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":") . 'x' x 61 . '"}',
      'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"a\\u202eb"}),
      'InvalidParameterValue' ],
    [ qq({$to,"SnapshotId":"$id","SnapshotName":"a\\u0085b"}),
      'InvalidParameterValue' ],
);

for my $case (@refused) {
    my ($body, $code) = @$case;
    my $r = $t->call($copy, undef, body => $body);
    is($r->{code}, $code, 'refused: ' . substr(encode_utf8($body), 0, 70)
        =~ s/[^\x20-\x7e]/?/gr) or diag($r->{body} || $r->{error});
}

like($t->call($copy, undef, body => qq({$to,"SnapshotId":"$id","<X>":1}))
    ->{message}, qr/`<X>` is not recognized/, 'unknown parameter is named');
like($t->call($copy, undef, body => "{$to}")->{message},
    qr/required parameter `SnapshotId`/, 'missing parameter is named');

# methods, paths and types

my @forms = (
    [ 'GET', 'UnsupportedProtocol', { method => 'GET' } ],
    [ 'PUT', 'UnsupportedProtocol', { method => 'PUT' } ],
    [ 'query', 'InvalidParameter', { target => '/?Action=x' } ],
    [ 'path', 'InvalidParameter', { target => '/x' } ],
    [ 'escaped path', 'InvalidParameter', { target => '/%2e/' } ],
    [ 'form', 'InvalidRequest',
        { type => 'application/x-www-form-urlencoded' } ],
    [ 'multipart', 'InvalidRequest',
        { type => 'multipart/form-data; boundary=x' } ],
    [ 'octets', 'InvalidRequest', { type => 'application/octet-stream' } ],
    [ 'other charset', 'InvalidRequest',
        { type => 'application/json; charset=gbk' } ],
    [ 'no type', 'InvalidRequest', { drop => [ 'Content-Type' ] } ],
    [ 'version', 'NoSuchVersion', { version => '2017-03-13' } ],
    [ 'region', 'UnsupportedRegion', { region => 'Guangzhou' } ],
    [ 'too large', 'RequestSizeLimitExceeded',
        { body => '{"x":"' . 'x' x 17000 . '"}' } ],
    [ 'too large, chunked', 'RequestSizeLimitExceeded',
        { body => '{"x":"' . 'x' x 17000 . '"}', chunked => 4000 } ],
);

for my $case (@forms) {
    my ($name, $code, $o) = @$case;
    is($t->call($copy, copy(), %$o)->{code}, $code, "form: $name");
}

is($t->call('DeleteSnapshots', copy())->{code}, 'InvalidAction', 'other action');
is($t->call('copySnapshotCrossRegions', copy())->{code}, 'InvalidAction',
    'case of the action');

is(scalar(() = $t->emulated), 0, 'nothing was forwarded');

# what is judged is what is sent: one canonical body

my $r = $t->call($copy, undef, body => qq( { "SnapshotName" : "\\u5907\\ud83d)
    . qq(\\ude00 \\/" ,\n"SnapshotId":"snap-\\u0061bcdefgh" ,\t)
    . qq("DestinationRegions":["ap-beijing"]} ));

is($r->{code}, '', 'odd but valid') or diag($r->{message});

my ($seen) = $t->emulated;
is($seen->{body}, '{"DestinationRegions":["ap-beijing"],'
    . '"SnapshotId":"snap-abcdefgh","SnapshotName":"\\u5907\\ud83d\\ude00 /"}',
    'regenerated');

is($t->call($copy, copy(SnapshotName => 'é' x 60))->{code}, '',
    'name of 60 characters');

# how a body may arrive

my $spaces = ' ' x 9000;
my $large = qq({$spaces"DestinationRegions":["ap-beijing"],"SnapshotId":);

is($t->call($copy, undef, body => qq($large"snap-intofile1"}))->{code}, '',
    'through a temporary file');
is($t->call($copy, undef, body => qq($large"snap-intofile2"}),
    chunked => 1000)->{code}, '', 'chunked, through a file');
is($t->call($copy, copy(), chunked => 1)->{code}, '', 'byte by byte');

my $client = $t->client;
my $request = $client->request($copy, copy(),
    headers => [ [ 'Expect', '100-continue' ] ]);
$client->send($request);
is($client->answer->{code}, '', 'Expect: 100-continue');

for my $n (1 .. 3) {
    is($client->call($copy, copy())->{code}, '', "kept connection $n");
}

# a body that does not come is refused, not cut off

$request = $client->request($copy, copy());
$client->send(substr($request, 0, -10));
$r = $client->answer;
is($r->{code}, 'InvalidRequest', 'late body');
like($r->{message}, qr/in time/, 'late body: says so');

# HTTP/2

SKIP: {
    skip 'no curl with HTTP/2', 3
        if `curl --version 2>/dev/null` !~ /HTTP2/;

    my $c = $t->client(host => "localhost:$t->{port}");
    my ($head, $body) = split(/\r\n\r\n/, $c->request($copy, copy()), 2);
    my (undef, @lines) = split(/\r\n/, $head);

    my @h = map { ('-H', $_) } grep { !/^(Host|Content-Length)/ } @lines;
    my $file = $t->file('h2-body', $body);

    open(my $curl, '-|', 'curl', '-s', '--http2', '--max-time', 20, '-i',
        '--cacert', $t->{pki}->path('ca.crt'), @h, '--data-binary',
        "\@$file", "https://localhost:$t->{port}/") or die;
    my $said = do { local $/; <$curl> };

    like($said, qr{^HTTP/2 200}, 'HTTP/2');
    like($said, qr{content-type: application/json\r\n}, 'HTTP/2: type');
    like($said, qr/"Code":"Success"/, 'HTTP/2: copied') or diag($said);
}

# the companion that only looks

my $describe = 'DescribeSnapshots';

for my $p ({}, { SnapshotIds => [ $id ] }, { Limit => 100, Offset => 0 },
    { Filters => [ { Name => 'snapshot-state', Values => [ 'NORMAL' ] },
        { Name => 'snapshot-name', Values => [ 'é' ] } ],
      OrderField => 'CREATE_TIME', Order => 'ASC' })
{
    my $r = $t->call($describe, $p, region => 'ap-beijing');
    is($r->{code}, '', 'describe') or diag($r->{message});
    ok(defined $r->{response}{TotalCount}, 'describe: counted');
}

my @bad = (
    [ '{"Limit":0}', 'InvalidParameterValue' ],
    [ '{"Limit":101}', 'InvalidParameterValue' ],
    [ '{"Limit":1.5}', 'InvalidParameterValue' ],
    [ '{"Limit":1e1}', 'InvalidParameterValue' ],
    [ '{"Limit":"1"}', 'InvalidParameter' ],
    [ '{"Offset":-1}', 'InvalidParameterValue' ],
    [ '{"Offset":99999999999999999999}', 'InvalidParameterValue' ],
    [ '{"Order":"asc"}', 'InvalidParameterValue' ],
    [ '{"OrderField":"NAME"}', 'InvalidParameterValue' ],
    [ '{"SnapshotIds":["x"]}', 'InvalidParameterValue' ],
    [ '{"SnapshotIds":[],"Filters":[]}', 'InvalidParameter' ],
    [ '{"Filters":[{"Name":"x","Values":["y"]}]}', 'InvalidParameterValue' ],
    [ '{"Filters":[{"Name":"zone"}]}', 'MissingParameter' ],
    [ '{"Filters":[{"Name":"zone","Values":[]}]}', 'InvalidParameterValue' ],
    [ '{"Filters":[{"Name":"zone","Values":["a"],"X":1}]}',
      'UnknownParameter' ],
    [ '{"DestinationRegions":["ap-beijing"]}', 'UnknownParameter' ],
);

for my $case (@bad) {
    my ($body, $code) = @$case;
    is($t->call($describe, undef, body => $body, region => 'ap-beijing')
        ->{code}, $code, "describe refused: $body");
}

$t->done;
