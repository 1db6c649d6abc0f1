package TCCBS::Oracle;

# Joins what the emulator saw, what the audit log says and what the clients
# were told.  The gateway's id of a call is in all three: X-TC-TraceId, "id",
# X-Tccbs-Id.

use strict;
use warnings;

use Time::Local qw/ timegm /;

# violations([emulator's lines], [audit records], [clients' lines]): texts

sub violations {
    my ($emulated, $audit, $clients) = @_;

    my (@bad, %intent, %ends, %arrived, %seen);

    for my $record (@$audit) {

        # a batch that was written again after a failure is the same to a byte
        my $place = "$record->{chain} $record->{seq}";
        next if $seen{$place}++;

        my $id = $record->{id};

        if ($record->{kind} eq 'intent') {
            push @bad, "audit: two intents of $id" if $intent{$id};
            $intent{$id} = $record;

        } elsif ($record->{kind} =~ /^(outcome|recovery)$/) {
            push @{$ends{$id}}, $record;
        }
    }

    for my $line (grep { $_->{complete} } @$emulated) {
        my $id = $line->{trace} // '';

        push @bad, "I-2: $id arrived twice" if $arrived{$id};
        $arrived{$id} = $line;

        if (!$intent{$id}) {
            push @bad, "I-1: $id arrived without an intent";

        } elsif (micros($intent{$id}{time}) > $line->{t_first}) {
            push @bad, "I-1: the intent of $id is younger than its first byte";
        }

        push @bad, "$id: bad signature $line->{why}" if !$line->{verified};
    }

    for my $id (sort keys %intent) {
        my @ends = @{$ends{$id} // []};

        push @bad, "I-3: $id has " . @ends . " outcomes" if @ends != 1;
        next if !@ends;

        my $outcome = $ends[0]{outcome} // 'none';
        my $line = $arrived{$id};

        if ($outcome eq 'not-sent') {
            push @bad, "I-4: $id is not-sent and arrived" if $line;

        } elsif ($outcome =~ /^(success|partial)$/) {
            my $told = $line && $line->{answered}
                ? $line->{answered}{request_id} : '';
            push @bad, "I-4: $id is $outcome and was not answered so"
                if $told ne ($ends[0]{tcid} // '-');

        } elsif ($outcome !~ /^(unknown|rejected)$/) {
            push @bad, "I-3: $id ended as $outcome";
        }
    }

    for my $id (sort keys %ends) {
        push @bad, "I-3: $id has an outcome and no intent" if !$intent{$id};
    }

    for my $client (@$clients) {
        my $id = $client->{id} or next;

        push @bad, "I-5: $id was told not-sent and arrived"
            if ($client->{outcome} // '') eq 'not-sent' && $arrived{$id};

        push @bad, "I-5: $id was told success and did not arrive"
            if ($client->{outcome} // '') eq 'success' && !$arrived{$id};
    }

    return @bad;
}

sub micros {
    my ($time) = @_;

    my ($y, $m, $d, $H, $M, $S, $us) = $time =~
        /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$/
        or return 9e18;

    return timegm($S, $M, $H, $d, $m - 1, $y) * 1_000_000 + $us;
}

1;
