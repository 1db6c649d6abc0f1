#!/usr/bin/perl

# The emulator itself.  If it took a bad signature, or did not do what a fault
# says, the other tests would prove nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;

use CBS::HTTP;
use CBS::TC3;
use TCCBS::Test qw/ copy /;

my $host = 'cbs.intl.tencentcloudapi.com';
my $copy = 'CopySnapshotCrossRegions';
my $look = 'DescribeSnapshots';

# the worked example of the documentation

my $secret = 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE';
my $body = '{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], '
    . '"Name": "instance-name"}]}';
my @headers = ([ 'content-type', 'application/json; charset=utf-8' ],
    [ 'host', 'cvm.tencentcloudapi.com' ]);

is_deeply([ map { unpack('H*', $_) }
        CBS::TC3::derive($secret, '2019-02-25', 'cvm') ],
    [ 'd1308c81fe71cfd4e06437bbc067b2b8a3d2d8c0e375d547f15c41d5214b395a',
      '3c7cb7c7795393edc14fd2e0e6434a518564b4504b88e94f5d11bf59ba3e7050',
      'ac658d5dde49e9bfdd14e04e062f66b05d9f637d44b8a8d845327d4a77f666b1' ],
    'derived keys');
is(CBS::TC3::authorization(id => 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE',
        secret => $secret, stamp => 1551113065, service => 'cvm',
        headers => \@headers, body => $body),
    'TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/'
    . '2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature='
    . '72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168',
    'worked example');

my $masked = '*' x 32;
is(CBS::TC3::signature($masked, 1551113065, '2019-02-25', 'cvm',
        CBS::TC3::canonical('POST', '/', '',
            [ @headers, [ 'x-tc-action', 'describeinstances' ] ], $body)),
    '10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f',
    'worked example with the action');

# no gateway here: the clients call the emulator

my $t = TCCBS::Test->new(oracle => 0, any_answer => 1);
my $temporary = $t->credential('sts', token => 1);
$t->emulator;

sub client {
    my (%o) = @_;
    my $key = $t->{credentials}{prod};
    return $t->client(port => $t->{emulator_port}, host => $host,
        name => $host, id => $key->{secret_id}, secret => $key->{secret_key},
        timeout => 5, %o);
}

sub call { return client()->call(@_) }

sub last_line { return ($t->emulated)[-1] }

# good signatures

my $r = call($copy, copy(), headers => [ [ 'X-TC-TraceId', 'trace-1' ] ]);
is($r->{code}, '', 'accepted') or diag($r->{raw} || $r->{error});

my $line = last_line();
is($line->{trace}, 'trace-1', 'log: trace');
is($line->{action}, $copy, 'log: action');
is($line->{region}, 'ap-guangzhou', 'log: region');
is($line->{key_id}, $t->{credentials}{prod}{secret_id}, 'log: key');
is($line->{answered}{request_id}, $r->{id}, 'log: RequestId');
is($line->{answered}{body_sha256}, CBS::HTTP::hash($r->{body}), 'log: body');
ok($line->{complete} && $line->{verified}, 'log: complete and verified');
cmp_ok(abs($line->{t_first} - time * 1e6), '<', 5e6, 'log: time');
like($line->{raw_headers}[0], qr/^Host: \Q$host\E$/, 'log: raw headers');

my @token = (headers => [ [ 'X-TC-Token', $temporary->{token} ] ]);
my @sts = (key => { id => $temporary->{secret_id},
    secret => $temporary->{secret_key} });

for my $case (
    [ 'action signed', sign => [ qw/ content-type host x-tc-action / ] ],
    [ 'temporary key', @sts, @token ],
    [ 'clock 299 s behind', stamp => int(time) - 299 ],
    [ 'in pieces', slow => { bytes => 97, ms => 1 } ],
    [ 'chunked', chunked => 5 ],
)
{
    my ($name, %o) = @$case;
    is(call($copy, copy(), %o)->{code}, '', "accepted: $name");
}

is(call($look, { Limit => 1 }, method => 'GET')->{code}, 'InvalidParameter',
    'a GET is signed over its query');

# bad ones

my $failure = 'AuthFailure.SignatureFailure';
my $yesterday = CBS::TC3::date(time - 86400);

