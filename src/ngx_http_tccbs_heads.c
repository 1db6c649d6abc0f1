
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_heads.h"


static ngx_http_tccbs_head_t *ngx_http_tccbs_heads_place(
    ngx_http_tccbs_shm_t *shm);


ngx_http_tccbs_head_t *
ngx_http_tccbs_heads_take(ngx_shm_zone_t *zone,
    const u_char chain[NGX_HTTP_TCCBS_CHAIN_LEN])
{
    ngx_slab_pool_t        *shpool;
    ngx_http_tccbs_head_t  *head;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    head = ngx_http_tccbs_heads_place(shpool->data);

    if (head) {
        head->owner = ngx_pid;
        ngx_memcpy(head->chain, chain, sizeof(head->chain));
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return head;
}


void
ngx_http_tccbs_heads_publish(ngx_shm_zone_t *zone,
    ngx_http_tccbs_head_t *head, uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN])
{
    ngx_slab_pool_t  *shpool;

    if (head == NULL) {
        return;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    head->seq = seq;
    head->used = 1;
    ngx_memcpy(head->hash, hash, sizeof(head->hash));

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_http_tccbs_heads_ended(ngx_shm_zone_t *zone,
    const u_char chain[NGX_HTTP_TCCBS_CHAIN_LEN], uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN])
{
    ngx_uint_t              i;
    ngx_http_tccbs_shm_t   *shm;
    ngx_http_tccbs_head_t  *head;

    shm = ngx_http_tccbs_zone_shm(zone);
    head = NULL;

    for (i = 0; i < NGX_HTTP_TCCBS_HEADS; i++) {
        if (shm->heads[i].age
            && ngx_memcmp(shm->heads[i].chain, chain, sizeof(head->chain))
               == 0)
        {
            head = &shm->heads[i];

            /* its own worker knows better */

            if (head->owner) {
                return;
            }
        }
    }

    if (head == NULL) {
        head = ngx_http_tccbs_heads_take(zone, chain);

        if (head == NULL) {
            return;
        }
    }

    ngx_http_tccbs_heads_publish(zone, head, seq, hash);

    head->owner = 0;
}


ngx_uint_t
ngx_http_tccbs_heads_copy(ngx_shm_zone_t *zone,
    ngx_http_tccbs_head_t heads[NGX_HTTP_TCCBS_HEADS])
{
    ngx_uint_t             i, n;
    ngx_slab_pool_t       *shpool;
    ngx_http_tccbs_shm_t  *shm;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shm = shpool->data;
    n = 0;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < NGX_HTTP_TCCBS_HEADS; i++) {
        if (shm->heads[i].used) {
            heads[n++] = shm->heads[i];
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return n;
}


/*
 * A free place, or that of the chain that began first of those that ended.  The
 * place of a worker that lives is never given away: it would go on to publish
 * its end there, under the name of the other chain.
 */

static ngx_http_tccbs_head_t *
ngx_http_tccbs_heads_place(ngx_http_tccbs_shm_t *shm)
{
    ngx_uint_t              i;
    ngx_http_tccbs_head_t  *head, *place;

    place = NULL;

    for (i = 0; i < NGX_HTTP_TCCBS_HEADS; i++) {

        head = &shm->heads[i];

        if (head->age == 0) {
            place = head;
            break;
        }

        if ((place == NULL || head->age < place->age)
            && (head->owner == 0 || ngx_http_tccbs_gone(head->owner)))
        {
            place = head;
        }
    }

    if (place == NULL) {
        return NULL;
    }

    ngx_memzero(place, sizeof(ngx_http_tccbs_head_t));
    place->age = ++shm->age;

    return place;
}
