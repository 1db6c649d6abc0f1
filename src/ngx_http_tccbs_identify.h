
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_IDENTIFY_H_INCLUDED_
#define _NGX_HTTP_TCCBS_IDENTIFY_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * Who is calling: sets ctx->account by the TC3 signature over the received
 * bytes, or by the value of tccbs_identity.  NGX_OK, NGX_DECLINED, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_identify(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_IDENTIFY_H_INCLUDED_ */
