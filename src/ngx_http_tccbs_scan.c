
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <glob.h>
#include <sys/mman.h>

#include "ngx_http_tccbs_scan.h"
#include "ngx_tccbs_crypto.h"


/* every record begins like this, see ngx_http_tccbs_audit_line() */

#define NGX_HTTP_TCCBS_SCAN_HEAD  "{\"v\":1,\"time\":\""
#define NGX_HTTP_TCCBS_SCAN_TIME  (sizeof(NGX_HTTP_TCCBS_SCAN_HEAD) - 1)
#define NGX_HTTP_TCCBS_SCAN_ID    (NGX_HTTP_TCCBS_SCAN_TIME             \
                                      + sizeof("2026-01-01T00:00:00.000000Z"  \
                                               "\",\"id\":\"") - 1)
#define NGX_HTTP_TCCBS_SCAN_CHAIN (NGX_HTTP_TCCBS_SCAN_ID               \
                                      + NGX_TCCBS_UUID_LEN                    \
                                      + sizeof("\",\"chain\":\"") - 1)
#define NGX_HTTP_TCCBS_SCAN_SEQ   (NGX_HTTP_TCCBS_SCAN_CHAIN            \
                                      + NGX_HTTP_TCCBS_CHAIN_LEN              \
                                      + sizeof("\",\"seq\":") - 1)
#define NGX_HTTP_TCCBS_SCAN_MIN   (NGX_HTTP_TCCBS_SCAN_SEQ + 2)
#define NGX_HTTP_TCCBS_SCAN_KIND  400          /* "kind" begins before */
#define NGX_HTTP_TCCBS_SCAN_FILES 16           /* with the current one */


typedef struct {
    u_char                         *name;
    time_t                          mtime;
    u_char                         *map;
    size_t                          size;
} ngx_http_tccbs_scan_file_t;


/* Intents that are open, by id; the last line of each chain. */

typedef struct {
    ngx_http_tccbs_scan_t          *scan;
    ngx_log_t                      *log;
    ngx_http_tccbs_scan_file_t      files[NGX_HTTP_TCCBS_SCAN_FILES];
    ngx_uint_t                      nfiles;
    ngx_http_tccbs_line_t           ends[NGX_HTTP_TCCBS_HEADS];
    ngx_uint_t                      nends;
    ngx_http_tccbs_line_t          *slots;
    ngx_uint_t                      size;         /* a power of two */
    ngx_uint_t                      used;         /* also by closed ones */
} ngx_http_tccbs_scan_ctx_t;


static ngx_int_t ngx_http_tccbs_scan_older(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_pool_t *pool);
static int ngx_libc_cdecl ngx_http_tccbs_scan_order(const void *one,
    const void *two);
static ngx_int_t ngx_http_tccbs_scan_map(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_scan_file_t *file);
static ngx_int_t ngx_http_tccbs_scan_lines(ngx_http_tccbs_scan_ctx_t *ctx,
    u_char *p, u_char *last);
static void ngx_http_tccbs_scan_end(ngx_http_tccbs_scan_ctx_t *ctx,
    u_char *line, size_t len);
