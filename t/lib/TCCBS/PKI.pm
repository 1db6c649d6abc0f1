package TCCBS::PKI;

# Certificates of the tests, made once in objs/test-pki and again when they
# grow old:
#
#   ca           signs upstream, gateway, client (CN=team-dr,O=example),
#                other (another client), wrongname and expired
#   rogue        a CA that nobody trusts; rogue-upstream, rogue-client

use strict;
use warnings;

use File::Path qw/ make_path remove_tree /;
use POSIX qw/ strftime /;

my $upstream = 'cbs.intl.tencentcloudapi.com';
my $days = 30;

# new(directory): the certificates there; cached(directory) shares them

sub new {
    my ($class, $dir) = @_;

    my $self = bless { dir => $dir }, $class;

    make_path($dir);

    $self->ca('ca');
    $self->cert('upstream', 'ca', "/CN=$upstream", "DNS:$upstream");
    $self->cert('gateway', 'ca', '/CN=cbs.gw.test',
        'DNS:cbs.gw.test,DNS:localhost,IP:127.0.0.1');
    $self->cert('client', 'ca', '/O=example/CN=team-dr');
    $self->cert('other', 'ca', '/O=example/CN=team-other');
    $self->cert('wrongname', 'ca', '/CN=cbs.example', 'DNS:cbs.example');
    $self->expired('expired', 'ca', "/CN=$upstream", "DNS:$upstream");
    $self->ca('rogue');
    $self->cert('rogue-upstream', 'rogue', "/CN=$upstream", "DNS:$upstream");
    $self->cert('rogue-client', 'rogue', '/O=example/CN=team-dr');

    return $self;
}

sub cached {
    my ($class, $dir) = @_;

    my $self = bless { dir => $dir }, $class;

    return $self if -f "$dir/rogue-client.crt"
        && -M "$dir/rogue-client.crt" < $days / 3;

    my $new = "$dir.$$";

    remove_tree($new);
    $class->new($new);
    rename($dir, "$dir.old.$$");
    rename($new, $dir) or remove_tree($new);
    remove_tree("$dir.old.$$");

    return $self;
}

sub path {
    my ($self, $name) = @_;
    return "$self->{dir}/$name";
}

sub ca {
    my ($self, $name) = @_;

    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:P-256', '-nodes', '-days', $days,
        '-subj', "/CN=test $name", '-keyout', $self->path("$name.key"),
        '-out', $self->path("$name.crt"));
}

# cert(name, ca, subject, subjectAltName, days)

sub cert {
    my ($self, $name, $ca, $subject, $san, $valid) = @_;

    $self->csr($name, $subject, $san);

    openssl('x509', '-req', '-in', $self->path("$name.csr"),
        '-CA', $self->path("$ca.crt"), '-CAkey', $self->path("$ca.key"),
        '-CAcreateserial', '-days', $valid // $days,
        '-extfile', $self->path("$name.ext"),
        '-out', $self->path("$name.crt"));
}

# "openssl x509" gives no certificate of the past

sub expired {
    my ($self, $name, $ca, $subject, $san) = @_;

    $self->csr($name, $subject, $san);

    my $work = $self->path("$name.d");
    make_path($work);
    file("$work/index.txt", '');
    file("$work/conf", "[ca]\ndefault_ca=c\n[c]\ndatabase=$work/index.txt\n"
        . "new_certs_dir=$work\nrand_serial=yes\ndefault_md=sha256\n"
        . "policy=p\n[p]\ncommonName=supplied\n");

    my $at = sub { strftime('%Y%m%d%H%M%SZ', gmtime(time - 86400 * shift)) };

    openssl('ca', '-batch', '-notext', '-config', "$work/conf",
        '-cert', $self->path("$ca.crt"), '-keyfile', $self->path("$ca.key"),
        '-startdate', $at->(10), '-enddate', $at->(1),
        '-extfile', $self->path("$name.ext"),
        '-in', $self->path("$name.csr"), '-out', $self->path("$name.crt"));

    remove_tree($work);
}

sub csr {
    my ($self, $name, $subject, $san) = @_;

    file($self->path("$name.ext"), "basicConstraints=CA:FALSE\n"
        . ($san ? "subjectAltName=$san\n" : ''));

    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
        '-nodes', '-subj', $subject, '-keyout', $self->path("$name.key"),
        '-out', $self->path("$name.csr"));
}

sub file {
    my ($path, $text) = @_;
    open(my $fh, '>', $path) or die "$path: $!\n";
    print $fh $text;
    close $fh;
}

sub openssl {
    my @args = @_;

    local %ENV = %ENV;
    delete $ENV{LD_PRELOAD};

    my $pid = open(my $fh, '-|') // die "fork: $!\n";

    if ($pid == 0) {
        open(STDERR, '>&', \*STDOUT);
        exec('openssl', @args) or POSIX::_exit(127);
    }

    my $said = do { local $/; <$fh> } // '';
    close $fh or die "openssl @args[0, 1] failed: $said\n";
}

1;
