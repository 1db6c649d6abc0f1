
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _FLEET_H_INCLUDED_
#define _FLEET_H_INCLUDED_


/*
 * A fleet of nodes, a Redis and an upstream in one process and in a time of
 * their own: the code of the lease is the real one, what the script does is
 * done by its twin, and the rest is drawn from a seed.  The same parameters
 * give the same figures.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdlib.h>

#include "ngx_tccbs_lease.h"
#include "grant.h"


#define FLEET_ACCOUNTS   20
#define FLEET_LOST       UINT64_MAX
#define FLEET_WAITS      64


typedef enum {
    FLEET_HEALTHY = 0,
    FLEET_PARTITION,                  /* a third of the nodes has no Redis */
    FLEET_CRASH,                      /* a third of the nodes ends, and again */
    FLEET_FAILOVER,                   /* an empty Redis with another clock */
    FLEET_DOWN,                       /* no Redis for a while */
    FLEET_SLOW,                       /* everything takes 5 seconds */
    FLEET_STEP,                       /* its clock is set, both ways */
    FLEET_SPLIT,                      /* partition and failover at once */
    FLEET_FAULTS
} fleet_fault_e;


static const char  *fleet_faults[] = {
    "healthy", "partition", "crash", "failover", "down", "slow", "step", "split"
};


typedef struct {
    ngx_uint_t                nodes;
    ngx_uint_t                rate;
    uint64_t                  period;         /* microseconds, as all times */
    uint64_t                  timeout;
    uint64_t                  latency;        /* to Redis and back, at least */
    uint64_t                  jitter;         /* on top of it, on average */
    double                    loss;           /* of messages, 0 to 1 */
    double                    skew;           /* of clocks, at most, 0 to 1 */
    uint64_t                  late;           /* of timers, at most */
    uint64_t                  way;            /* to the upstream differs by */
    double                    load;           /* of the rate; 0: without end */
    double                    seconds;
    fleet_fault_e             fault;
    uint32_t                  seed;
} fleet_param_t;


typedef struct {
    double                    used;           /* of the rate */
    double                    busiest;        /* calls in any second */
    double                    jain;
    double                    calls;          /* of Redis, a second */
    double                    outstanding;    /* slots when the fault came */
    double                    wait;           /* of a call, mean, ms */
    double                    wait99;
    double                    lost;           /* slots not used, 0 to 1 */
} fleet_result_t;


typedef enum {
    FLEET_WAKE = 0,
    FLEET_TIMEOUT,
    FLEET_REQUEST,
    FLEET_ANSWER,
    FLEET_ARRIVAL,
    FLEET_CHANGE
} fleet_event_e;

typedef struct {
    ngx_tccbs_lease_ask_t     ask;
    ngx_uint_t                life;           /* of the node that has asked */
    ngx_uint_t                uses;
    size_t                    len;
    u_char                    answer[64 + NGX_TCCBS_LEASE_SLOTS * 34];
} fleet_message_t;

typedef struct {
    uint64_t                  at;
    uint64_t                  seq;
    fleet_event_e             type;
    ngx_uint_t                node;
    ngx_uint_t                n;
    fleet_message_t          *message;
} fleet_event_t;

typedef struct {
    ngx_uint_t                n;              /* calls that wait */
    ngx_uint_t                first;
    uint64_t                  since[FLEET_WAITS];
    uint64_t                  finish;
} fleet_queue_t;

typedef struct {
    ngx_tccbs_lease_t         lease;
    double                    drift;
    uint64_t                  zero;
    uint64_t                  vtime;
    ngx_uint_t                dead;
    ngx_uint_t                cut;            /* from Redis */
    ngx_uint_t                life;
    ngx_uint_t                wake;           /* the one that counts */
    ngx_uint_t                here[FLEET_ACCOUNTS];
    fleet_queue_t             queue[FLEET_ACCOUNTS];
} fleet_node_t;

