#!/usr/bin/perl

# A module that was built without threads or SSL has the signature of a good
# one and would load: the build must fail instead.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use File::Temp qw/ tempdir /;
use FindBin;
use Test::More;

my $root = abs_path("$FindBin::Bin/..");
my $objs = "$root/" . ($ENV{TCCBS_OBJS} // 'objs');
my $dir = tempdir(CLEANUP => 1);

sub compile {
    my ($change) = @_;

    open(my $fh, '>', "$dir/x.c") or die;
    print $fh "#include <ngx_config.h>\n$change\n",
        "#include \"ngx_http_tccbs_compat.h\"\n";
    close $fh;

    my $inc = join(' ', map { "-I$objs/tree/src/$_" } 'core', 'event',
        'event/modules', 'event/quic', 'os/unix', 'http', 'http/modules',
        'http/v2', 'http/v3');

    return scalar `cc -fsyntax-only $inc -I$objs/nginx -I$root/src $dir/x.c 2>&1`;
}

is(compile(''), '', 'as configured');
like(compile('#undef NGX_THREADS'), qr/#error .*--with-threads/,
    'without threads');
like(compile("#undef NGX_HTTP_SSL\n#undef NGX_SSL"),
    qr/#error .*--with-http_ssl_module/, 'without SSL');
like(compile("#include <nginx.h>\n#undef nginx_version\n"
    . '#define nginx_version 1020000'), qr/#error .*1\.22\.0/, 'old nginx');

done_testing();
