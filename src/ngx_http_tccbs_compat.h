
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_COMPAT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The signature of a module does not tell whether it was built with threads
 * and SSL, so that a wrong build would load and misbehave.
 */

#if !(NGX_THREADS)
#error "ngx_http_tccbs_module needs nginx configured with --with-threads"
#endif

#if !(NGX_HTTP_SSL)
#error "ngx_http_tccbs_module needs nginx built --with-http_ssl_module"
#endif

#if (NGX_PTR_SIZE != 8)
#error "ngx_http_tccbs_module needs a 64-bit platform"
#endif

#if (nginx_version < 1022000)
#error "ngx_http_tccbs_module needs nginx 1.22.0 or newer"
#endif


#if (nginx_version >= 1027002)

#define ngx_http_tccbs_parse_chunked(r, b, ctx)                               \
    ngx_http_parse_chunked(r, b, ctx, 0)

#else

#define ngx_http_tccbs_parse_chunked(r, b, ctx)                               \
    ngx_http_parse_chunked(r, b, ctx)

#endif


#endif /* _NGX_HTTP_TCCBS_COMPAT_H_INCLUDED_ */