typedef struct {
    fleet_param_t             p;
    ngx_tccbs_lease_conf_t    conf;
    fleet_node_t             *nodes;
    grant_t                  *grant;

    uint64_t                  now, seq;
    fleet_event_t            *heap;
    size_t                    nheap, max;

    double                    redis_drift;
    int64_t                   redis_zero;
    ngx_uint_t                down, slow;
    uint64_t                  heals;

    uint64_t                  random;
    ngx_uint_t                asked, granted;
    uint64_t                  served[FLEET_ACCOUNTS];
    ngx_uint_t                weight[FLEET_ACCOUNTS];

    uint64_t                 *sent;           /* when calls came upstream */
    uint64_t                 *waited;
    size_t                    nsent, nwaited;

    fleet_result_t            result;
} fleet_t;


/* 0 to 1; a small generator that is the same everywhere */

static double
fleet_draw(fleet_t *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;

    return (f->random >> 11) / 9007199254740992.0;
}


/* Exponential, without the mathematics library, to nearly its tail. */

static double
fleet_tail(fleet_t *f, double mean)
{
    double  x;

    /* in steps of an eighth, and 15/16 on average */

    for (x = 0; fleet_draw(f) < 0.875; /* void */ ) {
        x += 0.125;
    }

    return mean * (x + fleet_draw(f) * 0.125) * 16 / 15;
}


static uint64_t
fleet_local(fleet_t *f, fleet_node_t *node)
{
    return node->zero + f->now + (int64_t) (f->now * node->drift);
}


static uint64_t
fleet_redis(fleet_t *f)
{
    return f->redis_zero + f->now + (int64_t) (f->now * f->redis_drift);
}


static int
fleet_before(fleet_event_t *a, fleet_event_t *b)
{
    return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}


static void
fleet_add(fleet_t *f, uint64_t delay, fleet_event_e type, ngx_uint_t node,
    ngx_uint_t n, fleet_message_t *message)
{
    size_t         i;
    fleet_event_t  e;

    if (f->nheap == f->max) {
        f->max = f->max ? f->max * 2 : 1024;
        f->heap = realloc(f->heap, f->max * sizeof(fleet_event_t));
    }

    e.at = f->now + delay;
    e.seq = f->seq++;
    e.type = type;
    e.node = node;
    e.n = n;
    e.message = message;

    if (message) {
        message->uses++;
    }

    for (i = f->nheap++; i && fleet_before(&e, &f->heap[(i - 1) / 2]);
         i = (i - 1) / 2)
    {
        f->heap[i] = f->heap[(i - 1) / 2];
    }

    f->heap[i] = e;
}


static fleet_event_t
fleet_pop(fleet_t *f)
{
    size_t         i, k;
    fleet_event_t  first, last;

    first = f->heap[0];
    last = f->heap[--f->nheap];

    for (i = 0; (k = 2 * i + 1) < f->nheap; i = k) {

        if (k + 1 < f->nheap && fleet_before(&f->heap[k + 1], &f->heap[k])) {
            k++;
        }

        if (!fleet_before(&f->heap[k], &last)) {
            break;
        }

        f->heap[i] = f->heap[k];
    }

    f->heap[i] = last;

    return first;
}


/* The way between a node and Redis. */

static uint64_t
fleet_way(fleet_t *f, fleet_node_t *node)
{
    uint64_t  delay;

    if (f->down || fleet_draw(f) < f->p.loss) {
        return FLEET_LOST;
    }

    delay = f->p.latency / 2 + fleet_tail(f, f->p.jitter / 2.0);

    /* the kernel may send again what was written, when it can */

    if (node->cut) {
        return fleet_draw(f) < 0.5 ? FLEET_LOST : f->heals - f->now + delay;
    }

    return f->slow ? delay + 2500000 : delay;
}


static void
fleet_call(fleet_t *f, fleet_node_t *node, ngx_uint_t account)
{
    uint64_t        at;
    fleet_queue_t  *q;

    q = &node->queue[account];

    at = f->now + fleet_draw(f) * f->p.way;

    f->sent[f->nsent++] = at;
    f->served[account]++;

    node->vtime = ngx_max(node->vtime, q->finish);
    q->finish = node->vtime + 1000000 / f->weight[account];

    if (f->p.load) {
        f->waited[f->nwaited++] = f->now - q->since[q->first];
        q->first = (q->first + 1) % FLEET_WAITS;
        q->n--;
    }
}


/* Whose turn it is at the node alone. */

