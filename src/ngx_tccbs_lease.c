
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_lease.h"


/* two clocks that are disciplined, or not at all, differ by less: 1/1024 */

#define NGX_TCCBS_LEASE_DRIFT     10

#define ngx_tccbs_lease_number(arg, p, n)                                     \
    ngx_tccbs_lease_write(arg, p, n, 10, 1)
#define ngx_tccbs_lease_id(arg, p, n)                                         \
    ngx_tccbs_lease_write(arg, p, n, 16, NGX_TCCBS_LEASE_ID_LEN)

/* of what a slot lasts, what a node can count on if it knows the time badly */

#define NGX_TCCBS_LEASE_SURE      6000

/* for a node that was late, and what of that is taken into account at most */

#define NGX_TCCBS_LEASE_SPARE     2000
#define NGX_TCCBS_LEASE_SLOWEST   30000

/* from the answer until a worker has seen it */

#define NGX_TCCBS_LEASE_NOTICE    4000


static u_char *ngx_tccbs_lease_write(ngx_str_t *arg, u_char *p, uint64_t n,
    ngx_uint_t base, ngx_uint_t width);
static ngx_int_t ngx_tccbs_lease_read(u_char **p, u_char *last,
    ngx_uint_t base, uint64_t *n);
static void ngx_tccbs_lease_clock(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, uint64_t redis);
static void ngx_tccbs_lease_add(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, uint64_t start,
    uint64_t account);
static void ngx_tccbs_lease_purge(ngx_tccbs_lease_t *lease, uint64_t now);
static uint64_t ngx_tccbs_lease_interval(ngx_tccbs_lease_conf_t *conf,
    uint64_t cost);


void
ngx_tccbs_lease_conf(ngx_tccbs_lease_conf_t *conf, ngx_uint_t rate,
    ngx_uint_t nodes, uint64_t period, uint64_t timeout)
{
    conf->rate = rate;
    conf->nodes = nodes;
    conf->period = period;
    conf->timeout = ngx_min(timeout, 2 * period);

    /* 97.8 % of the rate, and of the 22 ms a third for the node */

    conf->cost = 1022000 / rate;
    conf->use = 8000;

    /* who asks each period finds its slots before they start */

    conf->horizon = 2 * period + 50000;
    conf->fresh = 2 * period + 50000;
    conf->hold = 4 * period + 100000;

    /* the last request, until Redis takes its node for silent, slots of then */

    conf->alone = conf->hold + conf->horizon + conf->use + 2 * conf->timeout
                  + NGX_TCCBS_LEASE_SLOWEST;
}


void
ngx_tccbs_lease_init(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now)
{
    ngx_memzero(lease, sizeof(ngx_tccbs_lease_t));

    lease->use = conf->use;

    /* as if the process before had asked just now */

    lease->alone = now + conf->alone;
}


