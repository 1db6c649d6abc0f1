
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_audit.h"
#include "ngx_http_tccbs_recovery.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN  16
#define NGX_HTTP_TCCBS_AUDIT_BUFFER     65536
#define NGX_HTTP_TCCBS_AUDIT_LAZY       1000
#define NGX_HTTP_TCCBS_AUDIT_SUMMARY    60000
#define NGX_HTTP_TCCBS_AUDIT_RETRY      1000

/* the common members without the id */

#define NGX_HTTP_TCCBS_AUDIT_HEAD                                             \
    (sizeof("{\"v\":1,\"time\":\"2026-01-01T00:00:00.000000Z\",\"id\":\"\","  \
            "\"chain\":\"\",\"seq\":,\"prev\":\"\"}\n")                       \
     + NGX_TCCBS_UUID_LEN + NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN + NGX_INT64_LEN    \
     + NGX_TCCBS_HEX_LEN)


/* Lines that were appended together, and who is done when they are durable. */

typedef struct {
    u_char                       *start;
    u_char                       *pos;
    u_char                       *end;
    uint64_t                      last;        /* position of the last line */
    ngx_http_tccbs_flight_t     **flights;
    ngx_uint_t                    nflights;
    ngx_uint_t                    nalloc;
} ngx_http_tccbs_audit_batch_t;


/* What the thread is given; it touches nothing else. */

typedef struct {
    ngx_fd_t                      fd;
    u_char                       *data;
    size_t                        len;
    u_char                       *dir;         /* to be synced, or NULL */
    ngx_uint_t                    sync;
    ngx_uint_t                    seal;        /* after a failed batch */
    const char                   *failed;      /* the call that failed */
    ngx_err_t                     err;
    ngx_uint_t                    done;
} ngx_http_tccbs_audit_task_t;


typedef struct {
    ngx_http_tccbs_audit_conf_t  *conf;
    ngx_log_t                    *log;

    u_char                        chain[NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN];
    u_char                        prev[NGX_TCCBS_SHA256_LEN];
    uint64_t                      seq;
    uint64_t                      durable;     /* position, = seq of the last */

    ngx_http_tccbs_audit_batch_t  pending;
    ngx_http_tccbs_audit_batch_t  batch;

    ngx_thread_task_t            *task;
    ngx_event_t                   lazy;
    ngx_event_t                   retry;
    ngx_event_t                   summary;
    ngx_queue_t                   waits;

    u_char                       *dir;
    ngx_file_uniq_t               uniq;
    ngx_uint_t                    anonymous;

    unsigned                      busy:1;
    unsigned                      failing:1;
} ngx_http_tccbs_audit_t;


