
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_queue.h"
#include "shm.h"
#include "draw.h"
#include "tap.h"


#define ACCOUNTS  8
#define WAITERS   64
#define CROWD     200
#define LATE      4000                        /* microseconds, see the source */
#define OTHER     0x3ffffff0                  /* a process that lives */
#define DEAD      0x3fffffff                  /* no process has it */


/*
 * The definition in words of its own: of all who wait the one with the smallest
 * start tag is next, of equal ones who came first; there is a slot each "cost"
 * microseconds, and who asks late for it does not delay the next one.
 */

typedef struct {
    ngx_http_tccbs_waiter_t  *waiter;         /* of the code, NULL: not there */
    ngx_uint_t                there;
    uint64_t                  start;
    uint64_t                  seq;
} model_waiter_t;

typedef struct {
    model_waiter_t            waiters[WAITERS];
    uint64_t                  finish[ACCOUNTS];
    uint64_t                  vtime, seq, next;
    ngx_uint_t                n;
} model_t;


static uint64_t   now = 1000000;
static int        asked;                      /* whether a process lives */


/* The clock of the code under test is the one of the test. */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = now / 1000000;
    ts->tv_nsec = now % 1000000 * 1000;

    return 0;
}


int
kill(pid_t pid, int sig)
{
    asked++;

    if (pid == DEAD) {
        errno = ESRCH;
        return -1;
    }

    return 0;
}


static model_waiter_t *
model_head(model_t *m)
{
    int              i;
    model_waiter_t  *w, *head;

    head = NULL;

    for (i = 0; i < WAITERS; i++) {
        w = &m->waiters[i];

        if (w->there && (head == NULL || w->start < head->start
                         || (w->start == head->start && w->seq < head->seq)))
        {
            head = w;
        }
    }

    return head;
}


/* Random calls come, ask and leave; the code and the model agree each time. */

static void
test_model(void)
{
    int                        i, a, round, wrong, early, served, left, full;
    model_t                    m;
    uint64_t                   cost;
    ngx_int_t                  rc, want;
    ngx_msec_t                 delay;
    ngx_uint_t                 weight[ACCOUNTS], max;
    ngx_shm_zone_t             zone;
    model_waiter_t            *w;
    ngx_http_tccbs_flow_t      flows[ACCOUNTS];
    ngx_http_tccbs_budget_t    budget;

    wrong = 0;
    early = 0;
    served = 0;
    left = 0;
    full = 0;

    for (round = 0; round < 300; round++) {

        shm_zone(&zone, 64 * 1024);
        ngx_memzero(&budget, sizeof(budget));
        ngx_memzero(&m, sizeof(m));
        ngx_memzero(flows, sizeof(flows));

        ngx_http_tccbs_queue_init(&budget);

        cost = 10000 + draw(100000);
        max = 4 + draw(WAITERS);

        for (a = 0; a < ACCOUNTS; a++) {
            weight[a] = 1 + draw(10);
        }

        for (i = 0; i < 2000; i++) {

            now += draw(4) ? draw(cost / 4) : draw(3 * cost);

            w = &m.waiters[draw(WAITERS)];
            a = (w - m.waiters) % ACCOUNTS;

            if (w->there && draw(10) == 0) {
                ngx_http_tccbs_queue_leave(&zone, &budget, w->waiter);
                ngx_memzero(w, sizeof(model_waiter_t));
                m.n--;
                left++;
                continue;
            }

            want = NGX_AGAIN;

            if (!w->there && m.n >= max) {
                want = NGX_BUSY;
                full++;

            } else if (!w->there) {
                w->there = 1;
                w->start = ngx_max(m.vtime, m.finish[a]);
                w->seq = ++m.seq;
                m.finish[a] = w->start + 1000000 / weight[a];
                m.n++;
            }

            if (want == NGX_AGAIN && model_head(&m) == w
                && now + LATE >= m.next)
            {
                want = NGX_OK;
                m.next = ngx_max(m.next, now) + cost;
                m.vtime = w->start;
                m.n--;
            }

            delay = 0;
            rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w->waiter,
                                          &flows[a], weight[a], cost, max,
                                          &delay);

            wrong += (rc != want);
            wrong += (budget.n != m.n);
            early += (rc == NGX_AGAIN && delay == 0);

            if (rc == NGX_OK) {
                wrong += (w->waiter != NULL);
                ngx_memzero(w, sizeof(model_waiter_t));
                served++;
            }

            if (wrong) {
                break;
            }
        }

        for (i = 0; i < WAITERS; i++) {
            if (m.waiters[i].there) {
                ngx_http_tccbs_queue_leave(&zone, &budget,
                                           m.waiters[i].waiter);
            }
        }

        wrong += (((shm_t *) zone.shm.addr)->n != 0);

        (void) munmap(zone.shm.addr, zone.shm.size);
    }

    ok(wrong == 0, "agrees with the model");
    ok(early == 0, "who waits is told how long");
    ok(served > 5000 && left > 5000 && full > 5000,
       "of all kinds: %d served, %d left, %d found it full", served, left,
       full);
}


