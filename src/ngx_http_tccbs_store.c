
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_store.h"


/*
 * How many buckets are swept for each entry that is made: what has expired is
 * at most an eighth of what the zone has room for.
 */

#define NGX_HTTP_TCCBS_STORE_SWEEP  8


static ngx_http_tccbs_stored_t **ngx_http_tccbs_store_bucket(
    ngx_http_tccbs_shm_t *shm, const u_char *key);
static ngx_http_tccbs_stored_t *ngx_http_tccbs_store_find(
    ngx_http_tccbs_shm_t *shm, const u_char *key);
static ngx_http_tccbs_stored_t *ngx_http_tccbs_store_make(
    ngx_slab_pool_t *shpool, const u_char *key, const u_char *call,
    ngx_str_t *id);
static void *ngx_http_tccbs_store_alloc(ngx_slab_pool_t *shpool, size_t size);
static ngx_http_tccbs_stored_t *ngx_http_tccbs_store_spare(
    ngx_http_tccbs_stored_t *entry);
static void ngx_http_tccbs_store_unreserve(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry);
static ngx_uint_t ngx_http_tccbs_store_shares(ngx_http_tccbs_stored_t *entry,
    const u_char *call, time_t hold);
static void ngx_http_tccbs_store_fly(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry, ngx_str_t *id);
static ngx_int_t ngx_http_tccbs_store_found(ngx_http_tccbs_stored_t *e,
    ngx_pool_t *pool, ngx_http_tccbs_found_t *found);
static ngx_uint_t ngx_http_tccbs_store_left(ngx_http_tccbs_stored_t *entry,
    ngx_str_t *id);
static ngx_uint_t ngx_http_tccbs_store_judge(ngx_http_tccbs_stored_t *entry);
static void ngx_http_tccbs_store_sweep(ngx_slab_pool_t *shpool, ngx_uint_t n);
static void ngx_http_tccbs_store_free(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry);
static void ngx_http_tccbs_store_clear(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry);


