
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_journal.h"


/* What the thread is given; it touches nothing else. */

typedef struct {
    ngx_fd_t                        fd;
    u_char                         *data;
    size_t                          len;
    u_char                         *dir;      /* to be synced, or NULL */
    ngx_uint_t                      sync;
    ngx_uint_t                      seal;
    const char                     *failed;   /* the call that failed */
    ngx_err_t                       err;
    ngx_uint_t                      done;
} ngx_http_tccbs_journal_task_t;


typedef struct {
    ngx_http_tccbs_journal_conf_t  *conf;
    ngx_http_tccbs_journal_pt       handler;
    ngx_thread_task_t              *task;
    ngx_log_t                      *log;
    u_char                         *dir;
    ngx_file_uniq_t                 uniq;
} ngx_http_tccbs_journal_t;


static ngx_int_t ngx_http_tccbs_journal_create(u_char *path, ngx_log_t *log);
static char *ngx_http_tccbs_journal_pool(ngx_conf_t *cf,
    ngx_http_tccbs_journal_conf_t *conf);
static void ngx_http_tccbs_journal_flush(ngx_open_file_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_http_tccbs_journal_prepare(
    ngx_http_tccbs_journal_task_t *ctx, u_char *data, size_t len,
    ngx_uint_t seal);
static void ngx_http_tccbs_journal_thread(void *data, ngx_log_t *log);
static void ngx_http_tccbs_journal_done(ngx_event_t *ev);
static ngx_int_t ngx_http_tccbs_journal_result(
    ngx_http_tccbs_journal_task_t *ctx);


extern ngx_module_t  ngx_thread_pool_module;

static ngx_http_tccbs_journal_t  ngx_http_tccbs_journal;


char *
ngx_http_tccbs_journal_conf(ngx_conf_t *cf,
    ngx_http_tccbs_journal_conf_t *conf, ngx_str_t *path)
{
    conf->path = *path;

    if (ngx_conf_full_name(cf->cycle, &conf->path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* nginx would create it readable by everybody, and keeps what is there */

    if (ngx_http_tccbs_journal_create(conf->path.data, cf->log) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf->file = ngx_conf_open_file(cf->cycle, &conf->path);
    if (conf->file == NULL) {
        return NGX_CONF_ERROR;
    }

    conf->file->flush = ngx_http_tccbs_journal_flush;
    conf->file->data = conf;

    return ngx_http_tccbs_journal_pool(cf, conf);
}


static ngx_int_t
ngx_http_tccbs_journal_create(u_char *path, ngx_log_t *log)
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


/*
 * A pool of one thread, so that a disk that hangs holds up nothing else; it is
 * declared as the user would do it.
 */

static char *
ngx_http_tccbs_journal_pool(ngx_conf_t *cf,
    ngx_http_tccbs_journal_conf_t *conf)
{
    char           *rv;
    ngx_str_t       args[3];
    ngx_array_t     array, *save;
    ngx_command_t  *cmd;

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


/* Called in every process right before nginx reopens its files. */

static void
ngx_http_tccbs_journal_flush(ngx_open_file_t *file, ngx_log_t *log)
{
    if (ngx_process == NGX_PROCESS_MASTER || ngx_process == NGX_PROCESS_SINGLE)
    {
        (void) ngx_http_tccbs_journal_create(file->name.data, log);
    }
}


ngx_int_t
ngx_http_tccbs_journal_own(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (geteuid() != 0 || ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    if (fchown(conf->file->fd, ccf->user, -1) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "fchown(\"%V\", %d) failed", &conf->path, ccf->user);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_journal_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf, ngx_http_tccbs_journal_pt handler)
{
    u_char                         *p;
    ngx_http_tccbs_journal_t       *journal;
    ngx_http_tccbs_journal_task_t  *ctx;

    journal = &ngx_http_tccbs_journal;

    journal->conf = conf;
    journal->handler = handler;
    journal->log = cycle->log;
    journal->uniq = 0;

    journal->dir = ngx_pnalloc(cycle->pool, conf->path.len + 1);
    if (journal->dir == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(journal->dir, conf->path.data, conf->path.len);

    while (p > journal->dir + 1 && p[-1] != '/') {
        p--;
    }

    *p = '\0';

    journal->task = ngx_thread_task_alloc(cycle->pool,
                                       sizeof(ngx_http_tccbs_journal_task_t));
    if (journal->task == NULL) {
        return NGX_ERROR;
    }

    ctx = journal->task->ctx;
    ngx_memzero(ctx, sizeof(ngx_http_tccbs_journal_task_t));
    ctx->done = 1;

    journal->task->handler = ngx_http_tccbs_journal_thread;
    journal->task->event.handler = ngx_http_tccbs_journal_done;
    journal->task->event.log = cycle->log;

    return NGX_OK;
}


void
ngx_http_tccbs_journal_write(u_char *data, size_t len, ngx_uint_t seal)
{
    ngx_http_tccbs_journal_t       *journal;
    ngx_http_tccbs_journal_task_t  *ctx;

    journal = &ngx_http_tccbs_journal;
    ctx = journal->task->ctx;

    if (ngx_http_tccbs_journal_prepare(ctx, data, len, seal) == NGX_OK) {

        if (ngx_thread_task_post(journal->conf->pool, journal->task)
            == NGX_OK)
        {
            return;
        }

        ctx->failed = "ngx_thread_task_post()";

        (void) ngx_close_file(ctx->fd);
    }

    ctx->done = 1;

    ngx_post_event(&journal->task->event, &ngx_posted_events);
}


ngx_int_t
ngx_http_tccbs_journal_write_now(u_char *data, size_t len, ngx_uint_t seal)
{
    ngx_http_tccbs_journal_task_t  *ctx;

    ctx = ngx_http_tccbs_journal.task->ctx;

    if (ngx_http_tccbs_journal_prepare(ctx, data, len, seal) == NGX_OK) {
        ngx_http_tccbs_journal_thread(ctx, ngx_http_tccbs_journal.log);
    }

    return ngx_http_tccbs_journal_result(ctx);
}


ngx_uint_t
ngx_http_tccbs_journal_written(void)
{
    ngx_http_tccbs_journal_task_t  *ctx;

    ctx = ngx_http_tccbs_journal.task->ctx;

    return ctx->done && ctx->failed == NULL;
}


/*
 * The thread gets a descriptor of its own: on USR1 nginx closes the old one in
 * the event loop, and its number may soon mean another file.
 */

static ngx_int_t
ngx_http_tccbs_journal_prepare(ngx_http_tccbs_journal_task_t *ctx,
    u_char *data, size_t len, ngx_uint_t seal)
{
    ngx_file_info_t            fi;
    ngx_http_tccbs_journal_t  *journal;

    journal = &ngx_http_tccbs_journal;

    ngx_memzero(ctx, sizeof(ngx_http_tccbs_journal_task_t));

    ctx->data = data;
    ctx->len = len;
    ctx->seal = seal;
    ctx->sync = !journal->conf->buffered;

    ctx->fd = dup(journal->conf->file->fd);

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

    if (ctx->sync && ngx_file_uniq(&fi) != journal->uniq) {
        ctx->dir = journal->dir;
        journal->uniq = ngx_file_uniq(&fi);
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_journal_thread(void *data, ngx_log_t *log)
{
    ngx_http_tccbs_journal_task_t *ctx = data;

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

    ctx->done = 1;
}


static void
ngx_http_tccbs_journal_done(ngx_event_t *ev)
{
    ngx_http_tccbs_journal_t  *journal;

    journal = &ngx_http_tccbs_journal;

    ev->complete = 0;

    journal->handler(ngx_http_tccbs_journal_result(journal->task->ctx));
}


static ngx_int_t
ngx_http_tccbs_journal_result(ngx_http_tccbs_journal_task_t *ctx)
{
    if (ctx->failed == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_tccbs_journal.log, ctx->err,
                  "%s \"%V\" failed", ctx->failed,
                  &ngx_http_tccbs_journal.conf->path);

    /* whatever is there now, its directory is synced again */

    ngx_http_tccbs_journal.uniq = 0;

    return NGX_ERROR;
}
