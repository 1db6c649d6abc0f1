
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_headers.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_tccbs_text.h"
#include "ngx_tccbs_trace.h"


#define NGX_HTTP_TCCBS_HEADER_MAX  8192


typedef struct {
    ngx_str_t          name;
    size_t             offset;
    const char        *repeated;             /* the code when it is */
} ngx_http_tccbs_header_t;


typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  only;         /* value, none if empty */
    ngx_uint_t                 version;      /* of HTTP, and above */
} ngx_http_tccbs_refused_t;


static ngx_int_t ngx_http_tccbs_shape_target(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_shape_headers(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_shape_other(ngx_http_tccbs_ctx_t *ctx,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_tccbs_shape_header(ngx_http_tccbs_ctx_t *ctx,
    ngx_table_elt_t *h);
static void ngx_http_tccbs_shape_trace(ngx_http_tccbs_ctx_t *ctx,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_tccbs_shape_type(ngx_http_tccbs_ctx_t *ctx);


#define ngx_http_tccbs_header(name, field)                                    \
    { ngx_string(name), offsetof(ngx_http_tccbs_headers_t, field),            \
      "InvalidParameter" }

static ngx_http_tccbs_header_t  ngx_http_tccbs_headers[] = {
    { ngx_string("authorization"),
      offsetof(ngx_http_tccbs_headers_t, authorization),
      "AuthFailure.InvalidAuthorization" },
    ngx_http_tccbs_header("host", host),
    ngx_http_tccbs_header("content-type", content_type),
    ngx_http_tccbs_header("x-tc-action", action),
    ngx_http_tccbs_header("x-tc-version", version),
    ngx_http_tccbs_header("x-tc-region", region),
    ngx_http_tccbs_header("x-tc-timestamp", timestamp),
    ngx_http_tccbs_header("x-tc-token", token),
    ngx_http_tccbs_header("x-tc-language", language),
    ngx_http_tccbs_header("x-tc-requestclient", client),
    ngx_http_tccbs_header("x-tc-traceid", trace),
    ngx_http_tccbs_header("x-tc-content-sha256", payload),
    { ngx_null_string, 0, NULL }
};


/*
 * What would change what the body is or where it ends, and the fields of a
 * connection, of which HTTP/2 has none (RFC 9113, 8.2.2): nginx before 1.31.0
 * lets some of them pass.  Curl and the C++ SDK expect to go on before a longer
 * body.
 */

static ngx_http_tccbs_refused_t  ngx_http_tccbs_refused[] = {
    { ngx_string("content-encoding"), ngx_null_string, 0 },
    { ngx_string("expect"), ngx_string("100-continue"), 0 },
    { ngx_string("trailer"), ngx_null_string, 0 },
    { ngx_string("upgrade"), ngx_null_string, 0 },
    { ngx_string("connection"), ngx_null_string, NGX_HTTP_VERSION_20 },
    { ngx_string("keep-alive"), ngx_null_string, NGX_HTTP_VERSION_20 },
    { ngx_string("proxy-connection"), ngx_null_string, NGX_HTTP_VERSION_20 },
    { ngx_string("te"), ngx_string("trailers"), NGX_HTTP_VERSION_20 },
    { ngx_string("transfer-encoding"), ngx_null_string, NGX_HTTP_VERSION_20 },
    { ngx_null_string, ngx_null_string, 0 }
};


ngx_int_t
ngx_http_tccbs_shape(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_tccbs_shape_target(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_shape_headers(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_shape_type(ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_tccbs_shape_target(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    if (r->method != NGX_HTTP_POST) {
        return ngx_http_tccbs_refuse(ctx, "UnsupportedProtocol", "method",
                                     "The gateway takes POST requests with a "
                                     "JSON body only.");
    }

    if (r->http_version < NGX_HTTP_VERSION_11) {
        return ngx_http_tccbs_refuse(ctx, "UnsupportedProtocol", "version",
                                     "The gateway takes HTTP/1.1 and above.");
    }

#ifdef SSL_READ_EARLY_DATA_SUCCESS

    /* early data can be sent again by anybody who saw it */

    if (r->connection->ssl
        && !SSL_is_init_finished(r->connection->ssl->connection))
    {
        return ngx_http_tccbs_refuse(ctx, "UnsupportedProtocol", "early-data",
                                     "TLS early data is not accepted.");
    }

#endif

    /* the server would be that of the request line, the signed host another */

    if (r->http_version < NGX_HTTP_VERSION_20 && r->host_start) {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameter", "path",
                                     "The target of a request must be a path.");
    }

    /* "/" or "/?", the latter is what the asynchronous Python SDK sends */

    if (r->args.len) {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameter", "query",
                                     "A POST request must not have a query.");
    }

    if (!ngx_tccbs_is(&r->unparsed_uri, "/")
        && !ngx_tccbs_is(&r->unparsed_uri, "/?"))
    {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameter", "path",
                                     "The path of a request must be \"/\".");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_shape_headers(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    /*
     * The whole list: nginx itself keeps the last of most repeated headers.
     * The authority of HTTP/2 is there as well, as the host.
     */

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        rc = ngx_http_tccbs_shape_header(ctx, &h[i]);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_shape_header(ngx_http_tccbs_ctx_t *ctx, ngx_table_elt_t *h)
{
    size_t                    i;
    ngx_str_t                *value;
    ngx_http_tccbs_header_t  *header;

    for (header = ngx_http_tccbs_headers; header->name.len; header++) {
        if (header->name.len == h->key.len
            && ngx_strncmp(header->name.data, h->lowcase_key, h->key.len) == 0)
        {
            break;
        }
    }

    if (header->name.len == 0) {
        return ngx_http_tccbs_shape_other(ctx, h);
    }

    value = (ngx_str_t *) ((u_char *) &ctx->headers + header->offset);

    if (value->data) {
        return ngx_http_tccbs_refuse(ctx, header->repeated, "repeated-header",
                                     "The header `%V` is repeated.",
                                     &header->name);
    }

    if (h->value.len > NGX_HTTP_TCCBS_HEADER_MAX) {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameter", "header",
                                     "The header `%V` is too long.",
                                     &header->name);
    }

    for (i = 0; i < h->value.len; i++) {
        if (h->value.data[i] < ' ' || h->value.data[i] >= 0x7f) {
            return ngx_http_tccbs_refuse(ctx, "InvalidParameter", "header",
                                         "The header `%V` must be printable "
                                         "ASCII.", &header->name);
        }
    }

    *value = h->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_shape_other(ngx_http_tccbs_ctx_t *ctx, ngx_table_elt_t *h)
{
    ngx_http_tccbs_refused_t  *refused;

    if (h->key.len >= 5 && ngx_strncmp(h->lowcase_key, "x-tc-", 5) == 0) {
        return ngx_http_tccbs_refuse(ctx, "UnknownParameter", "header",
                                     "The header `%*s` is not recognized.",
                                     ngx_min(h->key.len, 64), h->lowcase_key);
    }

    if (h->key.len == 11 && ngx_strncmp(h->lowcase_key, "traceparent", 11) == 0)
    {
        ngx_http_tccbs_shape_trace(ctx, h);
        return NGX_OK;
    }

    for (refused = ngx_http_tccbs_refused; refused->name.len; refused++) {

        if (h->key.len != refused->name.len
            || ngx_strncmp(h->lowcase_key, refused->name.data, h->key.len) != 0
            || ctx->request->http_version < refused->version)
        {
            continue;
        }

        if (refused->only.len == 0
            || h->value.len != refused->only.len
            || ngx_strncasecmp(h->value.data, refused->only.data, h->value.len)
               != 0)
        {
            return ngx_http_tccbs_refuse(ctx, "InvalidRequest", "header",
                                         "The header `%V` is not accepted.",
                                         &refused->name);
        }
    }

    return NGX_OK;
}


/* Malformed or repeated: it is as if there was none. */

static void
ngx_http_tccbs_shape_trace(ngx_http_tccbs_ctx_t *ctx, ngx_table_elt_t *h)
{
    if (!ctx->traced
        && ngx_tccbs_traceparent(&h->value, &ctx->trace, &ctx->parent)
           == NGX_OK)
    {
        ctx->traced = 1;
        return;
    }

    ctx->traced = 1;

    ngx_str_null(&ctx->trace);
    ngx_str_null(&ctx->parent);
}


/*
 * "application/json", optionally "; charset=utf-8".  Other types would leave it
 * to the upstream how the body is read.
 */

static ngx_int_t
ngx_http_tccbs_shape_type(ngx_http_tccbs_ctx_t *ctx)
{
    u_char     *p, *last;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");
    static ngx_str_t  utf8 = ngx_string("charset=utf-8");

    type = &ctx->headers.content_type;

    if (type->len < json.len
        || ngx_strncasecmp(type->data, json.data, json.len) != 0)
    {
        goto invalid;
    }

    p = type->data + json.len;
    last = type->data + type->len;

    if (p == last) {
        return NGX_OK;
    }

    if (*p++ != ';') {
        goto invalid;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    if ((size_t) (last - p) == utf8.len
        && ngx_strncasecmp(p, utf8.data, utf8.len) == 0)
    {
        return NGX_OK;
    }

invalid:

    return ngx_http_tccbs_refuse(ctx, "InvalidRequest", "content-type",
                                 "The content type must be "
                                 "\"application/json\".");
}
