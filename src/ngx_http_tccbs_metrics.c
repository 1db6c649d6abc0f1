
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_metrics.h"


#define NGX_HTTP_TCCBS_PROCESSES  64

#define NGX_HTTP_TCCBS_FAILING    1
#define NGX_HTTP_TCCBS_FULL       2
#define NGX_HTTP_TCCBS_OPEN       4


typedef struct {
    ngx_atomic_t       pid;                       /* 0 when free */
    ngx_atomic_t       state;
} ngx_http_tccbs_process_t;


static void ngx_http_tccbs_metrics_layout(void);
static ngx_http_tccbs_process_t *ngx_http_tccbs_metrics_table(
    ngx_shm_zone_t *zone);
static void ngx_http_tccbs_metrics_failed(void *data);
static void ngx_http_tccbs_metrics_say(ngx_atomic_uint_t which,
    ngx_atomic_uint_t state);
static ngx_uint_t ngx_http_tccbs_metrics_processes(ngx_atomic_uint_t state);


static ngx_uint_t  ngx_http_tccbs_first[NGX_HTTP_TCCBS_NMETRICS];
static ngx_uint_t  ngx_http_tccbs_cells[NGX_HTTP_TCCBS_NSCOPES];

/* of this process, inherited from the master */

static ngx_atomic_t              *ngx_http_tccbs_node;
static ngx_http_tccbs_process_t  *ngx_http_tccbs_processes;
static ngx_http_tccbs_process_t  *ngx_http_tccbs_process;


/* The same in every generation of a zone: a binary upgrade has another one. */

static void
ngx_http_tccbs_metrics_layout(void)
{
    ngx_uint_t                i, n;
    ngx_http_tccbs_family_t  *f;

    ngx_memzero(ngx_http_tccbs_cells, sizeof(ngx_http_tccbs_cells));

    for (i = 0; i < NGX_HTTP_TCCBS_NMETRICS; i++) {

        f = &ngx_http_tccbs_families[i];

        n = f->labels[0].n * f->labels[1].n;

        if (f->kind == NGX_HTTP_TCCBS_HISTOGRAM) {
            n *= NGX_HTTP_TCCBS_NBUCKET;
        }

        ngx_http_tccbs_first[i] = ngx_http_tccbs_cells[f->scope];
        ngx_http_tccbs_cells[f->scope] += n;
    }
}


ngx_atomic_t *
ngx_http_tccbs_metrics_area(ngx_shm_zone_t *zone, ngx_http_tccbs_scope_e scope,
    ngx_str_t *name)
{
    size_t      size;
    ngx_str_t   none = ngx_null_string;

    static const char  *kinds[] = {
        "node metrics", "account metrics", "credential metrics",
        "redis metrics"
    };

    size = ngx_http_tccbs_cells[scope] * sizeof(ngx_atomic_t);

    if (name == NULL) {
        return ngx_http_tccbs_zone_named(zone, "metrics of none", &none, size);
    }

    return ngx_http_tccbs_zone_named(zone, kinds[scope], name, size);
}


static ngx_http_tccbs_process_t *
ngx_http_tccbs_metrics_table(ngx_shm_zone_t *zone)
{
    ngx_str_t  none = ngx_null_string;

    return ngx_http_tccbs_zone_named(zone, "processes", &none,
                                     NGX_HTTP_TCCBS_PROCESSES
                                     * sizeof(ngx_http_tccbs_process_t));
}


