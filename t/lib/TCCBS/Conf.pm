package TCCBS::Conf;

# The configuration of a gateway under test, as a template with holes.

use strict;
use warnings;

use IO::Socket::INET;

# a port that is free now

sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => 0, Listen => 1, ReuseAddr => 1) or die "no port: $!\n";
    return $socket->sockport;
}

sub user {
    return (getpwnam 'www-data') ? 'www-data' : 'nobody';
}

# an account that may do the usual; a rule set to undef is left out

sub account {
    my ($name, $key, %rules) = @_;

    %rules = (credential => 'prod',
        actions => 'CopySnapshotCrossRegions DescribeSnapshots',
        from => 'ap-guangzhou ap-shanghai', to => 'ap-beijing ap-singapore',
        key => $key && "$key->{id} file:$key->{path}", %rules);

    return "tccbs_account $name {\n" . join('', map { "    $_ $rules{$_};\n" }
        grep { defined $rules{$_} } sort keys %rules) . "}\n";
}

# a server on a port of its own, for accounts by the header X-Who; with more for
# its location

sub mapped {
    my ($port, $more) = @_;
    $more //= '';

    return <<END;
    server {
        listen 127.0.0.1:$port;
        location / {
            $more
            tccbs_identity \$http_x_who trusted;
            tccbs_pass https://cbs.intl.tencentcloudapi.com;
        }
    }
END
}

# 1022001 is 1.22.1

my %version;

sub version {
    my ($nginx) = @_;

    return $version{$nginx} //= `$nginx -v 2>&1` =~ m{nginx/(\d+)\.(\d+)\.(\d+)}
        ? $1 * 1_000_000 + $2 * 1_000 + $3 : 0;
}

# Holes: main, events, http, accounts, server, location, servers (text that is
# added); daemon, connections, zone, credential, audit, pass, listen, upstream, keepalive,
# trusted, core_dump (text that replaces).

sub text {
    my ($t, %p) = @_;

    my $dir = $t->{dir};
    my $pki = $t->{pki}{dir};

    %p = (main => '', events => '', http => '', server => '', location => '',
        servers => '', listen => 'ssl', daemon => 'off',
        connections => 1024,
        accounts => $t->account('team-dr'),
        zone => 'tccbs_zone tccbs:4m;',
        credential => "tccbs_credential prod { file $dir/keys/prod.json;"
            . " limit 10000r/s; }",
        audit => "tccbs_audit $dir/audit.jsonl;",
        trusted => "tccbs_ssl_trusted_certificate $pki/ca.crt;",
        pass => 'https://cbs.intl.tencentcloudapi.com',
        upstream => $t->{emulator_port}
            ? "server 127.0.0.1:$t->{emulator_port};"
            : 'server 127.0.0.1:1;',
        keepalive => 'keepalive 4;',
        # who is not root could not look into a worker otherwise
        core_dump => $> == 0 ? '' : 'tccbs_core_dump on;', %p);

    # from 1.29.7 on connections are kept unless this is said

    $p{keepalive} = 'keepalive 0;'
        if $p{keepalive} eq '' && version($t->{nginx}) >= 1029007;

    my $user = $> == 0 ? 'user ' . user() . ';' : '';

    # a binary that replaces this one gets what is named here

    my $env = $ENV{TCCBS_LD_PRELOAD} ? 'env LD_PRELOAD; env ASAN_OPTIONS;' : '';

    return <<END;
load_module $t->{module};
$user
worker_processes $t->{workers};
worker_shutdown_timeout 70s;
daemon $p{daemon};
pid $dir/nginx.pid;
error_log $dir/logs/error.log $t->{log};
$env $p{main}
events { worker_connections $p{connections}; $p{events} }
http {
    access_log $dir/logs/access.log;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/body/proxy;
    fastcgi_temp_path $dir/body/fastcgi;
    uwsgi_temp_path $dir/body/uwsgi;
    scgi_temp_path $dir/body/scgi;
    $p{zone}
    $p{core_dump}
    $p{credential}
    $p{audit}
    $p{accounts}
    upstream cbs.intl.tencentcloudapi.com {
        $p{upstream}
        $p{keepalive}
    }
    $p{trusted}
    $p{http}
    server {
        listen 127.0.0.1:$t->{port} $p{listen};
        server_name cbs.gw.test;
        ssl_certificate $pki/gateway.crt;
        ssl_certificate_key $pki/gateway.key;
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

1;
