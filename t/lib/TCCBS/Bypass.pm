package TCCBS::Bypass;

# Requests as data: a case of t/bypass becomes the bytes that are sent, and so
# does its twin, which is the same request without what makes it wrong.  The
# form of a case is described in t/bypass/README.md.

use strict;
use warnings;

use Digest::SHA;
use JSON::XS;

use CBS::TC3;
use TCCBS::HTTP2;

my @scalars = qw/ method target version body transfer tail account server
    authorization trailers /;
my %known = map { $_ => 1 } @scalars, qw/ headers first last raw sign /;

# groups(dir): the files of the corpus, decoded

sub groups {
    my ($dir) = @_;

    return map {
        open(my $fh, '<:raw', $_) or die "$_: $!\n";
        local $/;
        my $group = eval { JSON::XS->new->utf8->decode(<$fh>) };
        die "$_: $@" if !$group;
        $group->{file} = s{.*/}{}r;
        $group;
    } sort glob("$dir/*.json");
}

# classes(dir): the classes of bugs in CLASSES.md, each with its weakness

sub classes {
    my ($dir) = @_;
    my (%classes, $weakness);

    open(my $fh, '<', "$dir/CLASSES.md") or die "$dir/CLASSES.md: $!\n";

    while (<$fh>) {
        $weakness = $1 if /^## (CWE-\d+): \S/;

        if (/^- (.+)$/) {
            die "class \"$1\" has no CWE, or two\n"
                if !$weakness || $classes{$1};
            $classes{$1} = $weakness;
        }
    }

    return \%classes;
}

# what is wrong with the form of a case, if anything is

sub malformed {
    my ($case) = @_;

    for my $member (qw/ name rule class expect /) {
        return "no $member" if !defined $case->{$member}
            || ref $case->{$member} && !@{$case->{$member}};
    }

    return 'no mutation' if !$case->{mutate} && !$case->{tamper};

    for my $part (grep { defined } @$case{qw/ request mutate tamper /}) {
        my @unknown = grep { !$known{$_} } sort keys %$part;
        return "unknown member $unknown[0]" if @unknown;
    }

    return;
}

# new(port, keys {name => {id, secret}}, host)

sub new {
    my ($class, %o) = @_;
    return bless { serial => 0, %o }, $class;
}

# In HTTP/2 the request line and the host are fields as well.

sub base {
    my ($protocol) = @_;

    my @line = $protocol eq 'h2'
        ? ([ ':method', '${method}' ], [ ':scheme', 'https' ],
            [ ':path', '${target}' ], [ ':authority', '${host}' ])
        : [ 'Host', '${host}' ];
    my $case = $protocol eq 'h2' ? sub { [ lc $_[0], $_[1] ] } : sub { [ @_ ] };

    return { method => 'POST', target => '/', version => 'HTTP/1.1',
        transfer => 'length', tail => '', account => 'team-dr',
        server => 'gateway', raw => [], sign => {},
        body => '{"DestinationRegions":["ap-beijing"],'
            . '"SnapshotId":"${snapshot}"}',
        authorization => 'TC3-HMAC-SHA256 '
            . 'Credential=${id}/${date}/${service}/tc3_request, '
            . 'SignedHeaders=${names}, Signature=${signature}',
        headers => [ @line,
            $case->('Content-Type', 'application/json'),
            $case->('X-TC-Action', 'CopySnapshotCrossRegions'),
            $case->('X-TC-Version', '2017-03-12'),
            $case->('X-TC-Region', 'ap-guangzhou'),
            $case->('X-TC-Timestamp', '${now}'),
        ] };
}

# "edits" laid over a request; a header keeps its place, null drops it, and an
# array stands for several headers of that name

