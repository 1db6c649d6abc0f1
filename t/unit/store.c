
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_held.h"
#include "shm.h"
#include "tap.h"


#define BUCKETS  64                           /* more than are swept at once */
#define BLOCKS   16
#define DEAD     0x3fffffff                   /* no process has it */
#define HOLD     50


static time_t                    now = 1000;
static ngx_pool_t               *pool;
static shm_t                    *slab;
static ngx_shm_zone_t            zone;
static ngx_http_tccbs_shm_t      shm;
static ngx_http_tccbs_stored_t  *mine;
static ngx_http_tccbs_found_t    found;


time_t
ngx_http_tccbs_zone_now(void)
{
    return now;
}


/* The n-th digest, all of them in one bucket or not; the n-th id. */

static ngx_uint_t  spread;

static u_char *
key(ngx_uint_t n)
{
    static u_char  digest[NGX_TCCBS_SHA256_LEN];

    digest[0] = 0x42 + n * spread;
    digest[sizeof(digest) - 1] = n;

    return digest;
}


static ngx_str_t *
id(ngx_uint_t n)
{
    static u_char     text[NGX_TCCBS_UUID_LEN + 1];
    static ngx_str_t  s = { NGX_TCCBS_UUID_LEN, text };

    (void) sprintf((char *) text, "%08u-0000-4000-8000-000000000000",
                   (unsigned) n);

    return &s;
}


static ngx_int_t
claim(ngx_uint_t n, ngx_uint_t call, ngx_uint_t waited)
{
    ngx_memzero(&found, sizeof(found));

    return ngx_http_tccbs_store_claim(&zone, key(n), NULL, id(call), waited,
                                      HOLD, pool, &mine, &found);
}


static ngx_int_t
look(ngx_uint_t n)
{
    ngx_memzero(&found, sizeof(found));

    return ngx_http_tccbs_store_look(&zone, key(n), pool, &found);
}


static ngx_int_t
made(ngx_uint_t n, const char *snapshot, time_t seconds)
{
    ngx_str_t  s;

    s = str(snapshot);

    return ngx_http_tccbs_store_made(&zone, key(n), &s, seconds, &found);
}


static void
answer(const char *text, ngx_uint_t again)
{
    ngx_str_t  s;

    s = str(text);
    ngx_http_tccbs_store_answer(&zone, mine, 3, &s, 100, again);
}


static void
hold(ngx_uint_t call, const char *about)
{
    ngx_str_t  s;

    s = str(about);
    ngx_http_tccbs_store_hold(&zone, mine, key(call), &s, 100);
}


static ngx_uint_t
of(ngx_uint_t call)
{
    return memcmp(found.id, id(call)->data, sizeof(found.id)) == 0;
}


/* An empty store. */

static void
start(void)
{
    static ngx_http_tccbs_stored_t  *buckets[BUCKETS];

    if (slab) {
        (void) munmap(slab, zone.shm.size);
    }

    shm_zone(&zone, sizeof(shm_t) + BLOCKS * SHM_BLOCK);
    slab = (shm_t *) zone.shm.addr;
    slab->pool.data = &shm;

    ngx_memzero(&shm, sizeof(shm));
    ngx_memzero(buckets, sizeof(buckets));
    shm.nbuckets = BUCKETS;
    shm.buckets = buckets;
}


