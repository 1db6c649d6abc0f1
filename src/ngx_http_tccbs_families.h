
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_FAMILIES_H_INCLUDED_
#define _NGX_HTTP_TCCBS_FAMILIES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * What is counted, see ngx_http_tccbs_metrics.h.  A family is a row of a table
 * in the .c file: its name, whose it is, its labels with all their values.
 *
 * To add a family, add a name here and a row at the same place there, and raise
 * NGX_HTTP_TCCBS_ZONE_LAYOUT: both forms of the status have it then, and
 * t/status.t wants it in docs/status.md.
 */

typedef enum {
    NGX_HTTP_TCCBS_M_REQUESTS = 0,
    NGX_HTTP_TCCBS_M_OUTCOMES,
    NGX_HTTP_TCCBS_M_DECISIONS,
    NGX_HTTP_TCCBS_M_REFUSALS,
    NGX_HTTP_TCCBS_M_COPIES,
    NGX_HTTP_TCCBS_M_QUOTA_USED,
    NGX_HTTP_TCCBS_M_QUOTA_LIMIT,

    NGX_HTTP_TCCBS_M_ATTEMPTS,
    NGX_HTTP_TCCBS_M_THROTTLED,
    NGX_HTTP_TCCBS_M_LIMIT,
    NGX_HTTP_TCCBS_M_LIMIT_NOW,
    NGX_HTTP_TCCBS_M_QUEUE,
    NGX_HTTP_TCCBS_M_QUEUE_WAIT,
    NGX_HTTP_TCCBS_M_SOURCE,
    NGX_HTTP_TCCBS_M_VALID,
    NGX_HTTP_TCCBS_M_EXPIRY,
    NGX_HTTP_TCCBS_M_REFRESHED,
    NGX_HTTP_TCCBS_M_REFRESH_RESULT,
    NGX_HTTP_TCCBS_M_REFRESHES,
    NGX_HTTP_TCCBS_M_LEASE_MODE,
    NGX_HTTP_TCCBS_M_LEASE_HELD,
    NGX_HTTP_TCCBS_M_LEASE_ASKED,
    NGX_HTTP_TCCBS_M_LEASE_LENT,
    NGX_HTTP_TCCBS_M_LEASE_LAPSED,

    NGX_HTTP_TCCBS_M_DURATION,
    NGX_HTTP_TCCBS_M_UPSTREAM,
    NGX_HTTP_TCCBS_M_OPEN,
    NGX_HTTP_TCCBS_M_HOLDS,
    NGX_HTTP_TCCBS_M_RECORDS,
    NGX_HTTP_TCCBS_M_SYNC,
    NGX_HTTP_TCCBS_M_WRITE_FAILURES,
    NGX_HTTP_TCCBS_M_FAILING,
    NGX_HTTP_TCCBS_M_FULL,
    NGX_HTTP_TCCBS_M_SKEW,
    NGX_HTTP_TCCBS_M_WORKERS,
    NGX_HTTP_TCCBS_M_WORKER_STARTS,
    NGX_HTTP_TCCBS_M_GENERATION,
    NGX_HTTP_TCCBS_M_LOADED,
    NGX_HTTP_TCCBS_M_RELOAD_FAILURES,
    NGX_HTTP_TCCBS_M_ZONE_SIZE,
    NGX_HTTP_TCCBS_M_ZONE_FREE,

    NGX_HTTP_TCCBS_M_REDIS_UP,
    NGX_HTTP_TCCBS_M_REDIS_OPEN,
    NGX_HTTP_TCCBS_M_REDIS_OPENS,
    NGX_HTTP_TCCBS_M_REDIS_MODE,
    NGX_HTTP_TCCBS_M_REDIS_CALLS,
    NGX_HTTP_TCCBS_M_REDIS_DURATION,
    NGX_HTTP_TCCBS_M_REDIS_SERVERS,
    NGX_HTTP_TCCBS_M_REDIS_NODES,

    NGX_HTTP_TCCBS_NMETRICS
} ngx_http_tccbs_metric_e;


/* Whose a family is: there is an area of cells for each of them. */

typedef enum {
    NGX_HTTP_TCCBS_OF_NODE = 0,
    NGX_HTTP_TCCBS_OF_ACCOUNT,
    NGX_HTTP_TCCBS_OF_CREDENTIAL,
    NGX_HTTP_TCCBS_OF_REDIS,              /* none without tccbs_redis */
    NGX_HTTP_TCCBS_NSCOPES
} ngx_http_tccbs_scope_e;

typedef enum {
    NGX_HTTP_TCCBS_COUNTER = 0,
    NGX_HTTP_TCCBS_GAUGE,
    NGX_HTTP_TCCBS_HISTOGRAM              /* of microseconds */
} ngx_http_tccbs_kind_e;

typedef struct {
    const char                *name;
    const ngx_str_t           *values;
    ngx_uint_t                 n;
} ngx_http_tccbs_label_t;

typedef struct {
    const char                *name;      /* without "tccbs_" */
    ngx_http_tccbs_kind_e      kind;
    ngx_http_tccbs_scope_e     scope;
    ngx_http_tccbs_label_t     labels[2]; /* name is NULL when there is none */
    ngx_uint_t                 micro;     /* millionths of what is shown */
    ngx_uint_t                 sparse;    /* what is 0 is not shown */
    const char                *help;
} ngx_http_tccbs_family_t;


/* A histogram has a cell per bound, one for what is above, and the sum. */

#define NGX_HTTP_TCCBS_NBOUNDS  18
#define NGX_HTTP_TCCBS_NBUCKET  (NGX_HTTP_TCCBS_NBOUNDS + 2)

/* Kinds of audit records. */

#define NGX_HTTP_TCCBS_NKINDS  5

/* What a gauge has when nothing is known; it is not shown then. */

#define NGX_HTTP_TCCBS_UNKNOWN  ((ngx_atomic_int_t) 0x8000000000000000)

/* The last value of the label "action": not known (yet). */

#define NGX_HTTP_TCCBS_NO_ACTION  2

/* Values of "kind" of redis_mode_workers, and of "mode", as with a lease. */

#define NGX_HTTP_TCCBS_MODE_RATES       0
#define NGX_HTTP_TCCBS_MODE_DUPLICATES  1

#define NGX_HTTP_TCCBS_MODE_SHARED      0
#define NGX_HTTP_TCCBS_MODE_LOCAL       1
#define NGX_HTTP_TCCBS_MODE_CLOSED      2


extern ngx_http_tccbs_family_t  ngx_http_tccbs_families[];
extern const uint64_t           ngx_http_tccbs_bounds[];


/* The place of a value in its label; the last one ("other") when unknown. */
ngx_uint_t ngx_http_tccbs_families_code(const ngx_str_t *code);
ngx_uint_t ngx_http_tccbs_families_rule(const ngx_str_t *rule);

/* The same of an audit record, by how it begins. */
ngx_uint_t ngx_http_tccbs_families_kind(const ngx_str_t *rest);


#endif /* _NGX_HTTP_TCCBS_FAMILIES_H_INCLUDED_ */
