package CBS::API;

# What the emulated CBS does: copies that take their time, and a look at them.
# State is kept in memory; times are epoch seconds with a fraction.

use strict;
use warnings;

use POSIX qw/ strftime /;

my $region_shape = qr/^[a-z]{2}-[a-z0-9]+(-[a-z0-9]+)*$/;
my $snapshot_shape = qr/^snap-[a-z0-9]{8,64}$/;

my %states = map { $_ => 1 } qw/ NORMAL CREATING ROLLBACKING
    COPYING_FROM_REMOTE CHECKING_COPIED TORECYCLE /;

my %field = (
    'snapshot-id' => 'SnapshotId', 'snapshot-name' => 'SnapshotName',
    'snapshot-state' => 'SnapshotState', 'disk-usage' => 'DiskUsage',
    'disk-id' => 'DiskId', 'snapshot-type' => 'SnapshotType',
    'project-id' => [ Placement => 'ProjectId' ],
    'zone' => [ Placement => 'Zone' ], 'encrypt' => 'Encrypt',
);

sub new {
    my ($class, $config) = @_;
    return bless { config => $config, copies => [], sources => {},
        known => {} }, $class;
}

sub reset {
    my ($self) = @_;
    $self->{copies} = [];
    $self->{sources} = {};
    $self->{known} = {};
}

# call(request, parameters, now): the members of "Response"

