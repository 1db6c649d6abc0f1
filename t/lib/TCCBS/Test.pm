package TCCBS::Test;

# A gateway, an emulated CBS and clients, in a directory of their own.  At the
# end of each test file: no alert in the error log, no report of a sanitizer,
# no secret anywhere, and each answer in the one form.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use File::Find;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use JSON::XS;
use MIME::Base64;
use POSIX qw/ WNOHANG strftime /;
use Test::More;
use Time::HiRes qw/ time sleep /;

use TCCBS::Client;
use TCCBS::PKI;

use parent 'Exporter';
our @EXPORT_OK = qw/ copy /;

my $root = abs_path(__FILE__ =~ s{[^/]*$}{../../..}r);
my $objs = $ENV{TCCBS_OBJS} // 'objs';

our @live;

sub new {
    my ($class, %o) = @_;

    my $self = bless { workers => 1, log => 'info', exempt => [], %o },
        $class;

    $self->{dir} = tempdir('tccbs-XXXXXXXX', TMPDIR => 1,
        CLEANUP => !$ENV{TCCBS_LEAVE});
    chmod 0755, $self->{dir};

    $self->{pki} = TCCBS::PKI->new("$self->{dir}/pki");
    $self->{nginx} = $ENV{TCCBS_NGINX} // (grep { -x } '/usr/sbin/nginx',
        map { "$_/nginx" } split(/:/, $ENV{PATH}))[0]
        // die "no nginx, run \"make deps\"\n";
    $self->{module} = $ENV{TCCBS_MODULE}
        // "$root/$objs/ngx_http_tccbs_module.so";

    mkdir "$self->{dir}/$_" for qw/ keys emulator logs body conf /;
    chmod 0777, "$self->{dir}/$_" for qw/ logs body /;

    $self->{secrets} = {};
    $self->credential('prod');
    $self->key('team-dr');

    push @live, $self;

    return $self;
}

sub root { return $root }

sub random {
    my ($n) = @_;
    open(my $fh, '<', '/dev/urandom') or die "urandom: $!\n";
    my $text = '';

    while (length $text < $n) {
        sysread($fh, my $byte, 1);
        $text .= $byte if $byte =~ /[A-Za-z0-9]/;
    }

    return $text;
}

sub file {
    my ($self, $name, $text, $mode) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    unlink $path;
    open(my $fh, '>', $path) or die "$path: $!\n";
    chmod $mode // 0644, $path;
    print $fh $text;
    close $fh;

    return $path;
}

sub slurp {
    my ($self, $name) = @_;
    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
    open(my $fh, '<', $path) or return '';
    local $/;
    return <$fh> // '';
}

# a central credential that the emulator knows

sub credential {
    my ($self, $name, %o) = @_;

    my $c = { secret_id => 'AKID' . random(32), secret_key => random(32),
        $o{token} ? (token => random(120)) : () };

    $self->{credentials}{$name} = $c;
    $self->{secrets}{$_} = 1
        for grep { defined } $c->{secret_key}, $c->{token};

    $self->file("keys/$name.json", encode_json($c), 0400);
    $self->file('keys/emulator.json',
        encode_json([ values %{$self->{credentials}} ]), 0400);

    return $c;
}

# a gateway key

sub key {
    my ($self, $name) = @_;

    my $key = { id => 'AKIDgw' . random(26), secret => random(40) };

    $key->{path} = $self->file("keys/$name", "$key->{secret}\n", 0400);
    $self->{keys}{$name} = $key;
    $self->{secrets}{$key->{secret}} = 1;

    return $key;
}

sub account {
    my ($self, $name, %rules) = @_;

    my $key = $self->{keys}{$name} // $self->key($name);

    %rules = (credential => 'prod',
        actions => 'CopySnapshotCrossRegions DescribeSnapshots',
        from => 'ap-guangzhou ap-shanghai', to => 'ap-beijing ap-singapore',
        key => "$key->{id} file:$key->{path}", %rules);

    return "tccbs_account $name {\n" . join('', map { "    $_ $rules{$_};\n" }
        grep { defined $rules{$_} } sort keys %rules) . "}\n";
}

sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 1, ReuseAddr => 1) or die "no port: $!\n";
    return $socket->sockport;
}

# the configuration; parts: main, http, accounts, server, location, servers,
# pass, listen, upstream

