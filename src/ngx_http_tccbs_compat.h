
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

/*
 * What the location that is being merged has of ngx_http_access_module, whose
 * configuration nginx keeps to itself: since 1.5.3 lists that are NULL without
 * a rule.  The module may have been left out of nginx.
 */

typedef struct {
    ngx_array_t       *rules;
#if (NGX_HAVE_INET6)
    ngx_array_t       *rules6;
#endif
#if (NGX_HAVE_UNIX_DOMAIN)
    ngx_array_t       *rules_un;
#endif
} ngx_http_tccbs_access_conf_t;


static ngx_inline ngx_uint_t
ngx_http_tccbs_access_rules(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_module_t                  *module;
    ngx_http_conf_ctx_t           *ctx;
    ngx_http_tccbs_access_conf_t  *acf;

    ctx = cf->ctx;
    acf = NULL;

    for (i = 0; cf->cycle->modules[i]; i++) {

        module = cf->cycle->modules[i];

        if (ngx_strcmp(module->name, "ngx_http_access_module") == 0) {
            acf = ctx->loc_conf[module->ctx_index];
            break;
        }
    }

    if (acf == NULL) {
        return 0;
    }

#if (NGX_HAVE_INET6)
    if (acf->rules6) {
        return 1;
    }
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    if (acf->rules_un) {
        return 1;
    }
#endif

    return acf->rules != NULL;
}


#endif /* _NGX_HTTP_TCCBS_COMPAT_H_INCLUDED_ */
