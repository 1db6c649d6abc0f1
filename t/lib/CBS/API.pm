package CBS::API;

# What the emulated CBS does: copies that take their time, and a look at them.

use strict;
use warnings;

use Fcntl qw/ SEEK_END /;
use JSON::XS;
use POSIX qw/ strftime /;
use Time::HiRes qw/ time /;

my %describe = map { $_ => 1 }
    qw/ SnapshotIds Filters Limit Offset OrderField Order /;

# call(emulator, request, parameters, file of copies): a response

sub call {
    my ($emulator, $req, $params, $fh) = @_;

    my $version = ($req->{headers}{'x-tc-version'} // [''])->[0];

    return error('NoSuchVersion') if $version ne '2017-03-12';
    return error('MissingParameter') if !$req->{region};
    return error('InvalidParameter') if ref $params ne 'HASH';

    my @copies = map { decode_json($_) } <$fh>;

    if ($req->{action} eq 'CopySnapshotCrossRegions') {
        return copy($emulator, $req, $params, $fh, \@copies);
    }

    if ($req->{action} eq 'DescribeSnapshots') {
        return describe($emulator, $req, $params, \@copies);
    }

    return error('InvalidAction');
}

sub copy {
    my ($emulator, $req, $params, $fh, $copies) = @_;

    for my $name (keys %$params) {
        return error('UnknownParameter', "The parameter `$name` is not "
            . "recognized.")
            if $name !~ /^(DestinationRegions|SnapshotId|SnapshotName)$/;
    }

    my $id = $params->{SnapshotId} // '';
    my @to = @{$params->{DestinationRegions} // []};

    return error('MissingParameter') if !@to;
    return error('InvalidSnapshotId.NotFound', "no snapshot $id")
        if $id !~ /^snap-[0-9a-z]{8,}$/ || $id =~ /^snap-none/;

    my @results;

    for my $i (0 .. $#to) {

        if ($id =~ /^snap-full/ || ($id =~ /^snap-part/ && $i == $#to)) {
            push @results, { DestinationRegion => $to[$i], SnapshotId => '',
                Code => 'InsufficientSnapshotQuota',
                Message => 'The snapshot quota is used up.' };
            next;
        }

        my $new = 'snap-' . join('', map { ('a' .. 'z', 0 .. 9)[rand 36] }
            1 .. 8);

        my $copy = { id => $new, source => $id, from => $req->{region},
            to => $to[$i], t => time, trace => $req->{trace},
            name => $params->{SnapshotName}
                // "Copied $id from $req->{region}" };

        seek($fh, 0, SEEK_END);
        print $fh JSON::XS->new->ascii->canonical->encode($copy), "\n";

        push @results, { DestinationRegion => $to[$i], SnapshotId => $new,
            Code => 'Success', Message => '' };
    }

    return { SnapshotCopyResultSet => \@results };
}

sub describe {
    my ($emulator, $req, $params, $copies) = @_;

    for my $name (keys %$params) {
        return error('UnknownParameter') if !$describe{$name};
    }

    my $total = $emulator->config->{progress} // 1.5;

    my @all = map { copied($_, $total) }
        grep { $_->{to} eq $req->{region} } @$copies;

    my %going;

    for (grep { time - $_->{t} < $total } @$copies) {
        push @{$going{$_->{source}}}, $_->{to} if $_->{from} eq $req->{region};
    }

    push @all, map { source($_, $going{$_}) } sort keys %going;

    if (my $ids = $params->{SnapshotIds}) {
        my %want = map { $_ => 1 } @$ids;
        @all = grep { $want{$_->{SnapshotId}} } @all;
    }

    my %field = ('snapshot-id' => 'SnapshotId',
        'snapshot-name' => 'SnapshotName',
        'snapshot-state' => 'SnapshotState', 'disk-usage' => 'DiskUsage',
        'disk-id' => 'DiskId', 'snapshot-type' => 'SnapshotType');

    for my $filter (@{$params->{Filters} // []}) {
        my $field = $field{$filter->{Name}} or next;
        my %want = map { $_ => 1 } @{$filter->{Values}};
        @all = grep { $want{$_->{$field}} } @all;
    }

    @all = sort { $a->{CreateTime} cmp $b->{CreateTime} } @all;
    @all = reverse @all if ($params->{Order} // 'DESC') eq 'DESC';

    my $offset = $params->{Offset} // 0;
    my $limit = $params->{Limit} // 20;
    my @page = splice(@{[@all]}, $offset, $limit);

    return { TotalCount => 0 + @all, SnapshotSet => \@page };
}

sub copied {
    my ($copy, $total) = @_;

    my $part = (time - $copy->{t}) / $total;

    return { snapshot($copy->{id}, $copy->{name}, $copy->{t}),
        SnapshotState => $part < 0.7 ? 'COPYING_FROM_REMOTE'
            : $part < 1 ? 'CHECKING_COPIED' : 'NORMAL',
        Percent => $part < 1 ? int(100 * $part) : 100,
        CopyFromRemote => \1, CopyingToRegions => [] };
}

sub source {
    my ($id, $going) = @_;

    return { snapshot($id, 'source', 1760000000),
        SnapshotState => 'NORMAL', Percent => 100, CopyFromRemote => \0,
        CopyingToRegions => $going };
}

sub snapshot {
    my ($id, $name, $t) = @_;

    return (SnapshotId => $id, SnapshotName => $name,
        CreateTime => strftime('%Y-%m-%d %H:%M:%S', gmtime($t)),
        DeadlineTime => '', IsPermanent => \1, Encrypt => \0,
        DiskId => 'disk-emulated', DiskSize => 50, DiskUsage => 'DATA_DISK',
        SnapshotType => 'PRIVATE_SNAPSHOT', ShareReference => 0,
        TimeStartShare => '', ImageCount => 0, Images => [],
        Placement => { Zone => 'emulated-1', ProjectId => 0 });
}

# answers that are wrong on purpose

sub distort {
    my ($kind, $response) = @_;

    my $set = $response->{SnapshotCopyResultSet};

    delete $response->{RequestId} if $kind eq 'no_request_id';
    $response->{Error} = undef if $kind eq 'error_null';

    return if !$set;

    pop @$set if $kind eq 'missing_region';
    $_->{Message} = undef for $kind eq 'null_message' ? @$set : ();
    $set->[0]{DestinationRegion} = 'ap-elsewhere' if $kind eq 'other_region';
}

sub error {
    my ($code, $message) = @_;
    return { Error => { Code => $code, Message => $message // 'emulated' } };
}

1;
