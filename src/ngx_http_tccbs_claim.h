
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CLAIM_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CLAIM_H_INCLUDED_


#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_tell.h"


/*
 * The calls of all gateways that share a Redis, behind the table of this one:
 * see ngx_http_tccbs_store.h for what is kept of a call.  A claim is ended by
 * its owner alone, whose token is the id that it was made with; or it ends when
 * nobody can wait for the outcome any more.
 */

#define NGX_HTTP_TCCBS_CLAIM_MADE  -100

/*
 * NGX_OK: claimed for this call; NGX_AGAIN: Redis is asked; NGX_ABORT: it flies
 * at another gateway; NGX_DONE: answered there, "found" has the answer;
 * NGX_BUSY: held; NGX_HTTP_TCCBS_CLAIM_MADE: found[i].made is set for regions
 * that this very call was found to have reached; NGX_DECLINED: Redis cannot be
 * asked; NGX_ERROR.  "found" has room for all regions.
 */
ngx_int_t ngx_http_tccbs_claim(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold, ngx_http_tccbs_found_t *found);

/*
 * What became of it: its state with an answer or none, for "seconds"; and of
 * each region "known", or none when that is NULL: see the script.
 */
void ngx_http_tccbs_claim_end(ngx_http_tccbs_ctx_t *ctx, const char *state,
    ngx_str_t *answer, time_t seconds, ngx_str_t *known);

/* A region that was held was found to have the copy. */
void ngx_http_tccbs_claim_made(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found, ngx_str_t *snapshot);


#endif /* _NGX_HTTP_TCCBS_CLAIM_H_INCLUDED_ */
