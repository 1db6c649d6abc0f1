
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
 * What the other gateways are told of a call, see the script: from "hold" its
 * pool, its credential, snapshot, digest, and the id of its last attempt.
 */

typedef struct {
    ngx_str_t                 token;          /* the claim was made with it */
    const char               *state;          /* one of these: */
    ngx_str_t                *answer;         /* or NULL */
    ngx_uint_t                outcome;
    time_t                    seconds;        /* it is known for */
    ngx_str_t                *to;             /* regions that are told of */
    ngx_str_t                *known;          /* NULL: each of them is held */
    ngx_uint_t                n;
} ngx_http_tccbs_tell_t;

#define NGX_HTTP_TCCBS_CLAIM_ANSWERED  "a"
#define NGX_HTTP_TCCBS_CLAIM_WAITED    "r"    /* for those who waited */
#define NGX_HTTP_TCCBS_CLAIM_HELD      "h"
#define NGX_HTTP_TCCBS_CLAIM_FREE      "-"


/* Without memory nothing is told; "life" is that of the note, in seconds. */
void ngx_http_tccbs_tell(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_http_tccbs_tell_t *tell, time_t life);

/*
 * The keys of a call and of "n" regions, in argv[0] and behind it; one key.
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_tell_keys(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *to, ngx_uint_t n,
    ngx_str_t *argv);
ngx_int_t ngx_http_tccbs_tell_key(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, const char *what, const u_char *digest,
    ngx_str_t *key);


#endif /* _NGX_HTTP_TCCBS_TELL_H_INCLUDED_ */