ngx_int_t
ngx_tccbs_lease_due(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, ngx_uint_t waiting, uint64_t *wait)
{
    uint64_t  next;

    if (lease->asking) {

        /* the worker that has asked may have died */

        next = lease->sent + 2 * conf->timeout;

        if (now < next) {
            *wait = next - now;
            return NGX_AGAIN;
        }

        lease->asking = 0;
        lease->known = 0;
    }

    if (lease->sent == 0) {
        return NGX_OK;
    }

    if (waiting > lease->nslots && lease->uncovered == 0 && lease->known) {

        /* calls that Redis has not heard of */

        next = lease->sent + NGX_TCCBS_LEASE_NOTICE;

    } else if (waiting) {
        next = lease->sent + conf->period;

    } else {
        next = lease->sent + 2 * conf->period;
    }

    if (now < next) {
        *wait = next - now;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


void
ngx_tccbs_lease_ask(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, ngx_tccbs_lease_ask_t *ask)
{
    ngx_uint_t  i, n;

    lease->token++;
    lease->sent = now;
    lease->asking = 1;

    ask->token = lease->token;
    ask->lead = ngx_min(lease->rtt, conf->period) + NGX_TCCBS_LEASE_NOTICE;
    ask->cost += (lease->use - conf->use) / conf->rate;

    lease->alone_before = lease->alone;

    if (!lease->known) {

        /* has no effect but to tell the time */

        ask->until = 0;
        ask->ndemands = 0;
        return;
    }

    ask->until = now + lease->low + conf->timeout;

    lease->alone = now + conf->alone;

    /* slots that are here are for calls that wait here */

    ngx_tccbs_lease_purge(lease, now);

    lease->uncovered = 0;

    for (i = 0; i < ask->ndemands; i++) {

        for (n = 0; n < lease->nslots && ask->demands[i].n; n++) {
            if (lease->slots[n].account == ask->demands[i].account) {
                ask->demands[i].n--;
            }
        }

        lease->uncovered += ask->demands[i].n;
    }
}


ngx_uint_t
ngx_tccbs_lease_args(ngx_tccbs_lease_conf_t *conf, ngx_tccbs_lease_ask_t *ask,
    uint64_t node, ngx_str_t *argv, u_char *buf)
{
    u_char      *p;
    ngx_uint_t   i, n;

    n = 0;

    p = ngx_tccbs_lease_id(&argv[n++], buf, node);
    p = ngx_tccbs_lease_number(&argv[n++], p, ask->until);
    p = ngx_tccbs_lease_number(&argv[n++], p, conf->nodes);
    p = ngx_tccbs_lease_number(&argv[n++], p, conf->rate);
    p = ngx_tccbs_lease_number(&argv[n++], p, ask->cost);
    p = ngx_tccbs_lease_number(&argv[n++], p, conf->horizon);
    p = ngx_tccbs_lease_number(&argv[n++], p, conf->hold);
    p = ngx_tccbs_lease_number(&argv[n++], p, conf->fresh);
    p = ngx_tccbs_lease_number(&argv[n++], p, ask->lead);
    p = ngx_tccbs_lease_number(&argv[n++], p, NGX_TCCBS_LEASE_SLOTS);

    for (i = 0; i < ask->ndemands; i++) {
        p = ngx_tccbs_lease_id(&argv[n++], p, ask->demands[i].account);
        p = ngx_tccbs_lease_number(&argv[n++], p, ask->demands[i].weight);
        p = ngx_tccbs_lease_number(&argv[n++], p, ask->demands[i].n);
    }

    return n;
}


static u_char *
ngx_tccbs_lease_write(ngx_str_t *arg, u_char *p, uint64_t n, ngx_uint_t base,
    ngx_uint_t width)
{
    uint64_t    k;
    ngx_uint_t  digits;

    for (digits = 1, k = n; k >= base; k /= base) {
        digits++;
    }

    arg->len = ngx_max(digits, width);
    arg->data = p;

    for (p += arg->len; p > arg->data; n /= base) {
        *--p = "0123456789abcdef"[n % base];
    }

    return arg->data + arg->len;
}


ngx_int_t
ngx_tccbs_lease_answer(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, ngx_tccbs_lease_ask_t *ask, ngx_str_t *answer)
{
    u_char      *p, *last;
    uint64_t     redis, done, start, account;
    ngx_uint_t   n;

    if (!lease->asking || lease->token != ask->token) {
        return NGX_DECLINED;
    }

    p = answer->data;
    last = p + answer->len;

    if (ngx_tccbs_lease_read(&p, last, 10, &redis) != NGX_OK
        || ngx_tccbs_lease_read(&p, last, 10, &done) != NGX_OK)
    {
        goto failed;
    }

    ngx_tccbs_lease_clock(lease, conf, now, redis);

    if (!done) {

        if (p != last) {
            goto failed;
        }

        lease->asking = 0;
        lease->known = 1;
        lease->uncovered = 0;
        lease->alone = lease->alone_before;

        if (ask->until == 0) {

            /* the time is known now, and there is no need to wait */

            lease->sent = now - ngx_min(now - 1, 2 * conf->period);
        }

        return NGX_OK;
    }

    for (n = 0; p < last; n++) {

        if (ngx_tccbs_lease_read(&p, last, 10, &start) != NGX_OK
            || ngx_tccbs_lease_read(&p, last, 16, &account) != NGX_OK)
        {
            goto failed;
        }

        ngx_tccbs_lease_add(lease, conf, now, start, account);
    }

    lease->asking = 0;
    lease->known = 1;
    lease->uncovered -= ngx_min(lease->uncovered, n);

    return NGX_OK;

failed:

    ngx_tccbs_lease_failed(lease, ask);

    return NGX_ERROR;
}


/* A number and the blank behind it, when there is more. */

static ngx_int_t
ngx_tccbs_lease_read(u_char **p, u_char *last, ngx_uint_t base, uint64_t *n)
{
    u_char      *s;
    ngx_uint_t   digit;

    *n = 0;

    for (s = *p; s < last && *s != ' '; s++) {

        if (*s >= '0' && *s <= '9') {
            digit = *s - '0';

        } else if (base == 16 && *s >= 'a' && *s <= 'f') {
            digit = *s - 'a' + 10;

        } else {
            return NGX_ERROR;
        }

        if (s - *p == NGX_TCCBS_LEASE_ID_LEN) {
            return NGX_ERROR;
        }

        *n = *n * base + digit;
    }

    if (s == *p || s + 1 == last) {
        return NGX_ERROR;
    }

    *p = (s < last) ? s + 1 : s;

    return NGX_OK;
}


/*
 * The answer was written between "sent" and "now", which bounds the difference
 * of the clocks from both sides; and it has not changed much since then.
 */

static void
ngx_tccbs_lease_clock(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, uint64_t redis)
{
    int64_t  low, high, drift;

    low = redis - now;
    high = redis - lease->sent;

    if (lease->measured) {

        drift = ((now - lease->measured) >> NGX_TCCBS_LEASE_DRIFT) + 1;

        low = ngx_max(low, lease->low - drift);
        high = ngx_min(high, lease->high + drift);

        if (low > high) {

            /* another Redis, or its clock was set */

            low = redis - now;
            high = redis - lease->sent;
        }
    }

    lease->low = low;
    lease->high = high;
    lease->measured = now;
    lease->rtt = now - lease->sent;

    /* who knows the time badly or is late needs slots that are wider apart */

    lease->use = (high - low) + ngx_max(NGX_TCCBS_LEASE_SURE,
                                        lease->slow + NGX_TCCBS_LEASE_SPARE);
    lease->use = ngx_max(conf->use, lease->use);
}


static void
ngx_tccbs_lease_add(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, uint64_t start, uint64_t account)
{
    uint64_t                 begin, end;
    ngx_uint_t               i;
    ngx_tccbs_lease_slot_t  *slot;

    lease->lent++;

    /* not early if the difference is the lowest, not late if the highest */

    begin = start - lease->low;
    end = start - lease->high + lease->use;

    if ((int64_t) (end - begin) <= 0
        || (int64_t) (end - now) <= 0
        || begin - lease->sent > conf->horizon + 2 * conf->timeout
        || lease->nslots == NGX_TCCBS_LEASE_SLOTS)
    {
        lease->lapsed++;
        return;
    }

    for (i = lease->nslots++; i && lease->slots[i - 1].begin > begin; i--) {
        lease->slots[i] = lease->slots[i - 1];
    }

    slot = &lease->slots[i];

    slot->account = account;
    slot->begin = begin;
    slot->end = end;
}


void
ngx_tccbs_lease_failed(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_ask_t *ask)
{
    if (!lease->asking || lease->token != ask->token) {
        return;
    }

    lease->asking = 0;
    lease->known = 0;
}


ngx_int_t
ngx_tccbs_lease_next(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, uint64_t cost, uint64_t *account, uint64_t *wait)
{
    uint64_t  next, interval;

    ngx_tccbs_lease_purge(lease, now);

    if (lease->nslots) {
        *account = lease->slots[0].account;
        next = lease->slots[0].begin;

    } else {

        interval = ngx_tccbs_lease_interval(conf, cost);

        if (interval == 0 || now < lease->alone) {
            return NGX_DECLINED;
        }

        *account = 0;
        next = ngx_max(lease->share, lease->alone + interval);
    }

    if (now < next) {
        *wait = next - now;
        return NGX_AGAIN;
    }

    return NGX_OK;
}


void
ngx_tccbs_lease_take(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, uint64_t cost, ngx_uint_t n)
{
    uint64_t  late;

    if (lease->nslots == 0) {
        lease->share = now + ngx_tccbs_lease_interval(conf, cost);
        return;
    }

    late = now - ngx_min(now, lease->slots[n].begin);
    lease->slow = ngx_max(lease->slow - lease->slow / 64, late);

    lease->nslots--;

    ngx_memmove(&lease->slots[n], &lease->slots[n + 1],
                (lease->nslots - n) * sizeof(ngx_tccbs_lease_slot_t));
}


ngx_uint_t
ngx_tccbs_lease_alone(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now)
{
    return conf->nodes && conf->nodes <= conf->rate && now >= lease->alone;
}


void
ngx_tccbs_lease_status(ngx_tccbs_lease_t *lease, ngx_tccbs_lease_conf_t *conf,
    uint64_t now, ngx_tccbs_lease_status_t *status)
{
    ngx_uint_t  i;

    status->mode = NGX_TCCBS_LEASE_CLOSED;
    status->held = 0;
    status->asked = 0;
    status->lent = lease->lent;
    status->lapsed = lease->lapsed;

    /* a Redis that answers late does nothing: the node is alone all the same */

    if (ngx_tccbs_lease_alone(lease, conf, now)) {
        status->mode = NGX_TCCBS_LEASE_LOCAL;

    } else if (lease->known) {
        status->mode = NGX_TCCBS_LEASE_SHARED;
        status->asked = lease->uncovered;
    }

    /* the state is left as it is: whoever looks must not change what happens */

    for (i = 0; i < lease->nslots; i++) {

        if (now < lease->slots[i].end) {
            status->held++;

        } else {
            status->lapsed++;
        }
    }
}


static void
ngx_tccbs_lease_purge(ngx_tccbs_lease_t *lease, uint64_t now)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < lease->nslots; i++) {
        if (now < lease->slots[i].end) {
            lease->slots[n++] = lease->slots[i];

        } else {
            lease->lapsed++;
            lease->slow = ngx_min(lease->slow + NGX_TCCBS_LEASE_SPARE,
                                  NGX_TCCBS_LEASE_SLOWEST);
        }
    }

    lease->nslots = n;
}


/* Of the calls of the share, which is a whole number of calls a second. */

static uint64_t
ngx_tccbs_lease_interval(ngx_tccbs_lease_conf_t *conf, uint64_t cost)
{
    ngx_uint_t  share;

    share = conf->nodes ? conf->rate / conf->nodes : 0;

    return share ? cost * conf->rate / share : 0;
}
