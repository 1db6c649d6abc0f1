
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_OUT_H_INCLUDED_
#define _NGX_TCCBS_OUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* A growing output buffer.  After a failed allocation "failed" stays set. */

typedef struct {
    ngx_pool_t             *pool;
    u_char                 *start;
    u_char                 *pos;
    u_char                 *end;
    unsigned                failed:1;
} ngx_tccbs_out_t;


void ngx_tccbs_out_init(ngx_tccbs_out_t *out, ngx_pool_t *pool, size_t size);

/* Room for "len" more bytes: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_tccbs_out_reserve(ngx_tccbs_out_t *out, size_t len);

/* Bytes as they are; a record is made of a hundred such pieces. */

static ngx_inline void
ngx_tccbs_out_raw(ngx_tccbs_out_t *out, const u_char *data, size_t len)
{
    if ((size_t) (out->end - out->pos) < len
        && ngx_tccbs_out_reserve(out, len) != NGX_OK)
    {
        return;
    }

    if (len) {
        out->pos = ngx_cpymem(out->pos, data, len);
    }
}


void ngx_tccbs_out_uint(ngx_tccbs_out_t *out, uint64_t n);

/*
 * A JSON string with its quotes, ASCII only: other characters leave as \uXXXX,
 * bytes that are no UTF-8 as \u00XX, so that any input gives valid JSON.
 */
void ngx_tccbs_out_string(ngx_tccbs_out_t *out, const ngx_str_t *s);

/* What was written so far. */
ngx_str_t ngx_tccbs_out_str(const ngx_tccbs_out_t *out);


#define ngx_tccbs_out_lit(out, s)                                             \
    ngx_tccbs_out_raw(out, (const u_char *) s, sizeof(s) - 1)


#endif /* _NGX_TCCBS_OUT_H_INCLUDED_ */
