
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_receive.h"


#define NGX_HTTP_TCCBS_INFORMATIONAL  8        /* 1xx answers in a row */
#define NGX_HTTP_TCCBS_BODY_STEP      4096


static ngx_int_t ngx_http_tccbs_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_process_field(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt);
static ngx_int_t ngx_http_tccbs_invalid(ngx_http_request_t *r,
    const char *what);
static ngx_int_t ngx_http_tccbs_filter_chunked(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_buf_t *b);
static ngx_int_t ngx_http_tccbs_collect(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, u_char *data, size_t len);
static void ngx_http_tccbs_complete(ngx_http_request_t *r,
    ngx_http_tccbs_attempt_t *attempt, ngx_uint_t surplus);


ngx_int_t
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
    time_t     date;
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

    } else if (ngx_http_tccbs_is(name, "date")) {

        date = ngx_parse_http_time(value.data, value.len);

        if (date != NGX_ERROR) {
            ngx_http_tccbs_metrics_skew(date);
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


ngx_int_t
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

ngx_int_t
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
