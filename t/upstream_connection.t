#!/usr/bin/perl

# Connections to the upstream: kept and used again, left when they are out of
# step, bounded in time as a whole; a byte is never sent twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;

$t->credential('prod', token => 1);
$t->run(location => 'tccbs_total_timeout 2s; tccbs_read_timeout 1500ms;');

# kept

$t->call('CopySnapshotCrossRegions', copy()) for 1 .. 3;

my @seen = $t->emulated;
is(scalar(@seen), 3, 'three calls');
is($seen[2]{conn}, $seen[0]{conn}, 'on one connection');
is($seen[0]{verified}, 1, 'with the token of the credential');
ok($seen[0]{headers}{'x-tc-token'}, 'token sent');

# the headers are these and no others

is_deeply([ sort keys %{$seen[0]{headers}} ], [ qw/ authorization
    content-length content-type host x-tc-action x-tc-region
    x-tc-requestclient x-tc-timestamp x-tc-token x-tc-traceid
    x-tc-version / ], 'headers');
like($seen[0]{headers}{authorization}[0],
    qr/SignedHeaders=content-type;host;x-tc-action,/, 'action is signed');

# the language is passed when it is one of the two

$t->call('CopySnapshotCrossRegions', copy(),
    headers => [ [ 'X-TC-Language', 'zh-CN' ], [ 'Cookie', 'a=b' ],
        [ 'X-TC-TraceId', 'caller-1' ] ]);
@seen = $t->emulated;
is($seen[-1]{headers}{'x-tc-language'}[0], 'zh-CN', 'language');
ok(!$seen[-1]{headers}{cookie}, 'no cookie');
isnt($seen[-1]{headers}{'x-tc-traceid'}[0], 'caller-1', 'own trace id');

$t->call('CopySnapshotCrossRegions', copy(),
    headers => [ [ 'X-TC-Language', 'xx-evil' ] ]);
@seen = $t->emulated;
ok(!$seen[-1]{headers}{'x-tc-language'}, 'no other language');

# surplus bytes: the answer is good, the connection is not

my $conn = $seen[-1]{conn};

$t->faults({ kind => 'extra_bytes' });
is($t->call('CopySnapshotCrossRegions', copy())->{code}, '', 'surplus: good');
is($t->call('CopySnapshotCrossRegions', copy())->{code}, '', 'and the next');

@seen = $t->emulated;
is($seen[-2]{conn}, $conn, 'surplus: on the kept connection');
isnt($seen[-1]{conn}, $conn, 'surplus: a new connection after it');

# closed by the peer while idle: noticed, nothing is lost

$t->faults({ kind => 'idle_close', ms => 0 });
is($t->call('CopySnapshotCrossRegions', copy())->{code}, '', 'idle close');
select(undef, undef, undef, 0.1);
is($t->call('CopySnapshotCrossRegions', copy())->{code}, '', 'after it');

# an answer that trickles is bounded as a whole

$t->faults({ kind => 'split', bytes => 1, ms => 50 });

my $start = time;
my $r = $t->call('CopySnapshotCrossRegions', copy());

is($r->{code}, 'InternalError.ComponentError', 'trickle: given up');
like($r->{message}, qr/no answer in time.*unknown/, 'trickle: unknown');
cmp_ok(time - $start, '<', 4, 'trickle: in time');

# the client leaves: the call is finished and recorded all the same

$t->faults({ kind => 'delay', ms => 500 });

my $client = $t->client;
$client->send($client->request('CopySnapshotCrossRegions',
    copy(SnapshotId => 'snap-clientgone')));
$t->wait_for(sub { grep { ($_->{snapshot} // '') eq 'snap-clientgone' }
    $t->audit(kind => 'intent') });
$client->close;

my $outcome = $t->wait_for(sub { (grep {
    ($_->{snapshot} // '') eq 'snap-clientgone' }
    $t->audit(kind => 'outcome'))[0] });

is($outcome->{outcome}, 'success', 'client gone: outcome recorded');

# nothing was sent twice in all of this

my %trace;
$trace{$_->{trace}}++ for $t->emulated;
is(scalar(grep { $_ > 1 } values %trace), 0, 'nothing twice');

$t->done;
