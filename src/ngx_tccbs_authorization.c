
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_out.h"
#include "ngx_tccbs_tc3.h"
#include "ngx_tccbs_text.h"


#define NGX_TCCBS_TC3_AUTHORIZATION  2048
#define NGX_TCCBS_TC3_AUTHORIZED     256       /* ours, beside the key id */


ngx_str_t  ngx_tccbs_tc3_json = ngx_string("application/json");


static ngx_uint_t ngx_tccbs_tc3_skip(u_char **p, u_char *last,
    const char *text);
static ngx_uint_t ngx_tccbs_tc3_until(u_char **p, u_char *last, u_char stop,
    ngx_str_t *field);
static ngx_uint_t ngx_tccbs_tc3_date_valid(const ngx_str_t *date);
static ngx_int_t ngx_tccbs_tc3_names(ngx_tccbs_tc3_auth_t *auth);


ngx_int_t
ngx_tccbs_tc3_parse(ngx_tccbs_tc3_auth_t *auth, const ngx_str_t *value,
    ngx_str_t *why)
{
    u_char      *p, *last;
    ngx_str_t    signature;
    const char  *reason;

    ngx_memzero(auth, sizeof(ngx_tccbs_tc3_auth_t));

    p = value->data;
    last = p + value->len;

    if (value->len > NGX_TCCBS_TC3_AUTHORIZATION) {
        reason = "it is too long";
        goto declined;
    }

    if (!ngx_tccbs_tc3_skip(&p, last, "TC3-HMAC-SHA256")
        || p == last || *p != ' ')
    {
        reason = "the algorithm must be TC3-HMAC-SHA256";
        goto declined;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    if (!ngx_tccbs_tc3_skip(&p, last, "Credential=")
        || !ngx_tccbs_tc3_until(&p, last, '/', &auth->key_id)
        || !ngx_tccbs_tc3_until(&p, last, '/', &auth->date)
        || !ngx_tccbs_tc3_until(&p, last, '/', &auth->service)
        || !ngx_tccbs_tc3_skip(&p, last, "tc3_request")
        || !ngx_tccbs_tc3_skip(&p, last, ","))
    {
        reason = "Credential must be id/date/service/tc3_request";
        goto declined;
    }

    if (!ngx_tccbs_tc3_date_valid(&auth->date)
        || auth->service.len > NGX_TCCBS_TC3_SERVICE)
    {
        reason = "the date must be YYYY-MM-DD, the service a short name";
        goto declined;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    if (!ngx_tccbs_tc3_skip(&p, last, "SignedHeaders=")
        || !ngx_tccbs_tc3_until(&p, last, ',', &auth->signed_headers)
        || ngx_tccbs_tc3_names(auth) != NGX_OK)
    {
        reason = "SignedHeaders must be ascending lower-case names with "
                 "content-type and host among them";
        goto declined;
    }

    while (p < last && *p == ' ') {
        p++;
    }

    if (!ngx_tccbs_tc3_skip(&p, last, "Signature=")) {
        reason = "Signature is missing";
        goto declined;
    }

    signature.data = p;
    signature.len = last - p;

    if (signature.len != NGX_TCCBS_HEX_LEN
        || ngx_tccbs_unhex(auth->signature, signature.data,
                           NGX_TCCBS_SHA256_LEN)
           != NGX_OK)
    {
        reason = "Signature must be 64 lower-case hexadecimal digits";
        goto declined;
    }

    return NGX_OK;

declined:

    why->data = (u_char *) reason;
    why->len = ngx_strlen(reason);

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_tccbs_tc3_skip(u_char **p, u_char *last, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    if ((size_t) (last - *p) < len || ngx_strncmp(*p, text, len) != 0) {
        return 0;
    }

    *p += len;

    return 1;
}


/* A field of visible characters without "," up to "stop". */

static ngx_uint_t
ngx_tccbs_tc3_until(u_char **pp, u_char *last, u_char stop, ngx_str_t *field)
{
    u_char  *p;

    field->data = *pp;

    for (p = *pp; p < last; p++) {

        if (*p == stop) {
            break;
        }

        if (*p <= ' ' || *p >= 0x7f || *p == ',') {
            return 0;
        }
    }

    if (p == last) {
        return 0;
    }

    field->len = p - field->data;
    *pp = p + 1;

    return field->len > 0;
}


static ngx_uint_t
ngx_tccbs_tc3_date_valid(const ngx_str_t *date)
{
    u_char      c;
    ngx_uint_t  i;

    if (date->len != NGX_TCCBS_TC3_DATE_LEN) {
        return 0;
    }

    for (i = 0; i < date->len; i++) {
        c = date->data[i];

        if (i == 4 || i == 7) {
            if (c != '-') {
                return 0;
            }

        } else if (c < '0' || c > '9') {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_tccbs_tc3_names(ngx_tccbs_tc3_auth_t *auth)
{
    int         order;
    u_char     *p, *last, c;
    ngx_str_t  *name, *prev;
    ngx_uint_t  type, host;

    p = auth->signed_headers.data;
    last = p + auth->signed_headers.len;
    prev = NULL;
    type = 0;
    host = 0;

    for ( ;; ) {

        if (auth->nnames == NGX_TCCBS_TC3_NAMES) {
            return NGX_ERROR;
        }

        name = &auth->names[auth->nnames++];
        name->data = p;

        while (p < last && *p != ';') {
            c = *p++;

            if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') {
                return NGX_ERROR;
            }
        }

        name->len = p - name->data;

        if (name->len == 0) {
            return NGX_ERROR;
        }

        if (prev) {
            order = ngx_memcmp(prev->data, name->data,
                               ngx_min(prev->len, name->len));

            if (order > 0 || (order == 0 && prev->len >= name->len)) {
                return NGX_ERROR;
            }
        }

        type |= ngx_tccbs_is(name, "content-type");
        host |= ngx_tccbs_is(name, "host");

        if (p == last) {
            break;
        }

        p++;
        prev = name;
    }

    return (type && host) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_tccbs_tc3_authorize(ngx_tccbs_mac_t *mac,
    const ngx_tccbs_tc3_post_t *post, ngx_str_t *authorization,
    ngx_pool_t *pool)
{
    ngx_tccbs_out_t          out;
    ngx_tccbs_tc3_header_t   headers[3];
    ngx_tccbs_tc3_request_t  req;
    u_char                   signature[NGX_TCCBS_SHA256_LEN];
    u_char                   hex[NGX_TCCBS_HEX_LEN];

    static const ngx_str_t   names[] = {
        ngx_string("content-type"),
        ngx_string("host"),
        ngx_string("x-tc-action")
    };

    headers[0].name = names[0];
    headers[0].value = ngx_tccbs_tc3_json;
    headers[1].name = names[1];
    headers[1].value = post->host;
    headers[2].name = names[2];
    headers[2].value = post->action;

    ngx_str_set(&req.method, "POST");
    ngx_str_set(&req.uri, "/");
    ngx_str_null(&req.query);
    req.headers = headers;
    req.nheaders = 3;
    req.timestamp = post->timestamp;
    req.payload = post->body;

    if (ngx_tccbs_tc3_sign(mac, signature, &req, &post->date, &post->service,
                           names, 3, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) ngx_tccbs_hex(hex, signature, sizeof(signature));

    ngx_tccbs_out_init(&out, pool, NGX_TCCBS_TC3_AUTHORIZED
                                   + post->key_id.len);

    ngx_tccbs_out_lit(&out, "TC3-HMAC-SHA256 Credential=");
    ngx_tccbs_out_raw(&out, post->key_id.data, post->key_id.len);
    ngx_tccbs_out_lit(&out, "/");
    ngx_tccbs_out_raw(&out, post->date.data, post->date.len);
    ngx_tccbs_out_lit(&out, "/");
    ngx_tccbs_out_raw(&out, post->service.data, post->service.len);
    ngx_tccbs_out_lit(&out, "/tc3_request, SignedHeaders=content-type;host;"
                            "x-tc-action, Signature=");
    ngx_tccbs_out_raw(&out, hex, sizeof(hex));

    *authorization = ngx_tccbs_out_str(&out);

    return out.failed ? NGX_ERROR : NGX_OK;
}
