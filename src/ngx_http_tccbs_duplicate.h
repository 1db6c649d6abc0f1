
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_DUPLICATE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_DUPLICATE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * No copy is made twice: a call that is the same as one in flight waits for its
 * answer, one that was answered gets that answer again for
 * tccbs_replay_window, and where the outcome is unknown the credential's
 * snapshot and region are held for tccbs_hold.
 *
 * NGX_OK: the call is the first; NGX_AGAIN with ctx->delay: to be asked again;
 * NGX_DONE with ctx->stored: the answer; NGX_DECLINED; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_duplicate(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/* A byte of the call may have left. */
void ngx_http_tccbs_duplicate_sent(ngx_http_tccbs_ctx_t *ctx);

/* Another attempt of it begins, with an id of its own. */
void ngx_http_tccbs_duplicate_again(ngx_http_tccbs_ctx_t *ctx);

/* The outcome is known, or that there will be none. */
void ngx_http_tccbs_duplicate_done(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_DUPLICATE_H_INCLUDED_ */
