
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_redis.h"
#include "ngx_tccbs_conf.h"


/* "tccbs_redis URL parameter ...;" in cf->args, or NULL. */
ngx_http_tccbs_redis_conf_t *ngx_http_tccbs_redis_conf(ngx_conf_t *cf,
    ngx_tccbs_arena_t *arena);


#endif /* _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_ */
