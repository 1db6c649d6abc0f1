#!/usr/bin/perl

# The status page in a real browser: it shows what the JSON says, by itself and
# for everybody.  If this broke, an operator would look at a page that is wrong,
# or at none.
#
# TCCBS_SHOTS=dir keeps what the browser saw.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use JSON::XS;
use Test::More;
use Time::HiRes qw/ sleep /;
use TCCBS::Redis;
use TCCBS::Sources;
use TCCBS::Status qw/ status /;
use TCCBS::Test qw/ copy /;

my $root = TCCBS::Test::root();
my ($chromium) = grep { -x } map { "$_/chromium" } split(/:/, $ENV{PATH});

plan skip_all => 'no chromium or no node_modules, run "make deps"'
    if !$chromium || !-d "$root/t/browser/node_modules/playwright-core";

my $action = 'CopySnapshotCrossRegions';

my $t = TCCBS::Test->new;

$t->run(accounts => $t->account('team-dr', quota => '6/d',
        rate => '100r/s burst=50', weight => 2)
    . $t->account('analytics<b>&"', quota => '100/d')
    . $t->account('night-batch'),
    credential => "tccbs_credential prod { file $t->{dir}/keys/prod.json;
        limit 20r/s; }",
    location => 'tccbs_hold 10m;',
    server => 'location = /tccbs { tccbs_status; allow 127.0.0.1; deny all; }');

$t->call($action, copy()) for 1 .. 3;
$t->call($action, copy(), client => { account => 'night-batch' }) for 1 .. 9;
$t->call($action, copy(DestinationRegions => [ 'eu-frankfurt' ])) for 1 .. 2;
$t->call('DescribeSnapshots', { Limit => 5 }, region => 'ap-beijing');
$t->call($action, copy(), secret => 'x' x 40) for 1 .. 2;

$t->faults({ kind => 'drop_before' });
my $lost = copy(DestinationRegions => [ 'ap-beijing', 'ap-singapore' ]);
my $unknown = $t->call($action, $lost);

$t->call($action, copy(DestinationRegions => [ 'ap-beijing',
    'ap-singapore' ]));

# the browser

mkdir "$t->{dir}/profile";
local $ENV{HOME} = "$t->{dir}/profile";

my $pid = open2(my $from, my $to, 'node', "$root/t/browser/page.js",
    "$t->{dir}/profile", $chromium);

