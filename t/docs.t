#!/usr/bin/perl

# The reference and the code say the same: each directive with its context and
# default, each variable, each rule of an account.

use strict;
use warnings;

use FindBin;
use JSON::XS;
use Test::More;

my $root = "$FindBin::Bin/..";

sub slurp {
    open(my $fh, '<', "$root/$_[0]") or die "$_[0]: $!\n";
    local $/;
    return <$fh>;
}

my $module = slurp('ngx_http_tccbs_module.c');
my $conf = slurp('src/ngx_http_tccbs_conf.c');
my $docs = slurp('docs/directives.md');

my %context = (NGX_HTTP_MAIN_CONF => 'http', NGX_HTTP_LOC_CONF => 'location',
    NGX_HTTP_TCCBS_CONF => 'http, server, location');

my %field;

while ($module =~ /\{\ ngx_string\("(tccbs_\w+)"\),\s+
    (\w+)[^,]*,\s+\w+,\s+\w+,\s+(?:offsetof\(\w+,\s*([\w.]+)\)|0),/gx)
{
    my ($name, $flags, $field) = ($1, $2, $3);

    my ($entry) = $docs =~ /^### $name\n(.*?)(?=^##)/ms;

    ok($entry, "$name is documented") or next;
    like($entry, qr/^Syntax: \*\*$name\*\*/m, "$name: syntax");
    like($entry, qr/^Context: \Q$context{$flags}\E$/m, "$name: context");
    like($entry, qr/^Default: /m, "$name: default");

    $field{$field} = [ $name, $entry ] if $field;
}

# defaults, as they are merged

my %known = (3000 => '3s', 5000 => '5s', 30000 => '30s', 55000 => '55s',
    300 => '300s', 900 => '15m', 0 => 'off', 16384 => '16k', 262144 => '256k',
    4 => '4', '"DEFAULT"' => 'DEFAULT',
    'NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3'
        => 'TLSv1.2 TLSv1.3');
my %compared;

while ($conf =~ /ngx_conf_(?:merge|init)_
    (?:(?:msec|sec|size|uint|str|bitmask)_)?value\(
    \w+->([\w.]+),\s+(?:prev->[\w.]+,\s+)?([^)]+)\)/gx)
{
    my ($field, $value) = ($1, $2);
    $value =~ s/\s//g;

    my $entry = $field{$field} or next;
    my ($name, $text) = @$entry;

    $compared{$name} = 1;

    if ($value eq '""') {
        unlike($text, qr/^Default: $name/m, "$name: no default");
        next;
    }

    like($text, qr/^Default: $name \Q@{[$known{$value} \/\/ $value]}\E;/m,
        "$name: default is $value");
}

# NULL is merged there, and means the signature

$compared{tccbs_identity} = 1 if $conf
    =~ /ngx_conf_merge_ptr_value\(conf->identity, prev->identity, NULL\);/;

for my $name ($docs =~ /^Default: (tccbs_\w+) .*;/mg) {
    ok($compared{$name}, "$name: the default was compared");
}

# nothing is documented that is not there

for my $name ($docs =~ /^### (tccbs_\w+)/mg) {
    ok($module =~ /ngx_string\("$name"\)/, "$name exists");
}

for my $name (slurp('src/ngx_http_tccbs_variables.c')
    =~ /ngx_string\("(tccbs_\w+)"\)/g)
{
    like($docs, qr/^`\$$name`\n: /m, "\$$name is documented");
}

