#!/usr/bin/perl

# A mistake in the configuration fails "nginx -t" and says where and what to
# write.  If this broke, a gateway could start with rules nobody meant.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test;

my $t = TCCBS::Test->new;

my $key = $t->{keys}{'team-dr'};
my $good = $t->account('team-dr');

sub account { return $t->account('team-dr', @_) }

my ($rc, $said) = $t->check;
is($rc, 0, 'a good configuration') or diag($said);

$t->file('keys/open', 'x' x 40, 0644);
$t->file('keys/short', 'x' x 31, 0400);
$t->file('keys/two', "x\ny" . 'x' x 40, 0400);
$t->file('keys/empty', '', 0400);
$t->file('keys/nojson', 'secret' x 10, 0400);
$t->file('keys/noid.json', '{"secret_key":"x"}', 0400);
$t->file('keys/crlf.json', '{"secret_id":"a\r\nb","secret_key":"x"}', 0400);
$t->file('keys/slash.json', '{"secret_id":"a/b","secret_key":"x"}', 0400);
$t->file('keys/tccli.json',
    '{"secretId":"AKIDx","secretKey":"y","token":null}', 0400);

$t->file('keys/nosection.ini', "secret_id = AKIDx\nsecret_key = y\n", 0400);
$t->file('keys/good.ini', "[other]\nsecret_id = a/b\n\n[default]\n# mine\n"
    . "secret_id = AKIDx\nsecret_key=y\ntoken = z\n", 0400);

my $dir = $t->{dir};

sub credential { return "tccbs_credential other { $_[0] }" }

