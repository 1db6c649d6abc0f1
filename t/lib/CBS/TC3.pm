package CBS::TC3;

# TC3-HMAC-SHA256 from the API documentation, independent of the code under
# test: the emulator verifies with it, the test client signs with it.

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex hmac_sha256 hmac_sha256_hex /;
use POSIX qw/ strftime /;

sub date {
    return strftime('%Y-%m-%d', gmtime(shift));
}

# canonical(method, uri, query, [[name, value], ...], body)

sub canonical {
    my ($method, $uri, $query, $headers, $body) = @_;

    my $lines = join('', map { "$_->[0]:$_->[1]\n" } @$headers);
    my $names = join(';', map { $_->[0] } @$headers);

    return join("\n", $method, $uri, $query, $lines, $names,
        sha256_hex($body));
}

sub signature {
    my ($secret, $stamp, $date, $service, $canonical) = @_;

    my $scope = "$date/$service/tc3_request";
    my $text = join("\n", 'TC3-HMAC-SHA256', $stamp, $scope,
        sha256_hex($canonical));

    my $key = hmac_sha256($date, "TC3$secret");
    $key = hmac_sha256($service, $key);
    $key = hmac_sha256('tc3_request', $key);

    return hmac_sha256_hex($text, $key);
}

# authorization(id => , secret => , stamp => , headers => [[name, value]],
#               body => , method => , uri => , query => , service => , date => )

sub authorization {
    my (%o) = @_;

    my $date = $o{date} // date($o{stamp});
    my $service = $o{service} // 'cbs';

    my $canonical = canonical($o{method} // 'POST', $o{uri} // '/',
        $o{query} // '', $o{headers}, $o{body});

    return sprintf('TC3-HMAC-SHA256 Credential=%s/%s/%s/tc3_request, '
        . 'SignedHeaders=%s, Signature=%s', $o{id}, $date, $service,
        join(';', map { $_->[0] } @{$o{headers}}),
        signature($o{secret}, $o{stamp}, $date, $service, $canonical));
}

# verify(request, secrets, host, now): an error code of the API, or nothing;
# request: method, target, headers {name => [values]}, body as raw bytes

sub verify {
    my ($req, $secrets, $host, $now) = @_;

    my $one = sub {
        my $values = $req->{headers}{$_[0]} // [];
        return @$values == 1 ? $values->[0] : undef;
    };

    for my $name (keys %{$req->{headers}}) {
        next if $name !~ /^(authorization|host|content-type|x-tc-.*)$/;
        return 'InvalidParameter' if @{$req->{headers}{$name}} != 1;
    }

    my $authorization = $one->('authorization') // '';

    my ($id, $date, $service, $names, $signature) = $authorization =~
        m{^TC3-HMAC-SHA256\ +Credential=([^/,]+)/(\d{4}-\d\d-\d\d)/([^/,]+)
          /tc3_request,\ *SignedHeaders=([a-z0-9;-]+),
          \ *Signature=([0-9a-f]{64})$}x
        or return 'AuthFailure.InvalidAuthorization';

    my ($secret) = grep { $_->{secret_id} eq $id } @$secrets;
    return 'AuthFailure.SecretIdNotFound' if !$secret;

    my $stamp = $one->('x-tc-timestamp') // '';
    return 'AuthFailure.SignatureExpire'
        if $stamp !~ /^[1-9]\d{9}$/ || abs($now - $stamp) > 300;

    return 'AuthFailure.SignatureFailure'
        if $date ne date($stamp) || $service ne 'cbs';

    return 'AuthFailure.SignatureFailure' if ($one->('host') // '') ne $host;

    my @names = split(/;/, $names);
    my %covered = map { $_ => 1 } @names;

    return 'AuthFailure.SignatureFailure'
        if join(';', sort keys %covered) ne $names
           || !$covered{host} || !$covered{'content-type'};

    my @headers;

    for my $name (@names) {
        my $value = $one->($name);
        return 'AuthFailure.SignatureFailure' if !defined $value;
        $value = lc $value if $name ne 'host' && $name ne 'content-type';
        push @headers, [ $name, $value ];
    }

    my ($uri, $query) = split(/\?/, $req->{target}, 2);

    my $want = signature($secret->{secret_key}, $stamp, $date, $service,
        canonical($req->{method}, $uri, $query // '', \@headers,
            $req->{body}));

    return 'AuthFailure.SignatureFailure' if $want ne $signature;

    return 'AuthFailure.TokenFailure'
        if ($one->('x-tc-token') // '') ne ($secret->{token} // '');

    return;
}

1;
