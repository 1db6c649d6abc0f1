
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_snapshot.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_SECOND  1000000           /* microseconds */
#define NGX_HTTP_TCCBS_DAY     86400


static ngx_http_tccbs_owner_t *ngx_http_tccbs_snapshot_owner(
    ngx_http_tccbs_snapshot_t *s, ngx_http_tccbs_scope_e scope,
    const ngx_str_t *name, ngx_atomic_t *area);
static ngx_int_t ngx_http_tccbs_snapshot_accounts(
    ngx_http_tccbs_snapshot_t *s);
static ngx_int_t ngx_http_tccbs_snapshot_credentials(
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_snapshot_health(ngx_http_tccbs_snapshot_t *s,
    ngx_http_tccbs_owner_t *owner);
static void ngx_http_tccbs_snapshot_lease(ngx_http_tccbs_snapshot_t *s,
    ngx_http_tccbs_owner_t *owner, ngx_uint_t action);
static ngx_int_t ngx_http_tccbs_snapshot_redis(ngx_http_tccbs_snapshot_t *s);
static ngx_int_t ngx_http_tccbs_snapshot_node(ngx_http_tccbs_snapshot_t *s);
static int ngx_libc_cdecl ngx_http_tccbs_snapshot_older(const void *one,
    const void *two);
static void ngx_http_tccbs_snapshot_set(ngx_http_tccbs_owner_t *owner,
    ngx_http_tccbs_metric_e metric, ngx_uint_t i, ngx_atomic_int_t value);


ngx_http_tccbs_snapshot_t *
ngx_http_tccbs_snapshot(ngx_http_tccbs_main_conf_t *mcf, ngx_pool_t *pool)
{
    ngx_time_t                 *tp;
    ngx_uint_t                  i, n[NGX_HTTP_TCCBS_NSCOPES];
    ngx_http_tccbs_snapshot_t  *s;

    tp = ngx_timeofday();

    s = ngx_pcalloc(pool, sizeof(ngx_http_tccbs_snapshot_t));
    if (s == NULL) {
        return NULL;
    }

    s->mcf = mcf;
    s->now = tp->sec;
    s->msec = tp->msec;

    n[NGX_HTTP_TCCBS_OF_NODE] = 1;
    n[NGX_HTTP_TCCBS_OF_ACCOUNT] = mcf->accounts.nelts + 1;
    n[NGX_HTTP_TCCBS_OF_CREDENTIAL] = ngx_max(mcf->credentials.nelts, 1);
    n[NGX_HTTP_TCCBS_OF_REDIS] = 1;

    for (i = 0; i < NGX_HTTP_TCCBS_NSCOPES; i++) {
        if (ngx_array_init(&s->owners[i], pool, n[i],
                           sizeof(ngx_http_tccbs_owner_t))
            != NGX_OK)
        {
            return NULL;
        }
    }

    s->held = ngx_palloc(pool, NGX_HTTP_TCCBS_HELD_MAX
                               * sizeof(ngx_http_tccbs_held_t));
    s->decisions = ngx_palloc(pool, NGX_HTTP_TCCBS_RECENT
                                    * sizeof(ngx_http_tccbs_decision_t));

    if (s->held == NULL
        || s->decisions == NULL
        || ngx_http_tccbs_snapshot_accounts(s) != NGX_OK
        || ngx_http_tccbs_snapshot_credentials(s) != NGX_OK
        || ngx_http_tccbs_snapshot_node(s) != NGX_OK
        || ngx_http_tccbs_snapshot_redis(s) != NGX_OK)
    {
        return NULL;
    }

    s->ndecisions = ngx_http_tccbs_recent_copy(mcf->recent, s->decisions);

    return s;
}


static ngx_http_tccbs_owner_t *
ngx_http_tccbs_snapshot_owner(ngx_http_tccbs_snapshot_t *s,
    ngx_http_tccbs_scope_e scope, const ngx_str_t *name, ngx_atomic_t *area)
{
    ngx_http_tccbs_owner_t  *owner;

    owner = ngx_array_push(&s->owners[scope]);
    if (owner == NULL) {
        return NULL;
    }

    ngx_memzero(owner, sizeof(ngx_http_tccbs_owner_t));

    owner->name = name;
    owner->cells = ngx_palloc(s->owners[scope].pool,
                              ngx_http_tccbs_metrics_size(scope)
                              * sizeof(ngx_atomic_int_t));
    if (owner->cells == NULL) {
        return NULL;
    }

    ngx_http_tccbs_metrics_copy(owner->cells, area, scope);

    return owner;
}


static ngx_int_t
ngx_http_tccbs_snapshot_accounts(ngx_http_tccbs_snapshot_t *s)
{
    ngx_uint_t                  i;
    ngx_http_tccbs_owner_t     *owner;
    ngx_http_tccbs_account_t  **accounts, *account;

    static ngx_str_t  none = ngx_string("none");

    accounts = s->mcf->accounts.elts;

    for (i = 0; i < s->mcf->accounts.nelts; i++) {

        account = accounts[i];

        owner = ngx_http_tccbs_snapshot_owner(s, NGX_HTTP_TCCBS_OF_ACCOUNT,
                                              &account->name,
                                              account->metrics);
        if (owner == NULL) {
            return NGX_ERROR;
        }

        owner->account = account;

        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_QUOTA_USED, 0,
                       account->quota
                       ? (ngx_atomic_int_t) ngx_tccbs_quota_used(
                                              &account->usage->quota,
                                              s->now / NGX_HTTP_TCCBS_DAY)
                       : NGX_HTTP_TCCBS_UNKNOWN);
        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_QUOTA_LIMIT, 0,
                       account->quota ? (ngx_atomic_int_t) account->quota
                                      : NGX_HTTP_TCCBS_UNKNOWN);
    }

    owner = ngx_http_tccbs_snapshot_owner(s, NGX_HTTP_TCCBS_OF_ACCOUNT, &none,
                                          s->mcf->nobody);
    if (owner == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_QUOTA_USED, 0,
                                NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_QUOTA_LIMIT, 0,
                                NGX_HTTP_TCCBS_UNKNOWN);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_snapshot_credentials(ngx_http_tccbs_snapshot_t *s)
{
    uint64_t                       cost, now;
    ngx_uint_t                     i, n;
    ngx_http_tccbs_owner_t        *owner;
    ngx_http_tccbs_budget_t       *budget;
    ngx_http_tccbs_credential_t  **credentials, *credential;

    credentials = s->mcf->credentials.elts;

    for (i = 0; i < s->mcf->credentials.nelts; i++) {

        credential = credentials[i];

        owner = ngx_http_tccbs_snapshot_owner(s, NGX_HTTP_TCCBS_OF_CREDENTIAL,
                                              &credential->name,
                                              credential->metrics);
        if (owner == NULL) {
            return NGX_ERROR;
        }

        owner->credential = credential;
        ngx_http_tccbs_snapshot_health(s, owner);

        for (n = 0; n < NGX_TCCBS_NACTIONS; n++) {

            ngx_http_tccbs_snapshot_lease(s, owner, n);

            cost = credential->cost[n];

            if (cost == 0) {
                ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LIMIT, n,
                                            NGX_HTTP_TCCBS_UNKNOWN);
                ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LIMIT_NOW,
                                            n, NGX_HTTP_TCCBS_UNKNOWN);
                continue;
            }

            budget = credential->budget[n];
            now = ngx_http_tccbs_queue_cost(budget, cost);

            ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LIMIT, n,
                                        (uint64_t) NGX_HTTP_TCCBS_SECOND
                                        * NGX_HTTP_TCCBS_SECOND / cost);
            ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LIMIT_NOW, n,
                                        (uint64_t) NGX_HTTP_TCCBS_SECOND
                                        * NGX_HTTP_TCCBS_SECOND / now);
            ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_QUEUE, n,
                                        budget->n);
        }
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_snapshot_health(ngx_http_tccbs_snapshot_t *s,
    ngx_http_tccbs_owner_t *owner)
{
    ngx_uint_t                            i;
    ngx_http_tccbs_credential_status_t   *status;

    status = &owner->status;

    ngx_http_tccbs_credential_status(owner->credential, s->now, status);

    for (i = 0;
         i < ngx_http_tccbs_families[NGX_HTTP_TCCBS_M_SOURCE].labels[0].n;
         i++)
    {
        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_SOURCE, i,
                                    (i == owner->credential->source.kind)
                                    ? 1 : NGX_HTTP_TCCBS_UNKNOWN);
    }

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_VALID, 0,
                                status->valid);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_EXPIRY, 0,
                                status->expires
                                ? status->expires - s->now
                                : NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REFRESHED, 0,
                                status->refreshed ? status->refreshed
                                                  : NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REFRESH_RESULT,
                                status->result, 1);
}


