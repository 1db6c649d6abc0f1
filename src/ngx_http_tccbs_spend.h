
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SPEND_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SPEND_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * A signature is good for one call, see ngx_http_tccbs_replay.h, at this
 * gateway and at those that share its Redis.  NGX_OK; NGX_AGAIN: Redis is
 * asked; NGX_DECLINED; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_spend(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_SPEND_H_INCLUDED_ */
