#!/usr/bin/perl

# examples/Containerfile, where no container engine is: its instructions are
# read and carried out with chroots, and the gateway is started as the user it
# names, on a read-only root.  What an engine does beside that is not tested.
# Needs root and a Debian mirror; "make test-container" runs it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Cwd qw/ abs_path /;
use JSON::XS;
use Test::More;

use TCCBS::Test;

my ($base, $dir) = split(' ', $ENV{TCCBS_CONTAINER} // '');

plan skip_all => '"make test-container" runs it' if !$dir;

$_ = abs_path($_) for $base, $dir;

my $top = abs_path("$FindBin::Bin/..");
my %image = ('debian:bookworm-slim' => $base);
my ($root, %env, $workdir, %set);
my $n = 0;

open(my $fh, '<', "$top/examples/Containerfile") or die;
my $text = do { local $/; <$fh> };

for ($text =~ s/^#.*\n//mgr =~ s/\\\n\s*/ /gr =~ /^\S.*/mg) {
    my ($word, $rest) = /^([A-Z]+) (.+)$/ or die "no instruction: $_\n";

    if ($word eq 'FROM') {
        my ($from, $name) = $rest =~ /^(\S+)(?: AS (\w+))?$/ or die;
        ok($image{$from}, "FROM $from") or last;
        $root = "$dir/image" . $n++;
        system('rm', '-rf', $root) == 0
            && system('cp', '-a', $image{$from}, $root) == 0 or die;
        unlink "$root/usr/sbin/policy-rc.d";
        $image{$name} = $root if $name;
        ($workdir, %env) = ('/');

    } elsif ($word eq 'ENV') {
        $env{$1} = $2 // $3 while $rest =~ /(\w+)=(?:"([^"]*)"|(\S+))/g;

    } elsif ($word eq 'WORKDIR') {
        $workdir = $rest;

    } elsif ($word eq 'RUN') {
        is(system("$top/tools/chroot", 'run', $root, 'env',
            (map { "$_=$env{$_}" } sort keys %env), 'sh', '-c',
            "cd $workdir && { $rest\n}  </dev/null >>/build.log 2>&1"), 0,
            "RUN $rest") or diag(`tail -n 20 $root/build.log`);

    } elsif ($word eq 'COPY') {
        my ($from, $what, $to) = $rest =~ /^(?:--from=(\w+) )?(\S+) (\S+)$/
            or die;

        is(system($what eq '.'
            ? "mkdir -p $root$to && cd $top && git ls-files -z -co"
                . " --exclude-standard | tar --null -T - -c"
                . " | tar -x -C $root$to"
            : 'cp -r ' . ($from ? "$image{$from}$what" : "$top/$what")
                . " $root$to"), 0, "COPY $rest");

    } elsif ($word =~ /^(USER|CMD|HEALTHCHECK|STOPSIGNAL|VOLUME|EXPOSE)$/) {
        $set{$word} = $rest;

    } else {
        fail("$word is no instruction");
    }
}

my ($health) = $set{HEALTHCHECK} =~ /CMD (.+)$/ or die;
my $command = decode_json($set{CMD});

# run it: a read-only root, a /tmp, the volume

my $t = TCCBS::Test->new(oracle => 0);
$t->emulator;
$t->{port} = TCCBS::Test::free_port();

my $uid = (split(/:/, `grep ^$set{USER}: $root/etc/passwd`))[2];
ok($uid, 'a user that is not root');

my %file = ('prod.json' => $t->slurp('keys/prod.json'),
    'keys/team-dr' => $t->slurp('keys/team-dr'),
    'cbs.crt' => $t->slurp($t->{pki}->path('gateway.crt')),
    'cbs.key' => $t->slurp($t->{pki}->path('gateway.key')),
    'ca.crt' => $t->slurp($t->{pki}->path('ca.crt')),
    'accounts/team-dr.conf' => $t->account('team-dr') =~
        s{file:\S*/}{file:/etc/nginx/tccbs/keys/}r
        . "tccbs_ssl_trusted_certificate /etc/nginx/tccbs/ca.crt;\n");

for my $name (keys %file) {
    my $path = $t->file("$root/etc/nginx/tccbs/$name", $file{$name}, 0400);
    chown $uid, -1, $path;
}

system("chown $uid $root/etc/nginx/tccbs $root/etc/nginx/tccbs/*/");

my $conf = $t->slurp("$root/etc/nginx/nginx.conf");
ok($conf =~ s/listen 8443 ssl;/listen 127.0.0.1:$t->{port} ssl;/, 'port');
ok($conf =~ s/server cbs\S+:443;/server 127.0.0.1:$t->{emulator_port};/,
    'upstream');
$t->file("$root/etc/nginx/nginx.conf", $conf);

# what an engine gives as /dev/stdout can be written to by the user

chmod 0666, $t->file('logs/stderr', '');

$t->{pid} = $t->spawn("$t->{dir}/logs/stderr", 'unshare', '--mount', 'sh', '-ec',
    'root=$1 user=$2; shift 2
    mount --bind $root $root
    mount --bind $root/var/log/tccbs $root/var/log/tccbs
    mount -o remount,bind,ro $root
    mount -t tmpfs -o mode=1777 tmpfs $root/tmp
    mount --rbind /dev $root/dev
    mount -t proc proc $root/proc
    exec chroot --userspec=$user $root "$@"', 'sh', $root, $set{USER},
    @$command);

ok($t->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->{port}) }, 30), 'it starts')
    or diag($t->slurp('logs/stderr'));

is($t->call('CopySnapshotCrossRegions', TCCBS::Test::copy())->{headers}
    {'x-tccbs-outcome'}, 'success', 'a copy');
ok(-s "$root/var/log/tccbs/audit.jsonl", 'is recorded in the volume');

$health =~ s/8443/$t->{port}/;
is(system('chroot', "--userspec=$set{USER}", $root, 'sh', '-c', $health), 0,
    'the health check');

$t->stop($set{STOPSIGNAL} =~ s/^SIG//r);
isnt(system('chroot', "--userspec=$set{USER}", $root, 'sh', '-c', $health), 0,
    'without nginx it fails');

$t->done;
