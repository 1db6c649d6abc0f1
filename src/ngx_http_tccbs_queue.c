
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_queue.h"
#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_QUEUE_TAG    1000000    /* of one call of weight one */

/* how much slower, see ngx_http_tccbs_queue_throttled() */

#define NGX_HTTP_TCCBS_QUEUE_ONE    1024
#define NGX_HTTP_TCCBS_QUEUE_MOST   (7 * NGX_HTTP_TCCBS_QUEUE_ONE)
#define NGX_HTTP_TCCBS_QUEUE_GROW   64

/*
 * A timer that is late by so much (microseconds) does not cost a part of the
 * next slot: twenty slots and this are still longer than a second, by the
 * margin in the cost of a slot.
 */

#define NGX_HTTP_TCCBS_QUEUE_LATE   4000

/* who is that near to the head looks often, the others have time */

#define NGX_HTTP_TCCBS_QUEUE_NEAR   8
#define NGX_HTTP_TCCBS_QUEUE_SOON   2          /* milliseconds */
#define NGX_HTTP_TCCBS_QUEUE_LATER  20


static void ngx_http_tccbs_queue_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_tccbs_queue_leased(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter,
    uint64_t now, ngx_msec_t *delay);
static ngx_uint_t ngx_http_tccbs_queue_slot(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter);
static ngx_uint_t ngx_http_tccbs_queue_count(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, uint64_t account,
    ngx_http_tccbs_waiter_t *before, ngx_uint_t max);
static void ngx_http_tccbs_queue_demands(ngx_http_tccbs_budget_t *budget,
    ngx_tccbs_lease_ask_t *ask);
static ngx_uint_t ngx_http_tccbs_queue_alive(ngx_http_tccbs_waiter_t *waiter);
static ngx_http_tccbs_waiter_t *ngx_http_tccbs_queue_head(
    ngx_slab_pool_t *shpool, ngx_http_tccbs_budget_t *budget);
static ngx_uint_t ngx_http_tccbs_queue_near(ngx_http_tccbs_budget_t *budget,
    ngx_http_tccbs_waiter_t *waiter);
static void ngx_http_tccbs_queue_remove(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter);


void
ngx_http_tccbs_queue_init(ngx_http_tccbs_budget_t *budget)
{
    if (budget->waiters.root == NULL) {
        ngx_rbtree_init(&budget->waiters, &budget->sentinel,
                        ngx_http_tccbs_queue_insert);
    }

    /* the master may have been started anew with another address of it */

    budget->waiters.insert = ngx_http_tccbs_queue_insert;
}


