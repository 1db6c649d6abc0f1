package TCCBS::PKI;

# Certificates of a test: a CA with what it signed, and another CA that nobody
# trusts.

use strict;
use warnings;

sub new {
    my ($class, $dir) = @_;

    my $self = bless { dir => $dir }, $class;

    mkdir $dir;

    $self->ca('ca');
    $self->cert('upstream', 'ca', '/CN=cbs.intl.tencentcloudapi.com',
        'DNS:cbs.intl.tencentcloudapi.com');
    $self->cert('gateway', 'ca', '/CN=cbs.gw.test',
        'DNS:cbs.gw.test,DNS:localhost,IP:127.0.0.1');

    return $self;
}

sub path {
    my ($self, $name) = @_;
    return "$self->{dir}/$name";
}

sub ca {
    my ($self, $name) = @_;

    run('req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:P-256', '-nodes', '-days', 30,
        '-subj', "/CN=test $name", '-keyout', $self->path("$name.key"),
        '-out', $self->path("$name.crt"));
}

# cert(name, ca, subject, subjectAltName, days)

sub cert {
    my ($self, $name, $ca, $subject, $san, $days) = @_;

    my $ext = $self->path("$name.ext");

    open(my $fh, '>', $ext) or die "$ext: $!\n";
    print $fh $san ? "subjectAltName=$san\n" : "basicConstraints=CA:FALSE\n";
    close $fh;

    run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
        '-nodes', '-subj', $subject, '-keyout', $self->path("$name.key"),
        '-out', $self->path("$name.csr"));
    run('x509', '-req', '-in', $self->path("$name.csr"),
        '-CA', $self->path("$ca.crt"), '-CAkey', $self->path("$ca.key"),
        '-CAcreateserial', '-days', $days // 30, '-extfile', $ext,
        '-out', $self->path("$name.crt"));
}

sub run {
    my $pid = fork // die "fork: $!\n";

    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        exec('openssl', @_) or exit 127;
    }

    waitpid($pid, 0);
    die "openssl @_[0, 1] failed\n" if $?;
}

1;
