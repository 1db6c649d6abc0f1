package TCCBS::Answer;

# What CBS answers to a copy, as tests make it up, and the names that it sees.

use strict;
use warnings;

use Exporter 'import';
use JSON::XS;

our @EXPORT_OK = qw/ copied tag /;

# the body: [ region, code, snapshot ] of each

sub copied {
    return encode_json({ Response => { RequestId => 'tc-1',
        SnapshotCopyResultSet => [ map { { DestinationRegion => $_->[0],
            Code => $_->[1], Message => '', SnapshotId => $_->[2] } } @_ ] } });
}

# what tccbs_snapshot_tag puts into the names of the call with that id

sub tag { return substr($_[0] =~ tr/-//dr, 0, 16) }

1;
