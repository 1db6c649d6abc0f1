package TCCBS::Sources;

# Where temporary credentials come from in a test: starts t/bin/cbs-sources,
# and makes the credentials that it gives, which the emulator knows.

use strict;
use warnings;

use JSON::XS;

use TCCBS::Test;

my $json = JSON::XS->new->ascii->canonical;

sub new {
    my ($class, $t) = @_;

    my $dir = "$t->{dir}/keys/sources";
    mkdir $dir or die "$dir: $!\n";

    my $self = bless { t => $t, dir => $dir, n => 0,
        state => { roles => {}, sts => {}, known => [], faults => {} } },
        $class;

    $self->write;
    $self->{pid} = $t->spawn("$dir/stderr", $^X,
        TCCBS::Test::root() . '/t/bin/cbs-sources', $dir, $t->{pki}{dir});

    $t->wait_for(sub { -s "$dir/ports.json" }, 20) or die "no sources\n";
    $self->{ports} = decode_json($t->slurp("$dir/ports.json"));

    return $self;
}

sub write {
    my ($self) = @_;
    $self->{t}->file("$self->{dir}/state.json", $json->encode($self->{state}));
}

# a temporary credential that the emulator knows, valid for so many seconds

sub issue {
    my ($self, $seconds) = @_;

    my $t = $self->{t};
    my $name = 'temporary' . ++$self->{n};
    my $c = $t->credential($name, token => 1);

    push @{$self->{state}{known}}, $c;

    return { TmpSecretId => $c->{secret_id}, TmpSecretKey => $c->{secret_key},
        Token => $c->{token}, ExpiredTime => int(time) + $seconds };
}

# role(part, triple, role): what metadata says below /part/

sub role {
    my ($self, $part, $triple, $role) = @_;
    $self->{state}{roles}{$part} = { role => $role // 'gw-role',
        triple => $triple };
    $self->write;
}

sub sts {
    my ($self, $arn, $triple, %o) = @_;
    $self->{state}{sts}{$arn} = { triple => $triple, action => 'AssumeRole',
        params => {}, %o };
    $self->write;
}

sub known {
    my ($self, @secrets) = @_;
    push @{$self->{state}{known}}, @secrets;
    $self->write;
}

sub faults {
    my ($self, %faults) = @_;
    $self->{state}{faults} = \%faults;
    $self->write;
}

sub url {
    my ($self, $part) = @_;
    return "http://127.0.0.1:$self->{ports}{plain}/$part/";
}

# STS with that certificate

sub sts_url {
    my ($self, $cert) = @_;
    return "https://localhost:$self->{ports}{$cert // 'gateway'}";
}

sub requests {
    my ($self, $key) = @_;
    return grep { !defined $key || $_->{key} eq $key }
        $self->{t}->lines("$self->{dir}/log.jsonl");
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'TERM', $pid;
    waitpid($pid, 0);
}

1;
