
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_link.h"
#include "ngx_http_tccbs_peer.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_LINK_READ  16384


static void ngx_http_tccbs_link_connecting(ngx_event_t *ev);
static ngx_int_t ngx_http_tccbs_link_secure(ngx_http_tccbs_link_t *link);
static void ngx_http_tccbs_link_handshake(ngx_connection_t *c);
static void ngx_http_tccbs_link_connected(ngx_http_tccbs_link_t *link);
static void ngx_http_tccbs_link_timeout(ngx_event_t *ev);
static void ngx_http_tccbs_link_read(ngx_event_t *ev);
static void ngx_http_tccbs_link_write(ngx_event_t *ev);
static void ngx_http_tccbs_link_lost(ngx_http_tccbs_link_t *link,
    const char *why);


ngx_int_t
ngx_http_tccbs_link_connect(ngx_http_tccbs_link_t *link, ngx_addr_t *addr)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t  *pc;

    pc = &link->peer;

    ngx_memzero(pc, sizeof(ngx_peer_connection_t));

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;
    pc->get = ngx_event_get_peer;
    pc->log = link->log;
    pc->log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {

        if (pc->connection) {
            ngx_close_connection(pc->connection);
            pc->connection = NULL;
        }

        return NGX_ERROR;
    }

    c = pc->connection;

    c->data = link;
    c->addr_text = addr->name;
    c->log = link->log;
    c->read->log = link->log;
    c->write->log = link->log;
    c->read->handler = ngx_http_tccbs_link_connecting;
    c->write->handler = ngx_http_tccbs_link_connecting;
    c->idle = 1;

    link->connected = 0;

    c->pool = ngx_create_pool(1024, link->log);
    link->reader = ngx_tccbs_resp_create(link->log);

    if (c->pool) {
        link->out = ngx_create_temp_buf(c->pool, NGX_HTTP_TCCBS_LINK_OUT);
    }

    if (c->pool == NULL || link->reader == NULL || link->out == NULL) {
        ngx_http_tccbs_link_close(link);
        return NGX_ERROR;
    }

    link->timer.handler = ngx_http_tccbs_link_timeout;
    link->timer.data = link;
    link->timer.log = link->log;
    link->timer.cancelable = 1;

    ngx_add_timer(&link->timer, link->timeout);

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_link_connecting(ngx_event_t *ev)
{
    ngx_err_t               err;
    ngx_connection_t       *c = ev->data;
    ngx_http_tccbs_link_t  *link = c->data;

    if (c->close) {
        ngx_http_tccbs_link_lost(link, NULL);
        return;
    }

    err = ngx_http_tccbs_peer_error(c);

    if (err) {
        ngx_http_tccbs_link_lost(link, (err == NGX_ECONNREFUSED)
                                       ? "connection refused"
                                       : "cannot connect");
        return;
    }

    if (link->ssl == NULL) {
        ngx_http_tccbs_link_connected(link);
        return;
    }

    if (ngx_http_tccbs_link_secure(link) != NGX_OK) {
        ngx_http_tccbs_link_lost(link, "TLS failed");
    }
}


static ngx_int_t
ngx_http_tccbs_link_secure(ngx_http_tccbs_link_t *link)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (ngx_ssl_create_connection(link->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || ngx_http_tccbs_peer_name(c, link->name) != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->ssl->no_wait_shutdown = 1;

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_tccbs_link_handshake;
        return NGX_OK;
    }

    ngx_http_tccbs_link_handshake(c);

    return NGX_OK;
}


static void
ngx_http_tccbs_link_handshake(ngx_connection_t *c)
{
    ngx_http_tccbs_link_t *link = c->data;

    long  rc;

    if (!c->ssl->handshaked) {
        ngx_http_tccbs_link_lost(link, "TLS failed");
        return;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_log_error(NGX_LOG_ERR, link->log, 0,
                      "redis certificate verify error: (%l:%s)", rc,
                      X509_verify_cert_error_string(rc));
        ngx_http_tccbs_link_lost(link, "its certificate is not trusted");
        return;
    }

    if (ngx_ssl_check_host(c, link->name) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, link->log, 0,
                      "redis certificate does not match \"%V\"", link->name);
        ngx_http_tccbs_link_lost(link, "its certificate is of another name");
        return;
    }

    ngx_http_tccbs_link_connected(link);
}


