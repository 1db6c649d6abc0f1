#!/usr/bin/perl

# Temporary credentials from the metadata service of CVM, which breaks in every
# way.  If this broke, a gateway would stop signing while it has a credential
# that is valid, or sign with one that is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use Test::More;
use Time::HiRes qw/ time /;

use TCCBS::Memory;
use TCCBS::Sources;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 2);
my $sources = TCCBS::Sources->new($t);

# a credential for each way, from a path of its own

my %why = (
    '404' => qr/the instance has no role/,
    '500' => qr/did not tell the name of a role/,
    'html' => qr/no name of a role|did not tell the name/,
    'closed' => qr/its answer is cut/,
    'garbage' => qr/its answer is (no HTTP|cut)/,
    'truncated' => qr/its answer is cut/,
    'oversized' => qr/its answer is too large/,
    'silent' => qr/it does not answer/,
    'slow' => qr/it took too long/,
);

# the name of the role is fine, what follows is not

my %later = (
    'failed' => qr/"Code" is not "Success"/,
    'wrong JSON' => qr/: [a-z]/,
    'expired' => qr/it has expired already/,
    'no page' => qr/it answered 404, is there such a role/,
    'a page' => qr/malformed/,
);

my %good = map { $_ => 1 } 'good', 'chunked', 'until close';
my %part;

for my $way (sort keys %why, keys %later, keys %good) {
    my $part = $part{$way} = $way =~ s/ /-/gr;
    $sources->role($part, $sources->issue(3600));
}

my %fault_of = ('no page' => '404', 'a page' => 'html');

sub faults {
    my %faults = map { $part{$_} => $fault_of{$_} // $_ }
        keys %why, keys %later, grep { $_ ne 'good' } keys %good;
    return $sources->faults(%faults, @_);
}

faults();

my $credentials = '';
my $accounts = '';

for my $way (sort keys %part) {
    my $url = $sources->url($part{$way});
    my $role = $why{$way} ? 'auto' : 'gw-role';

    $credentials .= "tccbs_credential $part{$way} { role $role url=$url; "
        . "limit 10000r/s; }\n";
    $accounts .= $t->account("team-$part{$way}", credential => $part{$way});
}

# and those that are not broken

$sources->role('auto', $sources->issue(3600));
$sources->role('short', $sources->issue(40));
$sources->role('lead', $sources->issue(295));

for my $part (qw/ auto short lead /) {
    $credentials .= "tccbs_credential $part { role auto url="
        . $sources->url($part) . "; limit 10000r/s; }\n";
    $accounts .= $t->account("team-$part", credential => $part);
}

sub call {
    my ($part, %o) = @_;
    return $t->call('CopySnapshotCrossRegions', copy(), %o,
        client => { account => "team-$part" });
}

sub signer {
    my ($r) = @_;
    my ($seen) = $t->emulated(trace => $r->{audit_id} // '-');
    return $seen->{verified} ? $seen->{key_id} : 'none';
}

sub issued { return $sources->{state}{roles}{$_[0]}{triple}{TmpSecretId} }

# a test of the configuration asks nobody

$t->{port} = TCCBS::Test::free_port();

my ($rc, $said) = $t->check(accounts => $accounts, credential => $credentials
    . "tccbs_credential prod { role auto url=https://no-such-host.invalid/; }");
is($rc, 0, 'nginx -t') or diag($said);
is(scalar $sources->requests, 0, 'nginx -t fetches nothing');

$t->run(credential => $credentials, accounts => $accounts
    . $t->account('team-dr', credential => 'auto'));

ok($t->wait_for(sub { call('auto')->{code} eq '' }, 60), 'role auto');
is(signer(call('auto')), issued('auto'), 'signed with it, and its token');

for my $way (sort keys %good) {
    ok($t->wait_for(sub { call($part{$way})->{code} eq '' }, 60),
        "$way: taken");
}

# the shorter ones end and are not used any more

my $short = issued('short');
my $until = $sources->{state}{roles}{short}{triple}{ExpiredTime};

ok($t->wait_for(sub { signer(call('short')) eq $short }, 30), 'a short one');

$sources->faults(%{$sources->{state}{faults}}, short => '500');

# the broken ones

for my $way (sort keys %why, keys %later) {
    my $part = $part{$way};
    my $want = $why{$way} // $later{$way};

    ok($t->wait_for(sub { $t->slurp('logs/error.log') =~
        /tccbs_credential "\Q$part\E" was not fetched from .*$want/ }, 30),
        "$way: the log says why")
        or diag(grep { /"\Q$part\E"/ } split(/^/, $t->slurp('logs/error.log')));

    my $r = call($part);

    is($r->{code}, 'ServiceUnavailable', "$way: refused");
    is(scalar $t->emulated(trace => $r->{audit_id}), 0, "$way: not sent");
}

# near its end a credential is fetched again and again, though not at once

$sources->role('lead', $sources->issue(3600));
ok($t->wait_for(sub { signer(call('lead')) eq issued('lead') }, 20),
    'another one before the end of the first');

# the one that ended

ok($t->wait_for(sub { time > $until }, 60), 'the short one ends');

my $r = call('short');

is($r->{code}, 'ServiceUnavailable', 'expired: refused');
like($r->{message}, qr/no valid credential/, 'and why');
cmp_ok((sort { $b <=> $a } 0, map { $_->{t_first} / 1e6 }
    $t->emulated(key_id => $short))[0], '<', $until + 1,
    'nothing was signed with it after its end');

# it works again, and so do the others, by themselves

$sources->faults();
$sources->role('short', $sources->issue(3600));

for my $part (sort values %part, 'short') {
    ok($t->wait_for(sub { call($part)->{code} eq '' }, 90),
        "$part: mended, taken");
}

# a reload: the old one signs until there is another

my $before = issued('auto');

$sources->role('auto', $sources->issue(3600));
$sources->faults(auto => '500');

my $asked = () = $sources->requests('auto');

ok($t->reload, 'a reload');
ok($t->wait_for(sub { $sources->requests('auto') > $asked }, 30),
    'which asks again');
is(signer(call('auto')), $before, 'without an answer the old one signs')
    for 1 .. 4;

$sources->faults();
ok($t->wait_for(sub { signer(call('auto')) eq issued('auto') }, 30),
    'with one the new one does');

# what the workers know of them

SKIP: {
    skip 'needs root to read memory', 1 if $> != 0;

    my ($keeper) = $t->keepers;
    my $key = $sources->{state}{roles}{auto}{triple}{TmpSecretKey};

    cmp_ok(scalar TCCBS::Memory::holds($keeper, qr/\Q$key\E/), '>=', 1,
        'the keeper has the secret key');
    is(scalar TCCBS::Memory::holds($_, qr/\Q$key\E/), 0, 'a worker has not')
        for $t->workers;
}

# another role under the same name is another credential

$sources->role('other', $sources->issue(3600));
$sources->faults(other => '500');
$t->write_conf(%{$t->{conf}}, credential => $credentials =~ s{/auto/}{/other/}r);
ok($t->reload, 'another source');
is(call('auto')->{code}, 'ServiceUnavailable', 'the old one is withdrawn');

$sources->stop;
$t->done;
