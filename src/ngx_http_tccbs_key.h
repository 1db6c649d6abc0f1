
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_KEY_H_INCLUDED_
#define _NGX_HTTP_TCCBS_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"
#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_key.h"
#include "ngx_tccbs_tc3.h"


typedef struct ngx_http_tccbs_account_s  ngx_http_tccbs_account_t;

typedef struct {
    ngx_str_t                     id;
    ngx_str_t                     secret;       /* in the arena */
    ngx_str_t                     certificate;  /* or empty: of any client */
    time_t                        expires;      /* 0: never */
    ngx_uint_t                    index;        /* of all keys */
    ngx_atomic_uint_t             mark;         /* of all of the above */
    ngx_http_tccbs_usage_t       *usage;        /* of the account */
    ngx_http_tccbs_account_t     *account;
} ngx_http_tccbs_key_t;


/*
 * "key id file:path [parameters];" or "key id derived [parameters];".  NULL
 * with a message.  The secret of a derived key is left to
 * ngx_http_tccbs_key_complete().
 */
ngx_http_tccbs_key_t *ngx_http_tccbs_key_conf(ngx_conf_t *cf,
    ngx_tccbs_arena_t *arena);

/*
 * What needs the master key, which may be configured later.  NGX_OK;
 * NGX_DECLINED: there is none; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_key_complete(ngx_http_tccbs_key_t *key,
    ngx_tccbs_arena_t *arena, const ngx_str_t *master);

/*
 * For the master, before it forks: the keys of each account, then once that
 * there are no others.  From then on workers of an earlier configuration know
 * no other keys, either.
 */
void ngx_http_tccbs_key_publish(ngx_shm_zone_t *zone,
    ngx_http_tccbs_usage_t *usage, ngx_http_tccbs_key_t **keys, ngx_uint_t n);
void ngx_http_tccbs_key_published(ngx_shm_zone_t *zone);

/* Prepares and wipes the verification keys that a worker has of "n" keys. */
ngx_int_t ngx_http_tccbs_key_init(ngx_cycle_t *cycle, ngx_uint_t n);
void ngx_http_tccbs_key_exit(void);

/* A key that is configured, not expired and not revoked by a reload. */
ngx_http_tccbs_key_t *ngx_http_tccbs_key_find(ngx_tccbs_index_t *keys,
    ngx_shm_zone_t *zone, ngx_str_t *id);

/*
 * The keyed mac for verifying a signature of that date and service.  A NULL
 * key takes the same way with a secret of this worker's own.
 */
ngx_tccbs_mac_t *ngx_http_tccbs_key_mac(ngx_http_tccbs_key_t *key,
    ngx_str_t *date, ngx_str_t *service);


#endif /* _NGX_HTTP_TCCBS_KEY_H_INCLUDED_ */