static void
test_answer(void)
{
    start();

    ok(claim(1, 1, 0) == NGX_OK
       && mine->owner == (ngx_atomic_uint_t) ngx_pid, "a new one is claimed");
    ok(claim(1, 2, 0) == NGX_AGAIN && of(1), "and flies for the next");
    ok(look(1) == NGX_OK, "nothing is known of it");
    ok(claim(2, 2, 0) == NGX_OK, "another one in the same bucket");

    ok(claim(3, 3, 0) == NGX_OK, "a third");
    answer("third", 0);

    ok(claim(3, 4, 0) == NGX_DONE && is(&found.answer, "third") && of(3)
       && found.outcome == 3 && found.left == 100, "answered, with all of it");
    ok(look(3) == NGX_DONE && is(&found.answer, "third"), "to who looks, too");
    ok(claim(1, 4, 0) == NGX_AGAIN, "the first one flies on");

    now += 99;
    ok(claim(3, 4, 0) == NGX_DONE, "to the end of its time");

    now += 1;
    ok(look(3) == NGX_OK, "after it nothing is known");
    ok(claim(3, 4, 0) == NGX_OK, "and it is claimed anew");
    ok(claim(3, 5, 0) == NGX_AGAIN && of(4), "by another call");

    /* an answer that is for those who waited */

    mine->sent = 1;
    answer("rejected", 1);
    ok(claim(3, 6, 1) == NGX_DONE && is(&found.answer, "rejected"),
       "who waited gets it");
    ok(claim(3, 6, 0) == NGX_OK && mine->sent == 0,
       "who comes later makes a call, of which nothing was sent");
    ok(claim(3, 7, 1) == NGX_AGAIN && of(6), "for which the next ones wait");

    answer("made", 0);
    ok(claim(3, 8, 0) == NGX_DONE && is(&found.answer, "made"),
       "that is answered for all");
}


static void
test_hold(void)
{
    ngx_uint_t             n;
    ngx_http_tccbs_held_t  held[2];

    start();

    (void) claim(1, 1, 0);
    hold(77, "about");

    ok(claim(1, 2, 0) == NGX_BUSY && of(1) && found.left == 100
       && memcmp(found.call, key(77), sizeof(found.call)) == 0,
       "held, for that call");
    ok(look(1) == NGX_BUSY, "and to who looks");

    (void) claim(2, 2, 0);
    answer("x", 0);
    (void) claim(3, 3, 0);

    now += 10;
    ok(ngx_http_tccbs_held(&zone, held, 2, &n) == 1 && n == 1
       && held[0].age == 10 && held[0].left == 90 && held[0].len == 5
       && memcmp(held[0].about, "about", 5) == 0, "one is held");

    (void) claim(4, 4, 0);
    hold(4, "");
    (void) claim(5, 5, 0);
    hold(5, "");
    ok(ngx_http_tccbs_held(&zone, held, 2, &n) == 3 && n == 2,
       "three, of which two are told");

    now += 90;
    ok(ngx_http_tccbs_held(&zone, held, 2, &n) == 2, "two");
    ok(look(1) == NGX_OK && claim(1, 9, 0) == NGX_OK, "its time has ended");

    /* the oldest are told, also when they come first */

    start();
    spread = 1;

    for (n = 1; n <= 3; n++) {
        (void) claim(n, n, 0);
        hold(n, "");
        now += 10;
    }

    ok(ngx_http_tccbs_held(&zone, held, 2, &n) == 3 && n == 2
       && held[0].age == 30 && held[1].age == 20, "the oldest two");
    spread = 0;
}


/* A region, for the n-th call. */

static ngx_int_t
region(ngx_uint_t call)
{
    u_char  digest[NGX_TCCBS_SHA256_LEN];

    ngx_memzero(&found, sizeof(found));
    ngx_memcpy(digest, key(call), sizeof(digest));

    return ngx_http_tccbs_store_claim(&zone, key(1), digest, id(call), 0,
                                      HOLD, pool, &mine, &found);
}


static void
test_shared(void)
{
    start();

    ok(region(2) == NGX_OK, "a region is to be held");
    hold(2, "");
    ok(region(2) == NGX_BUSY && found.left == 100, "it is, for that call");
    ok(made(1, "", 10) == NGX_OK && region(2) == NGX_OK,
       "what is found out of it counts");

    hold(2, "");
    now += 60;
    ok(region(3) == NGX_BUSY && found.left == HOLD,
       "it is held for another one, too, and longer");
    ok(region(2) == NGX_BUSY && made(1, "", 10) == NGX_DECLINED,
       "what is found out of one of both ends nothing");
    ngx_http_tccbs_store_release(&zone, key(1), id(2));
    now += HOLD - 1;
    ok(look(1) == NGX_BUSY, "nor does the outcome of the first one");
    now += 1;
    ok(region(2) == NGX_OK, "only time does");

    /* found to be made, when another one is unknown */

    hold(2, "");
    (void) made(1, "", 200);
    ok(region(3) == NGX_OK, "a region that was made for one call");
    hold(3, "");
    ok(region(3) == NGX_BUSY && found.left == 200
       && made(1, "", 10) == NGX_DECLINED,
       "is not forgotten when it is held for another one");

    /* by two workers at once */

    start();

    (void) region(2);
    ok(region(3) == NGX_BUSY, "one that is about to be held");
    hold(2, "");
    ok(look(1) == NGX_BUSY && made(1, "", 10) == NGX_DECLINED,
       "is held for both");
}


