
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_LINE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_LINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_heads.h"
#include "ngx_tccbs_crypto.h"


/* Every record begins like this, see ngx_http_tccbs_chain_record(). */

#define NGX_HTTP_TCCBS_LINE_HEAD   "{\"v\":1,\"time\":\""
#define NGX_HTTP_TCCBS_LINE_TIME   (sizeof(NGX_HTTP_TCCBS_LINE_HEAD) - 1)
#define NGX_HTTP_TCCBS_LINE_ID     (NGX_HTTP_TCCBS_LINE_TIME            \
                                       + sizeof("2026-01-01T00:00:00.000000Z" \
                                                "\",\"id\":\"") - 1)
#define NGX_HTTP_TCCBS_LINE_CHAIN  (NGX_HTTP_TCCBS_LINE_ID              \
                                       + NGX_TCCBS_UUID_LEN                   \
                                       + sizeof("\",\"chain\":\"") - 1)
#define NGX_HTTP_TCCBS_LINE_SEQ    (NGX_HTTP_TCCBS_LINE_CHAIN           \
                                       + NGX_HTTP_TCCBS_CHAIN_LEN             \
                                       + sizeof("\",\"seq\":") - 1)
#define NGX_HTTP_TCCBS_LINE_MIN    (NGX_HTTP_TCCBS_LINE_SEQ + 2)
#define NGX_HTTP_TCCBS_LINE_KIND   400         /* "kind" begins before */


/* A record in the audit file, without its end of line. */

typedef struct {
    u_char                   *line;
    size_t                    len;
} ngx_http_tccbs_line_t;

typedef enum {
    NGX_HTTP_TCCBS_LINE_NONE = 0,             /* no record, or a part of one */
    NGX_HTTP_TCCBS_LINE_INTENT,
    NGX_HTTP_TCCBS_LINE_OUTCOME,
    NGX_HTTP_TCCBS_LINE_RECOVERY,
    NGX_HTTP_TCCBS_LINE_OTHER
} ngx_http_tccbs_line_e;


/*
 * What the line is.  The part of a record that a crash left in front of another
 * one, which then stands in the same line, is taken off it.
 */
ngx_http_tccbs_line_e ngx_http_tccbs_line_kind(ngx_http_tccbs_line_t *line);

/* The id of a record; its time. */
u_char *ngx_http_tccbs_line_id(ngx_http_tccbs_line_t *line);
time_t ngx_http_tccbs_line_time(ngx_http_tccbs_line_t *line);


#endif /* _NGX_HTTP_TCCBS_LINE_H_INCLUDED_ */
