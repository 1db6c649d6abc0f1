#!/usr/bin/perl

# The one form of an answer, also where nginx itself refuses.  If this broke,
# the Python SDK would take an error for a success.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->{pki}->ca('clients');
$t->{pki}->ca('strangers');
$t->{pki}->cert('client', 'clients', '/O=example/CN=team-dr');
$t->{pki}->cert('stranger', 'strangers', '/O=example/CN=team-dr');

my $mtls = TCCBS::Test::free_port();
my $limits = TCCBS::Test::free_port();
my $other = TCCBS::Test::free_port();

$t->run(http => <<END, servers => <<END2);
    limit_req_zone \$binary_remote_addr zone=one:1m rate=1r/m;
    gzip on; gzip_types *; gzip_min_length 1;
    charset utf-8; charset_types *;
END
    server {
        listen 127.0.0.1:$mtls ssl;
        server_name cbs.gw.test;
        ssl_certificate $t->{dir}/pki/gateway.crt;
        ssl_certificate_key $t->{dir}/pki/gateway.key;
        ssl_client_certificate $t->{dir}/pki/clients.crt;
        ssl_verify_client on;
        location / { tccbs_pass https://cbs.intl.tencentcloudapi.com; }
    }
    server {
        listen 127.0.0.1:$limits;
        large_client_header_buffers 2 1k;
        client_header_buffer_size 1k;
        location / {
            client_max_body_size 1k;
            client_body_timeout 1s;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /denied/ { deny all; tccbs_pass https://cbs.intl.tencentcloudapi.com; }
        location = /slow/ {
            limit_req zone=one;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /login/ {
            auth_basic x; auth_basic_user_file /dev/null;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /broken/ {
            auth_request /nowhere;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /nowhere { proxy_pass http://127.0.0.1:1; }
        location = /page { return 404; }
        location = /redirect/ {
            error_page 403 = /;
            deny all;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /internal/ { rewrite ^ / last; }
    }
    server {
        listen 127.0.0.1:$other default_server;
        error_page 400 403 404 405 413 414 494 495 496 497 500 502 503 504
            /tccbs;
        location = /tccbs {
            internal;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location / { return 403; }
        location /gone { return 404; }
    }
END2

my $action = 'CopySnapshotCrossRegions';

# compressed or with a charset it would not be exactly application/json

my $r = $t->call($action, copy(),
    headers => [ [ 'Accept-Encoding', 'gzip' ] ]);
is($r->{type}, 'application/json', 'type');
ok(!$r->{headers}{'content-encoding'}, 'not compressed');

# headers of ours

like($r->{headers}{'x-tccbs-id'}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}
    -[89ab][0-9a-f]{3}-[0-9a-f]{12}$/x, 'id is a UUID v4');

$r = $t->call($action, copy(), headers => [ [ 'X-TC-TraceId', 'abc-1' ] ]);
is($r->{headers}{'x-tc-traceid'}, 'abc-1', 'trace id is echoed');

$r = $t->call($action, copy(), headers => [ [ 'X-TC-TraceId', 'a"b' ] ]);
ok(!$r->{headers}{'x-tc-traceid'}, 'an odd one is not');

# what nginx refuses before or instead of us

sub plain {
    my ($o, @call) = @_;
    return $t->call($action, copy(), %$o,
        client => { port => $limits, plain => 1 });
}

sub raw {
    my ($data) = @_;
    my $client = $t->client(port => $limits, plain => 1);
    $client->send($data);
    return $client->answer;
}

my @cases = (
    [ 400, 'InvalidRequest', raw("POST / HTTP/1.1\r\n\r\n") ],
    [ 400, 'InvalidRequest', raw("GARBAGE\r\n\r\n") ],
    [ 400, 'InvalidRequest', raw("POST / HTTP/1.1\r\nHost: a b\r\n\r\n") ],
    [ 400, 'InvalidRequest', raw("POST / HTTP/1.1\r\nHost: a\r\n"
        . "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") ],
    [ 400, 'InvalidRequest', raw("POST / HTTP/1.1\r\nHost: a\r\n"
        . "Content-Length: x\r\n\r\n") ],
    [ 405, 'UnsupportedProtocol', raw("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n") ],
    [ 413, 'RequestSizeLimitExceeded', plain({ body => 'x' x 2000 }) ],
    [ 413, 'RequestSizeLimitExceeded', plain({ body => 'x' x 2000,
        chunked => 500 }) ],
    [ 414, 'RequestSizeLimitExceeded', plain({ target => '/' . 'x' x 3000 }) ],
    [ 494, 'RequestSizeLimitExceeded',
        plain({ headers => [ [ 'X-Long', 'x' x 3000 ] ] }) ],
    [ 403, 'IpNotInWhitelist', plain({ target => '/denied/' }) ],
    [ 401, 'UnauthorizedOperation', plain({ target => '/login/' }) ],
    [ 500, 'InternalError', plain({ target => '/broken/' }) ],
    [ 403, 'IpNotInWhitelist', plain({ target => '/redirect/' }) ],
    [ 403, 'IpNotInWhitelist', plain({ target => '/internal/' }) ],
    [ 408, 'InvalidRequest', do {
        my $client = $t->client(port => $limits, plain => 1);
        $client->send(substr($client->request($action, copy()), 0, -5));
        $client->answer } ],
    [ 495, 'AuthFailure.InvalidAuthorization', $t->call($action, copy(),
        client => { port => $mtls, cert => $t->{pki}->path('stranger.crt'),
            cert_key => $t->{pki}->path('stranger.key') }) ],
    [ 496, 'AuthFailure.InvalidAuthorization', $t->call($action, copy(),
        client => { port => $mtls }) ],
    [ 497, 'UnsupportedProtocol', $t->call($action, copy(),
        client => { plain => 1 }) ],
);

plain({ target => '/slow/' });
push @cases, [ 503, 'ServiceUnavailable', plain({ target => '/slow/' }) ];

for my $case (@cases) {
    my ($status, $code, $r) = @$case;
    is($r->{status}, 200, "$status: status") or diag($r->{error});
    is($r->{type}, 'application/json', "$status: type");
    is($r->{code}, $code, "$status: code");
    like($r->{id} // '', qr/^[0-9a-f-]{36}$/, "$status: RequestId");
}

# the server that is documented for requests that came to the wrong one

for my $case ([ 403, 'IpNotInWhitelist', {} ],
    [ 404, 'InvalidRequest', { target => '/gone' } ],
    [ 404, 'InvalidRequest', { target => '/tccbs' } ])
{
    my ($status, $code, $o) = @$case;
    my $r = $t->call($action, copy(), %$o,
        client => { port => $other, plain => 1 });
    is($r->{status}, 200, "error_page $status: status");
    is($r->{type}, 'application/json', "error_page $status: type");
    is($r->{code}, $code, "error_page $status: code");
}

# another location of the server keeps its own face

$t->{any_answer} = 1;
is($t->call($action, copy(), target => '/page',
    client => { port => $limits, plain => 1 })->{status}, 404,
    'other location');

# with the certificate of a known client the call goes through

is($t->call($action, copy(), client => { port => $mtls,
    cert => $t->{pki}->path('client.crt'),
    cert_key => $t->{pki}->path('client.key') })->{code}, '', 'certificate');

$t->done;
