
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_FLEET_H_INCLUDED_
#define _NGX_HTTP_TCCBS_FLEET_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* What the limits of an account say, to all gateways that share a Redis. */

#define NGX_HTTP_TCCBS_LIMIT_RATE   1
#define NGX_HTTP_TCCBS_LIMIT_QUOTA  2

typedef struct {
    ngx_uint_t             over;          /* one of these, or 0 */
    uint64_t               wait;          /* microseconds */
    time_t                 left;          /* seconds of the day */
    uint32_t               used;          /* copies that day */
    uint32_t               day;
} ngx_http_tccbs_limits_t;


/*
 * Takes from the limits in Redis: NGX_OK, with limits->over 0 when taken;
 * NGX_AGAIN; NGX_DECLINED when Redis cannot be asked.
 */
ngx_int_t ngx_http_tccbs_fleet_limit(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits);

/* Gives back: the rate when "rate" is set, and the copies of that day or 0. */
void ngx_http_tccbs_fleet_give(ngx_http_tccbs_ctx_t *ctx, ngx_uint_t rate,
    uint32_t day);

/* The request is gone. */
void ngx_http_tccbs_fleet_cancel(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_FLEET_H_INCLUDED_ */
