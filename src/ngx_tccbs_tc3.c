
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_tc3.h"
#include "ngx_tccbs_text.h"


#define NGX_TCCBS_TC3_SECRET  1024


static ngx_str_t  ngx_tccbs_tc3_algorithm = ngx_string("TC3-HMAC-SHA256");
static ngx_str_t  ngx_tccbs_tc3_terminator = ngx_string("tc3_request");


static ngx_int_t ngx_tccbs_tc3_try(ngx_tccbs_mac_t *mac,
    const ngx_tccbs_tc3_auth_t *auth, const ngx_tccbs_tc3_request_t *req,
    const u_char payload[NGX_TCCBS_HEX_LEN], const ngx_str_t *host,
    const ngx_str_t *type, ngx_pool_t *pool);
static const ngx_tccbs_tc3_header_t *ngx_tccbs_tc3_header(
    const ngx_tccbs_tc3_request_t *req, const ngx_str_t *name);
static ngx_int_t ngx_tccbs_tc3_compute(ngx_tccbs_mac_t *mac,
    u_char signature[NGX_TCCBS_SHA256_LEN], const ngx_tccbs_tc3_request_t *req,
    const u_char payload[NGX_TCCBS_HEX_LEN], const ngx_str_t *date,
    const ngx_str_t *service, const ngx_str_t *names, ngx_uint_t nnames,
    const ngx_str_t *host, const ngx_str_t *type, ngx_pool_t *pool);
static ngx_int_t ngx_tccbs_tc3_payload(u_char payload[NGX_TCCBS_HEX_LEN],
    const ngx_str_t *body);
static u_char *ngx_tccbs_tc3_copy(u_char *p, const ngx_str_t *s);
static u_char *ngx_tccbs_tc3_value(u_char *p, const ngx_str_t *value);
static ngx_int_t ngx_tccbs_tc3_lower(ngx_str_t *dst, const ngx_str_t *src,
    ngx_pool_t *pool);
static void ngx_tccbs_tc3_bare(ngx_str_t *dst, const ngx_str_t *host);
static ngx_uint_t ngx_tccbs_tc3_known(const ngx_str_t *list, ngx_uint_t n,
    const ngx_str_t *s);


time_t
ngx_tccbs_tc3_timestamp(const ngx_str_t *text)
{
    time_t  t;
    size_t  i;

    if (text->len < 10 || text->len > 11 || text->data[0] == '0') {
        return NGX_ERROR;
    }

    t = 0;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return NGX_ERROR;
        }

        t = t * 10 + (text->data[i] - '0');
    }

    return t;
}


/* The proleptic Gregorian calendar, counted from 0000-03-01. */

void
ngx_tccbs_tc3_date(time_t t, u_char date[NGX_TCCBS_TC3_DATE_LEN])
{
    ngx_uint_t  days, era, day, year, month, i;

    days = (ngx_uint_t) (t / 86400) + 719468;
    era = days / 146097;
    day = days % 146097;
    year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;

    year += era * 400;
    month += 3;

    if (month > 12) {
        month -= 12;
        year++;
    }

    day++;

    for (i = 4; i > 0; i--) {
        date[i - 1] = (u_char) ('0' + year % 10);
        year /= 10;
    }

    date[4] = '-';
    date[5] = (u_char) ('0' + month / 10);
    date[6] = (u_char) ('0' + month % 10);
    date[7] = '-';
    date[8] = (u_char) ('0' + day / 10);
    date[9] = (u_char) ('0' + day % 10);
}


ngx_int_t
ngx_tccbs_tc3_day_key(u_char key[NGX_TCCBS_SHA256_LEN],
    const ngx_str_t *secret, const ngx_str_t *date, const ngx_str_t *service)
{
    ngx_int_t  rc;
    u_char     buf[3 + NGX_TCCBS_TC3_SECRET];

    if (secret->len > NGX_TCCBS_TC3_SECRET) {
        return NGX_ERROR;
    }

    ngx_memcpy(buf, "TC3", 3);
    ngx_memcpy(buf + 3, secret->data, secret->len);

    rc = ngx_tccbs_hmac(key, buf, 3 + secret->len, date->data, date->len);

    ngx_tccbs_wipe(buf, 3 + secret->len);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_hmac(key, key, NGX_TCCBS_SHA256_LEN, service->data,
                            service->len);
    }

    if (rc == NGX_OK) {
        rc = ngx_tccbs_hmac(key, key, NGX_TCCBS_SHA256_LEN,
                            ngx_tccbs_tc3_terminator.data,
                            ngx_tccbs_tc3_terminator.len);
    }

    return rc;
}


