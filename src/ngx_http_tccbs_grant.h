
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_GRANT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_GRANT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_source.h"
#include "ngx_tccbs_tc3.h"


#define NGX_HTTP_TCCBS_GRANT_DAYS  3          /* yesterday to tomorrow */


/* How the last try to get a credential from its source ended. */

typedef enum {
    NGX_HTTP_TCCBS_GRANT_NONE = 0,            /* there was none yet */
    NGX_HTTP_TCCBS_GRANT_OK,
    NGX_HTTP_TCCBS_GRANT_UNREADABLE,          /* a file */
    NGX_HTTP_TCCBS_GRANT_UNREACHABLE,
    NGX_HTTP_TCCBS_GRANT_TIMEOUT,
    NGX_HTTP_TCCBS_GRANT_UNVERIFIED,          /* TLS */
    NGX_HTTP_TCCBS_GRANT_REFUSED,             /* an error was answered */
    NGX_HTTP_TCCBS_GRANT_UNUSABLE             /* an answer or a file */
} ngx_http_tccbs_grant_result_e;


typedef struct {
    u_char                    date[NGX_TCCBS_TC3_DATE_LEN];
    u_char                    key[NGX_TCCBS_SHA256_LEN];
} ngx_http_tccbs_day_t;


/*
 * What a worker may know of a credential: enough to sign CBS calls of a few
 * days, not the secret key.
 */

typedef struct {
    time_t                    expires;        /* 0: never */
    size_t                    id_len;         /* 0: there is none */
    size_t                    token_len;
    ngx_http_tccbs_day_t      days[NGX_HTTP_TCCBS_GRANT_DAYS];
    u_char                    id[NGX_TCCBS_TRIPLE_ID];
    u_char                    token[NGX_TCCBS_TRIPLE_TOKEN];
} ngx_http_tccbs_grant_t;


/*
 * Pages of memory that all processes share, one for each name of a credential
 * and for the life of the master: workers that are still busy after a reload
 * see what came with it.  "version" is the generation of the configuration in
 * its upper half, and a count; it tells which of the grants is the current one.
 * A grant is written beside that and takes its place in one step, and each
 * generation has two of its own, so that a process of the old one or one that
 * dies disturbs nobody.
 */

typedef struct {
    ngx_atomic_t              version;
    ngx_atomic_t              source;         /* hash, see grant_adopt() */
    ngx_atomic_t              refreshed;      /* time of the last success */
    ngx_atomic_t              tried;          /* of the last try */
    ngx_atomic_t              result;         /* of it */
    ngx_http_tccbs_grant_t    grants[4];
} ngx_http_tccbs_page_t;


/*
 * For the master, before it forks: the page of that name in the configuration
 * "generation".  A grant of the generation before stays when it came from the
 * same source, and is withdrawn otherwise.  NULL when there is no memory.
 */
ngx_http_tccbs_page_t *ngx_http_tccbs_grant_adopt(ngx_str_t *name,
    uint32_t source, ngx_uint_t generation, ngx_log_t *log);

/* Withdraws the grants of all names that are not in this generation. */
void ngx_http_tccbs_grant_sweep(ngx_uint_t generation);

/* For a process that only reads; a lock of memory is not inherited. */
void ngx_http_tccbs_grant_protect(ngx_http_tccbs_page_t *page);

/*
 * Derives the keys of the days around "now" and shows them to the workers; an
 * empty triple withdraws the grant.  NGX_OK; NGX_DECLINED when a newer
 * generation owns the page; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_grant_publish(ngx_http_tccbs_page_t *page,
    ngx_uint_t generation, const ngx_tccbs_triple_t *triple, time_t now);

/*
 * Copies the grant unless "version" is that of the copy already.  NGX_OK, or
 * NGX_DECLINED when there is none, or none that is whole.
 */
ngx_int_t ngx_http_tccbs_grant_read(ngx_http_tccbs_page_t *page,
    ngx_atomic_uint_t *version, ngx_http_tccbs_grant_t *grant);


#endif /* _NGX_HTTP_TCCBS_GRANT_H_INCLUDED_ */
