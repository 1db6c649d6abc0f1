
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_TEXT_H_INCLUDED_
#define _NGX_TCCBS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TCCBS_UTF8_INVALID  0xffffffff


/*
 * The next character of strict UTF-8 (RFC 3629) and *p behind it; on overlong
 * forms, surrogates and cut sequences NGX_TCCBS_UTF8_INVALID with *p unmoved.
 */

static ngx_inline uint32_t
ngx_tccbs_utf8(const u_char **pp, const u_char *last)
{
    uint32_t       cp, min;
    ngx_uint_t     i, n;
    const u_char  *p;

    p = *pp;

    if (*p < 0x80) {
        *pp = p + 1;
        return *p;
    }

    if (*p >= 0xc2 && *p <= 0xdf) {
        n = 1;
        min = 0x80;
        cp = *p & 0x1f;

    } else if (*p >= 0xe0 && *p <= 0xef) {
        n = 2;
        min = 0x800;
        cp = *p & 0x0f;

    } else if (*p >= 0xf0 && *p <= 0xf4) {
        n = 3;
        min = 0x10000;
        cp = *p & 0x07;

    } else {
        return NGX_TCCBS_UTF8_INVALID;
    }

    if ((size_t) (last - p) <= n) {
        return NGX_TCCBS_UTF8_INVALID;
    }

    for (i = 1; i <= n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return NGX_TCCBS_UTF8_INVALID;
        }

        cp = cp << 6 | (p[i] & 0x3f);
    }

    if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        return NGX_TCCBS_UTF8_INVALID;
    }

    *pp = p + n + 1;

    return cp;
}


/*
 * Whether no one of eight bytes needs an escape in JSON: none below 0x20 or
 * above 0x7e, no quote, no backslash.  A borrow from a byte that needs one may
 * mark others as well, without one there is no borrow.
 */

static ngx_inline ngx_uint_t
ngx_tccbs_plain(uint64_t word)
{
    uint64_t  quote, backslash;

    static const uint64_t  ones = 0x0101010101010101;

    quote = word ^ ones * '"';
    backslash = word ^ ones * '\\';

    return ((word | (word + ones) | (word - ones * 0x20) | (quote - ones)
             | (backslash - ones))
            & ones * 0x80)
           == 0;
}


/* Whether a string is that text, or another string, byte for byte. */

static ngx_inline ngx_uint_t
ngx_tccbs_is(const ngx_str_t *s, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return s->len == len && ngx_memcmp(s->data, text, len) == 0;
}


static ngx_inline ngx_uint_t
ngx_tccbs_same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


/* FNV-1a, for tables whose size bounds what a collision can cost. */

static ngx_inline uint32_t
ngx_tccbs_hash(const ngx_str_t *s)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < s->len; i++) {
        hash = (hash ^ s->data[i]) * 16777619u;
    }

    return hash;
}


#endif /* _NGX_TCCBS_TEXT_H_INCLUDED_ */
