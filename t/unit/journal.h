
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _JOURNAL_H_INCLUDED_
#define _JOURNAL_H_INCLUDED_


/*
 * What the journal needs: the system calls, each of which is real, is written
 * down and can fail; and stand-ins for the few functions of nginx.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_journal.h"
#include "ngx_http_tccbs_metrics.h"

#include <stdarg.h>
#include <sys/statvfs.h>


typedef enum {
    OPEN = 0,
    CLOSE,
    FSTAT,
    STAT,
    WRITE,
    FDATASYNC,
    FSYNC,
    FALLOCATE,
    FSTATVFS,
    FCHOWN,
    LINK,
    CALLS
} call_e;


typedef struct {
    int                 err;                  /* 0 when none fails */
    int                 skip;                 /* how many do not before */
    int                 times;
} plan_t;


static plan_t           plans[CALLS];
static char             calls[4096];          /* what was called */
static char             root[] = "/tmp/journal.XXXXXX";
static int              files;                /* that are open */
static size_t           most;                 /* that write() takes, or 0 */
static dev_t            device;               /* other than that of a path */
static uid_t            euid;
static struct statvfs   space;
static uint64_t         now;                  /* of the clock */
static uint64_t         slow;                 /* a fdatasync() takes so long */
static int              memory;               /* what is left of it */

static char             logged[1024];
static ngx_uint_t       level;
static ngx_err_t        logged_err;


/* The next ones after "skip" of that call fail, as often as "times". */

static void
plan(call_e call, int err, int skip, int times)
{
    plans[call].err = err;
    plans[call].skip = skip;
    plans[call].times = times;
}


static int
fails(call_e call)
{
    plan_t  *p = &plans[call];

    if (p->err == 0 || p->skip-- > 0 || p->times-- <= 0) {
        return 0;
    }

    errno = p->err;

    return 1;
}


static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
note(const char *fmt, ...)
{
    size_t   len;
    va_list  args;

    len = strlen(calls);

    if (len && len < sizeof(calls) - 1) {
        calls[len++] = ' ';
        calls[len] = '\0';
    }

    va_start(args, fmt);
    (void) vsnprintf(calls + len, sizeof(calls) - len, fmt, args);
    va_end(args);
}


/* Whether these were called since it was asked the last time. */

static int
called(const char *what)
{
    int  same;

    same = strcmp(calls, what) == 0;

    if (!same) {
        fprintf(stderr, "# called: %s\n# wanted: %s\n", calls, what);
    }

    calls[0] = '\0';

    return same;
}


/* "." for the directory, the name alone for what is in it. */

static const char *
below(const char *path)
{
    size_t  len;

    len = strlen(root);

    if (strncmp(path, root, len) != 0 || path[len] != '/') {
        return path;
    }

    return path[len + 1] ? path + len + 1 : ".";
}


#define wrap(type, name, params)                                              \
    type __real_##name params;                                                \
    type __wrap_##name params;                                                \
                                                                              \
    type __wrap_##name params

wrap(int, open64, (const char *path, int flags, ...))
{
    int      fd;
    mode_t   mode;
    va_list  args;

    va_start(args, flags);
    mode = (flags & O_CREAT) ? va_arg(args, int) : 0;
    va_end(args);

    note("open(%s%s%s%s%s%s", below(path), (flags & O_APPEND) ? " append" : "",
         (flags & O_CLOEXEC) ? " cloexec" : "",
         (flags & O_DIRECTORY) ? " directory" : "",
         (flags & O_CREAT) ? " creat" : "", (flags & O_EXCL) ? " excl" : "");

    if (strlen(calls) < sizeof(calls) - 1) {
        strcat(calls, ")");
    }

    if (fails(OPEN)) {
        return -1;
    }

    fd = __real_open64(path, flags, mode);
    files += (fd != -1);

    return fd;
}


wrap(int, close, (int fd))
{
    note("close");
    files--;

    return __real_close(fd);
}


