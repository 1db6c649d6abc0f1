
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stddef.h>
#include <sys/mman.h>

#include "ngx_http_tccbs_takeover.h"
#include "ngx_tccbs_crypto.h"


static ngx_fd_t ngx_http_tccbs_takeover_file(ngx_cycle_t *cycle,
    ngx_str_t *path);
static void ngx_http_tccbs_takeover_close(void *data);
static ngx_int_t ngx_http_tccbs_takeover_put(
    ngx_http_tccbs_takeover_t *takeover, uint64_t value, off_t offset);
static uint64_t ngx_http_tccbs_takeover_pid(void);


ngx_int_t
ngx_http_tccbs_takeover_open(ngx_cycle_t *cycle,
    ngx_http_tccbs_takeover_t *takeover, ngx_str_t *path,
    ngx_shm_zone_t *zone)
{
    ngx_fd_t             fd;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    takeover->shm = ngx_http_tccbs_zone_shm(zone);

    while (takeover->shm->number == 0) {
        if (ngx_tccbs_random((u_char *) &takeover->shm->number,
                             sizeof(uint64_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    fd = ngx_http_tccbs_takeover_file(cycle, path);
    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    takeover->fd = fd;
    takeover->present = mmap(NULL, sizeof(ngx_http_tccbs_takeover_file_t),
                               PROT_READ, MAP_SHARED, fd, 0);

    if (takeover->present == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mmap() of the zone file of \"%V\" failed", path);
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_tccbs_takeover_close;
    cln->data = takeover;

    return NGX_OK;
}


/*
 * Workers have the descriptor of the master; a new binary opens it by itself.
 * It is written as a file, since with a full disk writing to memory is a
 * signal.
 */

static ngx_fd_t
ngx_http_tccbs_takeover_file(ngx_cycle_t *cycle, ngx_str_t *path)
{
    u_char                            *name, *p;
    size_t                             size;
    ngx_fd_t                           fd;
    ngx_http_tccbs_takeover_file_t   none;

    name = ngx_pnalloc(cycle->pool, path->len + sizeof("..zone"));
    if (name == NULL) {
        return NGX_INVALID_FILE;
    }

    for (p = path->data + path->len; p[-1] != '/'; p--) { /* void */ }

    size = p - path->data;
    ngx_sprintf(name, "%*s.%s.zone%Z", size, path->data, p);

    fd = open((char *) name, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed, it is needed beside "
                      "the audit file", name);
        return fd;
    }

    ngx_memzero(&none, sizeof(none));

    if (pread(fd, &none, sizeof(none), 0) == sizeof(none)
        || pwrite(fd, &none, sizeof(none), 0) == sizeof(none))
    {
        return fd;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                  "\"%s\" cannot be written", name);

    (void) ngx_close_file(fd);

    return NGX_INVALID_FILE;
}


static void
ngx_http_tccbs_takeover_close(void *data)
{
    ngx_http_tccbs_takeover_t *takeover = data;

    (void) munmap((void *) takeover->present,
                  sizeof(ngx_http_tccbs_takeover_file_t));
    (void) ngx_close_file(takeover->fd);
}


void
ngx_http_tccbs_takeover_master(ngx_http_tccbs_takeover_t *takeover)
{
    uint64_t  pid;

    pid = ngx_http_tccbs_takeover_pid();

    if (ngx_http_tccbs_takeover_present(takeover)
        && takeover->present->master != pid)
    {
        (void) ngx_http_tccbs_takeover_put(takeover, pid,
                         offsetof(ngx_http_tccbs_takeover_file_t, master));
    }
}


ngx_int_t
ngx_http_tccbs_takeover_take(ngx_http_tccbs_takeover_t *takeover)
{
    ngx_atomic_uint_t      taker;
    ngx_http_tccbs_shm_t  *shm;

    if (ngx_http_tccbs_takeover_present(takeover)) {
        return NGX_DECLINED;
    }

    shm = takeover->shm;
    taker = shm->taker;

    if ((taker && !ngx_http_tccbs_gone(taker))
        || !ngx_atomic_cmp_set(&shm->taker, taker, ngx_pid))
    {
        return NGX_DECLINED;
    }

    shm->taken = 0;

    ngx_memory_barrier();

    /* whoever sees the number sees the master as well */

    if (ngx_http_tccbs_takeover_put(takeover,
                         ngx_http_tccbs_takeover_pid(),
                         offsetof(ngx_http_tccbs_takeover_file_t, master))
        != NGX_OK
        || ngx_http_tccbs_takeover_put(takeover, shm->number,
                         offsetof(ngx_http_tccbs_takeover_file_t, number))
           != NGX_OK)
    {
        shm->taker = 0;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_tccbs_takeover_taken(ngx_http_tccbs_takeover_t *takeover)
{
    ngx_memory_barrier();

    takeover->shm->term++;
    takeover->shm->taken = 1;
    takeover->shm->taker = 0;
}


static ngx_int_t
ngx_http_tccbs_takeover_put(ngx_http_tccbs_takeover_t *takeover,
    uint64_t value, off_t offset)
{
    if (pwrite(takeover->fd, &value, sizeof(value), offset)
        == (ssize_t) sizeof(value))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, ngx_errno,
                  "the zone file of the audit log cannot be written");

    return NGX_ERROR;
}


static uint64_t
ngx_http_tccbs_takeover_pid(void)
{
    return (ngx_process == NGX_PROCESS_WORKER) ? ngx_parent : ngx_pid;
}


ngx_uint_t
ngx_http_tccbs_takeover_present(ngx_http_tccbs_takeover_t *takeover)
{
    ngx_uint_t  same;

    same = (takeover->present->number == takeover->shm->number);

    ngx_memory_barrier();

    return (same && takeover->shm->taken) ? takeover->shm->term : 0;
}


ngx_uint_t
ngx_http_tccbs_takeover_gone(ngx_http_tccbs_takeover_t *takeover)
{
    if (takeover->present->number == takeover->shm->number) {

        /* one of this zone was about to take over */

        return !takeover->shm->taken;
    }

    ngx_memory_barrier();

    return ngx_http_tccbs_gone(takeover->present->master);
}
