#!/usr/bin/perl

# The corpus of t/bypass: requests that must not get through, each next to one
# that differs in nothing else and does.  If one of these were forwarded, a
# known way around a gateway would work here.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Bypass;
use TCCBS::HTTP2;
use TCCBS::Test qw/ copy /;
use TCCBS::Trust;

my $t = TCCBS::Test->new(exempt => [ qr/listen \.\.\. http2/ ]);
my $pki = $t->{pki}{dir};

my @keys = qw/ team-dr reader writer idle picky limited spent /;
$t->key($_) for grep { !$t->{keys}{$_} } @keys, 'stranger';

my ($mapped, $h2) = map { TCCBS::Test::free_port() } 1 .. 2;
my $hosts = 'tccbs_signed_host cbs.intl.tencentcloudapi.com;';

$t->run(location => $hosts,
    accounts => join('', $t->account('team-dr'),
        $t->account('reader', actions => 'DescribeSnapshots'),
        $t->account('writer', actions => 'CopySnapshotCrossRegions'),
        $t->account('idle', actions => undef),
        $t->account('picky', snapshots => 'snap-bypass*'),
        $t->account('limited', rate => '1r/m burst=1 nodelay'),
        $t->account('spent', quota => '2/d'),
        $t->account('mapped', identity => '"CN=mapped,O=example"')),
    servers => TCCBS::Conf::mapped($mapped) . <<END);
    server {
        listen 127.0.0.1:$h2 ssl http2;
        server_name cbs.gw.test;
        ssl_certificate $pki/gateway.crt;
        ssl_certificate_key $pki/gateway.key;
        location / {
            $hosts
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
END

# the accounts with limits are used up, so that their next call is one too many

for my $name (qw/ limited spent /) {
    is($t->call('CopySnapshotCrossRegions', copy(),
        client => { account => $name })->{code}, '', "$name: call $_")
        for 1 .. 2;
}

my %client = (gateway => {}, mapped => { port => $mapped, plain => 1 },
    plain => { plain => 1 });

my $corpus = TCCBS::Bypass->new(port => $t->{port}, host => 'cbs.gw.test',
    keys => $t->{keys});
my $log = "$t->{dir}/emulator/emulator.jsonl";
my $classes = TCCBS::Bypass::classes("$FindBin::Bin/bypass");
my (%forwarded, %names, %used, %cases);
my ($cases, $twins, $expected) = (0, 0, 0);

$expected = () = $t->emulated;

for my $group (TCCBS::Bypass::groups("$FindBin::Bin/bypass")) {
    my $protocol = $group->{protocol} // 'http';
    my %done;

    for my $case (@{$group->{cases}}) {
        my $name = "$group->{file}: $case->{name}";

        fail("$name: well-formed: $_") for TCCBS::Bypass::malformed($case)
            || ();
        ok(!$names{$name}++, "$name: named once");
        ok($classes->{$case->{class}}, "$name: its class is in CLASSES.md");
        $used{$case->{class}}++;
        $cases{$protocol}++;

        if (!$done{TCCBS::Bypass::twin_of($case)}++) {
            accepted($case, $protocol, "$name: twin");
            $twins++;
        }

        refused($case, $protocol, $name);
        $cases++;
    }
}

sub exchange {
    my ($case, $protocol, $twin, %o) = @_;

    my $built = $corpus->build($case, $twin, $protocol);

    if ($protocol eq 'h2') {
        my $r = TCCBS::HTTP2::exchange(port => $h2, bytes => $built->{bytes},
            ca => $t->{pki}->path('ca.crt'), name => 'cbs.gw.test');
        $t->seen($r, raw_answer => 1);
        return ($r, $built);
    }

    my $r = $t->raw($built->{bytes}, client => $client{$built->{server}},
        timeout => 20, %o);

    return ($r, $built);
}

# the twin is forwarded, once, and with its own snapshot

sub accepted {
    my ($case, $protocol, $name) = @_;

    my $size = -s $log;
    my ($r, $built) = exchange($case, $protocol, 1);

    is($r->{code}, '', "$name is accepted")
        or diag($r->{message} || $r->{error} || $r->{raw});
    cmp_ok(-s $log, '>', $size, "$name is forwarded");

    $forwarded{$built->{snapshot}} = $name;
    $expected++;
}

sub refused {
    my ($case, $protocol, $name) = @_;

    my %expect = map { $_ => 1 } @{$case->{expect}};
    my $outside = grep { /^(?:HTTP 4xx|closed)$/ } keys %expect;

    my $size = -s $log;
    my ($r, $built) = exchange($case, $protocol, 0,
        raw_answer => $outside);

    my $got = $r->{response} ? $r->{code} || 'accepted'
        : $r->{status} >= 400 && $r->{status} < 500 ? 'HTTP 4xx'
        : $r->{status} ? "HTTP $r->{status}"
        : $r->{error} eq 'connection closed' ? 'closed' : $r->{error};

    ok($expect{$got}, "$name: $got")
        or diag('expected ', join(' or ', @{$case->{expect}}), ': ',
            $r->{raw});

    # an answer that nginx makes by itself does not say so
    my $own = $got =~ /^(?:InvalidRequest|UnsupportedProtocol|Request\w+)$/;

    is($r->{outcome} // ($own ? 'not-sent' : undef), 'not-sent',
        "$name: told") if $r->{response} && $protocol ne 'h2';
    is(-s $log, $size, "$name: not forwarded");
}

# nothing else than the twins was forwarded, also not later

$t->stop;

my @seen = $t->emulated;

is(scalar @seen, $expected, 'as many were forwarded as there are twins');
is(scalar(grep { ($_->{body} // '') =~ /"(snap-bypass\d+)"/
    && !$forwarded{$1} } @seen), 0, 'none but the twins');

cmp_ok($cases, '>=', 250, "the corpus has $cases cases");
cmp_ok($cases{h2}, '>=', 50, "$cases{h2} of them in HTTP/2");
$t->none('each class has a case', grep { !$used{$_} } sort keys %$classes);
diag("$cases cases, $twins twins");

TCCBS::Trust::figure('Inputs', 'requests of known ways around a gateway, each'
    . ' next to one that passes', "$cases cases of " . keys(%used)
    . " classes, $cases{h2} in HTTP/2, 0 forwarded", '>= 250, 0',
    'prove t/bypass.t');

$t->done;
