
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_fetch.h"
#include "ngx_http_tccbs_peer.h"
#include "ngx_tccbs_http.h"


#define NGX_HTTP_TCCBS_FETCH_SIZE     32768   /* bytes of an answer, at most */
#define NGX_HTTP_TCCBS_FETCH_TIMEOUT  3000    /* of one step */
#define NGX_HTTP_TCCBS_FETCH_TOTAL    10000


static void ngx_http_tccbs_fetch_begin(ngx_event_t *ev);
static void ngx_http_tccbs_fetch_expire(ngx_event_t *ev);
static void ngx_http_tccbs_fetch_connect(ngx_http_tccbs_fetch_t *fetch);
static void ngx_http_tccbs_fetch_connected(ngx_event_t *ev);
static void ngx_http_tccbs_fetch_ssl(ngx_http_tccbs_fetch_t *fetch);
static void ngx_http_tccbs_fetch_handshake(ngx_connection_t *c);
static void ngx_http_tccbs_fetch_write(ngx_event_t *ev);
static void ngx_http_tccbs_fetch_read(ngx_event_t *ev);
static void ngx_http_tccbs_fetch_idle(ngx_event_t *ev);
static ngx_uint_t ngx_http_tccbs_fetch_take(ngx_http_tccbs_fetch_t *fetch,
    ngx_uint_t eof);
static void ngx_http_tccbs_fetch_done(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why);
static void ngx_http_tccbs_fetch_close(ngx_http_tccbs_fetch_t *fetch);
static u_char *ngx_http_tccbs_fetch_log(ngx_log_t *log, u_char *buf,
    size_t len);


ngx_http_tccbs_fetch_t *
ngx_http_tccbs_fetch_create(ngx_log_t *log)
{
    ngx_pool_t              *pool;
    ngx_http_tccbs_fetch_t  *fetch;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, log);
    if (pool == NULL) {
        return NULL;
    }

    fetch = ngx_pcalloc(pool, sizeof(ngx_http_tccbs_fetch_t));

    if (fetch) {
        fetch->buffer = ngx_create_temp_buf(pool, NGX_HTTP_TCCBS_FETCH_SIZE);
    }

    if (fetch == NULL || fetch->buffer == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    fetch->pool = pool;

    fetch->log = *log;
    fetch->log.handler = ngx_http_tccbs_fetch_log;
    fetch->log.data = fetch;
    fetch->log.action = "connecting to";

    return fetch;
}


void
ngx_http_tccbs_fetch_start(ngx_http_tccbs_fetch_t *fetch)
{
    ngx_event_t  *ev;

    fetch->dumb.fd = (ngx_socket_t) -1;
    fetch->dumb.data = fetch;

    ev = &fetch->timer;

    ev->handler = ngx_http_tccbs_fetch_begin;
    ev->data = &fetch->dumb;
    ev->log = &fetch->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, 1);
}


void
ngx_http_tccbs_fetch_destroy(ngx_http_tccbs_fetch_t *fetch)
{
    ngx_tccbs_wipe(fetch->request.data, fetch->request.len);
    ngx_tccbs_wipe(fetch->buffer->start, NGX_HTTP_TCCBS_FETCH_SIZE);
    ngx_destroy_pool(fetch->pool);
}


static void
ngx_http_tccbs_fetch_begin(ngx_event_t *ev)
{
    ngx_connection_t        *dumb;
    ngx_http_tccbs_fetch_t  *fetch;

    dumb = ev->data;
    fetch = dumb->data;

    ev->handler = ngx_http_tccbs_fetch_expire;

    ngx_add_timer(ev, NGX_HTTP_TCCBS_FETCH_TOTAL);

    if (fetch->endpoint->naddrs) {
        fetch->first = ngx_random() % fetch->endpoint->naddrs;
    }

    ngx_http_tccbs_fetch_connect(fetch);
}


static void
ngx_http_tccbs_fetch_expire(ngx_event_t *ev)
{
    ngx_connection_t  *dumb;

    dumb = ev->data;

    ngx_http_tccbs_fetch_done(dumb->data, NGX_HTTP_TCCBS_GRANT_TIMEOUT,
                              "it took too long");
}


/* The next address, as long as nothing could be sent. */

