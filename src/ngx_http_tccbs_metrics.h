
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_METRICS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_families.h"
#include "ngx_http_tccbs_zone.h"


/*
 * Counters in shared memory: a cell is one word, an increment one atomic
 * addition, and reading takes no lock: figures that belong together may be
 * apart by what happened in between.
 */

/*
 * In the master: an area in the zone for "name", or for who has none, which
 * survives a reload; NULL when the zone is full.  names() makes what belongs to
 * the node, start() has processes use it from then on: NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_metrics_names(ngx_shm_zone_t *zone);
ngx_atomic_t *ngx_http_tccbs_metrics_area(ngx_shm_zone_t *zone,
    ngx_http_tccbs_scope_e scope, ngx_str_t *name);
ngx_int_t ngx_http_tccbs_metrics_start(ngx_shm_zone_t *zone);

/* Where the cells of a family begin in its area, and how many an area has. */
ngx_uint_t ngx_http_tccbs_metrics_first(ngx_http_tccbs_metric_e metric);
ngx_uint_t ngx_http_tccbs_metrics_size(ngx_http_tccbs_scope_e scope);

/*
 * "one" and "two" are the places of the labels' values, 0 without a label.  An
 * area that is NULL stands for that of the node.
 */
void ngx_http_tccbs_metrics_add(ngx_atomic_t *area,
    ngx_http_tccbs_metric_e metric, ngx_uint_t one, ngx_uint_t two,
    ngx_uint_t n);
void ngx_http_tccbs_metrics_observe(ngx_atomic_t *area,
    ngx_http_tccbs_metric_e metric, ngx_uint_t one, uint64_t microseconds);

/* The time in an upstream's answer, against ours: in seconds, both rounded. */
void ngx_http_tccbs_metrics_skew(time_t theirs);


/*
 * Each worker has a place of its own, until it exits, in which it says whether
 * its journal cannot be written or has no room, and whether its breaker of
 * Redis is open.
 */
void ngx_http_tccbs_metrics_worker(void);
void ngx_http_tccbs_metrics_worker_exit(void);
void ngx_http_tccbs_metrics_journal(ngx_uint_t failing, ngx_uint_t full);
void ngx_http_tccbs_metrics_breaker(ngx_uint_t open);

/*
 * begin() when a configuration is read, loaded() when it is in use: one that
 * is given up in between, while there is another, counts as a failed reload.
 */
ngx_int_t ngx_http_tccbs_metrics_begin(ngx_pool_t *pool, ngx_uint_t **loaded);
void ngx_http_tccbs_metrics_loaded(ngx_uint_t *loaded);


/*
 * A copy of an area; NULL is that of the node.  The gauges that are known to
 * this file alone are filled in.
 */
void ngx_http_tccbs_metrics_copy(ngx_atomic_int_t *cells, ngx_atomic_t *area,
    ngx_http_tccbs_scope_e scope);


#endif /* _NGX_HTTP_TCCBS_METRICS_H_INCLUDED_ */
