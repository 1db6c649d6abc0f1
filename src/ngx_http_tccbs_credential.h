
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_grant.h"
#include "ngx_http_tccbs_metrics.h"
#include "ngx_http_tccbs_queue.h"
#include "ngx_http_tccbs_recent.h"
#include "ngx_http_tccbs_source.h"
#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_tc3.h"


typedef struct ngx_http_tccbs_credential_s  ngx_http_tccbs_credential_t;

struct ngx_http_tccbs_credential_s {
    ngx_str_t                 name;
    ngx_uint_t                index;

    ngx_http_tccbs_source_t   source;
    ngx_http_tccbs_page_t    *page;           /* what workers know of it */

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

/*
 * Looks for the credential that the role of this one is assumed by, among those
 * that stand before it.
 */
char *ngx_http_tccbs_credential_via(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential, ngx_array_t *credentials);

/* Prepares this process to sign with "n" credentials. */
ngx_int_t ngx_http_tccbs_credential_init(ngx_cycle_t *cycle, ngx_uint_t n);

/*
 * The key id that signs now, for the record of an intent.  NGX_OK, NGX_DECLINED
 * when there is none that is valid, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_credential_key(
    ngx_http_tccbs_credential_t *credential, ngx_pool_t *pool, time_t now,
    ngx_str_t *key);

/* Whether "key" still is the one that signs. */
ngx_uint_t ngx_http_tccbs_credential_current(
    ngx_http_tccbs_credential_t *credential, time_t now, ngx_str_t *key);

/*
 * The Authorization value for a POST of "body" to "host" with the signed
 * headers content-type, host and x-tc-action (TC3, protocol of 2017-03-12),
 * signed with "key" at the time "now" whose text is "timestamp"; the token, or
 * an empty one, is that of the same key.  NGX_OK; NGX_DECLINED when another key
 * signs now, or none; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_credential_sign(
    ngx_http_tccbs_credential_t *credential, ngx_pool_t *pool, time_t now,
    ngx_str_t *key, ngx_str_t *timestamp, ngx_str_t *host, ngx_str_t *action,
    ngx_str_t *body, ngx_str_t *authorization, ngx_str_t *token);


#define NGX_HTTP_TCCBS_CREDENTIAL_MASK  16


/* What may be told of a credential. */

typedef struct {
    ngx_uint_t                      valid;      /* it signs now */
    u_char                          key[NGX_HTTP_TCCBS_CREDENTIAL_MASK];
    size_t                          key_len;    /* masked; 0: not valid */
    time_t                          expires;    /* 0: never, or not valid */
    time_t                          refreshed;  /* from its source, 0: never */
    time_t                          tried;      /* last, to get it from there */
    ngx_http_tccbs_grant_result_e   result;     /* of that */
} ngx_http_tccbs_credential_status_t;

/* In any process, and without a secret in the result. */
void ngx_http_tccbs_credential_status(ngx_http_tccbs_credential_t *credential,
    time_t now, ngx_http_tccbs_credential_status_t *status);


#endif /* _NGX_HTTP_TCCBS_CREDENTIAL_H_INCLUDED_ */
