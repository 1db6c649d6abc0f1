
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_DECODE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_DECODE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * What is asked for: version, action, region and the parameters in the body,
 * into ctx->call.  NGX_OK, NGX_DECLINED with ctx->error, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_decode(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/*
 * The received body in one piece, from memory or from a temporary file, into
 * ctx->body.
 */
ngx_int_t ngx_http_tccbs_read(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_DECODE_H_INCLUDED_ */
