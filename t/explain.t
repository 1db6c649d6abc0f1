#!/usr/bin/perl

# "tccbs explain" and the gateway judge alike, and the tool says which line does
# it.  If this broke, an operator would look at the wrong rule.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use TCCBS::Test qw/ copy /;

my $t = TCCBS::Test->new;
my $copy = 'CopySnapshotCrossRegions';
my $look = 'DescribeSnapshots';

my %rules = (
    'team-dr' => { rate => '50r/s burst=100', weight => 3,
        snapshots => 'snap-a* "snap-*z" # a remark' . "\n" },
    any => { from => '*', to => '*', snapshots => undef },
    looker => { actions => $look, to => undef },
    nothing => { actions => undef, from => undef, to => undef },
);

mkdir "$t->{dir}/accounts";

$t->file("accounts/$_.conf", $t->account($_, %{$rules{$_}})) for keys %rules;
$t->run(accounts => "include accounts/*.conf;");

sub asked {
    return TCCBS::Test::tccbs('explain', '--conf', "$t->{dir}/nginx.conf", @_);
}

# all accounts, actions and some regions: the gateway says the same

my (%verdicts, @differ);
my $stamp = time - 200;

for my $account (sort keys %rules) {
    for my $from (qw/ ap-guangzhou ap-shanghai ap-beijing /) {

        my ($code, $said) = asked($account, $look, $from);
        my $r = $t->call($look, {}, region => $from, stamp => $stamp++,
            client => { account => $account });
        judge($account, "$look $from", $code, $said, $r);

        for my $to ('ap-singapore', 'ap-tokyo', 'ap-singapore ap-beijing',
            'ap-singapore ap-tokyo')
        {
            for my $snapshot (qw/ snap-aaaa0001 snap-bbbb000z snap-cccc0001 /) {

                next if grep { $_ eq $from } split(' ', $to);

                ($code, $said) = asked('--snapshot', $snapshot, $account,
                    $copy, $from, $to);
                $r = $t->call($copy, { SnapshotId => $snapshot,
                    DestinationRegions => [ split(' ', $to) ] },
                    region => $from, stamp => $stamp++,
                    client => { account => $account });
                judge($account, "$copy $from $to $snapshot", $code, $said, $r);
            }
        }
    }
}

sub judge {
    my ($account, $call, $code, $said, $r) = @_;

    my ($rule) = $said =~ /^refused by "(\w+)"/;
    my $other = $r->{code} eq 'UnauthorizedOperation'
        ? $r->{message} =~ /by its rule "(\w+)"/ && $1 : undef;

    push @differ, "$account: $call: $said / $r->{body}"
        if ($rule // '') ne ($other // '') || $code != (defined $rule ? 1 : 0);

    $verdicts{$rule // 'allowed'}++;
}

is("@differ", '', 'the tool and the gateway agree');
cmp_ok($verdicts{$_} // 0, '>', 2, "often enough: $_")
    for qw/ allowed actions from to snapshots /;

# where it is written

my ($code, $said) = asked('team-dr', $copy, 'ap-guangzhou', 'ap-tokyo');
like($said, qr{^refused\ by\ "to":\ the\ destination\ region\ "ap-tokyo".*\n
    \ {4}\S*/accounts/team-dr.conf:\d+:\ to\ ap-beijing\ ap-singapore;$}mx,
    'the line of the rule');

my ($line) = $said =~ /:(\d+): to/;
like((split(/\n/, $t->slurp('accounts/team-dr.conf')))[$line - 1],
    qr/^    to ap-beijing/, 'is that line');

($code, $said) = asked('nothing', $copy, 'ap-guangzhou', 'ap-tokyo');
like($said, qr/nothing.conf:1: the account has no "actions"/, 'no rule');

($code, $said) = asked('team-dr', $copy, 'ap-guangzhou', 'ap-beijing');
is($code, 0, 'allowed, without a snapshot');
like($said, qr/team-dr.conf:\d+: rate 50r\/s burst=100;$/m, 'and its limits');

($code, $said) = asked('nobody', $copy, 'ap-guangzhou', 'ap-tokyo');
is($code, 1, 'no such account');
like($said, qr/no tccbs_account "nobody"/, 'says so');

# what is no question

for (['team-dr', $copy], ['team-dr', $copy, 'ap-guangzhou'],
    ['team-dr', $look, 'ap-guangzhou', 'ap-beijing'],
    ['team-dr', 'Copy', 'ap-guangzhou', 'ap-beijing'],
    ['team-dr', $copy, 'guangzhou', 'ap-beijing'],
    ['--snapshot', 'x', 'team-dr', $copy, 'ap-guangzhou', 'ap-beijing'])
{
    is((asked(@$_))[0], 2, "usage: @$_");
}

$t->file('nginx.conf', 'http { include missing.conf; }');
($code, $said) = asked('team-dr', $copy, 'ap-guangzhou', 'ap-tokyo');
is($code, 1, 'a missing file');
like($said, qr/cannot read "\S*missing.conf"/, 'is named');

$t->file('nginx.conf', 'http { include "missing.conf; }');
is((asked('team-dr', $copy, 'ap-guangzhou', 'ap-tokyo'))[0], 1,
    'an open quote');

$t->done;
