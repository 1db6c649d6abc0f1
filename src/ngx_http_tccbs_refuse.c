
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_refuse.h"


#define NGX_HTTP_TCCBS_MESSAGE  1024


ngx_int_t
ngx_http_tccbs_refuse(ngx_http_tccbs_ctx_t *ctx, const char *code,
    const char *rule, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_TCCBS_MESSAGE);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->error.code.data = (u_char *) code;
    ctx->error.code.len = ngx_strlen(code);

    ctx->rule.data = (u_char *) rule;
    ctx->rule.len = ngx_strlen(rule);

    ctx->error.message.data = p;

    va_start(args, fmt);
    p = ngx_vslprintf(p, p + NGX_HTTP_TCCBS_MESSAGE, fmt, args);
    va_end(args);

    ctx->error.message.len = p - ctx->error.message.data;

    return NGX_DECLINED;
}