my @cases = (
    # what, message, configuration
    [ 'no zone', qr/needs "tccbs_zone name:size;"/, zone => '' ],
    [ 'zone without size', qr/"name:size" is expected/,
        zone => 'tccbs_zone tccbs;' ],
    [ 'zone too small', qr/at least 256k/, zone => 'tccbs_zone tccbs:8k;' ],
    [ 'two zones', qr/is duplicate/,
        zone => 'tccbs_zone a:1m; tccbs_zone b:1m;' ],
    [ 'no audit', qr/needs "tccbs_audit path;"/, audit => '' ],
    [ 'audit nowhere', qr/open\(\) .* failed/,
        audit => "tccbs_audit $dir/no/such.jsonl;" ],

    [ 'plain upstream', qr/only "https:\/\/" is allowed/,
        pass => 'http://cbs.intl.tencentcloudapi.com' ],
    [ 'scheme', qr/must begin with "https/, pass => 'cbs.example' ],
    [ 'variable', qr/variables are not allowed/, pass => 'https://$host' ],
    [ 'path', qr/the API has no path/,
        pass => 'https://cbs.intl.tencentcloudapi.com/x' ],
    [ 'depth', qr/must be between 1 and 100/,
        http => 'tccbs_ssl_verify_depth 0;' ],
    [ 'old TLS', qr/invalid value "TLSv1"/,
        http => 'tccbs_ssl_protocols TLSv1;' ],
    [ 'no CA file', qr/none\.crt" failed .*No such file/,
        server => "tccbs_ssl_trusted_certificate $dir/none.crt;" ],
    [ 'constant identity', qr/value with a variable/,
        http => 'tccbs_identity team-dr;' ],
    [ 'host with scheme', qr/a name without scheme/,
        http => 'tccbs_signed_host https://x;' ],

    [ 'open key file', qr/accessible to others.*chmod 0400/,
        accounts => account(key => "$key->{id} file:$dir/keys/open") ],
    [ 'short key', qr/one line of 32 to 256/,
        accounts => account(key => "$key->{id} file:$dir/keys/short") ],
    [ 'key of two lines', qr/one line of 32 to 256/,
        accounts => account(key => "$key->{id} file:$dir/keys/two") ],
    [ 'empty key file', qr/has 0 bytes/,
        accounts => account(key => "$key->{id} file:$dir/keys/empty") ],
    [ 'no key file', qr/No such file/,
        accounts => account(key => "$key->{id} file:$dir/keys/none") ],
    [ 'key is a directory', qr/not a regular file/,
        accounts => account(key => "$key->{id} file:$dir/keys") ],
    [ 'key in the configuration', qr/file of its own, use "file:path"/,
        accounts => account(key => "$key->{id} $key->{secret}") ],
    [ 'short secret', qr/32 to 256/,
        accounts => account(key => "$key->{id} file:"
            . $t->file('keys/brief', ('k' x 31) . "\n", 0400)) ],
    [ 'key id', qr/invalid gateway key id "a\/b/,
        accounts => account(key => "a/b12345 file:$key->{path}") ],
    [ 'region', qr/invalid region "Beijing"/,
        accounts => account(to => 'Beijing') ],
    [ 'partial star', qr/invalid region "ap-\*"/,
        accounts => account(to => 'ap-*') ],
    [ 'action', qr/unknown action "DeleteSnapshots"/,
        accounts => account(actions => 'DeleteSnapshots') ],
    [ 'pattern', qr/invalid snapshot pattern "snap_\*"/,
        accounts => account(snapshots => 'snap_*') ],
    [ 'rate', qr/invalid rate "5"/, accounts => account(rate => '5') ],
    [ 'no rate', qr/invalid rate "0r\/s"/,
        accounts => account(rate => '0r/s') ],
    [ 'burst', qr/invalid parameter "burst=x"/,
        accounts => account(rate => '5r/s burst=x') ],
    [ 'weight', qr/invalid weight "0"/,
        accounts => account(weight => '0') ],
    [ 'limit', qr/invalid limit "20"/, http => credential('limit 20;') ],
    [ 'queue', qr/invalid queue "x 5"/, http => credential('queue x 5;') ],
    [ 'quota', qr/invalid quota "5\/h"/,
        accounts => account(quota => '5/h') ],
    [ 'no quota', qr/invalid quota "0\/d"/,
        accounts => account(quota => '0/d') ],
    [ 'unknown directive', qr/unknown directive "regions"/,
        accounts => account(regions => 'x') ],
    [ 'arguments', qr/invalid number of arguments in "credential"/,
        accounts => account(credential => 'a b') ],
    [ 'no credential', qr/needs "credential name;"/,
        accounts => account(credential => undef) ],
    [ 'unknown credential', qr/unknown credential "none".*add "tccbs_cred/,
        accounts => account(credential => 'none') ],
    [ 'no key', qr/needs "key id file:path;"/,
        accounts => account(key => undef) ],
    [ 'account twice', qr/duplicate tccbs_account "team-dr"/,
        accounts => $good . $t->account('team-dr',
            key => "AKIDgw0000000000 file:$key->{path}") ],
    [ 'key twice', qr/duplicate gateway key "$key->{id}"/,
        accounts => $good . $t->account('x',
            key => "$key->{id} file:$key->{path}") ],
    [ 'identity twice', qr/duplicate identity "CN=a"/,
        accounts => join('', map { $t->account($_, identity => 'CN=a') }
            'team-dr', 'team-y') ],
    [ 'three keys', qr/more than 2 keys/, accounts => account(credential =>
        "prod; " . join(' ', map { "key AKIDgw000000000$_ "
            . "file:$key->{path};" } 1 .. 2) . ' actions DescribeSnapshots') ],

    [ 'credential twice', qr/duplicate tccbs_credential "prod"/,
        http => "tccbs_credential prod { file $dir/keys/prod.json; }" ],
    [ 'no source', qr/no source, add "file path;"/, http => credential('') ],
    [ 'two sources', qr/more than one source/, http => credential(
        "file $dir/keys/prod.json; file $dir/keys/prod.json;") ],
    [ 'no JSON', qr/neither JSON nor "name = value"/,
        http => credential("file $dir/keys/nojson;") ],
    [ 'no JSON where it must be', qr/cannot be used: /,
        http => credential("file $dir/keys/nojson json;") ],
    [ 'another format', qr/secret id and a secret key as strings/,
        http => credential("file $dir/keys/tccli.json json;") ],
    [ 'not ini', qr/cannot be used: /,
        http => credential("file $dir/keys/tccli.json ini;") ],
    [ 'unknown format', qr/"json", "tccli" or "ini" is expected/,
        http => credential("file $dir/keys/tccli.json yaml;") ],
    [ 'ini without a section', qr/in "\[default\]"/,
        http => credential("file $dir/keys/nosection.ini;") ],
    [ 'no id', qr/must have strings "secret_id" and "secret_key"/,
        http => credential("file $dir/keys/noid.json;") ],
    [ 'id with a line break', qr/printable ASCII/,
        http => credential("file $dir/keys/crlf.json;") ],
    [ 'id with a slash', qr/must not have "\/"/,
        http => credential("file $dir/keys/slash.json;") ],
    [ 'open credential', qr/accessible to others/,
        http => credential("file $dir/keys/open;") ],
    [ 'no environment', qr/variable "TENCENTCLOUD_SECRET_ID"/,
        http => credential('env;') ],
);

delete @ENV{grep { /^TENCENTCLOUD_/ } keys %ENV};

for my $case (@cases) {
    my ($what, $message, %conf) = @$case;

    my ($rc, $said) = $t->check(%conf);

    isnt($rc, 0, "$what: refused");
    like($said, $message, "$what: says why") or diag($said);
    like($said, qr/ in .*check\.conf:\d+|in the "http" block|no\/such/,
        "$what: says where") or diag($said);
    ok(!(grep { index($said, $_) >= 0 } keys %{$t->{secrets}}),
        "$what: no secret");
}

# what is allowed

my @good = (
    [ 'tccli file', http => credential("file $dir/keys/tccli.json;") ],
    [ 'tccli by name', http => credential("file $dir/keys/tccli.json tccli;") ],
    [ 'ini', http => credential("file $dir/keys/good.ini;") ],
    [ 'ini by name', http => credential("file $dir/keys/good.ini ini;") ],
    [ 'loopback without TLS', pass => 'http://127.0.0.1:8080' ],
    [ 'system CA', location => 'tccbs_ssl_trusted_certificate "";' ],
    [ 'include', accounts => "tccbs_account team-dr {\n include "
        . $t->file('conf/rules.conf', $good =~ s/^.*?\{|\}\s*$//gr)
        . ";\n}" ],
    [ 'two keys', accounts => account(credential =>
        "prod; key AKIDgw0000000001 file:$key->{path}") ],
);

for my $case (@good) {
    my ($what, %conf) = @$case;
    my ($rc, $said) = $t->check(%conf);
    is($rc, 0, "allowed: $what") or diag($said);
}

{
    local $ENV{TENCENTCLOUD_SECRET_ID} = 'AKIDenvironment';
    local $ENV{TENCENTCLOUD_SECRET_KEY} = 'x' x 32;
    my ($rc, $said) = $t->check(http => credential('env;'));
    is($rc, 0, 'allowed: environment') or diag($said);
}

# a module that nobody uses, in workers that start, are replaced and end

{
    my $idle = TCCBS::Test->new(oracle => 0);

    $idle->{port} = TCCBS::Test::free_port();
    $idle->file('nginx.conf', $idle->conf =~ s/^http \{.*//msr
        . "http { access_log off; server { listen 127.0.0.1:$idle->{port};
            location / { return 200 idle; } } }");
    $idle->start;

    like($idle->raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        raw_answer => 1, client => { plain => 1 })->{body}, qr/^idle$/,
        'a module that is not used');
    ok($idle->reload, 'a module that is not used: reloaded');
    $idle->stop;
    is(scalar(() = $idle->slurp('logs/error.log') =~ /exited with code 0/g), 2,
        'a module that is not used: its workers end well');
    $idle->finish;
}

# the audit file is not for everybody

$t->check;
is((stat "$dir/audit.jsonl")[2] & 07777, 0640, 'mode of the audit file');

$t->done;
