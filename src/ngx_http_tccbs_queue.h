
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"
#include "ngx_tccbs_lease.h"


/*
 * The slots of an upstream limit, shared by weight between accounts and by all
 * workers: start-time fair queueing (Goyal, Vin and Cheng, 1996).  A waiter has
 * the start tag max(virtual time, finish tag of its account); the smallest one
 * takes the next slot, and the virtual time becomes its tag.
 *
 * A limit that a fleet shares is leased: the slots are those of the lease, each
 * for an account, and within an account it is the same order.
 */

typedef struct {
    ngx_atomic_t            cell;             /* next slot, microseconds */
    ngx_atomic_t            gate;             /* next departure, the same */
    ngx_atomic_t            shrink;           /* added to the cost, in 1/1024 */
    uint64_t                vtime;
    uint64_t                seq;
    ngx_uint_t              n;                /* waiters */
    ngx_rbtree_t            waiters;
    ngx_rbtree_node_t       sentinel;

    ngx_uint_t              leased;
    uint64_t                member;           /* of the fleet, at random */
    ngx_tccbs_lease_conf_t  conf;
    ngx_tccbs_lease_t       lease;
} ngx_http_tccbs_budget_t;

typedef struct {
    ngx_rbtree_node_t       node;             /* key: start tag */
    uint64_t                seq;
    ngx_atomic_t            owner;            /* pid */
    uint64_t                account;
    ngx_uint_t              weight;
} ngx_http_tccbs_waiter_t;


/*
 * Asks for a slot.  The first time "*waiter" is NULL and "flow" is the
 * account's in the zone.  NGX_OK: the slot is the caller's, the waiter is
 * gone; NGX_AGAIN: to be asked again in *delay milliseconds; NGX_BUSY: there
 * are "max" waiters already; NGX_DECLINED: the zone is full.
 */
ngx_int_t ngx_http_tccbs_queue_ask(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t **waiter,
    ngx_http_tccbs_flow_t *flow, ngx_uint_t weight, uint64_t cost,
    ngx_uint_t max, ngx_msec_t *delay);

/*
 * Asks whether a call that had its slot may leave now.  Between the two its
 * intent is written, which takes as long as the disk wants: departures are
 * held apart like slots, so that no second sees more of them.  NGX_OK, or
 * NGX_AGAIN: to be asked again in *delay milliseconds.
 */
ngx_int_t ngx_http_tccbs_queue_depart(ngx_http_tccbs_budget_t *budget,
    uint64_t cost, ngx_msec_t *delay);

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

/*
 * The limit is leased with that configuration from now on, or not with NULL; a
 * lease that there was before goes on.  NGX_ERROR: no random number.
 */
ngx_int_t ngx_http_tccbs_queue_lease(ngx_http_tccbs_budget_t *budget,
    ngx_tccbs_lease_conf_t *conf);

/*
 * Whether Redis is to be asked for slots now.  NGX_OK: yes, and then there is
 * an answer, or NULL when none came; NGX_AGAIN: in *delay milliseconds.
 */
ngx_int_t ngx_http_tccbs_queue_lease_ask(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_ask_t *ask,
    ngx_msec_t *delay);

/*
 * What may be told of the lease: NGX_OK, or NGX_DECLINED when the limit is not
 * leased.
 */
ngx_int_t ngx_http_tccbs_queue_lease_status(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_status_t *status);

/* NGX_ERROR: it makes no sense. */
ngx_int_t ngx_http_tccbs_queue_lease_answer(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_ask_t *ask,
    ngx_str_t *answer);


#endif /* _NGX_HTTP_TCCBS_QUEUE_H_INCLUDED_ */