sub apply {
    my ($request, $edits) = @_;

    for my $name (@scalars) {
        $request->{$name} = $edits->{$name} if defined $edits->{$name};
    }

    my $headers = $request->{headers};

    for my $name (sort keys %{$edits->{headers} // {}}) {
        my $value = $edits->{headers}{$name};
        my @new = map { [ $name, $_ ] }
            ref $value ? @$value : defined $value ? $value : ();
        my ($at) = grep { lc $headers->[$_][0] eq lc $name } 0 .. $#$headers;

        @$headers = grep { lc $_->[0] ne lc $name } @$headers;
        splice(@$headers, $at // scalar @$headers, 0, @new);
    }

    unshift @$headers, @{$edits->{first} // []};
    push @$headers, @{$edits->{last} // []};
    push @{$request->{raw}}, @{$edits->{raw} // []};

    $request->{sign} = { %{$request->{sign}}, %{$edits->{sign} // {}} };
}

# build(case, twin, protocol): {bytes, server, snapshot}

sub build {
    my ($self, $case, $twin, $protocol) = @_;

    my $request = base($protocol);
    apply($request, $case->{request} // {});
    apply($request, $case->{mutate} // {}) if !$twin;

    my %key = %{$self->{keys}{$request->{account}}};
    my %v = (now => int(time), host => $self->{host}, port => $self->{port},
        snapshot => sprintf('snap-bypass%06d', ++$self->{serial}),
        (map { ("id_$_" => $self->{keys}{$_}{id},
            "secret_$_" => $self->{keys}{$_}{secret}) }
            sort keys %{$self->{keys}}),
        id => $key{id}, id_lower => lc $key{id}, id_cut => cut($key{id}),
        secret => $key{secret}, secret_cut => cut($key{secret}));

    $self->sign($request, \%v);

    apply($request, $case->{tamper} // {}) if !$twin;

    return { server => $request->{server}, snapshot => $v{snapshot},
        bytes => $protocol eq 'h2' ? frames($request, \%v)
            : bytes($request, \%v) };
}

# ${name}, ${now+N}, ${date-N} (days), ${repeat:x:N}

sub expand {
    my ($text, $v) = @_;

    return $text if !defined $text;

    $text =~ s{\$\{(\w+)([-+]\d+)?(?::([^:\}]*)(?::(\d+))?)?\}}{
        $1 eq 'repeat' ? $3 x $4
        : $1 eq 'now' ? $v->{now} + ($2 // 0)
        : $1 eq 'date' && $2 ? CBS::TC3::date($v->{now} + 86400 * $2)
        : $v->{$1} // die "nothing to put for \${$1}\n"
    }ge;

    utf8::downgrade($text, 1) or die "code points above 255 in a case\n";

    return $text;
}

sub value {
    my ($request, $name, $v) = @_;
    my ($header) = grep { lc $_->[0] eq $name } @{$request->{headers}};
    ($header) = grep { $_->[0] eq ':authority' } @{$request->{headers}}
        if !$header && $name eq 'host';
    return expand($header ? $header->[1] : undef, $v);
}

# The signature of a request as it is now, or of what "sign" says instead

sub sign {
    my ($self, $request, $v) = @_;

    my %sign = %{$request->{sign}};
    my $values = delete $sign{values} // {};
    my $names = delete $sign{names};
    my @names = ref $names ? @$names : (qw/ content-type host /);

    $_ = expand($_, $v) for values %sign;

    my $stamp = $sign{timestamp} // value($request, 'x-tc-timestamp', $v)
        // $v->{now};
    my @headers;

    for my $name (@names) {
        my $value = expand($values->{$name}, $v)
            // value($request, $name, $v) // '';
        $value = lc($value =~ s/^[ \t]+|[ \t]+$//gr)
            if $name !~ /^(?:host|content-type)$/;
        push @headers, [ $name, $value ];
    }

    $v->{id} = $sign{id} if defined $sign{id};
    $v->{date} = $sign{date} // CBS::TC3::date($stamp =~ /^(\d{10,11})$/
        ? $1 : $v->{now});
    $v->{service} = $sign{service} // 'cbs';
    $v->{names} = join(';', @names);

    my $canonical = CBS::TC3::canonical($sign{method} // $request->{method},
        $sign{uri} // '/', $sign{query} // '', \@headers,
        $sign{body} // expand($request->{body}, $v));

    $v->{signature} = CBS::TC3::signature($sign{secret} // $v->{secret},
        $stamp, $v->{date}, $v->{service}, $canonical);

    # a different last digit, first digit and form
    ($v->{signature_last} = $v->{signature}) =~ s/(.)$/other($1)/e;
    ($v->{signature_first} = $v->{signature}) =~ s/^(.)/other($1)/e;
    $v->{signature_upper} = uc $v->{signature};
    $v->{signature_short} = substr($v->{signature}, 0, 63);
    $v->{signature_half} = substr($v->{signature}, 0, 32);
    $v->{hash} = Digest::SHA::sha256_hex(expand($request->{body}, $v));
}

sub cut {
    my ($text) = @_;
    return substr($text, 0, length($text) - 1);
}

sub other {
    my ($digit) = @_;
    return $digit eq '0' ? '1' : '0';
}

sub bytes {
    my ($request, $v) = @_;

    my $body = expand($request->{body}, $v);
    my @headers = map { [ map { expand($_, $v) } @$_ ] }
        @{$request->{headers}};

    push @headers, [ 'Authorization', expand($request->{authorization}, $v) ]
        if $request->{authorization} ne 'none';

    if ($request->{transfer} eq 'length') {
        push @headers, [ 'Content-Length', length $body ];

    } elsif ($request->{transfer} eq 'chunked') {
        push @headers, [ 'Transfer-Encoding', 'chunked' ];
        $body = join('', map { sprintf("%x\r\n%s\r\n", length, $_) }
            unpack('(a16)*', $body)) . "0\r\n\r\n";

    } elsif ($request->{transfer} ne 'none') {
        push @headers, [ 'Content-Length',
            expand($request->{transfer}, $v) ];
    }

    return join('', expand($request->{method}, $v), ' ',
        expand($request->{target}, $v),
        $request->{version} eq '' ? '' : " $request->{version}", "\r\n",
        (map { "$_->[0]: $_->[1]\r\n" } @headers),
        (map { expand($_, $v) . "\r\n" } @{$request->{raw}}),
        "\r\n", $body, expand($request->{tail}, $v));
}

# The same as frames.  "transfer" is about content-length alone, since a body
# ends with its last frame.

sub frames {
    my ($request, $v) = @_;

    $v->{$_} = expand($request->{$_}, $v) for qw/ method target /;

    my $body = expand($request->{body}, $v);
    my @fields = map { [ map { expand($_, $v) } @$_ ] }
        @{$request->{headers}};

    push @fields, [ 'authorization', expand($request->{authorization}, $v) ]
        if $request->{authorization} ne 'none';

    push @fields, [ 'content-length', $request->{transfer} eq 'length'
        ? length $body : expand($request->{transfer}, $v) ]
        if $request->{transfer} ne 'none';

    return TCCBS::HTTP2::request(\@fields, $body, $request->{trailers}
        && [ map { [ map { expand($_, $v) } @$_ ] } @{$request->{trailers}} ]);
}

# the same request for two cases: one twin is enough for both

sub twin_of {
    my ($case) = @_;
    return JSON::XS->new->canonical->encode($case->{request} // {});
}

1;
