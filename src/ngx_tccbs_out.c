
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_out.h"
#include "ngx_tccbs_text.h"


static void ngx_tccbs_out_unit(ngx_tccbs_out_t *out, uint32_t unit);


void
ngx_tccbs_out_init(ngx_tccbs_out_t *out, ngx_pool_t *pool, size_t size)
{
    out->pool = pool;
    out->failed = 0;
    out->start = ngx_pnalloc(pool, size);
    out->pos = out->start;
    out->end = out->start ? out->start + size : NULL;

    if (out->start == NULL) {
        out->failed = 1;
    }
}


ngx_int_t
ngx_tccbs_out_reserve(ngx_tccbs_out_t *out, size_t len)
{
    u_char  *p;
    size_t   size, used;

    if (out->failed) {
        return NGX_ERROR;
    }

    if ((size_t) (out->end - out->pos) >= len) {
        return NGX_OK;
    }

    used = out->pos - out->start;
    size = 2 * (out->end - out->start) + len;

    p = ngx_pnalloc(out->pool, size);
    if (p == NULL) {
        out->failed = 1;
        return NGX_ERROR;
    }

    ngx_memcpy(p, out->start, used);

    out->start = p;
    out->pos = p + used;
    out->end = p + size;

    return NGX_OK;
}


void
ngx_tccbs_out_uint(ngx_tccbs_out_t *out, uint64_t n)
{
    u_char  *p;
    u_char   buf[20];

    p = buf + sizeof(buf);

    do {
        *--p = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    ngx_tccbs_out_raw(out, p, buf + sizeof(buf) - p);
}


void
ngx_tccbs_out_string(ngx_tccbs_out_t *out, const ngx_str_t *s)
{
    u_char         c;
    uint32_t       cp;
    uint64_t       word;
    const u_char  *p, *last;

    ngx_tccbs_out_lit(out, "\"");

    /* C does not define what NULL + 0 is */

    p = s->data;
    last = s->len ? p + s->len : p;

    while (p < last) {

        /* what needs no escape takes as much as it has, the rest grows */

        if (ngx_tccbs_out_reserve(out, last - p) != NGX_OK) {
            return;
        }

        while (last - p >= 8) {
            ngx_memcpy(&word, p, 8);

            if (!ngx_tccbs_plain(word)) {
                break;
            }

            ngx_memcpy(out->pos, &word, 8);
            out->pos += 8;
            p += 8;
        }

        while (p < last && *p >= 0x20 && *p < 0x7f && *p != '"'
               && *p != '\\')
        {
            *out->pos++ = *p++;
        }

        if (p == last) {
            break;
        }

        c = *p;

        if (c == '"' || c == '\\') {
            ngx_tccbs_out_lit(out, "\\");
            ngx_tccbs_out_raw(out, p++, 1);
            continue;
        }

        if (c < 0x80) {
            ngx_tccbs_out_unit(out, c);
            p++;
            continue;
        }

        cp = ngx_tccbs_utf8(&p, last);

        if (cp == NGX_TCCBS_UTF8_INVALID) {
            ngx_tccbs_out_unit(out, *p++);

        } else if (cp < 0x10000) {
            ngx_tccbs_out_unit(out, cp);

        } else {
            ngx_tccbs_out_unit(out, 0xd800 + ((cp - 0x10000) >> 10));
            ngx_tccbs_out_unit(out, 0xdc00 + ((cp - 0x10000) & 0x3ff));
        }
    }

    ngx_tccbs_out_lit(out, "\"");
}


static void
ngx_tccbs_out_unit(ngx_tccbs_out_t *out, uint32_t unit)
{
    u_char  buf[6];

    static const u_char  hex[] = "0123456789abcdef";

    buf[0] = '\\';
    buf[1] = 'u';
    buf[2] = hex[unit >> 12 & 0xf];
    buf[3] = hex[unit >> 8 & 0xf];
    buf[4] = hex[unit >> 4 & 0xf];
    buf[5] = hex[unit & 0xf];

    ngx_tccbs_out_raw(out, buf, sizeof(buf));
}


ngx_str_t
ngx_tccbs_out_str(const ngx_tccbs_out_t *out)
{
    ngx_str_t  s;

    s.data = out->start;
    s.len = out->pos - out->start;

    return s;
}
