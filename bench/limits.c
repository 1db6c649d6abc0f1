
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


/*
 * The limits of src/, in processes that share memory as workers do and with the
 * real clock: how exact the rate is, how full the slots, how fair the queue.
 * Prints a line for each figure, and fails when one is out of its bounds.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <sys/wait.h>

#include "ngx_http_tccbs_queue.h"
#include "ngx_tccbs_gcra.h"
#include "shm.h"


#define ACCOUNTS    8
#define RATE        1000                      /* of an account, r/s */
#define BURST       50
#define LIMIT       100                       /* of the upstream, r/s */
#define NOISY       50                        /* times the demand */


typedef struct {
    ngx_atomic_t               cell;
    ngx_atomic_t               admitted;
    ngx_atomic_t               served[ACCOUNTS];
    ngx_http_tccbs_flow_t      flows[ACCOUNTS];
    ngx_http_tccbs_budget_t    budget;
} shared_t;


static int       failed, passed;
static double    seconds = 5;
static shared_t *shared;


static void
report(int good, const char *what, double value, const char *bound)
{
    printf("%-52s %10.4f  %-10s %s\n", what, value, bound,
           good ? "ok" : "NOT OK");

    if (good) {
        passed++;

    } else {
        failed++;
    }
}


static void
in_processes(int n, void (*run)(int i, uint64_t end), uint64_t end)
{
    int  i;

    for (i = 0; i < n; i++) {
        if (fork() == 0) {
            ngx_pid = getpid();
            run(i, end);
            _exit(0);
        }
    }

    while (wait(NULL) > 0) { /* void */ }
}


static void
rate_worker(int i, uint64_t end)
{
    uint64_t  now, wait, cost;

    cost = 1000000 / RATE;

    while ((now = ngx_tccbs_gcra_now()) < end) {
        if (ngx_tccbs_gcra_take(&shared->cell, now, cost, cost * BURST, &wait)
            == NGX_OK)
        {
            (void) __sync_fetch_and_add(&shared->admitted, 1);
        }
    }
}


static void
rate(int workers)
{
    char      what[80];
    double    most, part;
    uint64_t  start;

    ngx_memzero(shared, sizeof(shared_t));

    start = ngx_tccbs_gcra_now();

    in_processes(workers, rate_worker, start + seconds * 1000000);

    most = RATE * seconds + BURST + 1;
    part = shared->admitted / most;

    snprintf(what, sizeof(what), "rate %dr/s burst=%d, %d workers: admitted",
             RATE, BURST, workers);

    report(shared->admitted <= most && part >= 0.99, what, part,
           "0.99..1");
}


/* Each process has calls of all accounts, which come again when served. */

static ngx_shm_zone_t  zone;
static int             nworkers;
static ngx_uint_t      weights[ACCOUNTS];
static int             demand[ACCOUNTS];


static void
queue_worker(int self, uint64_t end)
{
    int                       i, n, a;
    uint64_t                  now, next, *at;
    ngx_int_t                 rc;
    ngx_msec_t                delay;
    int                      *account;
    ngx_http_tccbs_waiter_t **waiter;

    n = 0;
    account = calloc(ACCOUNTS * NOISY * 4, sizeof(int));
    waiter = calloc(ACCOUNTS * NOISY * 4, sizeof(void *));
    at = calloc(ACCOUNTS * NOISY * 4, sizeof(uint64_t));

    for (a = 0; a < ACCOUNTS; a++) {
        for (i = 0; i < demand[a]; i++) {
            if (i % nworkers == self) {
                account[n++] = a;
            }
        }
    }

    while ((now = ngx_tccbs_gcra_now()) < end) {

        next = now + 2000;

        for (i = 0; i < n; i++) {

            if (at[i] > now) {
                next = ngx_min(next, at[i]);
                continue;
            }

            rc = ngx_http_tccbs_queue_ask(&zone, &shared->budget, &waiter[i],
                                          &shared->flows[account[i]],
                                          weights[account[i]], 1015000 / LIMIT,
                                          10000, &delay);

            if (rc == NGX_OK) {
                (void) __sync_fetch_and_add(&shared->served[account[i]], 1);
                at[i] = now;

            } else {
                at[i] = now + delay * 1000;
            }
        }

        usleep(ngx_min(next - now, 1000));
    }

    for (i = 0; i < n; i++) {
        if (waiter[i]) {
            ngx_http_tccbs_queue_leave(&zone, &shared->budget, waiter[i]);
        }
    }
}


static void
queue(int workers, int weighted)
{
    int       a;
    char      what[80];
    double    share, sum, squares, total, weight, worst, most;
    uint64_t  start;

    ngx_memzero(shared, sizeof(shared_t));
    shm_zone(&zone, 1024 * 1024);
    ngx_http_tccbs_queue_init(&shared->budget);

    nworkers = workers;
    weight = 0;

    for (a = 0; a < ACCOUNTS; a++) {
        weights[a] = weighted ? a % 4 + 1 : 1;
        demand[a] = (a == 0) ? 4 * NOISY : 4;
        weight += weights[a];
    }

    start = ngx_tccbs_gcra_now();

    in_processes(workers, queue_worker, start + seconds * 1000000);

    sum = 0;
    squares = 0;
    total = 0;
    worst = 0;

    for (a = 0; a < ACCOUNTS; a++) {
        share = (double) shared->served[a] / weights[a];
        sum += share;
        squares += share * share;
        total += shared->served[a];
    }

    for (a = 0; a < ACCOUNTS; a++) {
        share = shared->served[a] / total / (weights[a] / weight) - 1;
        worst = ngx_max(worst, ngx_abs(share));
    }

    most = LIMIT * seconds + 1;

    snprintf(what, sizeof(what), "limit %dr/s, %d workers: slots used", LIMIT,
             workers);
    report(total <= most && total / (LIMIT * seconds) >= 0.98, what,
           total / (LIMIT * seconds), "0.98..1");

    if (weighted) {
        snprintf(what, sizeof(what), "weights 1..4, one %dx, %d workers: off",
                 NOISY, workers);
        report(worst <= 0.02, what, worst, "<= 0.02");

    } else {
        snprintf(what, sizeof(what), "equal, one %dx, %d workers: Jain", NOISY,
                 workers);
        report(sum * sum / (ACCOUNTS * squares) >= 0.99, what,
               sum * sum / (ACCOUNTS * squares), ">= 0.99");
    }

    (void) munmap(zone.shm.addr, zone.shm.size);
}


int
main(int argc, char **argv)
{
    int  i, workers[] = { 1, 2, 4, 8 };

    if (argc > 1) {
        seconds = atof(argv[1]);
    }

    setvbuf(stdout, NULL, _IOLBF, 0);

    shared = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED) {
        return 1;
    }

    for (i = 0; i < 4; i++) {
        rate(workers[i]);
    }

    for (i = 0; i < 4; i++) {
        queue(workers[i], 0);
        queue(workers[i], 1);
    }

    printf("%d passed, %d failed\n", passed, failed);

    return failed ? 1 : 0;
}