static void
test_made(void)
{
    start();

    (void) claim(1, 1, 0);
    ok(made(1, "snap-1", 10) == NGX_DECLINED, "one that flies is not made");
    answer("x", 0);
    ok(made(1, "snap-1", 10) == NGX_DECLINED, "nor one that was answered");
    ok(made(2, "snap-1", 10) == NGX_DECLINED, "nor one that is not there");

    (void) claim(3, 3, 0);
    hold(77, "about");
    ok(made(3, "", 10) == NGX_OK, "what is held was made");
    ok(memcmp(found.call, key(77), sizeof(found.call)) == 0 && of(3)
       && memcmp(found.key, key(3), sizeof(found.key)) == 0, "by that call");
    ok(look(3) == NGX_DONE && found.answer.len == 0, "without a name");
    ok(made(3, "", 10) == NGX_DECLINED, "once");
    ok(made(3, "snap-3", 10) == NGX_OK, "and then its name is known");
    ok(look(3) == NGX_DONE && is(&found.answer, "snap-3"), "to others");
    ok(made(3, "snap-4", 10) == NGX_DECLINED, "it has no other one");

    now += 99;
    ok(look(3) == NGX_DONE, "as long as it was held for");

    ok(claim(3, 9, 0) == NGX_OK, "another call is not bound by it");
    ok(look(3) == NGX_OK, "and it flies");

    (void) claim(5, 5, 0);
    hold(5, "");
    (void) made(5, "snap-5", 500);
    now += 499;
    ok(look(5) == NGX_DONE, "or longer");
}


/* What a worker that died leaves. */

/* Claims enough for all buckets to be swept. */

static void
sweep(void)
{
    ngx_uint_t                i;
    ngx_http_tccbs_stored_t  *was;

    was = mine;
    spread = 1;

    for (i = 0; i < BUCKETS / 8 + 1; i++) {
        (void) claim(100 + i, 100, 0);
        ngx_http_tccbs_store_forget(&zone, mine);
    }

    spread = 0;
    mine = was;
}


static void
test_dead(void)
{
    ngx_uint_t  n;

    start();

    (void) claim(1, 1, 0);
    mine->owner = DEAD;
    ok(claim(1, 2, 0) == NGX_OK, "a dead one that was not sent is free");
    ok(claim(1, 3, 0) == NGX_AGAIN && of(2), "for one");

    mine->sent = 1;
    mine->owner = DEAD;
    ok(claim(1, 4, 0) == NGX_BUSY && of(2) && found.left == HOLD,
       "one that was sent is held");

    now += HOLD;
    ok(claim(1, 5, 0) == NGX_OK, "for that long");
    mine->owner = DEAD;
    ok(claim(1, 6, 0) == NGX_OK, "what flies anew was not sent");

    mine->sent = 1;
    ok(claim(1, 7, 0) == NGX_AGAIN, "nor is one that lives held");

    mine->owner = getppid();
    ngx_http_tccbs_store_release(&zone, key(1), id(6));
    ok(claim(1, 8, 0) == NGX_AGAIN, "or released");

    mine->owner = DEAD;
    ngx_http_tccbs_store_release(&zone, key(1), id(7));
    ok(claim(1, 8, 0) == NGX_BUSY, "that of another call is not released");

    ngx_http_tccbs_store_release(&zone, key(1), id(6));
    ok(claim(1, 8, 0) == NGX_OK, "one that is held is");

    ngx_http_tccbs_store_release(&zone, key(1), id(8));
    ok(claim(1, 8, 0) == NGX_OK, "and our own, when we end");

    mine->sent = 1;
    mine->owner = DEAD;
    ngx_http_tccbs_store_release(&zone, key(1), id(8));
    ok(claim(1, 9, 0) == NGX_OK, "and one of a dead worker");

    answer("x", 0);
    ngx_http_tccbs_store_release(&zone, key(50), id(9));
    ngx_http_tccbs_store_release(&zone, key(1), id(9));
    ok(claim(1, 10, 0) == NGX_DONE, "but none that was answered");

    /* nobody repeats them: who waited only takes no room, what was sent does
       for as long as it would be held */

    n = slab->n;
    (void) claim(20, 20, 0);
    mine->owner = DEAD;
    (void) claim(21, 21, 0);
    mine->sent = 1;
    mine->owner = DEAD;
    (void) claim(22, 22, 0);
    sweep();
    ok(slab->n == n + 2, "one that was not sent takes no room");
    ok(claim(22, 23, 0) == NGX_AGAIN && look(21) == NGX_BUSY,
       "one that lives does, and one that was sent");
    now += HOLD;
    sweep();
    ok(slab->n == n + 1 && claim(22, 23, 0) == NGX_AGAIN,
       "as long as it is held");
}


