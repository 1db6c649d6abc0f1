#!/usr/bin/perl

# examples/Containerfile, where no container engine is: its instructions are
# carried out with chroots, and the gateway is started as the user it names, on
# a root that cannot be written to.  Layers, networks and what else an engine
# does are not tested.  Needs root and a Debian mirror; "make test-container"
# runs it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Cwd qw/ abs_path /;
use JSON::XS;
use Test::More;

use TCCBS::Test;

# the directory of the Debians that "FROM" finds, and one for the images

my ($bases, $dir) = split(' ', $ENV{TCCBS_CONTAINER} // '');

plan skip_all => '"make test-container" runs it' if !$dir;

$_ = abs_path($_) for $bases, $dir;

my $top = abs_path("$FindBin::Bin/..");
my (%image, $root, %arg, $workdir, %set);

sub sh {
    my ($script, @args) = @_;
    return system('sh', '-ec', $script, 'sh', @args);
}

sub instructions {
    my ($text) = @_;

    $text =~ s/^#.*\n//mg;
    $text =~ s/\\\n\s*/ /g;

    return map { /^([A-Z]+) (.+)$/ ? [ $1, $2 ] : die "no instruction: $_\n" }
        $text =~ /^.*\S.*$/mg;
}

sub from {
    my ($name, $as) = @_;

    my $base = $name =~ /^debian:(\w+)-slim$/ ? "$bases/base-$1" : '';

    ok(-d $base, "FROM $name") or BAIL_OUT("no $base");

    $root = "$dir/" . ($as // 'image');
    $workdir = '/';
    %set = ();
    $image{$as} = $root if $as;

    is(sh('rm -rf "$1"; cp -a "$2" "$1"', $root, $base), 0, 'a copy of it');
}

# the context is what the engine is told not to leave out

sub copy_context {
    my ($to) = @_;

    my $ignore = "$dir/ignore";

    is(sh('sed "s,^\*\*/,," "$1/.dockerignore" > "$2"; mkdir -p "$3"
        cd "$1"; tar -c -X "$2" . | tar -x -C "$3"', $top, $ignore, "$root$to"),
        0, "COPY . $to");
}

sub copy_file {
    my ($path, $to) = @_;
    is(sh('mkdir -p "${2%/*}"; cp "$1" "$2"', "$top/$path", "$root$to"), 0,
        "COPY $path $to");
}

sub run {
    my ($command) = @_;

    my ($from, $source, $target) = $command =~ s/^--mount=type=bind,from=(\w+),
        source=(\S+),target=(\S+)\s//x ? ($image{$1}, $2, $3) : ();

    is(sh('cp -a "$1" "$2"', "$from$source", "$root$target"), 0,
        "$source is there") if $from;

    is(system("$top/tools/chroot", 'run', $root, 'sh', '-c',
        "cd $workdir && { $command\n} </dev/null >>/build.log 2>&1"), 0,
        "RUN $command") or BAIL_OUT(`tail -n 20 $root/build.log`);

    sh('rm -r "$1"', "$root$target") if $from;
}

open(my $fh, '<', "$top/examples/Containerfile") or die;

for (instructions(do { local $/; <$fh> })) {
    my ($word, $rest) = @$_;

    $rest =~ s/\$\{(\w+)\}/$arg{$1} \/\/ die "no $1\n"/ge if $word ne 'RUN';

    if ($word eq 'ARG') {
        my ($name, $value) = $rest =~ /^(\w+)=(\S+)$/ or die;
        $arg{$name} = $value;

    } elsif ($word eq 'FROM') {
        from($rest =~ /^(\S+)(?: AS (\w+))?$/);

    } elsif ($word eq 'WORKDIR') {
        $workdir = $rest;

    } elsif ($word eq 'RUN') {
        run($rest);

    } elsif ($word eq 'COPY' && $rest =~ m{^\. (/\S+)$}) {
        copy_context($1);

    } elsif ($word eq 'COPY' && $rest =~ m{^([\w./-]+) (/\S+)$}) {
        copy_file($1, $2);

    } elsif ($word =~ /^(USER|CMD|HEALTHCHECK|STOPSIGNAL|VOLUME|EXPOSE)$/) {
        $set{$word} = $rest;

    } else {
        fail("$word $rest is no instruction");
    }
}

# what the image has and what it has not

ok(-d "$image{build}/src/src", 'the sources were there to build');
is(join(' ', grep { -e "$image{build}/src/$_" } qw{ .git objs objs-matrix
    t/sdk/node_modules }), '', 'what does not belong to them was not');
ok(-x "$root/usr/bin/tccbs", 'the tool');
ok(!-e "$root$_", "no $_") for qw{ /src /packages /usr/bin/cc };
is(join(' ', grep { !-d } glob("$root/etc/nginx/tccbs/{*,*/*}")), '',
    'no key and no rule');

my ($uid, $gid) = $set{USER} =~ /^([1-9]\d*):([1-9]\d*)$/;

ok($uid && $gid, 'a user that is not root');
is((stat "$root$set{VOLUME}")[4], $uid, 'has the volume');
is($set{STOPSIGNAL}, 'SIGQUIT', 'the signal that waits for calls');

# the example, with the emulator in the place of Tencent

my $t = TCCBS::Test->new(oracle => 0);

$t->emulator;
$t->{port} = TCCBS::Test::free_port();

my $ready = TCCBS::Test::free_port();
my $action = 'CopySnapshotCrossRegions';

sub put {
    my ($path, $text, $mode) = @_;
    my $file = $t->file("$root/etc/nginx/$path", $text, $mode // 0400);
    chown $uid, $gid, $file;
}

my $conf = $t->slurp("$root/etc/nginx/nginx.conf");
my ($health) = $set{HEALTHCHECK} =~ /CMD (.+)$/ or die;

ok($set{EXPOSE} eq 8443 && $conf =~ s/listen 8443 /listen 127.0.0.1:$t->{port} /,
    'the port that is exposed');
ok($conf =~ s/server cbs\S+:443;/server 127.0.0.1:$t->{emulator_port};/,
    'the upstream');
ok($conf =~ s/listen 127.0.0.1:8081;/listen 127.0.0.1:$ready;/
    && $health =~ s/:8081/:$ready/, 'the port of the health check');

put('nginx.conf', $conf, 0444);
put('tccbs/prod.json', $t->slurp('keys/prod.json'));
put('tccbs/keys/team-dr', $t->slurp('keys/team-dr'));
put('tccbs/cbs.crt', $t->slurp($t->{pki}->path('gateway.crt')));
put('tccbs/cbs.key', $t->slurp($t->{pki}->path('gateway.key')));
put('tccbs/ca.crt', $t->slurp($t->{pki}->path('ca.crt')));
put('tccbs/accounts/team-dr.conf', $t->account('team-dr')
    =~ s{file:\S*/}{file:/etc/nginx/tccbs/keys/}r
    . "tccbs_ssl_trusted_certificate /etc/nginx/tccbs/ca.crt;\n");

chown $uid, $gid, "$root/etc/nginx/tccbs", glob("$root/etc/nginx/tccbs/*/");

# an engine gives a stdout and a stderr that the user can write to

chown $uid, $gid, $t->file('logs/stderr', '');

sub healthy {
    return system("chroot --userspec=$set{USER} $root sh -c '$health'"
        . ' 2>/dev/null') == 0;
}

ok(!healthy(), 'unhealthy before it runs');

$t->{pid} = $t->spawn("$t->{dir}/logs/stderr", 'unshare', '--mount', 'sh',
    '-ec', 'root=$1 user=$2 volume=$3
    shift 3
    mount --bind $root $root
    mount --bind $root$volume $root$volume
    mount -o remount,bind,ro $root
    mount -t tmpfs -o mode=1777 tmpfs $root/tmp
    mount --rbind /dev $root/dev
    mount -t proc proc $root/proc
    exec chroot --userspec=$user $root setpriv --no-new-privs \
        "$@"',
    'sh', $root, $set{USER}, $set{VOLUME}, @{decode_json($set{CMD})});

ok($t->wait_for(\&healthy, 30), 'it starts, and is healthy')
    or diag($t->slurp('logs/stderr'));

isnt(system("nsenter -t $t->{pid} -m touch $root/etc/x 2>/dev/null"), 0,
    'the root cannot be written to');

my %users = map { $_ => 1 } map { $t->slurp("/proc/$_/status")
    =~ /^Uid:\t(\d+)\t(\d+)/m } $t->{pid}, $t->children;
is(join(' ', sort keys %users), $uid, 'each process is of the user');

is($t->call($action, TCCBS::Test::copy())->{headers}{'x-tccbs-outcome'},
    'success', 'a copy');
ok(-s "$root$set{VOLUME}/audit.jsonl", 'is recorded in the volume');
like($t->slurp('logs/stderr'), qr/ team-dr $action /, 'and in the log of calls');

# a stop, with a call at Tencent

my $client = $t->client;
my $copy = TCCBS::Test::copy();

$t->faults({ kind => 'delay', ms => 3000 });
$client->send($client->request($action, $copy));
ok($t->wait_for(sub { $t->sent($copy) }), 'a call is at Tencent');

$t->stop($set{STOPSIGNAL} =~ s/^SIG//r);

is($client->receive->{headers}{'x-tccbs-outcome'}, 'success',
    'it has its answer when the container has stopped');
ok(!healthy(), 'unhealthy');
is(system('chroot', $root, 'tccbs', 'audit', 'verify',
    "$set{VOLUME}/audit.jsonl"), 0, 'the log is whole');

unlike($t->slurp('logs/stderr'), qr/\[(?:emerg|alert|crit)\]/, 'no alert');
$t->none('no secret in the volume', TCCBS::Checks::leaks($t->secret_pattern,
    "$root$set{VOLUME}", "$root/none/"));

$t->done;
