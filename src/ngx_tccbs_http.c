
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <strings.h>

#include "ngx_tccbs_http.h"


#define NGX_TCCBS_HTTP_DIGITS  7


/* How long the body is. */

typedef struct {
    size_t      length;
    unsigned    have_length:1;
    unsigned    chunked:1;
} ngx_tccbs_http_framing_t;


static u_char *ngx_tccbs_http_line(u_char *p, u_char *last);
static ngx_int_t ngx_tccbs_http_status(u_char *p, u_char *eol,
    ngx_uint_t *status);
static ngx_int_t ngx_tccbs_http_header(u_char *p, u_char *eol,
    ngx_tccbs_http_framing_t *framing);
static ngx_uint_t ngx_tccbs_http_named(u_char *p, u_char *eol,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_tccbs_http_number(ngx_str_t *text, ngx_uint_t base,
    size_t *number);
static ngx_int_t ngx_tccbs_http_chunks(ngx_str_t *data, ngx_str_t *body);
static u_char *ngx_tccbs_http_extension(u_char *p, u_char *eol);


ngx_int_t
ngx_tccbs_http_parse(ngx_str_t *text, ngx_uint_t eof, ngx_uint_t *status,
    ngx_str_t *body)
{
    u_char                    *p, *eol, *last;
    ngx_int_t                  rc;
    ngx_uint_t                 n;
    ngx_tccbs_http_framing_t   framing;

    ngx_memzero(&framing, sizeof(ngx_tccbs_http_framing_t));

    p = text->data;
    last = text->data + text->len;

    for (n = 0; /* void */ ; n++) {

        eol = ngx_tccbs_http_line(p, last);
        if (eol == NULL) {
            return eof ? NGX_DECLINED : NGX_AGAIN;
        }

        if (n && eol == p) {
            break;
        }

        rc = n ? ngx_tccbs_http_header(p, eol, &framing)
               : ngx_tccbs_http_status(p, eol, status);

        if (rc != NGX_OK) {
            return rc;
        }

        p = eol + 2;
    }

    body->data = eol + 2;
    body->len = last - body->data;

    if (framing.chunked) {

        if (framing.have_length) {
            return NGX_DECLINED;
        }

        rc = ngx_tccbs_http_chunks(body, NULL);

        if (rc == NGX_OK) {
            return ngx_tccbs_http_chunks(body, body);
        }

    } else if (!framing.have_length) {
        rc = eof ? NGX_OK : NGX_AGAIN;

    } else if (body->len >= framing.length) {
        body->len = framing.length;
        rc = NGX_OK;

    } else {
        rc = NGX_AGAIN;
    }

    return (rc == NGX_AGAIN && eof) ? NGX_DECLINED : rc;
}


/* The end of a line, its CR, or NULL. */

static u_char *
ngx_tccbs_http_line(u_char *p, u_char *last)
{
    for ( /* void */ ; p + 1 < last; p++) {
        if (p[0] == CR && p[1] == LF) {
            return p;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_tccbs_http_status(u_char *p, u_char *eol, ngx_uint_t *status)
{
    size_t     number;
    ngx_str_t  code;

    if (eol - p < 12 || ngx_memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' '
        || (eol - p > 12 && p[12] != ' '))
    {
        return NGX_DECLINED;
    }

    code.data = p + 9;
    code.len = 3;

    if (ngx_tccbs_http_number(&code, 10, &number) != NGX_OK || number < 200) {
        return NGX_DECLINED;
    }

    *status = number;

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_http_header(u_char *p, u_char *eol,
    ngx_tccbs_http_framing_t *framing)
{
    ngx_str_t  value;

    if (ngx_tccbs_http_named(p, eol, "content-length", &value)) {

        if (framing->have_length) {
            return NGX_DECLINED;
        }

        framing->have_length = 1;

        return ngx_tccbs_http_number(&value, 10, &framing->length);
    }

    if (ngx_tccbs_http_named(p, eol, "transfer-encoding", &value)) {

        if (framing->chunked || value.len != 7
            || strncasecmp((char *) value.data, "chunked", 7) != 0)
        {
            return NGX_DECLINED;
        }

        framing->chunked = 1;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_tccbs_http_named(u_char *p, u_char *eol, const char *name,
    ngx_str_t *value)
{
    size_t  len;

    len = ngx_strlen(name);

    if ((size_t) (eol - p) <= len || p[len] != ':'
        || strncasecmp((char *) p, name, len) != 0)
    {
        return 0;
    }

    for (p += len + 1; p < eol && (*p == ' ' || *p == '\t'); p++) {
        /* void */
    }

    while (eol > p && (eol[-1] == ' ' || eol[-1] == '\t')) {
        eol--;
    }

    value->data = p;
    value->len = eol - p;

    return 1;
}


static ngx_int_t
ngx_tccbs_http_number(ngx_str_t *text, ngx_uint_t base, size_t *number)
{
    u_char  c;
    size_t  i;

    if (text->len == 0 || text->len > NGX_TCCBS_HTTP_DIGITS) {
        return NGX_DECLINED;
    }

    *number = 0;

    for (i = 0; i < text->len; i++) {

        c = ngx_tolower(text->data[i]);

        if (c >= '0' && c <= '9') {
            c -= '0';

        } else if (base == 16 && c >= 'a' && c <= 'f') {
            c -= 'a' - 10;

        } else {
            return NGX_DECLINED;
        }

        *number = *number * base + c;
    }

    return NGX_OK;
}


/* Without "body" it only looks whether all chunks have come. */

static ngx_int_t
ngx_tccbs_http_chunks(ngx_str_t *data, ngx_str_t *body)
{
    u_char     *p, *eol, *last, *dst;
    size_t      size;
    ngx_str_t   line;

    p = data->data;
    last = data->data + data->len;
    dst = data->data;

    for ( ;; ) {

        eol = ngx_tccbs_http_line(p, last);
        if (eol == NULL) {
            return NGX_AGAIN;
        }

        line.data = p;
        line.len = ngx_tccbs_http_extension(p, eol) - p;

        if (ngx_tccbs_http_number(&line, 16, &size) != NGX_OK) {
            return NGX_DECLINED;
        }

        p = eol + 2;

        if (size == 0) {
            break;
        }

        if ((size_t) (last - p) < size + 2) {
            return NGX_AGAIN;
        }

        if (p[size] != CR || p[size + 1] != LF) {
            return NGX_DECLINED;
        }

        if (body) {
            ngx_memmove(dst, p, size);
            dst += size;
        }

        p += size + 2;
    }

    /* trailers end with an empty line */

    for ( ;; ) {

        eol = ngx_tccbs_http_line(p, last);
        if (eol == NULL) {
            return NGX_AGAIN;
        }

        if (eol == p) {
            break;
        }

        p = eol + 2;
    }

    if (body) {
        body->len = dst - body->data;
    }

    return NGX_OK;
}


/* Where the size of a chunk ends and something else may follow. */

static u_char *
ngx_tccbs_http_extension(u_char *p, u_char *eol)
{
    while (p < eol && *p != ';' && *p != ' ' && *p != '\t') {
        p++;
    }

    return p;
}
