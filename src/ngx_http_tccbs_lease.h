
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_LEASE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"
#include "ngx_http_tccbs_redis.h"


/*
 * The way of leases: asks Redis for the slots of each limit.  Any worker does,
 * the queue in the zone knows when it is time.
 */

/* Leases the limits of a credential; for the master, "conf" is NULL without. */
ngx_int_t ngx_http_tccbs_lease_limits(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_redis_conf_t *conf);

/* By what all gateways know an account, from its name. */
uint64_t ngx_http_tccbs_lease_account(ngx_str_t *name);

/* Asks from time to time, in this worker, for these credentials. */
ngx_int_t ngx_http_tccbs_lease_start(ngx_cycle_t *cycle, ngx_shm_zone_t *zone,
    ngx_http_tccbs_redis_conf_t *conf, ngx_array_t *credentials);

/* A call waits: asks if it is time. */
void ngx_http_tccbs_lease_wanted(ngx_http_tccbs_credential_t *credential,
    ngx_uint_t action);


#endif /* _NGX_HTTP_TCCBS_LEASE_H_INCLUDED_ */
