
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * The audit records of a request, in their one form.  An intent: NGX_OK with
 * ctx->wait.pos to be waited for and ctx->flight taken; NGX_BUSY when there is
 * no room for another open intent; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_record_intent(ngx_http_tccbs_ctx_t *ctx);
void ngx_http_tccbs_record_outcome(ngx_http_tccbs_ctx_t *ctx);
void ngx_http_tccbs_record_refusal(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_RECORD_H_INCLUDED_ */
