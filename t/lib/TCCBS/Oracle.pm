package TCCBS::Oracle;

# Joins what the gateway wrote down, what the emulated CBS saw and what the
# clients were told, and looks for a contradiction:
#
#   I-1  a complete request at CBS has an intent that is older
#   I-2  CBS saw no id twice
#   I-3  an intent has exactly one outcome or recovery
#   I-4  "not-sent" means that CBS saw no complete request; an outcome with a
#        RequestId means that CBS gave that answer
#   I-5  what the client was told agrees with both
#   I-6  the audit log is whole: JSON lines, each chain without a gap

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use JSON::XS;
use Time::Local qw/ timegm /;

my $json = JSON::XS->new->canonical;
my $begin = '{"v":1,"time":"';

my @invariants = (
    [ 'I-1', 'each request at CBS has an older intent' ],
    [ 'I-2', 'nothing was sent twice' ],
    [ 'I-3', 'each intent has one outcome' ],
    [ 'I-4', 'outcomes are what happened' ],
    [ 'I-5', 'clients were told what happened' ],
    [ 'I-6', 'the audit log is whole' ],
);

# new(chains => 0): does not look at the chains

sub new {
    my ($class, %o) = @_;

    return bless { chains => 1, %o, intents => {}, ends => {}, seen => {},
        clients => [], violations => [], last => {}, lines => {},
        count => { map { $_ => 0 } qw/ intents outcomes recoveries refusals
            requests cut foreign clients repeated torn / } }, $class;
}

