
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_TRACE_H_INCLUDED_
#define _NGX_TCCBS_TRACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TCCBS_TRACE_ID   32           /* hexadecimal digits */
#define NGX_TCCBS_PARENT_ID  16


/*
 * The value of a "traceparent" header (W3C Trace Context, level 1): NGX_OK with
 * the two ids, which lie in the value, or NGX_DECLINED when it is malformed.
 */
ngx_int_t ngx_tccbs_traceparent(const ngx_str_t *value, ngx_str_t *trace,
    ngx_str_t *parent);


#endif /* _NGX_TCCBS_TRACE_H_INCLUDED_ */
