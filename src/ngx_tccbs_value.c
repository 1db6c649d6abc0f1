
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_text.h"
#include "ngx_tccbs_value.h"


#define NGX_TCCBS_VALUE_REGION  64                /* bytes */


ngx_uint_t
ngx_tccbs_region_valid(const ngx_str_t *region)
{
    u_char  c;
    size_t  i;

    if (region->len < 4 || region->len > NGX_TCCBS_VALUE_REGION
        || region->data[2] != '-')
    {
        return 0;
    }

    for (i = 0; i < region->len; i++) {
        c = region->data[i];

        if (c >= 'a' && c <= 'z') {
            continue;
        }

        if (i < 2) {
            return 0;
        }

        if (c >= '0' && c <= '9') {
            continue;
        }

        if (c != '-' || i == region->len - 1 || region->data[i - 1] == '-') {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_tccbs_snapshot_valid(const ngx_str_t *id)
{
    u_char  c;
    size_t  i;

    if (id->len < 9 || id->len > 37
        || ngx_strncmp(id->data, "snap-", 5) != 0)
    {
        return 0;
    }

    for (i = 5; i < id->len; i++) {
        c = id->data[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_tccbs_value_text(const ngx_str_t *s, ngx_uint_t max)
{
    uint32_t       cp;
    ngx_uint_t     n;
    const u_char  *p, *last;

    p = s->data;
    last = p + s->len;

    for (n = 0; p < last; n++) {

        cp = ngx_tccbs_utf8(&p, last);

        if (n == max || cp == NGX_TCCBS_UTF8_INVALID
            || cp < 0x20 || (cp >= 0x7f && cp <= 0x9f)
            || (cp >= 0x202a && cp <= 0x202e)
            || (cp >= 0x2066 && cp <= 0x2069)
            || cp == 0x2028 || cp == 0x2029)
        {
            return 0;
        }
    }

    return 1;
}


int64_t
ngx_tccbs_value_uint(const ngx_str_t *text, int64_t max)
{
    size_t   i;
    int64_t  n;

    if (text->len == 0 || text->len > 10
        || (text->len > 1 && text->data[0] == '0'))
    {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < '0' || text->data[i] > '9') {
            return NGX_ERROR;
        }

        n = n * 10 + (text->data[i] - '0');
    }

    return (n > max) ? NGX_ERROR : n;
}


ngx_uint_t
ngx_tccbs_value_one_of(const ngx_str_t *s, const ngx_str_t *list)
{
    for ( /* void */ ; list->len; list++) {
        if (ngx_tccbs_same(list, s)) {
            return 1;
        }
    }

    return 0;
}
