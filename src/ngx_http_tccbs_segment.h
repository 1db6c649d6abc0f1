
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
    u_char                   *start;          /* NULL: it is empty */
    u_char                   *last;
    u_char                   *begins;         /* the first record, or NULL */
    ngx_uint_t                unread;         /* it cannot be read */
} ngx_http_tccbs_segment_t;


/*
 * The segments that were written to in the "keep" seconds before the last one
 * was, in the order in which they were begun, and the file at "path", which is
 * there always, as the last one.  They are mapped until "pool" is destroyed,
 * what is no regular file is empty; that one cannot be read is logged at
 * "level".  The file is opened before the others are looked for: a rotation
 * meanwhile hides nothing.  NULL without memory.
 */
ngx_array_t *ngx_http_tccbs_segments(ngx_str_t *path, time_t keep,
    ngx_uint_t level, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TCCBS_SEGMENT_H_INCLUDED_ */
