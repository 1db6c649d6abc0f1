#!/usr/bin/perl

# Each allocation fails once, and then always, while temporary credentials are
# fetched.  If this broke, a moment without memory could end the process that
# fetches them, or leave the gateway without a credential for good.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Sources;
use TCCBS::Test qw/ copy /;
use TCCBS::Torture qw/ $ANY /;

my $t = TCCBS::Torture::gateway();

my $sources = TCCBS::Sources->new($t);
my $arn = 'qcs::cam::uin/100000000001:roleName/';

$sources->known($t->{credentials}{prod});
$sources->role('role', $sources->issue(3600));
$sources->sts("${arn}sts", $sources->issue(3600));
$sources->sts("${arn}pod", $sources->issue(3600),
    action => 'AssumeRoleWithWebIdentity', params => {
        WebIdentityToken => 'a.web.identity', ProviderId => 'provider-1' });

my %tke = (TKE_REGION => 'ap-guangzhou', TKE_PROVIDER_ID => 'provider-1',
    TKE_WEB_IDENTITY_TOKEN_FILE => $t->file('identity', "a.web.identity\n"),
    TKE_ROLE_ARN => "${arn}pod");

@ENV{keys %tke} = values %tke;

my $url = 'url=' . $sources->sts_url;
my %source = (role => 'role gw-role url=' . $sources->url('role') =~ s{/$}{}r,
    sts => "assume_role ${arn}sts via prod $url", pod => "oidc $url");

# and one that STS refuses

my %conf = (listen => '', credential => join("\n",
        "tccbs_credential prod { file $t->{dir}/keys/prod.json;"
            . ' limit 10000r/s; }',
        (map { "tccbs_credential $_ { $source{$_}; limit 10000r/s; }" }
            sort keys %source),
        "tccbs_credential none { assume_role ${arn}none via prod $url;
            limit 10000r/s; }"),
    accounts => join('', map { $t->account("team-$_", credential => $_) }
        sort keys %source));

$t->emulator;
$t->write_conf(%conf);

TCCBS::Torture::torture_places('source', 'configuration', $ANY, sub {
    return TCCBS::Torture::configures($t) });

sub made {
    my ($name) = @_;
    return $t->call('CopySnapshotCrossRegions', copy(), timeout => 20,
        client => { plain => 1, account => "team-$name" })->{code} eq '';
}

# it starts, and has a credential of each source in the end

my ($refused, $later) = (0, 0);

sub starts {
    my $up = TCCBS::Torture::starts($t) // return 'neither up nor down';

    if ($up < 0) {
        $refused++;
        return;
    }

    $t->wait_for(sub { TCCBS::Torture::counters()->{failed}
        || !grep { !made($_) } keys %source });
    return;
}

sub works {
    my $bad;

    if ($t->{pid} && $t->workers) {
        for my $name (sort keys %source) {
            next if made($name);
            $later++;
            $t->wait_for(sub { made($name) }, 20) or $bad //= "no $name";
        }
    }

    $t->crash;
    return $bad;
}

TCCBS::Torture::torture_places('source', 'fetched', $ANY, \&starts,
    after => \&works, times => 1);

diag("$refused did not start, $later had a credential later");
cmp_ok($later, '>', 0, 'some come later');

TCCBS::Torture::all_failed('source');

$t->done;
