package TCCBS::Mutate;

# Requests for t/differential.t: valid ones of all kinds that SDKs make, and
# what chance makes of them.  A seed gives the same requests again.

use strict;
use warnings;

use CBS::TC3;

# a generator of our own, so that no other use of rand() gets in between

sub new {
    my ($class, %o) = @_;
    my $self = bless { state => $o{seed} & 0x7fffffff, keys => $o{keys},
        hosts => $o{hosts}, day => {} }, $class;
    $self->below(2) for 1 .. 8;
    return $self;
}

sub below {
    my ($self, $n) = @_;
    $self->{state} = ($self->{state} * 1103515245 + 12345) & 0x7fffffff;
    return ($self->{state} >> 8) % $n;
}

sub one {
    my ($self, @of) = @_;
    return $of[$self->below(scalar @of)];
}

sub chance { return $_[0]->below($_[1]) == 0 }

# midnights, a leap day, the turn of a year, and any time

my @times = (1709164800, 1709251200, 1767225600, 1735689600, 4107542400,
    1700000000, 9999999999, 10000000000);

my @hosts = ('cbs.gw.test', 'cbs.gw.test:8443', 'CBS.gw.test',
    'Cbs.GW.test:443', '127.0.0.1:18080', 'copygw:18080', 'copygw', 'CopyGW',
    '[::1]:8443', '[::1]', 'cbs.gw.test.', 'a.b', ':1', '1', 'x:', '::1');

my @types = ('application/json', 'application/json; charset=utf-8',
    'Application/JSON', 'application/x-www-form-urlencoded', 'a');

my @optional = qw/ x-tc-action x-tc-language x-tc-region x-tc-timestamp
    x-tc-version x-extra /;

# a request that is signed as an SDK would, or in another way that is allowed

sub valid {
    my ($self) = @_;

    my $now = $self->one(@times) + $self->below(3) * $self->below(700) - 300;
    my $stamp = $now + $self->below(601) - 300;
    my $host = $self->one(@hosts);
    my $get = $self->chance(6);
    my @ids = sort keys %{$self->{keys}};

    my $r = { now => $now, method => $get ? 'GET' : 'POST',
        query => $get ? $self->one('', 'a=b', 'A=%20&b', '?') : '',
        body => $self->one('{}', '', '{"a":1}', "\0\xff\n",
            'x' x $self->below(200)),
        headers => [ [ 'Host', $host ], [ 'Content-Type', $self->one(@types) ],
            [ 'X-TC-Action', $self->one('CopySnapshotCrossRegions', ' A b ') ],
            [ 'X-TC-Version', '2017-03-12' ],
            [ 'X-TC-Region', 'ap-guangzhou' ],
            [ 'X-TC-Timestamp', $stamp ],
            [ 'X-TC-Language', 'zh-CN' ], [ 'X-Extra', " \tMiXed\t " ] ] };

    my $bare = $host =~ /^(.+):[0-9]+$/s ? $1 : $host;
    my ($label) = $host =~ /^([^.]*)/;

    my $sign = { id => $self->one(@ids), date => CBS::TC3::date($stamp),
        stamp => $stamp, type => $r->{headers}[1][1],
        service => $self->one('cbs', 'cbs', 'cbs', $label, lc $label,
            uc $label),
        host => $self->one($host, $host, $bare, lc $host, lc $bare,
            @{$self->{hosts}}),
        names => [ sort 'content-type', 'host',
            grep { $self->chance(4) } @optional ],
        space => $self->one(' ', ' ', '  '), comma => $self->one(', ', ',') };

    $sign->{service} = 'cbs' if $sign->{service} eq '';
    $sign->{type} = lc $sign->{type} if $self->chance(3);

    return ($r, $sign);
}

sub header {
    my ($r, $name) = @_;
    my ($header) = grep { lc $_->[0] eq $name } @{$r->{headers}};
    return $header;
}

