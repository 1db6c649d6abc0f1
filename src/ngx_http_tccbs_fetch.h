
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_FETCH_H_INCLUDED_
#define _NGX_HTTP_TCCBS_FETCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_http_tccbs_endpoint.h"
#include "ngx_http_tccbs_grant.h"


typedef struct ngx_http_tccbs_fetch_s  ngx_http_tccbs_fetch_t;

/*
 * The end of a fetch: "result" is NGX_HTTP_TCCBS_GRANT_OK with an answer, or
 * tells why there is none, "why" in words.  What fetch->pool has goes, and is
 * wiped where it came from the network, when this returns.
 */
typedef void (*ngx_http_tccbs_fetch_pt)(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why);


/* One request and its answer over a connection of its own. */

struct ngx_http_tccbs_fetch_s {
    ngx_pool_t                   *pool;
    ngx_http_tccbs_endpoint_t    *endpoint;
    ngx_ssl_t                    *ssl;        /* verifies, with https */
    ngx_str_t                     request;    /* the bytes, in the pool */
    ngx_http_tccbs_fetch_pt       handler;
    void                         *data;

    ngx_uint_t                    status;     /* the answer */
    ngx_str_t                     body;

    /* private */

    ngx_log_t                     log;
    ngx_peer_connection_t         peer;
    ngx_event_t                   timer;      /* of all of it */
    ngx_connection_t              dumb;
    ngx_uint_t                    tried;      /* addresses */
    ngx_uint_t                    first;
    size_t                        sent;
    ngx_buf_t                    *buffer;
};


/* For a caller to fill in; NULL when there is no memory. */
ngx_http_tccbs_fetch_t *ngx_http_tccbs_fetch_create(ngx_log_t *log);

/*
 * Starts it.  The handler is called once, later, and never from here.  It does
 * not keep a process from exiting.
 */
void ngx_http_tccbs_fetch_start(ngx_http_tccbs_fetch_t *fetch);

/* Gives up one that was not started. */
void ngx_http_tccbs_fetch_destroy(ngx_http_tccbs_fetch_t *fetch);


#endif /* _NGX_HTTP_TCCBS_FETCH_H_INCLUDED_ */
