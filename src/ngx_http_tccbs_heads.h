
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_HEADS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_HEADS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/*
 * The last durable record of each worker's chain.  The anchors of one chain
 * name the heads of the others, so that none can lose its end unseen.  A chain
 * that has ended keeps its place until a new one needs it, whose first record
 * names it.
 */

/*
 * "chain" begins here; with "seq" and "hash" 0 until something is durable.
 * NULL when all places are those of processes that live: others do not name it.
 */
ngx_http_tccbs_head_t *ngx_http_tccbs_heads_take(ngx_shm_zone_t *zone,
    const u_char chain[NGX_HTTP_TCCBS_CHAIN_LEN]);

/* Nothing is done when "head" is NULL. */
void ngx_http_tccbs_heads_publish(ngx_shm_zone_t *zone,
    ngx_http_tccbs_head_t *head, uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN]);

/* A chain of before the zone was made, from the file. */
void ngx_http_tccbs_heads_ended(ngx_shm_zone_t *zone,
    const u_char chain[NGX_HTTP_TCCBS_CHAIN_LEN], uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN]);

/* Copies all that have a durable record. */
ngx_uint_t ngx_http_tccbs_heads_copy(ngx_shm_zone_t *zone,
    ngx_http_tccbs_head_t heads[NGX_HTTP_TCCBS_HEADS]);


#endif /* _NGX_HTTP_TCCBS_HEADS_H_INCLUDED_ */