ngx_int_t
ngx_http_tccbs_metrics_names(ngx_shm_zone_t *zone)
{
    ngx_str_t  none = ngx_null_string;

    ngx_http_tccbs_metrics_layout();

    if (ngx_http_tccbs_metrics_area(zone, NGX_HTTP_TCCBS_OF_NODE, &none) == NULL
        || ngx_http_tccbs_metrics_table(zone) == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_metrics_start(ngx_shm_zone_t *zone)
{
    ngx_str_t      none = ngx_null_string;
    ngx_atomic_t  *node;

    node = ngx_http_tccbs_metrics_area(zone, NGX_HTTP_TCCBS_OF_NODE, &none);
    ngx_http_tccbs_processes = ngx_http_tccbs_metrics_table(zone);

    if (node == NULL || ngx_http_tccbs_processes == NULL) {
        return NGX_ERROR;
    }

    node[ngx_http_tccbs_first[NGX_HTTP_TCCBS_M_GENERATION]]++;
    node[ngx_http_tccbs_first[NGX_HTTP_TCCBS_M_LOADED]] = ngx_time();

    ngx_http_tccbs_node = node;

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_metrics_begin(ngx_pool_t *pool, ngx_uint_t **loaded)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_uint_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tccbs_metrics_failed;

    *loaded = cln->data;
    **loaded = 0;

    return NGX_OK;
}


void
ngx_http_tccbs_metrics_loaded(ngx_uint_t *loaded)
{
    if (loaded) {
        *loaded = 1;
    }

    /* what was counted in before may be of a zone that goes */

    ngx_http_tccbs_node = NULL;
    ngx_http_tccbs_processes = NULL;
}


/* The pool of a configuration goes; what is in use is the one before it. */

static void
ngx_http_tccbs_metrics_failed(void *data)
{
    ngx_uint_t *loaded = data;

    if (!*loaded) {
        ngx_http_tccbs_metrics_add(NULL, NGX_HTTP_TCCBS_M_RELOAD_FAILURES,
                                   0, 0, 1);
    }
}


ngx_uint_t
ngx_http_tccbs_metrics_first(ngx_http_tccbs_metric_e metric)
{
    return ngx_http_tccbs_first[metric];
}


ngx_uint_t
ngx_http_tccbs_metrics_size(ngx_http_tccbs_scope_e scope)
{
    return ngx_http_tccbs_cells[scope];
}


void
ngx_http_tccbs_metrics_add(ngx_atomic_t *area, ngx_http_tccbs_metric_e metric,
    ngx_uint_t one, ngx_uint_t two, ngx_uint_t n)
{
    ngx_http_tccbs_family_t  *f;

    area = area ? area : ngx_http_tccbs_node;

    if (area == NULL) {
        return;
    }

    f = &ngx_http_tccbs_families[metric];

    (void) ngx_atomic_fetch_add(&area[ngx_http_tccbs_first[metric]
                                      + one * f->labels[1].n + two], n);
}


void
ngx_http_tccbs_metrics_observe(ngx_atomic_t *area,
    ngx_http_tccbs_metric_e metric, ngx_uint_t one, uint64_t microseconds)
{
    ngx_uint_t     i;
    ngx_atomic_t  *cell;

    area = area ? area : ngx_http_tccbs_node;

    if (area == NULL) {
        return;
    }

    cell = &area[ngx_http_tccbs_first[metric] + one * NGX_HTTP_TCCBS_NBUCKET];

    for (i = 0; i < NGX_HTTP_TCCBS_NBOUNDS; i++) {
        if (microseconds <= ngx_http_tccbs_bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&cell[i], 1);
    (void) ngx_atomic_fetch_add(&cell[NGX_HTTP_TCCBS_NBOUNDS + 1],
                                microseconds);
}


/* Doubled and one more, so that 0 says that there was no answer yet. */

void
ngx_http_tccbs_metrics_skew(time_t theirs)
{
    if (ngx_http_tccbs_node) {
        ngx_http_tccbs_node[ngx_http_tccbs_first[NGX_HTTP_TCCBS_M_SKEW]] =
                                               (ngx_time() - theirs) * 2 + 1;
    }
}


void
ngx_http_tccbs_metrics_worker(void)
{
    ngx_uint_t                 i;
    ngx_atomic_uint_t          pid;
    ngx_http_tccbs_process_t  *process;

    ngx_http_tccbs_metrics_add(NULL, NGX_HTTP_TCCBS_M_WORKER_STARTS, 0, 0, 1);

    for (i = 0; i < NGX_HTTP_TCCBS_PROCESSES; i++) {

        process = &ngx_http_tccbs_processes[i];
        pid = process->pid;

        if (pid && !ngx_http_tccbs_gone(pid)) {
            continue;
        }

        if (ngx_atomic_cmp_set(&process->pid, pid, ngx_pid)) {
            process->state = 0;
            ngx_http_tccbs_process = process;
            return;
        }
    }
}


void
ngx_http_tccbs_metrics_worker_exit(void)
{
    if (ngx_http_tccbs_process) {
        ngx_http_tccbs_process->pid = 0;
        ngx_http_tccbs_process = NULL;
    }
}


void
ngx_http_tccbs_metrics_journal(ngx_uint_t failing, ngx_uint_t full)
{
    if (failing) {
        ngx_http_tccbs_metrics_add(NULL, NGX_HTTP_TCCBS_M_WRITE_FAILURES, 0, 0,
                                   1);
    }

    ngx_http_tccbs_metrics_say(NGX_HTTP_TCCBS_FAILING|NGX_HTTP_TCCBS_FULL,
                               (failing ? NGX_HTTP_TCCBS_FAILING : 0)
                               |(full ? NGX_HTTP_TCCBS_FULL : 0));
}


void
ngx_http_tccbs_metrics_breaker(ngx_uint_t open)
{
    ngx_http_tccbs_metrics_say(NGX_HTTP_TCCBS_OPEN,
                               open ? NGX_HTTP_TCCBS_OPEN : 0);
}


/* Nobody else writes there. */

static void
ngx_http_tccbs_metrics_say(ngx_atomic_uint_t which, ngx_atomic_uint_t state)
{
    if (ngx_http_tccbs_process) {
        ngx_http_tccbs_process->state = (ngx_http_tccbs_process->state
                                         & ~which)
                                        |state;
    }
}


void
ngx_http_tccbs_metrics_copy(ngx_atomic_int_t *cells, ngx_atomic_t *area,
    ngx_http_tccbs_scope_e scope)
{
    ngx_uint_t         i;
    ngx_atomic_int_t  *skew;

    static struct {
        ngx_http_tccbs_scope_e    scope;
        ngx_http_tccbs_metric_e   metric;
        ngx_atomic_uint_t         state;
    } processes[] = {
        { NGX_HTTP_TCCBS_OF_NODE, NGX_HTTP_TCCBS_M_WORKERS, 0 },
        { NGX_HTTP_TCCBS_OF_NODE, NGX_HTTP_TCCBS_M_FAILING,
          NGX_HTTP_TCCBS_FAILING },
        { NGX_HTTP_TCCBS_OF_NODE, NGX_HTTP_TCCBS_M_FULL,
          NGX_HTTP_TCCBS_FULL },
        { NGX_HTTP_TCCBS_OF_REDIS, NGX_HTTP_TCCBS_M_REDIS_OPEN,
          NGX_HTTP_TCCBS_OPEN }
    };

    area = area ? area : ngx_http_tccbs_node;

    for (i = 0; i < ngx_http_tccbs_cells[scope]; i++) {
        cells[i] = (ngx_atomic_int_t) area[i];
    }

    if (scope == NGX_HTTP_TCCBS_OF_NODE) {
        skew = &cells[ngx_http_tccbs_first[NGX_HTTP_TCCBS_M_SKEW]];
        *skew = *skew ? (*skew - 1) / 2 : NGX_HTTP_TCCBS_UNKNOWN;
    }

    for (i = 0; i < sizeof(processes) / sizeof(processes[0]); i++) {
        if (processes[i].scope == scope) {
            cells[ngx_http_tccbs_first[processes[i].metric]] =
                        ngx_http_tccbs_metrics_processes(processes[i].state);
        }
    }
}


/* Workers that say so, or all of them. */

static ngx_uint_t
ngx_http_tccbs_metrics_processes(ngx_atomic_uint_t state)
{
    ngx_uint_t                 i, n;
    ngx_atomic_uint_t          pid;
    ngx_http_tccbs_process_t  *process;

    n = 0;

    for (i = 0; i < NGX_HTTP_TCCBS_PROCESSES; i++) {

        process = &ngx_http_tccbs_processes[i];
        pid = process->pid;

        if (pid && (process->state & state) == state
            && !ngx_http_tccbs_gone(pid))
        {
            n++;
        }
    }

    return n;
}
