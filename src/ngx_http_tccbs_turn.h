
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_TURN_H_INCLUDED_
#define _NGX_HTTP_TCCBS_TURN_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * WAIT: the call takes its turn for a slot of the credential's upstream limit.
 * NGX_OK; NGX_AGAIN with ctx->delay: to be asked again; NGX_DECLINED when the
 * queue is full or the time in it is over; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_turn(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/*
 * SEND: holds calls apart that a slow disk has brought together after each had
 * its slot.  NGX_OK, or NGX_AGAIN with ctx->delay: to be asked again.
 */
ngx_int_t ngx_http_tccbs_turn_depart(ngx_http_tccbs_ctx_t *ctx);

/* The call leaves the queue, if it is in it. */
void ngx_http_tccbs_turn_leave(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_TURN_H_INCLUDED_ */
