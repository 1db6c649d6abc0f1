
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_tccbs_conf.h"


#define NGX_HTTP_TCCBS_REDIS_PREFIX  64      /* its length, at most */


typedef struct {
    ngx_str_t                      name;          /* host:port, for messages */
    ngx_addr_t                    *addrs;
    ngx_uint_t                     naddrs;
    ngx_str_t                      user;
    ngx_str_t                      password;      /* in the arena */
    ngx_uint_t                     db;
    ngx_ssl_t                     *ssl;           /* NULL: without TLS */
    ngx_str_t                      ssl_name;
    ngx_str_t                      prefix;        /* of all keys */
    ngx_str_t                      probe;         /* a key of its own */
    ngx_uint_t                     nodes;         /* gateways that share it */
    ngx_msec_t                     deadline;
    ngx_msec_t                     connect_timeout;
    ngx_uint_t                     rates;         /* without Redis */
    ngx_uint_t                     duplicates;
    ngx_atomic_t                  *metrics;
} ngx_http_tccbs_redis_conf_t;

#define NGX_HTTP_TCCBS_REDIS_DENY   1
#define NGX_HTTP_TCCBS_REDIS_LOCAL  2


/* "tccbs_redis URL parameter ...;" in cf->args, or NULL. */
ngx_http_tccbs_redis_conf_t *ngx_http_tccbs_redis_conf(ngx_conf_t *cf,
    ngx_tccbs_arena_t *arena);

/*
 * The name of a key from "pool": prefix:{kind:name}:what:of, where "of" may be
 * empty; what is in braces chooses the server.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_redis_key(ngx_http_tccbs_redis_conf_t *redis,
    ngx_pool_t *pool, ngx_str_t *key, const char *kind, ngx_str_t *name,
    const char *what, ngx_str_t *of);


#endif /* _NGX_HTTP_TCCBS_REDIS_CONF_H_INCLUDED_ */
