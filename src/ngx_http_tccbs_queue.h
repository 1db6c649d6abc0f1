
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/*
 * The slots of an upstream limit, shared by weight between accounts and by all
 * workers: start-time fair queueing (Goyal, Vin and Cheng, 1996).  A waiter has
 * the start tag max(virtual time, finish tag of its account); the smallest one
 * takes the next slot, and the virtual time becomes its tag.
 */

typedef struct {
    ngx_atomic_t          cell;               /* next slot, microseconds */
    ngx_atomic_t          shrink;             /* added to the cost, in 1/1024 */
    uint64_t              vtime;
    uint64_t              seq;
    ngx_uint_t            n;                  /* waiters */
    ngx_rbtree_t          waiters;
    ngx_rbtree_node_t     sentinel;
} ngx_http_tccbs_budget_t;

typedef struct {
    ngx_rbtree_node_t     node;               /* key: start tag */
    uint64_t              seq;
    ngx_atomic_t          owner;              /* pid */
} ngx_http_tccbs_waiter_t;


/*
 * Asks for a slot.  The first time "*waiter" is NULL and "finish" is the
 * account's tag in the zone.  NGX_OK: the slot is the caller's, the waiter is
 * gone; NGX_AGAIN: to be asked again in *delay milliseconds; NGX_BUSY: there
 * are "max" waiters already; NGX_DECLINED: the zone is full.
 */
ngx_int_t ngx_http_tccbs_queue_ask(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t **waiter,
    uint64_t *finish, ngx_uint_t weight, uint64_t cost, ngx_uint_t max,
    ngx_msec_t *delay);

/*
 * Tencent has or has not refused a call for its rate: the limit shrinks by a
 * third, to an eighth at the most, or grows back in small steps.
 */
void ngx_http_tccbs_queue_throttled(ngx_http_tccbs_budget_t *budget);
void ngx_http_tccbs_queue_passed(ngx_http_tccbs_budget_t *budget);

/* What a slot costs now, in microseconds, when it costs "cost" by itself. */
uint64_t ngx_http_tccbs_queue_cost(ngx_http_tccbs_budget_t *budget,
    uint64_t cost);

/* The waiter does not wait any more. */
void ngx_http_tccbs_queue_leave(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter);

/* Prepares a zeroed budget; one that was used before is left as it is. */
void ngx_http_tccbs_queue_init(ngx_http_tccbs_budget_t *budget);


#endif /* _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_ */