for my $case (
    [ $failure, 'secret', secret => 'x' x 32 ],
    [ $failure, 'body', signed_body => '{}' ],
    [ $failure, 'host signed', signed_host => 'other.example' ],
    [ $failure, 'host sent', host => 'other.example' ],
    [ $failure, 'type', signed_type => 'text/plain' ],
    [ $failure, 'service', service => 'cvm' ],
    [ $failure, 'date', date => $yesterday ],
    [ $failure, 'host not signed', sign => [ 'content-type' ] ],
    [ $failure, 'type not signed', sign => [ 'host' ] ],
    [ $failure, 'signed header missing',
        sign => [ qw/ content-type host x-tc-other / ] ],
    [ 'AuthFailure.SignatureExpire', 'behind', stamp => int(time) - 302 ],
    [ 'AuthFailure.SignatureExpire', 'ahead', stamp => int(time) + 310 ],
    [ 'AuthFailure.SignatureExpire', 'no number', stamp => '01551113065' ],
    [ 'AuthFailure.SecretIdNotFound', 'key', id => 'AKIDunknown' ],
    [ 'AuthFailure.InvalidAuthorization', 'shape', authorization => 'SKIP' ],
    [ 'AuthFailure.InvalidAuthorization', 'nothing',
        drop => [ 'Authorization' ] ],
    [ 'AuthFailure.TokenFailure', 'token missing', @sts ],
    [ 'AuthFailure.TokenFailure', 'token too much', @token ],
    [ 'InvalidParameter', 'header repeated',
        headers => [ [ 'X-TC-Region', 'ap-beijing' ] ] ],
    [ 'InvalidParameter', 'host repeated', headers => [ [ 'Host', $host ] ] ],
)
{
    my ($code, $name, %o) = @$case;
    is(call($copy, copy(), %o)->{code}, $code, "refused: $name");
    ok(!last_line()->{verified}, "refused: $name: logged");
}

# a new secret is known at once

my $new = $t->credential('new');
is(call($copy, copy(), key => { id => $new->{secret_id},
    secret => $new->{secret_key} })->{code}, '', 'secrets are read again');

# what CBS says to wrong calls

for my $case (
    [ 'InvalidAction', 'DeleteSnapshots', {} ],
    [ 'NoSuchVersion', $copy, copy(), version => '2018-01-01' ],
    [ 'MissingParameter', $copy, copy(), drop => [ 'X-TC-Region' ] ],
    [ 'UnsupportedRegion', $copy, copy(), region => 'nowhere' ],
    [ 'InvalidParameter', $copy, '[]' ],
    [ 'UnknownParameter', $copy, copy(DryRun => 1) ],
    [ 'MissingParameter', $copy, { SnapshotId => 'snap-00000001' } ],
    [ 'InvalidParameterValue', $copy, copy(DestinationRegions => []) ],
    [ 'InvalidParameterValue', $copy,
        copy(DestinationRegions => [ 'ap-guangzhou' ]) ],
    [ 'InvalidParameterValue', $copy, copy(SnapshotId => 'disk-1') ],
    [ 'InvalidSnapshotId.NotFound', $copy,
        copy(SnapshotId => 'snap-none0001') ],
    [ 'InvalidParameter', $look, { SnapshotIds => [], Filters => [] } ],
    [ 'InvalidParameterValue', $look, { Limit => 101 } ],
    [ 'InvalidFilter', $look, { Filters => [ { Name => 'x',
        Values => [ 'y' ] } ] } ],
)
{
    my ($code, @call) = @$case;
    is(call(@call)->{code}, $code, "$call[0]: $code");
}

# a copy makes its way

$t->emulator_config(progress => 0.6);

$r = call($copy, { SnapshotId => 'snap-way00001', SnapshotName => 'w',
    DestinationRegions => [ 'ap-beijing', 'ap-singapore' ] });

my %made = map { $_->{DestinationRegion} => $_->{SnapshotId} }
    @{$r->{response}{SnapshotCopyResultSet}};

is_deeply([ sort keys %made ], [ 'ap-beijing', 'ap-singapore' ],
    'destinations');

sub snapshot {
    my ($region, $id) = @_;
    return call($look, { SnapshotIds => [ $id ] }, region => $region)
        ->{response}{SnapshotSet}[0];
}

is_deeply(snapshot('ap-guangzhou', 'snap-way00001')->{CopyingToRegions},
    [ 'ap-beijing', 'ap-singapore' ], 'the source tells where it goes');

my (@states, %percent);

$t->wait_for(sub {
    my $now = snapshot('ap-beijing', $made{'ap-beijing'});
    push @states, $now->{SnapshotState}
        if !@states || $states[-1] ne $now->{SnapshotState};
    $percent{$now->{Percent}} = 1;
    $now->{Percent} == 100;
}, 5);

