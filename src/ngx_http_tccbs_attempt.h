
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ATTEMPT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ATTEMPT_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * One exchange with the upstream: a cloned subrequest whose answer stays in
 * memory.  ngx_http_tccbs_attempt_start() creates it for the main request "r";
 * when it ends, in whichever way, ngx_http_tccbs_settle() is told once, and
 * r->write_event_handler runs if there still is a caller.
 */
ngx_int_t ngx_http_tccbs_attempt_start(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/* The content handler of the subrequest. */
ngx_int_t ngx_http_tccbs_attempt_handler(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/* Ends a running attempt now, as its read or write time-out would. */
void ngx_http_tccbs_attempt_expire(ngx_http_tccbs_attempt_t *attempt);


#endif /* _NGX_HTTP_TCCBS_ATTEMPT_H_INCLUDED_ */
