
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <glob.h>
#include <sys/mman.h>

#include "ngx_http_tccbs_line.h"
#include "ngx_http_tccbs_segment.h"


/* a record begins in so much of a segment, or the segment has none */

#define NGX_HTTP_TCCBS_SEGMENT_HEAD  65536


static ngx_int_t ngx_http_tccbs_segments_older(ngx_array_t *segments,
    glob_t *gl, time_t since, ngx_uint_t level, ngx_pool_t *pool);
static time_t ngx_http_tccbs_segments_last(ngx_str_t *path, glob_t *gl);
static ngx_int_t ngx_http_tccbs_segment_open(ngx_http_tccbs_segment_t *segment,
    u_char *name, ngx_uint_t level, ngx_pool_t *pool);
static ngx_int_t ngx_http_tccbs_segment_map(ngx_http_tccbs_segment_t *segment,
    ngx_fd_t fd, ngx_pool_t *pool);
static void ngx_http_tccbs_segment_unmap(void *data);
static int ngx_libc_cdecl ngx_http_tccbs_segment_order(const void *one,
    const void *two);


ngx_array_t *
ngx_http_tccbs_segments(ngx_str_t *path, time_t keep, ngx_uint_t level,
    ngx_pool_t *pool)
{
    glob_t                     gl;
    u_char                    *pattern;
    ngx_int_t                  rc;
    ngx_array_t               *segments;
    ngx_http_tccbs_segment_t  *last, current;

    segments = ngx_array_create(pool, 4, sizeof(ngx_http_tccbs_segment_t));
    pattern = ngx_pnalloc(pool, path->len + sizeof("[-.]*"));

    if (segments == NULL || pattern == NULL
        || ngx_http_tccbs_segment_open(&current, path->data, level, pool)
           != NGX_OK)
    {
        return NULL;
    }

    ngx_sprintf(pattern, "%V[-.]*%Z", path);

    ngx_memzero(&gl, sizeof(glob_t));

    if (glob((char *) pattern, 0, NULL, &gl) == GLOB_NOSPACE) {
        return NULL;
    }

    rc = ngx_http_tccbs_segments_older(segments, &gl,
                                ngx_http_tccbs_segments_last(path, &gl) - keep,
                                level, pool);

    globfree(&gl);

    if (rc != NGX_OK) {
        return NULL;
    }

    ngx_qsort(segments->elts, segments->nelts,
              sizeof(ngx_http_tccbs_segment_t), ngx_http_tccbs_segment_order);

    last = ngx_array_push(segments);
    if (last == NULL) {
        return NULL;
    }

    *last = current;

    return segments;
}


/*
 * When something was written to one of them last: as long as nginx was not
 * there, nothing has become older.  An empty one may have been made since.
 */

static time_t
ngx_http_tccbs_segments_last(ngx_str_t *path, glob_t *gl)
{
    size_t           i;
    time_t           last;
    ngx_file_info_t  fi;

    last = 0;

    if (ngx_file_info(path->data, &fi) != NGX_FILE_ERROR && ngx_file_size(&fi))
    {
        last = ngx_file_mtime(&fi);
    }

    for (i = 0; i < gl->gl_pathc; i++) {

        if (ngx_file_info(gl->gl_pathv[i], &fi) != NGX_FILE_ERROR
            && ngx_file_size(&fi)
            && ngx_file_mtime(&fi) > last)
        {
            last = ngx_file_mtime(&fi);
        }
    }

    return ngx_min(last, ngx_time());
}


static ngx_int_t
ngx_http_tccbs_segments_older(ngx_array_t *segments, glob_t *gl, time_t since,
    ngx_uint_t level, ngx_pool_t *pool)
{
    size_t                     i, len;
    u_char                    *name;
    ngx_file_info_t            fi;
    ngx_http_tccbs_segment_t  *segment;

    for (i = 0; i < gl->gl_pathc; i++) {

        if (ngx_file_info(gl->gl_pathv[i], &fi) == NGX_FILE_ERROR
            || !ngx_is_file(&fi)
            || ngx_file_mtime(&fi) < since)
        {
            continue;
        }

        len = ngx_strlen(gl->gl_pathv[i]) + 1;

        name = ngx_pnalloc(pool, len);
        segment = ngx_array_push(segments);

        if (name == NULL || segment == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(name, gl->gl_pathv[i], len);

        if (ngx_http_tccbs_segment_open(segment, name, level, pool)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_segment_open(ngx_http_tccbs_segment_t *segment, u_char *name,
    ngx_uint_t level, ngx_pool_t *pool)
{
    ngx_fd_t   fd;
    ngx_int_t  rc;

    ngx_memzero(segment, sizeof(ngx_http_tccbs_segment_t));

    segment->name = name;

    fd = ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    rc = (fd == NGX_INVALID_FILE) ? NGX_DECLINED
                                  : ngx_http_tccbs_segment_map(segment, fd,
                                                               pool);

    if (rc == NGX_DECLINED) {
        ngx_log_error(level, pool->log, ngx_errno,
                      "the audit file \"%s\" cannot be read", name);
        segment->unread = 1;
        rc = NGX_OK;
    }

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }

    return rc;
}


/* NGX_DECLINED with ngx_errno; NGX_ERROR without memory. */

static ngx_int_t
ngx_http_tccbs_segment_map(ngx_http_tccbs_segment_t *segment, ngx_fd_t fd,
    ngx_pool_t *pool)
{
    void                *map;
    size_t               size, n;
    ngx_str_t           *mapped;
    ngx_file_info_t      fi;
    ngx_pool_cleanup_t  *cln;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return NGX_DECLINED;
    }

    size = ngx_is_file(&fi) ? ngx_file_size(&fi) : 0;

    if (size == 0) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        return NGX_DECLINED;
    }

    mapped = cln->data;
    mapped->data = map;
    mapped->len = size;

    cln->handler = ngx_http_tccbs_segment_unmap;

    segment->start = map;
    segment->last = segment->start + size;

    n = ngx_min(size, NGX_HTTP_TCCBS_SEGMENT_HEAD);

    segment->begins = memmem(map, n, NGX_HTTP_TCCBS_LINE_HEAD,
                             NGX_HTTP_TCCBS_LINE_TIME);

    if (segment->begins
        && (size_t) (segment->last - segment->begins) < NGX_HTTP_TCCBS_LINE_MIN)
    {
        segment->begins = NULL;
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_segment_unmap(void *data)
{
    ngx_str_t *mapped = data;

    (void) munmap(mapped->data, mapped->len);
}


/* Texts of times are in the order of the times. */

static int ngx_libc_cdecl
ngx_http_tccbs_segment_order(const void *one, const void *two)
{
    const ngx_http_tccbs_segment_t *a = one, *b = two;

    if (a->begins == NULL || b->begins == NULL) {
        return (a->begins != NULL) - (b->begins != NULL);
    }

    return ngx_memcmp(a->begins, b->begins, NGX_HTTP_TCCBS_LINE_ID);
}
