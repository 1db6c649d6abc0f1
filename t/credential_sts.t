#!/usr/bin/perl

# Roles that are assumed through STS, with another credential or with the web
# identity of a pod.  If this broke, a secret could be sent to a server that is
# not STS, or a role would be taken from one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use TCCBS::Sources;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new(workers => 1);
my $sources = TCCBS::Sources->new($t);

$sources->known($t->{credentials}{prod});

my $arn = 'qcs::cam::uin/100000000001:roleName/';
my ($credentials, $accounts) = ('', '');

sub add {
    my ($name, $source) = @_;
    $credentials .= "tccbs_credential $name { $source; limit 10000r/s; }\n";
    $accounts .= $t->account("team-$name", credential => $name);
}

sub given { return $sources->issue(3600) }

$sources->sts("${arn}plain", given());
$sources->sts("${arn}full", given(), params => {
    RoleSessionName => 'gw@x', ExternalId => 'ext-1',
    DurationSeconds => 1800 });
$sources->sts("${arn}chain", given());
$sources->sts("${arn}$_", given()) for qw/ wrongname rogue expired html /;
$sources->sts("${arn}pod", given(),
    action => 'AssumeRoleWithWebIdentity',
    params => { WebIdentityToken => 'a.web.identity',
        ProviderId => 'provider-1' });
$sources->faults("${arn}html" => 'html');

my $url = 'url=' . $sources->sts_url;

$credentials = "tccbs_credential prod { file $t->{dir}/keys/prod.json;"
    . " limit 10000r/s; }\n";

add(plain => "assume_role ${arn}plain via prod $url");
add(full => "assume_role ${arn}full via prod session=gw\@x external_id=ext-1"
    . " duration=30m region=ap-singapore $url");
add(chain => "assume_role ${arn}chain via plain $url");
add(html => "assume_role ${arn}html via prod $url");
add(none => "assume_role ${arn}none via prod $url");

for my $cert (qw/ wrongname expired rogue-upstream /) {
    my $name = $cert =~ s/-.*//r;
    add($name => "assume_role $arn$name via prod url="
        . $sources->sts_url($cert));
}

add(pod => "oidc $url");

my %tke = (TKE_REGION => 'ap-guangzhou', TKE_PROVIDER_ID => 'provider-1',
    TKE_WEB_IDENTITY_TOKEN_FILE => $t->file('identity', "a.web.identity\n"),
    TKE_ROLE_ARN => "${arn}pod");

# what is wrong in the configuration

$t->{port} = TCCBS::Test::free_port();

my @bad = (
    [ 'no such credential', qr/unknown credential "x".* must stand before/,
        "assume_role ${arn}a via x" ],
    [ 'a later credential', qr/unknown credential "bad"/,
        "assume_role ${arn}a via bad" ],
    [ 'no via', qr/"assume_role ARN via NAME"/, "assume_role ${arn}a by prod" ],
    [ 'no ARN', qr/invalid role "admin", "qcs::cam::uin/,
        'assume_role admin via prod' ],
    [ 'a session', qr/invalid parameter "session=a b"/,
        "assume_role ${arn}a via prod \"session=a b\"" ],
    [ 'a duration', qr/duration of 900s to 43200s/,
        "assume_role ${arn}a via prod duration=13h" ],
    [ 'a parameter', qr/invalid parameter "color=x" of "assume_role"/,
        "assume_role ${arn}a via prod color=x" ],
    [ 'plain STS', qr/only "https:\/\/" is allowed/,
        "assume_role ${arn}a via prod url=http://sts.example" ],
    [ 'plain metadata elsewhere', qr/only "https:\/\/" is allowed.*metadata/,
        'role auto url=http://metadata.example/' ],
    [ 'an ARN as role', qr/invalid role .*not its ARN/, "role ${arn}a" ],
    [ 'no variables', qr/"TKE_REGION"/, 'oidc' ],
    [ 'two sources', qr/more than one source/, "oidc; role auto" ],
);

delete @ENV{keys %tke};

for my $case (@bad) {
    my ($what, $message, $source) = @$case;

    local @ENV{keys %tke} = values %tke if $what eq 'two sources';

    my ($rc, $said) = $t->check(http => "tccbs_credential bad { $source; }");

    isnt($rc, 0, "$what: refused");
    like($said, $message, "$what: says why");
    like($said, qr/ in .*check\.conf:\d+/, "$what: says where");
}

@ENV{keys %tke} = values %tke;

my ($rc, $said) = $t->check(credential => $credentials,
    accounts => $accounts . $t->account('team-dr'));
is($rc, 0, 'nginx -t') or diag($said);
is(scalar $sources->requests, 0, 'nginx -t fetches nothing');

$t->run(credential => $credentials,
    accounts => $accounts . $t->account('team-dr'));

sub call {
    my ($name) = @_;
    return $t->call('CopySnapshotCrossRegions', copy(),
        client => { account => "team-$name" });
}

sub signer {
    my ($r) = @_;
    my ($seen) = $t->emulated(trace => $r->{audit_id} // '-');
    return $seen->{verified} ? $seen->{key_id} : 'none';
}

sub issued { return $sources->{state}{sts}{"$arn$_[0]"}{triple}{TmpSecretId} }

for my $name (qw/ plain full chain pod /) {
    ok($t->wait_for(sub { call($name)->{code} eq '' }, 60), "$name: a copy")
        or diag($t->slurp('logs/error.log'));
    is(signer(call($name)), issued($name), "$name: signed by the role");
}

is(($sources->requests("${arn}plain"))[0]{signer},
    $t->{credentials}{prod}{secret_id}, 'the request to STS: by "prod"');
is(($sources->requests("${arn}chain"))[-1]{signer}, issued('plain'),
    'and by the role of the role');

my %why = (wrongname => qr/its certificate has another name/,
    expired => qr/its certificate is not trusted/,
    rogue => qr/its certificate is not trusted/,
    html => qr/: [a-z]/, none => qr/InvalidParameter.RoleNotFound/);

for my $name (sort keys %why) {
    ok($t->wait_for(sub { $t->slurp('logs/error.log') =~
        /tccbs_credential "$name" was not fetched from .*$why{$name}/ }, 60),
        "$name: the log says why");

    my $r = call($name);
    is($r->{code}, 'ServiceUnavailable', "$name: refused");
    is(scalar $t->emulated(trace => $r->{audit_id}), 0, "$name: not sent");
}

is(scalar $sources->requests("$arn$_"), 0, "$_: nothing was sent to it")
    for qw/ wrongname expired rogue /;

$sources->stop;
$t->done;
