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

# the keys derived for a date and service: date, service and signing key

sub derive {
    my ($secret, $date, $service) = @_;

    my $k1 = hmac_sha256($date, "TC3$secret");
    my $k2 = hmac_sha256($service, $k1);
    my $k3 = hmac_sha256('tc3_request', $k2);

    return ($k1, $k2, $k3);
}

sub signature {
    my ($secret, $stamp, $date, $service, $canonical) = @_;

    my $text = join("\n", 'TC3-HMAC-SHA256', $stamp,
        "$date/$service/tc3_request", sha256_hex($canonical));

    return hmac_sha256_hex($text, (derive($secret, $date, $service))[2]);
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

# verify(request, secrets, host, now, service): nothing when the request is good, else
# the API's error code and a reason.  The request has method, target, body and
# pairs [[name as sent, value]]; its key_id is set as soon as it is known.

sub verify {
    my ($req, $secrets, $host, $now, $wanted) = @_;

    my %value;

    for (@{$req->{pairs}}) {
        my ($name, $value) = (lc $_->[0], $_->[1]);
        next if $name !~ /^(authorization|host|content-type|x-tc-.*)$/;
        return ('InvalidParameter', "header $name is repeated")
            if exists $value{$name};
        $value{$name} = $value;
    }

    my ($id, $date, $service, $names, $signature) =
        ($value{authorization} // '') =~
        m{^TC3-HMAC-SHA256\ +Credential=([^/,]+)/(\d{4}-\d\d-\d\d)/([^/,]+)
          /tc3_request,\ *SignedHeaders=([a-z0-9;-]+),
          \ *Signature=([0-9a-f]{64})$}x
        or return ('AuthFailure.InvalidAuthorization', 'no authorization');

    $req->{key_id} = $id;

    my ($secret) = grep { $_->{secret_id} eq $id } @$secrets;
    return ('AuthFailure.SecretIdNotFound', 'unknown key') if !$secret;

    my $stamp = $value{'x-tc-timestamp'} // '';

    return ('AuthFailure.SignatureExpire', "timestamp $stamp, now $now")
        if $stamp !~ /^[1-9]\d{9}$/ || abs(int($now) - $stamp) > 300;

    my $fail = sub { return ('AuthFailure.SignatureFailure', shift) };

    return $fail->("date $date") if $date ne date($stamp);
    return $fail->("service $service") if $service ne ($wanted // 'cbs');
    return $fail->('host ' . ($value{host} // 'missing'))
        if ($value{host} // '') ne $host;

    my @names = split(/;/, $names);
    my %covered = map { $_ => 1 } @names;

    return $fail->("signed headers $names")
        if join(';', sort { $a cmp $b } keys %covered) ne $names
           || !$covered{host} || !$covered{'content-type'};

    my %sent = map { lc $_->[0] => $_->[1] } @{$req->{pairs}};
    my @headers;

    for my $name (@names) {
        return $fail->("$name is signed, not sent") if !defined $sent{$name};
        push @headers, [ $name, lc $sent{$name} ];
    }

    my ($uri, $query) = split(/\?/, $req->{target}, 2);

    my $want = signature($secret->{secret_key}, $stamp, $date, $service,
        canonical($req->{method}, $uri, $query // '', \@headers,
            $req->{method} eq 'GET' ? '' : $req->{body}));

    return $fail->('signature') if $want ne $signature;

    return ('AuthFailure.TokenFailure', 'token')
        if ($value{'x-tc-token'} // '') ne ($secret->{token} // '');

    return;
}

1;