sub conf {
    my ($self, %p) = @_;

    my $dir = $self->{dir};
    my $pki = $self->{pki};

    $self->{port} //= free_port();

    %p = (main => '', http => '', server => '', location => '',
        servers => '', listen => 'ssl',
        accounts => $self->account('team-dr'),
        zone => 'tccbs_zone tccbs:4m;',
        audit => "tccbs_audit $dir/audit.jsonl;",
        pass => 'https://cbs.intl.tencentcloudapi.com',
        upstream => $self->{emulator_port}
            ? "server 127.0.0.1:$self->{emulator_port};"
            : 'server 127.0.0.1:1;',
        keepalive => 'keepalive 4;', %p);

    my $user = $> == 0 ? 'user ' . $self->user . ';' : '';
    my $name = ($p{zone} =~ /(\w+):/)[0];

    return <<END;
load_module $self->{module};
$user
worker_processes $self->{workers};
worker_shutdown_timeout 70s;
daemon off;
pid $dir/nginx.pid;
error_log $dir/logs/error.log $self->{log};
$p{main}
events { worker_connections 1024; }
http {
    access_log $dir/logs/access.log;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/body/proxy;
    fastcgi_temp_path $dir/body/fastcgi;
    uwsgi_temp_path $dir/body/uwsgi;
    scgi_temp_path $dir/body/scgi;
    $p{zone}
    tccbs_credential prod { file $dir/keys/prod.json; }
    $p{audit}
    $p{accounts}
    upstream cbs.intl.tencentcloudapi.com {
        $p{upstream}
        $p{keepalive}
    }
    tccbs_ssl_trusted_certificate $pki->{dir}/ca.crt;
    $p{http}
    server {
        listen 127.0.0.1:$self->{port} $p{listen};
        server_name cbs.gw.test;
        ssl_certificate $pki->{dir}/gateway.crt;
        ssl_certificate_key $pki->{dir}/gateway.key;
        $p{server}
        location / {
            tccbs_pass $p{pass};
            $p{location}
        }
    }
    $p{servers}
}
END
}

sub user {
    return (getpwnam 'www-data') ? 'www-data' : 'nobody';
}

sub emulator {
    my ($self, @args) = @_;

    my $dir = "$self->{dir}/emulator";

    unlink "$dir/emulator.json";

    my %o = (cert => $self->{pki}->path('upstream.crt'),
        key => $self->{pki}->path('upstream.key'), @args);

    $self->{emulator_pid} = $self->spawn("$dir/stderr", $^X,
        "$root/t/bin/cbs-emulator", '--dir', $dir,
        '--secrets', "$self->{dir}/keys/emulator.json",
        $o{plain} ? '--plain' : ('--cert', $o{cert}, '--key', $o{key}),
        $o{port} ? ('--port', $o{port}) : ());

    $self->wait_for(sub { -s "$dir/emulator.json" }, 20)
        or die "no emulator: " . $self->slurp('emulator/stderr');

    $self->{emulator_port} =
        decode_json($self->slurp('emulator/emulator.json'))->{port};

    return $self;
}

sub spawn {
    my ($self, $out, @command) = @_;

    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>>', $out);
        open(STDERR, '>>', $out);
        exec(@command) or POSIX::_exit(127);
    }

    return $pid;
}

# starts the emulator, unless it runs, and nginx

sub run {
    my ($self, %conf) = @_;

    $self->emulator if !$self->{emulator_pid};
    $self->file('nginx.conf', $self->conf(%conf));
    $self->start;

    return $self;
}

sub start {
    my ($self) = @_;

    local $ENV{LD_PRELOAD} = $ENV{TCCBS_LD_PRELOAD}
        if $ENV{TCCBS_LD_PRELOAD};

    $self->{pid} = $self->spawn("$self->{dir}/logs/stderr",
        $self->{nginx}, '-p', $self->{dir},
        '-e', "$self->{dir}/logs/error.log",
        '-c', "$self->{dir}/nginx.conf");

    $self->wait_for(sub {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $self->{port}) || waitpid($self->{pid}, WNOHANG) > 0
    }, 20) && kill(0, $self->{pid})
        or die "nginx does not start: " . $self->slurp('logs/stderr')
            . $self->slurp('logs/error.log');
}

# nginx -t: exit code and what it said

sub check {
    my ($self, %conf) = @_;

    return $self->check_text($self->conf(%conf));
}

sub check_text {
    my ($self, $text) = @_;

    my $path = $self->file('conf/check.conf', $text);

    local $ENV{LD_PRELOAD} = $ENV{TCCBS_LD_PRELOAD}
        if $ENV{TCCBS_LD_PRELOAD};

    my $said = `$self->{nginx} -p $self->{dir} -e stderr -t -c $path 2>&1`;

    return ($? >> 8, $said);
}

