
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SEGMENT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SEGMENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * A segment of the audit log: the file that is written to, or one of the same
 * name with more behind it, which rotation has put aside.
 */

typedef struct {
    u_char                   *name;
    time_t                    mtime;          /* of one that was put aside */
    u_char                   *start;          /* what is in it, when mapped */
    u_char                   *last;
} ngx_http_tccbs_segment_t;


/*
 * The segments that were written to in the last "keep" seconds, the oldest
 * first, and the file at "path" as the last one, whether it is there or not.
 * NULL without memory.
 */
ngx_array_t *ngx_http_tccbs_segments(ngx_str_t *path, time_t keep,
    ngx_pool_t *pool);

/*
 * Maps a segment as it is now, until "pool" is destroyed.  What cannot be read
 * is an error, which is logged at "level"; what is no regular file is empty.
 */
ngx_int_t ngx_http_tccbs_segment_map(ngx_http_tccbs_segment_t *segment,
    ngx_uint_t level, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TCCBS_SEGMENT_H_INCLUDED_ */
