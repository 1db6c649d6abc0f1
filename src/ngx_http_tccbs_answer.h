
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ANSWER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ANSWER_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * The one form of an answer: status 200, exactly "application/json", Tencent's
 * envelope.  Sends Tencent's answer, or ctx->error when it is set.  The result
 * is for ngx_http_finalize_request().
 */
ngx_int_t ngx_http_tccbs_answer(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/*
 * Installs the filters that give the same form to what nginx itself answers,
 * in a location with tccbs_pass and, in a server with such a location, before
 * a location is found.
 */
ngx_int_t ngx_http_tccbs_answer_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TCCBS_ANSWER_H_INCLUDED_ */
