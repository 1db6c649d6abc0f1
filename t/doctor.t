#!/usr/bin/perl

# "tccbs doctor" looks at a running gateway: nothing to be mended, then each of
# its findings, provoked.  If this broke, it would call a sick gateway healthy.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::XS;
use POSIX qw/ _exit strftime /;
use Test::More;

use TCCBS::Test qw/ copy /;

plan skip_all => 'only root can look into workers' if $> != 0;
plan skip_all => 'AddressSanitizer locks no memory'
    if ($ENV{TCCBS_OBJS} // '') =~ /asan/ && !$ENV{TCCBS_MODULE};

my $t = TCCBS::Test->new(workers => 2, oracle => 0);
my $dir = $t->{dir};
my $pki = $t->{pki};
my $key = $t->{keys}{'team-dr'};
my (undef, undef, $uid, $gid) = getpwnam(TCCBS::Test::user());

$t->{secrets}{my $audit_key = TCCBS::Test::random(64)} = 1;
$t->file('keys/audit', "$audit_key\n", 0400);
$t->{secrets}{my $master_key = TCCBS::Test::random(64)} = 1;
$t->file('keys/master', "$master_key\n", 0400);
chmod 0700, "$dir/keys";

my %conf = (audit => "tccbs_audit $dir/audit.jsonl key=keys/audit;",
    http => 'tccbs_key_master keys/master;');

$t->run(%conf);

# a worker has its name when it is ready

sub ready {
    return $t->wait_for(sub {
        2 == grep { $t->slurp("/proc/$_/cmdline") =~ /worker process\b(?! is)/ }
            $t->workers;
    });
}

ok(ready(), 'two workers');

sub run {
    my (@args) = @_;

    return TCCBS::Test::tccbs('doctor', '--conf', "$dir/nginx.conf",
        '--prefix', "$dir/", @args);
}

# all is well

my ($rc, $said) = run();

is($rc, 0, 'no finding') or diag($said);
unlike($said, qr/FINDING/, 'none in the table');
like($said, qr/^\d+ checks, 0 findings$/m, 'and the sum of it');
like($said, qr/^ok +$_$/m, "looked at: $_") for
    "file +credential $dir/keys/prod.json: mode 0400, uid 0",
    "file +key $dir/keys/team-dr: mode 0400, uid 0",
    "file +audit key $dir/keys/audit: mode 0400, uid 0",
    "file +master key $dir/keys/master: mode 0400, uid 0",
    "credential +$dir/keys/prod.json is 0 days old",
    "audit +$dir/audit.jsonl: mode 0640",
    "nginx +master $t->{pid}, 2 workers",
    "worker +\\d+: uid $uid, not to be traced, no core, [1-9]\\d* kB locked.*",
    "ca +$pki->{dir}/ca.crt: 1 certificates",
    "upstream +127.0.0.1:$t->{emulator_port}: TLSv1.[23], verified as cbs.*",
    "upstream +127.0.0.1:\\d+ as wrong-name.invalid: refused, hostname mismatch",
    "clock +[01] s .* that of 127.0.0.1:\\d+";

($rc, $said) = run('--json');
my $json = decode_json($said);
is($rc, 0, 'JSON');
is($json->{findings}, 0, 'JSON: no finding');
is(scalar(grep { $_->{finding} } @{$json->{checks}}), 0, 'JSON: in none');
cmp_ok(scalar @{$json->{checks}}, '>=', 12, 'JSON: checks');
is_deeply([ sort keys %{$json->{checks}[0]} ], [ qw/ check finding text / ],
    'JSON: members');

is((run('--max-age', 0))[0], 2, 'no such age');
is((run('--what'))[0], 2, 'no such option');
is((run('x'))[0], 2, 'no arguments');

# Each finding: what is done, what is said, and what undoes it.  One alone is
# found, so that none hides behind another.

sub finding {
    my ($what, $said_of_it, %o) = @_;

    my ($rc, $said) = run('--json', @{$o{args} // []});
    my $json = eval { decode_json($said) } // {};
    my @found = map { "$_->{check}: $_->{text}" } grep { $_->{finding} }
        @{$json->{checks} // []};

    is($rc, 1, "$what: exit code");
    is(scalar @found, $o{n} // 1, "$what: as many findings as there are")
        or diag(join("\n", @found));
    is(scalar(grep { /$said_of_it/ } @found), $o{n} // 1, "$what: found")
        or diag(join("\n", @found, $said));
    unlike($said, $t->secret_pattern, "$what: no secret");
}

# files

my $path = $key->{path};

chmod 0440, $path;
finding('mode', qr/^file: key $path has mode 0440, use "chmod 0400"/);
chmod 0400, $path;

chown $uid, -1, $path;
finding('owner', qr/^file: key $path belongs to uid $uid, not to root/);
chown 0, -1, $path;

chmod 0770, "$dir/keys";
finding('directory', qr/^file: $dir\/keys has mode 0770, others may/, n => 4);
chmod 0700, "$dir/keys";

rename($path, "$path.away");
finding('no file', qr/^file: key $path: No such file/);
mkdir $path;
finding('a directory', qr/^file: key $path is no regular file/);
rmdir $path;
rename("$path.away", $path);

utime(time - 91 * 86400, time - 91 * 86400, "$dir/keys/prod.json");
finding('age', qr/^credential: .*prod.json is 91 days old, replace it/);
is((run('--max-age', 92))[0], 0, 'not as old as that');
utime(undef, undef, "$dir/keys/prod.json");

chmod 0644, "$dir/audit.jsonl";
finding('audit mode', qr/^audit: $dir\/audit.jsonl: mode 0644, use "chmod/);
chmod 0640, "$dir/audit.jsonl";

rename("$dir/audit.jsonl", "$dir/audit.jsonl.1");
finding('no audit log', qr/^audit: $dir\/audit.jsonl: No such file/);
$t->file('audit.jsonl', '', 0640);
finding('another audit log',
    qr/^worker: \d+ does not write to .*audit.jsonl, .* USR1/, n => 2);
rename("$dir/audit.jsonl.1", "$dir/audit.jsonl");

# what is configured

my $run = $t->slurp('nginx.conf');

sub configured {
    my ($what, $said_of_it, $change, %o) = @_;

    $t->file('changed.conf', $change->($run));
    finding($what, $said_of_it, %o, args => [ '--conf', "$dir/changed.conf",
        @{$o{args} // []} ]);
}

sub after {
    my ($before, $add) = @_;
    return sub { $_[0] =~ s/(\Q$before\E)/$1 $add/r };
}

sub instead {
    my ($of, $put) = @_;
    return sub { $_[0] =~ s/$of/$put/r };
}

configured('debug log', qr/^log: $dir\/changed.conf:\d+: a debug log holds/,
    after('server_name cbs.gw.test;', 'error_log stderr debug;'));
configured('debug connection', qr/^log: .*:\d+: a debug log holds/,
    after('events {', 'debug_connection 192.0.2.1;'));
configured('expired key', qr/^key: $key->{id} has expired, remove it/,
    after("file:$path", 'expires=2020-01-01'));
configured('old key', qr/^key: $key->{id} expires within 14 days/,
    after("file:$path", strftime('expires=%Y-%m-%d', gmtime(time + 864000))));
is((run('--conf', $t->file('changed.conf', after("file:$path",
    'expires=2099-01-01')->($run))))[0], 0, 'a key with time');

my $ca = "$pki->{dir}/ca.crt";
my $empty = $t->file('pki/empty.crt', "nothing\n");

configured('CA file', qr/^ca: $empty: 0 certificates, it cannot be used/,
    instead($ca, $empty));
configured('other CA',
    qr/^upstream: .* certificate refused: unable to get local issuer/,
    instead($ca, "$pki->{dir}/rogue.crt"));
configured('name', qr/^upstream: .* as cbs.example: .*hostname mismatch/,
    after('server_name cbs.gw.test;', 'tccbs_ssl_name cbs.example;'));
configured('CRL', qr/^upstream: .*unable to get certificate CRL|no such file/,
    after('server_name cbs.gw.test;', "tccbs_ssl_crl $ca;"));
configured('nobody there', qr/^upstream: 127.0.0.1:1 .*Connection refused/,
    instead("127.0.0.1:$t->{emulator_port}", '127.0.0.1:1'));
configured('no address', qr/^upstream: none.invalid:\d+ .*no address/,
    instead('server 127.0.0.1:(\d+);', 'server none.invalid:443;'));
configured('no gateway', qr/^gateway: no "tccbs_pass" in/,
    instead('tccbs_pass', '#'));
configured('no audit', qr/^audit: no "tccbs_audit" in/,
    instead('tccbs_audit [^;]*;', ''));

# the upstream: certificates, a clock

my $port = $t->{emulator_port};

sub with_cert {
    my ($name) = @_;
    $t->stop_emulator;
    $t->emulator(cert => $pki->path("$name.crt"),
        key => $pki->path("$name.key"), port => $port);
}

with_cert('expired');
finding('expired certificate',
    qr/^upstream: .* certificate refused: certificate has expired/);

$pki->cert('both', 'ca', '/CN=x',
    'DNS:cbs.intl.tencentcloudapi.com,DNS:wrong-name.invalid');
with_cert('both');
finding('any name', qr/^upstream: .* as wrong-name.invalid: not refused/);

with_cert('upstream');

sub dated {
    my ($date) = @_;
    $t->faults({ kind => 'delay', ms => 0, headers => [ [ 'Date', $date ] ] });
}

sub at { return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + $_[0])) }

dated(at(60));
finding('slow clock', qr/^clock: (59|60) s behind that of .*from 300 s on/);
dated(at(-60));
finding('fast clock', qr/^clock: 6\d s ahead of that of .*from 300 s on/);
dated('tomorrow');
finding('no time', qr/^clock: .* sends no Date to compare with/);

# processes

finding('not running', qr/^nginx: does not run: no process of $dir\/none/,
    args => [ '--pid', "$dir/none" ]);

sub reloaded {
    my ($change) = @_;
    $t->file('nginx.conf', $change->($run));
    ok($t->reload && ready(), 'reloaded');
}

reloaded(after('tccbs_zone tccbs:4m;', 'tccbs_core_dump on;'));
finding('tracing', qr/^worker: \d+ may be traced by its user.*_dump off/,
    n => 2);

my ($limit) = `prlimit --pid $t->{pid} --memlock --noheadings -o HARD` =~ /(\w+)/;

system('prlimit', '--pid', $t->{pid}, '--memlock=0:') == 0 or die;
reloaded(sub { $_[0] });
finding('unlocked', qr/^worker: \d+ has its keys not locked in memory/, n => 2);
like($t->slurp('logs/error.log'), qr/\[warn\].* mlock\(\) failed: keys may/,
    'of which nginx warns');
system('prlimit', '--pid', $t->{pid}, "--memlock=$limit:") == 0 or die;
reloaded(sub { $_[0] });
is((run())[0], 0, 'all is well again');

# A worker without a thread, or one that is root, is none of this nginx.  Who is
# not root sees none.

for my $as ([ $uid, $gid, qr/has no thread for the audit log/ ],
    [ 0, 0, qr/runs as root, use "user"/ ])
{
    my ($uid, $gid, $message) = @$as;
    my $up = "$dir/logs/fake.$uid";

    my $fake = $t->spawn('/dev/null', $^X, '-e', '
        my ($uid, $gid, $up) = @ARGV;
        if (my $child = fork) {
            $SIG{TERM} = sub { kill "KILL", $child; exit };
            sleep 1 while 1;
        }
        $0 = "nginx: worker process";
        $) = "$gid $gid";
        ($<, $>) = ($uid, $uid);
        open(my $fh, ">", $up);
        sleep 60;', $uid, $gid, $up);

    ok($t->wait_for(sub { -e $up }), "another process of uid $uid");
    ($rc, $said) = run('--pid', $t->file('fake.pid', "$fake\n"));
    is($rc, 1, "uid $uid: exit code");
    like($said, qr/^FINDING +worker +\d+ $message$/m, "uid $uid: found");
    kill 'TERM', $fake;
    waitpid($fake, 0);
}

my $pid = open(my $out, '-|') // die "fork: $!\n";

if ($pid == 0) {
    $) = "$gid $gid";
    ($<, $>) = ($uid, $uid);
    open(STDERR, '>&', \*STDOUT);
    exec("$FindBin::Bin/../" . ($ENV{TCCBS_OBJS} // 'objs') . '/tccbs',
        'doctor', '--conf', "$dir/nginx.conf", '--prefix', "$dir/")
        or _exit(127);
}

$said = do { local $/; <$out> };
close $out;
is($? >> 8, 1, 'not root: exit code');
like($said, qr/^FINDING +worker +\d+ cannot be looked into, run this as root/m,
    'not root: it says so');

$t->done;
