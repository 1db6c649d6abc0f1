
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REFUSE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REFUSE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * Sets ctx->error to a code of the Tencent Cloud API and a formatted sentence
 * (as ngx_sprintf(), at most 1024 bytes), ctx->rule to the name of the rule.
 * NGX_DECLINED, so that a stage can return it; NGX_ERROR without memory.
 */
ngx_int_t ngx_http_tccbs_refuse(ngx_http_tccbs_ctx_t *ctx, const char *code,
    const char *rule, const char *fmt, ...);


#endif /* _NGX_HTTP_TCCBS_REFUSE_H_INCLUDED_ */
