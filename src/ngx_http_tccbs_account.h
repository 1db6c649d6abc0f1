
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"
#include "ngx_http_tccbs_zone.h"
#include "ngx_tccbs_policy.h"


#define NGX_HTTP_TCCBS_KEYS          2        /* live keys of an account */
#define NGX_HTTP_TCCBS_KEY_ID_MIN    8
#define NGX_HTTP_TCCBS_KEY_ID_MAX    64
#define NGX_HTTP_TCCBS_KEY_MIN       32       /* bytes of a gateway key */
#define NGX_HTTP_TCCBS_KEY_MAX       256


typedef struct ngx_http_tccbs_account_s  ngx_http_tccbs_account_t;

typedef struct {
    ngx_str_t                     id;
    ngx_str_t                     secret;     /* in the arena */
    ngx_uint_t                    index;      /* of all keys */
    ngx_http_tccbs_account_t     *account;
} ngx_http_tccbs_key_t;


struct ngx_http_tccbs_account_s {
    ngx_str_t                     name;
    u_char                       *file;       /* where it is configured */
    ngx_uint_t                    line;
    ngx_tccbs_arena_t            *arena;

    ngx_http_tccbs_key_t         *keys[NGX_HTTP_TCCBS_KEYS];
    ngx_uint_t                    nkeys;
    ngx_array_t                   identities; /* ngx_str_t */

    ngx_str_t                     credential_name;
    ngx_http_tccbs_credential_t  *credential;

    ngx_tccbs_policy_t            policy;

    ngx_str_t                     rate;       /* as written */
    uint64_t                      rate_cost;  /* microseconds; 0: no limit */
    ngx_uint_t                    rate_burst;
    ngx_uint_t                    rate_nodelay;
    ngx_uint_t                    quota;      /* copies a day; 0: no limit */

    ngx_uint_t                    weight;

    ngx_http_tccbs_usage_t       *usage;
};


/* "tccbs_account name { ... }", without what needs other blocks. */
char *ngx_http_tccbs_account_block(ngx_conf_t *cf,
    ngx_http_tccbs_account_t *account);

/* The shape of a gateway key id: 8 to 64 of [A-Za-z0-9_-]. */
ngx_uint_t ngx_http_tccbs_key_id_valid(ngx_str_t *id);

/* Prepares the per-worker verification keys of "n" gateway keys. */
ngx_int_t ngx_http_tccbs_account_init(ngx_cycle_t *cycle, ngx_uint_t n);

/*
 * The keyed mac for verifying a signature of that date and service.  A NULL
 * key takes the same way with a secret of this worker's own.
 */
ngx_tccbs_mac_t *ngx_http_tccbs_account_mac(ngx_http_tccbs_key_t *key,
    ngx_str_t *date, ngx_str_t *service);


#endif /* _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_ */
