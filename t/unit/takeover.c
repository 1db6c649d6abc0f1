
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_takeover.h"
#include "ngx_tccbs_crypto.h"
#include "tap.h"

#include <sys/mman.h>


#define DEAD  0x3fffffff                      /* no process has it */


/* Two zones, of a gateway and of the binary that is to replace it. */

static ngx_http_tccbs_shm_t        shm[2];
static ngx_http_tccbs_takeover_t   old, new;
static ngx_cycle_t                 cycle;
static ngx_log_t                   quiet;
static ngx_fd_t                    fd;

volatile ngx_cycle_t              *ngx_cycle = &cycle;
ngx_uint_t                         ngx_process;
ngx_pid_t                          ngx_parent;


/* What it needs of nginx. */

void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


u_char * ngx_cdecl
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    return buf;
}


ngx_http_tccbs_shm_t *
ngx_http_tccbs_zone_shm(ngx_shm_zone_t *zone)
{
    return zone->data;
}


static void
opened(ngx_http_tccbs_takeover_t *t, ngx_uint_t n)
{
    ngx_memzero(&shm[n], sizeof(ngx_http_tccbs_shm_t));
    shm[n].number = 1000 + n;

    t->shm = &shm[n];
    t->fd = fd;
    t->present = mmap(NULL, sizeof(ngx_http_tccbs_takeover_file_t), PROT_READ,
                      MAP_SHARED, fd, 0);
}


static void
start(void)
{
    ngx_http_tccbs_takeover_file_t  none;

    ngx_memzero(&none, sizeof(none));
    (void) pwrite(fd, &none, sizeof(none), 0);

    opened(&old, 0);
    opened(&new, 1);

    ngx_process = NGX_PROCESS_MASTER;
    ngx_pid = getpid();
}


static void
test_take(void)
{
    ngx_uint_t  term;

    start();

    ok(!ngx_http_tccbs_takeover_present(&old), "nobody may send at first");
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_OK, "one takes over");
    ok(!ngx_http_tccbs_takeover_present(&old),
       "and may not send before it has read the log");
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_DECLINED,
       "nor does another process of it take over meanwhile");

    ngx_http_tccbs_takeover_taken(&old);
    term = ngx_http_tccbs_takeover_present(&old);
    ok(term > 0, "then it may");
    ok(!ngx_http_tccbs_takeover_present(&new), "and no other");
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_DECLINED, "there is no more");
    ok(old.present->master == (uint64_t) getpid(), "its master is known");

    ok(ngx_http_tccbs_takeover_take(&new) == NGX_OK, "another zone takes over");
    ok(!ngx_http_tccbs_takeover_present(&old), "the first one may not send");
    ngx_http_tccbs_takeover_taken(&new);
    ok(ngx_http_tccbs_takeover_present(&new), "the other may");

    ok(ngx_http_tccbs_takeover_take(&old) == NGX_OK, "and back");
    ok(!ngx_http_tccbs_takeover_present(&old), "not before it has read");
    ngx_http_tccbs_takeover_taken(&old);
    ok(ngx_http_tccbs_takeover_present(&old) > term,
       "what was looked up before is not good any more");
}


static void
test_gone(void)
{
    start();

    (void) ngx_http_tccbs_takeover_take(&old);
    ok(ngx_http_tccbs_takeover_gone(&old), "one that has not read the log");
    ngx_http_tccbs_takeover_taken(&old);
    ok(!ngx_http_tccbs_takeover_gone(&old), "one that has is there");
    ok(!ngx_http_tccbs_takeover_gone(&new), "for others as well");

    /* a worker of a master that is gone by now */

    ngx_process = NGX_PROCESS_WORKER;
    ngx_parent = DEAD;
    ok(ngx_http_tccbs_takeover_take(&new) == NGX_OK, "by a worker");
    ngx_http_tccbs_takeover_taken(&new);
    ok(new.present->master == DEAD, "it is its master that counts");
    ok(ngx_http_tccbs_takeover_gone(&old), "which has died");

    /* a master that becomes a daemon has another pid */

    ngx_parent = getppid();
    ngx_http_tccbs_takeover_master(&new);
    ok(new.present->master == (uint64_t) getppid(), "its master is another");
    ok(!ngx_http_tccbs_takeover_gone(&old), "and alive");
    ngx_parent = DEAD;
    ngx_http_tccbs_takeover_master(&old);
    ok(new.present->master == (uint64_t) getppid(),
       "that of a zone that does not send is none");
}


/* Who was about to take over has died. */

static void
test_taker(void)
{
    start();

    ngx_pid = DEAD;
    (void) ngx_http_tccbs_takeover_take(&old);
    ngx_pid = getpid();

    ok(ngx_http_tccbs_takeover_take(&old) == NGX_OK, "another one does");
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_DECLINED, "one");

    /* a disk that takes nothing */

    start();
    old.fd = -1;
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_ERROR, "not written");
    ok(!ngx_http_tccbs_takeover_present(&old), "not taken over");
    old.fd = fd;
    ok(ngx_http_tccbs_takeover_take(&old) == NGX_OK, "it is tried again");
}


int
main(void)
{
    cycle.log = &quiet;
    fd = memfd_create("zone", 0);

    test_take();
    test_gone();
    test_taker();

    return tap_done();
}
