
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_HELD_H_INCLUDED_
#define _NGX_HTTP_TCCBS_HELD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_store.h"


/*
 * What is held: how many there are, and copies of the "max" oldest of them, in
 * no order; "n" is how many were copied.  A text that is longer is left out.
 */
#define NGX_HTTP_TCCBS_ABOUT  384

typedef struct {
    u_char                   id[NGX_TCCBS_UUID_LEN];
    u_char                   about[NGX_HTTP_TCCBS_ABOUT];
    size_t                   len;
    time_t                   age;             /* seconds */
    time_t                   left;
} ngx_http_tccbs_held_t;

ngx_uint_t ngx_http_tccbs_held(ngx_shm_zone_t *zone,
    ngx_http_tccbs_held_t *held, ngx_uint_t max, ngx_uint_t *n);


#endif /* _NGX_HTTP_TCCBS_HELD_H_INCLUDED_ */
