
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"
#include "ngx_http_tccbs_key.h"
#include "ngx_tccbs_policy.h"


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
    ngx_atomic_t                 *metrics;
};


/* "tccbs_account name { ... }", without what needs other blocks. */
char *ngx_http_tccbs_account_block(ngx_conf_t *cf,
    ngx_http_tccbs_account_t *account);


#endif /* _NGX_HTTP_TCCBS_ACCOUNT_H_INCLUDED_ */