static void
ngx_http_tccbs_link_connected(ngx_http_tccbs_link_t *link)
{
    ngx_connection_t  *c;

    c = link->peer.connection;

    ngx_del_timer(&link->timer);

    c->read->handler = ngx_http_tccbs_link_read;
    c->write->handler = ngx_http_tccbs_link_write;

    link->connected = 1;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_tccbs_link_lost(link, "cannot be read");
        return;
    }

    if (link->up(link->data) != NGX_OK) {
        ngx_http_tccbs_link_lost(link, "no memory to log in");
    }
}


static void
ngx_http_tccbs_link_timeout(ngx_event_t *ev)
{
    ngx_http_tccbs_link_lost(ev->data, "no connection in time");
}


ngx_int_t
ngx_http_tccbs_link_send(ngx_http_tccbs_link_t *link, ngx_str_t *bytes)
{
    size_t      rest;
    ngx_buf_t  *out;

    out = link->out;

    if ((size_t) (out->end - out->last) < bytes->len) {

        rest = out->last - out->pos;

        ngx_memmove(out->start, out->pos, rest);

        out->pos = out->start;
        out->last = out->start + rest;
    }

    if ((size_t) (out->end - out->last) < bytes->len) {
        return NGX_BUSY;
    }

    out->last = ngx_cpymem(out->last, bytes->data, bytes->len);

    /* what others have to say in this turn of the loop goes with it */

    ngx_post_event(link->peer.connection->write, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_http_tccbs_link_idle(ngx_http_tccbs_link_t *link, ngx_uint_t idle)
{
    if (link->peer.connection) {
        link->peer.connection->idle = idle;
    }
}


static void
ngx_http_tccbs_link_read(ngx_event_t *ev)
{
    ssize_t                 n;
    ngx_int_t               rc;
    ngx_connection_t       *c = ev->data;
    ngx_tccbs_resp_t       *reply;
    ngx_http_tccbs_link_t  *link = c->data;
    u_char                  buf[NGX_HTTP_TCCBS_LINK_READ];

    if (c->close) {
        ngx_http_tccbs_link_lost(link, NULL);
        return;
    }

    for ( ;; ) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_tccbs_link_lost(link, "the connection was lost");
            return;
        }

        if (ngx_tccbs_resp_feed(link->reader, buf, n) != NGX_OK) {
            ngx_http_tccbs_link_lost(link, "no memory");
            return;
        }

        for ( ;; ) {
            rc = ngx_tccbs_resp_next(link->reader, &reply);

            if (rc == NGX_AGAIN) {
                break;
            }

            if (rc != NGX_OK) {
                ngx_http_tccbs_link_lost(link, "it does not speak RESP");
                return;
            }

            if (link->reply(link->data, reply) != NGX_OK) {
                ngx_http_tccbs_link_lost(link, "its reply is of no use");
                return;
            }
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_tccbs_link_lost(link, "cannot be read");
    }
}


static void
ngx_http_tccbs_link_write(ngx_event_t *ev)
{
    ssize_t                 n;
    ngx_buf_t              *out;
    ngx_connection_t       *c = ev->data;
    ngx_http_tccbs_link_t  *link = c->data;

    out = link->out;

    while (out->pos < out->last) {

        n = c->send(c, out->pos, out->last - out->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            ngx_http_tccbs_link_lost(link, "the connection was lost");
            return;
        }

        out->pos += n;
    }

    if (out->pos == out->last) {

        /* the login was among it */

        ngx_tccbs_wipe(out->start, out->last - out->start);

        out->pos = out->start;
        out->last = out->start;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_tccbs_link_lost(link, "cannot be written");
    }
}


static void
ngx_http_tccbs_link_lost(ngx_http_tccbs_link_t *link, const char *why)
{
    ngx_http_tccbs_link_close(link);

    link->down(link->data, why);
}


void
ngx_http_tccbs_link_close(ngx_http_tccbs_link_t *link)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = link->peer.connection;

    if (c == NULL) {
        return;
    }

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (c->ssl) {
        c->ssl->no_send_shutdown = !link->connected;
        (void) ngx_ssl_shutdown(c);
    }

    pool = c->pool;

    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }

    if (link->reader) {
        ngx_tccbs_resp_destroy(link->reader);
        link->reader = NULL;
    }

    link->out = NULL;
    link->connected = 0;
    link->peer.connection = NULL;
}