/* What became of a call of a dead worker is known, and will be told. */

static void
test_inherit(void)
{
    start();

    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(1), &mine)
       == NGX_DECLINED, "nothing to inherit");

    ok(claim(1, 1, 0) == NGX_OK, "a call");
    mine->owner = getppid();
    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(1), &mine)
       == NGX_DECLINED, "nor from one that lives");

    mine->owner = DEAD;
    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(2), &mine)
       == NGX_DECLINED, "or of another call");
    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(1), &mine) == NGX_OK,
       "one of a dead worker is ours");
    ok(claim(1, 2, 0) == NGX_AGAIN && of(1), "who repeats it waits for it");

    mine->owner = DEAD;
    ok(claim(1, 3, 0) == NGX_BUSY && of(1), "it is held should we die, too");

    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(1), &mine) == NGX_OK
       && mine->len == 0, "one that is held is ours");
    answer("told", 0);
    ok(claim(1, 4, 0) == NGX_DONE && of(1), "and is answered");
    ok(ngx_http_tccbs_store_inherit(&zone, key(1), id(1), &mine)
       == NGX_DECLINED, "once");
}


/* Room: nothing that is alive goes for it, all that has expired does. */

static void
test_room(void)
{
    ngx_str_t                 none = ngx_null_string;
    ngx_uint_t                i;
    ngx_http_tccbs_stored_t  *first;

    start();

    for (i = 0; i < 8; i++) {
        (void) claim(i, i, 0);
        answer("x", 0);
    }

    ok(slab->n == BLOCKS, "full of answers");
    ok(claim(100, 100, 0) == NGX_DECLINED, "no room for another");
    ok(claim(7, 9, 0) == NGX_DONE && claim(0, 9, 0) == NGX_DONE,
       "none was forgotten");

    now += 100;
    ok(claim(100, 100, 0) == NGX_OK && slab->n == 1, "until they end");

    /* one that flies stays, whatever its time says */

    first = mine;
    first->expires = 0;

    for (i = 0; i < 200; i++) {
        (void) claim(1 + i % 8, i, 0);
        answer("x", 0);
        now += 20;
    }

    ok(slab->n <= BLOCKS && claim(100, 9, 0) == NGX_AGAIN && of(100),
       "what flies is not swept away");

    /* no room for the answer: it must not be made again */

    start();

    for (i = 0; i < BLOCKS; i++) {
        (void) claim(i, i, 0);
    }

    answer("x", 0);
    ok(claim(BLOCKS - 1, 99, 0) == NGX_BUSY && found.left == 100,
       "an answer without room is held");

    /* nor for what is held, or for the name of what was made of it */

    start();

    for (i = 0; i < BLOCKS; i++) {
        (void) claim(i, i, 0);
    }

    hold(77, "about");
    ok(claim(BLOCKS - 1, 99, 0) == NGX_BUSY, "what is held is without its text");
    ok(made(BLOCKS - 1, "snap-1", 10) == NGX_DECLINED
       && claim(BLOCKS - 1, 99, 0) == NGX_BUSY, "and stays held");
    ok(made(BLOCKS - 1, "", 10) == NGX_OK && slab->n == BLOCKS,
       "unless it needs no room");

    /* room comes from what has expired, wherever it is */

    start();
    spread = 4;

    for (i = 0; i < BLOCKS - 1; i++) {
        (void) claim(i, i, 0);
        ngx_http_tccbs_store_hold(&zone, mine, NULL, &none, 10);
    }

    (void) claim(100, 100, 0);
    now += 10;
    answer("x", 0);
    ok(claim(100, 9, 0) == NGX_DONE && is(&found.answer, "x"),
       "an answer takes the room of what has ended");

    for (i = 0; i < 64; i++) {
        (void) claim(200 + i % 8, i, 0);
        ngx_http_tccbs_store_hold(&zone, mine, NULL, &none, 10);
        now += 2;
    }

    ok(slab->n <= BLOCKS, "and so does another call");
    spread = 0;

    /* the middle one of a list */

    start();

    (void) claim(1, 1, 0);
    (void) claim(2, 2, 0);
    first = mine;
    (void) claim(3, 3, 0);
    ngx_http_tccbs_store_forget(&zone, first);

    ok(slab->n == 2 && claim(1, 9, 0) == NGX_AGAIN
       && claim(3, 9, 0) == NGX_AGAIN, "its neighbours stay");
    ok(claim(2, 9, 0) == NGX_OK, "and it is free");
}


