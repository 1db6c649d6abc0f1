
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_replay.h"
#include "shm.h"
#include "tap.h"


#define GROUPS  8
#define GROUP   16
#define LIFE    300
#define WINDOW  60


static time_t                now = 1000;
static ngx_shm_zone_t        zone;
static ngx_http_tccbs_shm_t  shm;


time_t
ngx_http_tccbs_zone_now(void)
{
    return now;
}


/* A table that has seen nothing. */

static void
forget(void)
{
    static ngx_http_tccbs_seen_t  seen[GROUPS * GROUP];

    ngx_memzero(seen, sizeof(seen));
    shm.nseen = GROUPS * GROUP;
    shm.seen = seen;
}


/* The n-th signature whose two groups are "a" and "b". */

static ngx_int_t
check(ngx_uint_t n, ngx_uint_t a, ngx_uint_t b, uint32_t context)
{
    uint64_t  parts[4] = { n, a, b, 0 };

    return ngx_http_tccbs_replay_check(&zone, (u_char *) parts, context, LIFE,
                                       WINDOW);
}


static void
test_once(void)
{
    forget();

    ok(check(1, 0, 1, 7) == NGX_OK, "new");
    ok(check(1, 0, 1, 7) == NGX_OK, "and once more with the same");
    ok(check(1, 0, 1, 8) == NGX_DECLINED, "not with something else");
    ok(check(2, 0, 1, 8) == NGX_OK, "another signature");

    now += WINDOW - 1;
    ok(check(1, 0, 1, 7) == NGX_OK, "as long as there is an answer");

    now += 1;
    ok(check(1, 0, 1, 7) == NGX_ABORT, "then it is spent");
    ok(check(1, 0, 1, 8) == NGX_DECLINED, "for others as before");

    now += LIFE - WINDOW;
    ok(check(1, 0, 1, 7) == NGX_ABORT, "to the end of its life");

    now += 1;
    ok(check(1, 0, 1, 8) == NGX_OK, "and after it is new");
}


static void
test_groups(void)
{
    ngx_uint_t  i, n, bad;

    forget();

    for (i = 0, bad = 0; i < 2 * GROUP; i++) {
        bad += (check(i + 1, 2, 3, 0) != NGX_OK);
    }

    ok(bad == 0, "two groups take twice as many");
    ok(check(100, 2, 3, 0) == NGX_BUSY, "and no more");

    for (i = 0, bad = 0; i < 2 * GROUP; i++) {
        bad += (check(i + 1, 2, 3, 1) != NGX_DECLINED);
    }

    ok(bad == 0, "none of which is forgotten for another");

    ok(check(101, 2, 4, 0) == NGX_OK, "the first is full: the second");
    ok(check(102, 4, 2, 0) == NGX_OK, "the second is full: the first");

    /* a half goes to each, so that the others have as much room */

    forget();

    for (i = 0; i < GROUP; i++) {
        (void) check(i + 1, 5, 6, 0);
    }

    for (i = 0, n = 0; i < GROUP; i++) {
        n += (shm.seen[5 * GROUP + i].expires != 0);
    }

    ok(n == GROUP / 2, "the emptier one: %d of %d", (int) n, GROUP);

    now += LIFE + 1;

    for (i = 0, bad = 0; i < 2 * GROUP; i++) {
        bad += (check(i + 200, 5, 6, 0) != NGX_OK);
    }

    ok(bad == 0, "what has expired makes room");
}


int
main(void)
{
    ngx_slab_pool_t  *pool;

    shm_zone(&zone, sizeof(shm_t));
    pool = (ngx_slab_pool_t *) zone.shm.addr;
    pool->data = &shm;

    test_once();
    test_groups();

    return tap_done();
}
