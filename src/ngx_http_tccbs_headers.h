
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_HEADERS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_HEADERS_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * What can be refused before the body is read: the method and the target, the
 * content type, a header that is repeated or unknown.  NGX_OK with ctx->headers
 * filled in, or NGX_DECLINED with ctx->error.
 */
ngx_int_t ngx_http_tccbs_shape(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_HEADERS_H_INCLUDED_ */