sub sign {
    my ($self, $r, $sign) = @_;

    my @headers = map {
        my $header = header($r, $_);
        my $value = $_ eq 'host' ? $sign->{host}
            : $_ eq 'content-type' ? $sign->{type}
            : $header ? lc($header->[1] =~ s/^[ \t]+|[ \t]+$//gr) : '';
        [ $_, $value ]
    } @{$sign->{names}};

    my $secret = $self->{keys}{$sign->{id}} // 'none';

    my $signature = CBS::TC3::signature($secret, $sign->{stamp},
        $sign->{date}, $sign->{service}, CBS::TC3::canonical($r->{method},
            $sign->{uri} // '/', $r->{query}, \@headers,
            $sign->{body} // ($r->{method} eq 'GET' ? '' : $r->{body})));

    push @{$r->{headers}}, [ 'Authorization', join('', 'TC3-HMAC-SHA256',
        $sign->{space}, "Credential=$sign->{id}/$sign->{date}/",
        "$sign->{service}/tc3_request", $sign->{comma}, 'SignedHeaders=',
        join(';', @{$sign->{names}}), $sign->{comma},
        "Signature=$signature") ];
}

# what is wrong, or odd, and signed like that

my @before = (
    sub { $_[2]{service} = $_[0]->one(qw/ cvm CBS Cbs cb cbs2 127 copygw /) },
    sub { $_[2]{service} = header($_[1], 'host')->[1] },
    sub { $_[2]{service} = lc header($_[1], 'host')->[1] },
    sub { $_[2]{service} = 's' x (250 + $_[0]->below(12)) },
    sub { $_[2]{date} = CBS::TC3::date($_[2]{stamp}
        + $_[0]->one(86400, -86400)) },
    sub { $_[2]{date} = $_[0]->one('2026-1-01', '20260101', 'today',
        '2026-02-30', '0000-00-00') },
    sub { $_[2]{id} = $_[0]->one('AKIDnobody', lc $_[2]{id}, "$_[2]{id}x",
        '', 'a b') },
    sub { $_[2]{names} = [ reverse @{$_[2]{names}} ] },
    sub { $_[2]{names} = [ sort @{$_[2]{names}}, $_[2]{names}[0] ] },
    sub { $_[2]{names} = [ grep { $_ ne 'host' } @{$_[2]{names}} ] },
    sub { $_[2]{names} = [ grep { $_ ne 'content-type' } @{$_[2]{names}} ] },
    sub { $_[2]{names} = [ sort @{$_[2]{names}}, 'x-absent' ] },
    sub { $_[2]{names} = [ sort @{$_[2]{names}},
        map { "a$_" } 10 .. 20 + $_[0]->below(8) ];
        push @{$_[1]{headers}}, map { [ "a$_", 'v' ] } 10 .. 28 },
    sub { my $n = $_[2]{names}; $n->[$_[0]->below(scalar @$n)] =~
        s/(.)$/\U$1/ },
    sub { $_[2]{host} = $_[0]->one(@hosts, 'x.test', '') },
    sub { $_[2]{host} = uc $_[2]{host} },
    sub { $_[2]{type} = $_[0]->one(@types) },
    sub { $_[2]{type} = uc $_[2]{type} },
    sub { $_[2]{body} = $_[0]->one('', '{}', 'UNSIGNED-PAYLOAD') },
    sub { $_[2]{uri} = $_[0]->one('', '/x', '//') },
    sub { $_[1]{query} = $_[0]->one('', 'a', 'a=b&c') },
    sub { $_[1]{method} = $_[0]->one(qw/ GET POST PUT post /) },
    sub { my $t = header($_[1], 'x-tc-timestamp');
        $_[2]{stamp} = $t->[1] = $_[1]{now} + $_[0]->below(1300) - 650;
        $_[2]{date} = CBS::TC3::date($t->[1]) },
    sub { my $t = header($_[1], 'x-tc-timestamp');
        $_[2]{stamp} = $t->[1] = $_[0]->one('0', '-1', '+', ' ', '') . $t->[1]
            . $_[0]->one('', '.0', ' ', '0') },
    sub { $_[2]{space} = $_[0]->one('', "\t", '   ', ',') },
    sub { $_[2]{comma} = $_[0]->one(';', ' ', ',,', ' , ', ",\t", ',   ') },
    sub { push @{$_[1]{headers}}, [ 'X-TC-Content-SHA256',
        'UNSIGNED-PAYLOAD' ]; $_[2]{body} = 'UNSIGNED-PAYLOAD' },
    sub { header($_[1], 'content-type')->[1] = $_[0]->one(@types) },
    sub { header($_[1], 'host')->[1] = $_[0]->one(@hosts) },
);

# what is changed on the way

my @after = (
    sub { flip($_[0], $_[1]{headers}) },
    sub { flip($_[0], $_[1]{headers}) },
    sub { bend($_[0], header($_[1], 'authorization')) },
    sub { bend($_[0], header($_[1], 'authorization')) },
    sub { bend($_[0], $_[0]->one(@{$_[1]{headers}})) },
    sub { push @{$_[1]{headers}}, [ @{$_[0]->one(@{$_[1]{headers}})} ] },
    sub { splice(@{$_[1]{headers}}, $_[0]->below(scalar @{$_[1]{headers}}),
        1) },
    sub { @{$_[1]{headers}} = reverse @{$_[1]{headers}} },
    sub { my $h = $_[0]->one(@{$_[1]{headers}});
        $h->[0] = $_[0]->one(uc $h->[0], lc $h->[0]) },
    sub { my $h = $_[0]->one(@{$_[1]{headers}});
        $h->[1] = $_[0]->one(uc $h->[1], lc $h->[1], " $h->[1]", "$h->[1] ") },
    sub { $_[1]{body} .= $_[0]->one(' ', "\n", "\0") },
    sub { substr($_[1]{body}, $_[0]->below(length($_[1]{body}) + 1), 0,
        chr $_[0]->below(256)) },
    sub { $_[1]{query} = $_[0]->one('a', '', '?') },
    sub { $_[1]{now} += $_[0]->below(1200) - 600 },
    sub { $_[1]{now} += $_[0]->one(301, -301, 300, -300) },
    sub { my $a = header($_[1], 'authorization') // return;
        my $o = $_[2]{id};
        my ($p) = grep { $_ ne $o } sort keys %{$_[0]{keys}};
        $a->[1] =~ s/\Q$o\E/$p/ },
);

# one byte of a header: a bit, another byte, none, twice

sub flip {
    my ($self, $headers) = @_;
    my $at = \$self->one(@$headers)->[1];

    return if $$at eq '';
    my $i = $self->below(length $$at);

    substr($$at, $i, 1) = $self->one(chr(ord(substr($$at, $i, 1))
        ^ (1 << $self->below(8))), chr $self->below(256), '',
        substr($$at, $i, 1) x 2);
}

# parts of a value: swapped, doubled, cut, or another separator

sub bend {
    my ($self, $header) = @_;
    my @parts = split(/([\/,;= ])/, $header->[1] // '', -1);
    return if !@parts;

    my $i = $self->below(scalar @parts);
    my $how = $self->below(4);

    if ($how == 0) {
        my $k = $self->below(scalar @parts);
        @parts[$i, $k] = @parts[$k, $i];
    } elsif ($how == 1) {
        splice(@parts, $i, 0, $parts[$i]);
    } elsif ($how == 2) {
        splice(@parts, $i, 1);
    } else {
        $parts[$i] = $self->one('/', ',', ';', '=', ' ', '', ', ', 'x');
    }

    $header->[1] = join('', @parts);
}

# the next request, as a line

sub line {
    my ($self) = @_;

    my ($r, $sign) = $self->valid;
    my $how = $self->below(8);

    $self->one(@before)->($self, $r, $sign) if $how == 1 || $how == 2;
    $self->sign($r, $sign);

    for (1 .. ($how < 2 ? 0 : $how == 7 ? 2 : 1)) {
        $self->one(@after)->($self, $r, $sign) if $how > 2
            || $self->chance(3);
    }

    my @headers = map { sprintf('["%s","%s"]', unpack('H*', $_->[0]),
        unpack('H*', $_->[1])) } @{$r->{headers}};

    return sprintf('{"now":%d,"method":"%s","query":"%s","body":"%s",'
        . '"headers":[%s]}', $r->{now}, map({ unpack('H*', $r->{$_}) }
            qw/ method query body /), join(',', @headers));
}

1;