is_deeply(\@states, [ qw/ COPYING_FROM_REMOTE CHECKING_COPIED NORMAL / ],
    'states');
cmp_ok(scalar(keys %percent), '>', 3, 'percent rises');
is_deeply(snapshot('ap-guangzhou', 'snap-way00001')->{CopyingToRegions}, [],
    'and arrives');
is(snapshot('ap-singapore', $made{'ap-beijing'}), undef, 'not elsewhere');

$r = call($look, { Filters => [ { Name => 'snapshot-name', Values => [ 'w' ] },
    { Name => 'snapshot-state', Values => [ 'NORMAL' ] } ] },
    region => 'ap-singapore');
is($r->{response}{TotalCount}, 1, 'filters');
ok($r->{response}{SnapshotSet}[0]{CopyFromRemote}, 'a replica');

call($copy, copy()) for 1 .. 3;
my @pages = map { call($look, { Limit => 2, Offset => $_, Order => 'ASC' },
    region => 'ap-beijing')->{response} } 0, 2;
is(scalar @{$pages[0]{SnapshotSet}}, 2, 'a page');
isnt($pages[0]{SnapshotSet}[0]{SnapshotId},
    $pages[1]{SnapshotSet}[0]{SnapshotId}, 'another page');

is_deeply([ map { $_->{Code} } @{call($copy,
    copy(SnapshotId => 'snap-part0001', DestinationRegions => [ 'ap-beijing',
    'ap-singapore' ]))->{response}{SnapshotCopyResultSet}} ],
    [ 'Success', 'InsufficientSnapshotQuota' ], 'partial');
is_deeply([ map { $_->{Code} } @{call($copy, copy(SnapshotId =>
    'snap-full0001'))->{response}{SnapshotCopyResultSet}} ],
    [ 'InsufficientSnapshotQuota' ], 'full');

# the documented limit, when asked for

$t->emulator_config(limit => 5);
my $client = client();
my %codes;
$codes{$client->call($copy, copy())->{code}}++ for 1 .. 8;
is_deeply(\%codes, { '' => 5, RequestLimitExceeded => 3 }, 'limit');
is($client->call($look, {})->{code}, '', 'limit: per action');
sleep 1.05;
is($client->call($copy, copy())->{code}, '', 'limit: for one second');
$t->emulator_config(limit => 0);

# faults: what the client gets; a copy is made all the same

my $closed = qr/closed/;