static void ngx_http_tccbs_audit_flush_file(ngx_open_file_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_http_tccbs_audit_create(u_char *path, ngx_log_t *log);
static ngx_int_t ngx_http_tccbs_audit_line(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight);
static ngx_int_t ngx_http_tccbs_audit_reserve(
    ngx_http_tccbs_audit_batch_t *batch, size_t size,
    ngx_http_tccbs_flight_t *flight);
static void ngx_http_tccbs_audit_kick(void);
static void ngx_http_tccbs_audit_post(void);
static ngx_int_t ngx_http_tccbs_audit_prepare(
    ngx_http_tccbs_audit_task_t *ctx);
static void ngx_http_tccbs_audit_thread(void *data, ngx_log_t *log);
static void ngx_http_tccbs_audit_done(ngx_event_t *ev);
static void ngx_http_tccbs_audit_settle(ngx_int_t rc);
static void ngx_http_tccbs_audit_lazy_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_summary_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_sum(void);


extern ngx_module_t  ngx_thread_pool_module;

static ngx_http_tccbs_audit_t  ngx_http_tccbs_audit;


char *
ngx_http_tccbs_audit_conf(ngx_conf_t *cf, ngx_http_tccbs_audit_conf_t *conf,
    ngx_str_t *path)
{
    char           *rv;
    ngx_str_t       args[3];
    ngx_array_t     array, *save;
    ngx_command_t  *cmd;

    conf->path = *path;

    if (ngx_conf_full_name(cf->cycle, &conf->path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* nginx would create it readable by everybody, and keeps what is there */

    if (ngx_http_tccbs_audit_create(conf->path.data, cf->log) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf->file = ngx_conf_open_file(cf->cycle, &conf->path);
    if (conf->file == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->file->flush = ngx_http_tccbs_audit_flush_file;
    conf->file->data = conf;

    /*
     * A pool of one thread, so that a disk that hangs holds up nothing else;
     * it is declared as the user would do it.
     */

    ngx_str_set(&args[0], "thread_pool");
    ngx_str_set(&args[1], "tccbs_audit");
    ngx_str_set(&args[2], "threads=1");

    conf->pool = ngx_thread_pool_get(cf->cycle, &args[1]);

    if (conf->pool) {
        return NGX_CONF_OK;
    }

    for (cmd = ngx_thread_pool_module.commands; cmd->name.len; cmd++) {

        if (cmd->name.len != args[0].len
            || ngx_strncmp(cmd->name.data, args[0].data, args[0].len) != 0)
        {
            continue;
        }

        ngx_memzero(&array, sizeof(ngx_array_t));
        array.elts = args;
        array.nelts = 3;

        save = cf->args;
        cf->args = &array;

        rv = cmd->set(cf, cmd, NULL);

        cf->args = save;

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    conf->pool = ngx_thread_pool_get(cf->cycle, &args[1]);

    return conf->pool ? NGX_CONF_OK : "found no \"thread_pool\" in nginx";
}


static ngx_int_t
ngx_http_tccbs_audit_create(u_char *path, ngx_log_t *log)
{
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_APPEND, NGX_FILE_CREATE_OR_OPEN, 0640);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return NGX_ERROR;
    }

    (void) ngx_close_file(fd);

    return NGX_OK;
}


/* Called in every process right before nginx reopens its files. */

static void
ngx_http_tccbs_audit_flush_file(ngx_open_file_t *file, ngx_log_t *log)
{
    if (ngx_process == NGX_PROCESS_MASTER || ngx_process == NGX_PROCESS_SINGLE)
    {
        (void) ngx_http_tccbs_audit_create(file->name.data, log);
    }
}


ngx_int_t
ngx_http_tccbs_audit_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf)
{
    u_char                        *p;
    u_char                         chain[NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN / 2];
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_task_t   *ctx;

    audit = &ngx_http_tccbs_audit;

    ngx_memzero(audit, sizeof(ngx_http_tccbs_audit_t));

    audit->conf = conf;
    audit->log = cycle->log;

    ngx_queue_init(&audit->waits);

    if (ngx_tccbs_random(chain, sizeof(chain)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_tccbs_hex(audit->chain, chain, sizeof(chain));

    audit->dir = ngx_pnalloc(cycle->pool, conf->path.len + 1);
    if (audit->dir == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(audit->dir, conf->path.data, conf->path.len);

    while (p > audit->dir + 1 && p[-1] != '/') {
        p--;
    }

    *p = '\0';

    audit->task = ngx_thread_task_alloc(cycle->pool,
                                        sizeof(ngx_http_tccbs_audit_task_t));
    if (audit->task == NULL) {
        return NGX_ERROR;
    }

    ctx = audit->task->ctx;
    ngx_memzero(ctx, sizeof(ngx_http_tccbs_audit_task_t));
    ctx->done = 1;
    ctx->fd = NGX_INVALID_FILE;

    audit->task->handler = ngx_http_tccbs_audit_thread;
    audit->task->event.handler = ngx_http_tccbs_audit_done;
    audit->task->event.log = cycle->log;

    /* a worker does not outlive its requests for these: exit() flushes */

    audit->lazy.handler = ngx_http_tccbs_audit_lazy_handler;
    audit->lazy.log = cycle->log;
    audit->lazy.cancelable = 1;

    audit->retry.handler = ngx_http_tccbs_audit_retry_handler;
    audit->retry.log = cycle->log;
    audit->retry.cancelable = 1;

    audit->summary.handler = ngx_http_tccbs_audit_summary_handler;
    audit->summary.log = cycle->log;
    audit->summary.cancelable = 1;

    return ngx_http_tccbs_recovery_init(cycle, conf);
}


void
ngx_http_tccbs_audit_exit(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_audit_t       *audit;
    ngx_http_tccbs_audit_task_t  *ctx;

    audit = &ngx_http_tccbs_audit;

    if (audit->conf == NULL) {
        return;
    }

    /* the thread pool has been drained and joined before */

    ctx = audit->task->ctx;

    if (audit->busy && ctx->done && ctx->failed == NULL) {
        ngx_http_tccbs_audit_settle(NGX_OK);
    }

    ngx_http_tccbs_audit_sum();
    ngx_http_tccbs_recovery_exit(audit->conf->zone);

    for ( ;; ) {

        if (!audit->busy) {
            if (audit->pending.pos == audit->pending.start) {
                return;
            }

            audit->batch = audit->pending;
            ngx_memzero(&audit->pending, sizeof(ngx_http_tccbs_audit_batch_t));
            audit->busy = 1;
        }

        if (ngx_http_tccbs_audit_prepare(ctx) == NGX_OK) {
            ngx_http_tccbs_audit_thread(ctx, cycle->log);
        }

        if (ctx->failed) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ctx->err,
                          "%s \"%V\" failed on exit, audit records are lost",
                          ctx->failed, &audit->conf->path);
            return;
        }

        ngx_http_tccbs_audit_settle(NGX_OK);
    }
}


ngx_uint_t
ngx_http_tccbs_audit_ready(void)
{
    return ngx_http_tccbs_audit.conf && !ngx_http_tccbs_audit.failing;
}


ngx_int_t
ngx_http_tccbs_audit_append(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight, uint64_t *pos)
{
    if (ngx_http_tccbs_audit_line(id, rest, flight) != NGX_OK) {
        return NGX_ERROR;
    }

    if (pos) {
        *pos = ngx_http_tccbs_audit.pending.last;
    }

    ngx_http_tccbs_audit_kick();

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_audit_note(ngx_str_t *id, ngx_str_t *rest)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (ngx_http_tccbs_audit_line(id, rest, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (audit->pending.pos - audit->pending.start
        > NGX_HTTP_TCCBS_AUDIT_BUFFER)
    {
        ngx_http_tccbs_audit_kick();

    } else if (!audit->lazy.timer_set) {
        ngx_add_timer(&audit->lazy, NGX_HTTP_TCCBS_AUDIT_LAZY);
    }

    return NGX_OK;
}


void
ngx_http_tccbs_audit_anonymous(void)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    audit->anonymous++;

    if (!audit->summary.timer_set) {
        ngx_add_timer(&audit->summary, NGX_HTTP_TCCBS_AUDIT_SUMMARY);
    }
}


ngx_int_t
ngx_http_tccbs_audit_wait(ngx_http_tccbs_audit_wait_t *wait)
{
    if (ngx_http_tccbs_audit.durable >= wait->pos) {
        return NGX_OK;
    }

    ngx_queue_insert_tail(&ngx_http_tccbs_audit.waits, &wait->queue);
    wait->active = 1;

    return NGX_AGAIN;
}


void
ngx_http_tccbs_audit_cancel(ngx_http_tccbs_audit_wait_t *wait)
{
    if (wait->active) {
        ngx_queue_remove(&wait->queue);
        wait->active = 0;
    }
}


static ngx_int_t
ngx_http_tccbs_audit_line(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight)
{
    u_char                        *line;
    ngx_tm_t                       tm;
    ngx_str_t                      piece;
    struct timespec                ts;
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_batch_t  *batch;
    u_char                         prev[NGX_TCCBS_HEX_LEN];

    audit = &ngx_http_tccbs_audit;
    batch = &audit->pending;

    if (ngx_http_tccbs_audit_reserve(batch,
                                     NGX_HTTP_TCCBS_AUDIT_HEAD + rest->len,
                                     flight)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    ngx_gmtime(ts.tv_sec, &tm);

    ngx_tccbs_hex(prev, audit->prev, sizeof(audit->prev));

    line = batch->pos;

    batch->pos = ngx_sprintf(line, "{\"v\":1,\"time\":"
                             "\"%04d-%02d-%02dT%02d:%02d:%02d.%06LZ\","
                             "\"id\":\"%V\",\"chain\":\"%*s\",\"seq\":%uL,"
                             "\"prev\":\"%*s\",%V}\n",
                             tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                             tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                             (int64_t) (ts.tv_nsec / 1000), id,
                             sizeof(audit->chain), audit->chain, audit->seq,
                             sizeof(prev), prev, rest);

    /* the chain links lines without their newline */

    piece.data = line;
    piece.len = batch->pos - line - 1;

    if (ngx_tccbs_sha256(audit->prev, &piece, 1) != NGX_OK) {
        batch->pos = line;
        return NGX_ERROR;
    }

    if (flight) {
        flight->closing = 1;
        batch->flights[batch->nflights++] = flight;
    }

    batch->last = ++audit->seq;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_audit_reserve(ngx_http_tccbs_audit_batch_t *batch, size_t size,
    ngx_http_tccbs_flight_t *flight)
{
    u_char      *p;
    size_t       used, need;
    ngx_uint_t   n;
    void        *flights;

    used = batch->pos - batch->start;

    if ((size_t) (batch->end - batch->pos) < size) {

        need = ngx_max(2 * used, NGX_HTTP_TCCBS_AUDIT_BUFFER) + size;

        p = ngx_alloc(need, ngx_http_tccbs_audit.log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (batch->start) {
            ngx_memcpy(p, batch->start, used);
            ngx_free(batch->start);
        }

        batch->start = p;
        batch->pos = p + used;
        batch->end = p + need;
    }

    if (flight && batch->nflights == batch->nalloc) {

        n = batch->nalloc ? 2 * batch->nalloc : 64;

        flights = ngx_alloc(n * sizeof(ngx_http_tccbs_flight_t *),
                            ngx_http_tccbs_audit.log);
        if (flights == NULL) {
            return NGX_ERROR;
        }

        if (batch->flights) {
            ngx_memcpy(flights, batch->flights, batch->nflights
                                          * sizeof(ngx_http_tccbs_flight_t *));
            ngx_free(batch->flights);
        }

        batch->flights = flights;
        batch->nalloc = n;
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_audit_kick(void)
{
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_batch_t   batch;

    audit = &ngx_http_tccbs_audit;

    if (audit->busy || audit->pending.pos == audit->pending.start) {
        return;
    }

    batch = audit->batch;
    audit->batch = audit->pending;
    audit->pending = batch;

    audit->busy = 1;

    if (audit->lazy.timer_set) {
        ngx_del_timer(&audit->lazy);
    }

    ngx_http_tccbs_audit_post();
}


static void
ngx_http_tccbs_audit_post(void)
{
    ngx_http_tccbs_audit_t       *audit;
    ngx_http_tccbs_audit_task_t  *ctx;

    audit = &ngx_http_tccbs_audit;
    ctx = audit->task->ctx;

    if (ngx_http_tccbs_audit_prepare(ctx) == NGX_OK) {

        if (ngx_thread_task_post(audit->conf->pool, audit->task) == NGX_OK) {
            return;
        }

        ctx->failed = "ngx_thread_task_post()";
        ctx->err = 0;

        (void) ngx_close_file(ctx->fd);
    }

    ctx->done = 1;

    ngx_post_event(&audit->task->event, &ngx_posted_events);
}


/*
 * The thread gets a descriptor of its own: on USR1 nginx closes the old one in
 * the event loop, and its number may soon mean another file.
 */

static ngx_int_t
ngx_http_tccbs_audit_prepare(ngx_http_tccbs_audit_task_t *ctx)
{
    ngx_file_info_t          fi;
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    ngx_memzero(ctx, sizeof(ngx_http_tccbs_audit_task_t));

    ctx->data = audit->batch.start;
    ctx->len = audit->batch.pos - audit->batch.start;
    ctx->sync = !audit->conf->buffered;
    ctx->seal = audit->failing;

    ctx->fd = dup(audit->conf->file->fd);

    if (ctx->fd == -1) {
        ctx->failed = "dup()";
        ctx->err = ngx_errno;
        return NGX_ERROR;
    }

    if (ngx_fd_info(ctx->fd, &fi) == NGX_FILE_ERROR) {
        ctx->failed = ngx_fd_info_n;
        ctx->err = ngx_errno;
        (void) ngx_close_file(ctx->fd);
        return NGX_ERROR;
    }

    if (ctx->sync && ngx_file_uniq(&fi) != audit->uniq) {
        ctx->dir = audit->dir;
        audit->uniq = ngx_file_uniq(&fi);
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_audit_thread(void *data, ngx_log_t *log)
{
    ngx_http_tccbs_audit_task_t *ctx = data;

    u_char    *p;
    size_t     len;
    ssize_t    n;
    ngx_fd_t   dir;

    if (ctx->seal && write(ctx->fd, "\n", 1) != 1) {
        ctx->failed = "write()";
        ctx->err = ngx_errno;
        goto done;
    }

    p = ctx->data;
    len = ctx->len;

    while (len) {

        n = write(ctx->fd, p, len);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            ctx->failed = "write()";
            ctx->err = ngx_errno;
            goto done;
        }

        p += n;
        len -= n;
    }

    if (ctx->sync && fdatasync(ctx->fd) == -1) {
        ctx->failed = "fdatasync()";
        ctx->err = ngx_errno;
        goto done;
    }

    /* a new file is durable when its directory is */

    if (ctx->dir) {
        dir = open((const char *) ctx->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

        if (dir == -1 || fsync(dir) == -1) {
            ctx->failed = "fsync() of the directory of";
            ctx->err = ngx_errno;
        }

        if (dir != -1) {
            (void) close(dir);
        }
    }

done:

    (void) close(ctx->fd);
    ctx->fd = NGX_INVALID_FILE;
    ctx->done = 1;
}


static void
ngx_http_tccbs_audit_done(ngx_event_t *ev)
{
    ngx_uint_t                    level;
    ngx_http_tccbs_audit_t       *audit;
    ngx_http_tccbs_audit_task_t  *ctx;

    audit = &ngx_http_tccbs_audit;
    ctx = audit->task->ctx;

    ev->complete = 0;

    if (ctx->failed == NULL) {

        if (audit->failing) {
            ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                          "audit file \"%V\" is written again",
                          &audit->conf->path);
        }

        audit->failing = 0;

        ngx_http_tccbs_audit_settle(NGX_OK);
        ngx_http_tccbs_audit_kick();

        return;
    }

    /*
     * The batch is kept and written again as a whole, in a line of its own:
     * after a failed sync nobody knows which of its pages reached the disk.
     */

    level = audit->failing ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, audit->log, ctx->err,
                  "%s \"%V\" failed, nothing is forwarded until "
                  "the audit file can be written",
                  ctx->failed, &audit->conf->path);

    audit->failing = 1;
    audit->uniq = 0;

    ngx_add_timer(&audit->retry, NGX_HTTP_TCCBS_AUDIT_RETRY);

    ngx_http_tccbs_audit_settle(NGX_ERROR);
}


static void
ngx_http_tccbs_audit_settle(ngx_int_t rc)
{
    ngx_uint_t                     i;
    ngx_queue_t                    ready, *q, *next;
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_wait_t   *wait;
    ngx_http_tccbs_audit_batch_t  *batch;

    audit = &ngx_http_tccbs_audit;
    batch = &audit->batch;

    ngx_queue_init(&ready);

    for (q = ngx_queue_head(&audit->waits);
         q != ngx_queue_sentinel(&audit->waits);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, ngx_http_tccbs_audit_wait_t, queue);

        if (wait->pos <= batch->last) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&ready, q);
        }
    }

    if (rc == NGX_OK) {
        audit->durable = batch->last;

        for (i = 0; i < batch->nflights; i++) {
            ngx_http_tccbs_flight_free(batch->flights[i]);
        }

        batch->pos = batch->start;
        batch->nflights = 0;

        audit->busy = 0;
    }

    /* a handler may cancel another wait of this very queue */

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        wait = ngx_queue_data(q, ngx_http_tccbs_audit_wait_t, queue);

        ngx_http_tccbs_audit_cancel(wait);
        wait->handler(wait->data, rc);
    }
}


static void
ngx_http_tccbs_audit_lazy_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_kick();
}


static void
ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_post();
}


static void
ngx_http_tccbs_audit_summary_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_sum();
    ngx_http_tccbs_audit_kick();
}


static void
ngx_http_tccbs_audit_sum(void)
{
    ngx_str_t                id, rest;
    ngx_http_tccbs_audit_t  *audit;
    u_char                   uuid[NGX_TCCBS_UUID_LEN];
    u_char                   buf[sizeof("\"kind\":\"refusal\","
                                        "\"decision\":\"anonymous\","
                                        "\"count\":") + NGX_INT64_LEN];

    audit = &ngx_http_tccbs_audit;

    if (audit->anonymous == 0 || ngx_tccbs_uuid(uuid) != NGX_OK) {
        return;
    }

    id.data = uuid;
    id.len = sizeof(uuid);

    rest.data = buf;
    rest.len = ngx_sprintf(buf, "\"kind\":\"refusal\","
                           "\"decision\":\"anonymous\",\"count\":%ui",
                           audit->anonymous)
               - buf;

    if (ngx_http_tccbs_audit_line(&id, &rest, NULL) == NGX_OK) {
        audit->anonymous = 0;
    }
}
