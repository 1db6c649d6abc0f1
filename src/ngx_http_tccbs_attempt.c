
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_attempt.h"
#include "ngx_http_tccbs_count.h"
#include "ngx_http_tccbs_duplicate.h"
#include "ngx_http_tccbs_outcome.h"
#include "ngx_http_tccbs_receive.h"


/* of an account's name, in what Tencent is told of the client */

#define NGX_HTTP_TCCBS_CLIENT_MAX  64

#define NGX_HTTP_TCCBS_REQUEST     1024        /* what the head takes, mostly */

#define NGX_HTTP_TCCBS_CLIENT  "tccbs/" NGX_HTTP_TCCBS_VERSION "; account="


static ngx_int_t ngx_http_tccbs_attempt_done(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_tccbs_create_request(ngx_http_request_t *r);
static void ngx_http_tccbs_line(ngx_tccbs_out_t *out, const char *name,
    const ngx_str_t *value);
static void ngx_http_tccbs_client(ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *client);
static ngx_str_t *ngx_http_tccbs_language(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_output_filter(void *data, ngx_chain_t *in);
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

    ngx_http_tccbs_count_attempt(ctx);

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
    time_t                 now;
    ngx_buf_t             *b;
    ngx_int_t              rc;
    ngx_str_t              timestamp, authorization, token, body, client,
                          *action, *language;
    ngx_chain_t           *cl;
    ngx_tccbs_out_t        out;
    ngx_http_tccbs_ctx_t  *ctx;
    u_char                 stamp[NGX_TIME_T_LEN];
    u_char                 name[sizeof(NGX_HTTP_TCCBS_CLIENT)
                                + NGX_HTTP_TCCBS_CLIENT_MAX];

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    client.data = name;
    ngx_http_tccbs_client(ctx, &client);

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

    rc = ngx_http_tccbs_credential_sign(ctx->account->credential, r->pool, now,
                                        &ctx->signer, &timestamp,
                                        &ctx->lcf->name, action, &body,
                                        &authorization, &token);

    if (rc != NGX_OK) {
        ctx->attempt.rotated = (rc == NGX_DECLINED);
        return NGX_ERROR;
    }

    ngx_tccbs_out_init(&out, r->pool, NGX_HTTP_TCCBS_REQUEST + body.len);

    ngx_tccbs_out_lit(&out, "POST / HTTP/1.1" CRLF "Content-Length: ");
    ngx_tccbs_out_uint(&out, body.len);
    ngx_tccbs_out_lit(&out, CRLF "X-TC-Version: 2017-03-12" CRLF);

    ngx_http_tccbs_line(&out, "Host: ", &ctx->lcf->name);
    ngx_http_tccbs_line(&out, "Content-Type: ", &ngx_tccbs_tc3_json);
    ngx_http_tccbs_line(&out, "Authorization: ", &authorization);
    ngx_http_tccbs_line(&out, "X-TC-Action: ", action);
    ngx_http_tccbs_line(&out, "X-TC-Region: ", &ctx->call.from);
    ngx_http_tccbs_line(&out, "X-TC-Timestamp: ", &timestamp);
    ngx_http_tccbs_line(&out, "X-TC-RequestClient: ", &client);
    ngx_http_tccbs_line(&out, "X-TC-TraceId: ", &ctx->id);
    ngx_http_tccbs_line(&out, "X-TC-Token: ", &token);
    ngx_http_tccbs_line(&out, "X-TC-Language: ", language);

    ngx_tccbs_out_lit(&out, CRLF);
    ngx_tccbs_out_raw(&out, body.data, body.len);

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || out.failed) {
        return NGX_ERROR;
    }

    b->start = out.start;
    b->pos = out.start;
    b->last = out.pos;
    b->end = out.end;
    b->temporary = 1;
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


static void
ngx_http_tccbs_line(ngx_tccbs_out_t *out, const char *name,
    const ngx_str_t *value)
{
    if (value->len) {
        ngx_tccbs_out_raw(out, (const u_char *) name, ngx_strlen(name));
        ngx_tccbs_out_raw(out, value->data, value->len);
        ngx_tccbs_out_lit(out, CRLF);
    }
}


/* Who it was, for the records of Tencent: names may have any characters. */

static void
ngx_http_tccbs_client(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *client)
{
    u_char     *p, c;
    size_t      i;
    ngx_str_t  *account;

    account = &ctx->account->name;

    p = ngx_cpymem(client->data, NGX_HTTP_TCCBS_CLIENT,
                   sizeof(NGX_HTTP_TCCBS_CLIENT) - 1);

    for (i = 0; i < ngx_min(account->len, NGX_HTTP_TCCBS_CLIENT_MAX); i++) {

        c = account->data[i];

        *p++ = ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9') || c == '-' || c == '.')
               ? c : '_';
    }

    client->len = p - client->data;
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

        /* a handshake takes time: what was revoked meanwhile does not leave */

        if (!ngx_http_tccbs_credential_current(ctx->account->credential,
                                               ngx_time(), &ctx->signer))
        {
            ctx->attempt.rotated = 1;
            return NGX_ERROR;
        }

        ctx->attempt.wrote = 1;
        ctx->flight->state = NGX_HTTP_TCCBS_FLIGHT_SENDING;
        ngx_http_tccbs_duplicate_sent(ctx);
        ngx_memory_barrier();
    }

    rc = ngx_chain_writer(&u->writer, in);

    ctx->attempt.sent = c->sent;

    return rc;
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