static void
ngx_http_tccbs_fetch_connect(ngx_http_tccbs_fetch_t *fetch)
{
    ngx_int_t                   rc;
    ngx_addr_t                 *addr;
    ngx_connection_t           *c;
    ngx_peer_connection_t      *peer;
    ngx_http_tccbs_endpoint_t  *endpoint;

    peer = &fetch->peer;
    endpoint = fetch->endpoint;

    for ( ;; ) {

        ngx_http_tccbs_fetch_close(fetch);

        if (fetch->tried >= endpoint->naddrs) {
            ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNREACHABLE,
                                      "it cannot be reached");
            return;
        }

        addr = &endpoint->addrs[(fetch->first + fetch->tried++)
                                % endpoint->naddrs];

        ngx_memzero(peer, sizeof(ngx_peer_connection_t));

        peer->sockaddr = addr->sockaddr;
        peer->socklen = addr->socklen;
        peer->name = &addr->name;
        peer->get = ngx_event_get_peer;
        peer->log = &fetch->log;
        peer->log_error = NGX_ERROR_ERR;

        rc = ngx_event_connect_peer(peer);

        if (rc == NGX_OK || rc == NGX_AGAIN) {
            break;
        }
    }

    c = peer->connection;

    c->data = fetch;
    c->pool = fetch->pool;
    c->log = &fetch->log;
    c->read->log = c->log;
    c->write->log = c->log;

    c->read->cancelable = 1;
    c->write->cancelable = 1;

    c->read->handler = ngx_http_tccbs_fetch_connected;
    c->write->handler = ngx_http_tccbs_fetch_connected;

    ngx_add_timer(c->write, NGX_HTTP_TCCBS_FETCH_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_http_tccbs_fetch_connected(c->write);
    }
}


static void
ngx_http_tccbs_fetch_connected(ngx_event_t *ev)
{
    ngx_err_t                err;
    ngx_connection_t        *c;
    ngx_http_tccbs_fetch_t  *fetch;

    c = ev->data;
    fetch = c->data;

    if (ev->timedout) {
        ngx_http_tccbs_fetch_connect(fetch);
        return;
    }

    err = ngx_http_tccbs_peer_error(c);

    if (err) {
        ngx_log_error(NGX_LOG_ERR, c->log, err, "connect() failed");
        ngx_http_tccbs_fetch_connect(fetch);
        return;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->read->handler = ngx_http_tccbs_fetch_idle;

    if (fetch->endpoint->ssl) {
        ngx_http_tccbs_fetch_ssl(fetch);
        return;
    }

    c->write->handler = ngx_http_tccbs_fetch_write;

    ngx_http_tccbs_fetch_write(c->write);
}


static void
ngx_http_tccbs_fetch_ssl(ngx_http_tccbs_fetch_t *fetch)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = fetch->peer.connection;

    fetch->log.action = "in a handshake with";

    if (ngx_ssl_create_connection(fetch->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK
        || ngx_http_tccbs_peer_name(c, &fetch->endpoint->name) != NGX_OK)
    {
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNVERIFIED,
                                  "no TLS with it");
        return;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        ngx_add_timer(c->write, NGX_HTTP_TCCBS_FETCH_TIMEOUT);
        c->ssl->handler = ngx_http_tccbs_fetch_handshake;
        return;
    }

    ngx_http_tccbs_fetch_handshake(c);
}


static void
ngx_http_tccbs_fetch_handshake(ngx_connection_t *c)
{
    long                     rc;
    ngx_http_tccbs_fetch_t  *fetch;

    fetch = c->data;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (!c->ssl->handshaked) {

        if (c->write->timedout) {
            ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_TIMEOUT,
                                      "the TLS handshake took too long");
            return;
        }

        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNVERIFIED,
                                  "the TLS handshake failed");
        return;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "certificate verify error: (%l:%s)",
                      rc, X509_verify_cert_error_string(rc));
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNVERIFIED,
                                  "its certificate is not trusted");
        return;
    }

    if (ngx_ssl_check_host(c, &fetch->endpoint->name) != NGX_OK) {
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNVERIFIED,
                                  "its certificate has another name");
        return;
    }

    c->read->handler = ngx_http_tccbs_fetch_idle;
    c->write->handler = ngx_http_tccbs_fetch_write;

    ngx_http_tccbs_fetch_write(c->write);
}


