
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_OUTCOME_H_INCLUDED_
#define _NGX_HTTP_TCCBS_OUTCOME_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * Decides the outcome of a finished attempt and appends its record; the first
 * call counts, later ones do nothing.  Whatever is not certain is "unknown".
 * Sets ctx->outcome, ctx->reply and, unless Tencent's answer can be passed on,
 * ctx->error.
 */
void ngx_http_tccbs_settle(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_OUTCOME_H_INCLUDED_ */
