
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_journal.h"
#include "ngx_http_tccbs_metrics.h"
#include "ngx_tccbs_gcra.h"

#include <sys/statvfs.h>


/* What the thread is given; it touches nothing else. */

typedef struct {
    ngx_fd_t                           fd;
    const char                        *path;
    const char                        *dir;
    u_char                            *data;
    size_t                             len;
    size_t                             reserve;
    off_t                              reserved;  /* up to there */
    ngx_uint_t                         flags;
    ngx_uint_t                         sync;
    ngx_uint_t                         fresh;     /* its directory as well */
    ngx_uint_t                         found;
    const char                        *failed;    /* the call that failed */
    ngx_err_t                          err;
    uint64_t                           synced;    /* took so long, or 0 */
    ngx_uint_t                         done;
} ngx_http_tccbs_journal_task_t;


typedef struct {
    ngx_http_tccbs_journal_conf_t     *conf;
    ngx_http_tccbs_journal_pt          handler;
    ngx_http_tccbs_journal_reopen_pt   reopen;
    ngx_thread_task_t                 *task;
    ngx_log_t                         *log;
} ngx_http_tccbs_journal_t;


static ngx_int_t ngx_http_tccbs_journal_create(u_char *path, ngx_log_t *log);
static void ngx_http_tccbs_journal_appear(ngx_str_t *path, ngx_uid_t user,
    ngx_log_t *log);
static ngx_uid_t ngx_http_tccbs_journal_user(volatile ngx_cycle_t *cycle);
static char *ngx_http_tccbs_journal_pool(ngx_conf_t *cf,
    ngx_http_tccbs_journal_conf_t *conf);