static void
ngx_http_tccbs_fetch_write(ngx_event_t *ev)
{
    ssize_t                  n;
    ngx_connection_t        *c;
    ngx_http_tccbs_fetch_t  *fetch;

    c = ev->data;
    fetch = c->data;

    if (ev->timedout) {
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_TIMEOUT,
                                  "it does not read");
        return;
    }

    fetch->log.action = "sending to";

    while (fetch->sent < fetch->request.len) {

        n = c->send(c, fetch->request.data + fetch->sent,
                    fetch->request.len - fetch->sent);

        if (n == NGX_AGAIN) {
            if (!ev->timer_set) {
                ngx_add_timer(ev, NGX_HTTP_TCCBS_FETCH_TIMEOUT);
            }

            if (ngx_handle_write_event(ev, 0) == NGX_OK) {
                return;
            }

            n = NGX_ERROR;
        }

        if (n <= 0) {
            ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNREACHABLE,
                                      "the connection was lost");
            return;
        }

        fetch->sent += n;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    fetch->log.action = "reading from";

    c->write->handler = ngx_http_tccbs_fetch_idle;
    c->read->handler = ngx_http_tccbs_fetch_read;

    ngx_http_tccbs_fetch_read(c->read);
}


static void
ngx_http_tccbs_fetch_read(ngx_event_t *ev)
{
    ssize_t                  n;
    ngx_buf_t               *b;
    ngx_connection_t        *c;
    ngx_http_tccbs_fetch_t  *fetch;

    c = ev->data;
    fetch = c->data;
    b = fetch->buffer;

    if (ev->timedout) {
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_TIMEOUT,
                                  "it does not answer");
        return;
    }

    for ( ;; ) {

        if (b->last == b->end) {
            ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNUSABLE,
                                      "its answer is too large");
            return;
        }

        n = c->recv(c, b->last, b->end - b->last);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n > 0) {
            b->last += n;
        }

        if (ngx_http_tccbs_fetch_take(fetch, n <= 0)) {
            return;
        }
    }

    ngx_add_timer(ev, NGX_HTTP_TCCBS_FETCH_TIMEOUT);

    if (ngx_handle_read_event(ev, 0) != NGX_OK) {
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNREACHABLE,
                                  "the connection was lost");
    }
}


static void
ngx_http_tccbs_fetch_idle(ngx_event_t *ev)
{
    return;
}


/* True when that was the end of it. */

static ngx_uint_t
ngx_http_tccbs_fetch_take(ngx_http_tccbs_fetch_t *fetch, ngx_uint_t eof)
{
    ngx_str_t  text;

    text.data = fetch->buffer->pos;
    text.len = fetch->buffer->last - fetch->buffer->pos;

    switch (ngx_tccbs_http_parse(&text, eof, &fetch->status, &fetch->body)) {

    case NGX_OK:
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_OK, NULL);
        return 1;

    case NGX_AGAIN:
        return 0;

    default:
        ngx_http_tccbs_fetch_done(fetch, NGX_HTTP_TCCBS_GRANT_UNUSABLE,
                                  eof ? "its answer is cut"
                                      : "its answer is no HTTP");
        return 1;
    }
}


static void
ngx_http_tccbs_fetch_done(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why)
{
    ngx_http_tccbs_fetch_close(fetch);

    if (fetch->timer.timer_set) {
        ngx_del_timer(&fetch->timer);
    }

    fetch->handler(fetch, result, why);

    ngx_http_tccbs_fetch_destroy(fetch);
}


static void
ngx_http_tccbs_fetch_close(ngx_http_tccbs_fetch_t *fetch)
{
    ngx_connection_t  *c;

    c = fetch->peer.connection;

    if (c == NULL) {
        return;
    }

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }

    ngx_close_connection(c);

    fetch->peer.connection = NULL;
}


static u_char *
ngx_http_tccbs_fetch_log(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_http_tccbs_fetch_t *fetch = log->data;

    return ngx_snprintf(buf, len, " while %s \"%V\"", log->action,
                        &fetch->endpoint->url);
}
