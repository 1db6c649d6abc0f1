
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
    ngx_uint_t           buffered;            /* unsigned  buffered:1; */
} ngx_http_tccbs_journal_conf_t;


/* The result of ngx_http_tccbs_journal_write(): NGX_OK or NGX_ERROR. */

typedef void (*ngx_http_tccbs_journal_pt)(ngx_int_t rc);


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

ngx_int_t ngx_http_tccbs_journal_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_journal_conf_t *conf, ngx_http_tccbs_journal_pt handler);

/*
 * Writes and syncs in the thread; "data" must stay until the handler is
 * called.  "seal" begins with a newline, so that what a failed write left does
 * not run into the first line.
 */
void ngx_http_tccbs_journal_write(u_char *data, size_t len, ngx_uint_t seal);

/* The same at once, in this thread.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_tccbs_journal_write_now(u_char *data, size_t len,
    ngx_uint_t seal);

/*
 * At exit, when the threads have been joined and no handler will be called:
 * whether the last write was successful.
 */
ngx_uint_t ngx_http_tccbs_journal_written(void);


#endif /* _NGX_HTTP_TCCBS_JOURNAL_H_INCLUDED_ */
