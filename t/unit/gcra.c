
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "ngx_tccbs_gcra.h"
#include "tap.h"


static uint32_t  seed = 7;


static uint32_t
draw(uint32_t n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) % n;
}


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
    ok(ngx_tccbs_quota_take(&cell, 6, 0xffffffff, 4) == NGX_BUSY, "too many");
    ok(ngx_tccbs_quota_take(&cell, 7, 5, 4) == NGX_BUSY, "more than a day's");
}


/* Processes that take from one cell at once take no more than there is. */

static void
test_processes(void)
{
    int            i, k, got, status;
    pid_t          pids[4];
    uint64_t       wait;
    ngx_atomic_t  *cell;

    cell = mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                -1, 0);

    fflush(stdout);

    for (i = 0; i < 4; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            for (k = 0; k < 100000; k++) {
                if (ngx_tccbs_gcra_take(cell, 1000, 10, 10 * 999, &wait)
                    == NGX_OK)
                {
                    (void) ngx_atomic_fetch_add(&cell[100], 1);
                }

                if (ngx_tccbs_quota_take(&cell[200], 1, 3, 1000) == NGX_OK) {
                    (void) ngx_atomic_fetch_add(&cell[300], 3);
                }
            }

            _exit(0);
        }
    }

    for (i = 0, got = 0; i < 4; i++) {
        waitpid(pids[i], &status, 0);
        got += (status == 0);
    }

    ok(got == 4, "four processes");
    ok(cell[100] == 1000, "took 1000 of 1000: %lu", (long) cell[100]);
    ok(cell[300] == 999, "and 999 of 1000 by threes: %lu", (long) cell[300]);
}


int
main(void)
{
    test_model();
    test_give();
    test_quota();
    test_processes();

    return tap_done();
}
