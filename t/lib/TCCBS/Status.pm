package TCCBS::Status;

# What "tccbs_status" says, in each of its forms.

use strict;
use warnings;

use JSON::XS;

use parent 'Exporter';
our @EXPORT_OK = qw/ status samples flat /;

# status(test, form, path: the location, headers: text, method, client): the
# answer

sub status {
    my ($t, $form, %o) = @_;

    my $target = ($o{path} // '/tccbs') . (defined $form ? "?format=$form" : '');
    my $method = $o{method} // 'GET';

    return $t->raw("$method $target HTTP/1.1\r\nHost: cbs.gw.test\r\n"
        . ($o{headers} // '') . "Connection: close\r\n\r\n",
        raw_answer => 1, method => $method, client => $o{client});
}

# lines of the text format: {'name{label="value"}' => number}

sub samples {
    my ($text) = @_;

    return { map { /^([a-z_]+(?:\{.*\})?) (\S+)$/ ? ($1 => $2) : () }
        split(/\n/, $text) };
}

# the same from the JSON

sub flat {
    my ($json) = @_;

    my %labels = (requests_total => [ 'action', 'code' ],
        outcomes_total => [ 'action', 'outcome' ],
        decisions_total => [ 'decision' ], refusals_total => [ 'rule' ],
        audit_records_total => [ 'kind' ], credential_info => [ 'source' ],
        credential_refresh_result => [ 'result' ],
        credential_refreshes_total => [ 'result' ],
        lease_mode => [ 'action', 'mode' ],
        redis_mode_workers => [ 'kind', 'mode' ],
        redis_calls_total => [ 'result' ]);
    my %flat;

    my $family = sub {
        my ($owner, $name, $value) = @_;

        my $walk;
        $walk = sub {
            my ($value, $depth, @labels) = @_;

            my $set = sub {
                my ($suffix, $value, @more) = @_;
                my @all = (@labels, @more);
                $flat{"tccbs_$name$suffix" . (@all
                    ? '{' . join(',', @all) . '}' : '')} = $value;
            };

            if (ref $value eq 'HASH' && $value->{buckets}) {
                $set->('_bucket', $_->[1], 'le="' . ($_->[0] + 0) . '"')
                    for @{$value->{buckets}};
                $set->('_bucket', $value->{count}, 'le="+Inf"');
                $set->('_sum', $value->{sum});
                $set->('_count', $value->{count});

            } elsif (ref $value eq 'HASH') {
                my $label = ($labels{$name} // [ 'action' ])->[$depth];
                $walk->($value->{$_}, $depth + 1, @labels, qq{$label="$_"})
                    for keys %$value;

            } else {
                $set->('', $value);
            }
        };

        $walk->($value, 0, @$owner);
    };

    my $redis = $json->{redis} ? $json->{redis}{metrics} : {};

    $family->([], $_, $json->{node}{$_}) for keys %{$json->{node}};
    $family->([], $_, $redis->{$_}) for keys %$redis;

    for my $of (qw/ account credential /) {
        for my $owner (@{$json->{"${of}s"}}) {
            $family->([ qq{$of="$owner->{name}"} ], $_, $owner->{metrics}{$_})
                for keys %{$owner->{metrics}};
        }
    }

    return \%flat;
}

1;
