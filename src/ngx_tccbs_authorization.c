
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_tc3.h"
#include "ngx_tccbs_text.h"


#define NGX_TCCBS_TC3_AUTHORIZATION  2048


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


/* A field of visible characters without "/" and "," up to "stop". */

static ngx_uint_t
ngx_tccbs_tc3_until(u_char **pp, u_char *last, u_char stop, ngx_str_t *field)
{
    u_char  *p;

    field->data = *pp;

    for (p = *pp; p < last; p++) {

        if (*p == stop) {
            break;
        }

        if (*p <= ' ' || *p >= 0x7f || *p == '/' || *p == ',') {
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