for my $case (
    [ { kind => 'drop_before' }, $closed ],
    [ { kind => 'rst' }, $closed ],
    [ { kind => 'drop_in_header' }, $closed, qr{^HTTP/1.1 200 OK\r\nServer} ],
    [ { kind => 'drop_in_body', bytes => 9 }, $closed, qr/^\{"Respons$/ ],
    [ { kind => 'garbage' }, undef, qr/no http/ ],
    [ { kind => 'http09' }, $closed, qr/^\{"Response"/ ],
)
{
    my ($fault, $error, $raw) = @$case;

    $t->faults($fault);
    $r = call($copy, copy());

    like($r->{error}, $error, "$fault->{kind}: no answer") if $error;
    like($r->{raw}, $raw, "$fault->{kind}: what came") if $raw;

    $line = last_line();
    is($line->{fault}, $fault->{kind}, "$fault->{kind}: logged");
    ok($line->{complete}, "$fault->{kind}: the request was complete");
}

for my $case (
    [ { kind => 'split', bytes => 1, ms => 0.1 } ],
    [ { kind => 'chunked', size => 3 }, qr/^Transfer-Encoding: chunked/m ],
    [ { kind => 'chunked+split', size => 1, bytes => 5 } ],
    [ { kind => 'close_delimited' }, qr/^Connection: close/m ],
    [ { kind => 'charset' }, qr/charset=utf-8\r$/m ],
    [ { kind => 'informational' } ],
    [ { kind => 'oversized', bytes => 60000 }, qr/x{60000}/ ],
    [ { kind => 'status', code => 503 }, qr/^HTTP\/1.1 503 /, 503 ],
    [ { kind => 'body', body => 'x' }, qr/\r\n\r\nx$/ ],
    [ { kind => 'bad_json' }, qr/\r\n\r\n\{"Response":.*[^}]$/s ],
    [ { kind => 'big_header', bytes => 9000 }, qr/^X-Big: x{9000}\r$/m ],
    [ { kind => 'duplicate_key' }, qr/"RequestId":.*"RequestId":/ ],
    [ { kind => 'null_message' }, qr/"Message":null/ ],
    [ { kind => 'error_null' }, qr/"Error":null/ ],
    [ { kind => 'missing_region' }, qr/"SnapshotCopyResultSet":\[\]/ ],
    [ { kind => 'two_lengths' }, qr/(Content-Length: \d+\r\n){2}/ ],
    [ { kind => 'te_and_cl' }, qr/Content-Length.*\nTransfer-Encoding/s ],
    [ { kind => 'error', code => 'ResourceBusy' }, qr/"ResourceBusy"/ ],
    [ { kind => 'throttle' }, qr/"RequestLimitExceeded"/ ],
)
{
    my ($fault, $raw, $status) = @$case;

    $t->faults($fault);
    $client = client();
    $r = $client->call($copy, copy());

    is($r->{status}, $status // 200, "$fault->{kind}: an answer")
        or diag($r->{error});
    like($r->{raw}, $raw, "$fault->{kind}: as told") if $raw;
    $client->close;
    is(call($copy, copy())->{code}, '', "$fault->{kind}: used up");
}

$t->faults({ kind => 'no_request_id' });
ok(!exists call($copy, copy())->{response}{RequestId}, 'no RequestId');

# time

$t->faults({ kind => 'delay', ms => 300 });
cmp_ok(call($copy, copy())->{ms}, '>', 295, 'delay');

$t->faults({ kind => 'slow_trickle', bytes_per_second => 1000 });
cmp_ok(call($copy, copy())->{ms}, '>', 200, 'trickle');

$t->faults({ kind => 'hold' });
$client = client();
$client->send($client->request($copy, copy()));
ok($t->wait_for(sub { $t->emulator_state->{held} }), 'hold: silent');
$t->release;
is($client->answer->{code}, '', 'hold: released');

# connections

my @calls = map { $client->call($copy, copy()); last_line()->{conn} } 1, 2;
is($calls[0], $calls[1], 'a connection is kept');

$t->faults({ kind => 'idle_close', ms => 20 });
$client = client();
is($client->call($copy, copy())->{code}, '', 'idle close: answered');
sleep 0.1;
is($client->call($copy, copy())->{status}, 0, 'idle close: closed');

my $n = () = $t->emulated;

for my $kind (qw/ drop_connect rst_connect drop_handshake plain_connect /) {
    $t->faults({ kind => $kind });
    like(call($copy, copy())->{error}, qr/cannot connect/, $kind);
    is(call($copy, copy())->{code}, '', "$kind: used up");
}

is(scalar(() = $t->emulated), $n + 4, 'nothing is seen without a connection');

$t->faults({ kind => 'drop_in_request', bytes => 200 });
is(call($copy, copy())->{status}, 0, 'cut while it is read');
$line = last_line();
ok(!$line->{complete}, 'cut: logged as incomplete');

client()->call($copy, copy(), cut => 300);
ok($t->wait_for(sub { (last_line()->{why} // '') eq 'cut by the client' }),
    'cut by the client: logged');
ok(!last_line()->{complete}, 'cut by the client: incomplete');

# which fault is whose

$t->faults({ kind => 'error', code => 'ResourceBusy', count => 2,
        match => { snapshot => 'snap-match001' } },
    { kind => 'throttle', match => { action => $look }, forever => \1 },
    { kind => 'error', code => 'ResourceInUse', after => 1,
        match => { region => 'ap-shanghai' } });

my @codes = map { call($copy, copy(SnapshotId => $_))->{code} }
    qw/ snap-other001 snap-match001 snap-match001 snap-match001 /;
is_deeply(\@codes, [ '', 'ResourceBusy', 'ResourceBusy', '' ], 'match, count');
is_deeply([ map { call($look, {})->{code} } 1 .. 3 ],
    [ ('RequestLimitExceeded') x 3 ], 'forever');
is_deeply([ map { call($copy, copy(), region => 'ap-shanghai')->{code} }
    1 .. 3 ], [ '', 'ResourceInUse', '' ], 'after');

ok(!eval { $t->faults({ kind => 'no_such' }); 1 }, 'an unknown fault');

$t->control('POST', '/reset');
is_deeply($t->emulator_state->{faults}, [], 'reset');
is(call($look, {})->{code}, '', 'reset: as new');

$t->done;
