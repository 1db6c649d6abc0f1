#!/usr/bin/perl

# What the status says of central credentials.  If this broke, nobody would be
# told that one is about to end, or is not fetched any more, before calls fail.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes;

use TCCBS::Sources;
use TCCBS::Status qw/ status samples flat /;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2);
my $sources = TCCBS::Sources->new($t);

# "short" is fetched again each 5 seconds, since it ends so soon

$sources->role('good', $sources->issue(3000));
$sources->role('short', $sources->issue(40));
$sources->role('late', $sources->issue(3000));
$sources->faults(late => '404');

my $nobody = 'https://localhost:' . TCCBS::Test::free_port();
my $roles = join('', map { "tccbs_credential $_ { role gw-role url="
    . $sources->url($_) . "; }\n" } qw/ good short late /);

my $kept = "tccbs_credential prod { file $t->{dir}/keys/prod.json; }\n";
my %conf = (credential => $kept . $roles
        . "tccbs_credential sts { assume_role qcs::cam::uin/1:roleName/x
            via prod url=$nobody; }\n",
    server => 'location = /tccbs { tccbs_status; allow 127.0.0.1; deny all; }');

my $began = time;

$t->run(%conf);

my $json;

sub credential {
    my ($name) = @_;
    $json = status($t, 'json')->{json};
    return (grep { $_->{name} eq $name } @{$json->{credentials}})[0];
}

sub metric {
    my ($name, $metric) = @_;
    return credential($name)->{metrics}{"credential_$metric"};
}

sub refreshes { return metric($_[0], 'refreshes_total')->{$_[1]} }

# a gauge for each result, one of which is 1

sub result {
    my ($name) = @_;
    my $results = metric($name, 'refresh_result');
    return join(' ', grep { $results->{$_} } sort keys %$results);
}

# where they come from

my %source = (prod => 'file', good => 'role', short => 'role', late => 'role',
    sts => 'assume_role');

is_deeply(metric($_, 'info'), { $source{$_} => 1 }, "$_: its source")
    for sort keys %source;
is(credential($_)->{source}, $source{$_}, "$_: in a word")
    for sort keys %source;

# one that has no end

is(metric('prod', 'valid'), 1, 'a file: it signs');
is(result('prod'), 'ok', 'it was read');
ok(!exists credential('prod')->{metrics}{credential_expiry_seconds},
    'and does not end');
my $read = metric('prod', 'refresh_timestamp_seconds');
cmp_ok($read, '>=', $began, 'when it was read');
cmp_ok($read, '<=', time, 'not later than now');
is(refreshes('prod', 'ok'), 0, 'by the master, not by the keeper');

# one that ends

ok($t->wait_for(sub { metric('good', 'valid') }, 30), 'a role is fetched');
is(result('good'), 'ok', 'and that is told');

my $ends = $sources->{state}{roles}{good}{triple}{ExpiredTime};
my $left = metric('good', 'expiry_seconds');
cmp_ok(abs($ends - time - $left), '<=', 1, "it ends in $left seconds");
cmp_ok(metric('good', 'refresh_timestamp_seconds'), '>=', $began,
    'it was fetched just now');
is(refreshes('good', 'ok'), 1, 'once');

# those that cannot be fetched

ok($t->wait_for(sub { refreshes('late', 'refused') >= 2 }, 30),
    'tries that are refused are counted');
is(metric('late', 'valid'), 0, 'it does not sign');
is(result('late'), 'refused', 'and says why');
ok(!exists credential('late')->{metrics}{credential_expiry_seconds},
    'it has no end');
ok(!exists credential('late')->{metrics}
    {credential_refresh_timestamp_seconds}, 'and was never fetched');
ok(!exists credential('late')->{key}, 'it has no key id');
cmp_ok(credential('late')->{tried}, '>=', $began, 'but when it was tried');
is(credential('late')->{result}, 'refused', 'in a word');

ok($t->wait_for(sub { result('sts') eq 'unreachable' }, 30),
    'a server that is not there');

# while it still signs: that is when somebody has to look

ok($t->wait_for(sub { metric('short', 'valid') }, 10), 'a short one');

my $short = $sources->{state}{roles}{short}{triple}{ExpiredTime};

$sources->faults(short => '404');
ok($t->wait_for(sub { result('short') eq 'refused' }, 20),
    'a refresh that fails');
is(metric('short', 'valid'), 1, 'it signs all the same');
cmp_ok(metric('short', 'expiry_seconds'), '>', 0, 'until it ends');

# the one that was refused, when its server has changed its mind

ok($t->wait_for(sub { refreshes('late', 'ok') == 1 }, 90),
    'the other one is fetched at last');
is(metric('late', 'valid'), 1, 'and signs');
is(result('late'), 'ok', 'the last result counts');

my $refused = refreshes('late', 'refused');
my @was = map { metric($_, 'refresh_timestamp_seconds') } qw/ good late /;
ok($t->reload, 'a reload');
cmp_ok(refreshes('late', 'refused'), '>=', $refused, 'counters stay');

# both forms say the same of them

my @differ;

ok($t->wait_for(sub {
    my $samples = samples(status($t, 'prometheus')->{body});
    my $flat = flat(status($t, 'json')->{json});
    @differ = grep { /credential_/ && ($samples->{$_} // '')
        ne ($flat->{$_} // '') } keys %$samples, keys %$flat;
    !@differ;
}), 'JSON and Prometheus agree') or diag join("\n", @differ);

# it has ended

ok($t->wait_for(sub { !metric('short', 'valid') }, 60), 'the short one ends');
cmp_ok(Time::HiRes::time(), '>=', $short, 'when it was to');
ok($t->wait_for(sub { !exists credential('short')->{metrics}
    {credential_expiry_seconds} }), 'and has no end any more');

# what of it is told: enough to know a key by

my @triples = map { $sources->{state}{roles}{$_}{triple} } qw/ good late /;

for my $form (qw/ html json prometheus ready /) {
    my $said = status($t, $form)->{raw};

    for my $triple (@triples) {
        unlike($said, qr/\Q$triple->{$_}\E/, "$form: no $_")
            for qw/ TmpSecretId TmpSecretKey Token /;
    }
}

my $id = $triples[0]{TmpSecretId};
is(credential('good')->{key}, substr($id, 0, 6) . '****' . substr($id, -4),
    'a key id that is masked');

# one that is taken out of the configuration is not spoken of

$t->write_conf(%conf, credential => $kept);
ok($t->reload, 'without the roles');
unlike(status($t, 'prometheus')->{body}, qr/credential="(?!prod)/,
    'no series of what is gone');

$t->done;