/*
 * Twenty slots in a second: never 21 in one, and hardly less, although the
 * first in the queue asks late.
 */

static void
test_slots(void)
{
    int                        i, worst;
    uint64_t                   start, at[2000];
    ngx_msec_t                 delay;
    ngx_uint_t                 n;
    ngx_shm_zone_t             zone;
    ngx_http_tccbs_flow_t      flow;
    ngx_http_tccbs_budget_t    budget;
    ngx_http_tccbs_waiter_t   *waiter;

    shm_zone(&zone, 64 * 1024);
    ngx_memzero(&budget, sizeof(budget));
    ngx_http_tccbs_queue_init(&budget);

    ngx_memzero(&flow, sizeof(flow));
    waiter = NULL;
    start = now;

    for (n = 0; n < 2000; /* void */ ) {

        if (ngx_http_tccbs_queue_ask(&zone, &budget, &waiter, &flow, 1,
                                     1010000 / 20, 10, &delay)
            == NGX_OK)
        {
            at[n++] = now;
            continue;
        }

        now += delay * 1000 + draw(3000);
    }

    worst = 0;

    for (i = 20; i < 2000; i++) {
        worst += (at[i] - at[i - 20] < 1000000);
    }

    ok(worst == 0, "never 21 slots within a second");
    ok(2000 * 1000000.0 / (now - start) > 19.6, "98%% of them are used: %.2f",
       2000 * 1000000.0 / (now - start));

    (void) munmap(zone.shm.addr, zone.shm.size);
}


/*
 * Calls that have their turns but are late for them, as after handshakes that
 * took long, leave one after the other all the same.
 */

static void
test_depart(void)
{
    int                      i, n, worst;
    uint64_t                 at[200];
    ngx_msec_t               delay;
    ngx_http_tccbs_budget_t  budget;

    ngx_memzero(&budget, sizeof(budget));
    now += 60000000;
    worst = 0;

    for (n = 0, delay = 0; n < 200; now += delay * 1000, delay = 0) {

        if (ngx_http_tccbs_queue_depart(&budget, 1015000 / 20, &delay)
            != NGX_OK)
        {
            worst += (delay == 0 || delay > 51);
            continue;
        }

        at[n++] = now;
    }

    ok(worst == 0, "who has to stay is told for how long");
    worst = 0;

    for (i = 20; i < n; i++) {
        worst += (at[i] - at[i - 20] < 1000000);
    }

    ok(worst == 0, "never 21 leave within a second");
    ok(at[199] - at[0] < 199 * 51000, "and no slot is left out");

    ngx_http_tccbs_queue_throttled(&budget);
    now += 60000000;
    (void) ngx_http_tccbs_queue_depart(&budget, 100000, &delay);

    ok(ngx_http_tccbs_queue_depart(&budget, 100000, &delay) == NGX_AGAIN
       && delay > 140, "fewer while Tencent refuses");
}


/* Throttled eight times and more, the limit keeps an eighth; then it returns. */

static void
test_shrink(void)
{
    int                      i;
    ngx_http_tccbs_budget_t  budget;

    ngx_memzero(&budget, sizeof(budget));

    ok(ngx_http_tccbs_queue_cost(&budget, 1000) == 1000, "cost");

    ngx_http_tccbs_queue_throttled(&budget);

    ok(ngx_http_tccbs_queue_cost(&budget, 1000) == 1500, "once: a third less");

    for (i = 0; i < 20; i++) {
        ngx_http_tccbs_queue_throttled(&budget);
    }

    ok(ngx_http_tccbs_queue_cost(&budget, 1000) == 8000, "an eighth remains");

    ngx_http_tccbs_queue_passed(&budget);

    ok(ngx_http_tccbs_queue_cost(&budget, 1000) == 7937, "grows slowly");

    for (i = 0; i < 200; i++) {
        ngx_http_tccbs_queue_passed(&budget);
    }

    ok(ngx_http_tccbs_queue_cost(&budget, 1000) == 1000, "and is whole again");
}