static ngx_uint_t
fleet_turn(fleet_t *f, fleet_node_t *node)
{
    ngx_uint_t  i, turn;

    turn = FLEET_ACCOUNTS;

    for (i = 0; i < FLEET_ACCOUNTS; i++) {
        if (node->queue[i].n
            && (turn == FLEET_ACCOUNTS
                || node->queue[i].finish < node->queue[turn].finish))
        {
            turn = i;
        }
    }

    return turn;
}


static void
fleet_node_ask(fleet_t *f, fleet_node_t *node)
{
    ngx_uint_t        i;
    uint64_t          way;
    fleet_message_t  *m;

    m = calloc(1, sizeof(fleet_message_t));

    m->life = node->life;
    m->ask.cost = f->conf.cost;

    for (i = 0; i < FLEET_ACCOUNTS; i++) {
        if (node->queue[i].n) {
            m->ask.demands[m->ask.ndemands].account = i + 1;
            m->ask.demands[m->ask.ndemands].weight = f->weight[i];
            m->ask.demands[m->ask.ndemands].n = node->queue[i].n;
            m->ask.ndemands++;
        }
    }

    ngx_tccbs_lease_ask(&node->lease, &f->conf, fleet_local(f, node), &m->ask);

    f->asked++;

    fleet_add(f, f->p.timeout, FLEET_TIMEOUT, node - f->nodes, 0, m);

    way = fleet_way(f, node);

    if (way != FLEET_LOST) {
        fleet_add(f, way, FLEET_REQUEST, node - f->nodes, 0, m);
    }
}


static void
fleet_node_run(fleet_t *f, fleet_node_t *node)
{
    uint64_t    now, wait, next, account;
    ngx_int_t   rc;
    ngx_uint_t  i, waiting, turn;

    if (node->dead) {
        return;
    }

    now = fleet_local(f, node);
    next = f->conf.period * 4;

    for ( ;; ) {

        turn = fleet_turn(f, node);

        if (turn == FLEET_ACCOUNTS) {
            break;
        }

        rc = ngx_tccbs_lease_next(&node->lease, &f->conf, now, f->conf.cost,
                                  &account, &wait);

        if (rc == NGX_AGAIN) {
            next = ngx_min(next, wait);
        }

        if (rc != NGX_OK) {
            break;
        }

        ngx_tccbs_lease_take(&node->lease, &f->conf, now, f->conf.cost, 0);

        if (account && node->queue[account - 1].n) {
            turn = account - 1;
        }

        fleet_call(f, node, turn);
    }

    waiting = 0;

    for (i = 0; i < FLEET_ACCOUNTS; i++) {
        waiting += node->queue[i].n;
    }

    if (ngx_tccbs_lease_due(&node->lease, &f->conf, now, waiting, &wait)
        == NGX_OK)
    {
        fleet_node_ask(f, node);
        wait = f->p.timeout;
    }

    next = ngx_min(next, wait) + fleet_draw(f) * f->p.late;

    fleet_add(f, next, FLEET_WAKE, node - f->nodes, ++node->wake, NULL);
}


static void
fleet_request(fleet_t *f, fleet_event_t *e)
{
    uint64_t          way;
    ngx_uint_t        i, words;
    fleet_node_t     *node;
    fleet_message_t  *m;

    m = e->message;
    node = &f->nodes[e->node];

    m->len = grant_ask(f->grant, &f->conf, &m->ask, e->node + 1,
                       fleet_redis(f), m->answer);

    /* the time, "1", and two words for each slot */

    for (i = 0, words = 0; i < m->len; i++) {
        words += (m->answer[i] == ' ');
    }

    f->granted += words / 2;

    way = fleet_way(f, node);

    if (way != FLEET_LOST) {
        fleet_add(f, way, FLEET_ANSWER, e->node, 0, m);
    }
}


static void
fleet_node_start(fleet_t *f, fleet_node_t *node)
{
    ngx_uint_t  i;

    node->life++;
    node->dead = 0;
    node->zero = 1000000 + fleet_draw(f) * 1e12;
    node->drift = (2 * fleet_draw(f) - 1) * f->p.skew;

    ngx_tccbs_lease_init(&node->lease, &f->conf, fleet_local(f, node));

    for (i = 0; i < FLEET_ACCOUNTS; i++) {
        node->queue[i].n = 0;

        /* as many as a noisy one has, or some */

        if (f->p.load == 0 && node->here[i]) {
            node->queue[i].n = i ? 8 : 400;
        }
    }
}


