
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _GRANT_H_INCLUDED_
#define _GRANT_H_INCLUDED_


/*
 * What ngx_tccbs_lease_script does, for programs that have no Redis:
 * t/unit/lease.c compares the two.  Tables are plain arrays.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <stdlib.h>

#include "ngx_tccbs_lease.h"


#define GRANT_NODES  1024
#define GRANT_HEADS  16384


typedef struct {
    uint64_t        start;
    uint64_t        account;
} grant_slot_t;

typedef struct {
    uint64_t        id;
    uint64_t        seen;
    uint64_t        joined;
    uint32_t        n;
    grant_slot_t    slots[NGX_TCCBS_LEASE_SLOTS];    /* not fetched yet */
} grant_node_t;

/* calls of an account that wait at a node; the first one is in the queue */

typedef struct {
    uint64_t        node;
    uint64_t        account;
    uint64_t        weight;
    uint64_t        n;
    uint64_t        tag;
    uint32_t        wanted;
} grant_head_t;

typedef struct {
    uint64_t        account;
    uint64_t        tag;
} grant_finish_t;

typedef struct {
    uint64_t        next, index, v, last, cost, told;
    uint32_t        nnodes, nheads, nfinish;
    grant_node_t    nodes[GRANT_NODES];
    grant_head_t    heads[GRANT_HEADS];
    grant_finish_t  finish[GRANT_HEADS];
} grant_t;


static grant_node_t *
grant_node(grant_t *g, uint64_t id)
{
    uint32_t  i;

    for (i = 0; i < g->nnodes; i++) {
        if (g->nodes[i].id == id) {
            return &g->nodes[i];
        }
    }

    return NULL;
}


static void
grant_enqueue(grant_t *g, grant_head_t *head)
{
    uint32_t         i;
    grant_finish_t  *f;

    for (i = 0; i < g->nfinish; i++) {
        if (g->finish[i].account == head->account) {
            break;
        }
    }

    f = &g->finish[i];

    if (i == g->nfinish) {

        if (g->nfinish++ == GRANT_HEADS) {
            abort();
        }

        f->account = head->account;
        f->tag = 0;
    }

    head->tag = ngx_max(g->v, f->tag);
    f->tag = head->tag + 1000000 / head->weight;
}


static void
grant_forget(grant_t *g, uint64_t before)
{
    uint32_t  i, n;

    for (n = 0; n < g->nnodes; /* void */ ) {

        if (g->nodes[n].seen >= before) {
            n++;
            continue;
        }

        for (i = 0; i < g->nheads; /* void */ ) {
            if (g->heads[i].node == g->nodes[n].id) {
                g->heads[i] = g->heads[--g->nheads];

            } else {
                i++;
            }
        }

        g->nodes[n] = g->nodes[--g->nnodes];
    }
}


static grant_head_t *
grant_first(grant_t *g)
{
    uint32_t       i;
    grant_head_t  *h, *first;

    first = NULL;

    for (i = 0; i < g->nheads; i++) {
        h = &g->heads[i];

        if (first == NULL || h->tag < first->tag
            || (h->tag == first->tag
                && (h->node < first->node
                    || (h->node == first->node
                        && h->account < first->account))))
        {
            first = h;
        }
    }

    return first;
}


static size_t
grant_add(u_char *out, size_t len, uint64_t start, uint64_t account)
{
    return len + sprintf((char *) out + len, " %lu %016lx", (u_long) start,
                         (u_long) account);
}


/* The answer is in "out", with room for all slots; "now" is what TIME says. */