static void ngx_http_tccbs_journal_flush(ngx_open_file_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_http_tccbs_journal_open(ngx_http_tccbs_journal_task_t *ctx,
    ngx_http_tccbs_journal_conf_t *conf, ngx_log_t *log);
static void ngx_http_tccbs_journal_prepare(u_char *data, size_t len,
    ngx_uint_t flags);
static void ngx_http_tccbs_journal_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_tccbs_journal_look(
    ngx_http_tccbs_journal_task_t *ctx, struct stat *file);
static ngx_int_t ngx_http_tccbs_journal_again(
    ngx_http_tccbs_journal_task_t *ctx, struct stat *file);
static void ngx_http_tccbs_journal_reserve(ngx_http_tccbs_journal_task_t *ctx,
    off_t size);
static ngx_int_t ngx_http_tccbs_journal_put(ngx_http_tccbs_journal_task_t *ctx,
    const u_char *p, size_t len);
static void ngx_http_tccbs_journal_sync(ngx_http_tccbs_journal_task_t *ctx);
static ngx_int_t ngx_http_tccbs_journal_fail(
    ngx_http_tccbs_journal_task_t *ctx, const char *what);
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
 * A new file that is its user's from its first moment: a worker that looks
 * between its creation and chown() could not open it.  Where this cannot be had
 * it is created as any other.
 */

static void
ngx_http_tccbs_journal_appear(ngx_str_t *path, ngx_uid_t user, ngx_log_t *log)
{
    u_char    *name;
    ngx_fd_t   fd;

    name = ngx_alloc(path->len + sizeof(".new"), log);
    if (name == NULL) {
        return;
    }

    ngx_sprintf(name, "%V.new%Z", path);

    (void) ngx_delete_file(name);

    fd = open((char *) name, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0640);

    if (fd != NGX_INVALID_FILE) {

        if (fchown(fd, user, -1) == -1
            || link((char *) name, (char *) path->data) == -1)
        {
            ngx_log_error(NGX_LOG_NOTICE, log, ngx_errno,
                          "\"%V\" is not its user's at once", path);
        }

        (void) close(fd);
        (void) ngx_delete_file(name);
    }

    ngx_free(name);
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
    ngx_uid_t  user;

    if (ngx_process == NGX_PROCESS_MASTER || ngx_process == NGX_PROCESS_SINGLE)
    {
        user = ngx_http_tccbs_journal_user(ngx_cycle);

        if (user != (ngx_uid_t) NGX_CONF_UNSET_UINT
            && access((char *) file->name.data, F_OK) == -1)
        {
            ngx_http_tccbs_journal_appear(&file->name, user, log);
        }

        (void) ngx_http_tccbs_journal_create(file->name.data, log);
    }

    if (ngx_http_tccbs_journal.reopen) {
        ngx_http_tccbs_journal.reopen();
    }
}


ngx_int_t
ngx_http_tccbs_journal_own(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf)
{
    ngx_uid_t  user;

    user = ngx_http_tccbs_journal_user(cycle);

    if (user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    if (fchown(conf->file->fd, user, -1) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "fchown(\"%V\", %d) failed", &conf->path, user);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The user that files are given to, or NGX_CONF_UNSET_UINT. */

static ngx_uid_t
ngx_http_tccbs_journal_user(volatile ngx_cycle_t *cycle)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    return geteuid() == 0 ? ccf->user : (ngx_uid_t) NGX_CONF_UNSET_UINT;
}


ngx_int_t
ngx_http_tccbs_journal_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf, ngx_http_tccbs_journal_pt handler,
    ngx_http_tccbs_journal_reopen_pt reopen)
{
    u_char                         *dir, *p;
    ngx_http_tccbs_journal_t       *journal;
    ngx_http_tccbs_journal_task_t  *ctx;

    journal = &ngx_http_tccbs_journal;

    journal->conf = conf;
    journal->handler = handler;
    journal->reopen = reopen;
    journal->log = cycle->log;

    dir = ngx_pnalloc(cycle->pool, conf->path.len + 1);
    if (dir == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(dir, conf->path.data, conf->path.len);

    while (p > dir + 1 && p[-1] != '/') {
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

    ctx->path = (const char *) conf->path.data;
    ctx->dir = (const char *) dir;
    ctx->reserve = conf->reserve;
    ctx->sync = !conf->buffered;
    ctx->fresh = 1;
    ctx->done = 1;

    journal->task->handler = ngx_http_tccbs_journal_thread;
    journal->task->event.handler = ngx_http_tccbs_journal_done;
    journal->task->event.log = cycle->log;

    return ngx_http_tccbs_journal_open(ctx, conf, cycle->log);
}


/* The directory may be closed to the user of the workers, the file is not. */

static ngx_int_t
ngx_http_tccbs_journal_open(ngx_http_tccbs_journal_task_t *ctx,
    ngx_http_tccbs_journal_conf_t *conf, ngx_log_t *log)
{
    u_char  proc[sizeof("/proc/self/fd/") + NGX_INT_T_LEN];

    ctx->fd = open(ctx->path, O_WRONLY|O_APPEND|O_CLOEXEC);

    if (ctx->fd == NGX_INVALID_FILE) {
        ngx_sprintf(proc, "/proc/self/fd/%d%Z", conf->file->fd);

        ctx->fd = open((char *) proc, O_WRONLY|O_APPEND|O_CLOEXEC);
    }

    if (ctx->fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", ctx->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_tccbs_journal_write(u_char *data, size_t len, ngx_uint_t flags)
{
    ngx_http_tccbs_journal_t       *journal;
    ngx_http_tccbs_journal_task_t  *ctx;

    journal = &ngx_http_tccbs_journal;
    ctx = journal->task->ctx;

    ngx_http_tccbs_journal_prepare(data, len, flags);

    if (ngx_thread_task_post(journal->conf->pool, journal->task) == NGX_OK) {
        return;
    }

    ctx->failed = "ngx_thread_task_post()";
    ctx->done = 1;

    ngx_post_event(&journal->task->event, &ngx_posted_events);
}


ngx_int_t
ngx_http_tccbs_journal_write_now(u_char *data, size_t len, ngx_uint_t flags)
{
    ngx_http_tccbs_journal_task_t  *ctx;

    ctx = ngx_http_tccbs_journal.task->ctx;

    ngx_http_tccbs_journal_prepare(data, len, flags);
    ngx_http_tccbs_journal_thread(ctx, ngx_http_tccbs_journal.log);

    return ngx_http_tccbs_journal_result(ctx);
}


ngx_uint_t
ngx_http_tccbs_journal_written(void)
{
    ngx_http_tccbs_journal_task_t  *ctx;

    ctx = ngx_http_tccbs_journal.task->ctx;

    return ctx->done && ctx->failed == NULL;
}


static void
ngx_http_tccbs_journal_prepare(u_char *data, size_t len, ngx_uint_t flags)
{
    ngx_http_tccbs_journal_task_t  *ctx;

    ctx = ngx_http_tccbs_journal.task->ctx;

    ctx->data = data;
    ctx->len = len;
    ctx->flags = flags;
    ctx->found = 0;
    ctx->failed = NULL;
    ctx->err = 0;
    ctx->synced = 0;
    ctx->done = 0;
}


static void
ngx_http_tccbs_journal_thread(void *data, ngx_log_t *log)
{
    ngx_http_tccbs_journal_task_t *ctx = data;

    struct stat  file;

    if (ngx_http_tccbs_journal_look(ctx, &file) == NGX_OK) {

        ngx_http_tccbs_journal_reserve(ctx, file.st_size);

        if (ctx->len
            && (!(ctx->flags & NGX_HTTP_TCCBS_JOURNAL_SEAL)
                || ngx_http_tccbs_journal_put(ctx, (u_char *) "\n", 1)
                   == NGX_OK)
            && ngx_http_tccbs_journal_put(ctx, ctx->data, ctx->len) == NGX_OK
            && ctx->sync)
        {
            ngx_http_tccbs_journal_sync(ctx);
        }
    }

    ctx->done = 1;
}


/* Whether the file that is open is the one that the path names. */

static ngx_int_t
ngx_http_tccbs_journal_look(ngx_http_tccbs_journal_task_t *ctx,
    struct stat *file)
{
    struct stat  path;

    if (ctx->flags & NGX_HTTP_TCCBS_JOURNAL_REOPEN) {

        if (ngx_http_tccbs_journal_again(ctx, file) == NGX_OK) {
            return NGX_OK;
        }

        /* renamed once more and not made again yet: the old one is as good */

        if (ctx->err != NGX_ENOENT
            || (ctx->flags & NGX_HTTP_TCCBS_JOURNAL_SEAL)
            || fstat(ctx->fd, file) == -1 || file->st_nlink == 0)
        {
            return NGX_ERROR;
        }

        ctx->failed = NULL;
        return NGX_OK;
    }

    if (fstat(ctx->fd, file) == -1) {
        return ngx_http_tccbs_journal_fail(ctx, "fstat()");
    }

    if (file->st_nlink == 0) {

        /* what is written there nobody will ever read */

        return ngx_http_tccbs_journal_again(ctx, file);
    }

    if (stat(ctx->path, &path) == 0
        && (path.st_ino != file->st_ino || path.st_dev != file->st_dev))
    {
        ctx->found |= NGX_HTTP_TCCBS_JOURNAL_REPLACED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_journal_again(ngx_http_tccbs_journal_task_t *ctx,
    struct stat *file)
{
    ngx_fd_t  fd;

    fd = open(ctx->path, O_WRONLY|O_APPEND|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        return ngx_http_tccbs_journal_fail(ctx, "open()");
    }

    (void) close(ctx->fd);

    ctx->fd = fd;
    ctx->fresh = 1;
    ctx->reserved = 0;

    if (fstat(fd, file) == -1) {
        return ngx_http_tccbs_journal_fail(ctx, "fstat()");
    }

    return NGX_OK;
}


/*
 * Blocks beyond the end of the file, so that the outcomes of what was sent find
 * room on a disk that fills up: they are taken before an intent is durable.
 */

static void
ngx_http_tccbs_journal_reserve(ngx_http_tccbs_journal_task_t *ctx, off_t size)
{
    struct statvfs  fs;

    if (ctx->reserve == 0) {
        return;
    }

    if (size + (off_t) (ctx->len + ctx->reserve) <= ctx->reserved) {
        return;
    }

    if (fallocate(ctx->fd, FALLOC_FL_KEEP_SIZE, size,
                  ctx->len + 2 * ctx->reserve)
        == 0)
    {
        ctx->reserved = size + ctx->len + 2 * ctx->reserve;
        return;
    }

    if (ngx_errno == EOPNOTSUPP && fstatvfs(ctx->fd, &fs) == 0
        && (uint64_t) fs.f_bavail * fs.f_frsize > ctx->len + 2 * ctx->reserve)
    {
        return;
    }

    ctx->found |= NGX_HTTP_TCCBS_JOURNAL_FULL;
}


static ngx_int_t
ngx_http_tccbs_journal_put(ngx_http_tccbs_journal_task_t *ctx,
    const u_char *p, size_t len)
{
    ssize_t  n;

    while (len) {

        n = write(ctx->fd, p, len);

        if (n == -1) {
            if (ngx_errno == NGX_EINTR) {
                continue;
            }

            return ngx_http_tccbs_journal_fail(ctx, "write()");
        }

        p += n;
        len -= n;
    }

    return NGX_OK;
}


/* A new file is durable when its directory is. */

static void
ngx_http_tccbs_journal_sync(ngx_http_tccbs_journal_task_t *ctx)
{
    ngx_fd_t  dir;
    uint64_t  start;

    start = ngx_tccbs_gcra_now();

    while (fdatasync(ctx->fd) == -1) {
        if (ngx_errno != NGX_EINTR) {
            (void) ngx_http_tccbs_journal_fail(ctx, "fdatasync()");
            return;
        }
    }

    ctx->synced = ngx_tccbs_gcra_now() - start + 1;

    if (!ctx->fresh) {
        return;
    }

    dir = open(ctx->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    /* a worker that may not read the directory has a file that master made */

    if (dir == NGX_INVALID_FILE && ngx_errno != EACCES) {
        (void) ngx_http_tccbs_journal_fail(ctx, "open() of the directory of");
        return;
    }

    if (dir != NGX_INVALID_FILE) {

        if (fsync(dir) == -1) {
            (void) ngx_http_tccbs_journal_fail(ctx,
                                               "fsync() of the directory of");
        }

        (void) close(dir);
    }

    ctx->fresh = (ctx->failed != NULL);
}


static ngx_int_t
ngx_http_tccbs_journal_fail(ngx_http_tccbs_journal_task_t *ctx,
    const char *what)
{
    ctx->failed = what;
    ctx->err = ngx_errno;

    return NGX_ERROR;
}


static void
ngx_http_tccbs_journal_done(ngx_event_t *ev)
{
    ngx_int_t                       rc;
    ngx_http_tccbs_journal_t       *journal;
    ngx_http_tccbs_journal_task_t  *ctx;

    journal = &ngx_http_tccbs_journal;
    ctx = journal->task->ctx;

    ev->complete = 0;

    rc = ngx_http_tccbs_journal_result(ctx);

    journal->handler(rc, ctx->found);
}


static ngx_int_t
ngx_http_tccbs_journal_result(ngx_http_tccbs_journal_task_t *ctx)
{
    if (ctx->synced) {
        ngx_http_tccbs_metrics_observe(NULL, NGX_HTTP_TCCBS_M_SYNC, 0,
                                       ctx->synced);
    }

    ngx_http_tccbs_metrics_journal(ctx->failed != NULL,
                                   ctx->found & NGX_HTTP_TCCBS_JOURNAL_FULL);

    if (ctx->failed == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_tccbs_journal.log, ctx->err,
                  "%s \"%V\" failed", ctx->failed,
                  &ngx_http_tccbs_journal.conf->path);

    return NGX_ERROR;
}