static void
ngx_http_tccbs_snapshot_lease(ngx_http_tccbs_snapshot_t *s,
    ngx_http_tccbs_owner_t *owner, ngx_uint_t action)
{
    ngx_uint_t                 i, n, leased;
    ngx_tccbs_lease_status_t   lease;

    ngx_memzero(&lease, sizeof(ngx_tccbs_lease_status_t));

    leased = (ngx_http_tccbs_queue_lease_status(s->mcf->zone,
                                           owner->credential->budget[action],
                                           &lease)
              == NGX_OK);

    n = NGX_HTTP_TCCBS_MODE_CLOSED + 1;

    for (i = 0; i < n; i++) {
        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LEASE_MODE,
                                    action * n + i,
                                    leased ? (i == lease.mode)
                                           : NGX_HTTP_TCCBS_UNKNOWN);
    }

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LEASE_HELD, action,
                                leased ? (ngx_atomic_int_t) lease.held
                                       : NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LEASE_ASKED, action,
                                leased ? (ngx_atomic_int_t) lease.asked
                                       : NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LEASE_LENT, action,
                                leased ? (ngx_atomic_int_t) lease.lent
                                       : NGX_HTTP_TCCBS_UNKNOWN);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_LEASE_LAPSED, action,
                                leased ? (ngx_atomic_int_t) lease.lapsed
                                       : NGX_HTTP_TCCBS_UNKNOWN);
}