/* A full zone is told from a full queue; a dead process is not waited for. */

static void
test_full_and_dead(void)
{
    ngx_int_t                 rc;
    ngx_msec_t                delay;
    ngx_uint_t                i;
    ngx_shm_zone_t            zone;
    ngx_http_tccbs_flow_t     flow;
    ngx_http_tccbs_budget_t   budget;
    ngx_http_tccbs_waiter_t  *waiters[8], *mine;

    shm_zone(&zone, sizeof(shm_t) + 4 * SHM_BLOCK);
    ngx_memzero(&budget, sizeof(budget));
    ngx_http_tccbs_queue_init(&budget);
    ngx_memzero(waiters, sizeof(waiters));

    ngx_memzero(&flow, sizeof(flow));
    mine = NULL;
    rc = NGX_OK;

    (void) ngx_http_tccbs_queue_ask(&zone, &budget, &mine, &flow, 1, 1000000,
                                    10, &delay);

    for (i = 0; i < 5; i++) {
        rc = ngx_http_tccbs_queue_ask(&zone, &budget, &waiters[i], &flow, 1,
                                      1000000, 10, &delay);
    }

    ok(rc == NGX_DECLINED && waiters[4] == NULL, "a full zone");

    for (i = 0; i < 4; i++) {
        waiters[i]->owner = DEAD;
    }

    now += 2000000;

    ngx_http_tccbs_queue_leave(&zone, &budget, waiters[3]);

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &mine, &flow, 1, 1000000,
                                  10, &delay);

    ok(rc == NGX_OK && budget.n == 0, "the dead are passed over");

    (void) munmap(zone.shm.addr, zone.shm.size);
}


/* What Redis says to a budget that asks; NULL: nothing. */

static ngx_int_t
say(ngx_shm_zone_t *zone, ngx_http_tccbs_budget_t *budget, const char *text)
{
    ngx_str_t              answer;
    ngx_msec_t             delay;
    ngx_tccbs_lease_ask_t  ask;

    ngx_memzero(&ask, sizeof(ask));

    if (ngx_http_tccbs_queue_lease_ask(zone, budget, &ask, &delay) != NGX_OK) {
        return NGX_BUSY;
    }

    if (text == NULL) {
        return ngx_http_tccbs_queue_lease_answer(zone, budget, &ask, NULL);
    }

    answer = str(text);

    return ngx_http_tccbs_queue_lease_answer(zone, budget, &ask, &answer);
}


/* The slots of a lease go to the calls of their accounts. */

static void
test_leased(void)
{
    char                      text[256];
    uint64_t                  redis;
    ngx_int_t                 rc;
    ngx_msec_t                delay;
    ngx_uint_t                i, n;
    ngx_shm_zone_t            zone;
    ngx_http_tccbs_flow_t     a, b;
    ngx_tccbs_lease_ask_t     ask;
    ngx_tccbs_lease_conf_t    conf;
    ngx_http_tccbs_budget_t   budget;
    ngx_http_tccbs_waiter_t  *w[5];

    shm_zone(&zone, 64 * 1024);
    ngx_memzero(&budget, sizeof(budget));
    ngx_memzero(&a, sizeof(a));
    ngx_memzero(&b, sizeof(b));
    ngx_memzero(w, sizeof(w));

    ngx_http_tccbs_queue_init(&budget);
    ngx_tccbs_lease_conf(&conf, 20, 2, 100000, 50000);

    ok(ngx_http_tccbs_queue_lease(&budget, &conf) == NGX_OK && budget.leased
       && budget.member, "leased");

    /* three calls of "a", then two of "b", of which one is of a dead worker */

    a.account = 0xa;
    b.account = 0xb;

    for (i = 0; i < 5; i++) {
        rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[i], i < 3 ? &a : &b, 1,
                                      50500, 10, &delay);
        ok(rc == NGX_AGAIN && w[i] && delay, "call %d waits", (int) i);
    }

    w[3]->owner = DEAD;

    redis = 1000000000;
    snprintf(text, sizeof(text), "%lu 0", (u_long) redis);
    ok(say(&zone, &budget, text) == NGX_OK, "Redis tells the time");

    ngx_memzero(&ask, sizeof(ask));
    rc = ngx_http_tccbs_queue_lease_ask(&zone, &budget, &ask, &delay);
    ok(rc == NGX_OK && ask.ndemands == 2 && ask.demands[0].account == 0xa
       && ask.demands[0].n == 3 && ask.demands[1].account == 0xb
       && ask.demands[1].n == 2, "what waits is told");
    (void) ngx_http_tccbs_queue_lease_answer(&zone, &budget, &ask, NULL);

    now += 200000;
    (void) say(&zone, &budget, text);
    snprintf(text, sizeof(text),
             "%lu 1 %lu 000000000000000b %lu 000000000000000a "
             "%lu 000000000000000c", (u_long) redis, (u_long) redis + 20000,
             (u_long) redis + 70000, (u_long) redis + 120000);
    ok(say(&zone, &budget, text) == NGX_OK && budget.lease.nslots == 3,
       "one of b, one of a, one of who is not here");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[1], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN, "the second of a has no slot");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN && delay == 20, "the first of a has the second slot");

    n = budget.n;
    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[4], &b, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN && delay == 20 && budget.n == n - 1,
       "b waits for the slot, the dead one is gone");

    now += 21000;

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN, "a, who came first, does not take it");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[4], &b, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_OK && w[4] == NULL, "b does");

    now += 50000;

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_OK && w[0] == NULL, "then a");

    now += 50000;

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[2], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN, "what nobody waits for is not for the last");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[1], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_OK && w[1] == NULL && budget.lease.nslots == 0,
       "but for the first");

    /* without Redis there are ten calls a second, of whose turn it is */

    (void) say(&zone, &budget, NULL);
    now += conf.alone + 2000000;

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &b, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN, "who comes last is not next");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[2], &a, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_OK && w[2] == NULL, "a call of the share");

    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &b, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_AGAIN, "not two");

    now += 2 * conf.cost;
    rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[0], &b, 1, 50500, 10,
                                  &delay);
    ok(rc == NGX_OK, "the next one");

    ok(say(&zone, &budget, "x") == NGX_ERROR, "nonsense");

    ok(ngx_http_tccbs_queue_lease(&budget, NULL) == NGX_OK && !budget.leased,
       "not leased any more");

    (void) munmap(zone.shm.addr, zone.shm.size);
}