/* A fault begins (1) and ends (0), at a third and two thirds of the time. */

static void
fleet_change(fleet_t *f, ngx_uint_t begin)
{
    ngx_uint_t  i, third;

    third = (f->p.nodes + 2) / 3;

    if (begin) {
        for (i = 0; i < f->p.nodes; i++) {
            f->result.outstanding += f->nodes[i].lease.nslots;
        }

        for (i = 0; i < f->grant->nnodes; i++) {
            f->result.outstanding += f->grant->nodes[i].n;
        }
    }

    switch (f->p.fault) {

    case FLEET_SPLIT:
    case FLEET_PARTITION:

        for (i = 0; i < third; i++) {
            f->nodes[i].cut = begin;
        }

        if (f->p.fault == FLEET_PARTITION || !begin) {
            break;
        }

        /* fall through */

    case FLEET_FAILOVER:
    case FLEET_DOWN:

        f->down = begin && f->p.fault == FLEET_DOWN;

        if (f->p.fault != FLEET_DOWN) {
            ngx_memzero(f->grant, sizeof(grant_t));
            f->redis_zero += (begin ? 1 : -1) * 37000;
        }

        break;

    case FLEET_CRASH:

        for (i = 0; i < third; i++) {
            if (begin) {
                f->nodes[i].dead = 1;

            } else {
                fleet_node_start(f, &f->nodes[i]);
                fleet_node_run(f, &f->nodes[i]);
            }
        }

        break;

    case FLEET_SLOW:
        f->slow = begin;
        break;

    case FLEET_STEP:
        f->redis_zero += (begin ? 1 : -1) * 150000;
        break;

    default:
        break;
    }
}


/* Until the next call of an account. */

static uint64_t
fleet_gap(fleet_t *f)
{
    return fleet_tail(f, 1e6 * FLEET_ACCOUNTS / (f->p.rate * f->p.load));
}


static void
fleet_arrival(fleet_t *f, ngx_uint_t account)
{
    ngx_uint_t      i;
    fleet_node_t   *node;
    fleet_queue_t  *q;

    fleet_add(f, fleet_gap(f), FLEET_ARRIVAL, 0, account, NULL);

    do {
        i = fleet_draw(f) * f->p.nodes;
        node = &f->nodes[i];
    } while (!node->here[account]);

    q = &node->queue[account];

    if (node->dead || q->n == FLEET_WAITS) {
        return;
    }

    q->since[(q->first + q->n++) % FLEET_WAITS] = f->now;

    fleet_node_run(f, node);
}


static int
fleet_order(const void *a, const void *b)
{
    uint64_t  x, y;

    x = *(uint64_t *) a;
    y = *(uint64_t *) b;

    return (x > y) - (x < y);
}


static void
fleet_figures(fleet_t *f, uint64_t begin, uint64_t end)
{
    size_t           i, from, n;
    double           share, sum, squares;
    fleet_result_t  *r;

    r = &f->result;
    n = 0;
    from = 0;

    qsort(f->sent, f->nsent, sizeof(uint64_t), fleet_order);

    for (i = 0; i < f->nsent; i++) {

        while (f->sent[i] - f->sent[from] >= 1000000) {
            from++;
        }

        r->busiest = ngx_max(r->busiest, i - from + 1);
        n += (f->sent[i] >= begin && f->sent[i] < end);
    }

    r->used = n * 1e6 / (end - begin) / f->p.rate;
    r->calls = f->asked * 1e6 / end;

    sum = 0;
    squares = 0;

    for (i = 0; i < FLEET_ACCOUNTS; i++) {
        share = (double) f->served[i] / f->weight[i];
        sum += share;
        squares += share * share;
    }

    r->jain = squares ? sum * sum / (FLEET_ACCOUNTS * squares) : 0;

    if (f->granted) {
        r->lost = 1 - (double) f->nsent / f->granted;
    }

    qsort(f->waited, f->nwaited, sizeof(uint64_t), fleet_order);

    for (i = 0; i < f->nwaited; i++) {
        r->wait += f->waited[i] / 1000.0 / f->nwaited;
    }

    if (f->nwaited) {
        r->wait99 = f->waited[f->nwaited * 99 / 100] / 1000.0;
    }
}