static void ngx_http_tccbs_scan_heads(ngx_http_tccbs_scan_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_scan_line(ngx_http_tccbs_scan_ctx_t *ctx,
    u_char *line, size_t len);
static ngx_http_tccbs_line_t *ngx_http_tccbs_scan_find(
    ngx_http_tccbs_scan_ctx_t *ctx, u_char *id);
static ngx_int_t ngx_http_tccbs_scan_grow(ngx_http_tccbs_scan_ctx_t *ctx);


ngx_int_t
ngx_http_tccbs_scan(ngx_http_tccbs_scan_t *scan)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_pool_t                 *pool;
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

    rc = ngx_http_tccbs_scan_older(ctx, pool);

    for (i = 0; i < ctx->nfiles && rc == NGX_OK; i++) {
        rc = ngx_http_tccbs_scan_map(ctx, &ctx->files[i]);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_scan_grow(ctx);
    }

    for (i = 0; i < ctx->nfiles && rc == NGX_OK; i++) {

        if (ctx->files[i].map) {
            rc = ngx_http_tccbs_scan_lines(ctx, ctx->files[i].map,
                                           ctx->files[i].map
                                           + ctx->files[i].size);
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

    for (i = 0; i < ctx->nfiles; i++) {
        if (ctx->files[i].map) {
            (void) munmap(ctx->files[i].map, ctx->files[i].size);
        }
    }

    if (ctx->slots) {
        ngx_free(ctx->slots);
    }

    ngx_destroy_pool(pool);

    return rc;
}


/*
 * The file, and those of the same name with more behind it that were written
 * to lately: rotation must not shorten the memory.
 */

static ngx_int_t
ngx_http_tccbs_scan_older(ngx_http_tccbs_scan_ctx_t *ctx, ngx_pool_t *pool)
{
    size_t                          i, len;
    glob_t                          gl;
    u_char                         *pattern;
    ngx_str_t                      *path;
    ngx_file_info_t                 fi;
    ngx_http_tccbs_scan_file_t     *file;

    path = &ctx->scan->path;

    pattern = ngx_pnalloc(pool, path->len + sizeof("[-.]*"));
    if (pattern == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(pattern, "%V[-.]*%Z", path);

    ngx_memzero(&gl, sizeof(glob_t));

    if (glob((char *) pattern, 0, NULL, &gl) == GLOB_NOSPACE) {
        return NGX_ERROR;
    }

    for (i = 0; i < gl.gl_pathc; i++) {

        len = ngx_strlen(gl.gl_pathv[i]);

        if (ctx->nfiles == NGX_HTTP_TCCBS_SCAN_FILES - 1
            || ngx_file_info(gl.gl_pathv[i], &fi) == NGX_FILE_ERROR
            || !ngx_is_file(&fi)
            || ngx_file_mtime(&fi) + ctx->scan->keep < ngx_time())
        {
            continue;
        }

        file = &ctx->files[ctx->nfiles++];

        file->mtime = ngx_file_mtime(&fi);
        file->name = ngx_pnalloc(pool, len + 1);

        if (file->name == NULL) {
            globfree(&gl);
            return NGX_ERROR;
        }

        ngx_memcpy(file->name, gl.gl_pathv[i], len + 1);
    }

    globfree(&gl);

    ngx_qsort(ctx->files, ctx->nfiles, sizeof(ngx_http_tccbs_scan_file_t),
              ngx_http_tccbs_scan_order);

    ctx->files[ctx->nfiles++].name = path->data;

    return NGX_OK;
}


u_char *
ngx_http_tccbs_scan_before(ngx_str_t *path, time_t keep, ngx_pool_t *pool)
{
    ngx_http_tccbs_scan_t       scan;
    ngx_http_tccbs_scan_ctx_t  *ctx;

    ctx = ngx_pcalloc(pool, sizeof(ngx_http_tccbs_scan_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    scan.path = *path;
    scan.keep = keep;
    ctx->scan = &scan;

    if (ngx_http_tccbs_scan_older(ctx, pool) != NGX_OK || ctx->nfiles < 2) {
        return NULL;
    }

    return ctx->files[ctx->nfiles - 2].name;
}


static int ngx_libc_cdecl
ngx_http_tccbs_scan_order(const void *one, const void *two)
{
    const ngx_http_tccbs_scan_file_t *a = one, *b = two;

    return (a->mtime > b->mtime) - (a->mtime < b->mtime);
}


static ngx_int_t
ngx_http_tccbs_scan_map(ngx_http_tccbs_scan_ctx_t *ctx,
    ngx_http_tccbs_scan_file_t *file)
{
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file(file->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, ctx->log, ngx_errno,
                      "the audit file \"%s\" cannot be read", file->name);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
        }

        return NGX_ERROR;
    }

    file->size = ngx_is_file(&fi) ? ngx_file_size(&fi) : 0;

    if (file->size) {
        file->map = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (file->map == MAP_FAILED) {
            ngx_log_error(NGX_LOG_EMERG, ctx->log, ngx_errno,
                          "the audit file \"%s\" cannot be mapped",
                          file->name);
            file->map = NULL;
            (void) ngx_close_file(fd);
            return NGX_ERROR;
        }

        (void) madvise(file->map, file->size, MADV_SEQUENTIAL);
    }

    (void) ngx_close_file(fd);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_scan_lines(ngx_http_tccbs_scan_ctx_t *ctx, u_char *p,
    u_char *last)
{
    u_char  *lf;

    while (p < last) {

        lf = memchr(p, LF, last - p);

        /* what a crash cut off is no record */

        if (lf == NULL) {
            break;
        }

        if (ngx_http_tccbs_scan_line(ctx, p, lf - p) != NGX_OK) {
            return NGX_ERROR;
        }

        p = lf + 1;
    }

    return NGX_OK;
}


/* The last line of each chain, the chain that wrote last in front. */

static void
ngx_http_tccbs_scan_end(ngx_http_tccbs_scan_ctx_t *ctx, u_char *line,
    size_t len)
{
    ngx_uint_t              i;
    ngx_http_tccbs_line_t  *ends;

    ends = ctx->ends;

    for (i = 0; i < ctx->nends; i++) {
        if (ngx_memcmp(ends[i].line + NGX_HTTP_TCCBS_SCAN_CHAIN,
                       line + NGX_HTTP_TCCBS_SCAN_CHAIN,
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

    ends[0].line = line;
    ends[0].len = len;
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

        seq = line.data + NGX_HTTP_TCCBS_SCAN_SEQ;
        last = line.data + line.len;

        for (p = seq; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

        n = ngx_atoi(seq, p - seq);

        if (n != NGX_ERROR && ngx_tccbs_sha256(hash, &line, 1) == NGX_OK) {
            ngx_http_tccbs_heads_ended(ctx->scan->zone,
                                       line.data
                                       + NGX_HTTP_TCCBS_SCAN_CHAIN,
                                       n, hash);
        }
    }
}


static ngx_int_t
ngx_http_tccbs_scan_line(ngx_http_tccbs_scan_ctx_t *ctx, u_char *line,
    size_t len)
{
    u_char                 *p;
    size_t                  n;
    ngx_http_tccbs_line_t  *open, end;

    if (len < NGX_HTTP_TCCBS_SCAN_MIN
        || ngx_memcmp(line, NGX_HTTP_TCCBS_SCAN_HEAD,
                      NGX_HTTP_TCCBS_SCAN_TIME)
           != 0)
    {
        return NGX_OK;
    }

    ngx_http_tccbs_scan_end(ctx, line, len);

    n = ngx_min(len, NGX_HTTP_TCCBS_SCAN_KIND);

    p = memmem(line, n, "\"kind\":\"", 8);

    if (p == NULL || line + n - p < 17) {
        return NGX_OK;
    }

    p += 8;

    if (*p != 'i' && *p != 'o' && (*p != 'r' || p[2] != 'c')) {
        return NGX_OK;
    }

    open = ngx_http_tccbs_scan_find(ctx, line + NGX_HTTP_TCCBS_SCAN_ID);

    if (*p == 'i') {

        if (open->line == NULL) {
            ctx->used++;
        }

        open->line = line;
        open->len = len;

        if (ctx->used * 2 > ctx->size) {
            return ngx_http_tccbs_scan_grow(ctx);
        }

        return NGX_OK;
    }

    end.line = line;
    end.len = len;

    if (open->line == NULL || open->len == 0) {

        if (*p == 'r') {
            ctx->scan->other(ctx->scan->data, &end);
        }

        return NGX_OK;
    }

    if (ngx_http_tccbs_scan_time(&end) + ctx->scan->keep > ngx_time()) {
        ctx->scan->ended(ctx->scan->data, open, &end);
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
            || ngx_memcmp(open->line + NGX_HTTP_TCCBS_SCAN_ID, id,
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
                                               + NGX_HTTP_TCCBS_SCAN_ID);
            *open = old[i];
        }
    }

    if (old) {
        ngx_free(old);
    }

    return NGX_OK;
}


u_char *
ngx_http_tccbs_scan_id(ngx_http_tccbs_line_t *line)
{
    return line->line + NGX_HTTP_TCCBS_SCAN_ID;
}


/* "YYYY-MM-DDThh:mm:ss", which a record has in UTC. */

time_t
ngx_http_tccbs_scan_time(ngx_http_tccbs_line_t *line)
{
    u_char     *p;
    struct tm   tm;

    p = line->line + NGX_HTTP_TCCBS_SCAN_TIME;

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = ngx_atoi(p, 4) - 1900;
    tm.tm_mon = ngx_atoi(p + 5, 2) - 1;
    tm.tm_mday = ngx_atoi(p + 8, 2);
    tm.tm_hour = ngx_atoi(p + 11, 2);
    tm.tm_min = ngx_atoi(p + 14, 2);
    tm.tm_sec = ngx_atoi(p + 17, 2);

    return timegm(&tm);
}