static size_t
grant_ask(grant_t *g, ngx_tccbs_lease_conf_t *conf, ngx_tccbs_lease_ask_t *ask,
    uint64_t id, uint64_t now, u_char *out)
{
    size_t                     len;
    uint64_t                   slot, index, n, held;
    uint32_t                   i, k, silent;
    grant_node_t              *node, *other;
    grant_head_t              *head;
    ngx_tccbs_lease_demand_t  *d;

    if (g->last > now && g->last <= now + conf->hold) {
        now = g->last;
    }

    if (now > ask->until || ask->until > now + conf->hold) {
        return sprintf((char *) out, "%lu 0", (u_long) now);
    }

    if (g->last == 0 || g->last > now || now > g->last + conf->hold) {
        g->nnodes = 0;
        g->nheads = 0;
        g->nfinish = 0;
        g->next = now + conf->horizon + ask->cost;
        g->index = 0;
        g->v = 0;
        g->cost = 0;
    }

    if (ask->cost >= g->cost || now > g->told + conf->hold) {
        g->cost = ask->cost;
        g->told = now;
    }

    grant_forget(g, now - conf->hold);

    node = grant_node(g, id);

    if (node == NULL) {

        if (g->nnodes == GRANT_NODES) {
            abort();
        }

        node = &g->nodes[g->nnodes++];
        node->id = id;
        node->joined = now + ngx_max(1000000, conf->hold);
        node->n = 0;
    }

    node->seen = now;

    len = sprintf((char *) out, "%lu 1", (u_long) now);
    n = 0;

    for (i = 0; i < node->n; i++) {
        if (node->slots[i].start >= now) {
            len = grant_add(out, len, node->slots[i].start,
                            node->slots[i].account);
            node->slots[n++] = node->slots[i];
        }
    }

    for (i = 0; i < g->nheads; i++) {
        if (g->heads[i].node == id) {
            g->heads[i].wanted = 0;
        }
    }

    for (k = 0; k < ask->ndemands; k++) {
        d = &ask->demands[k];
        held = 0;

        for (i = 0; i < n; i++) {
            held += (node->slots[i].account == d->account);
        }

        if (d->n <= held) {
            continue;
        }

        for (i = 0; i < g->nheads; i++) {
            if (g->heads[i].node == id && g->heads[i].account == d->account) {
                break;
            }
        }

        head = &g->heads[i];
        head->weight = d->weight;
        head->n = d->n - held;
        head->wanted = 1;

        if (i == g->nheads) {

            if (g->nheads++ == GRANT_HEADS) {
                abort();
            }

            head->node = id;
            head->account = d->account;
            grant_enqueue(g, head);
        }
    }

    for (i = 0; i < g->nheads; /* void */ ) {
        if (g->heads[i].node == id && !g->heads[i].wanted) {
            g->heads[i] = g->heads[--g->nheads];

        } else {
            i++;
        }
    }

    node->n = 0;
    silent = 0;

    if (conf->nodes && conf->nodes <= conf->rate) {

        k = 0;

        for (i = 0; i < g->nnodes; i++) {
            k += (g->nodes[i].joined <= now);
        }

        silent = (k < conf->nodes) ? conf->nodes - k : 0;
    }

    index = g->index;
    slot = ngx_max(g->next, now + ask->lead);

    while (slot < now + conf->horizon && n < NGX_TCCBS_LEASE_SLOTS) {

        if (silent && index % conf->nodes < silent) {
            slot += g->cost;
            index++;
            continue;
        }

        head = grant_first(g);

        if (head == NULL) {
            break;
        }

        other = grant_node(g, head->node);

        if (other->seen < now - conf->fresh
            || other->n == NGX_TCCBS_LEASE_SLOTS)
        {
            *head = g->heads[--g->nheads];
            continue;
        }

        g->v = head->tag;

        if (other == node) {
            len = grant_add(out, len, slot, head->account);
            n++;

        } else {
            other->slots[other->n].start = slot;
            other->slots[other->n].account = head->account;
            other->n++;
        }

        if (--head->n) {
            grant_enqueue(g, head);

        } else {
            *head = g->heads[--g->nheads];
        }

        slot += g->cost;
        index++;
    }

    if (index != g->index) {
        g->next = slot;
        g->index = index;
    }

    for (i = 0; i < g->nfinish; /* void */ ) {
        if (g->finish[i].tag <= g->v) {
            g->finish[i] = g->finish[--g->nfinish];

        } else {
            i++;
        }
    }

    g->last = now;

    return len;
}


#endif /* _GRANT_H_INCLUDED_ */
