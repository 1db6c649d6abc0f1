
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RECEIVE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RECEIVE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * The upstream's answer as it arrives (RFC 9112): the callbacks of an upstream
 * that keep status and body in ctx->attempt and nothing else.  What is not
 * perfectly framed is an error.
 */

ngx_int_t ngx_http_tccbs_process_status_line(ngx_http_request_t *r);
ngx_int_t ngx_http_tccbs_filter_init(void *data);
ngx_int_t ngx_http_tccbs_filter(void *data, ssize_t bytes);


#endif /* _NGX_HTTP_TCCBS_RECEIVE_H_INCLUDED_ */
