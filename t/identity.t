#!/usr/bin/perl

# Accounts by a variable instead of a signature: the examples of client
# certificates and auth_request, with real certificates.  If this broke, anybody
# could name himself somebody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::INET;
use IPC::Open3;
use POSIX ();
use Test::More;

use TCCBS::Test qw/ copy /;

my $action = 'CopySnapshotCrossRegions';
my $refused = 'AuthFailure.UnauthorizedOperation';
my $dn = 'CN=team-dr,O=example';

my $t = TCCBS::Test->new;
my $pki = $t->{pki};
my $dir = $t->{dir};

$pki->ca('clients');
$pki->cert('team-dr', 'clients', '/O=example/CN=team-dr');
$pki->cert('team-x', 'clients', '/O=example/CN=team-x');

# the files of the examples, with other paths and ports

my %port = map { $_ => TCCBS::Test::free_port() }
    qw/ session service header clear optional behind several /;

sub example {
    my ($name, $listen) = @_;

    my $text = $t->slurp(TCCBS::Test::root() . "/examples/identity/$name.conf");
    my ($account, $server) = $text =~ /^(tccbs_account .*?\n\}\n)(.*)/ms;

    for ($account, $server) {
        s{/etc/nginx/tccbs/cbs}{$pki->{dir}/gateway};
        s{/etc/nginx/tccbs/cbs}{$pki->{dir}/gateway};
        s{/etc/nginx/tccbs/}{$pki->{dir}/};
        s{127\.0\.0\.1:9000}{127.0.0.1:$port{service}};
        s{listen 443 ssl}{listen 127.0.0.1:$listen ssl};
        s{cbs\.internal\.example}{cbs.gw.test};
        s{^tccbs_account team-dr}{tccbs_account $name}m;
    }

    return ($account, $server);
}

$t->{port} = TCCBS::Test::free_port();

my ($certificate, $mtls) = example('certificate', $t->{port});

my ($auth_request, $auth) = example('auth_request', $port{session});

# a server that asks for certificates of that CA, and what it does with them

my $tells = 'return 200 "$ssl_session_reused $ssl_client_s_dn\n";';
my $takes = 'tccbs_identity $ssl_client_s_dn;
    tccbs_pass https://cbs.intl.tencentcloudapi.com;';

sub asks {
    my ($port, $ca, $does, %o) = @_;
    my $name = $o{name} ? "server_name $o{name};" : '';
    my $verify = $o{verify} // 'on';

    return <<END;
    server {
        listen 127.0.0.1:$port ssl;
        $name
        ssl_certificate $pki->{dir}/gateway.crt;
        ssl_certificate_key $pki->{dir}/gateway.key;
        ssl_client_certificate $pki->{dir}/$ca.crt;
        ssl_verify_client $verify;
        location / {
            $does
        }
    }
END
}

# the service that knows sessions; a server with another CA on the same address,
# one that asks for a certificate without looking at it, one behind a proxy; and
# one that is not the first of its address

