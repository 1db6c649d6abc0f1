package TCCBS::Redis;

# A Redis of Debian without any file on the disk, a client for it, and between
# it and the gateway a wire that can be made bad: see t/bin/redis-wire.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw/ WNOHANG /;
use Time::HiRes qw/ time sleep /;

use TCCBS::Conf;

my $serial = 0;
my @live;

# new(the gateway, options of redis-server)

sub new {
    my ($class, $t, @options) = @_;

    my $dir = sprintf('%s/redis%d', $t->{dir}, ++$serial);
    mkdir $dir or die "$dir: $!\n";
    chmod 0755, $dir;

    my $self = bless { t => $t, dir => $dir, options => \@options,
        owner => $$, path => "$dir/sock" }, $class;

    push @live, $self;

    return $self->start;
}

sub start {
    my ($self) = @_;

    unlink $self->{path};

    $self->{pid} = $self->{t}->spawn("$self->{dir}/log", 'redis-server',
        '--port', 0, '--unixsocket', $self->{path}, '--unixsocketperm', 777,
        '--save', '', '--appendonly', 'no', '--dir', $self->{dir},
        @{$self->{options}});

    $self->{t}->wait_for(sub {
        waitpid($self->{pid}, WNOHANG) != 0 || IO::Socket::UNIX->new(
            Peer => $self->{path}) }, 20);

    kill(0, $self->{pid}) or die "no redis-server: "
        . $self->{t}->slurp("$self->{dir}/log") . "\n";

    return $self;
}

sub url { return "redis://unix:$_[0]{path}" . ($_[1] // '') }

sub stop {
    my ($self, $signal) = @_;
    my $pid = delete $self->{pid} or return;
    kill $signal // 'KILL', $pid;
    waitpid($pid, 0);
}

sub signal { return kill $_[1], $_[0]{pid} }

# command(words): the reply; an error is a reference to its text

sub command {
    my ($self, @words) = @_;

    my $socket = IO::Socket::UNIX->new(Peer => $self->{path})
        or die "$self->{path}: $!\n";

    print $socket '*' . @words . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;

    return reply($socket);
}

sub reply {
    my ($socket) = @_;

    my $line = <$socket> // die "redis is gone\n";
    $line =~ s/\r\n//;
    my ($type, $rest) = $line =~ /^(.)(.*)/;

    return $rest if $type =~ /[+:]/;
    return \$rest if $type eq '-';
    return undef if $rest < 0;

    return [ map { reply($socket) } 1 .. $rest ] if $type eq '*';

    read($socket, my $text, $rest + 2);
    return substr($text, 0, $rest);
}

# a wire to it, on a port of its own

sub wire {
    my ($self) = @_;

    $self->{wire_port} //= TCCBS::Conf::free_port();
    $self->{t}->file("$self->{dir}/mode", 'pass');
    $self->{wire_pid} = $self->{t}->spawn("$self->{dir}/wire.log", $^X,
        $self->{t}->root . '/t/bin/redis-wire', $self->{wire_port},
        $self->{path}, "$self->{dir}/mode");

    $self->{t}->wait_for(sub { IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{wire_port}) }, 20)
        or die "no wire: " . $self->{t}->slurp("$self->{dir}/wire.log");

    return "redis://127.0.0.1:$self->{wire_port}";
}

# what was asked over it

sub asked { return $_[0]{t}->slurp("$_[0]{dir}/wire.log") =~ /^asked$/mg }

# replies that were lost on it

sub lost { return $_[0]{t}->slurp("$_[0]{dir}/wire.log") =~ /^lost$/mg }

sub mode {
    my ($self, $mode) = @_;
    $self->{t}->file("$self->{dir}/mode", $mode);
}

sub cut_wire {
    my ($self) = @_;
    my $pid = delete $self->{wire_pid} or return;
    kill 'KILL', $pid;
    waitpid($pid, 0);
}

END {
    my $status = $?;

    for my $self (grep { $_->{owner} == $$ } @live) {
        $self->cut_wire;
        $self->stop;
    }

    $? = $status;
}

1;
