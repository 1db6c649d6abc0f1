#!/usr/bin/perl

# Another module has thrown the body of a request away before the gateway was
# asked.  If this broke, a worker would crash, or what is left of the body would
# be read as a request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my @modules = map { "/usr/lib/nginx/modules/$_" }
    qw/ ndk_http_module.so ngx_http_lua_module.so /;
my $t = TCCBS::Test->new;

plan skip_all => 'no Lua for this nginx'
    if $ENV{TCCBS_NGINX} || grep { !-e } @modules;

$t->run(main => join('', map { "load_module $_;\n" } @modules),
    http => "lua_package_path '/usr/share/lua/5.1/?.lua;;';",
    location => q{
        rewrite_by_lua_block {
            if ngx.var.http_x_throw then ngx.req.discard_body() end
        }
    });

my $action = 'CopySnapshotCrossRegions';
my $client = $t->client;

# A body that is itself a call, and comes when the module has been asked.

my ($inner, $behind) = (copy(), copy());
my $body = $client->request($action, $inner);
my $request = $client->request($action, undef, body => $body,
    headers => [ [ 'X-Throw', 1 ] ]);

$client->send(substr($request, 0, -length $body));
my $r = $client->answer;

is($r->{code}, 'AuthFailure.SignatureFailure', 'what was signed is not there');

$client->send($body . $client->request($action, $behind));

is($client->answer->{code}, '', 'the call behind it is made');
is($t->sent($behind), 1, 'once');
is($t->sent($inner), 0, 'the one inside is none');

$t->done;
