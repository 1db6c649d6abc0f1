
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "ngx_tccbs_gcra.h"
#include "draw.h"
#include "tap.h"


/*
 * The definition, in words of its own: a bucket of 1 + burst tokens that fills
 * at the rate; time in units of one "cost".
 */

static void
test_model(void)
{
    int            i, round, wrong, admitted;
    double         tokens;
    uint64_t       now, last, cost, burst, wait, start;
    ngx_int_t      rc;
    ngx_atomic_t   cell;

    wrong = 0;

    for (round = 0; round < 200; round++) {

        cost = 1 + draw(1000);
        burst = draw(20);
        now = 1000000 + draw(1000);
        start = now;
        last = now;
        tokens = 1.0 + burst;
        cell = 0;
        admitted = 0;

        for (i = 0; i < 500; i++) {

            now += draw(2 * cost);

            tokens += (double) (now - last) / cost;
            last = now;

            if (tokens > 1.0 + burst) {
                tokens = 1.0 + burst;
            }

            rc = ngx_tccbs_gcra_take(&cell, now, cost, cost * burst, &wait);

            /* exact in integers, the model is not: leave a hair */

            if (tokens >= 1.0 + 1e-6 && rc != NGX_OK) {
                wrong++;
            }

            if (tokens < 1.0 - 1e-6 && rc == NGX_OK) {
                wrong++;
            }

            if (rc == NGX_OK) {
                tokens -= 1.0;
                admitted++;

            } else if (ngx_tccbs_gcra_take(&cell, now + wait - 1, cost,
                                           cost * burst, &wait)
                       == NGX_OK)
            {
                wrong++;
            }

            if ((uint64_t) admitted > 1 + burst + (now - start) / cost) {
                wrong++;
            }
        }
    }

    ok(wrong == 0, "100000 decisions are those of the model");
}


static void
test_give(void)
{
    uint64_t       wait;
    ngx_atomic_t   cell;

    cell = 0;

    ok(ngx_tccbs_gcra_take(&cell, 100, 10, 0, &wait) == NGX_OK && wait == 0,
       "taken");
    ok(ngx_tccbs_gcra_take(&cell, 100, 10, 0, &wait) == NGX_BUSY
       && wait == 10, "busy, and for how long");
    ngx_tccbs_gcra_give(&cell, 10);
    ok(ngx_tccbs_gcra_take(&cell, 100, 10, 0, &wait) == NGX_OK, "given back");
    ok(ngx_tccbs_gcra_take(&cell, 105, 10, 10, &wait) == NGX_OK && wait == 5,
       "in the burst, and how much ahead");
}


static void
test_quota(void)
{
    ngx_atomic_t  cell;

    cell = 0;

    ok(ngx_tccbs_quota_take(&cell, 5, 3, 4) == NGX_OK, "three of four");
    ok(ngx_tccbs_quota_take(&cell, 5, 2, 4) == NGX_BUSY, "five of four");
    ok(ngx_tccbs_quota_used(&cell, 5) == 3, "nothing was taken");
    ok(ngx_tccbs_quota_take(&cell, 5, 1, 4) == NGX_OK, "four of four");
    ok(ngx_tccbs_quota_take(&cell, 4, 1, 4) == NGX_BUSY, "the day before");
    ok(ngx_tccbs_quota_take(&cell, 6, 4, 4) == NGX_OK, "the next day");
    ok(ngx_tccbs_quota_take(&cell, 5, 1, 4) == NGX_BUSY, "and back again");
    ngx_tccbs_quota_give(&cell, 5, 4);
    ok(ngx_tccbs_quota_used(&cell, 6) == 4, "yesterday's is not given back");
    ngx_tccbs_quota_give(&cell, 6, 3);
    ok(ngx_tccbs_quota_used(&cell, 6) == 1, "today's is");
    ngx_tccbs_quota_give(&cell, 6, 2);
    ok(ngx_tccbs_quota_used(&cell, 6) == 1, "no more than there was");
    ok(ngx_tccbs_quota_take(&cell, 6, 0xffffffff, 4) == NGX_BUSY, "too many");
    ok(ngx_tccbs_quota_take(&cell, 7, 5, 4) == NGX_BUSY, "more than a day's");
    ok(ngx_tccbs_quota_used(&cell, 7) == 0, "nothing of the next day is used");
    ok(ngx_tccbs_quota_drain(&cell, 7) == 0, "nor is it drained");
    ok(ngx_tccbs_quota_used(&cell, 6) == 1, "and nothing is lost");
    ok(ngx_tccbs_quota_drain(&cell, 6) == 1, "of this one what is used");
    ok(ngx_tccbs_quota_used(&cell, 6) == 0, "and nothing is left");
    ok(ngx_tccbs_quota_drain(&cell, 6) == 0, "not even for another one");
}


/*
 * One who takes is interrupted anywhere by another one, as by a process on
 * another core: what both have taken is what there is.
 */

