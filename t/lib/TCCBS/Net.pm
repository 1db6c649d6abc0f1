package TCCBS::Net;

# Network namespaces: the test itself, with Redis and CBS, is in one; each
# gateway is in one of its own, with a wire to CBS and a wire to Redis.  Needs
# root, or a kernel that lets anybody make them.

use strict;
use warnings;

use POSIX ();

my $namespace = 0x40000000;                 # CLONE_NEWNET
my $user = 0x10000000;
my %numbers = (x86_64 => [ 272, 308 ], aarch64 => [ 97, 268 ]);
my ($unshare, $setns) = @{$numbers{(POSIX::uname)[4]} // []};

# new: or undef, with the reason in $@

sub new {
    my ($class) = @_;

    my ($uid, $gid) = ($>, $) + 0);
    my $flags = $namespace | ($uid ? $user : 0);

    if (!$unshare || syscall($unshare, $flags) != 0) {
        $@ = 'no network namespace: ' . ($unshare ? $! : 'unknown machine');
        return;
    }

    if ($uid) {
        put('/proc/self/setgroups', 'deny');
        put('/proc/self/uid_map', "0 $uid 1");
        put('/proc/self/gid_map', "0 $gid 1");
    }

    open(my $home, '<', '/proc/self/ns/net') or die "namespace: $!\n";

    my $self = bless { home => $home, nodes => {}, owner => $$ }, $class;

    if (!ip('link set lo up')) {
        $@ = 'no "ip", install iproute2';
        return;
    }

    return $self;
}

sub put {
    my ($path, $text) = @_;
    open(my $fh, '>', $path) or die "$path: $!\n";
    syswrite($fh, $text) or die "$path: $!\n";
}

# before others on a busy machine, as far as it is allowed: where the kernel
# has groups for sessions, a priority counts within its group only

sub hurry {
    eval { setpriority(0, 0, -15) };

    eval { put('/proc/self/autogroup', -15) }
        if -e '/proc/self/autogroup' && POSIX::setsid() > 0;
}

sub ip { return system("ip $_[0]") == 0 }

# node(N): a namespace whose wires end at 10.1.N.1, CBS, and 10.2.N.1, Redis

sub node {
    my ($self, $n) = @_;

    pipe(my $from, my $to) or die "pipe: $!\n";

    # somebody has to be there until the other ends are

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        close $from;
        my $bad = syscall($unshare, $namespace);
        syswrite($to, $bad ? 'x' : '.');
        close $to;
        sleep 1 while getppid == $self->{owner};
        POSIX::_exit(0);
    }

    close $to;
    sysread($from, my $ready, 1);
    die "no network namespace\n" if ($ready // '') ne '.';

    open($self->{nodes}{$n}, '<', "/proc/$pid/ns/net") or die "$pid: $!\n";

    ip("link add cbs$n type veth peer name cbs netns $pid")
        && ip("link add redis$n type veth peer name redis netns $pid")
        && ip("addr add 10.1.$n.1/24 dev cbs$n")
        && ip("addr add 10.2.$n.1/24 dev redis$n")
        && ip("link set cbs$n up") && ip("link set redis$n up")
        or die "no wires\n";

    $self->inside($n, sub {
        ip('link set lo up')
            && ip("addr add 10.1.$n.2/24 dev cbs")
            && ip("addr add 10.2.$n.2/24 dev redis")
            && ip('link set cbs up') && ip('link set redis up')
            or die "no wires\n";
    });

    kill 'KILL', $pid;
    waitpid($pid, 0);
}

# what is started and connected in there stays there

sub inside {
    my ($self, $n, $code) = @_;

    syscall($setns, fileno $self->{nodes}{$n}, $namespace) == 0
        or die "setns: $!\n";

    my $result = eval { $code->() };
    my $error = $@;

    syscall($setns, fileno $self->{home}, $namespace) == 0
        or die "setns: $!\n";

    die $error if $error;

    return $result;
}

# a wire to Redis is cut, without a word to either end, or mended

sub cut { return ip("link set redis$_[1] down") }
sub mend { return ip("link set redis$_[1] up") }

1;
