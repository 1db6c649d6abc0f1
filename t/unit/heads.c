
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_heads.h"
#include "shm.h"
#include "tap.h"


#define HEADS    NGX_HTTP_TCCBS_HEADS
#define DEAD     0x3fffffff                   /* no process has it */
#define FOREIGN  0x3ffffffe                   /* may not be sent a signal */


static shm_t                  *slab;
static ngx_shm_zone_t          zone;
static ngx_http_tccbs_shm_t    shm;
static ngx_http_tccbs_head_t   copy[HEADS];


ngx_http_tccbs_shm_t *
ngx_http_tccbs_zone_shm(ngx_shm_zone_t *z)
{
    return ((ngx_slab_pool_t *) z->shm.addr)->data;
}


int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);

int
__wrap_kill(pid_t pid, int sig)
{
    if (pid == FOREIGN) {
        errno = EPERM;
        return -1;
    }

    return __real_kill(pid, sig);
}


/* The name of the n-th chain, the hash of its record "seq". */

static u_char *
name(ngx_uint_t n)
{
    static char  text[NGX_HTTP_TCCBS_CHAIN_LEN + 1];

    (void) sprintf(text, "%016u", (unsigned) n);

    return (u_char *) text;
}


static u_char *
hash(uint64_t seq)
{
    static u_char  digest[NGX_TCCBS_SHA256_LEN];

    ngx_memset(digest, 0x40 + (int) seq, sizeof(digest));

    return digest;
}


static ngx_http_tccbs_head_t *
take(ngx_uint_t n, ngx_pid_t pid)
{
    ngx_http_tccbs_head_t  *head;

    ngx_pid = pid;
    head = ngx_http_tccbs_heads_take(&zone, name(n));
    ngx_pid = getpid();

    return head;
}


/* Whether the end of that chain is known, and the only one of it. */

static ngx_uint_t
known(ngx_uint_t n, uint64_t seq)
{
    ngx_uint_t  i, all, found;

    ngx_memset(copy, 0x5a, sizeof(copy));

    all = ngx_http_tccbs_heads_copy(&zone, copy);
    found = 0;

    for (i = 0; i < all; i++) {
        if (memcmp(copy[i].chain, name(n), sizeof(copy[i].chain)) == 0) {
            found += (copy[i].seq == seq
                      && memcmp(copy[i].hash, hash(seq), sizeof(copy[i].hash))
                         == 0) ? 1 : 2;
        }
    }

    return found == 1;
}


static ngx_uint_t
count(void)
{
    return ngx_http_tccbs_heads_copy(&zone, copy);
}


static void
start(void)
{
    if (slab) {
        (void) munmap(slab, zone.shm.size);
    }

    shm_zone(&zone, sizeof(shm_t));
    slab = (shm_t *) zone.shm.addr;
    slab->pool.data = &shm;

    ngx_memzero(&shm, sizeof(shm));
    ngx_pid = getpid();
}


/* All places taken by chains of "pid", the n-th one by chain n. */

static void
fill(ngx_pid_t pid)
{
    ngx_uint_t  i;

    start();

    for (i = 0; i < HEADS; i++) {
        ngx_http_tccbs_heads_publish(&zone, take(i, pid), i, hash(i));
    }
}


static void
test_publish(void)
{
    ngx_http_tccbs_head_t  *one, *two;

    start();

    ok(count() == 0, "no chain is known");

    one = take(1, getpid());
    two = take(2, getpid());

    ok(one && two && one != two, "each chain has a place");
    ok(one->owner == (ngx_atomic_uint_t) getpid(), "of its worker");
    ok(count() == 0, "nothing is durable yet");

    ngx_http_tccbs_heads_publish(&zone, two, 5, hash(5));
    ok(count() == 1 && known(2, 5), "an end is known when it is durable");

    ngx_http_tccbs_heads_publish(&zone, two, 6, hash(6));
    ngx_http_tccbs_heads_publish(&zone, one, 0, hash(0));
    ok(count() == 2 && known(2, 6) && known(1, 0), "each chain has one end");

    ok(slab->lock == 0, "nothing is locked");
}


