
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REPLAY_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/*
 * Action and region are not covered by the signature of any SDK.  So that a
 * captured request cannot be sent again with others, each accepted signature
 * is remembered with a digest of what it came with, for "life" seconds: until
 * its timestamp is out of the window.  An entry is never evicted before that.
 * A client that sends the same request again gets the answer it missed; when
 * that is not stored any more, after "window" seconds, the signature is spent.
 *
 * NGX_OK: new, or seen with the same context; NGX_DECLINED: seen with another
 * one; NGX_ABORT: spent; NGX_BUSY: no room, to be refused.
 */
ngx_int_t ngx_http_tccbs_replay_check(ngx_shm_zone_t *zone,
    const u_char *signature, uint32_t context, time_t life, time_t window);

/*
 * Asks for the memory that ngx_http_tccbs_replay_check() will look at: eight
 * lines that no cache has, which come while the signature is being verified.
 */
void ngx_http_tccbs_replay_prefetch(ngx_shm_zone_t *zone,
    const u_char *signature);


#endif /* _NGX_HTTP_TCCBS_REPLAY_H_INCLUDED_ */
