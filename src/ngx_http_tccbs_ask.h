
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ASK_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ASK_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * How a stage asks Redis: it returns NGX_AGAIN and is called again, with
 * ctx->asked set, when there is a reply or none in time.  A call waits for
 * Redis for the deadline in all, not for each question.
 */

/* NGX_AGAIN: asked; NGX_DECLINED: Redis cannot be asked. */
ngx_int_t ngx_http_tccbs_ask(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_script_e script, ngx_str_t *argv, ngx_uint_t argc,
    ngx_uint_t nkeys);

/* NGX_OK: ctx->ask.reply; NGX_DECLINED: there was none. */
ngx_int_t ngx_http_tccbs_ask_answered(ngx_http_tccbs_ctx_t *ctx);

/* Arguments, in the request's pool: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_tccbs_ask_key(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *key,
    const char *kind, ngx_str_t *name, const char *what, ngx_str_t *of);
ngx_int_t ngx_http_tccbs_ask_number(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *arg,
    uint64_t n);


#endif /* _NGX_HTTP_TCCBS_ASK_H_INCLUDED_ */