/* What an answer costs that is "not yet" does not grow with who waits. */

static void
test_crowd(void)
{
    char                      text[256];
    uint64_t                  redis;
    ngx_int_t                 rc;
    ngx_msec_t                delay;
    ngx_uint_t                i, k;
    ngx_shm_zone_t            zone;
    ngx_http_tccbs_flow_t     flow;
    ngx_tccbs_lease_conf_t    conf;
    ngx_http_tccbs_budget_t   budget;
    ngx_http_tccbs_waiter_t  *w[CROWD];

    shm_zone(&zone, sizeof(shm_t) + CROWD * SHM_BLOCK);
    ngx_memzero(&budget, sizeof(budget));
    ngx_memzero(&flow, sizeof(flow));
    ngx_memzero(w, sizeof(w));

    ngx_http_tccbs_queue_init(&budget);
    ngx_tccbs_lease_conf(&conf, 20, 2, 100000, 50000);
    (void) ngx_http_tccbs_queue_lease(&budget, &conf);

    flow.account = 0xa;

    for (i = 0; i < CROWD; i++) {
        (void) ngx_http_tccbs_queue_ask(&zone, &budget, &w[i], &flow, 1, 50500,
                                        CROWD, &delay);
    }

    redis = 1000000000;
    snprintf(text, sizeof(text), "%lu 0", (u_long) redis);
    (void) say(&zone, &budget, text);

    now += 200000;
    snprintf(text, sizeof(text),
             "%lu 1 %lu 000000000000000a %lu 000000000000000a",
             (u_long) redis, (u_long) redis + 20000, (u_long) redis + 70000);
    (void) say(&zone, &budget, text);

    ok(budget.lease.nslots == 2, "two slots for %d calls", CROWD);

    /* those before it are of one other worker, or of two that alternate */

    for (k = 1; k <= 2; k++) {

        for (i = 0; i < CROWD - 1; i++) {
            w[i]->owner = OTHER + i % k;
        }

        asked = 0;
        rc = ngx_http_tccbs_queue_ask(&zone, &budget, &w[CROWD - 1], &flow, 1,
                                      50500, CROWD, &delay);

        ok(rc == NGX_AGAIN && asked == (int) k + 1,
           "the last one asks for two and the head, %d times", asked);
    }

    (void) munmap(zone.shm.addr, zone.shm.size);
}


int
main(void)
{
    ngx_pid = getpid();
    seed = 11;

    test_model();
    test_slots();
    test_depart();
    test_shrink();
    test_full_and_dead();
    test_leased();
    test_crowd();

    return tap_done();
}
