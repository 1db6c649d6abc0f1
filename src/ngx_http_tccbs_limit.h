
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_LIMIT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_LIMIT_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * The limits of the account: its rate, one for each action, and its quota of
 * destination copies.  All are taken or none.  NGX_OK; NGX_AGAIN with
 * ctx->delay in milliseconds when the call is within the burst and is to be
 * delayed; NGX_DECLINED with ctx->error and ctx->retry_after.
 */
ngx_int_t ngx_http_tccbs_limit(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/* Gives the quota back when it is certain that nothing was sent. */
void ngx_http_tccbs_limit_refund(ngx_http_tccbs_ctx_t *ctx);

/* The same, and the rate: the call is answered without the upstream. */
void ngx_http_tccbs_limit_forget(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_LIMIT_H_INCLUDED_ */
