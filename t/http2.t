#!/usr/bin/perl

# HTTP/2: many calls on one connection, and streams that are reset while their
# call waits or flies.  If this broke, a client that leaves would take a slot,
# or a copy would go unrecorded.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use JSON::PP;
use Test::More;
use Time::HiRes qw/ time sleep /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 1, exempt => [ qr/listen \.\.\. http2/ ]);
my $action = 'CopySnapshotCrossRegions';

$t->run(listen => 'ssl http2',
    credential => "tccbs_credential prod {
        file $t->{dir}/keys/prod.json; limit 5r/s; queue 20s 100; }",
    accounts => $t->account('team-dr') . $t->account('other'));

my ($out, $in);
my $pid = open2($out, $in, 'node', "$FindBin::Bin/bin/h2.js", $t->{port},
    $t->{pki}->path('ca.crt'), 'cbs.gw.test');
$in->autoflush(1);

my ($id, %params, %answers) = (0);

sub ask {
    my ($account) = @_;

    my $client = $t->client(account => $account // 'team-dr');
    my $p = copy();
    my ($head, $body) = split(/\r\n\r\n/, $client->request($action, $p), 2);
    my %headers = map { /^([^:]+): (.*)/ ? (lc $1 => $2) : () }
        split(/\r\n/, $head);

    delete $headers{$_} for qw/ host content-length /;
    $params{++$id} = $p;
    print $in encode_json({ id => $id, headers => \%headers, body => $body }),
        "\n";
    return $id;
}

sub cancel {
    print $in encode_json({ id => $_, cancel => \1 }), "\n" for @_;
}

sub answer {
    my ($want) = @_;

    while (!$answers{$want}) {
        my $o = decode_json(scalar(<$out>) // die "h2.js ended\n");
        $answers{$o->{id}} = $o;
    }

    return $answers{$want};
}

sub arrived {
    my ($n) = @_;
    return scalar grep { ($_->{body} // '') =~ /"$params{$n}{SnapshotId}"/ }
        $t->emulated;
}

my $one = answer(ask());
is($one->{status}, 200, 'a call');
like($one->{body}, qr/"Success"/, 'is made');
is($one->{headers}{'content-type'}, 'application/json', 'with the type');
is($one->{headers}{'x-tccbs-outcome'}, 'success', 'and its outcome');

# twelve wait for their turn; nine of them leave

my @wait = map { ask() } 1 .. 12;
$t->wait_for(sub { arrived($wait[0]) });
cancel(@wait[3 .. 11]);
answer($_) for @wait[3 .. 11];
my $start = time;
my $late = ask('other');
is(answer($late)->{headers}{'x-tccbs-outcome'}, 'success',
    'another one gets its turn');
cmp_ok(time - $start, '<', 1.5, 'at once, as those who left have no slot');
like(answer($_)->{body}, qr/"Success"/, 'who stays is answered')
    for @wait[0 .. 2];
is(scalar(grep { arrived($_) } @wait[3 .. 11]), 0,
    'who left was not sent');
is(scalar($t->audit(kind => 'intent')), 5, 'and has no intent');

# left in flight: the outcome is recorded all the same

$t->faults({ kind => 'delay', ms => 600 });
my $flying = ask();
$t->wait_for(sub { arrived($flying) });
cancel($flying);
ok(answer($flying)->{reset}, 'reset in flight');
my ($record) = $t->wait_for(sub { grep { $_->{outcome} eq 'success'
    && ($_->{snapshot} // '') eq $params{$flying}{SnapshotId} }
    $t->audit(kind => 'outcome') });
ok($record, 'its outcome is in the log');

# who has left is not tried for again

$t->faults({ kind => 'delay+throttle', ms => 600 });
my $refused = ask();
$t->wait_for(sub { arrived($refused) });
cancel($refused);
ok(answer($refused)->{reset}, 'reset in flight');
ok($t->wait_for(sub { grep { $_->{outcome} eq 'rejected' }
    $t->audit(kind => 'outcome') }), 'it is refused for the rate');
like(answer(ask('other'))->{body}, qr/"Success"/, 'another call');
is(arrived($refused), 1, 'one attempt, no second one');

# the connection goes, with calls in all states

$t->faults({ kind => 'delay', ms => 600 });
my @all = map { ask() } 1 .. 6;
$t->wait_for(sub { arrived($all[0]) });
print $in encode_json({ id => 0, end => \1 }), "\n";
waitpid($pid, 0);
ok($t->settled, 'every intent has an outcome');
sleep 0.5;
is(scalar(grep { arrived($_) } @all), 1, 'and the rest was not sent');

$t->done;