wrap(int, fstat64, (int fd, struct stat *st))
{
    note("fstat");

    return fails(FSTAT) ? -1 : __real_fstat64(fd, st);
}


wrap(int, stat64, (const char *path, struct stat *st))
{
    int  rc;

    note("stat(%s)", below(path));

    if (fails(STAT)) {
        return -1;
    }

    rc = __real_stat64(path, st);
    st->st_dev += device;

    return rc;
}


wrap(int, access, (const char *path, int mode))
{
    note("access(%s)", below(path));

    return __real_access(path, mode);
}


wrap(ssize_t, write, (int fd, const void *buf, size_t n))
{
    note("write(%zu)", n);

    if (fails(WRITE)) {
        return -1;
    }

    return __real_write(fd, buf, (most && n > most) ? most : n);
}


wrap(int, fdatasync, (int fd))
{
    note("fdatasync");
    now += slow;

    return fails(FDATASYNC) ? -1 : __real_fdatasync(fd);
}


wrap(int, fsync, (int fd))
{
    note("fsync");

    return fails(FSYNC) ? -1 : __real_fsync(fd);
}


/* not each file system can */

wrap(int, fallocate64, (int fd, int mode, off_t from, off_t n))
{
    note("fallocate(%s%ld, %ld)", (mode == FALLOC_FL_KEEP_SIZE) ? "keep " : "",
         (long) from, (long) n);

    return fails(FALLOCATE) ? -1 : 0;
}


wrap(int, fstatvfs64, (int fd, struct statvfs *fs))
{
    note("fstatvfs");

    if (fails(FSTATVFS)) {
        return -1;
    }

    *fs = space;

    return 0;
}


/* only root can */

wrap(int, fchown, (int fd, uid_t user, gid_t group))
{
    note("fchown(%d, %d)", (int) user, (int) group);

    return fails(FCHOWN) ? -1 : 0;
}


wrap(int, link, (const char *from, const char *to))
{
    note("link(%s, %s)", below(from), below(to));

    return fails(LINK) ? -1 : __real_link(from, to);
}


wrap(int, unlink, (const char *path))
{
    note("unlink(%s)", below(path));

    return __real_unlink(path);
}


wrap(uid_t, geteuid, (void))
{
    return euid;
}


wrap(void *, ngx_pnalloc, (ngx_pool_t *pool, size_t size))
{
    return memory-- > 0 ? __real_ngx_pnalloc(pool, size) : NULL;
}


wrap(uint64_t, ngx_tccbs_gcra_now, (void))
{
    return now;
}


/* What it needs of nginx. */

static ngx_core_conf_t        core;
static void                  *confs[1] = { &core };
static ngx_cycle_t            cycle;

volatile ngx_cycle_t         *ngx_cycle = &cycle;
ngx_uint_t                    ngx_process;
ngx_module_t                  ngx_core_module;
ngx_queue_t                   ngx_posted_events;


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return memory-- > 0 ? malloc(size) : NULL;
}


/* What the journal uses of it: %V %d %s %Z. */

static u_char *
format(u_char *p, const char *fmt, va_list args)
{
    ngx_str_t  *s;

    for ( ; *fmt; fmt++) {

        if (*fmt != '%') {
            *p++ = *fmt;
            continue;
        }

        switch (*++fmt) {

        case 'V':
            s = va_arg(args, ngx_str_t *);
            p = ngx_cpymem(p, s->data, s->len);
            break;

        case 'd':
            p += sprintf((char *) p, "%d", va_arg(args, int));
            break;

        case 's':
            p = (u_char *) stpcpy((char *) p, va_arg(args, char *));
            break;

        case 'Z':
            *p++ = '\0';
            break;

        default:
            abort();
        }
    }

    return p;
}


u_char * ngx_cdecl
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = format(buf, fmt, args);
    va_end(args);

    return p;
}


void
ngx_log_error_core(ngx_uint_t at, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    *format((u_char *) logged, fmt, args) = '\0';
    va_end(args);

    level = at;
    logged_err = err;
}


#endif /* _JOURNAL_H_INCLUDED_ */
