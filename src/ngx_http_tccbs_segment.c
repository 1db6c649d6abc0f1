
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <glob.h>
#include <sys/mman.h>

#include "ngx_http_tccbs_segment.h"


static ngx_int_t ngx_http_tccbs_segments_older(ngx_array_t *segments,
    glob_t *gl, time_t keep, ngx_pool_t *pool);
static int ngx_libc_cdecl ngx_http_tccbs_segment_order(const void *one,
    const void *two);
static void ngx_http_tccbs_segment_unmap(void *data);


ngx_array_t *
ngx_http_tccbs_segments(ngx_str_t *path, time_t keep, ngx_pool_t *pool)
{
    glob_t                     gl;
    u_char                    *pattern;
    ngx_int_t                  rc;
    ngx_array_t               *segments;
    ngx_http_tccbs_segment_t  *segment;

    segments = ngx_array_create(pool, 4, sizeof(ngx_http_tccbs_segment_t));
    pattern = ngx_pnalloc(pool, path->len + sizeof("[-.]*"));

    if (segments == NULL || pattern == NULL) {
        return NULL;
    }

    ngx_sprintf(pattern, "%V[-.]*%Z", path);

    ngx_memzero(&gl, sizeof(glob_t));

    if (glob((char *) pattern, 0, NULL, &gl) == GLOB_NOSPACE) {
        return NULL;
    }

    rc = ngx_http_tccbs_segments_older(segments, &gl, keep, pool);

    globfree(&gl);

    if (rc != NGX_OK) {
        return NULL;
    }

    ngx_qsort(segments->elts, segments->nelts,
              sizeof(ngx_http_tccbs_segment_t), ngx_http_tccbs_segment_order);

    segment = ngx_array_push(segments);
    if (segment == NULL) {
        return NULL;
    }

    ngx_memzero(segment, sizeof(ngx_http_tccbs_segment_t));

    segment->name = path->data;

    return segments;
}


static ngx_int_t
ngx_http_tccbs_segments_older(ngx_array_t *segments, glob_t *gl, time_t keep,
    ngx_pool_t *pool)
{
    size_t                     i, len;
    u_char                    *name;
    ngx_file_info_t            fi;
    ngx_http_tccbs_segment_t  *segment;

    for (i = 0; i < gl->gl_pathc; i++) {

        if (ngx_file_info(gl->gl_pathv[i], &fi) == NGX_FILE_ERROR
            || !ngx_is_file(&fi)
            || ngx_file_mtime(&fi) + keep < ngx_time())
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
        ngx_memzero(segment, sizeof(ngx_http_tccbs_segment_t));

        segment->name = name;
        segment->mtime = ngx_file_mtime(&fi);
    }

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_tccbs_segment_order(const void *one, const void *two)
{
    const ngx_http_tccbs_segment_t *a = one, *b = two;

    return (a->mtime > b->mtime) - (a->mtime < b->mtime);
}


ngx_int_t
ngx_http_tccbs_segment_map(ngx_http_tccbs_segment_t *segment,
    ngx_uint_t level, ngx_pool_t *pool)
{
    void                *map;
    size_t               size;
    ngx_fd_t             fd;
    ngx_file_info_t      fi;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(segment->name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(level, pool->log, ngx_errno,
                      "the audit file \"%s\" cannot be read", segment->name);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
        }

        return NGX_ERROR;
    }

    size = ngx_is_file(&fi) ? ngx_file_size(&fi) : 0;

    if (size) {
        map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (map == MAP_FAILED) {
            ngx_log_error(level, pool->log, ngx_errno,
                          "the audit file \"%s\" cannot be mapped",
                          segment->name);
            (void) ngx_close_file(fd);
            return NGX_ERROR;
        }

        segment->start = map;
        segment->last = segment->start + size;

        cln->handler = ngx_http_tccbs_segment_unmap;
        cln->data = segment;
    }

    (void) ngx_close_file(fd);

    return NGX_OK;
}


static void
ngx_http_tccbs_segment_unmap(void *data)
{
    ngx_http_tccbs_segment_t *segment = data;

    (void) munmap(segment->start, segment->last - segment->start);
}