ngx_int_t
ngx_http_tccbs_queue_ask(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t **waiter,
    ngx_http_tccbs_flow_t *flow, ngx_uint_t weight, uint64_t cost,
    ngx_uint_t max, ngx_msec_t *delay)
{
    uint64_t                  now, wait, tag;
    ngx_int_t                 rc;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_waiter_t  *w;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_AGAIN;

    now = ngx_tccbs_gcra_now();

    ngx_shmtx_lock(&shpool->mutex);

    w = *waiter;
    cost = ngx_http_tccbs_queue_cost(budget, cost);

    if (w == NULL) {

        tag = ngx_max(budget->vtime, flow->finish);

        /* nobody waits and there is a slot: nothing is to be remembered */

        if (budget->n == 0
            && !budget->leased
            && ngx_tccbs_gcra_take(&budget->cell, now, cost,
                                   NGX_HTTP_TCCBS_QUEUE_LATE, &wait)
               == NGX_OK)
        {
            flow->finish = tag + NGX_HTTP_TCCBS_QUEUE_TAG / weight;
            budget->vtime = tag;
            rc = NGX_OK;
            goto done;
        }

        if (budget->n >= max) {
            rc = NGX_BUSY;
            goto done;
        }

        w = ngx_slab_calloc_locked(shpool, sizeof(ngx_http_tccbs_waiter_t));

        if (w == NULL) {
            rc = NGX_DECLINED;
            goto done;
        }

        w->node.key = tag;
        w->seq = ++budget->seq;
        w->owner = ngx_pid;
        w->account = flow->account;
        w->weight = weight;

        flow->finish = w->node.key + NGX_HTTP_TCCBS_QUEUE_TAG / weight;

        ngx_rbtree_insert(&budget->waiters, &w->node);
        budget->n++;

        *waiter = w;
    }

    if (budget->leased) {
        rc = ngx_http_tccbs_queue_leased(shpool, budget, w, now, delay);

        if (rc == NGX_OK) {
            *waiter = NULL;
        }

        goto done;
    }

    if (ngx_http_tccbs_queue_head(shpool, budget) != w) {
        *delay = ngx_http_tccbs_queue_near(budget, w)
                 ? NGX_HTTP_TCCBS_QUEUE_SOON : NGX_HTTP_TCCBS_QUEUE_LATER;
        goto done;
    }

    if (ngx_tccbs_gcra_take(&budget->cell, now, cost,
                            NGX_HTTP_TCCBS_QUEUE_LATE, &wait)
        != NGX_OK)
    {
        *delay = wait / 1000 + 1;
        goto done;
    }

    budget->vtime = w->node.key;

    ngx_http_tccbs_queue_remove(shpool, budget, w);

    *waiter = NULL;
    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_tccbs_queue_depart(ngx_http_tccbs_budget_t *budget, uint64_t cost,
    ngx_msec_t *delay)
{
    uint64_t  wait;

    cost = ngx_http_tccbs_queue_cost(budget, cost);

    if (ngx_tccbs_gcra_take(&budget->gate, ngx_tccbs_gcra_now(), cost,
                            NGX_HTTP_TCCBS_QUEUE_LATE, &wait)
        != NGX_OK)
    {
        *delay = wait / 1000 + 1;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


uint64_t
ngx_http_tccbs_queue_cost(ngx_http_tccbs_budget_t *budget, uint64_t cost)
{
    return cost + cost * budget->shrink / NGX_HTTP_TCCBS_QUEUE_ONE;
}


/* Lost updates of two workers at once are small and do not matter here. */

void
ngx_http_tccbs_queue_throttled(ngx_http_tccbs_budget_t *budget)
{
    ngx_atomic_uint_t  shrink;

    shrink = budget->shrink;
    shrink += (NGX_HTTP_TCCBS_QUEUE_ONE + shrink) / 2;

    budget->shrink = ngx_min(shrink, NGX_HTTP_TCCBS_QUEUE_MOST);
}


void
ngx_http_tccbs_queue_passed(ngx_http_tccbs_budget_t *budget)
{
    ngx_atomic_uint_t  shrink;

    shrink = budget->shrink;

    if (shrink) {
        budget->shrink = shrink - ngx_min(shrink, NGX_HTTP_TCCBS_QUEUE_GROW);
    }
}


void
ngx_http_tccbs_queue_leave(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    ngx_http_tccbs_queue_remove(shpool, budget, waiter);
    ngx_shmtx_unlock(&shpool->mutex);
}


/* By start tag, and by arrival where the tags are the same. */

static void
ngx_http_tccbs_queue_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t       **p;
    ngx_http_tccbs_waiter_t  *w, *t;

    for ( ;; ) {

        w = (ngx_http_tccbs_waiter_t *) node;
        t = (ngx_http_tccbs_waiter_t *) temp;

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            p = (w->seq < t->seq) ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_uint_t
ngx_http_tccbs_queue_alive(ngx_http_tccbs_waiter_t *waiter)
{
    return waiter->owner == (ngx_atomic_uint_t) ngx_pid
           || !ngx_http_tccbs_gone(waiter->owner);
}


/* The first one whose worker is alive. */

static ngx_http_tccbs_waiter_t *
ngx_http_tccbs_queue_head(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget)
{
    ngx_http_tccbs_waiter_t  *w;

    for ( ;; ) {

        w = (ngx_http_tccbs_waiter_t *)
                ngx_rbtree_min(budget->waiters.root, budget->waiters.sentinel);

        if (ngx_http_tccbs_queue_alive(w)) {
            return w;
        }

        ngx_http_tccbs_queue_remove(shpool, budget, w);
    }
}


static ngx_uint_t
ngx_http_tccbs_queue_near(ngx_http_tccbs_budget_t *budget,
    ngx_http_tccbs_waiter_t *waiter)
{
    ngx_uint_t          i;
    ngx_rbtree_node_t  *node;

    node = ngx_rbtree_min(budget->waiters.root, budget->waiters.sentinel);

    for (i = 0; node && i < NGX_HTTP_TCCBS_QUEUE_NEAR; i++) {

        if (node == &waiter->node) {
            return 1;
        }

        node = ngx_rbtree_next(&budget->waiters, node);
    }

    return 0;
}


static void
ngx_http_tccbs_queue_remove(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter)
{
    ngx_rbtree_delete(&budget->waiters, &waiter->node);
    ngx_slab_free_locked(shpool, waiter);

    budget->n--;
}


static ngx_int_t
ngx_http_tccbs_queue_leased(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter,
    uint64_t now, ngx_msec_t *delay)
{
    uint64_t            cost, account, wait;
    ngx_int_t           rc;
    ngx_uint_t          n;
    ngx_tccbs_lease_t  *lease;

    lease = &budget->lease;
    cost = ngx_http_tccbs_queue_cost(budget, budget->conf.cost);
    n = 0;

    rc = ngx_tccbs_lease_next(lease, &budget->conf, now, cost, &account, &wait);

    if (lease->nslots) {
        n = ngx_http_tccbs_queue_slot(shpool, budget, waiter);

        if (n == lease->nslots) {
            rc = NGX_DECLINED;

        } else if (now < lease->slots[n].begin) {
            rc = NGX_AGAIN;
            wait = lease->slots[n].begin - now;

        } else {
            rc = NGX_OK;
        }

    } else if (rc != NGX_DECLINED
               && ngx_http_tccbs_queue_head(shpool, budget) != waiter)
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        ngx_tccbs_lease_take(lease, &budget->conf, now, cost, n);

        budget->vtime = ngx_max(budget->vtime, waiter->node.key);
        ngx_http_tccbs_queue_remove(shpool, budget, waiter);

        return NGX_OK;
    }

    *delay = ngx_http_tccbs_queue_near(budget, waiter)
             ? NGX_HTTP_TCCBS_QUEUE_SOON : NGX_HTTP_TCCBS_QUEUE_LATER;

    if (rc == NGX_AGAIN) {
        *delay = ngx_min(wait / 1000 + 1, NGX_HTTP_TCCBS_QUEUE_LATER);
    }

    return NGX_AGAIN;
}


/*
 * The slot of a waiter, or the number of slots.  The calls of an account take
 * its slots in their order; what no call of its account is left for is for who
 * is first of all.
 */

static ngx_uint_t
ngx_http_tccbs_queue_slot(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, ngx_http_tccbs_waiter_t *waiter)
{
    ngx_uint_t          i, k, n, before;
    ngx_tccbs_lease_t  *lease;

    lease = &budget->lease;
    before = NGX_MAX_UINT32_VALUE;

    for (i = 0, n = 0; i < lease->nslots; i++) {

        if (lease->slots[i].account != waiter->account) {
            continue;
        }

        if (before == NGX_MAX_UINT32_VALUE) {
            before = ngx_http_tccbs_queue_count(shpool, budget,
                                                waiter->account, waiter,
                                                lease->nslots);
        }

        if (n++ == before) {
            return i;
        }
    }

    if (ngx_http_tccbs_queue_head(shpool, budget) != waiter) {
        return lease->nslots;
    }

    for (i = 0; i < lease->nslots; i++) {

        for (k = 0, n = 0; k < i; k++) {
            n += (lease->slots[k].account == lease->slots[i].account);
        }

        if (n >= ngx_http_tccbs_queue_count(shpool, budget,
                                            lease->slots[i].account, NULL,
                                            n + 1))
        {
            break;
        }
    }

    return i;
}


/*
 * Calls of an account, before one of them or all, until there are "max"; the
 * dead among them are removed.  Each call that waits asks, so it matters what
 * that costs: of neighbours of one worker the first is asked for all.
 */

static ngx_uint_t
ngx_http_tccbs_queue_count(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget, uint64_t account,
    ngx_http_tccbs_waiter_t *before, ngx_uint_t max)
{
    ngx_uint_t                n, alive;
    ngx_atomic_uint_t         owner;
    ngx_rbtree_node_t        *node, *next;
    ngx_http_tccbs_waiter_t  *w;

    n = 0;
    owner = ngx_pid;
    alive = 1;
    node = ngx_rbtree_min(budget->waiters.root, budget->waiters.sentinel);

    while (node && node != (ngx_rbtree_node_t *) before && n < max) {

        next = ngx_rbtree_next(&budget->waiters, node);
        w = (ngx_http_tccbs_waiter_t *) node;

        if (w->account == account) {

            if (w->owner != owner) {
                owner = w->owner;
                alive = ngx_http_tccbs_queue_alive(w);
            }

            if (alive) {
                n++;

            } else {
                ngx_http_tccbs_queue_remove(shpool, budget, w);
            }
        }

        node = next;
    }

    return n;
}


ngx_int_t
ngx_http_tccbs_queue_lease(ngx_http_tccbs_budget_t *budget,
    ngx_tccbs_lease_conf_t *conf)
{
    if (conf == NULL) {
        budget->leased = 0;
        return NGX_OK;
    }

    budget->conf = *conf;

    if (budget->leased) {
        return NGX_OK;
    }

    if (budget->member == 0
        && ngx_tccbs_random((u_char *) &budget->member, sizeof(uint64_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_tccbs_lease_init(&budget->lease, conf, ngx_tccbs_gcra_now());

    budget->leased = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_queue_lease_ask(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_ask_t *ask,
    ngx_msec_t *delay)
{
    uint64_t          now, wait;
    ngx_int_t         rc;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    now = ngx_tccbs_gcra_now();

    rc = ngx_tccbs_lease_due(&budget->lease, &budget->conf, now, budget->n,
                             &wait);

    if (rc == NGX_OK) {
        ask->cost = ngx_http_tccbs_queue_cost(budget, budget->conf.cost);
        ngx_http_tccbs_queue_demands(budget, ask);
        ngx_tccbs_lease_ask(&budget->lease, &budget->conf, now, ask);

    } else {
        *delay = wait / 1000 + 1;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


/* The accounts that are next, and all calls of them. */

static void
ngx_http_tccbs_queue_demands(ngx_http_tccbs_budget_t *budget,
    ngx_tccbs_lease_ask_t *ask)
{
    ngx_uint_t                 i;
    ngx_rbtree_node_t         *node;
    ngx_http_tccbs_waiter_t   *w;
    ngx_tccbs_lease_demand_t  *d;

    ask->ndemands = 0;

    if (budget->n == 0) {
        return;
    }

    node = ngx_rbtree_min(budget->waiters.root, budget->waiters.sentinel);

    for ( /* void */ ; node; node = ngx_rbtree_next(&budget->waiters, node)) {

        w = (ngx_http_tccbs_waiter_t *) node;

        for (i = 0; i < ask->ndemands; i++) {
            if (ask->demands[i].account == w->account) {
                break;
            }
        }

        if (i == NGX_TCCBS_LEASE_ACCOUNTS) {
            continue;
        }

        d = &ask->demands[i];

        if (i == ask->ndemands) {
            ask->ndemands++;
            d->account = w->account;
            d->weight = w->weight;
            d->n = 0;
        }

        d->n++;
    }
}


ngx_int_t
ngx_http_tccbs_queue_lease_answer(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_ask_t *ask,
    ngx_str_t *answer)
{
    ngx_int_t         rc;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    rc = NGX_OK;

    if (answer) {
        rc = ngx_tccbs_lease_answer(&budget->lease, &budget->conf,
                                    ngx_tccbs_gcra_now(), ask, answer);

    } else {
        ngx_tccbs_lease_failed(&budget->lease, ask);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_tccbs_queue_lease_status(ngx_shm_zone_t *zone,
    ngx_http_tccbs_budget_t *budget, ngx_tccbs_lease_status_t *status)
{
    ngx_slab_pool_t  *shpool;

    if (!budget->leased) {
        return NGX_DECLINED;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    ngx_tccbs_lease_status(&budget->lease, &budget->conf,
                           ngx_tccbs_gcra_now(), status);

    ngx_shmtx_unlock(&shpool->mutex);

    return NGX_OK;
}
