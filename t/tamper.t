#!/usr/bin/perl

# The audit log as evidence: an honest one verifies, whatever it went through,
# and one that was tampered with does not, whatever was done and where.  If this
# broke, the log would prove nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex hmac_sha256_hex /;
use File::Copy ();
use Test::More;
use Time::HiRes qw/ sleep /;
use TCCBS::Test qw/ copy killed /;

my $times = $ENV{TCCBS_TAMPER} // 12;
my $root = TCCBS::Test::root();
my $action = 'CopySnapshotCrossRegions';

srand($ENV{TCCBS_SEED} // 20261124);

# the oracle of the tests reads one file

my $t = TCCBS::Test->new(workers => 2, oracle => 0, exempt => [ killed ]);
my $dir = $t->{dir};
my $mac = $t->file('keys/audit', ('5e' x 32) . "\n", 0400);

sub tccbs { goto &TCCBS::Test::tccbs }

my ($rc, $verifier) = tccbs("audit key test-sealer --out $dir/keys/sealer");
is($rc, 0, 'a key to seal with');
like($verifier, qr/^test-sealer\+[0-9a-f]{8}\+\S{44}$/, 'its public half');
chomp $verifier;

mkdir "$dir/sealed";

$t->run(audit => "tccbs_audit $dir/audit.jsonl key=$mac;",
    location => 'tccbs_read_timeout 2s;');

sub calls {
    my ($n) = @_;
    my @clients = map { my $c = $t->client;
        $c->send($c->request($action, copy(), close => 1)); $c } 1 .. $n;
    my @answers = map { $_->answer } @clients;
    $_->close for @clients;
    $t->call($action, copy(), region => 'eu-frankfurt');
    return @answers;
}

my @segments = ('audit.jsonl');

sub paths { return map { "$dir/$_" } @segments }

sub seal {
    return tccbs("audit seal --key $dir/keys/sealer --mac-key $mac --out "
        . "$dir/sealed", paths());
}

sub rotate {
    my ($to) = @_;
    rename("$dir/audit.jsonl", "$dir/$to") or die "$to: $!\n";
    kill 'USR1', $t->{pid};
    $t->wait_for(sub { -e "$dir/audit.jsonl" });
    splice(@segments, -1, 0, $to);
}

# an honest log that went through all: load, a reload, a killed worker, a
# rotation, a crash in the middle of a line, a restart

my @answers = calls(20);
my @receipts = map { $_->{headers}{'x-tccbs-receipt'} } @answers;
like($receipts[0], qr/^[0-9a-f]{16}\.\d+\.[0-9a-f]{64}$/, 'a receipt');
$t->reload;
push @receipts, map { $_->{headers}{'x-tccbs-receipt'} } calls(20);
rotate('audit.jsonl-1');
calls(20);
kill 'KILL', ($t->workers)[0];
calls(10) if $t->wait_for(sub { ($t->workers) == 2 });
$t->settled;
($rc, my $said) = seal();
is($rc, 0, 'sealed') or diag $said;

$t->crash;
open(my $fh, '>>', "$dir/audit.jsonl");
print $fh substr((split(/\n/, $t->slurp('audit.jsonl')))[0], 0, 90);
close $fh;
$t->start;
calls(20);
rotate('audit.jsonl-2');
calls(20);
$t->settled;
sleep 1.1;                       # lazily written refusals

($rc, $said) = seal();
is($rc, 0, 'sealed again') or diag $said;

my @checks = ("--mac-key $mac", "--key '$verifier'",
    "--checkpoints $dir/sealed");

sub verify { return tccbs('audit verify', @checks, @_) }

sub second {
    my $said = `python3 $root/examples/verify-audit.py $mac $dir/sealed @_`;
    return ($? >> 8, $said);
}

($rc, $said) = verify((map { "--receipt $_" } @receipts), paths());
is($rc, 0, 'intact') or diag $said;
like($said, qr/^intact: \d+ records in \d+ chains and 3 segments$/m, 'says so');
like($said, qr/^1 lines cut off/m, 'with the line that a crash cut off');
like($said, qr/, 3 checkpoints, @{[ scalar @receipts ]} receipts$/m,
    'checkpoints and receipts');
is((verify(reverse paths()))[0], 0, 'in another order');
is((second(paths()))[0], 0, 'the second verifier agrees');

# a segment alone begins with headers that say where the chains came from

is((tccbs("audit verify --mac-key $mac $dir/audit.jsonl"))[0], 0,
    'the last segment alone');

# tampering, at random places

my %text = map { $_ => $t->slurp($_) } @segments;
my $key = '5e' x 32;

sub lines { return [ split(/(?<=\n)/, $text{$_[0]}) ] }

sub pick {
    my ($lines) = @_;
    while (1) {
        my $i = int(rand(@$lines));
        return $i if $lines->[$i] =~ /^\{.*\}\n$/;
    }
}

sub parts { return $_[0] =~ /"chain":"(\w+)","seq":(\d+)/ }

# every record of a chain from that line on, linked again; with the key or not

sub rechain {
    my ($lines, $from, $stolen) = @_;
    my ($chain) = parts($lines->[$from]);
    my $prev;

    for my $line (@$lines[$from .. $#$lines]) {
        my ($of) = parts($line);
        next if ($of // '') ne $chain;
        $line =~ s/"prev":"\w+"/"prev":"$prev"/ if defined $prev;
        my ($covered) = $line =~ /^(.*),"mac"/;
        my $new = hmac_sha256_hex($covered, $key);
        $line =~ s/"mac":"\w+"/"mac":"$new"/ if $stolen;
        $prev = sha256_hex($line =~ s/\n//r);
    }
}

my %tamper = (

    flip => sub {
        my ($lines) = @_;
        my $i = pick($lines);
        my $at = int(rand(length($lines->[$i]) - 1));
        substr($lines->[$i], $at, 1) ^= chr(1 << int(rand 7));
    },

    delete => sub {
        my ($lines) = @_;
        splice(@$lines, pick($lines), 1);
    },

    insert => sub {
        my ($lines) = @_;
        my $line = $lines->[pick($lines)];
        my $new = join('', map { sprintf '%x', rand 16 } 1 .. 8);
        $line =~ s/"id":"\w{8}/"id":"$new/;
        splice(@$lines, pick($lines), 0, $line);
    },

    noise => sub {
        my ($lines) = @_;
        splice(@$lines, pick($lines), 0, "nothing of that kind\n");
    },

    swap => sub {
        my ($lines) = @_;
        while (1) {
            my ($i, $j) = (pick($lines), pick($lines));
            my ($a, $b) = map { (parts($lines->[$_]))[0] } $i, $j;
            next if $i == $j || $a ne $b;
            @$lines[$i, $j] = @$lines[$j, $i];
            return;
        }
    },

    duplicate => sub {
        my ($lines) = @_;
        my $i = pick($lines);
        splice(@$lines, $i + int(rand(@$lines - $i)) + 1, 0, $lines->[$i]);
    },

    truncate => sub {
        my ($lines) = @_;
        splice(@$lines, -(1 + int(rand(@$lines - 1))));
    },

    cut => sub {
        my ($lines) = @_;
        my $i = pick($lines);
        $lines->[$i] = substr($lines->[$i], 0, 200 + int(rand(100))) . "\n";
    },

    beginning => sub {
        my ($lines) = @_;
        splice(@$lines, 0, 1 + int(rand(@$lines - 1)));
    },

    chain => sub {
        my ($lines) = @_;
        my ($chain) = parts($lines->[pick($lines)]);
        @$lines = grep { index($_, "\"chain\":\"$chain\",\"seq\"") < 0 }
            @$lines;
    },

    're-chained' => sub {
        my ($lines) = @_;
        my $i = pick($lines);
        $lines->[$i] =~ s/"time":"2/"time":"3/;
        rechain($lines, $i, 0);
    },

    stolen => sub {
        my ($lines) = @_;
        my $i = pick($lines);
        $lines->[$i] =~ s/"time":"2/"time":"3/;
        rechain($lines, $i, 1);
    },
);

my ($cases, $agreed) = (0, 0);

mkdir "$dir/tampered";

for my $class (sort keys %tamper) {
    my ($found, $missed, %classes) = (0, '');

    for my $n (1 .. $times) {
        my $name = $segments[rand @segments];
        my $lines = lines($name);
        my $before = join('', @$lines);

        $tamper{$class}->($lines);
        redo if join('', @$lines) eq $before;

        for (@segments) {
            $t->file("tampered/$_", $_ eq $name ? join('', @$lines)
                : $text{$_});
        }

        my @paths = map { "$dir/tampered/$_" } @segments;
        my ($rc, $said) = verify(@paths);

        $cases++;
        $agreed++ if $n > 3 || (second(@paths))[0] == $rc;

        $classes{$1}++ if $said =~ /^(?:\S+?(?::\d+)?: )?([\w -]+): /;
        $rc == 1 ? $found++ : ($missed .= "$name: $said");
    }

    is($found, $times, "$class: found $times times, as "
        . join(', ', map { "$_ $classes{$_}" } sort keys %classes))
        or diag $missed;
}

is($agreed, $cases, "the second verifier agrees, $cases cases");

# a whole segment less

for my $less (@segments) {
    my @rest = map { "$dir/$_" } grep { $_ ne $less } @segments;
    ($rc, $said) = verify(@rest);
    is($rc, 1, "without $less");
    like($said, qr/dropped segment|truncate/, 'says what is missing');
}

# as logrotate leaves them: compressed, and the oldest deleted one day

mkdir "$dir/rotated";
$t->file("rotated/$_", $text{$_}) for @segments;
is(system('gzip', "$dir/rotated/$segments[0]"), 0, 'compressed');
my @rotated = map { "$dir/rotated/$_" } "$segments[0].gz",
    @segments[1 .. $#segments];
is((verify(@rotated))[0], 0, 'a compressed segment is read');
is((second(@rotated))[0], 0, 'and by the second verifier');
my $gz = $t->slurp("rotated/$segments[0].gz");
$t->file('rotated/cut.gz', substr($gz, 0, -20));
is((verify("$dir/rotated/cut.gz", @rotated[1 .. $#rotated]))[0], 1,
    'one that is cut is not');

my ($script) = $t->slurp(TCCBS::Test::root()
    . '/debian/libnginx-mod-http-tccbs.logrotate')
    =~ /\tpreremove\n(.*?)\n\tendscript/s;
system('cp', '-r', "$dir/sealed", "$dir/kept");
$script =~ s{/var/lib/tccbs/checkpoints}{$dir/kept};
is(system('sh', '-c', $script, 'sh', $rotated[0]), 0, 'put aside');
is(scalar(() = glob("$dir/kept/deleted/*")), 1, 'the checkpoint of it');
($rc, $said) = tccbs("audit verify --mac-key $mac --key '$verifier' "
    . "--checkpoints $dir/kept", @rotated[1 .. $#rotated]);
is($rc, 0, 'a segment that was deleted with its checkpoint is not missed')
    or diag $said;

# without checkpoints the end may be cut off, and a receipt tells

my $lines = lines('audit.jsonl');
my $last = $answers[0]{headers}{'x-tccbs-receipt'};
my $short = join('', @{lines('audit.jsonl-1')}[0 .. 3]);
$t->file('tampered/short', $short);
($rc, $said) = tccbs("audit verify --mac-key $mac --receipt $receipts[-1] "
    . "$dir/tampered/short");
is($rc, 1, 'a receipt without its record');

# what a checkpoint is worth: only the key that signs

my ($note) = glob("$dir/sealed/*.checkpoint");
my $forged = $t->slurp($note) =~ s/\n\d+\n/\n1\n/r;
mkdir "$dir/forged";
$t->file('forged/x.checkpoint', $forged);
($rc, $said) = tccbs("audit verify --key '$verifier' --checkpoints "
    . "$dir/forged", paths());
like($said, qr/^checkpoint: \S+ is not signed by "test-sealer"/,
    'a forged checkpoint');

$t->file('tampered/audit.jsonl', $text{'audit.jsonl'} =~ s/"seq":3/"seq":4/r);
($rc, $said) = tccbs("audit seal --key $dir/keys/sealer --out $dir/forged "
    . "$dir/tampered/audit.jsonl");
is($rc, 1, 'what is broken is not sealed');

# show

($rc, $said) = tccbs('audit show --outcome success', paths());
is($rc, 0, 'show');
my $rows = () = $said =~ /^\S+Z  team-dr .* success /mg;
cmp_ok($rows, '>', 80, "rows: $rows");
unlike($said, qr/refused/, 'of that outcome only');
($rc, $said) = tccbs('audit show --region eu-frankfurt --json', paths());
is(scalar(grep { !/"from":"eu-frankfurt"/ } split(/\n/, $said)), 0,
    'by region, as JSON');
cmp_ok(scalar(split(/\n/, $said)), '>', 3, 'some');
($rc, $said) = tccbs('audit show --account nobody', paths());
unlike($said, qr/Z  /, 'of nobody');
($rc, $said) = tccbs('audit show --since 2999 --json', paths());
is($said, '', 'of a time to come');

is((tccbs('audit verify'))[0], 2, 'usage');
is((tccbs("audit verify --checkpoints $dir x"))[0], 2, 'usage: no key');
is((tccbs("audit verify $dir/none"))[0], 1, 'no such file');

$t->done;
