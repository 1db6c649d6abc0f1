
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_


#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_hold.h"


/*
 * The audit records of a request, in their one form.  An intent: NGX_OK with
 * ctx->wait.pos to be waited for, ctx->flight taken and the key that signs in
 * ctx->signer; NGX_DECLINED when there is none and the call is refused;
 * NGX_BUSY when there is no room for another open intent; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_record_intent(ngx_http_tccbs_ctx_t *ctx);
void ngx_http_tccbs_record_outcome(ngx_http_tccbs_ctx_t *ctx);
void ngx_http_tccbs_record_refusal(ngx_http_tccbs_ctx_t *ctx);

/*
 * A copy whose answer was lost was found in the region, by a DescribeSnapshots
 * of this caller: hold->id is its intent, "made" the new snapshot or empty, and
 * hold->tag or hold->snapshot what it was found by.
 */
void ngx_http_tccbs_record_settled(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *region, ngx_str_t *made);


#endif /* _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_ */
