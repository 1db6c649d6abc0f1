
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_trace.h"


/* version, trace id, parent id and flags, with three dashes in between */

#define NGX_TCCBS_TRACE_LEN  (2 + 1 + NGX_TCCBS_TRACE_ID + 1                  \
                              + NGX_TCCBS_PARENT_ID + 1 + 2)


static ngx_uint_t ngx_tccbs_trace_hex(const u_char *p, size_t n,
    ngx_uint_t *zero);


ngx_int_t
ngx_tccbs_traceparent(const ngx_str_t *value, ngx_str_t *trace,
    ngx_str_t *parent)
{
    u_char      *version, *id, *from, *flags;
    ngx_uint_t   zero;

    if (value->len < NGX_TCCBS_TRACE_LEN) {
        return NGX_DECLINED;
    }

    version = value->data;
    id = version + 3;
    from = id + NGX_TCCBS_TRACE_ID + 1;
    flags = from + NGX_TCCBS_PARENT_ID + 1;

    if (id[-1] != '-' || from[-1] != '-' || flags[-1] != '-') {
        return NGX_DECLINED;
    }

    if (!ngx_tccbs_trace_hex(version, 2, &zero)
        || ngx_strncmp(version, "ff", 2) == 0)
    {
        return NGX_DECLINED;
    }

    /* a later version may have more behind another dash */

    if (value->len > NGX_TCCBS_TRACE_LEN
        && (zero || value->data[NGX_TCCBS_TRACE_LEN] != '-'))
    {
        return NGX_DECLINED;
    }

    if (!ngx_tccbs_trace_hex(flags, 2, &zero)
        || !ngx_tccbs_trace_hex(id, NGX_TCCBS_TRACE_ID, &zero) || zero
        || !ngx_tccbs_trace_hex(from, NGX_TCCBS_PARENT_ID, &zero) || zero)
    {
        return NGX_DECLINED;
    }

    trace->data = id;
    trace->len = NGX_TCCBS_TRACE_ID;

    parent->data = from;
    parent->len = NGX_TCCBS_PARENT_ID;

    return NGX_OK;
}


/* Lower case only; "zero" says that all of them are. */

static ngx_uint_t
ngx_tccbs_trace_hex(const u_char *p, size_t n, ngx_uint_t *zero)
{
    *zero = 1;

    for ( /* void */ ; n; n--, p++) {

        if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'f')) {
            return 0;
        }

        if (*p != '0') {
            *zero = 0;
        }
    }

    return 1;
}
