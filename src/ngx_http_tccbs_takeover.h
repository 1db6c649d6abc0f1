
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_TAKEOVER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_TAKEOVER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/*
 * Which zone knows what is in flight.  A binary upgrade starts with an empty
 * zone while workers of the old one still run: only those of one of both may
 * send.  Its number, and the pid of its master, are in a file beside the audit
 * log, ".NAME.zone".
 *
 * Who takes over writes the number first and reads the log then; who sends has
 * its intent in the log first and looks at the number then.  So an intent is
 * either seen by the new zone or not sent.
 */

typedef struct {
    uint64_t                       master;
    uint64_t                       number;
} ngx_http_tccbs_takeover_file_t;


typedef struct {
    volatile ngx_http_tccbs_takeover_file_t  *present;
    ngx_http_tccbs_shm_t                       *shm;
    ngx_fd_t                                    fd;
} ngx_http_tccbs_takeover_t;


/* In the master, for the audit log "path".  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_tccbs_takeover_open(ngx_cycle_t *cycle,
    ngx_http_tccbs_takeover_t *takeover, ngx_str_t *path,
    ngx_shm_zone_t *zone);

/* In a worker that starts: its master may have forked to be a daemon. */
void ngx_http_tccbs_takeover_master(ngx_http_tccbs_takeover_t *takeover);

/*
 * The zone takes over.  NGX_OK: the log is to be read, and taken() to be called
 * then; NGX_DECLINED: the zone has taken over already, or another process of
 * its master is about to; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_takeover_take(
    ngx_http_tccbs_takeover_t *takeover);
void ngx_http_tccbs_takeover_taken(ngx_http_tccbs_takeover_t *takeover);

/*
 * 0 when it is not for this zone to send; otherwise how often it has taken
 * over: what was looked up in it is good for as long as that is the same.
 */
ngx_uint_t ngx_http_tccbs_takeover_present(
    ngx_http_tccbs_takeover_t *takeover);

/* Whether the zone that took over has no master any more. */
ngx_uint_t ngx_http_tccbs_takeover_gone(
    ngx_http_tccbs_takeover_t *takeover);


#endif /* _NGX_HTTP_TCCBS_TAKEOVER_H_INCLUDED_ */
