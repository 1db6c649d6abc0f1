
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SCAN_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SCAN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_line.h"


/*
 * Reads the segments of the audit log, see ngx_http_tccbs_segment.h, for those
 * who are to know what happened in the last "keep" seconds.  The lines stay
 * where they are until the scan is over.
 */

typedef struct {
    ngx_str_t                 path;
    time_t                    keep;
    ngx_shm_zone_t           *zone;           /* for the ends of the chains */
    ngx_log_t                *log;
    void                     *data;

    /* an intent and its outcome, or NULL when there is none in the end */
    void                    (*ended)(void *data, ngx_http_tccbs_line_t *intent,
                                     ngx_http_tccbs_line_t *outcome);

    /* a recovery that is not the outcome of an intent */
    void                    (*other)(void *data, ngx_http_tccbs_line_t *line);
} ngx_http_tccbs_scan_t;


ngx_int_t ngx_http_tccbs_scan(ngx_http_tccbs_scan_t *scan);


#endif /* _NGX_HTTP_TCCBS_SCAN_H_INCLUDED_ */