ngx_int_t
ngx_http_tccbs_store_claim(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], const u_char *call, ngx_str_t *id,
    ngx_uint_t waited, time_t hold, ngx_pool_t *pool,
    ngx_http_tccbs_stored_t **entry, ngx_http_tccbs_found_t *found)
{
    ngx_int_t                 rc;
    ngx_uint_t                shared;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    e = ngx_http_tccbs_store_find(shpool->data, key);

    if (e && !ngx_http_tccbs_store_judge(e)) {
        ngx_http_tccbs_store_free(shpool, e);
        e = NULL;
    }

    if (e == NULL) {
        e = ngx_http_tccbs_store_make(shpool, key, call, id);
        rc = e ? NGX_OK : NGX_DECLINED;
        goto done;
    }

    shared = call && ngx_http_tccbs_store_shares(e, call, hold);

    /* what is known of a region does not bind another call to it */

    if (e->state == NGX_HTTP_TCCBS_MADE || (e->again && !waited)) {
        ngx_http_tccbs_store_fly(shpool, e, id);
        e->shared = shared;
        rc = NGX_OK;
        goto done;
    }

    rc = ngx_http_tccbs_store_found(e, pool, found);

    /* another worker is about to hold the region */

    if (call && rc == NGX_AGAIN) {
        rc = NGX_BUSY;
    }

done:

    if (rc == NGX_OK) {
        e->hold = hold;
        *entry = e;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_tccbs_store_reserve(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_uint_t n)
{
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *spare;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    spare = entry;

    ngx_shmtx_lock(&shpool->mutex);

    for ( /* void */ ; n && spare; n--) {
        spare = ngx_http_tccbs_store_alloc(shpool,
                                           sizeof(ngx_http_tccbs_stored_t));

        if (spare) {
            spare->next = entry->spare;
            entry->spare = spare;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return spare ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_tccbs_store_again(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_str_t *id)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    ngx_memcpy(entry->id, id->data, sizeof(entry->id));
    entry->sent = 0;

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_int_t
ngx_http_tccbs_store_look(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_pool_t *pool,
    ngx_http_tccbs_found_t *found)
{
    ngx_int_t                 rc;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_OK;

    ngx_shmtx_lock(&shpool->mutex);

    e = ngx_http_tccbs_store_find(shpool->data, key);

    if (e && e->state != NGX_HTTP_TCCBS_FLYING
        && e->expires > ngx_http_tccbs_zone_now())
    {
        rc = ngx_http_tccbs_store_found(e, pool, found);
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


static ngx_int_t
ngx_http_tccbs_store_found(ngx_http_tccbs_stored_t *e, ngx_pool_t *pool,
    ngx_http_tccbs_found_t *found)
{
    ngx_memcpy(found->id, e->id, sizeof(found->id));
    ngx_memcpy(found->call, e->call, sizeof(found->call));
    found->outcome = e->outcome;
    found->left = e->expires - ngx_http_tccbs_zone_now();

    if (e->state == NGX_HTTP_TCCBS_FLYING) {
        return NGX_AGAIN;
    }

    if (e->state == NGX_HTTP_TCCBS_HELD) {
        return NGX_BUSY;
    }

    found->answer.len = e->len;

    if (e->len == 0) {
        return NGX_DONE;
    }

    found->answer.data = ngx_pnalloc(pool, e->len);

    if (found->answer.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(found->answer.data, e->answer, e->len);

    return NGX_DONE;
}


ngx_int_t
ngx_http_tccbs_store_made(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], const ngx_str_t *snapshot,
    time_t seconds, ngx_http_tccbs_found_t *found)
{
    u_char                   *p;
    time_t                    expires;
    ngx_int_t                 rc;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&shpool->mutex);

    e = ngx_http_tccbs_store_find(shpool->data, key);

    if (e == NULL || e->shared
        || (e->state != NGX_HTTP_TCCBS_HELD
            && (e->state != NGX_HTTP_TCCBS_MADE || e->len || !snapshot->len)))
    {
        goto done;
    }

    p = NULL;

    if (snapshot->len) {
        p = ngx_slab_alloc_locked(shpool, snapshot->len);
        if (p == NULL) {
            goto done;
        }

        ngx_memcpy(p, snapshot->data, snapshot->len);
    }

    ngx_http_tccbs_store_clear(shpool, e);

    e->answer = p;
    e->len = snapshot->len;

    expires = ngx_http_tccbs_zone_now() + seconds;

    e->state = NGX_HTTP_TCCBS_MADE;
    e->expires = ngx_max(e->expires, expires);

    ngx_memcpy(found->id, e->id, sizeof(found->id));
    ngx_memcpy(found->call, e->call, sizeof(found->call));
    ngx_memcpy(found->key, e->key, sizeof(found->key));

    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_http_tccbs_store_answer(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, ngx_uint_t outcome, ngx_str_t *answer,
    time_t seconds, ngx_uint_t again)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    entry->answer = ngx_http_tccbs_store_alloc(shpool, answer->len);

    if (entry->answer) {
        ngx_memcpy(entry->answer, answer->data, answer->len);
        entry->len = answer->len;
        entry->state = NGX_HTTP_TCCBS_ANSWERED;

    } else {

        /* no room for the answer: the copy is not to be made again anyhow */

        entry->state = NGX_HTTP_TCCBS_HELD;
        entry->since = ngx_http_tccbs_zone_now();
    }

    entry->outcome = outcome;
    entry->again = again;
    entry->expires = ngx_http_tccbs_zone_now() + seconds;
    entry->owner = 0;

    ngx_http_tccbs_store_unreserve(shpool, entry);

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_tccbs_store_hold(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry, const u_char *call,
    const ngx_str_t *about, time_t seconds)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    if (call) {
        ngx_memcpy(entry->call, call, sizeof(entry->call));
    }

    /* without room for it the entry is held all the same */

    if (about->len) {
        entry->answer = ngx_slab_alloc_locked(shpool, about->len);

        if (entry->answer) {
            ngx_memcpy(entry->answer, about->data, about->len);
            entry->len = about->len;
        }
    }

    entry->state = NGX_HTTP_TCCBS_HELD;
    entry->since = ngx_http_tccbs_zone_now();

    if (!entry->shared || entry->expires < entry->since + seconds) {
        entry->expires = entry->since + seconds;
    }

    entry->owner = 0;

    ngx_http_tccbs_store_unreserve(shpool, entry);

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_tccbs_store_forget(ngx_shm_zone_t *zone,
    ngx_http_tccbs_stored_t *entry)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    ngx_http_tccbs_store_free(shpool, entry);
    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_tccbs_store_purge(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    ngx_http_tccbs_store_sweep(shpool, NGX_MAX_UINT32_VALUE);
    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_int_t
ngx_http_tccbs_store_inherit(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_str_t *id,
    ngx_http_tccbs_stored_t **entry)
{
    ngx_int_t                 rc;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&shpool->mutex);

    e = ngx_http_tccbs_store_find(shpool->data, key);

    if (e && ngx_http_tccbs_store_left(e, id)) {
        ngx_http_tccbs_store_clear(shpool, e);

        /* held, should this worker die as well */

        e->sent = 1;
        e->owner = ngx_pid;
        e->state = NGX_HTTP_TCCBS_FLYING;

        *entry = e;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_http_tccbs_store_release(ngx_shm_zone_t *zone,
    const u_char key[NGX_TCCBS_SHA256_LEN], ngx_str_t *id)
{
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    e = ngx_http_tccbs_store_find(shpool->data, key);

    if (e && ngx_http_tccbs_store_left(e, id)) {
        ngx_http_tccbs_store_free(shpool, e);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


/* Whether it is of that call, and nobody is about to answer it. */

static ngx_uint_t
ngx_http_tccbs_store_left(ngx_http_tccbs_stored_t *entry, ngx_str_t *id)
{
    if (entry->shared
        || ngx_memcmp(entry->id, id->data, sizeof(entry->id)) != 0)
    {
        return 0;
    }

    return entry->state == NGX_HTTP_TCCBS_HELD
           || (entry->state == NGX_HTTP_TCCBS_FLYING
               && (entry->owner == (ngx_atomic_uint_t) ngx_pid
                   || ngx_http_tccbs_gone(entry->owner)));
}


static ngx_http_tccbs_stored_t **
ngx_http_tccbs_store_bucket(ngx_http_tccbs_shm_t *shm, const u_char *key)
{
    uint64_t  n;

    ngx_memcpy(&n, key, sizeof(uint64_t));

    return &shm->buckets[n & (shm->nbuckets - 1)];
}


static ngx_http_tccbs_stored_t *
ngx_http_tccbs_store_find(ngx_http_tccbs_shm_t *shm, const u_char *key)
{
    ngx_http_tccbs_stored_t  *entry;

    for (entry = *ngx_http_tccbs_store_bucket(shm, key);
         entry;
         entry = entry->next)
    {
        if (ngx_memcmp(key, entry->key, sizeof(entry->key)) == 0) {
            break;
        }
    }

    return entry;
}


static ngx_http_tccbs_stored_t *
ngx_http_tccbs_store_make(ngx_slab_pool_t *shpool, const u_char *key,
    const u_char *call, ngx_str_t *id)
{
    ngx_http_tccbs_stored_t   *entry, **bucket;

    entry = call ? ngx_http_tccbs_store_find(shpool->data, call) : NULL;

    if (entry) {
        entry = ngx_http_tccbs_store_spare(entry);
    }

    if (entry == NULL) {
        entry = ngx_http_tccbs_store_alloc(shpool,
                                           sizeof(ngx_http_tccbs_stored_t));
    }

    if (entry == NULL) {
        return NULL;
    }

    ngx_memcpy(entry->key, key, sizeof(entry->key));

    ngx_http_tccbs_store_fly(shpool, entry, id);

    bucket = ngx_http_tccbs_store_bucket(shpool->data, key);
    entry->next = *bucket;

    /* a worker killed here leaves a list without it, never half of one */

    ngx_memory_barrier();

    *bucket = entry;

    return entry;
}


static void *
ngx_http_tccbs_store_alloc(ngx_slab_pool_t *shpool, size_t size)
{
    void  *p;

    ngx_http_tccbs_store_sweep(shpool, NGX_HTTP_TCCBS_STORE_SWEEP);

    p = ngx_slab_calloc_locked(shpool, size);

    if (p == NULL) {
        ngx_http_tccbs_store_sweep(shpool, NGX_MAX_UINT32_VALUE);
        p = ngx_slab_calloc_locked(shpool, size);
    }

    return p;
}


/* One of what was reserved for an entry, or NULL. */

static ngx_http_tccbs_stored_t *
ngx_http_tccbs_store_spare(ngx_http_tccbs_stored_t *entry)
{
    ngx_http_tccbs_stored_t  *spare;

    spare = entry->spare;

    if (spare) {
        entry->spare = spare->next;
    }

    return spare;
}


static void
ngx_http_tccbs_store_unreserve(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry)
{
    ngx_http_tccbs_stored_t  *spare;

    while ((spare = ngx_http_tccbs_store_spare(entry)) != NULL) {
        ngx_slab_free_locked(shpool, spare);
    }
}


/*
 * Whether a region whose last copy is unknown, or was found to be made, is that
 * of another call.  What is found out of one of them says nothing of the other:
 * it stays held until the time of both is over.
 */

static ngx_uint_t
ngx_http_tccbs_store_shares(ngx_http_tccbs_stored_t *entry, const u_char *call,
    time_t hold)
{
    time_t  expires;

    if (ngx_memcmp(entry->call, call, sizeof(entry->call)) == 0) {
        return entry->shared;
    }

    expires = ngx_http_tccbs_zone_now() + hold;

    entry->expires = ngx_max(entry->expires, expires);
    entry->shared = 1;

    return 1;
}


static void
ngx_http_tccbs_store_fly(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry, ngx_str_t *id)
{
    ngx_http_tccbs_store_clear(shpool, entry);

    ngx_memcpy(entry->id, id->data, sizeof(entry->id));

    entry->state = NGX_HTTP_TCCBS_FLYING;
    entry->owner = ngx_pid;
    entry->sent = 0;
    entry->again = 0;
}


/* Whether an entry is alive; what a dead worker left is decided here. */

static ngx_uint_t
ngx_http_tccbs_store_judge(ngx_http_tccbs_stored_t *entry)
{
    if (entry->state != NGX_HTTP_TCCBS_FLYING) {
        return entry->expires > ngx_http_tccbs_zone_now();
    }

    if (!ngx_http_tccbs_gone(entry->owner)) {
        return 1;
    }

    if (!entry->sent) {
        return 0;
    }

    entry->state = NGX_HTTP_TCCBS_HELD;
    entry->since = ngx_http_tccbs_zone_now();
    entry->expires = entry->since + entry->hold;
    entry->owner = 0;

    return 1;
}


/* Frees what is dead in the next "n" buckets. */

static void
ngx_http_tccbs_store_sweep(ngx_slab_pool_t *shpool, ngx_uint_t n)
{
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_stored_t  *entry, *next;

    shm = shpool->data;
    n = ngx_min(n, shm->nbuckets);

    while (n--) {

        entry = shm->buckets[shm->swept++ & (shm->nbuckets - 1)];

        for ( /* void */ ; entry; entry = next) {
            next = entry->next;

            if (!ngx_http_tccbs_store_judge(entry)) {
                ngx_http_tccbs_store_free(shpool, entry);
            }
        }
    }
}


static void
ngx_http_tccbs_store_free(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry)
{
    ngx_http_tccbs_stored_t  **p;

    p = ngx_http_tccbs_store_bucket(shpool->data, entry->key);

    while (*p != entry) {
        p = &(*p)->next;
    }

    *p = entry->next;

    ngx_memory_barrier();

    ngx_http_tccbs_store_unreserve(shpool, entry);
    ngx_http_tccbs_store_clear(shpool, entry);
    ngx_slab_free_locked(shpool, entry);
}


static void
ngx_http_tccbs_store_clear(ngx_slab_pool_t *shpool,
    ngx_http_tccbs_stored_t *entry)
{
    if (entry->answer) {
        ngx_slab_free_locked(shpool, entry->answer);
        entry->answer = NULL;
    }

    entry->len = 0;
}
