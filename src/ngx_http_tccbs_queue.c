
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_queue.h"
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
    uint64_t *finish, ngx_uint_t weight, uint64_t cost, ngx_uint_t max,
    ngx_msec_t *delay)
{
    uint64_t                  now, wait, tag;
    ngx_int_t                 rc;
    struct timespec           ts;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_waiter_t  *w;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_AGAIN;

    /* nginx's own time has milliseconds, and is that of the last event */

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;

    ngx_shmtx_lock(&shpool->mutex);

    w = *waiter;
    cost = ngx_http_tccbs_queue_cost(budget, cost);

    if (w == NULL) {

        tag = ngx_max(budget->vtime, *finish);

        /* nobody waits and there is a slot: nothing is to be remembered */

        if (budget->n == 0
            && ngx_tccbs_gcra_take(&budget->cell, now, cost,
                                   NGX_HTTP_TCCBS_QUEUE_LATE, &wait)
               == NGX_OK)
        {
            *finish = tag + NGX_HTTP_TCCBS_QUEUE_TAG / weight;
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

        *finish = w->node.key + NGX_HTTP_TCCBS_QUEUE_TAG / weight;

        ngx_rbtree_insert(&budget->waiters, &w->node);
        budget->n++;

        *waiter = w;
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


/* The first one whose worker is alive. */

static ngx_http_tccbs_waiter_t *
ngx_http_tccbs_queue_head(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_budget_t *budget)
{
    ngx_http_tccbs_waiter_t  *w;

    for ( ;; ) {

        w = (ngx_http_tccbs_waiter_t *)
                ngx_rbtree_min(budget->waiters.root, budget->waiters.sentinel);

        if (w->owner == (ngx_atomic_uint_t) ngx_pid
            || kill((pid_t) w->owner, 0) != -1
            || ngx_errno != ESRCH)
        {
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
