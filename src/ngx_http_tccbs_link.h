
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_LINK_H_INCLUDED_
#define _NGX_HTTP_TCCBS_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_tccbs_resp.h"


/*
 * A connection to Redis, plain or TLS with the certificate verified: commands
 * go in, replies come out.  It outlives requests, so it has a log and a pool
 * of its own, and nothing of it keeps a worker from exiting.
 */

typedef struct {
    /* of the owner */
    void                      *data;
    ngx_int_t                (*up)(void *data);
    void                     (*down)(void *data, const char *why);
    ngx_int_t                (*reply)(void *data, ngx_tccbs_resp_t *reply);
    ngx_log_t                 *log;
    ngx_ssl_t                 *ssl;           /* NULL: without TLS */
    ngx_str_t                 *name;          /* that is verified */
    ngx_msec_t                 timeout;       /* of connecting */

    ngx_peer_connection_t      peer;
    ngx_event_t                timer;
    ngx_tccbs_resp_reader_t   *reader;
    ngx_buf_t                 *out;
    unsigned                   connected:1;
} ngx_http_tccbs_link_t;


#define NGX_HTTP_TCCBS_LINK_OUT  (256 * 1024)


/*
 * NGX_OK: up() or down() will be called, not from inside of this function;
 * NGX_ERROR: there is no connection.  When up() does not return NGX_OK, the
 * connection is given up, and down() follows.  "why" of down() is NULL when a
 * worker that exits has closed an idle connection.
 */
ngx_int_t ngx_http_tccbs_link_connect(ngx_http_tccbs_link_t *link,
    ngx_addr_t *addr);

/* NGX_OK: will be sent; NGX_BUSY: there is too much that was not yet sent. */
ngx_int_t ngx_http_tccbs_link_send(ngx_http_tccbs_link_t *link,
    ngx_str_t *bytes);

/* Whether a reply is waited for; a worker that exits closes it when not. */
void ngx_http_tccbs_link_idle(ngx_http_tccbs_link_t *link, ngx_uint_t idle);

/* Without down(). */
void ngx_http_tccbs_link_close(ngx_http_tccbs_link_t *link);

#define ngx_http_tccbs_link_is_up(link)                                       \
    ((link)->peer.connection && (link)->connected)


#endif /* _NGX_HTTP_TCCBS_LINK_H_INCLUDED_ */
