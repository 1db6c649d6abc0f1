
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_answer.h"
#include "ngx_http_tccbs_count.h"


#define NGX_HTTP_TCCBS_TRACE_MAX  64


typedef struct {
    ngx_uint_t         status;
    ngx_str_t          code;
    ngx_str_t          message;
} ngx_http_tccbs_status_code_t;


static ngx_buf_t *ngx_http_tccbs_answer_body(ngx_http_request_t *r,
    ngx_str_t *id, ngx_str_t *code, ngx_str_t *message);
static void ngx_http_tccbs_answer_head(ngx_http_request_t *r, off_t len);
static ngx_int_t ngx_http_tccbs_answer_header(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_uint_t ngx_http_tccbs_answer_trace(ngx_str_t *trace);
static ngx_int_t ngx_http_tccbs_header_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tccbs_answer_status(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tccbs_answer_ours(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


/* What nginx refuses by itself, in the API's terms. */

static ngx_http_tccbs_status_code_t  ngx_http_tccbs_status_codes[] = {

    { NGX_HTTP_UNAUTHORIZED, ngx_string("UnauthorizedOperation"),
      ngx_string("The request is not authorized.") },

    { NGX_HTTP_FORBIDDEN, ngx_string("IpNotInWhitelist"),
      ngx_string("The request is not allowed from here.") },

    { NGX_HTTP_NOT_FOUND, ngx_string("InvalidRequest"),
      ngx_string("There is no API here.") },

    { NGX_HTTP_NOT_ALLOWED, ngx_string("UnsupportedProtocol"),
      ngx_string("The gateway takes POST requests with a JSON body only.") },

    { NGX_HTTP_REQUEST_TIME_OUT, ngx_string("InvalidRequest"),
      ngx_string("The request did not arrive in time.") },

    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
      ngx_string("RequestSizeLimitExceeded"),
      ngx_string("The body of the request is too large.") },

    { NGX_HTTP_REQUEST_URI_TOO_LARGE, ngx_string("RequestSizeLimitExceeded"),
      ngx_string("The URI of the request is too large.") },

    { NGX_HTTP_REQUEST_HEADER_TOO_LARGE,
      ngx_string("RequestSizeLimitExceeded"),
      ngx_string("A header of the request is too large.") },

    { NGX_HTTP_TOO_MANY_REQUESTS, ngx_string("RequestLimitExceeded"),
      ngx_string("There are too many requests.") },

    { NGX_HTTP_NOT_IMPLEMENTED, ngx_string("UnsupportedProtocol"),
      ngx_string("The gateway does not know this transfer coding.") },

    { NGX_HTTP_VERSION_NOT_SUPPORTED, ngx_string("UnsupportedProtocol"),
      ngx_string("The gateway does not know this version of HTTP.") },

    { NGX_HTTPS_CERT_ERROR, ngx_string("AuthFailure.InvalidAuthorization"),
      ngx_string("The client certificate is not valid.") },

    { NGX_HTTPS_NO_CERT, ngx_string("AuthFailure.InvalidAuthorization"),
      ngx_string("A client certificate is required.") },

    { NGX_HTTP_TO_HTTPS, ngx_string("UnsupportedProtocol"),
      ngx_string("The gateway is reached by HTTPS.") },

    { NGX_HTTP_SERVICE_UNAVAILABLE, ngx_string("ServiceUnavailable"),
      ngx_string("The gateway does not take the request now.") }
};

static ngx_http_tccbs_status_code_t  ngx_http_tccbs_client_error = {
    NGX_HTTP_BAD_REQUEST, ngx_string("InvalidRequest"),
    ngx_string("The request is malformed.")
};

static ngx_http_tccbs_status_code_t  ngx_http_tccbs_server_error = {
    NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_string("InternalError"),
    ngx_string("The gateway failed; nothing was sent to Tencent Cloud.")
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_tccbs_answer(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_str_t         body, *id, *outcome;
    ngx_chain_t       out;
    ngx_tccbs_out_t   json;

    if (ctx->error.code.len) {

        id = ctx->reply.tcid.len ? &ctx->reply.tcid : &ctx->id;

        b = ngx_http_tccbs_answer_body(r, id, &ctx->error.code,
                                       &ctx->error.message);
        if (b == NULL) {
            return NGX_ERROR;
        }

    } else if (ctx->stored.len) {

        b = ngx_calloc_buf(r->pool);

        if (b == NULL
            || ngx_http_tccbs_answer_header(r, "X-Tccbs-Duplicate-Of",
                                            &ctx->original)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        b->pos = ctx->stored.data;
        b->last = ctx->stored.data + ctx->stored.len;
        b->memory = 1;

    } else if (ctx->reply.tree == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        ngx_tccbs_out_init(&json, r->pool, ctx->attempt.size + 64);
        ngx_tccbs_reply_write(&ctx->reply, &json);

        b = ngx_calloc_buf(r->pool);

        if (b == NULL || json.failed) {
            return NGX_ERROR;
        }

        body = ngx_tccbs_out_str(&json);

        b->pos = body.data;
        b->last = body.data + body.len;
        b->memory = 1;
    }

    outcome = &ngx_tccbs_outcomes[ctx->outcome ? ctx->outcome
                                               : NGX_TCCBS_NOT_SENT];

    if (ctx->attempt.started && ctx->receipt.len
        && ngx_http_tccbs_answer_header(r, "X-Tccbs-Receipt", &ctx->receipt)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_tccbs_answer_header(r, "X-Tccbs-Id", &ctx->id) != NGX_OK
        || ngx_http_tccbs_answer_header(r, "X-Tccbs-Outcome", outcome)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->pending) {
        ngx_str_set(&body, "pending");

        if (ngx_http_tccbs_answer_header(r, "X-Tccbs-Audit", &body) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ctx->retry_after) {
        body.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (body.data == NULL) {
            return NGX_ERROR;
        }

        body.len = ngx_sprintf(body.data, "%ui", ctx->retry_after) - body.data;

        if (ngx_http_tccbs_answer_header(r, "Retry-After", &body) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_tccbs_answer_trace(&ctx->headers.trace)
        && ngx_http_tccbs_answer_header(r, "X-TC-TraceId",
                                        &ctx->headers.trace)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->answered = 1;

    ngx_http_tccbs_answer_head(r, b->last - b->pos);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_buf_t *
ngx_http_tccbs_answer_body(ngx_http_request_t *r, ngx_str_t *id,
    ngx_str_t *code, ngx_str_t *message)
{
    ngx_buf_t        *b;
    ngx_str_t         body;
    ngx_tccbs_out_t   out;

    ngx_tccbs_out_init(&out, r->pool, 256);

    ngx_tccbs_out_lit(&out, "{\"Response\":{\"Error\":{\"Code\":");
    ngx_tccbs_out_string(&out, code);
    ngx_tccbs_out_lit(&out, ",\"Message\":");
    ngx_tccbs_out_string(&out, message);
    ngx_tccbs_out_lit(&out, "},\"RequestId\":");
    ngx_tccbs_out_string(&out, id);
    ngx_tccbs_out_lit(&out, "}}");

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || out.failed) {
        return NULL;
    }

    body = ngx_tccbs_out_str(&out);

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = 1;

    return b;
}


static void
ngx_http_tccbs_answer_head(ngx_http_request_t *r, off_t len)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.status_line.len = 0;
    r->headers_out.content_length_n = len;

    /*
     * Anything behind the type makes the Python SDK take an error for success:
     * with another "length of the type" no filter adds a charset.
     */

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = 0;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset.len = 0;

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif
}


static ngx_int_t
ngx_http_tccbs_answer_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tccbs_answer_trace(ngx_str_t *trace)
{
    u_char  c;
    size_t  i;

    if (trace->len == 0 || trace->len > NGX_HTTP_TCCBS_TRACE_MAX) {
        return 0;
    }

    for (i = 0; i < trace->len; i++) {
        c = trace->data[i] | 0x20;

        if ((c < '0' || c > '9') && (c < 'a' || c > 'z')
            && trace->data[i] != '-')
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_tccbs_header_filter(ngx_http_request_t *r)
{
    ngx_str_t                      id;
    ngx_uint_t                     i, status;
    ngx_http_tccbs_ctx_t          *ctx;
    ngx_http_tccbs_status_code_t  *sc;

    if (r != r->main || r->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE
        || !ngx_http_tccbs_answer_ours(r))
    {
        return ngx_http_next_header_filter(r);
    }

    status = ngx_http_tccbs_answer_status(r);

    sc = (status < NGX_HTTP_INTERNAL_SERVER_ERROR)
         ? &ngx_http_tccbs_client_error : &ngx_http_tccbs_server_error;

    for (i = 0;
         i < sizeof(ngx_http_tccbs_status_codes)
             / sizeof(ngx_http_tccbs_status_codes[0]);
         i++)
    {
        if (ngx_http_tccbs_status_codes[i].status == status) {
            sc = &ngx_http_tccbs_status_codes[i];
            break;
        }
    }

    /* the request may have an id already, and a context that errors zeroed */

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx) {
        id = ctx->id;

    } else {
        id.len = NGX_TCCBS_UUID_LEN;
        id.data = ngx_pnalloc(r->pool, id.len);

        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_tccbs_ctx_t));

        if (id.data == NULL || ctx == NULL || ngx_tccbs_uuid(id.data) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->request = r;
        ctx->id = id;

        ngx_http_set_ctx(r, ctx, ngx_http_tccbs_module);

        ngx_http_tccbs_count_answer(ngx_http_get_module_main_conf(r,
                                                     ngx_http_tccbs_module),
                                    &sc->code);
    }

    ctx->body_out = ngx_http_tccbs_answer_body(r, &id, &sc->code,
                                               &sc->message);
    if (ctx->body_out == NULL) {
        return NGX_ERROR;
    }

    ctx->replaced = 1;
    ctx->error.code = sc->code;

    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_http_clear_location(r);

    ngx_http_tccbs_answer_head(r, ctx->body_out->last - ctx->body_out->pos);

    return ngx_http_next_header_filter(r);
}


/* nginx says 400 in place of its own codes: what it was is found again. */

static ngx_uint_t
ngx_http_tccbs_answer_status(ngx_http_request_t *r)
{
    long                      rc;
    X509                     *cert;
    ngx_connection_t         *c;
    ngx_http_ssl_srv_conf_t  *sscf;

    if (r->headers_out.status != NGX_HTTP_BAD_REQUEST) {
        return r->headers_out.status;
    }

    c = r->connection;

    if (r->http_connection->ssl && c->ssl == NULL) {
        return NGX_HTTP_TO_HTTPS;
    }

    /* of the errors in a header only this one wants the rest to be read */

    if (r->lingering_close) {
        return NGX_HTTP_REQUEST_HEADER_TOO_LARGE;
    }

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_ssl_module);

    if (c->ssl == NULL || sscf->verify != 1) {
        return NGX_HTTP_BAD_REQUEST;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        return NGX_HTTPS_CERT_ERROR;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);

    if (cert == NULL) {
        return NGX_HTTPS_NO_CERT;
    }

    X509_free(cert);

    return NGX_HTTP_BAD_REQUEST;
}


/* Whether an error of nginx itself was on the way to the API. */

static ngx_uint_t
ngx_http_tccbs_answer_ours(ngx_http_request_t *r)
{
    ngx_http_tccbs_ctx_t       *ctx;
    ngx_http_core_srv_conf_t   *cscf;
    ngx_http_tccbs_loc_conf_t  *lcf;
    ngx_http_tccbs_srv_conf_t  *scf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (ctx && (ctx->answered || ctx->replaced)) {
        return 0;
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_tccbs_module);

    if (lcf->pass) {
        return 1;
    }

    /* no location was found yet */

    scf = ngx_http_get_module_srv_conf(r, ngx_http_tccbs_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return scf->pass && r->loc_conf == cscf->ctx->loc_conf;
}


static ngx_int_t
ngx_http_tccbs_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t             *b;
    ngx_chain_t            out, *cl;
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (r != r->main || in == NULL || ctx == NULL || !ctx->replaced) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    b = ctx->body_out;

    if (b == NULL) {
        return NGX_OK;
    }

    ctx->body_out = NULL;

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


ngx_int_t
ngx_http_tccbs_answer_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_tccbs_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_tccbs_body_filter;

    return NGX_OK;
}