static void
test_ended(void)
{
    u_char  zeros[NGX_HTTP_TCCBS_CHAIN_LEN];

    start();

    ngx_http_tccbs_heads_ended(&zone, name(1), 7, hash(7));
    ok(count() == 1 && known(1, 7), "a chain of the file is known");
    ok(shm.heads[0].owner == 0, "it is nobody's");

    ngx_http_tccbs_heads_ended(&zone, name(1), 9, hash(9));
    ok(count() == 1 && known(1, 9), "found once more it is no second one");
    ok(shm.heads[0].owner == 0, "and still nobody's");

    ngx_http_tccbs_heads_ended(&zone, name(2), 1, hash(1));
    ok(count() == 2 && known(1, 9) && known(2, 1), "another one is");

    ngx_http_tccbs_heads_publish(&zone, take(3, getpid()), 4, hash(4));
    ngx_http_tccbs_heads_ended(&zone, name(3), 2, hash(2));
    ok(count() == 3 && known(3, 4), "a worker knows better than the file");
    ok(shm.heads[2].owner == (ngx_atomic_uint_t) getpid(), "and stays in it");

    /* what is in a log may be anything */

    ngx_memzero(zeros, sizeof(zeros));
    ngx_http_tccbs_heads_ended(&zone, zeros, 5, hash(5));
    ngx_http_tccbs_heads_publish(&zone, take(4, getpid()), 6, hash(6));
    ok(count() == 5 && known(4, 6) && copy[3].seq == 5
       && memcmp(copy[3].chain, zeros, sizeof(zeros)) == 0,
       "a name of zeros is not that of a free place");

    ok(slab->lock == 0, "nothing is locked");
}


static void
test_place(void)
{
    ngx_http_tccbs_head_t  *head;

    /* who ended first makes room */

    fill(DEAD);
    ok(count() == HEADS, "as many as there are places");

    head = take(100, getpid());
    ok(head == &shm.heads[0], "the oldest chain that ended makes room");
    ok(!known(0, 0) && known(1, 1) && count() == HEADS - 1,
       "what was there is not taken for its end");

    ngx_http_tccbs_heads_publish(&zone, head, 3, hash(3));
    ok(known(100, 3), "the new one is known");
    ok(take(101, getpid()) == &shm.heads[1], "then the next one does");

    /* found in a file, so without an owner */

    fill(getpid());
    shm.heads[40].owner = 0;
    ok(take(100, getpid()) == &shm.heads[40], "nobody's makes room");

    /* not a process of somebody else */

    fill(FOREIGN);
    shm.heads[30].owner = DEAD;
    shm.heads[50].owner = DEAD;
    ok(take(100, getpid()) == &shm.heads[30],
       "a process that may not be sent a signal is one");
    ok(take(101, getpid()) == &shm.heads[50], "the younger one follows");

    /* the age counts, not the place */

    fill(getpid());
    shm.heads[10].owner = DEAD;
    (void) take(100, DEAD);
    shm.heads[20].owner = DEAD;
    ok(take(101, getpid()) == &shm.heads[20], "the age counts, not the place");
}


/* A worker that lives has written the oldest chain, the others were killed. */

static void
test_alive(void)
{
    ngx_http_tccbs_head_t  *head;

    fill(DEAD);
    shm.heads[0].owner = getpid();

    head = take(100, getpid());
    ok(head == &shm.heads[1], "the oldest chain goes on, its place is kept");
    ok(known(0, 0), "its end is known");

    fill(getpid());
    head = take(100, getpid());
    ok(head == NULL, "no place when none has ended");

    ngx_http_tccbs_heads_publish(&zone, head, 1, hash(1));
    ngx_http_tccbs_heads_ended(&zone, name(200), 2, hash(2));
    ok(count() == HEADS && known(0, 0) && !known(100, 1) && !known(200, 2),
       "the others are not touched");

    shm.heads[5].owner = DEAD;
    ngx_http_tccbs_heads_ended(&zone, name(200), 2, hash(2));
    ok(known(200, 2) && shm.heads[5].owner == 0, "one that ended is replaced");

    ok(slab->lock == 0, "nothing is locked");
}


int
main(void)
{
    test_publish();
    test_ended();
    test_place();
    test_alive();

    return tap_done();
}
