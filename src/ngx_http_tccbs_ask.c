
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_ask.h"
#include "ngx_http_tccbs_breaker.h"


ngx_int_t
ngx_http_tccbs_ask(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_script_e script, ngx_str_t *argv, ngx_uint_t argc,
    ngx_uint_t nkeys)
{
    ngx_int_t   rc;
    ngx_msec_t  deadline;

    deadline = ctx->mcf->redis->deadline;
    rc = NGX_DECLINED;

    if (ctx->asking < deadline) {
        rc = ngx_http_tccbs_redis_call(&ctx->ask, script, argv, argc, nkeys,
                                       deadline - ctx->asking);
    }

    if (rc == NGX_AGAIN) {
        ctx->asked = 1;
        ctx->asked_at = ngx_current_msec;

    } else {
        ngx_http_tccbs_breaker_count(ctx->mcf->redis,
                                     NGX_HTTP_TCCBS_BREAKER_NOT_ASKED, 0);
    }

    return rc;
}


ngx_int_t
ngx_http_tccbs_ask_answered(ngx_http_tccbs_ctx_t *ctx)
{
    ctx->asked = 0;
    ctx->asking += ngx_current_msec - ctx->asked_at;

    return ctx->ask.reply ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_tccbs_ask_key(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *key,
    const char *kind, ngx_str_t *name, const char *what, ngx_str_t *of)
{
    return ngx_http_tccbs_redis_key(ctx->mcf->redis, ctx->request->pool, key,
                                    kind, name, what, of);
}


ngx_int_t
ngx_http_tccbs_ask_number(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *arg,
    uint64_t n)
{
    arg->data = ngx_pnalloc(ctx->request->pool, NGX_INT64_LEN);
    if (arg->data == NULL) {
        return NGX_ERROR;
    }

    arg->len = ngx_sprintf(arg->data, "%uL", n) - arg->data;

    return NGX_OK;
}