sub violate {
    my ($self, $invariant, $text, $said) = @_;
    push @{$self->{violations}}, { invariant => $invariant, text => $text,
        said => $said // "$invariant: $text" };
}

# violations([emulator's lines], [audit records], [clients' lines]): texts,
# for what is in memory already

sub violations {
    my ($emulated, $audit, $clients) = @_;

    my $self = TCCBS::Oracle->new(chains => 0);

    $self->record($_) for @$audit;
    $self->request($_) for @$emulated;
    $self->clients($clients // []);

    return map { $_->{said} } $self->judge;
}

# the audit log: files in the order in which they were written

sub audit {
    my ($self, @paths) = @_;

    for my $path (@paths) {
        each_line($path, sub {
            my ($line, $whole) = @_;

            # what a crash cut off may stand before it

            my $torn = $line =~ s/^.+(?=\{"v":1,"time":")//;
            my $record = eval { decode_json($line) };

            if (ref $record eq 'HASH') {
                $self->record($record, $line);
                $self->{count}{torn} += $torn;

            } elsif ($whole && index($begin, substr($line, 0, length $begin))
                != 0)
            {
                $self->violate('I-6', "$path, line $.: no JSON: "
                    . substr($line, 0, 60));

            } else {
                $self->{count}{torn}++;
            }
        });
    }

    return $self;
}

sub record {
    my ($self, $record, $line) = @_;

    my $id = $record->{id} // '-';
    my $kind = $record->{kind} // 'none';

    return if !$self->chain($record, $line);

    my %counter = (intent => 'intents', outcome => 'outcomes',
        recovery => 'recoveries', refusal => 'refusals');

    $self->{count}{$counter{$kind}}++ if $counter{$kind};

    if ($kind eq 'intent') {
        $self->violate('I-3', "$id has two intents") if $self->{intents}{$id};
        $self->{intents}{$id} = { t => micros($record->{time}) };

    } elsif ($kind eq 'recovery' && defined $record->{of}) {

        # evidence found later, the outcome stays what it was

    } elsif ($kind eq 'outcome' || $kind eq 'recovery') {
        push @{$self->{ends}{$id}}, { map { $_ => $record->{$_} }
            qw/ kind outcome code tcid / };
    }
}

# true for a record that counts: a batch that was written again after a failure
# is the same to the byte

sub chain {
    my ($self, $record, $line) = @_;

    my ($chain, $seq, $prev) = @$record{qw/ chain seq prev /};
    return 1 if !defined $chain || !defined $seq;

    my $hash = sha256_hex($line // $json->encode($record));
    my $known = $self->{lines}{"$chain $seq"};

    if (defined $known) {
        if ($known eq $hash) {
            $self->{count}{repeated}++;
            return 0;
        }

        $self->violate('I-6', "chain $chain has two records $seq");
        return 1;
    }

    $self->{lines}{"$chain $seq"} = $hash;

    my $last = $self->{last}{$chain};
    $self->{last}{$chain} = { seq => $seq, hash => $hash };

    return 1 if !$self->{chains} || !defined $prev;

    $self->violate('I-6', "chain $chain: record $seq after "
        . ($last ? $last->{seq} : 'nothing'))
        if $seq != ($last ? $last->{seq} + 1 : 0);
    $self->violate('I-6', "chain $chain: the record before $seq was changed")
        if $last && $prev ne $last->{hash};

    return 1;
}

# The emulator's log.  What is neither well signed nor traced did not come from
# the gateway.

sub emulator {
    my ($self, @paths) = @_;

    for my $path (@paths) {
        each_line($path, sub {
            my ($line, $whole) = @_;

            my $seen = eval { decode_json($line) };

            $self->request($seen) if $seen;
            $self->violate('I-6', "$path, line $.: no JSON")
                if !$seen && $whole;
        });
    }

    return $self;
}

sub request {
    my ($self, $seen) = @_;

    my $id = $seen->{trace} // '';

    if (!$seen->{complete}) {
        $self->{count}{cut}++;
        return;
    }

    if (!$seen->{verified}) {
        if ($id eq '') {
            $self->{count}{foreign}++;
            return;
        }

        my $text = "$id: bad signature " . ($seen->{why} // '');
        $self->violate('I-1', $text, $text);
    }

    $self->{count}{requests}++;
    push @{$self->{seen}{$id}}, { t => $seen->{t_first},
        answered => $seen->{answered} };
}

# what clients were told: a file of JSON lines, or a list of hashes

sub clients {
    my ($self, @sources) = @_;

    for my $source (@sources) {
        if (ref $source) {
            push @{$self->{clients}}, @$source;
        } else {
            each_line($source, sub {
                my $told = eval { decode_json(shift) } or return;
                push @{$self->{clients}}, $told;
            });
        }
    }

    $self->{count}{clients} = @{$self->{clients}};

    return $self;
}

# the list of violations, {invariant, text, said}

sub judge {
    my ($self) = @_;

    if (!$self->{judged}++) {
        $self->judge_requests;
        $self->judge_intents;
        $self->judge_clients;
    }

    return @{$self->{violations}};
}

sub judge_requests {
    my ($self) = @_;

    for my $id (sort keys %{$self->{seen}}) {
        my @seen = @{$self->{seen}{$id}};
        my $intent = $self->{intents}{$id};

        $self->violate('I-2', "$id arrived "
            . (@seen == 2 ? 'twice' : @seen . ' times')) if @seen > 1;

        if (!$intent) {
            $self->violate('I-1', "$id arrived without an intent");

        } elsif ($intent->{t} > $seen[0]{t}) {
            $self->violate('I-1', "the intent of $id is younger than its "
                . sprintf('first byte, by %d us', $intent->{t} - $seen[0]{t}));
        }
    }
}

sub judge_intents {
    my ($self) = @_;

    my ($intents, $ends) = @$self{qw/ intents ends /};

    for my $id (sort keys %$intents) {
        my @ends = @{$ends->{$id} // []};

        $self->violate('I-3', "$id has " . @ends . ' outcomes'
            . (@ends ? ': ' . join(', ', map { "$_->{kind} "
                . ($_->{outcome} // '') } @ends) : '')) if @ends != 1;

        $self->judge_end($id, $_) for @ends;
    }

    for my $id (sort keys %$ends) {
        $self->violate('I-3', "$id has an outcome and no intent")
            if !$intents->{$id};
    }
}

sub judge_end {
    my ($self, $id, $end) = @_;

    my $seen = $self->{seen}{$id};
    my $outcome = $end->{outcome} // 'none';
    my $tcid = $end->{tcid} // '';

    $self->violate('I-3', "$id ended as $outcome")
        if $outcome !~ /^(success|partial|rejected|not-sent|unknown)$/;

    if ($outcome eq 'not-sent') {
        $self->violate('I-4', "$id is not-sent and arrived") if $seen;
        return;
    }

    return if $tcid eq '' && $outcome !~ /^(success|partial|rejected)$/;

    $self->violate('I-4', "$id is $outcome and was not answered so")
        if $tcid eq '' || !grep { $_->{answered}
            && ($_->{answered}{request_id} // '') eq $tcid } @{$seen // []};
}

sub judge_clients {
    my ($self) = @_;

    for my $told (@{$self->{clients}}) {
        my ($id, $outcome) = @$told{qw/ id outcome /};

        next if !defined $id || !defined $outcome;

        my $seen = $self->{seen}{$id};
        my ($end) = @{$self->{ends}{$id} // []};

        $self->violate('I-5', "$id was told not-sent and arrived")
            if $outcome eq 'not-sent' && $seen;

        next if !$end || $outcome !~
            /^(success|partial|rejected|not-sent|unknown)$/;

        my $success = $outcome =~ /^(success|partial)$/;

        $self->violate('I-5', "$id was told $outcome and did not arrive")
            if $success && !$seen;
        $self->violate('I-5', "$id was told $outcome, recorded is "
            . ($end->{outcome} // 'none'))
            if $outcome ne ($end->{outcome} // '');
        $self->violate('I-5', "$id was told another RequestId")
            if $success && defined $told->{request_id}
               && $told->{request_id} ne ($end->{tcid} // '');
    }
}

sub summary {
    my ($self) = @_;
    my $count = $self->{count};
    return join(', ', map { "$count->{$_} $_" }
        grep { $count->{$_} || /^(intents|requests)$/ } sort keys %$count);
}

# TAP: one line per invariant

sub tap {
    my ($self) = @_;

    my @violations = $self->judge;
    my $text = '1..' . @invariants . "\n# " . $self->summary . "\n";
    my $n = 0;

    for my $invariant (@invariants) {
        my ($name, $what) = @$invariant;
        my @bad = grep { $_->{invariant} eq $name } @violations;

        $text .= (@bad ? 'not ok ' : 'ok ') . ++$n . " - $name $what\n";
        $text .= "# $_->{text}\n"
            for @bad > 20 ? @bad[0 .. 19] : @bad;
        $text .= '# and ' . (@bad - 20) . " more\n" if @bad > 20;
    }

    return $text;
}

# 2026-11-24T09:32:26.123456Z

sub micros {
    my ($time) = @_;

    my ($y, $mon, $d, $h, $m, $s, $us) = ($time // '') =~
        /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z$/
        or return 9e18;

    return timegm($s, $m, $h, $d, $mon - 1, $y) * 1e6 + $us;
}

sub each_line {
    my ($path, $code) = @_;

    open(my $fh, '<:raw', $path) or die "$path: $!\n";

    while (my $line = <$fh>) {
        my $whole = $line =~ s/\n\z//;
        $code->($line, $whole) if $line ne '';
    }

    close $fh;
}

1;
