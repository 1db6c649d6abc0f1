
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_BATCH_H_INCLUDED_
#define _NGX_HTTP_TCCBS_BATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_chain.h"
#include "ngx_http_tccbs_families.h"


/* Records appended together, and whose flights end when they are durable. */

typedef struct {
    u_char                       *start;
    u_char                       *pos;
    u_char                       *end;
    uint64_t                      first;       /* position of the first line */
    uint64_t                      last;        /* behind the last one */
    u_char                        hash[NGX_TCCBS_SHA256_LEN];  /* of that */
    ngx_uint_t                    reopen;      /* it begins a segment */
    ngx_http_tccbs_flight_t     **flights;
    ngx_uint_t                    nflights;
    ngx_uint_t                    nalloc;
    ngx_uint_t                    kinds[NGX_HTTP_TCCBS_NKINDS];
} ngx_http_tccbs_batch_t;


#define ngx_http_tccbs_batch_empty(batch)  ((batch)->pos == (batch)->start)

/* The next record of the chain; with a flight that it ends, or NULL. */
ngx_int_t ngx_http_tccbs_batch_append(ngx_http_tccbs_batch_t *batch,
    ngx_str_t *id, ngx_str_t *rest, ngx_http_tccbs_flight_t *flight,
    ngx_log_t *log);

/* The batch is durable: its flights are over, its memory is used again. */
void ngx_http_tccbs_batch_done(ngx_http_tccbs_batch_t *batch);

/* A copy of each record; it may be lost on the way. */
void ngx_http_tccbs_batch_copy(ngx_http_tccbs_batch_t *batch,
    ngx_syslog_peer_t *peer, ngx_log_t *log);


#endif /* _NGX_HTTP_TCCBS_BATCH_H_INCLUDED_ */
