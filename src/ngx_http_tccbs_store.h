
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
 * Calls that are in flight and that were answered, and what is known of a copy
 * to a region after a call without an answer, see ngx_http_tccbs_hold.h; each
 * found by a digest.  Nothing that is alive is ever evicted.  Times are of the
 * monotonic clock: a step of the other one ends nothing.
 */

typedef enum {
    NGX_HTTP_TCCBS_FLYING = 0,
    NGX_HTTP_TCCBS_ANSWERED,
    NGX_HTTP_TCCBS_HELD,
    NGX_HTTP_TCCBS_MADE
} ngx_http_tccbs_stored_e;


struct ngx_http_tccbs_stored_s {
    ngx_http_tccbs_stored_t *next;            /* in its bucket */
    ngx_http_tccbs_stored_t *spare;           /* reserved while it is flying */
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   call[NGX_TCCBS_SHA256_LEN];  /* region: of it */
    u_char                   id[NGX_TCCBS_UUID_LEN];  /* of the last attempt */
    ngx_http_tccbs_stored_e  state;
    ngx_atomic_t             owner;           /* pid, while it is flying */
    ngx_atomic_t             sent;            /* a byte of it may have left */
    ngx_uint_t               again;           /* answer for who waited only */
    ngx_uint_t               shared;          /* region: held by other calls */
    ngx_uint_t               outcome;
    time_t                   hold;            /* should its owner die */
    time_t                   since;           /* held */
    time_t                   expires;
    u_char                  *answer;          /* or what is held */
    size_t                   len;
};


/* What was found, copied out of the shared memory. */

typedef struct {
    u_char                   id[NGX_TCCBS_UUID_LEN];
    u_char                   call[NGX_TCCBS_SHA256_LEN];
    ngx_uint_t               outcome;
    u_char                   key[NGX_TCCBS_SHA256_LEN];  /* what was made */
    time_t                   left;            /* seconds */
    ngx_uint_t               made;            /* a region, by this very call */
    ngx_str_t                answer;
} ngx_http_tccbs_found_t;


/*
 * Claims the digest for a call of this process.  "call" is, for a region that
 * is to be held, the digest of the call, whose reserve is used, or NULL: when
 * it is held for another call, nothing but time ends that any more.  "waited"
 * says that the caller has seen it flying before; "hold" is for a region, and
 * for a call whose owner died, in seconds.
 *
 * NGX_OK: it is flying now, "*entry" is the caller's; NGX_AGAIN: somebody
 * else's is flying; NGX_DONE: answered, "found" has the answer; NGX_BUSY: held;
 * NGX_DECLINED: the zone is full; NGX_ERROR: no memory in "pool".
 */
ngx_int_t ngx_http_tccbs_store_claim(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], const u_char *call, ngx_str_t *id,
    ngx_uint_t waited, time_t hold, ngx_pool_t *pool,
    ngx_http_tccbs_stored_t **entry, ngx_http_tccbs_found_t *found);

/*
 * Room for "n" entries that may have to be made for a call that is flying, when
 * nobody can say what became of it: NGX_OK, or NGX_DECLINED when the zone has
 * none.  What is not used is given back when the call ends.
 */
ngx_int_t ngx_http_tccbs_store_reserve(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_uint_t n);

/* Another attempt of the call, with its own id, of which nothing was sent. */
void ngx_http_tccbs_store_again(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_str_t *id);

/*
 * Without claiming it: NGX_BUSY when the digest is held; NGX_DONE when it was
 * answered or made, with the answer or the new snapshot in found->answer;
 * NGX_OK when neither; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_store_look(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_pool_t *pool,
    ngx_http_tccbs_found_t *found);

/*
 * What is held was made: NGX_OK with the call and the key in "found", once; or
 * NGX_DECLINED.  "snapshot" is the new one, or empty when it is not known.
 */
ngx_int_t ngx_http_tccbs_store_made(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], const ngx_str_t *snapshot,
    time_t seconds, ngx_http_tccbs_found_t *found);

/*
 * What became of a call of a worker that is gone is known: its entry, which is
 * held or still flying, is ours to answer, and at no moment free.  NGX_OK, or
 * NGX_DECLINED when there is none.
 */
ngx_int_t ngx_http_tccbs_store_inherit(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_str_t *id,
    ngx_http_tccbs_stored_t **entry);

/* There is nothing to answer: such an entry is freed. */
void ngx_http_tccbs_store_release(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_str_t *id);

/*
 * The end of what was claimed: answered for "seconds", for those who waited
 * only when "again" is set; held, a region for the call "call", with a text
 * that says what is held; or forgotten.
 */
void ngx_http_tccbs_store_answer(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_uint_t outcome, ngx_str_t *answer,
    time_t seconds, ngx_uint_t again);
void ngx_http_tccbs_store_hold(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, const u_char *call,
    const ngx_str_t *about, time_t seconds);
void ngx_http_tccbs_store_forget(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry);

/* Frees all that has expired. */
void ngx_http_tccbs_store_purge(ngx_shm_zone_t *zone);


#endif /* _NGX_HTTP_TCCBS_STORE_H_INCLUDED_ */
