
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_JOURNAL_H_INCLUDED_
#define _NGX_HTTP_TCCBS_JOURNAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>


/*
 * A file that is appended to and synced by a thread of its own, one write at a
 * time.  It knows nothing of records.
 */

typedef struct {
    ngx_str_t            path;
    ngx_open_file_t     *file;
    ngx_thread_pool_t   *pool;
    size_t               reserve;             /* bytes beyond the end */
    ngx_uint_t           buffered;            /* unsigned  buffered:1; */
} ngx_http_tccbs_journal_conf_t;


/* What was found while writing. */

#define NGX_HTTP_TCCBS_JOURNAL_FULL      1    /* nothing could be reserved */
#define NGX_HTTP_TCCBS_JOURNAL_REPLACED  2    /* the path is another file */


/* The result of ngx_http_tccbs_journal_write(): NGX_OK or NGX_ERROR. */

typedef void (*ngx_http_tccbs_journal_pt)(ngx_int_t rc, ngx_uint_t found);

/* nginx was told to reopen its files. */

typedef void (*ngx_http_tccbs_journal_reopen_pt)(void);


/*
 * Opens "path" for appending, created with mode 0640; nginx reopens it on
 * USR1.  Declares the thread.
 */
char *ngx_http_tccbs_journal_conf(ngx_conf_t *cf,
    ngx_http_tccbs_journal_conf_t *conf, ngx_str_t *path);

/*
 * In the master, before there are workers: gives the file to the user of the
 * workers, as nginx does when it reopens one, so that recovery can read it.
 */
ngx_int_t ngx_http_tccbs_journal_own(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf);

/*
 * Each worker has an open file of its own: an error that the kernel met while
 * it wrote is reported once to each of them, and would be lost on a shared one.
 */
ngx_int_t ngx_http_tccbs_journal_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf, ngx_http_tccbs_journal_pt handler,
    ngx_http_tccbs_journal_reopen_pt reopen);

/*
 * Writes and syncs in the thread; "data" must stay until the handler is
 * called.  A file that was deleted is an error until there is one again.
 *
 * SEAL begins with a newline, so that what a failed write left does not run
 * into the first line; REOPEN opens the path first, as a new segment or since
 * an open file that failed once is not trusted again.
 */
#define NGX_HTTP_TCCBS_JOURNAL_SEAL    1
#define NGX_HTTP_TCCBS_JOURNAL_REOPEN  2

void ngx_http_tccbs_journal_write(u_char *data, size_t len, ngx_uint_t flags);

/* The same at once, in this thread.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_tccbs_journal_write_now(u_char *data, size_t len,
    ngx_uint_t flags);

/*
 * At exit, when the threads have been joined and no handler will be called:
 * whether the last write was successful.
 */
ngx_uint_t ngx_http_tccbs_journal_written(void);


#endif /* _NGX_HTTP_TCCBS_JOURNAL_H_INCLUDED_ */
