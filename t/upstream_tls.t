#!/usr/bin/perl

# The upstream is who its certificate says, on every connection.  If this
# broke, credentials would be good for whoever can answer in Tencent's place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;
my $pki = $t->{pki};

$pki->ca('rogue');
$pki->cert('rogue-signed', 'rogue', '/CN=cbs.intl.tencentcloudapi.com',
    'DNS:cbs.intl.tencentcloudapi.com');
$pki->cert('other-name', 'ca', '/CN=other.example', 'DNS:other.example');

# a certificate of the wrong CA, and one of another name: nothing is written

for my $name (qw/ rogue-signed other-name /) {

    my $g = TCCBS::Test->new;
    $g->emulator(cert => $pki->path("$name.crt"),
        key => $pki->path("$name.key"));
    $g->run(http => '');

    # the gateway trusts its own CA only
    my $r = $g->call('CopySnapshotCrossRegions', copy());

    is($r->{code}, 'ServiceUnavailable', "$name: code");
    is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', "$name: not sent");
    is(scalar(() = $g->emulated), 0, "$name: nothing arrived");

    my ($record) = $g->audit(kind => 'outcome');
    is($record->{sent}, 0, "$name: no byte recorded");

    $g->finish;
}

$t->emulator(cert => $pki->path('rogue-signed.crt'),
    key => $pki->path('rogue-signed.key'));

# a neighbour that verifies nothing shares the upstream block: its kept
# connection must not be used for a call

my $neighbour = free();

$t->run(servers => <<END);
    server {
        listen 127.0.0.1:$neighbour;
        location / {
            proxy_pass https://cbs.intl.tencentcloudapi.com;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host cbs.intl.tencentcloudapi.com;
            proxy_ssl_verify off;
        }
    }
END

my $r = $t->call('CopySnapshotCrossRegions', copy());
is($r->{code}, 'ServiceUnavailable', 'cold: refused');

my $n = TCCBS::Client->new(port => $neighbour, plain => 1, id => 'x' x 20,
    secret => 'y' x 40);
is($n->call('DescribeSnapshots', {})->{status}, 200, 'neighbour: served');

my $before = () = $t->emulated;

$r = $t->call('CopySnapshotCrossRegions', copy());

is($r->{code}, 'ServiceUnavailable', 'warm: refused');
is($r->{headers}{'x-tccbs-outcome'}, 'not-sent', 'warm: not sent');
is(scalar(() = $t->emulated), $before, 'warm: nothing arrived');

$t->done;

sub free { return TCCBS::Test::free_port() }
