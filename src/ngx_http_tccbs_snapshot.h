
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SNAPSHOT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SNAPSHOT_H_INCLUDED_


#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_held.h"


/* Everything that the forms of the status show, copied at one moment. */

#define NGX_HTTP_TCCBS_HELD_MAX  128


typedef struct {
    const ngx_str_t              *name;
    ngx_atomic_int_t             *cells;
    ngx_http_tccbs_account_t     *account;       /* or NULL */
    ngx_http_tccbs_credential_t  *credential;

    /* of a credential, its key id masked */
    ngx_http_tccbs_credential_status_t  status;
} ngx_http_tccbs_owner_t;

typedef struct {
    ngx_http_tccbs_main_conf_t   *mcf;
    time_t                        now;
    ngx_msec_t                    msec;

    /* the node; accounts, and "none" as the last one; credentials; Redis */
    ngx_array_t                   owners[NGX_HTTP_TCCBS_NSCOPES];

    ngx_http_tccbs_held_t        *held;
    ngx_uint_t                    nheld;
    ngx_http_tccbs_decision_t    *decisions;
    ngx_uint_t                    ndecisions;

    const char                   *unready;       /* why, or NULL */
} ngx_http_tccbs_snapshot_t;


/* NULL when there is no memory. */
ngx_http_tccbs_snapshot_t *ngx_http_tccbs_snapshot(
    ngx_http_tccbs_main_conf_t *mcf, ngx_pool_t *pool);


#endif /* _NGX_HTTP_TCCBS_SNAPSHOT_H_INCLUDED_ */
