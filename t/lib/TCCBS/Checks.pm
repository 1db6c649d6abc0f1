package TCCBS::Checks;

# What holds after every test, whatever it did: the checks of done().

use strict;
use warnings;

use File::Find;
use MIME::Base64;
use POSIX qw/ strftime /;

use CBS::TC3;

# lines of an error log that nobody wants to see

sub alerts {
    my ($text, @exempt) = @_;

    my @alerts = grep { /\[(alert|crit|emerg)\]/ } split(/\n/, $text);

    for my $exempt (@exempt) {
        @alerts = grep { !/$exempt/ } @alerts;
    }

    return @alerts;
}

sub reports {
    my ($text) = @_;

    return grep { /(?:Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer
        |\ runtime\ error:\ |^==\d+==\ /x } split(/\n/, $text);
}

# the shape that each answer has, or what is wrong with it

sub form {
    my ($answer) = @_;

    return "status $answer->{status}" if $answer->{status} != 200;
    return "type $answer->{type}" if $answer->{type} ne 'application/json';

    my $response = $answer->{response} or return 'no envelope';

    return 'no RequestId'
        if ref $response->{RequestId} || ($response->{RequestId} // '') eq '';
    return 'more than "Response"' if keys %{$answer->{json}} != 1;
    return if !exists $response->{Error};

    my $error = $response->{Error};

    return 'a bad "Error"' if ref $error ne 'HASH'
        || grep { ref || ($_ // '') eq '' } @$error{qw/ Code Message /};

    return;
}

# One regex for all the forms that a secret may leak in: as it is, reversed,
# hex, Base64 at any offset, and the signing keys that are derived from it.

sub pattern {
    my (@secrets) = @_;

    my %forms;

    for my $secret (@secrets) {
        my @raw = ($secret, scalar reverse($secret));

        for my $day (-1, 0, 1) {
            push @raw, CBS::TC3::derive($secret, strftime('%Y-%m-%d',
                gmtime(time + 86400 * $day)), 'cbs');
        }

        for my $raw (@raw) {
            $forms{$_} = 1 for $raw, unpack('H*', $raw), uc unpack('H*', $raw);
            $forms{base64($raw, $_)} = 1 for 0 .. 2;
        }
    }

    my $any = join('|', map { quotemeta } sort keys %forms);

    return qr/$any/;
}

# the part of the Base64 text that does not depend on what is around

sub base64 {
    my ($raw, $offset) = @_;

    my $text = encode_base64(('x' x $offset) . $raw, '');
    my $from = $offset ? 4 : 0;

    return substr($text, $from, length($text) - $from - 4);
}

# files of a directory that match

sub leaks {
    my ($pattern, $dir, @skip) = @_;

    my @found;

    find({ no_chdir => 1, wanted => sub {
        my $path = $_;
        return if !-f $path || !-s _ || grep { index($path, $_) == 0 } @skip;
        open(my $fh, '<:raw', $path) or return;
        local $/ = \1048576;
        my $tail = '';

        while (defined(my $block = <$fh>)) {
            if (($tail . $block) =~ $pattern) {
                push @found, $path;
                last;
            }
            $tail = substr($block, -512);
        }
    } }, $dir);

    return @found;
}

1;