#define INTERRUPTIONS  500

static ngx_atomic_t            rate, quota, both;
static uint64_t                rates, quotas, takes;
static volatile sig_atomic_t   interruptions;


static void
take(void)
{
    uint64_t  wait;

    if (ngx_tccbs_gcra_take(&rate, 1000, 10, 1ULL << 60, &wait) == NGX_OK) {
        (void) __sync_fetch_and_add(&rates, 1);
    }

    if (ngx_tccbs_quota_take(&quota, 1, 1, UINT32_MAX) == NGX_OK) {
        (void) __sync_fetch_and_add(&quotas, 1);
    }

    if (ngx_tccbs_quota_take(&both, 1, 2, UINT32_MAX) == NGX_OK) {
        (void) __sync_fetch_and_add(&takes, 1);
        ngx_tccbs_quota_give(&both, 1, 1);
    }
}


static void
interrupt(int signo)
{
    take();
    interruptions++;
}


static void
test_interrupted(void)
{
    uint64_t          drained;
    struct sigaction  sa;
    struct itimerval  every = { { 0, 100 }, { 0, 100 } }, never = { 0 };

    memset(&sa, 0, sizeof(struct sigaction));
    sa.sa_handler = interrupt;
    (void) sigaction(SIGALRM, &sa, NULL);
    (void) setitimer(ITIMER_REAL, &every, NULL);

    for (drained = 0; interruptions < INTERRUPTIONS; /* void */ ) {
        take();
        drained += ngx_tccbs_quota_drain(&both, 1);
    }

    (void) setitimer(ITIMER_REAL, &never, NULL);

    ok(rate == 1000 + 10 * rates, "%lu times at a rate", (long) rates);
    ok(ngx_tccbs_quota_used(&quota, 1) == (uint32_t) quotas,
       "%lu times of a quota", (long) quotas);
    ok(drained + ngx_tccbs_quota_used(&both, 1) == takes,
       "and %lu times two, of which one is given back", (long) takes);
}


/*
 * Processes that take from one cell at once take no more than there is.  They
 * begin together, and most of what they ask for is there: each goes on while
 * the others do.
 */

#define PROCESSES  4
#define TIMES      100000

typedef struct {
    ngx_atomic_t  here;
    ngx_atomic_t  rate;
    ngx_atomic_t  quota;
    ngx_atomic_t  both;                       /* taken, given back, drained */
    ngx_atomic_t  rates;
    ngx_atomic_t  quotas;
    ngx_atomic_t  drained;
} shared_t;


static void
process(shared_t *s)
{
    int           k;
    uint64_t      wait;
    ngx_atomic_t  rates, quotas, drained;

    rates = 0;
    quotas = 0;
    drained = 0;

    (void) ngx_atomic_fetch_add(&s->here, 1);

    while (s->here < PROCESSES) {
        ngx_sched_yield();
    }

    for (k = 0; k < TIMES; k++) {
        rates += (ngx_tccbs_gcra_take(&s->rate, 1000, 10, 10 * 299999, &wait)
                  == NGX_OK);

        quotas += 3 * (ngx_tccbs_quota_take(&s->quota, 1, 3, 1000000)
                       == NGX_OK);

        /* what is drained before it is given back is not given back */

        (void) ngx_tccbs_quota_take(&s->both, 1, 2, 1000000);
        ngx_tccbs_quota_give(&s->both, 1, 1);
        drained += ngx_tccbs_quota_drain(&s->both, 1);
    }

    (void) ngx_atomic_fetch_add(&s->rates, rates);
    (void) ngx_atomic_fetch_add(&s->quotas, quotas);
    (void) ngx_atomic_fetch_add(&s->drained, drained);
}


static void
test_processes(void)
{
    int        i, got, status;
    pid_t      pids[PROCESSES];
    shared_t  *s;

    s = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
             MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    fflush(stdout);

    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            process(s);
            exit(0);
        }
    }

    for (i = 0, got = 0; i < PROCESSES; i++) {
        waitpid(pids[i], &status, 0);
        got += (status == 0);
    }

    ok(got == PROCESSES, "four processes");
    ok(s->rates == 300000, "took 300000 of 300000: %lu", (long) s->rates);
    ok(s->quotas == 999999, "and 999999 of 1000000 by threes: %lu",
       (long) s->quotas);
    ok(ngx_tccbs_quota_used(&s->quota, 1) == 999999, "which are used");
    ok(s->drained + ngx_tccbs_quota_used(&s->both, 1)
       >= (ngx_atomic_uint_t) PROCESSES * TIMES
       && s->drained + ngx_tccbs_quota_used(&s->both, 1)
          <= (ngx_atomic_uint_t) PROCESSES * TIMES * 2,
       "of two taken and one given back one or two are drained: %lu",
       (long) s->drained);
}


int
main(void)
{
    test_model();
    test_give();
    test_quota();
    test_interrupted();
    test_processes();

    return tap_done();
}
