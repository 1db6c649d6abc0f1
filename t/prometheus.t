#!/usr/bin/perl

# Prometheus scrapes the gateway; the alerts and the dashboard ask for what it
# finds.  If this broke, a graph would be empty, and an alert silent, on the day
# they are needed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use JSON::XS;
use POSIX qw/ WNOHANG /;
use Test::More;
use TCCBS::Redis;
use TCCBS::Sources;
use TCCBS::Status qw/ status samples /;
use TCCBS::Test qw/ copy /;

my $root = TCCBS::Test::root();

plan skip_all => 'no prometheus, run "make deps"'
    if !grep { -x "$_/prometheus" } split(/:/, $ENV{PATH});

# the alert rules, each with a case

my $rules = "$root/examples/prometheus";
my $said = `cd $rules && promtool test rules alerts_test.yml 2>&1`;
is($?, 0, 'promtool test rules') or diag $said;

sub slurp { local (@ARGV, $/) = ("$root/$_[0]"); return <> }

my $alerts = slurp('examples/prometheus/alerts.yml');
my $cases = slurp('examples/prometheus/alerts_test.yml');

for my $alert ($alerts =~ /- alert: (\w+)/g) {
    like($cases, qr/alertname: $alert\n        exp_alerts:\n/, "a case: $alert");
}

# a gateway with something to show

my $t = TCCBS::Test->new;
my $redis = TCCBS::Redis->new($t);
my $sources = TCCBS::Sources->new($t);

$sources->role('cvm', $sources->issue(3000));

$t->run(accounts => $t->account('team-dr', quota => '100/d'),
    credential => "tccbs_credential prod { file $t->{dir}/keys/prod.json;
        limit 20r/s; }
        tccbs_credential cvm { role gw-role url=" . $sources->url('cvm') . '; }',
    http => 'tccbs_redis ' . $redis->url . ' nodes=2 deadline=1s;',
    server => 'location = /tccbs { tccbs_status; allow 127.0.0.1; deny all; }');

$t->faults({ kind => 'delay', ms => 0, headers =>
    [ [ 'Date', POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime) ] ] });
$t->call('CopySnapshotCrossRegions', copy()) for 1 .. 3;
$t->call('CopySnapshotCrossRegions', copy(DestinationRegions =>
    [ 'eu-frankfurt' ]));

ok($t->wait_for(sub { status($t, 'prometheus')->{body}
    =~ /^tccbs_credential_valid\{credential="cvm"\} 1/m }, 30),
    'a credential that ends');

# a Prometheus of its own

my $port = TCCBS::Test::free_port();

$t->file('prometheus.yml', <<END);
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$rules/alerts.yml]
scrape_configs:
  - job_name: tccbs
    scheme: https
    tls_config: {insecure_skip_verify: true}
    metrics_path: /tccbs
    params: {format: [prometheus]}
    static_configs: [{targets: ["127.0.0.1:$t->{port}"]}]
END

my $pid = $t->spawn("$t->{dir}/prometheus.log", 'prometheus',
    "--config.file=$t->{dir}/prometheus.yml",
    "--storage.tsdb.path=$t->{dir}/tsdb", "--web.listen-address=127.0.0.1:$port",
    '--log.level=warn');

END { if ($pid) { kill 'KILL', $pid; waitpid($pid, 0) } }

sub get {
    my ($path) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => 5) or return;
    print $s "GET $path HTTP/1.0\r\n\r\n";
    my $text = do { local $/; <$s> } // '';
    $text =~ s/^.*?\r\n\r\n//s;
    return eval { decode_json($text) };
}

sub query {
    my ($q) = @_;
    $q =~ s/([^A-Za-z0-9_.-])/sprintf('%%%02X', ord $1)/ge;
    return get("/api/v1/query?query=$q");
}

sub value {
    my $answer = query($_[0]) or return;
    my $result = $answer->{data}{result}[0] or return;
    return $result->{value}[1];
}

ok($t->wait_for(sub { (value('up{job="tccbs"}') // 0) == 1 }, 60),
    'a real Prometheus scrapes it')
    or diag $t->slurp('prometheus.log');

is(value('sum(tccbs_requests_total{account="team-dr"})'), 4, 'its figures');
is(value('tccbs_copies_total{account="team-dr"}'), 3, 'are those of the gateway');

# every name that the alerts and the dashboard ask for is there

my $samples = samples(status($t, 'prometheus')->{body});
my %names = map { /^(\w+)/; $1 => 1 } keys %$samples;

my $board = decode_json(slurp('examples/grafana/tccbs.json'));
my @exprs = (map { $_->{expr} } map { @{$_->{targets}} } @{$board->{panels}});

cmp_ok(scalar @exprs, '>=', 20, 'a dashboard');

for my $expr (@exprs, $alerts =~ /expr: (.*)/g) {
    for my $name ($expr =~ /\b(tccbs_\w+)/g) {
        ok($names{$name}, "$name is there: $expr") if !$names{$name};
    }

    # and Prometheus takes the question
    my $q = $expr;
    $q =~ s/\$__rate_interval|\$__range/1m/g;
    $q =~ s/\$instance/.*/g;

    my $answer = query($q);
    is($answer->{status}, 'success', $expr);
}

my $answer = get('/api/v1/rules');
my @loaded = map { @{$_->{rules}} } @{$answer->{data}{groups}};
my @named = $alerts =~ /- alert: (\w+)/g;
is_deeply([ sort map { $_->{name} } @loaded ], [ sort @named ],
    'it has all alerts');
is_deeply([ grep { $_->{health} eq 'err' } @loaded ], [], 'and can compute them');

kill 'TERM', $pid;
ok($t->wait_for(sub { waitpid($pid, WNOHANG) != 0 }, 20), 'it stops');
$pid = 0;

$t->done;