/* Room for what may have to be held is there when nothing else has any. */

static ngx_int_t
claim_for(ngx_uint_t call, ngx_uint_t n)
{
    u_char                    digest[NGX_TCCBS_SHA256_LEN];
    ngx_http_tccbs_stored_t  *entry;

    ngx_memcpy(digest, key(call), sizeof(digest));

    return ngx_http_tccbs_store_claim(&zone, key(n), digest, id(call), 0, HOLD,
                                      pool, &entry, &found);
}


static void
test_reserve(void)
{
    ngx_uint_t                i;
    ngx_http_tccbs_stored_t  *call;

    start();

    (void) claim(1, 1, 0);
    call = mine;
    ok(ngx_http_tccbs_store_reserve(&zone, call, 2) == NGX_OK && slab->n == 3,
       "room for two");

    for (i = 0; slab->n < BLOCKS; i++) {
        (void) claim(10 + i, 10 + i, 0);
    }

    ok(claim(100, 100, 0) == NGX_DECLINED && claim_for(2, 100) == NGX_DECLINED,
       "others find none");
    ok(claim_for(1, 50) == NGX_OK && claim_for(1, 51) == NGX_OK,
       "the call has it");
    ok(claim_for(1, 52) == NGX_DECLINED && slab->n == BLOCKS, "and no more");
    ok(claim_for(1, 50) == NGX_BUSY && of(1), "it is found as any other");

    ngx_http_tccbs_store_forget(&zone, call);
    ok(slab->n == BLOCKS - 1 && claim(50, 9, 0) == NGX_AGAIN,
       "what was made of it stays");

    /* what is not used is given back, however the call ends */

    start();

    (void) claim(1, 1, 0);
    (void) ngx_http_tccbs_store_reserve(&zone, mine, 4);
    answer("x", 0);
    ok(slab->n == 2, "answered");

    (void) claim(2, 2, 0);
    (void) ngx_http_tccbs_store_reserve(&zone, mine, 4);
    hold(2, "");
    ok(slab->n == 3, "held");

    (void) claim(3, 3, 0);
    (void) ngx_http_tccbs_store_reserve(&zone, mine, 4);
    ngx_http_tccbs_store_forget(&zone, mine);
    ok(slab->n == 3, "forgotten");

    (void) claim(3, 3, 0);
    ok(ngx_http_tccbs_store_reserve(&zone, mine, BLOCKS) == NGX_DECLINED,
       "more than there is");
    ngx_http_tccbs_store_forget(&zone, mine);
    ok(slab->n == 3, "keeps nothing");
}


int
main(void)
{
    ngx_pid = getpid();
    pool = ngx_create_pool(4096, NULL);

    test_answer();
    test_hold();
    test_shared();
    test_made();
    test_dead();
    test_inherit();
    test_room();
    test_reserve();

    ngx_destroy_pool(pool);

    return tap_done();
}
