
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ENTER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ENTER_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * ENTER: what the zone knows of other calls is good as long as it is the one
 * that sends, and not that of another binary (ngx_http_tccbs_takeover.h): the
 * term of the zone is noted before the zone is asked.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_http_tccbs_enter(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);

/* Whether that is still so, before the call is sent. */
ngx_int_t ngx_http_tccbs_entered(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_ENTER_H_INCLUDED_ */