static fleet_result_t
fleet_run(fleet_param_t *p)
{
    size_t            max;
    uint64_t          begin, end;
    ngx_uint_t        i, k;
    fleet_t          *f;
    fleet_event_t     e;
    fleet_result_t    result;
    fleet_message_t  *m;

    f = calloc(1, sizeof(fleet_t));

    f->p = *p;
    f->random = 0x9e3779b97f4a7c15 ^ p->seed;
    f->nodes = calloc(p->nodes, sizeof(fleet_node_t));
    f->grant = calloc(1, sizeof(grant_t));

    max = p->rate * (p->seconds + 1) * (p->nodes + 1) + 1000;
    f->sent = calloc(max, sizeof(uint64_t));
    f->waited = calloc(max, sizeof(uint64_t));

    ngx_tccbs_lease_conf(&f->conf, p->rate, p->nodes, p->period, p->timeout);

    f->redis_zero = 1700000000000000;
    f->redis_drift = (2 * fleet_draw(f) - 1) * p->skew;

    for (i = 0; i < 100; i++) {
        (void) fleet_draw(f);
    }

    /* one account is everywhere and noisy, others at half, at a quarter ... */

    for (k = 0; k < FLEET_ACCOUNTS; k++) {

        f->weight[k] = 1 + k % 3;

        f->nodes[k * 7 % p->nodes].here[k] = 1;

        for (i = 0; i < p->nodes; i++) {
            if (fleet_draw(f) < 1.0 / (1 << (k % 8))) {
                f->nodes[i].here[k] = 1;
            }
        }

        if (p->load) {
            fleet_add(f, 2000000 + fleet_gap(f), FLEET_ARRIVAL, 0, k, NULL);
        }
    }

    for (i = 0; i < p->nodes; i++) {
        fleet_node_start(f, &f->nodes[i]);
        fleet_add(f, fleet_draw(f) * p->period, FLEET_WAKE, i,
                  ++f->nodes[i].wake, NULL);
    }

    /* they come one after another and count after a second */

    begin = 3000000;
    end = begin + p->seconds * 1000000;

    f->heals = begin + (end - begin) * 2 / 3;

    fleet_add(f, begin + (end - begin) / 3, FLEET_CHANGE, 0, 1, NULL);
    fleet_add(f, f->heals, FLEET_CHANGE, 0, 0, NULL);

    while (f->nheap) {

        e = fleet_pop(f);
        m = e.message;

        if (e.at > end) {
            f->heap[f->nheap++] = e;
            break;
        }

        f->now = e.at;

        switch (e.type) {

        case FLEET_WAKE:

            if (e.n == f->nodes[e.node].wake) {
                fleet_node_run(f, &f->nodes[e.node]);
            }

            break;

        case FLEET_TIMEOUT:

            if (m->life == f->nodes[e.node].life) {
                ngx_tccbs_lease_failed(&f->nodes[e.node].lease, &m->ask);
            }

            break;

        case FLEET_REQUEST:

            if (!f->down) {
                fleet_request(f, &e);
            }

            break;

        case FLEET_ANSWER:

            if (m->life == f->nodes[e.node].life && !f->nodes[e.node].dead) {
                ngx_str_t  s = { m->len, m->answer };

                (void) ngx_tccbs_lease_answer(&f->nodes[e.node].lease,
                                              &f->conf,
                                              fleet_local(f, &f->nodes[e.node]),
                                              &m->ask, &s);
                fleet_node_run(f, &f->nodes[e.node]);
            }

            break;

        case FLEET_ARRIVAL:
            fleet_arrival(f, e.n);
            break;

        case FLEET_CHANGE:
            fleet_change(f, e.n);
            break;
        }

        if (m && --m->uses == 0) {
            free(m);
        }
    }

    fleet_figures(f, begin, end);
    result = f->result;

    for (i = 0; i < f->nheap; i++) {
        m = f->heap[i].message;

        if (m && --m->uses == 0) {
            free(m);
        }
    }

    free(f->heap);
    free(f->nodes);
    free(f->grant);
    free(f->sent);
    free(f->waited);
    free(f);

    return result;
}


#endif /* _FLEET_H_INCLUDED_ */
