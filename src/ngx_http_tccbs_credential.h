
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_metrics.h"
#include "ngx_http_tccbs_queue.h"
#include "ngx_http_tccbs_recent.h"
#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_tc3.h"


typedef struct ngx_http_tccbs_credential_s  ngx_http_tccbs_credential_t;

struct ngx_http_tccbs_credential_s {
    ngx_str_t                 name;
    ngx_uint_t                index;
    ngx_tccbs_arena_t        *arena;

    ngx_str_t                 secret_id;
    ngx_str_t                 secret_key;     /* in the arena */
    ngx_str_t                 token;          /* in the arena, or empty */

    ngx_uint_t                limit[2];       /* of an action; 0: none */
    uint64_t                  cost[2];        /* of a call of it */
    ngx_msec_t                queue_time;
    ngx_uint_t                queue_max;

    ngx_http_tccbs_budget_t  *budget[2];
    ngx_http_tccbs_pace_t    *pace[2];
    ngx_atomic_t             *metrics;
};


/* "tccbs_credential name { file path; }" or "{ env; }". */
char *ngx_http_tccbs_credential_block(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential);

/* Prepares the per-worker signing keys of "n" credentials. */
ngx_int_t ngx_http_tccbs_credential_init(ngx_cycle_t *cycle, ngx_uint_t n);

/*
 * The Authorization value for a POST of "body" to "host" with the signed
 * headers content-type, host and x-tc-action (TC3, protocol of 2017-03-12),
 * signed at the time "now" whose text is "timestamp".  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_credential_sign(
    ngx_http_tccbs_credential_t *credential, ngx_pool_t *pool, time_t now,
    ngx_str_t *timestamp, ngx_str_t *host, ngx_str_t *action, ngx_str_t *body,
    ngx_str_t *authorization);


extern ngx_str_t  ngx_http_tccbs_content_type;


#endif /* _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_ */
