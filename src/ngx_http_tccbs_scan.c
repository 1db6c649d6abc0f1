
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_scan.h"
#include "ngx_http_tccbs_segment.h"
#include "ngx_tccbs_crypto.h"


/* Intents that are open, by id; the last line of each chain. */

typedef struct {
    ngx_http_tccbs_scan_t          *scan;
    ngx_log_t                      *log;
    ngx_http_tccbs_line_t           ends[NGX_HTTP_TCCBS_HEADS];
    ngx_uint_t                      nends;
    ngx_http_tccbs_line_t          *slots;
    ngx_uint_t                      size;         /* a power of two */
    ngx_uint_t                      used;         /* also by closed ones */
} ngx_http_tccbs_scan_ctx_t;


static ngx_int_t ngx_http_tccbs_scan_segment(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_segment_t *segment);
static void ngx_http_tccbs_scan_end(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_line_t *line);
static void ngx_http_tccbs_scan_heads(ngx_http_tccbs_scan_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_scan_line(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_line_t *line);
static ngx_http_tccbs_line_t *ngx_http_tccbs_scan_find(
    ngx_http_tccbs_scan_ctx_t *ctx, u_char *id);
static ngx_int_t ngx_http_tccbs_scan_grow(ngx_http_tccbs_scan_ctx_t *ctx);


ngx_int_t
ngx_http_tccbs_scan(ngx_http_tccbs_scan_t *scan)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_pool_t                 *pool;
    ngx_array_t                *segments;
    ngx_http_tccbs_segment_t   *segment;
    ngx_http_tccbs_scan_ctx_t  *ctx;

    pool = ngx_create_pool(8192, scan->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_pcalloc(pool, sizeof(ngx_http_tccbs_scan_ctx_t));

    if (ctx == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ctx->scan = scan;
    ctx->log = scan->log;

    rc = NGX_ERROR;

    segments = ngx_http_tccbs_segments(&scan->path, scan->keep, NGX_LOG_EMERG,
                                       pool);

    if (segments) {
        segment = segments->elts;
        rc = ngx_http_tccbs_scan_grow(ctx);

        for (i = 0; i < segments->nelts && rc == NGX_OK; i++) {
            rc = ngx_http_tccbs_scan_segment(ctx, &segment[i]);
        }
    }

    if (rc == NGX_OK) {
        ngx_http_tccbs_scan_heads(ctx);

        for (i = 0; i < ctx->size; i++) {
            if (ctx->slots[i].line && ctx->slots[i].len) {
                scan->ended(scan->data, &ctx->slots[i], NULL);
            }
        }
    }

    if (ctx->slots) {
        ngx_free(ctx->slots);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_http_tccbs_scan_segment(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_segment_t *segment)
{
    u_char                 *p, *lf;
    ngx_http_tccbs_line_t   line;

    if (segment->unread) {
        return NGX_ERROR;
    }

    for (p = segment->start; p < segment->last; p = lf + 1) {

        lf = memchr(p, LF, segment->last - p);

        /* what a crash cut off is no record */

        if (lf == NULL) {
            break;
        }

        line.line = p;
        line.len = lf - p;

        if (ngx_http_tccbs_scan_line(ctx, &line) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The last line of each chain, the chain that wrote last in front. */

static void
ngx_http_tccbs_scan_end(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_line_t *line)
{
    ngx_uint_t              i;
    ngx_http_tccbs_line_t  *ends;

    ends = ctx->ends;

    for (i = 0; i < ctx->nends; i++) {
        if (ngx_memcmp(ends[i].line + NGX_HTTP_TCCBS_LINE_CHAIN,
                       line->line + NGX_HTTP_TCCBS_LINE_CHAIN,
                       NGX_HTTP_TCCBS_CHAIN_LEN)
            == 0)
        {
            break;
        }
    }

    if (i == ctx->nends) {
        if (i < NGX_HTTP_TCCBS_HEADS) {
            ctx->nends++;

        } else {
            i--;
        }
    }

    ngx_memmove(&ends[1], &ends[0], i * sizeof(ngx_http_tccbs_line_t));

    ends[0] = *line;
}


static void
ngx_http_tccbs_scan_heads(ngx_http_tccbs_scan_ctx_t *ctx)
{
    u_char     *p, *seq, *last;
    ngx_int_t   n;
    ngx_str_t   line;
    ngx_uint_t  i;
    u_char      hash[NGX_TCCBS_SHA256_LEN];

    for (i = ctx->nends; i; i--) {

        line.data = ctx->ends[i - 1].line;
        line.len = ctx->ends[i - 1].len;

        seq = line.data + NGX_HTTP_TCCBS_LINE_SEQ;
        last = line.data + line.len;

        for (p = seq; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

        n = ngx_atoi(seq, p - seq);

        if (n != NGX_ERROR && ngx_tccbs_sha256(hash, &line, 1) == NGX_OK) {
            ngx_http_tccbs_heads_ended(ctx->scan->zone,
                                       line.data
                                       + NGX_HTTP_TCCBS_LINE_CHAIN,
                                       n, hash);
        }
    }
}


static ngx_int_t
ngx_http_tccbs_scan_line(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_line_t *line)
{
    ngx_http_tccbs_line_t  *open;
    ngx_http_tccbs_line_e   kind;

    kind = ngx_http_tccbs_line_kind(line);

    if (kind == NGX_HTTP_TCCBS_LINE_NONE) {
        return NGX_OK;
    }

    ngx_http_tccbs_scan_end(ctx, line);

    if (kind == NGX_HTTP_TCCBS_LINE_OTHER) {
        return NGX_OK;
    }

    open = ngx_http_tccbs_scan_find(ctx, ngx_http_tccbs_line_id(line));

    if (kind == NGX_HTTP_TCCBS_LINE_INTENT) {

        if (open->line == NULL) {
            ctx->used++;
        }

        *open = *line;

        if (ctx->used * 2 > ctx->size) {
            return ngx_http_tccbs_scan_grow(ctx);
        }

        return NGX_OK;
    }

    if (open->line == NULL || open->len == 0) {

        if (kind == NGX_HTTP_TCCBS_LINE_RECOVERY) {
            ctx->scan->other(ctx->scan->data, line);
        }

        return NGX_OK;
    }

    if (ngx_http_tccbs_line_time(line) + ctx->scan->keep > ngx_time()) {
        ctx->scan->ended(ctx->scan->data, open, line);
    }

    open->len = 0;

    return NGX_OK;
}


static ngx_http_tccbs_line_t *
ngx_http_tccbs_scan_find(ngx_http_tccbs_scan_ctx_t *ctx, u_char *id)
{
    ngx_uint_t              i;
    ngx_http_tccbs_line_t  *open;

    i = ngx_murmur_hash2(id, NGX_TCCBS_UUID_LEN);

    for ( ;; ) {
        open = &ctx->slots[i++ & (ctx->size - 1)];

        if (open->line == NULL
            || ngx_memcmp(open->line + NGX_HTTP_TCCBS_LINE_ID, id,
                          NGX_TCCBS_UUID_LEN)
               == 0)
        {
            return open;
        }
    }
}


/* A larger table, with the open ones only. */

static ngx_int_t
ngx_http_tccbs_scan_grow(ngx_http_tccbs_scan_ctx_t *ctx)
{
    ngx_uint_t              i, n, size;
    ngx_http_tccbs_line_t  *old, *open;

    old = ctx->slots;
    size = ctx->size;

    for (i = 0, n = 0; i < size; i++) {
        n += (old[i].len != 0);
    }

    for (ctx->size = 4096; ctx->size < 8 * n; ctx->size *= 2) { /* void */ }

    ctx->slots = ngx_calloc(ctx->size * sizeof(ngx_http_tccbs_line_t),
                            ctx->log);
    if (ctx->slots == NULL) {
        ctx->slots = old;
        ctx->size = size;
        return NGX_ERROR;
    }

    ctx->used = n;

    for (i = 0; i < size; i++) {
        if (old[i].len) {
            open = ngx_http_tccbs_scan_find(ctx, old[i].line
                                               + NGX_HTTP_TCCBS_LINE_ID);
            *open = old[i];
        }
    }

    if (old) {
        ngx_free(old);
    }

    return NGX_OK;
}
