#!/usr/bin/perl

# The Debian packages in a Debian that had nothing: they are installed, a call
# goes through, an upgrade brings the new code, a stop waits for a call, and a
# purge leaves what is not the package's.  Needs root and a Debian mirror;
# "make test-deb" builds the packages and runs it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Cwd qw/ abs_path /;
use File::Copy qw/ copy /;
use IPC::Open2;
use Test::More;

use TCCBS::Test;

my ($old, $new, $chroot) = split(' ', $ENV{TCCBS_PACKAGES} // '');

plan skip_all => '"make test-deb" runs it' if !$chroot;

$_ = abs_path($_) for $old, $new, $chroot;

my $t = TCCBS::Test->new(oracle => 0);
my $action = 'CopySnapshotCrossRegions';
my $module = '/usr/lib/nginx/modules/ngx_http_tccbs_module.so';
my $log = '/var/log/nginx/tccbs-audit.jsonl';

# a shell in the chroot: all that it starts ends with it

my $shell = open2(my $out, my $in, "$FindBin::Bin/../tools/chroot", 'run',
    $chroot, 'bash', '--norc');

sub run {
    my ($command) = @_;

    print $in "{ $command\n} </dev/null 2>&1; echo \"-- \$?\"\n";
    $in->flush;

    my $said = '';

    while (defined(my $line = <$out>)) {
        return ($1, $said) if $line =~ /^-- (\d+)$/;
        $said .= $line;
    }

    die "the shell in the chroot is gone: $said\n";
}

sub runs {
    my ($command, $name) = @_;
    my ($rc, $said) = run($command);
    is($rc, 0, $name) or diag($said);
    return $said;
}

sub install {
    my ($dir, $name) = @_;

    mkdir "$chroot/debs";
    unlink glob("$chroot/debs/*");

    for my $path (grep { !/dbgsym/ } glob("$dir/*.deb")) {
        copy($path, "$chroot/debs/") or die "$path: $!\n";
    }

    runs('apt-get -qq -y --no-install-recommends install /debs/*.deb', $name);
}

# the workers and the keeper as the kernel sees them: process and inode of its
# module

sub children {
    my ($rc, $said) = run('for pid in $(pgrep -P $(cat /run/nginx.pid)); do '
        . "awk -v pid=\$pid '\$6 == \"$module\" { print pid, \$5; exit }' "
        . '/proc/$pid/maps; done');

    return { map { split } grep { /^\d+ \d+$/ } split(/\n/, $said) };
}

sub inode { return (stat "$chroot$module")[1] }

is(`lintian --allow-root -I $old/*.changes 2>&1`, '', 'lintian is silent');

runs('apt-get -qq update', 'packages are known');
install($old, 'the packages are installed');
runs('apt-get -qq -y --no-install-recommends install logrotate procps',
    'and what the test needs');

like(runs('nginx -T', 'nginx takes its configuration'),
    qr{^load_module modules/ngx_http_tccbs_module.so;}m, 'with the module');
is((stat "$chroot/etc/nginx/$_")[2] & 07777, 0700, "$_ is private")
    for qw{ tccbs tccbs/keys tccbs/accounts };
ok(-s "$chroot/usr/share/man/man1/tccbs.1.gz"
    || -s "$chroot/usr/share/man/man1/tccbs.1", 'the manual');
like((run('tccbs'))[1], qr/^usage: tccbs key new/, 'the tool runs');

# the example, with the emulator in the place of Tencent

$t->emulator;
$t->{port} = TCCBS::Test::free_port();

my $examples = "$chroot/usr/share/doc/libnginx-mod-http-tccbs/examples";

sub put {
    my ($path, $text, $mode) = @_;
    $t->file("$chroot/etc/nginx/$path", $text, $mode // 0400);
}

my $conf = $t->slurp("$examples/nginx.conf");

for ([ qr/^load_module .*;/m, 'include /etc/nginx/modules-enabled/*.conf;' ],
    [ qr/listen 443 ssl;/, "listen 127.0.0.1:$t->{port} ssl;" ],
    [ qr/server cbs\.\S+:443;/, "server 127.0.0.1:$t->{emulator_port};" ],
    [ qr/^http \{/m,
        "http {\n    tccbs_ssl_trusted_certificate /etc/nginx/tccbs/ca.crt;" ],
    [ qr/worker_processes auto;/, 'worker_processes 2;' ])
{
    my ($from, $to) = @$_;
    ok($conf =~ s/$from/$to/, "the example has $from");
}

my $account = $t->slurp("$examples/accounts/team-dr.conf");
$account =~ s/AKIDgwteamdr/$t->{keys}{'team-dr'}{id}/;

put('nginx.conf', $conf, 0644);
put('tccbs/prod.json', $t->slurp('keys/prod.json'));
put('tccbs/keys/team-dr', $t->slurp('keys/team-dr'));
put('tccbs/accounts/team-dr.conf', $account);
put('tccbs/ca.crt', $t->slurp($t->{pki}->path('ca.crt')));
put('tccbs/cbs.crt', $t->slurp($t->{pki}->path('gateway.crt')));
put('tccbs/cbs.key', $t->slurp($t->{pki}->path('gateway.key')));

# from here on the package may start and stop nginx

$t->file("$chroot/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0755);

runs('invoke-rc.d nginx start', 'nginx starts');
$t->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->{port}) }, 30);

is($t->call($action, TCCBS::Test::copy())->{headers}{'x-tccbs-outcome'},
    'success', 'a copy');

# the log is rotated

runs("logrotate -f /etc/logrotate.d/libnginx-mod-http-tccbs", 'logrotate');

is(scalar(() = glob("$chroot$log-*")), 1, 'an old log');
ok($t->wait_for(sub {
    $t->call($action, TCCBS::Test::copy());
    return $t->slurp("$chroot$log") =~ /"why":"segment".*"kind":"intent"/s;
}), 'and a new one');
runs("tccbs audit verify $log*", 'both are whole');

# an upgrade

my $before = children();
is(scalar keys %$before, 3, 'two workers and the keeper');
is($_, inode(), 'that run what is installed') for values %$before;

my $said = install($new, 'an upgrade');
like($said, qr/^Restarting nginx/m, 'it restarts nginx');

my $after = {};

$t->wait_for(sub {
    $after = children();
    return keys %$after == 3 && !grep { $before->{$_} } keys %$after;
}, 90);

is(scalar keys %$after, 3, 'two workers and the keeper');
is(scalar(grep { $before->{$_} } keys %$after), 0, 'other ones');
is($_, inode(), 'that run the new code') for values %$after;
isnt((values %$before)[0], inode(), 'which is in another file');

is($t->call($action, TCCBS::Test::copy())->{headers}{'x-tccbs-outcome'},
    'success', 'a copy');

# an upgrade of a gateway whose configuration is broken leaves it alone

put('tccbs/accounts/broken.conf', "tccbs_nonsense;\n");

my $again = "$t->{dir}/again";
my ($deb) = glob("$new/libnginx-mod-http-tccbs_*.deb");

mkdir $again;
is(system("cd $again && dpkg-deb -R $deb x"
    . " && sed -i 's/^Version: .*/&+again/' x/DEBIAN/control"
    . " && dpkg-deb -b x libnginx-mod-http-tccbs_again.deb >/dev/null"), 0,
    'another version');

$said = install($again, 'another upgrade');
like($said, qr/was not restarted/, 'nginx is left alone');
is_deeply([ sort keys %{children()} ], [ sort keys %$after ], 'and runs');
unlink "$chroot/etc/nginx/tccbs/accounts/broken.conf";

# the unit stops nginx when the call that was sent has its answer

my $unit = $t->slurp("$chroot/usr/lib/systemd/system/nginx.service.d/tccbs.conf");
my ($stop) = $unit =~ /^ExecStop=-(.+)$/m;
my $client = $t->client;
my $copy = TCCBS::Test::copy();

$t->faults({ kind => 'delay', ms => 8000 });
$client->send($client->request($action, $copy));
ok($t->wait_for(sub { $t->sent($copy) }), 'a call is at Tencent');

runs($stop, 'nginx is stopped');
ok(!-e "$chroot/run/nginx.pid", 'and gone');

my $answer = $client->receive;
is($answer->{headers}{'x-tccbs-outcome'}, 'success', 'the call has its answer');
runs("tccbs audit verify $log*", 'the log is whole');

SKIP: {
    skip 'no systemd here', 3 if !-x '/usr/bin/systemd-analyze';

    my $units = "$t->{dir}/units";

    system("mkdir -p $units && cp -r $chroot/usr/lib/systemd/system/nginx* "
        . "$chroot/usr/share/doc/tccbs/examples/systemd/* $units") == 0 or die;

    # it is silent about what is right

    for my $name (qw/ nginx.service tccbs-seal.service tccbs-seal.timer /) {
        local $ENV{SYSTEMD_UNIT_PATH} = "$units:";
        $said = `systemd-analyze verify --man=no $name 2>&1`;
        is($said, '', "systemd takes $name");
    }
}

# a purge

runs('apt-get -qq -y purge libnginx-mod-http-tccbs tccbs', 'a purge');

my ($rc, $files) = run('find / -xdev -name "*tccbs*" ! -path "/proc/*" '
    . '! -path "/debs/*" ! -path "/etc/nginx/*" ! -path "/var/log/nginx/*"');
is($files, '', 'nothing is left of it');
is((run('ls /etc/nginx/modules-enabled | grep tccbs'))[1], '', 'nor enabled');
ok(-s "$chroot$log", 'the audit log is kept');
ok(-s "$chroot/etc/nginx/tccbs/keys/team-dr", 'keys are kept');
is((run('nginx -t -c /etc/nginx/nginx.conf'))[0], 1,
    'the configuration needs the module');

$t->none('no secret in its logs', TCCBS::Checks::leaks($t->secret_pattern,
    "$chroot/var/log", "$chroot/none/"));

close $in;
waitpid($shell, 0);

$t->done;