ngx_int_t
ngx_tccbs_tc3_sign(ngx_tccbs_mac_t *mac,
    u_char signature[NGX_TCCBS_SHA256_LEN], const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *date, const ngx_str_t *service, const ngx_str_t *names,
    ngx_uint_t nnames, ngx_pool_t *pool)
{
    u_char                         payload[NGX_TCCBS_HEX_LEN];
    const ngx_tccbs_tc3_header_t  *host, *type;

    static const ngx_str_t         host_name = ngx_string("host");
    static const ngx_str_t         type_name = ngx_string("content-type");

    host = ngx_tccbs_tc3_header(req, &host_name);
    type = ngx_tccbs_tc3_header(req, &type_name);

    if (host == NULL || type == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_tccbs_tc3_payload(payload, &req->payload) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_tccbs_tc3_compute(mac, signature, req, payload, date, service,
                                 names, nnames, &host->value, &type->value,
                                 pool);
}


ngx_int_t
ngx_tccbs_tc3_verify(ngx_tccbs_mac_t *mac, const ngx_tccbs_tc3_auth_t *auth,
    const ngx_tccbs_tc3_request_t *req, const ngx_str_t *hosts,
    ngx_uint_t nhosts, ngx_pool_t *pool)
{
    ngx_int_t                      rc;
    ngx_str_t                      types[2], *candidates;
    ngx_uint_t                     i, k, n, ntypes;
    const ngx_tccbs_tc3_header_t  *host, *type;
    u_char                         payload[NGX_TCCBS_HEX_LEN];

    static const ngx_str_t         host_name = ngx_string("host");
    static const ngx_str_t         type_name = ngx_string("content-type");

    host = ngx_tccbs_tc3_header(req, &host_name);
    type = ngx_tccbs_tc3_header(req, &type_name);

    if (host == NULL || type == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_tccbs_tc3_payload(payload, &req->payload) != NGX_OK) {
        return NGX_ERROR;
    }

    /* most clients sign what they send */

    rc = ngx_tccbs_tc3_try(mac, auth, req, payload, &host->value, &type->value,
                           pool);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    candidates = ngx_palloc(pool, (4 + nhosts) * sizeof(ngx_str_t));
    if (candidates == NULL) {
        return NGX_ERROR;
    }

    candidates[0] = host->value;
    ngx_tccbs_tc3_bare(&candidates[1], &host->value);

    if (ngx_tccbs_tc3_lower(&candidates[2], &candidates[0], pool) != NGX_OK
        || ngx_tccbs_tc3_lower(&candidates[3], &candidates[1], pool) != NGX_OK
        || ngx_tccbs_tc3_lower(&types[1], &type->value, pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < nhosts; i++) {
        candidates[4 + i] = hosts[i];
    }

    types[0] = type->value;
    ntypes = ngx_tccbs_tc3_known(types, 1, &types[1]) ? 1 : 2;
    n = 4 + nhosts;

    for (i = 0; i < n; i++) {

        if (ngx_tccbs_tc3_known(candidates, i, &candidates[i])) {
            continue;
        }

        for (k = (i == 0); k < ntypes; k++) {

            rc = ngx_tccbs_tc3_try(mac, auth, req, payload, &candidates[i],
                                   &types[k], pool);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_tccbs_tc3_try(ngx_tccbs_mac_t *mac, const ngx_tccbs_tc3_auth_t *auth,
    const ngx_tccbs_tc3_request_t *req,
    const u_char payload[NGX_TCCBS_HEX_LEN], const ngx_str_t *host,
    const ngx_str_t *type, ngx_pool_t *pool)
{
    ngx_int_t  rc;
    u_char     signature[NGX_TCCBS_SHA256_LEN];

    rc = ngx_tccbs_tc3_compute(mac, signature, req, payload, &auth->date,
                               &auth->service, auth->names, auth->nnames, host,
                               type, pool);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_tccbs_equal(signature, auth->signature, sizeof(signature))
           ? NGX_OK : NGX_DECLINED;
}


static const ngx_tccbs_tc3_header_t *
ngx_tccbs_tc3_header(const ngx_tccbs_tc3_request_t *req, const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < req->nheaders; i++) {
        if (ngx_tccbs_same(&req->headers[i].name, name)) {
            return &req->headers[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_tccbs_tc3_payload(u_char payload[NGX_TCCBS_HEX_LEN], const ngx_str_t *body)
{
    u_char  digest[NGX_TCCBS_SHA256_LEN];

    if (ngx_tccbs_sha256(digest, body, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_tccbs_hex(payload, digest, sizeof(digest));

    return NGX_OK;
}


/* The canonical request, its hash, the string to sign, the signature. */

static ngx_int_t
ngx_tccbs_tc3_compute(ngx_tccbs_mac_t *mac,
    u_char signature[NGX_TCCBS_SHA256_LEN], const ngx_tccbs_tc3_request_t *req,
    const u_char payload[NGX_TCCBS_HEX_LEN], const ngx_str_t *date,
    const ngx_str_t *service, const ngx_str_t *names, ngx_uint_t nnames,
    const ngx_str_t *host, const ngx_str_t *type, ngx_pool_t *pool)
{
    u_char                        *p;
    size_t                         len, names_len;
    ngx_str_t                      text;
    ngx_uint_t                     i;
    const ngx_tccbs_tc3_header_t  *header;
    u_char                         digest[NGX_TCCBS_SHA256_LEN];

    names_len = nnames;
    len = req->method.len + req->uri.len + req->query.len + host->len
          + type->len + NGX_TCCBS_HEX_LEN + 8;

    for (i = 0; i < nnames; i++) {

        header = ngx_tccbs_tc3_header(req, &names[i]);

        if (header == NULL) {
            return NGX_DECLINED;
        }

        names_len += names[i].len;
        len += names[i].len + header->value.len + 2;
    }

    len = ngx_max(len + names_len,
                  ngx_tccbs_tc3_algorithm.len + req->timestamp.len + date->len
                  + service->len + sizeof("\n\n//tc3_request\n")
                  + NGX_TCCBS_HEX_LEN);

    text.data = ngx_pnalloc(pool, len);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_tccbs_tc3_copy(text.data, &req->method);
    *p++ = '\n';
    p = ngx_tccbs_tc3_copy(p, &req->uri);
    *p++ = '\n';
    p = ngx_tccbs_tc3_copy(p, &req->query);
    *p++ = '\n';

    for (i = 0; i < nnames; i++) {

        p = ngx_tccbs_tc3_copy(p, &names[i]);
        *p++ = ':';

        if (ngx_tccbs_is(&names[i], "host")) {
            p = ngx_tccbs_tc3_copy(p, host);

        } else if (ngx_tccbs_is(&names[i], "content-type")) {
            p = ngx_tccbs_tc3_copy(p, type);

        } else {
            header = ngx_tccbs_tc3_header(req, &names[i]);
            p = ngx_tccbs_tc3_value(p, &header->value);
        }

        *p++ = '\n';
    }

    *p++ = '\n';

    for (i = 0; i < nnames; i++) {
        if (i) {
            *p++ = ';';
        }

        p = ngx_tccbs_tc3_copy(p, &names[i]);
    }

    *p++ = '\n';
    p = ngx_cpymem(p, payload, NGX_TCCBS_HEX_LEN);

    text.len = p - text.data;

    if (ngx_tccbs_sha256(digest, &text, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the string to sign takes the place of what it has the hash of */

    p = ngx_tccbs_tc3_copy(text.data, &ngx_tccbs_tc3_algorithm);
    *p++ = '\n';
    p = ngx_tccbs_tc3_copy(p, &req->timestamp);
    *p++ = '\n';
    p = ngx_tccbs_tc3_copy(p, date);
    *p++ = '/';
    p = ngx_tccbs_tc3_copy(p, service);
    *p++ = '/';
    p = ngx_tccbs_tc3_copy(p, &ngx_tccbs_tc3_terminator);
    *p++ = '\n';
    p = ngx_tccbs_hex(p, digest, sizeof(digest));

    text.len = p - text.data;

    return ngx_tccbs_mac_sign(mac, signature, &text, 1);
}


static u_char *
ngx_tccbs_tc3_copy(u_char *p, const ngx_str_t *s)
{
    return s->len ? ngx_cpymem(p, s->data, s->len) : p;
}


static u_char *
ngx_tccbs_tc3_value(u_char *p, const ngx_str_t *value)
{
    u_char  *s, *last;

    s = value->data;
    last = s + value->len;

    while (s < last && (*s == ' ' || *s == '\t')) {
        s++;
    }

    while (last > s && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    while (s < last) {
        *p++ = ngx_tolower(*s);
        s++;
    }

    return p;
}


static ngx_int_t
ngx_tccbs_tc3_lower(ngx_str_t *dst, const ngx_str_t *src, ngx_pool_t *pool)
{
    size_t  i;

    dst->len = src->len;
    dst->data = ngx_pnalloc(pool, src->len + 1);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < src->len; i++) {
        dst->data[i] = ngx_tolower(src->data[i]);
    }

    return NGX_OK;
}


/* The host without ":port", with the brackets of an IPv6 address. */

static void
ngx_tccbs_tc3_bare(ngx_str_t *dst, const ngx_str_t *host)
{
    size_t  len;

    *dst = *host;
    len = host->len;

    while (len && host->data[len - 1] >= '0' && host->data[len - 1] <= '9') {
        len--;
    }

    if (len > 1 && len < host->len && host->data[len - 1] == ':') {
        dst->len = len - 1;
    }
}


static ngx_uint_t
ngx_tccbs_tc3_known(const ngx_str_t *list, ngx_uint_t n, const ngx_str_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_tccbs_same(&list[i], s)) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_tccbs_tc3_service_valid(const ngx_str_t *service, const ngx_str_t *host)
{
    size_t  i, len;

    if (ngx_tccbs_is(service, "cbs")) {
        return 1;
    }

    for (len = 0; len < host->len; len++) {
        if (host->data[len] == '.') {
            break;
        }
    }

    if (service->len == 0 || service->len != len) {
        return 0;
    }

    for (i = 0; i < service->len; i++) {
        if (ngx_tolower(service->data[i]) != ngx_tolower(host->data[i])) {
            return 0;
        }
    }

    return 1;
}