sub ask {
    my ($do, %o) = @_;

    print $to encode_json({ do => $do, %o }), "\n";
    $to->flush;

    my $answer = eval {
        local $SIG{ALRM} = sub { die "no answer to $do\n" };
        alarm 90;
        my $line = <$from>;
        alarm 0;
        decode_json($line // die "the browser is gone\n");
    };

    die $@ || $answer->{error} if !$answer || $answer->{error};

    return $answer->{ok};
}

sub look { return ask('run', code => "return $_[0]") }

sub seen {
    my ($code) = @_;
    return $t->wait_for(sub { look($code) }, 20);
}

my $url = "https://127.0.0.1:$t->{port}/tccbs";

sub shot {
    my ($name, %o) = @_;
    my $dir = $ENV{TCCBS_SHOTS} // return;
    ask('shot', path => "$dir/$name.png", %o);
}

ask('open', url => $url, width => 1280, height => 900);

# what it shows is what the JSON says

my $json = status($t, 'json')->{json};
my ($dr) = grep { $_->{name} eq 'team-dr' } @{$json->{accounts}};

my $cells = 'Object.fromEntries([...document.querySelectorAll('
    . '"#accounts tbody tr")].map(r => [r.querySelector("th").textContent,'
    . ' Object.fromEntries([...r.querySelectorAll("td")].map('
    . 'c => [c.dataset.name, c.textContent]))]))';
my $rows = look($cells);

is_deeply([ sort keys %$rows ], [ 'analytics<b>&"', 'night-batch',
    'none (not identified)', 'team-dr' ], 'a row for each account');

my $decided = 0;
$decided += $_ for values %{$dr->{metrics}{decisions_total}};

is($rows->{'team-dr'}{Requests}, $decided, 'requests');
is($rows->{'team-dr'}{Copies}, $dr->{metrics}{copies_total}, 'copies');
is($rows->{'team-dr'}{Refused}, $dr->{metrics}{decisions_total}{refused},
    'refused');
is($rows->{'team-dr'}{Unknown}, 1, 'unknown');
is($rows->{'team-dr'}{'Quota today'}, "$dr->{metrics}{quota_used} / 6",
    'the quota');
is($rows->{'team-dr'}{Rate}, '100r/s, burst 50', 'the rate');
is($rows->{'team-dr'}{'Refused or failed by'} =~ tr/0-9//cdr,
    join('', map { $_->[1] } sort { $b->[1] <=> $a->[1] }
        map { [ $_, $dr->{metrics}{refusals_total}{$_} ] }
        grep { $dr->{metrics}{refusals_total}{$_} }
        keys %{$dr->{metrics}{refusals_total}}), 'and why');
is($rows->{'none (not identified)'}{Refused}, 2, 'nobody');

my $hold = '[...document.querySelectorAll("#holds tbody tr")].map('
    . 'r => [...r.children].map(c => c.textContent))';
my @holds = @{look($hold)};

is(scalar @holds, 2, 'both regions of the lost answer are to be settled');
is_deeply([ sort map { $_->[0] } @holds ], [ 'ap-beijing', 'ap-singapore' ],
    'by name');
is($holds[0][1], $lost->{SnapshotId}, 'the snapshot');
is($holds[0][5], $unknown->{audit_id}, 'and the id of the call');

is(look('document.querySelectorAll("#decisions tbody tr").length'),
    scalar @{$json->{decisions}}, 'the last decisions');
like(look('document.getElementById("budget").textContent'),
    qr/ of 19\.7 allowed, 0 waiting; \d+ a second at most, 13 in the last/,
    'the budget in words');
like(look('document.getElementById("use").textContent'),
    qr/prod.*19\.7 of 19\.7/, 'what of it is used');
like(look('document.getElementById("credentials").textContent'),
    qr/prod.*good.*file.*AKID.{2}\*{4}.{4}never/, 'the credential');
ok(!look('document.getElementById("fleet").offsetHeight'), 'no fleet');
is(look('document.getElementById("ready").textContent'), 'ready', 'ready');

shot('desktop-light');

# there is something on the plot

my $painted = '(() => { const c = document.querySelector("#plot canvas");'
    . ' const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;'
    . ' const seen = new Set(); for (let i = 0; i < d.length; i += 4)'
    . ' { if (d[i + 3]) seen.add(d[i] >> 5 << 6 | d[i + 1] >> 5 << 3'
    . ' | d[i + 2] >> 5); } return seen.size; })()';
cmp_ok(look($painted), '>=', 4, 'lines, a surface and a limit are drawn');

# live, and paused

$t->call($action, copy(), client => { account => 'night-batch' });
ok(seen(q{[...document.querySelectorAll('#accounts tbody tr')].some(r =>
    r.textContent.startsWith('night-batch')
    && r.querySelector('[data-name=Copies]').textContent === '10')}),
    'live: another copy is seen');

ask('click', id => 'pause');
is(look('document.getElementById("pause").textContent'), 'Resume', 'paused');
like(look('document.getElementById("says").textContent'), qr/Paused/,
    'and says so');

my $requests = scalar @{ask('said')->{asked}};
$t->call($action, copy(), client => { account => 'night-batch' });
sleep 2.5;      # longer than the page waits between two looks
is(scalar @{ask('said')->{asked}}, $requests, 'paused: it asks for nothing');
is(look($cells)->{'night-batch'}{Copies}, 10, 'paused: nothing changes');

ask('click', id => 'pause');
ok(seen(q{[...document.querySelectorAll('#accounts tbody tr')].some(r =>
    r.textContent.startsWith('night-batch')
    && r.querySelector('[data-name=Copies]').textContent === '11')}),
    'live again');

# the filter

$t->call('DescribeSnapshots', { Limit => 20 + $_ }, region => 'ap-beijing')
    for 1 .. 12;
ok(seen('document.getElementById("more").textContent === "Show all 31"'),
    'more than are shown');
is(look('document.querySelectorAll("#decisions tbody tr").length'), 20, 'few');
ask('click', id => 'more');
is(look('document.querySelectorAll("#decisions tbody tr").length'), 31, 'all');

ask('fill', id => 'filter', text => 'night-batch success');
is(look('document.querySelectorAll("#decisions tbody tr").length'), 11,
    'a filter of two words');
like(look('document.getElementById("says").textContent'), qr/^11 of the last/,
    'is told to who cannot see it');

ask('fill', id => 'filter', text => '');
ask('choose', id => 'decision', value => 'refused');
is(look('new Set([...document.querySelectorAll("#decisions tbody tr")]'
    . '.map(r => r.querySelector("[data-name=Decision]").textContent)).size'), 1,
    'a filter by decision');
ask('fill', id => 'filter', text => 'no-such-thing');
is(look('document.getElementById("decisions").textContent'),
    'No decision fits.', 'none fits');
ask('fill', id => 'filter', text => '');
ask('choose', id => 'decision', value => '');

# with the keyboard alone

ask('open', url => $url, width => 1280, height => 900);

my @way;

for (1 .. 5) {
    ask('press', key => 'Tab');
    push @way, look('document.activeElement.id || document.activeElement'
        . '.textContent');
    is(look('getComputedStyle(document.activeElement).left'), '16px',
        'the first one is seen: to skip') if @way == 1;
}

is_deeply(\@way, [ 'Skip to the figures', 'pause', 'theme', 'filter',
    'decision' ], 'Tab goes through all controls');

ask('open', url => $url, width => 1280, height => 900);
ask('press', key => 'Tab');
ask('press', key => 'Enter');
is(look('document.activeElement.id'), 'main', 'the skip link goes there');

look('document.getElementById("theme").focus()');
cmp_ok(look('parseInt(getComputedStyle(document.activeElement).outlineWidth)'),
    '>=', 2, 'the focus is seen');
ask('press', key => 'Enter');
is(look('document.documentElement.dataset.theme'), 'light', 'theme: light');
ask('press', key => 'Enter');
is(look('document.documentElement.dataset.theme'), 'dark', 'theme: dark');
ask('press', key => 'Enter');
is(look('document.getElementById("theme").textContent'), 'Theme: auto',
    'theme: as the system has it');

# for everybody, in light and dark, on a desk and on a phone

for my $scheme (qw/ light dark /) {
    for my $width (1280, 375) {
        ask('open', url => $url, width => 0 + $width, height => 800,
            scheme => $scheme);
        is(look('document.documentElement.dataset.theme'), $scheme,
            "$scheme, $width: the theme of the system");
        is(look('document.documentElement.scrollWidth <= innerWidth'),
            JSON::XS::true, "$scheme, $width: nothing is wider than the page");

        my $axe = ask('axe');
        cmp_ok($axe->{passes}, '>=', 20, "$scheme, $width: axe has looked");
        is_deeply($axe->{violations}, [], "$scheme, $width: and is content");

        is_deeply(ask('said')->{talk}, [], "$scheme, $width: no error");
        shot("$scheme-$width");
    }
}

my %asked = map { $_ => 1 } map { s/[?].*//r } @{ask('said')->{asked}};
is_deeply([ grep { !/^data:/ } sort keys %asked ], [ $url ],
    'it asks nobody else');

# a gateway of a fleet, with credentials of all kinds

my $redis = TCCBS::Redis->new($t);
my $sources = TCCBS::Sources->new($t);

$sources->role('cvm', $sources->issue(6000));
$sources->role('late', $sources->issue(6000));
$sources->role('soon', $sources->issue(200));
$sources->faults(late => '404');

my $wire = $redis->wire;
my $fleet = $t->another(%{$t->{conf}}, http => "tccbs_redis $wire nodes=3 deadline=300ms;",
    credential => "tccbs_credential prod { file $t->{dir}/keys/prod.json; }\n"
    . join('', map { "tccbs_credential $_ { role gw-role url="
        . $sources->url($_) . "; }\n" } qw/ cvm late soon /));

my $there = "https://127.0.0.1:$fleet->{port}/tccbs";

ok($t->wait_for(sub {
    my $json = status($fleet, 'json')->{json};
    my %result = map { $_->{name} => $_->{result} // '' }
        @{$json->{credentials}};
    my $mode = $json->{credentials}[0]{metrics}{lease_mode}{$action};
    $result{cvm} eq 'ok' && $result{soon} eq 'ok'
        && $result{late} eq 'refused' && $mode->{shared};
}, 30), 'a gateway of a fleet');

$fleet->call($action, copy()) for 1 .. 3;

sub rows {
    my ($id) = @_;
    return look("Object.fromEntries([...document.querySelectorAll("
        . "'#$id tbody tr')].map(r => [r.querySelector('th').textContent,"
        . " Object.fromEntries([...r.querySelectorAll('td')].map("
        . "c => [c.dataset.name, c.textContent]))]))");
}

sub shared {
    return look("Object.fromEntries([...document.querySelectorAll("
        . "'#shared > div')].map(d => [d.querySelector('dt').textContent,"
        . " d.querySelector('dd').textContent]))");
}

ask('open', url => $there, width => 1280, height => 900);

my $shown = rows('credentials');
my %state = map { $_ => $shown->{$_}{State} } keys %$shown;

is_deeply(\%state, { prod => 'good', cvm => 'good', soon => 'ends soon',
    late => 'does not signrefresh: refused' }, 'how well each is');
is($shown->{cvm}{Source}, 'role', 'where it is from');
like($shown->{cvm}{Ends}, qr/^in (99|100) min$/, 'when it ends');
is($shown->{late}{Ends}, '', 'there is nothing that ends');
is($shown->{late}{'Last refresh'}, 'none yet', 'nor came');
cmp_ok($shown->{late}{'Failed refreshes'}, '>=', 1, 'what has failed');
is($shown->{prod}{'Failed refreshes'}, 0, 'what has not');

my ($id) = $t->slurp('keys/prod.json') =~ /(AKID\w+)/;
is($shown->{prod}{'Key id'}, substr($id, 0, 6) . '****' . substr($id, -4),
    'a key id that is masked');

is(look('document.getElementById("redis").textContent'), 'Redis is used',
    'Redis');
is(shared()->{$_}, 'with the others', "$_: with the others")
    for 'Rates and quotas', 'Copies';
is(shared()->{Gateways}, 3, 'three gateways');
cmp_ok(shared()->{'Calls answered'} =~ tr/0-9//cdr, '>=', 9, 'calls');
is(rows('leases')->{prod}{Slots}, 'from Redis', 'slots');
ok(seen('document.querySelector("#leases [data-name=Lent]").textContent > 2'),
    'that were lent');

shot('fleet-light');

$redis->cut_wire;
ok(seen('document.getElementById("redis").textContent'
    . ' === "Redis cannot be used"'), 'a Redis that is gone');
is(shared()->{'Rates and quotas'}, 'on its own', 'rates');
is(shared()->{Copies}, 'refused', 'copies');
is(shared()->{'Workers without Redis'}, '1 of 1', 'the worker');
ok(seen('document.querySelector("#leases [data-name=Slots]").textContent'
    . ' === "share of this gateway"'), 'and its share');
like(look('document.getElementById("says").textContent'),
    qr/Redis cannot be used/, 'is told to who cannot see it');

for my $scheme (qw/ light dark /) {
    for my $width (1280, 375) {
        ask('open', url => $there, width => 0 + $width, height => 800,
            scheme => $scheme);
        is(look('document.documentElement.scrollWidth <= innerWidth'),
            JSON::XS::true, "fleet, $scheme, $width: not wider than the page");
        is_deeply(ask('axe')->{violations}, [],
            "fleet, $scheme, $width: axe is content");
        is_deeply(ask('said')->{talk}, [], "fleet, $scheme, $width: no error");
        shot("fleet-lost-$scheme-$width");

        look('document.getElementById("credentials").scrollIntoView()');
        shot("part-$scheme-$width", full => JSON::XS::false);
    }
}

# a gateway that is gone

ask('open', url => $url, width => 1280, height => 900);
$t->stop;
ok(seen('document.getElementById("ready").dataset.state === "bad"'),
    'no answer is not taken for good');
like(look('document.getElementById("says").textContent'), qr/does not answer/,
    'and said');

ask('close');
waitpid($pid, 0);

# what is embedded is what npm has, if that is here

SKIP: {
    my $npm = "$root/t/browser/node_modules/uplot";
    skip 'no uplot of npm', 2 if !-d $npm;

    is($t->slurp("$root/status/uplot/uPlot.iife.js"),
        $t->slurp("$npm/dist/uPlot.iife.js"), 'uPlot is that of npm');
    is($t->slurp("$root/status/uplot/LICENSE"), $t->slurp("$npm/LICENSE"),
        'with its licence');
}

$t->done;