my $more = <<END;
    $auth
    server {
        listen 127.0.0.1:$port{service};
        location / {
            add_header X-Got \$http_x_caller;
            if (\$http_x_session = "good") {
                add_header X-Caller team-dr\@example;
            }
            if (\$http_x_session = "none") {
                return 403;
            }
            return 204;
        }
    }
    @{[ asks($t->{port}, 'rogue', $tells, name => 'other.gw.test') ]}
    @{[ asks($port{optional}, 'clients', $takes, verify => 'optional_no_ca') ]}
    @{[ asks($port{behind}, 'rogue', $tells) ]}
    @{[ asks($port{behind}, 'clients', $takes, name => 'cbs.gw.test') ]}
    server {
        listen 127.0.0.1:$port{header};
        underscores_in_headers on;
        location / {
            tccbs_identity \$http_X_Caller trusted;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
    server {
        listen 127.0.0.1:$port{several};
        underscores_in_headers on;
        location / {
            tccbs_identity "\$http_X_A2-\${http_x_b}:\$http_x_c[\$http_x_d|"
                trusted;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
    server {
        listen 127.0.0.1:$port{clear};
        location / {
            tccbs_identity \$ssl_client_s_dn;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
END

# the server of the template gives way to that of the example

sub conf {
    my ($server) = @_;

    my $conf = $t->conf(accounts => $certificate . $auth_request
            . $t->account('several', identity => '"1-2:3[4|"'),
        http => 'ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data on;
            lingering_timeout 300ms;');
    $conf =~ s/    server \{.*/$server$more}/s;

    return $conf;
}

$t->emulator;
$t->file('nginx.conf', conf($mtls));
$t->start;

sub as {
    my ($cert, %o) = @_;

    my %client = (%{delete $o{client} // {}}, $cert
        ? (cert => $pki->path("$cert.crt"),
            cert_key => $pki->path("$cert.key")) : ());

    return $t->call($action, copy(), %o, client => \%client);
}

is(as('team-dr')->{code}, '', 'known certificate');
is(as('team-dr', drop => [ 'Authorization' ])->{code}, '', 'no signature');

my ($intent) = $t->audit(kind => 'intent');
is($intent->{account}, 'certificate', 'account recorded');
ok(!$intent->{key}, 'no key recorded');

is(as('team-x')->{code}, $refused, 'certificate of no account');
is(as('team-x', headers => [ [ 'X-Caller', $dn ],
    [ 'X-SSL-Client-S-DN', $dn ], [ 'Ssl-Client-S-Dn', $dn ],
    [ 'X-Tccbs-Identity', $dn ] ])->{code}, $refused,
    'headers are no identity');

my $invalid = 'AuthFailure.InvalidAuthorization';

is(as(undef)->{code}, $invalid, 'no certificate');
is(as('rogue-client')->{code}, $invalid, 'the same subject from another CA');

# one who verifies nobody has no identity of certificates either

my %optional = (client => { port => $port{optional} });

is(as('team-dr', %optional)->{code}, '', 'verified, though nobody must');
is(as('rogue-client', %optional)->{code}, $refused, 'not verified');
is(as(undef, %optional)->{code}, $refused, 'no certificate at all');

# sessions: one that was made where another CA counts is not one of here

sub openssl {
    my ($to, $name, $cert, $bytes, @args) = @_;

    local %ENV = %ENV;
    delete $ENV{LD_PRELOAD};

    my $pid = open3(my $in, my $out, undef, 'openssl', 's_client', '-connect',
        "127.0.0.1:$to", $name ? ('-servername', $name) : '-noservername',
        '-ign_eof',
        '-cert', $pki->path("$cert.crt"), '-key', $pki->path("$cert.key"),
        '-CAfile', $pki->path('ca.crt'), @args);

    print $in $bytes;
    my $said = do { local $/; <$out> };
    waitpid($pid, 0);

    return $said;
}

sub get {
    my ($name) = @_;
    return "GET / HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n";
}

for my $version (qw/ -tls1_2 -tls1_3 /) {
    my $session = "$dir/conf/session$version";
    my @to = ($version, '-sess_out', $session);
    my @from = ($version, '-sess_in', $session);

    like(openssl($t->{port}, 'other.gw.test', 'rogue-client',
        get('other.gw.test'), @to),
        qr/^\. $dn$/m, "$version: a session of another server");
    ok(-s $session, "$version: is kept");
    like(openssl($t->{port}, 'other.gw.test', 'rogue-client',
        get('other.gw.test'), @from),
        qr/^r $dn$/m, "$version: is good there");

    my $params = copy();
    my $said = openssl($t->{port}, 'cbs.gw.test', 'rogue-client',
        $t->client->request($action, $params, close => 1), @from);

    unlike($said, qr/"SnapshotCopyResultSet"/, "$version: not taken over");
    like($said, qr/"Code":"\Q$invalid\E"|alert\ access\ denied
        |^HTTP\/1\.1\ 421\ /mx,
        "$version: refused");
    is($t->sent($params), 0, "$version: nothing sent");

    # the name that was shown and verified is the one that is asked for

    $params = copy();
    $said = openssl($t->{port}, 'other.gw.test', 'rogue-client',
        $t->client->request($action, $params, close => 1), $version);

    unlike($said, qr/"SnapshotCopyResultSet"/, "$version: no other host");
    is($t->sent($params), 0, "$version: nothing sent there");

    # nor is a session taken over that was made without a name, or a connection
    # without one, where nginx goes by the Host header

    like(openssl($port{behind}, undef, 'rogue-client', get('no.gw.test'),
        @to), qr/^\. $dn$/m, "$version: a session of no name");
    like(openssl($port{behind}, undef, 'rogue-client', get('no.gw.test'),
        @from), qr/^r $dn$/m, "$version: is good there");

    for ([ 'cbs.gw.test', 'of no name', @from ],
        [ undef, 'by the Host header', $version ])
    {
        my ($name, $what, @args) = @$_;

        $params = copy();
        $said = openssl($port{behind}, $name, 'rogue-client',
            $t->client->request($action, $params, close => 1), @args);

        # nginx 1.30 looks at sessions without a name itself
        like($said, qr/"Code":"(?:\Q$refused\E|\Q$invalid\E)"/,
            "$version: $what, refused");
        is($t->sent($params), 0, "$version: $what, nothing sent");
    }

    # one's own is

    for my $port ($t->{port}, $port{behind}) {
        for ([ '.', @to ], [ 'r', @from ]) {
            my ($reused, @args) = @$_;

            $params = copy();
            $said = openssl($port, 'cbs.gw.test', 'team-dr',
                $t->client->request($action, $params, close => 1), @args);

            like($said, qr/"SnapshotCopyResultSet"/, "$version: a session");
            like($said, $reused eq 'r' ? qr/^Reused, /m : qr/^New, /m,
                "$version: reused or not");
        }
    }
}

# TLS 1.3: a session made without a name is not one with a name, nor the
# reverse; before, a session has the name that it was made with

my @names = (undef, 'cbs.gw.test');

for my $from (@names) {
    my $session = "$dir/conf/" . ($from // 'nameless');

    openssl($t->{port}, $from, 'team-dr', get('cbs.gw.test'), '-tls1_3',
        '-sess_out', $session);

    for my $to (@names) {
        my $what = join(', then ', map { $_ // 'no name' } $from, $to);
        my $params = copy();
        my $said = openssl($t->{port}, $to, 'team-dr',
            $t->client->request($action, $params, close => 1), '-tls1_3',
            '-sess_in', $session);

        if (($from // '') eq ($to // '')) {
            like($said, qr/^Reused, /m, "$what: reused");
            like($said, qr/"SnapshotCopyResultSet"/, "$what: accepted");

        } elsif ($said =~ /^Reused, /m) {
            unlike($said, qr/"SnapshotCopyResultSet"/, "$what: refused");
            is($t->sent($params), 0, "$what: nothing sent");
        }
    }
}

# Early data can be sent again by whoever has seen it: its first flight arrives
# before, or without, the end of a handshake.

sub records {
    my ($from, $type) = @_;
    my ($bytes, $at) = ('', 0);

    while (1) {
        IO::Select->new($from)->can_read(20)
            && sysread($from, $bytes, 65536, length $bytes)
            or die "no record\n";

        while (length $bytes >= $at + 5) {
            my ($is, $n) = unpack("x$at C x2 n", $bytes);
            last if length $bytes < $at + 5 + $n;
            $at += 5 + $n;
            return $bytes if $is == $type;
        }
    }
}

sub relay {
    my @open = @_;

    local $SIG{PIPE} = 'IGNORE';

    while (@open) {
        for my $from (IO::Select->new(@open)->can_read(20)) {
            my ($to) = grep { $from != $_ } @_;
            my $n = sysread($from, my $bytes, 65536);

            syswrite($to, $bytes) if $n;
            next if $n;

            shutdown($to, 1);
            @open = grep { $_ != $from } @open;
        }
    }
}

{
    my $session = "$dir/conf/early";
    my @early = ('-tls1_3', '-sess_in', $session);

    openssl($t->{port}, 'cbs.gw.test', 'team-dr', get('cbs.gw.test'),
        '-tls1_3', '-sess_out', $session);

    my $params = copy();
    my $bytes = $t->client->request($action, $params, close => 1);
    my $file = $t->file('conf/early.bytes', $bytes);
    my $between = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        Listen => 1) or die "no port: $!\n";
    my $log = "$dir/logs/access.log";

    my $pid = open(my $client, '-|') // die "fork: $!\n";

    if (!$pid) {
        print openssl($between->sockport, 'cbs.gw.test', 'team-dr', '',
            @early, '-early_data', $file);
        close STDOUT;
        POSIX::_exit(0);
    }

    my $near = $between->accept;
    my $flight = records($near, 23);

    for my $time (1 .. 2) {
        my $size = -s $log;
        my $far = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $t->{port}) or die "no gateway: $!\n";

        syswrite($far, $flight);

        ok($t->wait_for(sub { -s $log > $size }),
            "early data: there is an answer, time $time");
        is($t->sent($params), 0, 'early data: nothing is sent');

        relay($near, $far) if $time == 2;
    }

    my $said = do { local $/; <$client> };

    like($said, qr/^Early data was accepted$/m, 'early data: nginx takes it');
    like($said, qr/"Code":"UnsupportedProtocol"/, 'early data: is refused');

    openssl($t->{port}, 'cbs.gw.test', 'team-dr', get('cbs.gw.test'),
        '-tls1_3', '-sess_out', $session);
    like(openssl($t->{port}, 'cbs.gw.test', 'team-dr', $bytes, @early),
        qr/"SnapshotCopyResultSet"/, 'the same after a handshake is not');
}

# auth_request

sub session {
    my ($session, @headers) = @_;

    return $t->call($action, copy(), headers => [ defined $session
        ? [ 'X-Session', $session ] : (), @headers ],
        client => { port => $port{session} });
}

is(session('good')->{code}, '', 'auth_request');
is(session('good', [ 'X-Caller', 'nobody@example' ])->{code}, '',
    'a header does not replace the answer');

($intent) = reverse $t->audit(kind => 'intent');
is($intent->{account}, 'auth_request', 'account recorded');

is(session('bad')->{code}, $refused, 'an answer without a name');
is(session('bad', [ 'X-Caller', 'team-dr@example' ])->{code}, $refused,
    'a header is no answer');
is(session('none')->{code}, 'IpNotInWhitelist', 'forbidden');
is(session(undef, [ 'X-Caller', 'team-dr@example' ],
    [ 'X-Caller', 'team-dr@example' ])->{code}, $refused, 'nor are two');

# a header that a proxy in front sets and is trusted for: once, or not at all

sub header {
    my (@headers) = @_;

    return $t->call($action, copy(), headers => \@headers,
        client => { port => $port{header}, plain => 1 })->{code};
}

my $me = 'team-dr@example';

is(header([ 'X-Caller', $me ]), '', 'a trusted header');
is(header(), $refused, 'none');
is(header([ 'X-Caller', '' ]), $refused, 'an empty one');
is(header([ 'X-Caller', "$me " ]), '', 'with a blank that is none of it');
is(header([ 'X-Caller', uc $me ]), $refused, 'in another case');
is(header([ 'X-Caller', "$me, $me" ]), $refused, 'a list');
is(header([ 'X-Caller', $me ], [ 'X-Caller', $_ ]), $refused, "two: $_")
    for $me, 'x', '';
is(header([ 'X-Caller', $me ], [ 'X_Caller', 'x' ]), $refused,
    'one that is spelt another way');

# however far apart they are

my @far = map { [ "X-Other-$_", 'x' ] } 1 .. 25;

is(header(@far, [ 'X-Caller', $me ]), '', 'behind many others');
is(header([ 'X-Caller', $me ], @far, [ 'X-Caller', $me ]), $refused,
    'twice, many others between');
is(header([ 'X-Caller', $me ], [ 'X-Callee', $me ]), '',
    'beside one of a similar name');

# a value of several headers: each of them once

my %part = ('X-A2' => 1, 'X-B' => 2, 'X-C' => 3, 'X-D' => 4);

sub several {
    my (@headers) = @_;
    return $t->call($action, copy(), headers => \@headers,
        client => { port => $port{several}, plain => 1 })->{code};
}

is(several(map { [ $_, $part{$_} ] } sort keys %part), '',
    'several headers');

for my $name (sort keys %part) {
    my @others = map { [ $_, $part{$_} ] } grep { $_ ne $name }
        sort keys %part;

    is(several(@others), $refused, "without $name");
    is(several(@others, ([ $name, $part{$name} ]) x 2), $refused,
        "with two of $name");
}

# a connection without TLS has no certificate

is($t->call($action, copy(), client => { port => $port{clear},
    plain => 1 })->{code}, $refused, 'no TLS, no certificate');

# what a client could choose needs a word

for my $case (
    [ '$http_x_caller', qr/client might choose the value of "\$http_x_caller"/ ],
    [ '${HTTP_X_caller}', qr/value of "\$HTTP_X_caller"/ ],
    [ '$ssl_client_s_dn$arg_who', qr/value of "\$arg_who"/ ],
    [ '$cookie_who', qr/add "trusted" when/ ],
    [ '$ssl_server_name', qr/add "trusted" when/ ],
    [ '$remote_user', qr/use "\$ssl_client_s_dn"/ ],
    [ '$http_x_caller trust', qr/invalid parameter "trust", "trusted" is/ ],
    [ 'team-dr trusted', qr/value with a variable/ ],
    [ 'signature trusted', qr/value with a variable/ ],
    [ '$ssl_client_s_dn$', qr/value of "\$"/ ],
    [ '$http_x_who$ trusted', qr/invalid variable name/ ],
    [ '${http_x_who trusted', qr/closing bracket in "http_x_who"/ ],
    [ 'signature; tccbs_identity signature',
        qr/"tccbs_identity" directive is duplicate/ ],
) {
    my ($value, $message) = @$case;
    my ($rc, $said) = $t->check(location => "tccbs_identity $value;");

    isnt($rc, 0, "$value is refused");
    like($said, qr/\[emerg\] .*$message.* in \S+check\.conf:\d+/s,
        "$value: message");
}

for my $value ('signature', '$ssl_client_s_dn', '$ssl_client_s_dn/$http_x_who trusted',
    '$ssl_client_fingerprint')
{
    is(($t->check(location => "tccbs_identity $value;"))[0], 0, $value);
}

$t->done;
