
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/* more than the kernel ever gives to a process */

#define NGX_HTTP_TCCBS_NOBODY  0x7ffffffe

/* a name that the configuration may still be given up with */

#define NGX_HTTP_TCCBS_ZONE_NEW  1


ngx_http_tccbs_shm_t *
ngx_http_tccbs_zone_shm(ngx_shm_zone_t *zone)
{
    return ((ngx_slab_pool_t *) zone->shm.addr)->data;
}


ngx_int_t
ngx_http_tccbs_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t             n;
    ngx_slab_pool_t       *shpool;
    ngx_http_tccbs_shm_t  *shm;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shpool->log_nomem = 0;

    if (data || zone->shm.exists) {
        shm = shpool->data;

        if (shm->layout != NGX_HTTP_TCCBS_ZONE_LAYOUT
            || shm->size != zone->shm.size)
        {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "tccbs_zone \"%V\" has another layout, "
                          "restart nginx instead of reloading it",
                          &zone->shm.name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_http_tccbs_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shm->layout = NGX_HTTP_TCCBS_ZONE_LAYOUT;
    shm->size = zone->shm.size;

    /* a sixteenth for the open intents, a quarter for the signatures */

    shm->nflights = ngx_min(zone->shm.size / 16
                            / sizeof(ngx_http_tccbs_flight_t),
                            NGX_HTTP_TCCBS_FLIGHTS_MAX);
    shm->flights = ngx_slab_calloc(shpool, shm->nflights
                                           * sizeof(ngx_http_tccbs_flight_t));

    for (n = 1024;
         n * 2 * sizeof(ngx_http_tccbs_seen_t) <= zone->shm.size / 4;
         n *= 2)
    { /* void */ }

    shm->nseen = n;
    shm->seen = ngx_slab_calloc(shpool, n * sizeof(ngx_http_tccbs_seen_t));

    /* the last copies: a bucket for each that there may be room for */

    for (n = 256; n * 2 * NGX_HTTP_TCCBS_ZONE_STORED <= zone->shm.size; n *= 2)
    { /* void */ }

    shm->nbuckets = n;
    shm->buckets = ngx_slab_calloc(shpool, n * sizeof(void *));

    if (shm->flights == NULL || shm->seen == NULL || shm->buckets == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&shm->named, &shm->sentinel, ngx_str_rbtree_insert_value);

    shpool->data = shm;

    return NGX_OK;
}


void *
ngx_http_tccbs_zone_named(ngx_shm_zone_t *zone, const char *kind,
    ngx_str_t *name, size_t size)
{
    u_char                *p;
    size_t                 len;
    uint32_t               hash;
    ngx_str_t              key;
    ngx_str_node_t        *sn;
    ngx_slab_pool_t       *shpool;
    ngx_http_tccbs_shm_t  *shm;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shm = shpool->data;

    /* the zero is a part of it: no kind has one, so none is another's name */

    len = ngx_strlen(kind) + 1;

    key.len = len + name->len;
    key.data = ngx_alloc(key.len, zone->shm.log);

    if (key.data == NULL) {
        return NULL;
    }

    p = ngx_cpymem(key.data, kind, len);

    if (name->len) {
        ngx_memcpy(p, name->data, name->len);
    }

    hash = ngx_crc32_long(key.data, key.len);

    ngx_shmtx_lock(&shpool->mutex);

    sn = ngx_str_rbtree_lookup(&shm->named, &key, hash);

    if (sn == NULL) {

        /* the node, what is asked for on a cache line of its own, the name */

        size = ngx_align(size, 64);
        sn = ngx_slab_calloc_locked(shpool, 64 + size + key.len);

        if (sn) {
            sn->node.key = hash;
            sn->node.data = NGX_HTTP_TCCBS_ZONE_NEW;
            sn->str.len = key.len;
            sn->str.data = (u_char *) sn + 64 + size;

            ngx_memcpy(sn->str.data, key.data, key.len);

            ngx_rbtree_insert(&shm->named, &sn->node);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_free(key.data);

    return sn ? (u_char *) sn + 64 : NULL;
}


void
ngx_http_tccbs_zone_named_done(ngx_shm_zone_t *zone, ngx_uint_t keep)
{
    ngx_rbtree_t       *tree;
    ngx_slab_pool_t    *shpool;
    ngx_rbtree_node_t  *node, *next;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    tree = &((ngx_http_tccbs_shm_t *) shpool->data)->named;

    ngx_shmtx_lock(&shpool->mutex);

    node = (tree->root == tree->sentinel)
           ? NULL : ngx_rbtree_min(tree->root, tree->sentinel);

    for ( /* void */ ; node; node = next) {
        next = ngx_rbtree_next(tree, node);

        if (node->data == NGX_HTTP_TCCBS_ZONE_NEW && !keep) {
            ngx_rbtree_delete(tree, node);
            ngx_slab_free_locked(shpool, node);

        } else {
            node->data = 0;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


ngx_http_tccbs_flight_t *
ngx_http_tccbs_flight_take(ngx_shm_zone_t *zone, ngx_str_t *id)
{
    ngx_uint_t                i;
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_flight_t  *flight;
    static ngx_uint_t         last;

    shm = ngx_http_tccbs_zone_shm(zone);

    for (i = 0; i < shm->nflights; i++) {

        flight = &shm->flights[last++ % shm->nflights];

        if (flight->owner == 0
            && ngx_atomic_cmp_set(&flight->owner, 0, ngx_pid))
        {
            flight->state = NGX_HTTP_TCCBS_FLIGHT_INTENT;
            flight->closing = 0;
            ngx_memcpy(flight->id, id->data, ngx_min(id->len, 36));
            return flight;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_tccbs_flight_found(ngx_shm_zone_t *zone, ngx_str_t *id,
    ngx_pid_t pid)
{
    ngx_uint_t                i;
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_flight_t  *flight;

    shm = ngx_http_tccbs_zone_shm(zone);

    for (i = 0; i < shm->nflights; i++) {
        if (shm->flights[i].owner
            && ngx_memcmp(shm->flights[i].id, id->data, NGX_TCCBS_UUID_LEN)
               == 0)
        {
            return NGX_DECLINED;
        }
    }

    flight = ngx_http_tccbs_flight_take(zone, id);

    if (flight == NULL) {
        return NGX_ERROR;
    }

    if (pid <= 0 || ngx_http_tccbs_gone(pid)) {
        pid = NGX_HTTP_TCCBS_NOBODY;
    }

    flight->state = NGX_HTTP_TCCBS_FLIGHT_SENDING;
    flight->owner = pid;

    return NGX_OK;
}


void
ngx_http_tccbs_flight_free(ngx_http_tccbs_flight_t *flight)
{
    ngx_memory_barrier();
    flight->owner = 0;
}


ngx_http_tccbs_flight_t *
ngx_http_tccbs_flight_orphan(ngx_shm_zone_t *zone, ngx_uint_t *n)
{
    ngx_pid_t                 pid;
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_flight_t  *flight;

    shm = ngx_http_tccbs_zone_shm(zone);

    while (*n < shm->nflights) {

        flight = &shm->flights[(*n)++];
        pid = flight->owner;

        if (pid == 0 || pid == ngx_pid || !ngx_http_tccbs_gone(pid)) {
            continue;
        }

        if (ngx_atomic_cmp_set(&flight->owner, pid, ngx_pid)) {
            flight->closing = 1;
            return flight;
        }
    }

    return NULL;
}


ngx_http_tccbs_flight_t *
ngx_http_tccbs_flight_own(ngx_shm_zone_t *zone, ngx_uint_t *n)
{
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_flight_t  *flight;

    shm = ngx_http_tccbs_zone_shm(zone);

    while (*n < shm->nflights) {

        flight = &shm->flights[(*n)++];

        if (flight->owner == (ngx_atomic_uint_t) ngx_pid) {
            return flight;
        }
    }

    return NULL;
}


time_t
ngx_http_tccbs_zone_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec;
}
