
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_STORE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"
#include "ngx_tccbs_crypto.h"


/*
 * Calls that are in flight, that were answered, and regions that are held
 * because nobody knows what became of a copy to them; each found by a digest.
 * Nothing that is alive is ever evicted.
 */

typedef enum {
    NGX_HTTP_TCCBS_FLYING = 0,
    NGX_HTTP_TCCBS_ANSWERED,
    NGX_HTTP_TCCBS_HELD
} ngx_http_tccbs_stored_e;


typedef struct {
    ngx_rbtree_node_t        node;
    ngx_queue_t              queue;
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   id[NGX_TCCBS_UUID_LEN];  /* of the first call */
    ngx_http_tccbs_stored_e  state;
    ngx_atomic_t             owner;           /* pid, while it is flying */
    ngx_atomic_t             sent;            /* a byte of it may have left */
    ngx_uint_t               again;           /* answer for who waited only */
    ngx_uint_t               outcome;
    time_t                   expires;
    u_char                  *answer;
    size_t                   len;
} ngx_http_tccbs_stored_t;


/* What was found, copied out of the shared memory. */

typedef struct {
    u_char                   id[NGX_TCCBS_UUID_LEN];
    ngx_uint_t               outcome;
    time_t                   expires;
    ngx_str_t                answer;
} ngx_http_tccbs_found_t;


/* The digest of a region that is held: of a credential's snapshot there. */
ngx_int_t ngx_http_tccbs_store_region_key(ngx_pool_t *pool,
    ngx_str_t *credential, ngx_str_t *snapshot, ngx_str_t *region,
    u_char key[NGX_TCCBS_SHA256_LEN]);

/*
 * Claims the digest for a call of this process.  "waited" says that the caller
 * has seen it flying before; "hold" is for a call whose owner died, in seconds.
 *
 * NGX_OK: it is flying now, "*entry" is the caller's; NGX_AGAIN: somebody
 * else's is flying; NGX_DONE: answered, "found" has the answer; NGX_BUSY: held;
 * NGX_DECLINED: the zone is full; NGX_ERROR: no memory in "pool".
 */
ngx_int_t ngx_http_tccbs_store_claim(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_str_t *id, ngx_uint_t waited,
    time_t hold, ngx_pool_t *pool, ngx_http_tccbs_stored_t **entry,
    ngx_http_tccbs_found_t *found);

/* NGX_BUSY when the digest is held, NGX_OK when not. */
ngx_int_t ngx_http_tccbs_store_look(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_http_tccbs_found_t *found);

/*
 * The end of what was claimed: answered for "seconds", for those who waited
 * only when "again" is set; held; or forgotten.
 */
void ngx_http_tccbs_store_answer(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_uint_t outcome, ngx_str_t *answer,
    time_t seconds, ngx_uint_t again);
void ngx_http_tccbs_store_hold(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, time_t seconds);
void ngx_http_tccbs_store_forget(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry);


#endif /* _NGX_HTTP_TCCBS_STORE_H_INCLUDED_ */
