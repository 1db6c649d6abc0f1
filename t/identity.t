#!/usr/bin/perl

# Accounts by a variable instead of a signature: client certificates and
# auth_request.  If this broke, anybody could name himself somebody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;
my $pki = $t->{pki};

$pki->ca('clients');
$pki->cert('team-dr', 'clients', '/O=example/CN=team-dr');
$pki->cert('team-x', 'clients', '/O=example/CN=team-x');

my $auth = TCCBS::Test::free_port();

$t->run(accounts => $t->account('team-dr',
        identity => '"CN=team-dr,O=example"'),
    server => "ssl_client_certificate $pki->{dir}/clients.crt;
               ssl_verify_client on;",
    location => 'tccbs_identity $ssl_client_s_dn;',
    servers => <<END);
    server {
        listen 127.0.0.1:$auth;
        location / {
            auth_request /whoami;
            auth_request_set \$who \$upstream_http_x_who;
            tccbs_identity \$who;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
        location = /whoami {
            internal;
            proxy_pass http://127.0.0.1:$auth/answer;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
        location = /answer {
            if (\$http_x_session = "good") {
                add_header X-Who "CN=team-dr,O=example";
            }
            return 204;
        }
    }
END

sub as {
    my ($cert, %o) = @_;
    return $t->call('CopySnapshotCrossRegions', copy(), %o,
        client => { cert => $pki->path("$cert.crt"),
            cert_key => $pki->path("$cert.key") });
}

is(as('team-dr')->{code}, '', 'known certificate');
is(as('team-dr', drop => [ 'Authorization' ])->{code}, '', 'no signature');

my ($intent) = $t->audit(kind => 'intent');
is($intent->{account}, 'team-dr', 'account recorded');
ok(!$intent->{key}, 'no key recorded');

is(as('team-x')->{code}, 'AuthFailure.UnauthorizedOperation',
    'unknown certificate');
is(as('team-x', headers => [ [ 'X-Who', 'CN=team-dr,O=example' ],
    [ 'X-SSL-Client-S-DN', 'CN=team-dr,O=example' ] ])->{code},
    'AuthFailure.UnauthorizedOperation', 'headers are no identity');

sub session {
    return $t->call('CopySnapshotCrossRegions', copy(), headers => [ @_ ],
        client => { port => $auth, plain => 1 });
}

is(session([ 'X-Session', 'good' ])->{code}, '', 'auth_request');
is(session([ 'X-Session', 'bad' ])->{code},
    'AuthFailure.UnauthorizedOperation', 'auth_request without identity');
is(session([ 'X-Who', 'CN=team-dr,O=example' ])->{code},
    'AuthFailure.UnauthorizedOperation', 'own header is no identity');

$t->done;
