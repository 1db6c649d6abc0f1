#!/usr/bin/perl

# What "tccbs_status" says is what happened, in all forms the same.  If this
# broke, an operator would look at figures that are not those of the gateway,
# or strangers would.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use POSIX qw/ strftime /;
use Test::More;
use TCCBS::Status qw/ status samples flat /;
use TCCBS::Test qw/ copy /;

my $root = TCCBS::Test::root();
my $action = 'CopySnapshotCrossRegions';

my $t = TCCBS::Test->new(workers => 2,
    exempt => [ qr/open socket #\d+ left/ ]);

sub slurp { return $t->slurp("$root/$_[0]") }

# configuration

my ($rc, $said) = $t->check(location => 'tccbs_status;');
is($rc, 1, 'not where calls are taken');
like($said, qr/"tccbs_status" directive cannot be used where "tccbs_pass" is/,
    'and says so');

($rc, $said) = $t->check(accounts => $t->account('team-dr')
    . $t->account('none'));
is($rc, 1, 'no account may be called "none"');
like($said, qr/"none" is what tccbs_status calls requests without an account/,
    'and says so');

($rc, $said) = $t->check(server => 'location = /tccbs { tccbs_status; }');
is($rc, 0, 'no access rules');
like($said, qr/\[warn\].*"tccbs_status" has no "allow" or "deny" and answers/,
    'give a warning');

for my $where ('location = /s { tccbs_status; allow 127.0.0.1; deny all; }',
    'deny all; location = /s { tccbs_status; }',
    'allow ::1; location = /s { tccbs_status; }')
{
    ($rc, $said) = $t->check(server => $where);
    unlike($said, qr/tccbs_status/, "no warning: $where");
}

($rc, $said) = $t->check_text($t->conf =~
    s/location \/ \{.*?\}/location = \/s { tccbs_status; }/sr);
is($rc, 1, 'not without tccbs_pass');
like($said, qr/"tccbs_status" has nothing to show without/, 'and says so');

# a gateway at work

my @rules = (quota => '5/d', rate => '100r/s burst=5');

my %conf = (accounts => $t->account('team-dr', @rules) . $t->account('quiet'),
    credential => "tccbs_credential prod { file $t->{dir}/keys/prod.json;
        limit 20r/s; }",
    location => 'tccbs_hold 60s;',
    http => 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;',
    server => 'location = /tccbs { tccbs_status; }
        location = /open { tccbs_status; allow all; }
        location = /closed { tccbs_status; deny all; }');

$t->run(%conf);
$t->emulator_config(progress => 600);

sub json { return status($t, 'json')->{json} }

sub account {
    my ($name) = @_;
    return (grep { $_->{name} eq $name } @{json()->{accounts}})[0];
}

# of a request the client has its answer before it is counted

sub counted {
    my ($n) = @_;
    ok($t->wait_for(sub {
        my $sum = 0;
        for my $account (@{json()->{accounts}}) {
            $sum += $_ for map { values %$_ }
                values %{$account->{metrics}{requests_total}};
        }
        $sum == $n;
    }), "$n requests are counted");
}

my $empty = status($t, 'prometheus');
is($empty->{status}, 200, 'before the first call');
unlike($empty->{body}, qr/^tccbs_upstream_clock_skew_seconds /m,
    'no answer, no skew');

is($t->call($action, copy())->{code}, '', 'a copy');
is($t->call($action, copy(DestinationRegions => [ 'ap-beijing',
    'ap-singapore' ]))->{code}, '', 'to two regions');
$t->call($action, copy(DestinationRegions => [ 'eu-frankfurt' ]));
$t->call('DescribeSnapshots', { Limit => 1 }, region => 'ap-beijing',
    account => 'quiet', client => { account => 'quiet' });
$t->call($action, copy(), secret => 'x' x 40);
$t->call('TerminateInstances', {});
$t->raw("GET /nothing HTTP/1.1\r\nHost: cbs.gw.test\r\n"
    . "Connection: close\r\n\r\n");

my $again = copy();
my $stamp = time;
$t->call($action, $again, stamp => $stamp) for 1 .. 2;

$t->faults({ kind => 'drop_before' });
my $lost = copy();
my $unknown = $t->call($action, $lost);
is($unknown->{outcome}, 'unknown', 'an answer is lost');

is($t->call($action, copy())->{code}, 'LimitExceeded', 'over the quota');

counted(11);

my $json = json();
my ($dr) = grep { $_->{name} eq 'team-dr' } @{$json->{accounts}};
my ($none) = grep { $_->{name} eq 'none' } @{$json->{accounts}};
my $m = $dr->{metrics};

is_deeply($m->{requests_total}{$action}, { Success => 4,
    UnauthorizedOperation => 1, 'InternalError.ComponentError' => 1,
    LimitExceeded => 1 }, 'requests by code');
is($none->{metrics}{requests_total}{none}{'AuthFailure.SignatureFailure'}, 1,
    'without an account');
is($m->{outcomes_total}{$action}{success}, 3, 'successes');
is($m->{outcomes_total}{$action}{unknown}, 1, 'unknown');
is_deeply($m->{decisions_total}, { allowed => 4, refused => 3, duplicate => 1,
    'would-refuse' => 0 }, 'decisions');
is($m->{refusals_total}{to}, 1, 'refused by the rule "to"');
is($m->{refusals_total}{quota}, 1, 'and by the quota');
is($m->{copies_total}, 4, 'copies that were made');
is($m->{quota_used}, 5, 'what the quota has counted');
is($m->{quota_limit}, 5, 'of its limit');
is($dr->{rate}, '100r/s', 'the rate as written');
ok(!exists $none->{metrics}{quota_used}, 'no quota, no figure');

my $prod = $json->{credentials}[0];
my $used = 0;
$used += $_ for @{$prod->{seconds}{$action}};

is($prod->{metrics}{upstream_requests_total}{$action}, 4, 'attempts');
ok($t->wait_for(sub {
    my $sum = 0;
    $sum += $_ for @{json()->{credentials}[0]{seconds}{$action}};
    $sum == 4;
}), 'and the same by second');
is($prod->{metrics}{upstream_limit_configured}{$action}, 19.704433,
    'the limit, a little less');
is($prod->{metrics}{queue_wait_seconds}{$action}{count}, 4, 'their turns');

is($json->{node}{holds}, 1, 'a region is held');
is(scalar @{$json->{holds}}, 1, 'and listed');

my $hold = $json->{holds}[0];
is_deeply([ @$hold{qw/ account credential snapshot region id /} ],
    [ 'team-dr', 'prod', $lost->{SnapshotId}, 'ap-beijing',
      $unknown->{audit_id} ], 'with what is to be looked for');
cmp_ok($hold->{left}, '<=', 60, 'and how long it lasts');

# the records of the log are those that are counted

my %kinds;
ok($t->wait_for(sub {
    %kinds = ();
    $kinds{$_->{kind}}++ for $t->audit;
    my $said = json()->{node}{audit_records_total};
    !grep { ($kinds{$_} // 0) != $said->{$_} } keys %$said;
}), 'as many records as are in the file');
is($json->{node}{audit_sync_seconds}{count} > 0, 1, 'syncs are timed');
is($json->{node}{workers}, 2, 'two workers');

# the last decisions, the last one first

my $d = $json->{decisions}[0];
is_deeply([ @$d{qw/ account action code decision rule from to /} ],
    [ 'team-dr', $action, 'LimitExceeded', 'refused', 'quota', 'ap-guangzhou',
      'ap-beijing' ], 'the last decision');
is(scalar @{$json->{decisions}}, 9, 'all of callers with an account');
is((grep { ($_->{outcome} // '') eq 'unknown' } @{$json->{decisions}})[0]{id},
    $unknown->{audit_id}, 'with the id of the call');

# both forms say the same, to the last digit

my ($text, @differ);

sub differ {
    my ($one, $two) = @_;
    my %all = (%$one, %$two);

    return map { $one->{$_} //= 'nothing'; $two->{$_} //= 'nothing';
        $one->{$_} eq $two->{$_} ? () : "$_: $one->{$_}, $two->{$_}" }
        sort keys %all;
}

ok($t->wait_for(sub {
    $text = status($t, 'prometheus');
    my $samples = samples($text->{body});
    delete $samples->{$_} for grep { /^tccbs_(?:build|policy)_info/ } keys %$samples;
    !(@differ = differ($samples, flat(json())));
}), 'JSON and Prometheus agree') or diag join("\n", @differ);

like($text->{body}, qr/^tccbs_policy_info\{digest="$json->{policy}"\} 1$/m,
    'the digest of the policy');
is($json->{policy}, ($t->audit(kind => 'intent'))[0]{policy},
    'is that of the records');

# promtool takes it

SKIP: {
    skip 'no promtool', 1 if !grep { -x "$_/promtool" } split(/:/, $ENV{PATH});
    my $path = $t->file('metrics.txt', $text->{body});
    my $lint = `promtool check metrics < $path 2>&1`;
    is($? . $lint, '0', 'promtool check metrics');
}

# what callers send makes no series

my $series = () = $text->{body} =~ /^tccbs_requests_total/mg;

for my $n (1 .. 20) {
    $t->call("Action$n", {}, region => "xx-region-$n");
    $t->call($action, copy(SnapshotId => "snap-\"}\n$n"), headers =>
        [ [ 'X-TC-Language', "l$n" ] ]);
}

$t->faults({ kind => 'error', code => "Strange\"Code{}.$_", message => 'x',
    times => 1 }), $t->call('DescribeSnapshots', { Limit => 10 + $_ },
    region => 'ap-beijing') for 1 .. 3;

my $after = status($t, 'prometheus')->{body};
my $now = () = $after =~ /^tccbs_requests_total/mg;
cmp_ok($now - $series, '<=', 4, "hardly more series: $series, $now");
unlike($after, qr/region-|Strange|Action\d/, 'and nothing of it in them');

# access, methods, headers

my $r = status($t, 'json');
is($r->{type}, 'application/json', 'type of JSON');
is($r->{headers}{'cache-control'}, 'no-store', 'not to be stored');
is($r->{headers}{'x-content-type-options'}, 'nosniff', 'nosniff');
like($r->{headers}{'content-security-policy'}, qr/^default-src 'none'/, 'CSP');
is($text->{type}, 'text/plain; version=0.0.4; charset=utf-8',
    'type for Prometheus');

$r = status($t, 'json', method => 'HEAD');
is($r->{status}, 200, 'HEAD');
is($r->{body}, '', 'without a body');
is(status($t, 'json', method => 'POST')->{status}, 405, 'no POST');
is(status($t, 'xml')->{status}, 404, 'no other form');

my $far = "X-Real-IP: 192.0.2.1\r\n";
is(status($t, 'json', headers => $far)->{status}, 403,
    'without rules for this host only');
is(status($t, 'json', headers => "X-Real-IP: 127.8.8.8\r\n")->{status}, 200,
    'all of its addresses');
is(status($t, 'json', path => '/open', headers => $far)->{status}, 200,
    'open to whom it is opened');
is(status($t, 'json', path => '/closed')->{status}, 403, 'closed');

my ($id) = $t->slurp('keys/prod.json') =~ /(AKID\w+)/;

unlike(status($t, $_)->{raw}, qr/$id/, "$_: no key id") for qw/ html json
    prometheus ready /;
is(json()->{credentials}[0]{key}, substr($id, 0, 6) . '****' . substr($id, -4),
    'but what to know it by');
unlike($text->{body}, qr/AKID/, 'not as a label');
unlike($text->{body}, qr/redis|lease/, 'nothing of a Redis that is not there');
ok(!exists json()->{redis}, 'nor here');

$r = status($t, undef);
is($r->{type}, 'text/html; charset=utf-8', 'a page without a format');
unlike($r->{body}, qr{(?:src|href)\s*=\s*"?(?:https?:)?//}, 'of one file');
unlike($r->{headers}{'content-security-policy'}, qr/unsafe|\*/, 'a strict CSP');

# evidence ends a hold

my ($found) = map { $_->{SnapshotId} } grep { 1 } map { @$_ }
    $t->call('DescribeSnapshots', { SnapshotIds => [ $lost->{SnapshotId} ] })
    ->{json}{Response}{SnapshotSet} // [];
ok($found, 'the source is looked at');
ok($t->wait_for(sub { json()->{node}{holds} == 0 }), 'a hold that is settled');
is_deeply(json()->{holds}, [], 'is not listed any more');

# the clock of Tencent

my $date = sub { strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + $_[0])) };

for my $skew (0, 90, -90) {
    $t->faults({ kind => 'delay', ms => 0,
        headers => [ [ 'Date', $date->(-$skew) ] ] });
    $t->call('DescribeSnapshots', { Limit => 50 + $skew / 90 },
        region => 'ap-beijing');
    my $seen = json()->{node}{upstream_clock_skew_seconds};
    cmp_ok(abs($seen - $skew), '<=', 1, "a clock $skew s ahead: $seen");
}

# figures survive a reload and a worker; one that is refused is counted

my $before = account('team-dr')->{metrics}{requests_total};

ok($t->reload, 'reload');
is(json()->{node}{config_generation}, 2, 'another generation');
is_deeply(account('team-dr')->{metrics}{requests_total}, $before,
    'the same figures');
is(json()->{node}{worker_starts_total}, 4, 'two more workers were started');

$t->file('nginx.conf', $t->conf(%conf, accounts => 'tccbs_account x { }'));
ok(!$t->reload, 'a reload is refused');
is(json()->{node}{config_reload_failures_total}, 1, 'and counted');
ok(!$t->reload, 'and again');
is(json()->{node}{config_reload_failures_total}, 2, 'each');
is(json()->{node}{config_generation}, 2, 'the generation stays');

$t->write_conf(%conf);
$t->{exempt} = [ @{$t->{exempt}}, qr/tccbs_account "x" needs/ ];
$t->check(%conf);
is(json()->{node}{config_reload_failures_total}, 2, 'nginx -t does not count');
ok($t->reload, 'a good one');
is(json()->{node}{config_generation}, 3, 'is taken');
is(json()->{node}{config_reload_failures_total}, 2, 'and no failure');

my $starts = json()->{node}{worker_starts_total};
$t->kill_worker;
ok($t->wait_for(sub { json()->{node}{worker_starts_total} == $starts + 1 }),
    'a worker that died was replaced');
ok($t->wait_for(sub { json()->{node}{workers} == 2 }), 'there are two again');

# ready, or not

is(status($t, 'ready')->{status}, 200, 'ready');
is(json()->{ready}, JSON::XS::true, 'ready');

rename("$t->{dir}/audit.jsonl", "$t->{dir}/audit.jsonl.1");
system('cp', '-p', "$t->{dir}/audit.jsonl.1", "$t->{dir}/audit.jsonl.2");
unlink "$t->{dir}/audit.jsonl.1";

$t->call($action, copy(), client => { account => 'quiet' }) for 1 .. 4;
ok($t->wait_for(sub { json()->{node}{audit_failing_workers} > 0 }),
    'no file, no log');
$r = status($t, 'ready');
is($r->{status}, 503, 'not ready');
like($r->{body}, qr/not ready: a worker cannot write the audit log/, 'and why');
cmp_ok(json()->{node}{audit_write_failures_total}, '>', 0, 'failures');

rename("$t->{dir}/audit.jsonl.2", "$t->{dir}/audit.jsonl");
ok($t->wait_for(sub { status($t, 'ready')->{status} == 200 }), 'ready again');

# an account may be called like what is kept of another one

my $alike = TCCBS::Test->new(any_answer => 1);
my %alike = (one => 'metrics team-dr', two => ' metricsteam-dr');

$alike->run(accounts => join('', $alike->account('team-dr', quota => '5/d'),
        map { TCCBS::Conf::account(qq{"$alike{$_}"}, $alike->key($_),
            quota => '5/d') } sort keys %alike),
    server => 'location = /tccbs { tccbs_status; }');

is($alike->call($action, copy(), client => { account => $_ })->{code}, '',
    "a call of $_") for 'team-dr', sort keys %alike;

my $counted = samples(status($alike, 'prometheus')->{body});
my @own = grep { /^tccbs_requests_total\{account="( ?metrics ?)?team-dr"/
    && $counted->{$_} } keys %$counted;

is(scalar @own, 3, 'each is counted');
is_deeply([ @$counted{@own} ], [ 1, 1, 1 ], 'for itself');

$alike->finish;

# every family is documented, and every rule and code of the source is known

my $docs = slurp('docs/status.md');
my ($families) = slurp('src/ngx_http_tccbs_families.c');
my @names = $families =~ /^    \{ "(\w+)", [A-Z]+, [A-Z]+,/mg;

cmp_ok(scalar @names, '>=', 30, 'families were found');
like($docs, qr/^\| `tccbs_$_` \|/m, "$_ is documented") for @names;

my %known = map { $_ => 1 } $families =~ /ngx_string\("([^"]+)"\)/g;
my $source = join('', map { slurp($_ =~ s{^\Q$root/}{}r) }
    glob("$root/src/*.c"));

my %used = map { $_ => 1 } $source =~ /_refuse\((?:ctx|[^,]+),\s*
    (?:"[^"]*"\s*)+,\s*"([a-z-]+)"/gx;
cmp_ok(scalar(keys %used), '>=', 25, 'rules were found');
is_deeply([ grep { !$known{$_} } sort keys %used ], [], 'all rules are known');

my %codes = map { $_ => 1 } slurp('docs/directives.md')
    =~ /^\| (`[A-Z][\w.]+`(?:, `[A-Z][\w.]+`)*) \|/mg;
my @codes = map { /`([^`]+)`/g } keys %codes;
cmp_ok(scalar @codes, '>=', 20, 'codes were found');
is_deeply([ grep { !$known{$_} } sort @codes ], [], 'all codes are known');

my ($version) = slurp('CHANGES') =~ /^Changes with \w+ (\S+)/m;
is($json->{version}, $version, 'the version is that of CHANGES');

$t->done;
