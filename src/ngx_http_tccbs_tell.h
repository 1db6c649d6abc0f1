
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_TELL_H_INCLUDED_
#define _NGX_HTTP_TCCBS_TELL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_hold.h"
#include "ngx_http_tccbs_redis.h"


/*
 * Tells the other gateways of a copy that will have no outcome, since its
 * worker died: the call is not in flight any more, and the "n" regions "to" are
 * held for "seconds"; none when it was not sent.
 */
void ngx_http_tccbs_tell(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *to, ngx_uint_t n, time_t seconds);


#endif /* _NGX_HTTP_TCCBS_TELL_H_INCLUDED_ */