for my $block (qw/ account credential /) {
    my ($table) = slurp("src/ngx_http_tccbs_$block.c")
        =~ /_commands\[\] = \{(.*?)\};/s;
    my ($entry) = $docs =~ /^## Inside tccbs_$block\n(.*?)(?=^## )/ms;

    for my $name ($table =~ /ngx_string\("(\w+)"\)/g) {
        like($entry, qr/`$name[ ;]/, "$block: $name is documented");
    }
}

# what a central credential should be allowed is what the gateway does

my ($actions) = slurp('src/ngx_tccbs_call.c')
    =~ /ngx_tccbs_actions\[\] = \{(.*?)\};/s;
my $allowed = decode_json(slurp('examples/cam/policy.json'));

is_deeply([ sort map { @{$_->{action}} } @{$allowed->{statement}} ],
    [ sort map { "name/cbs:$_" } $actions =~ /ngx_string\("(\w+)"\)/g ],
    'the policy allows the actions and no others');

# the tests and checks that docs/security.md speaks of

my $security = slurp('docs/security.md');

ok(-e "$root/$_", "$_ is there") for $security =~ m{`(t/[\w/]+\.[tc])`}g;

my %said = map { $_ => 1 } map { slurp($_) =~
    /tccbs_doctor_say\(doctor, [^"]*?"(\w+)"/g } map { s{^$root/}{}r }
    glob("$root/tools/doctor*.c");
my ($table) = $security =~ /^\| check \|(.*?)\n\n/ms;
my %told = map { $_ => 1 } map { /`(\w+)`/g } $table =~ /^\| (`[^|]*)\|/mg;

delete $said{gateway};

is_deeply([ sort keys %told ], [ sort keys %said ], 'the checks of the doctor');

# the manual of the tool: how each command is used, and what it does

my $objs = $ENV{TCCBS_OBJS} // 'objs';
my $usage = `$root/$objs/tccbs 2>&1`;
my $manual = slurp('docs/tccbs.1');
my ($synopsis) = $manual =~ /^\.SH SYNOPSIS\n\.nf\n(.*?)^\.fi/ms;

s/\\f[BIR]|^usage: | < BODY//mg, s/\\-/-/g, s/\s+/ /g for $usage, $synopsis;

is($synopsis, $usage, 'the manual says how the tool is used');

for my $words ($usage =~ /(?:^|(?<= ))tccbs ((?:[a-z]+ )+)/g) {
    $words =~ s/ $//;
    like($manual, qr/^\.TP\n\.B tccbs $words$/m, "the manual has \"$words\"");
}

# the map of the sources has each file

my $map = slurp('docs/internals.md') =~ s/.*?^## Files\n(.*?)^## .*/$1/msr;
my %mapped;

for my $part (split(/^\*\*Services/m, $map)) {
    my $pure = %mapped ? '' : 'pure ';
    $mapped{$pure . $_} = 1 for map { /`([\w.]+)`/g }
        $part =~ /^\| (`[^|]*) \|/mg;
}

for my $name (map { m{/([^/]+)\.[ch]$} } glob("$root/src/*.[ch]")) {
    my $stem = $name =~ s/^ngx_tccbs_/pure /r =~ s/^ngx_http_tccbs_//r;
    ok($mapped{$stem} || $mapped{"$name.h"}, "the map has $name");
}

# pages: each is found from README, and what a link leads to is there

my @pages = map { s{^\Q$root\E/}{}r } glob("$root/*.md $root/docs/*.md");
my $readme = slurp('README.md');

for my $page (grep { m{^docs/} } @pages) {
    like($readme, qr/^- \[\Q$page\E\]\(\Q$page\E\)/m, "README lists $page");
}

for my $page (@pages) {

    my $text = slurp($page) =~ s/^```.*?^```//msgr;

    for my $link ($text =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^https?:/;

        my ($path, $anchor) = split(/#/, $link, 2);
        my $target = $path eq '' ? $page
            : $page =~ m{/} ? "docs/$path" =~ s{^docs/\.\./}{}r : $path;

        ok(-e "$root/$target", "$page: $link is there") or next;

        next if !defined $anchor;

        my %anchors = map { lc() =~ s/[^\w\- ]//gr =~ tr/ /-/r => 1 }
            slurp($target) =~ /^#+ (.*)$/mg;

        ok($anchors{$anchor}, "$page: $link leads somewhere");
    }
}

done_testing();