/* After the node, whose workers they are. */

static ngx_int_t
ngx_http_tccbs_snapshot_redis(ngx_http_tccbs_snapshot_t *s)
{
    ngx_uint_t                    i, mode, open, workers;
    ngx_http_tccbs_owner_t       *owner, *node;
    ngx_http_tccbs_redis_conf_t  *redis;

    redis = s->mcf->redis;

    if (redis == NULL) {
        return NGX_OK;
    }

    owner = ngx_http_tccbs_snapshot_owner(s, NGX_HTTP_TCCBS_OF_REDIS,
                                          &redis->name, redis->metrics);
    if (owner == NULL) {
        return NGX_ERROR;
    }

    node = s->owners[NGX_HTTP_TCCBS_OF_NODE].elts;

    workers = node->cells[ngx_http_tccbs_metrics_first(
                                                   NGX_HTTP_TCCBS_M_WORKERS)];
    open = owner->cells[ngx_http_tccbs_metrics_first(
                                                NGX_HTTP_TCCBS_M_REDIS_OPEN)];
    open = ngx_min(open, workers);

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REDIS_UP, 0,
                                open == 0);

    for (i = 0; i <= NGX_HTTP_TCCBS_MODE_DUPLICATES; i++) {

        mode = (i == NGX_HTTP_TCCBS_MODE_RATES) ? redis->rates
                                                : redis->duplicates;
        mode = (mode == NGX_HTTP_TCCBS_REDIS_LOCAL)
               ? NGX_HTTP_TCCBS_MODE_LOCAL : NGX_HTTP_TCCBS_MODE_CLOSED;
        mode += i * (NGX_HTTP_TCCBS_MODE_CLOSED + 1);

        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REDIS_MODE,
                                    i * (NGX_HTTP_TCCBS_MODE_CLOSED + 1),
                                    workers - open);
        ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REDIS_MODE, mode,
                                    open);
    }

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REDIS_SERVERS, 0,
                                redis->naddrs);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_REDIS_NODES, 0,
                                redis->nodes);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_snapshot_node(ngx_http_tccbs_snapshot_t *s)
{
    ngx_uint_t               i, held, open;
    ngx_slab_pool_t         *shpool;
    ngx_http_tccbs_shm_t    *shm;
    ngx_http_tccbs_owner_t  *owner;

    static ngx_str_t  name = ngx_null_string;

    owner = ngx_http_tccbs_snapshot_owner(s, NGX_HTTP_TCCBS_OF_NODE, &name,
                                          NULL);

    if (owner == NULL) {
        return NGX_ERROR;
    }

    held = ngx_http_tccbs_held(s->mcf->zone, s->held,
                                     NGX_HTTP_TCCBS_HELD_MAX, &s->nheld);

    ngx_qsort(s->held, s->nheld, sizeof(ngx_http_tccbs_held_t),
              ngx_http_tccbs_snapshot_older);

    shpool = (ngx_slab_pool_t *) s->mcf->zone->shm.addr;
    shm = shpool->data;
    open = 0;

    for (i = 0; i < shm->nflights; i++) {
        open += (shm->flights[i].owner != 0);
    }

    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_HOLDS, 0, held);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_OPEN, 0, open);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_ZONE_SIZE, 0,
                                shm->size);
    ngx_http_tccbs_snapshot_set(owner, NGX_HTTP_TCCBS_M_ZONE_FREE, 0,
                                shpool->pfree * ngx_pagesize);

    if (owner->cells[ngx_http_tccbs_metrics_first(NGX_HTTP_TCCBS_M_FAILING)]) {
        s->unready = "a worker cannot write the audit log";

    } else if (owner->cells[ngx_http_tccbs_metrics_first(
                                                   NGX_HTTP_TCCBS_M_FULL)])
    {
        s->unready = "there is no room for the audit log";

    } else if (ngx_exiting || ngx_terminate) {
        s->unready = "nginx stops";
    }

    return NGX_OK;
}


/* The regions of a call together. */

static int ngx_libc_cdecl
ngx_http_tccbs_snapshot_older(const void *one, const void *two)
{
    const ngx_http_tccbs_held_t  *a, *b;

    a = one;
    b = two;

    if (a->age != b->age) {
        return (a->age > b->age) ? -1 : 1;
    }

    return ngx_memcmp(a->id, b->id, sizeof(a->id));
}


static void
ngx_http_tccbs_snapshot_set(ngx_http_tccbs_owner_t *owner,
    ngx_http_tccbs_metric_e metric, ngx_uint_t i, ngx_atomic_int_t value)
{
    owner->cells[ngx_http_tccbs_metrics_first(metric) + i] = value;
}