sub client {
    my ($self, %o) = @_;

    my $key = $self->{keys}{$o{account} // 'team-dr'};

    return TCCBS::Client->new(port => $self->{port},
        ca => $self->{pki}->path('ca.crt'), id => $key->{id},
        secret => $key->{secret}, seen => sub { $self->seen(@_) }, %o);
}

sub call {
    my ($self, $action, $params, %o) = @_;
    my $client = $self->client(%{$o{client} // {}});
    my $answer = $client->call($action, $params, %o, close => 1);
    $client->close;
    return $answer;
}

# parameters of a copy of a snapshot that was not used before

my $serial = 0;

sub copy {
    my (%o) = @_;

    return { SnapshotId => sprintf('snap-%08d', ++$serial),
        DestinationRegions => [ 'ap-beijing' ], %o };
}

sub seen {
    my ($self, $answer) = @_;

    return if $self->{any_answer};

    my $bad = $answer->{status} != 200 ? "status $answer->{status}"
        : ($answer->{type} // '') ne 'application/json'
            ? 'type ' . ($answer->{type} // 'none')
        : !$answer->{id} ? "no envelope: $answer->{body}" : undef;

    push @{$self->{bad}}, $bad if $bad;
}

sub faults {
    my ($self, @faults) = @_;
    $self->file('emulator/faults.json', @faults ? encode_json(\@faults) : '');
}

sub lines {
    my ($self, $name) = @_;

    my @lines = split(/\n/, $self->slurp($name));

    return map { my $line = $_; eval { decode_json($line) }
        // die "no JSON in $name: $line\n" } grep { length } @lines;
}

sub emulated { return shift->lines('emulator/emulator.jsonl') }

sub audit {
    my ($self, %want) = @_;

    return grep {
        my $record = $_;
        !grep { ($record->{$_} // '') ne $want{$_} } keys %want;
    } $self->lines('audit.jsonl');
}

sub wait_for {
    my ($self, $code, $timeout) = @_;

    my $end = time + ($timeout // 10);

    while (time < $end) {
        my $result = $code->();
        return $result if $result;
        sleep 0.01;
    }

    return;
}

sub workers {
    my ($self) = @_;

    my $children = $self->slurp("/proc/$self->{pid}/task/$self->{pid}/children");

    return split(' ', $children);
}

# HUP; returns when the new workers listen and, unless told, the old are gone

sub reload {
    my ($self, %o) = @_;

    my %old = map { $_ => 1 } $self->workers;

    kill 'HUP', $self->{pid};

    return $self->wait_for(sub {
        my @workers = $self->workers;
        my @new = grep { !$old{$_} } @workers;
        return @new >= $self->{workers} && ($o{keep} || @new == @workers);
    }, 30);
}

sub stop {
    my ($self, $signal) = @_;

    my $pid = delete $self->{pid} or return;

    kill $signal // 'QUIT', $pid;

    my $gone = $self->wait_for(sub { waitpid($pid, WNOHANG) != 0 }, 90);

    if (!$gone) {
        kill 'KILL', $pid;
        waitpid($pid, 0);
        push @{$self->{bad}}, 'nginx did not stop';
    }
}

sub stop_emulator {
    my ($self) = @_;
    my $pid = delete $self->{emulator_pid} or return;
    kill 'TERM', $pid;
    waitpid($pid, 0);
}

# the checks that each test file ends with

sub done {
    my ($self) = @_;

    $self->finish;
    done_testing();
}

sub finish {
    my ($self) = @_;

    $self->stop;
    $self->stop_emulator;

    my @bad = @{$self->{bad} // []};
    is(scalar @bad, 0, 'each answer has the one form')
        or diag(join("\n", @bad));

    my @alerts = grep { /\[(alert|crit|emerg)\]/ }
        split(/\n/, $self->slurp('logs/error.log'));

    for my $exempt (@{$self->{exempt}}) {
        @alerts = grep { !/$exempt/ } @alerts;
    }

    is(scalar @alerts, 0, 'no alert') or diag(join("\n", @alerts));

    my @reports = grep { /(AddressSanitizer|LeakSanitizer|runtime error)/ }
        map { split(/\n/, $self->slurp($_)) } qw{ logs/error.log logs/stderr };
    is(scalar @reports, 0, 'no report of a sanitizer')
        or diag($self->slurp('logs/stderr'));

    my @leaks = $self->leaks;
    is(scalar @leaks, 0, 'no secret anywhere') or diag("in @leaks");

    my $noise = $self->slurp('emulator/stderr');
    is($noise, '', 'the emulator is well');

    @live = grep { $_ != $self } @live;
}

sub leaks {
    my ($self) = @_;

    my @forms = map {
        my $secret = $_;
        ($secret, unpack('H*', $secret), scalar reverse($secret),
            map { substr(encode_base64($_, ''), 4, -4) }
                $secret, " $secret", "  $secret");
    } keys %{$self->{secrets}};

    my $any = join('|', map { quotemeta } @forms);
    my @found;

    # upstream a token is sent as it is: the emulator saw it rightly
    my @skip = ("$self->{dir}/keys", "$self->{dir}/emulator");

    find({ no_chdir => 1, wanted => sub {
        return if !-f || !-s;
        my $path = $_;
        return if grep { index($path, "$_/") == 0 } @skip;
        push @found, $path if $self->slurp($path) =~ /$any/;
    } }, $self->{dir});

    return @found;
}

END {
    my $status = $?;

    for my $self (@live) {
        kill 'KILL', grep { defined } $self->workers, $self->{pid}
            if $self->{pid};
        kill 'TERM', $self->{emulator_pid} if $self->{emulator_pid};
    }

    $? = $status;
}

1;
