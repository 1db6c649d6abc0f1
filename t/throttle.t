#!/usr/bin/perl

# Tencent refuses a call for its rate: nothing was done, so that the gateway
# tries again, slower.  If this broke, callers would see refusals for which
# they can do nothing, or a refused copy could be lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

my $hurry = TCCBS::Test::free_port();

$t->run(location => 'tccbs_total_timeout 6s;',
    servers => "server { listen 127.0.0.1:$hurry; tccbs_total_timeout 1s;
        location / { tccbs_pass https://cbs.intl.tencentcloudapi.com; } }",
    http => 'log_format limit "$tccbs_upstream_limit";',
    server => "access_log $t->{dir}/limit.log limit;",
    credential => "tccbs_credential prod {
        file $t->{dir}/keys/prod.json; limit 100r/s; }");

my $action = 'CopySnapshotCrossRegions';

# twice refused, then done: one answer, three attempts with records

$t->faults({ kind => 'throttle', count => 2 });

my $params = copy();
my $start = time;
my $r = $t->call($action, $params);

is($r->{code}, '', 'done in the end');
cmp_ok(time - $start, '>', 0.5, 'after a while');

my @seen = grep { ($_->{body} // '') =~ /$params->{SnapshotId}/ }
    $t->emulated;
is(scalar @seen, 3, 'three attempts');

my %ids = map { $_->{trace} => 1 } @seen;
is(scalar keys %ids, 3, 'each with an id');
ok($ids{$r->{headers}{'x-tccbs-id'}}, 'the answer has that of the last');
is($seen[2]{trace}, $r->{headers}{'x-tccbs-id'}, 'indeed');

my %sig = map { $_->{headers}{'x-tc-timestamp'}[0] => 1 } @seen;
ok(%sig, 'signed anew');

my @outcomes = map { $_->{outcome} } grep { $ids{$_->{id}} }
    $t->audit(kind => 'outcome');
is_deeply(\@outcomes, [ qw/ rejected rejected success / ], 'records');
is(scalar(grep { $ids{$_->{id}} } $t->audit(kind => 'intent')), 3,
    'three intents');

# a duplicate gets the answer of the attempt that was done

my $same = $t->call($action, $params);
is($same->{body}, $r->{body}, 'duplicate');
is($same->{headers}{'x-tccbs-duplicate-of'}, $r->{headers}{'x-tccbs-id'},
    'of that attempt');

# refused for good: the caller is told by Tencent's code

$t->faults({ kind => 'throttle', count => 20 });
$params = copy();
$r = $t->call($action, $params);
is($r->{code}, 'RequestLimitExceeded', 'given up');
@seen = grep { ($_->{body} // '') =~ /$params->{SnapshotId}/ } $t->emulated;
is(scalar @seen, 4, 'after four attempts');
is($r->{id}, $seen[-1]{answered}{request_id}, 'with the RequestId');

$t->faults;
is($t->call($action, $params)->{code}, '', 'and may be made again');

# who leaves while the refused call flies is not tried for again

$t->faults({ kind => 'delay+throttle', ms => 500 });
$params = copy();

my $leaves = $t->client;
$leaves->send($leaves->request($action, $params));
ok($t->wait_for(sub { $t->sent($params) }), 'a call flies');
$leaves->close(rst => 1);

ok($t->wait_for(sub { $t->settled && $t->audit(kind => 'outcome',
    outcome => 'rejected', snapshot => $params->{SnapshotId}) }),
    'it is refused for the rate');
is($t->call('DescribeSnapshots', { Limit => 3 })->{code}, '', 'a call later');
is($t->sent($params), 1, 'there was one attempt');

# nor is there a second attempt for which there is no time

$t->faults({ kind => 'delay+throttle', ms => 600 });
$params = copy();
$r = $t->call($action, $params, client => { port => $hurry, plain => 1 });
is($r->{code}, 'RequestLimitExceeded', 'half of the time is over');
is($t->sent($params), 1, 'no second attempt');

# the limit has shrunk, and grows back

my $many = sub {
    my $start = time;
    my @clients = map { my $c = $t->client;
        $c->send($c->request($action, copy(), close => 1)); $c } 1 .. 20;
    for (@clients) { $_->answer; $_->close }
    return time - $start;
};

my $slow = $many->();
my $then;
$then = $many->() for 1 .. 12;

cmp_ok($then, '<', $slow / 2, "slower at first, then not: $slow, $then");

# a variable tells the limit

my @limits = split(/\n/, $t->slurp('limit.log'));
my ($least) = sort { $a <=> $b } @limits;
is($limits[-1], '98.52', 'the limit in the end, less its margin');
cmp_ok($least, '<', 67, 'less while Tencent refused');
cmp_ok($least, '>', 10, 'but not nothing');

# nothing else is tried again

$t->faults({ kind => 'error', code => 'ResourceBusy' });
$params = copy();
$t->call($action, $params);
is(scalar(grep { ($_->{body} // '') =~ /$params->{SnapshotId}/ }
    $t->emulated), 1, 'another code is not tried again');

# nor what was refused when half of the time is over

$t->faults({ kind => 'delay+throttle', ms => 3200 });
$params = copy();
is($t->call($action, $params)->{code}, 'RequestLimitExceeded',
    'refused late: told');
is($t->sent($params), 1, 'and not tried again');

$t->done;