sub call {
    my ($self, $req, $params, $now) = @_;

    my %action = (CopySnapshotCrossRegions => \&copy,
        DescribeSnapshots => \&describe);

    return error('MissingParameter', 'X-TC-Action') if !$req->{action};
    return error('InvalidAction', "no action $req->{action}")
        if !$action{$req->{action}};
    return error('NoSuchVersion', 'the version is 2017-03-12')
        if ($req->{version} // '') ne '2017-03-12';
    return error('MissingParameter', 'X-TC-Region') if !$req->{region};
    return error('UnsupportedRegion', $req->{region})
        if $req->{region} !~ $region_shape;
    return error('InvalidParameter', 'the body is no JSON object')
        if ref $params ne 'HASH';

    return $action{$req->{action}}->($self, $req, $params, $now);
}

sub copy {
    my ($self, $req, $params, $now) = @_;

    my $wrong = unknown($params, qw/ DestinationRegions SnapshotId
        SnapshotName /);
    return $wrong if $wrong;

    my $to = $params->{DestinationRegions};

    return error('MissingParameter', 'DestinationRegions') if !defined $to;
    return error('InvalidParameter', 'DestinationRegions is no list')
        if ref $to ne 'ARRAY';
    return error('InvalidParameterValue', 'DestinationRegions is empty')
        if !@$to;

    my $id = $params->{SnapshotId};

    return error('MissingParameter', 'SnapshotId') if !defined $id;
    return error('InvalidParameterValue', 'SnapshotId')
        if ref $id || $id !~ $snapshot_shape;

    my %seen;

    for my $region (@$to) {
        return error('InvalidParameterValue', "destination $region")
            if ref $region || $region !~ $region_shape || $seen{$region}++
               || $region eq $req->{region};
    }

    return error('InvalidSnapshotId.NotFound', "no snapshot $id")
        if !$self->source_exists($req->{region}, $id);

    my $name = $params->{SnapshotName} // '';
    $name = "Copied $id from $req->{region}" if $name eq '';

    $self->{sources}{$req->{region}}{$id} = 1;

    my @results;

    for my $region (@$to) {

        if ($id =~ /^snap-full/
            || ($id =~ /^snap-part/ && $region eq $to->[-1]))
        {
            push @results, { DestinationRegion => $region, SnapshotId => '',
                Code => 'InsufficientSnapshotQuota',
                Message => 'The snapshot quota is used up.' };
            next;
        }

        my $copy = { id => $self->fresh, source => $id, to => $region,
            from => $req->{region}, t => $now, name => $name,
            trace => $req->{trace} };

        push @{$self->{copies}}, $copy;
        push @results, { DestinationRegion => $region,
            SnapshotId => $copy->{id}, Code => 'Success', Message => '' };
    }

    return { SnapshotCopyResultSet => \@results };
}

sub fresh {
    my ($self) = @_;
    my $id;

    do {
        $id = 'snap-' . join('', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 8);
    } while ($self->{known}{$id} || $id =~ /^snap-(none|part|full)/);

    $self->{known}{$id} = 1;

    return $id;
}

# every well-formed snapshot exists where it is copied from, but not what was
# copied elsewhere and what begins with "snap-none"

sub source_exists {
    my ($self, $region, $id) = @_;

    return 0 if $id !~ $snapshot_shape || $id =~ /^snap-none/;
    return 1 if !$self->{known}{$id};

    return grep { $_->{id} eq $id && $_->{to} eq $region } @{$self->{copies}};
}

sub describe {
    my ($self, $req, $params, $now) = @_;

    my $wrong = unknown($params, qw/ SnapshotIds Filters Limit Offset
        OrderField Order /);
    return $wrong if $wrong;

    my ($ids, $filters) = @$params{qw/ SnapshotIds Filters /};

    return error('InvalidParameter', 'SnapshotIds and Filters')
        if $ids && $filters;

    for my $list (grep { defined } $ids, $filters) {
        return error('InvalidParameter', 'no list') if ref $list ne 'ARRAY';
    }

    my $limit = $params->{Limit} // 20;
    my $offset = $params->{Offset} // 0;
    my $order = $params->{Order} // 'DESC';

    return error('InvalidParameterValue', 'Limit, Offset or Order')
        if $limit !~ /^\d+$/ || $limit > 100 || $offset !~ /^\d+$/
           || $order !~ /^(ASC|DESC)$/
           || ($params->{OrderField} // 'CREATE_TIME') ne 'CREATE_TIME';

    my %listed = map { $_ => 1 } keys %{$self->{sources}{$req->{region}}};

    if (grep { $_ eq $req->{region} } @{$self->{config}{sources}}) {
        $listed{$_} = 1 for grep { !$self->{known}{$_}
            && $self->source_exists($req->{region}, $_) } @{$ids // []};
    }

    my @all = ((map { $self->copied($_, $now) }
            grep { $_->{to} eq $req->{region} } @{$self->{copies}}),
        (map { $self->source($req->{region}, $_, $now) }
            sort { $a cmp $b } keys %listed));

    if ($ids) {
        my %want = map { $_ => 1 } @$ids;
        @all = grep { $want{$_->{SnapshotId}} } @all;
    }

    for my $filter (@{$filters // []}) {

        my $field = ref $filter eq 'HASH' && $field{$filter->{Name} // ''};

        return error('InvalidFilter', 'no such filter')
            if !$field || ref $filter->{Values} ne 'ARRAY'
               || @{$filter->{Values}} > 100;

        my %want = map { $_ => 1 } @{$filter->{Values}};

        return error('InvalidParameterValue', 'snapshot-state')
            if $field eq 'SnapshotState' && grep { !$states{$_} } keys %want;

        @all = grep { $want{value($_, $field)} } @all;
    }

    @all = sort { $a->{CreateTime} cmp $b->{CreateTime} } @all;
    @all = reverse @all if $order eq 'DESC';

    my $total = 0 + @all;
    my @page = splice(@all, $offset > $total ? $total : $offset, $limit);

    return { TotalCount => $total, SnapshotSet => \@page };
}

sub value {
    my ($snapshot, $field) = @_;

    my $value = ref $field ? $snapshot->{$field->[0]}{$field->[1]}
        : $snapshot->{$field};

    return ref $value eq 'SCALAR' ? ($$value ? 'TRUE' : 'FALSE') : $value;
}

sub copied {
    my ($self, $copy, $now) = @_;

    my $part = $self->part($copy, $now);

    return { snapshot($copy->{id}, $copy->{name}, $copy->{t}, $copy->{to}),
        SnapshotState => $part < 0.7 ? 'COPYING_FROM_REMOTE'
            : $part < 1 ? 'CHECKING_COPIED' : 'NORMAL',
        Percent => $part < 1 ? int(99 * $part) : 100,
        CopyFromRemote => \1, CopyingToRegions => [] };
}

sub source {
    my ($self, $region, $id, $now) = @_;

    my @going = map { $_->{to} } grep { $_->{source} eq $id
        && $_->{from} eq $region && $self->part($_, $now) < 1 }
        @{$self->{copies}};

    return { snapshot($id, "source $id", 1760000000, $region),
        SnapshotState => 'NORMAL', Percent => 100, CopyFromRemote => \0,
        CopyingToRegions => \@going };
}

sub part {
    my ($self, $copy, $now) = @_;
    my $all = $self->{config}{progress};
    return $all > 0 ? ($now - $copy->{t}) / $all : 1;
}

sub snapshot {
    my ($id, $name, $t, $region) = @_;

    return (SnapshotId => $id, SnapshotName => $name,
        CreateTime => strftime('%Y-%m-%d %H:%M:%S', gmtime($t)),
        LatestModifyTime => strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime($t)),
        DeadlineTime => '', IsPermanent => \1, Encrypt => \0, IsLocked => \0,
        DiskId => 'disk-' . substr($id, 5), DiskSize => 50,
        DiskUsage => 'DATA_DISK', SnapshotType => 'PRIVATE_SNAPSHOT',
        ShareReference => 0, TimeStartShare => '',
        Placement => { Zone => "$region-1", ProjectId => 0,
            ProjectName => 'default', CageId => '', CdcId => '', CdcName => '',
            DedicatedClusterId => '' },
        Images => [], ImageCount => 0, Tags => [],
        AutoSnapshotPolicyId => '', SnapshotMode => 'STANDARD_SNAPSHOT');
}

sub unknown {
    my ($params, @known) = @_;

    my %known = map { $_ => 1 } @known;
    my ($name) = grep { !$known{$_} } sort { $a cmp $b } keys %$params;

    return defined $name && error('UnknownParameter',
        "The parameter `$name` is not recognized.");
}

sub error {
    my ($code, $message) = @_;
    return { Error => { Code => $code, Message => $message } };
}

1;
