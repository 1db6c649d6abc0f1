
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_attempt.h"
#include "ngx_http_tccbs_outcome.h"


#define NGX_HTTP_TCCBS_INFORMATIONAL  8        /* 1xx answers in a row */
#define NGX_HTTP_TCCBS_BODY_STEP      4096


static ngx_int_t ngx_http_tccbs_attempt_done(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_tccbs_create_request(ngx_http_request_t *r);
static ngx_str_t *ngx_http_tccbs_language(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_output_filter(void *data, ngx_chain_t *in);
static ngx_int_t ngx_http_tccbs_process_status_line(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_process_field(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt);
static ngx_int_t ngx_http_tccbs_invalid(ngx_http_request_t *r,
    const char *what);
static ngx_int_t ngx_http_tccbs_filter_init(void *data);
static ngx_int_t ngx_http_tccbs_filter(void *data, ssize_t bytes);
static ngx_int_t ngx_http_tccbs_filter_chunked(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_buf_t *b);
static ngx_int_t ngx_http_tccbs_collect(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, u_char *data, size_t len);
static void ngx_http_tccbs_complete(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_uint_t surplus);
static void ngx_http_tccbs_abort_request(ngx_http_request_t *r);
static void ngx_http_tccbs_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);


ngx_int_t
ngx_http_tccbs_attempt_start(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_request_t          *sr;
    ngx_http_tccbs_attempt_t    *attempt;
    ngx_http_post_subrequest_t  *ps;

    attempt = &ctx->attempt;

    ngx_memzero(attempt, sizeof(ngx_http_tccbs_attempt_t));

    attempt->ctx = ctx;
    attempt->length = -1;
    attempt->start = ngx_current_msec;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_tccbs_attempt_done;
    ps->data = attempt;

    if (ngx_http_subrequest(r, &r->uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_CLONE
                            |NGX_HTTP_SUBREQUEST_IN_MEMORY
                            |NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sr->upstream_states = r->upstream_states;

    ngx_http_set_ctx(sr, ctx, ngx_http_tccbs_module);

    attempt->request = sr;
    attempt->started = 1;

    return NGX_OK;
}


/* Only records: the caller's request may be gone when this is called. */

static ngx_int_t
ngx_http_tccbs_attempt_done(ngx_http_request_t *r, void *data, ngx_int_t rc)
{
    ngx_http_tccbs_attempt_t *attempt = data;

    r->parent->upstream_states = r->upstream_states;

    /* without an upstream there was no finalize_request() */

    ngx_http_tccbs_settle(attempt->ctx);

    attempt->done = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_attempt_handler(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_upstream_t        *u;
    ngx_http_tccbs_loc_conf_t  *lcf;

    lcf = ctx->lcf;

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u = r->upstream;

    u->ssl = (lcf->upstream.ssl != NULL);

    if (u->ssl) {
        ngx_str_set(&u->schema, "https://");

    } else {
        ngx_str_set(&u->schema, "http://");
    }

    u->output.tag = (ngx_buf_tag_t) &ngx_http_tccbs_module;
    u->output.output_filter = ngx_http_tccbs_output_filter;
    u->output.filter_ctx = r;

    u->conf = &lcf->upstream;

    u->create_request = ngx_http_tccbs_create_request;
    u->reinit_request = ngx_http_tccbs_reinit_request;
    u->process_header = ngx_http_tccbs_process_status_line;
    u->abort_request = ngx_http_tccbs_abort_request;
    u->finalize_request = ngx_http_tccbs_finalize_request;

    u->input_filter_init = ngx_http_tccbs_filter_init;
    u->input_filter = ngx_http_tccbs_filter;
    u->input_filter_ctx = r;

    r->main->count++;

    ngx_http_upstream_init(r);

    return NGX_DONE;
}


/* Everything in here is ours or was validated: no byte of the caller passes. */

static ngx_int_t
ngx_http_tccbs_create_request(ngx_http_request_t *r)
{
    time_t                        now;
    size_t                        len;
    ngx_buf_t                    *b;
    ngx_str_t                     timestamp, authorization, body, *action,
                                 *language;
    ngx_chain_t                  *cl;
    ngx_tccbs_out_t               out;
    ngx_http_tccbs_ctx_t         *ctx;
    ngx_http_tccbs_credential_t  *credential;
    u_char                        stamp[NGX_TIME_T_LEN];

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);
    credential = ctx->account->credential;
    action = &ngx_tccbs_actions[ctx->call.action];
    language = ngx_http_tccbs_language(ctx);

    ngx_tccbs_out_init(&out, r->pool, 512);
    ngx_tccbs_call_write(&ctx->call, &out);

    if (out.failed) {
        return NGX_ERROR;
    }

    body = ngx_tccbs_out_str(&out);

    now = ngx_time();

    timestamp.data = stamp;
    timestamp.len = ngx_sprintf(stamp, "%T", now) - stamp;

    if (ngx_http_tccbs_credential_sign(credential, r->pool, now, &timestamp,
                                       &ctx->lcf->name, action, &body,
                                       &authorization)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof("POST / HTTP/1.1" CRLF "Host: " CRLF "Content-Type: " CRLF
                 "Content-Length: " CRLF "Authorization: " CRLF
                 "X-TC-Action: " CRLF "X-TC-Version: 2017-03-12" CRLF
                 "X-TC-Region: " CRLF "X-TC-Timestamp: " CRLF
                 "X-TC-RequestClient: tccbs" CRLF "X-TC-TraceId: " CRLF
                 "X-TC-Token: " CRLF "X-TC-Language: " CRLF CRLF)
          + ctx->lcf->name.len + ngx_http_tccbs_content_type.len
          + NGX_OFF_T_LEN + authorization.len + action->len
          + ctx->call.from.len + timestamp.len + ctx->id.len
          + credential->token.len + language->len + body.len;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_sprintf(b->last, "POST / HTTP/1.1" CRLF
                          "Host: %V" CRLF
                          "Content-Type: %V" CRLF
                          "Content-Length: %uz" CRLF
                          "Authorization: %V" CRLF
                          "X-TC-Action: %V" CRLF
                          "X-TC-Version: 2017-03-12" CRLF
                          "X-TC-Region: %V" CRLF
                          "X-TC-Timestamp: %V" CRLF
                          "X-TC-RequestClient: tccbs" CRLF
                          "X-TC-TraceId: %V" CRLF,
                          &ctx->lcf->name, &ngx_http_tccbs_content_type,
                          body.len, &authorization, action, &ctx->call.from,
                          &timestamp, &ctx->id);

    if (credential->token.len) {
        b->last = ngx_sprintf(b->last, "X-TC-Token: %V" CRLF,
                              &credential->token);
    }

    if (language->len) {
        b->last = ngx_sprintf(b->last, "X-TC-Language: %V" CRLF, language);
    }

    b->last = ngx_cpymem(b->last, CRLF, 2);
    b->last = ngx_cpymem(b->last, body.data, body.len);
    b->last_buf = 1;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;

    r->upstream->request_bufs = cl;

    return NGX_OK;
}


/* One of the two that exist, or none. */

static ngx_str_t *
ngx_http_tccbs_language(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t   *language;

    static ngx_str_t  languages[] = {
        ngx_string("zh-CN"),
        ngx_string("en-US"),
        ngx_null_string
    };

    for (language = languages; language->len; language++) {
        if (ctx->headers.language.len == language->len
            && ngx_strncmp(ctx->headers.language.data, language->data,
                           language->len)
               == 0)
        {
            break;
        }
    }

    return language;
}


/* Another peer, nothing was written so far: a fresh timestamp and signature. */

static ngx_int_t
ngx_http_tccbs_reinit_request(ngx_http_request_t *r)
{
    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    attempt = &ctx->attempt;

    if (attempt->wrote) {
        return NGX_ERROR;
    }

    ngx_memzero(&attempt->status, sizeof(ngx_http_status_t));
    ngx_memzero(&attempt->chunked, sizeof(ngx_http_chunked_t));

    r->state = 0;
    r->upstream->process_header = ngx_http_tccbs_process_status_line;

    return ngx_http_tccbs_create_request(r);
}


/*
 * The one place where bytes meet a connection.  nginx keeps idle connections
 * by address alone, so that one made by another location, without verification
 * or with another CA, may be offered here: it is refused before a byte is
 * written.
 */

static ngx_int_t
ngx_http_tccbs_output_filter(void *data, ngx_chain_t *in)
{
    ngx_http_request_t *r = data;

    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_upstream_t   *u;
    ngx_http_tccbs_ctx_t  *ctx;

    u = r->upstream;
    c = u->peer.connection;

    if (u->ssl
        && (c->ssl == NULL
            || SSL_get_SSL_CTX(c->ssl->connection) != u->conf->ssl->ctx
            || SSL_get_verify_result(c->ssl->connection) != X509_V_OK))
    {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "the upstream connection was made by another location, "
                      "use an \"upstream\" block of its own for tccbs_pass");
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (in && !ctx->attempt.wrote) {
        ctx->attempt.wrote = 1;
        ctx->flight->state = NGX_HTTP_TCCBS_FLIGHT_SENDING;
        ngx_memory_barrier();
    }

    rc = ngx_chain_writer(&u->writer, in);

    ctx->attempt.sent = c->sent;

    return rc;
}


static ngx_int_t
ngx_http_tccbs_process_status_line(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_upstream_t       *u;
    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;
    attempt = &ctx->attempt;

    rc = ngx_http_parse_status_line(r, &u->buffer, &attempt->status);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_ERROR) {
        return ngx_http_tccbs_invalid(r, "status line");
    }

    if (attempt->status.code == NGX_HTTP_SWITCHING_PROTOCOLS) {
        return ngx_http_tccbs_invalid(r, "101 answer");
    }

    if (u->state && u->state->status == 0) {
        u->state->status = attempt->status.code;
    }

    u->headers_in.status_n = attempt->status.code;
    attempt->close = (attempt->status.http_version < NGX_HTTP_VERSION_11);

    u->process_header = ngx_http_tccbs_process_header;

    return ngx_http_tccbs_process_header(r);
}


static ngx_int_t
ngx_http_tccbs_process_header(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_upstream_t       *u;
    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    u = r->upstream;
    attempt = &ctx->attempt;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(r, &u->buffer, 1);

        if (rc == NGX_OK) {

            if (ngx_http_tccbs_process_field(r, attempt) != NGX_OK) {
                return NGX_HTTP_UPSTREAM_INVALID_HEADER;
            }

            continue;
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_HTTP_PARSE_HEADER_DONE) {
            return ngx_http_tccbs_invalid(r, "header line");
        }

        break;
    }

    if (attempt->status.code < 200) {

        if (++attempt->informational > NGX_HTTP_TCCBS_INFORMATIONAL) {
            return ngx_http_tccbs_invalid(r, "row of 1xx answers");
        }

        ngx_memzero(&attempt->status, sizeof(ngx_http_status_t));

        attempt->length = -1;
        attempt->have_chunked = 0;

        if (u->state) {
            u->state->status = 0;
        }

        r->state = 0;
        u->process_header = ngx_http_tccbs_process_status_line;

        return ngx_http_tccbs_process_status_line(r);
    }

    if (attempt->have_chunked && attempt->length != -1) {
        return ngx_http_tccbs_invalid(r, "pair of length and transfer coding");
    }

    if (attempt->have_chunked
        && attempt->status.http_version < NGX_HTTP_VERSION_11)
    {
        return ngx_http_tccbs_invalid(r, "transfer coding in HTTP/1.0");
    }

    attempt->header = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_process_field(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt)
{
    ngx_str_t  name, value;

    name.data = r->header_name_start;
    name.len = r->header_name_end - r->header_name_start;
    value.data = r->header_start;
    value.len = r->header_end - r->header_start;

#define ngx_http_tccbs_is(s, text)                                            \
    (s.len == sizeof(text) - 1                                                \
     && ngx_strncasecmp(s.data, (u_char *) text, sizeof(text) - 1) == 0)

    if (ngx_http_tccbs_is(name, "content-length")) {

        if (attempt->length != -1) {
            return ngx_http_tccbs_invalid(r, "second content length");
        }

        attempt->length = ngx_atoof(value.data, value.len);

        if (attempt->length == NGX_ERROR) {
            attempt->length = -1;
            return ngx_http_tccbs_invalid(r, "content length");
        }

    } else if (ngx_http_tccbs_is(name, "transfer-encoding")) {

        if (attempt->have_chunked || !ngx_http_tccbs_is(value, "chunked")) {
            return ngx_http_tccbs_invalid(r, "transfer coding");
        }

        attempt->have_chunked = 1;

    } else if (ngx_http_tccbs_is(name, "content-encoding")) {

        return ngx_http_tccbs_invalid(r, "content coding");

    } else if (ngx_http_tccbs_is(name, "connection")) {

        if (!ngx_http_tccbs_is(value, "keep-alive")) {
            attempt->close = 1;
        }
    }

#undef ngx_http_tccbs_is

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_invalid(ngx_http_request_t *r, const char *what)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream sent an invalid %s", what);

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


static ngx_int_t
ngx_http_tccbs_filter_init(void *data)
{
    ngx_http_request_t *r = data;

    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    attempt = &ctx->attempt;

    if (attempt->have_chunked) {
        r->upstream->length = 1;
        return NGX_OK;
    }

    r->upstream->length = attempt->length;
    attempt->rest = attempt->length;

    if (attempt->length > (off_t) ctx->lcf->response_size) {
        attempt->oversized = 1;
        return NGX_ERROR;
    }

    if (attempt->length == 0) {
        ngx_http_tccbs_complete(r, attempt,
                                r->upstream->buffer.last
                                - r->upstream->buffer.pos);
    }

    return NGX_OK;
}


/* The new bytes lie at u->buffer.last; not moving it lets nginx reuse it. */

static ngx_int_t
ngx_http_tccbs_filter(void *data, ssize_t bytes)
{
    ngx_http_request_t *r = data;

    size_t                     len;
    ngx_buf_t                  b;
    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    attempt = &ctx->attempt;

    if (attempt->complete) {
        r->upstream->keepalive = 0;
        return NGX_OK;
    }

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.pos = r->upstream->buffer.last;
    b.last = b.pos + bytes;

    if (attempt->have_chunked) {
        return ngx_http_tccbs_filter_chunked(r, attempt, &b);
    }

    len = bytes;

    if (attempt->length != -1) {
        len = ngx_min((off_t) bytes, attempt->rest);
        attempt->rest -= len;
        r->upstream->length = attempt->rest;
    }

    if (ngx_http_tccbs_collect(r, attempt, b.pos, len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (attempt->length != -1 && attempt->rest == 0) {
        ngx_http_tccbs_complete(r, attempt, (size_t) bytes - len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_filter_chunked(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_buf_t *b)
{
    size_t     len;
    ngx_int_t  rc;

    for ( ;; ) {

        rc = ngx_http_tccbs_parse_chunked(r, b, &attempt->chunked);

        if (rc == NGX_OK) {

            len = ngx_min((off_t) (b->last - b->pos), attempt->chunked.size);

            if (ngx_http_tccbs_collect(r, attempt, b->pos, len) != NGX_OK) {
                return NGX_ERROR;
            }

            b->pos += len;
            attempt->chunked.size -= len;

            continue;
        }

        if (rc == NGX_DONE) {
            r->upstream->length = 0;
            ngx_http_tccbs_complete(r, attempt, b->last - b->pos);
            return NGX_OK;
        }

        if (rc == NGX_AGAIN) {
            r->upstream->length = 1;
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent an invalid chunked answer");

        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_tccbs_collect(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, u_char *data, size_t len)
{
    u_char  *p;
    size_t   room, limit;

    limit = attempt->ctx->lcf->response_size;

    if (len > limit - attempt->size) {
        attempt->oversized = 1;

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream sent an answer of more than %uz bytes", limit);
        return NGX_ERROR;
    }

    if (attempt->room - attempt->size < len) {

        room = ngx_max(2 * attempt->room, attempt->size + len);
        room = ngx_max(room, NGX_HTTP_TCCBS_BODY_STEP);

        if (attempt->length != -1 && attempt->room == 0) {
            room = attempt->length;
        }

        p = ngx_pnalloc(r->pool, room);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (attempt->size) {
            ngx_memcpy(p, attempt->body, attempt->size);
            (void) ngx_pfree(r->pool, attempt->body);
        }

        attempt->body = p;
        attempt->room = room;
    }

    ngx_memcpy(attempt->body + attempt->size, data, len);
    attempt->size += len;

    return NGX_OK;
}


/* Surplus bytes mean that the connection is out of step: it is not reused. */

static void
ngx_http_tccbs_complete(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_uint_t surplus)
{
    attempt->complete = 1;

    r->upstream->length = 0;
    r->upstream->keepalive = (!attempt->close && surplus == 0);

    if (surplus) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "upstream sent more data than its answer has");
    }
}


static void
ngx_http_tccbs_abort_request(ngx_http_request_t *r)
{
    return;
}


/*
 * Called in every ending of the exchange, also when the client is gone and
 * when the worker shuts down: here the outcome is decided and recorded.
 */

static void
ngx_http_tccbs_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_tccbs_ctx_t      *ctx;
    ngx_http_tccbs_attempt_t  *attempt;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx == NULL) {
        return;
    }

    attempt = &ctx->attempt;

    attempt->ms = ngx_current_msec - attempt->start;
    attempt->timedout |= (rc == NGX_HTTP_GATEWAY_TIME_OUT);

    /* without a length the answer ends with the connection, if cleanly */

    if (rc == 0 && attempt->header && !attempt->have_chunked
        && attempt->length == -1)
    {
        attempt->complete = 1;
    }

    ngx_http_tccbs_settle(ctx);
}


void
ngx_http_tccbs_attempt_expire(ngx_http_tccbs_attempt_t *attempt)
{
    ngx_event_t          *ev;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = attempt->request ? attempt->request->upstream : NULL;

    if (u == NULL || u->peer.connection == NULL) {
        return;
    }

    attempt->timedout = 1;

    c = u->peer.connection;

    /* the timer that runs tells what nginx waits for */

    ev = c->write->timer_set ? c->write : c->read;

    ev->timedout = 1;
    ev->handler(ev);
}
