
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_NAMES_H_INCLUDED_
#define _NGX_HTTP_TCCBS_NAMES_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * The init handler of the zone, whose data is the main configuration: finds or
 * makes the places there of all that this one names.  It runs before nginx
 * gives up the configuration before: when the zone is full that one stays.
 */
ngx_int_t ngx_http_tccbs_names_init(ngx_shm_zone_t *zone, void *data);


#endif /* _NGX_HTTP_TCCBS_NAMES_H_INCLUDED_ */
