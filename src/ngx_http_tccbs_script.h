
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SCRIPT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SCRIPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * What runs in Redis, atomically and by Redis' clock.  Each script is written
 * once, with its keys, arguments and reply, in ngx_http_tccbs_script.c; each
 * key that one sets has an end.
 */

typedef enum {
    NGX_HTTP_TCCBS_SCRIPT_PROBE = 0,
    NGX_HTTP_TCCBS_SCRIPT_LIMIT,
    NGX_HTTP_TCCBS_SCRIPT_GIVE,
    NGX_HTTP_TCCBS_SCRIPT_SPEND,
    NGX_HTTP_TCCBS_SCRIPT_CLAIM,
    NGX_HTTP_TCCBS_SCRIPT_TELL,
    NGX_HTTP_TCCBS_SCRIPT_MADE,
    NGX_HTTP_TCCBS_SCRIPT_LEASE,          /* ngx_tccbs_lease.h */
    NGX_HTTP_TCCBS_SCRIPTS
} ngx_http_tccbs_script_e;


#define NGX_HTTP_TCCBS_SCRIPT_SHA  40        /* hexadecimal digits */

typedef struct {
    ngx_str_t               text;
    u_char                  sha[NGX_HTTP_TCCBS_SCRIPT_SHA];
} ngx_http_tccbs_script_t;


extern ngx_http_tccbs_script_t  ngx_http_tccbs_scripts[];

/* Computes their names. */
void ngx_http_tccbs_script_init(void);


#endif /* _NGX_HTTP_TCCBS_SCRIPT_H_INCLUDED_ */
