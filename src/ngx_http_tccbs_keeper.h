
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_KEEPER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_KEEPER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"
#include "ngx_http_tccbs_refresh.h"


/*
 * The keeper is the one process beside the master that knows secret keys.  It
 * derives the keys of the day, reads changed files again, fetches temporary
 * credentials, and shows the workers what they sign with.  It is nginx's cache
 * manager process, which the master starts, respawns and replaces on a reload.
 */

typedef struct {
    ngx_array_t                *credentials;  /* of pointers */
    ngx_tccbs_arena_t          *vault;        /* with the secret keys */
    ngx_ssl_t                  *ssl;          /* that verifies STS */
    ngx_uint_t                  generation;   /* of the configuration */
} ngx_http_tccbs_keeper_conf_t;


/*
 * In the master, when the configuration is good: withdraws what is no longer in
 * it, shows what is known already and asks for the keeper.
 */
ngx_int_t ngx_http_tccbs_keeper_module(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf);

/* In each process when it starts: a worker forgets the secret keys. */
void ngx_http_tccbs_keeper_process(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf);


#endif /* _NGX_HTTP_TCCBS_KEEPER_H_INCLUDED_ */
