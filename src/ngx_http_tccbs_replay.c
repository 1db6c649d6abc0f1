
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_replay.h"


/*
 * A signature has two groups of entries, four cache lines each, and goes to the
 * emptier one.  With uniformly spread signatures no group is full before five
 * sixths of the table are alive.
 */

#define NGX_HTTP_TCCBS_REPLAY_GROUP  16

#define NGX_HTTP_TCCBS_REPLAY_LINE   64          /* bytes, of a cache */

#define NGX_HTTP_TCCBS_REPLAY_SIZE                                            \
    (NGX_HTTP_TCCBS_REPLAY_GROUP * sizeof(ngx_http_tccbs_seen_t))


static ngx_http_tccbs_seen_t *ngx_http_tccbs_replay_group(
    ngx_http_tccbs_shm_t *shm, const u_char *bytes);


ngx_int_t
ngx_http_tccbs_replay_check(ngx_shm_zone_t *zone, const u_char *signature,
    uint32_t context, time_t life, time_t window)
{
    time_t                  now;
    ngx_int_t               rc;
    ngx_uint_t              i, k, n, least;
    ngx_slab_pool_t        *shpool;
    ngx_http_tccbs_shm_t   *shm;
    ngx_http_tccbs_seen_t  *seen, *groups[2], *free, *room;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shm = shpool->data;

    /* the places and the stored part are different bytes of the signature */

    groups[0] = ngx_http_tccbs_replay_group(shm, signature + 8);
    groups[1] = ngx_http_tccbs_replay_group(shm, signature + 16);

    now = ngx_http_tccbs_zone_now();

    room = NULL;
    least = NGX_HTTP_TCCBS_REPLAY_GROUP;
    rc = NGX_BUSY;

    ngx_shmtx_lock(&shpool->mutex);

    for (k = 0; k < 2; k++) {

        free = NULL;
        n = 0;

        for (i = 0; i < NGX_HTTP_TCCBS_REPLAY_GROUP; i++) {

            seen = &groups[k][i];

            if ((time_t) seen->expires < now) {
                free = seen;
                continue;
            }

            n++;

            if (ngx_memcmp(seen->signature, signature,
                           sizeof(seen->signature))
                != 0)
            {
                continue;
            }

            if (seen->context != context) {
                rc = NGX_DECLINED;

            } else if (now - ((time_t) seen->expires - seen->life) >= window) {
                rc = NGX_ABORT;

            } else {
                rc = NGX_OK;
            }

            goto done;
        }

        if (n < least) {
            least = n;
            room = free;
        }
    }

    if (room) {

        /* a worker killed in between leaves an expired entry */

        room->expires = 0;
        ngx_memory_barrier();
        ngx_memcpy(room->signature, signature, sizeof(room->signature));
        room->context = context;
        room->life = (uint16_t) life;
        ngx_memory_barrier();
        room->expires = (uint32_t) (now + life);

        rc = NGX_OK;
    }

done:

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_http_tccbs_replay_prefetch(ngx_shm_zone_t *zone, const u_char *signature)
{
#if (__GNUC__)
    u_char           *p;
    ngx_uint_t        k, n;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    for (k = 8; k <= 16; k += 8) {
        p = (u_char *) ngx_http_tccbs_replay_group(shpool->data,
                                                   signature + k);

        for (n = 0;
             n < NGX_HTTP_TCCBS_REPLAY_SIZE;
             n += NGX_HTTP_TCCBS_REPLAY_LINE)
        {
            __builtin_prefetch(p + n, 1);
        }
    }
#endif
}


static ngx_http_tccbs_seen_t *
ngx_http_tccbs_replay_group(ngx_http_tccbs_shm_t *shm, const u_char *bytes)
{
    uint64_t  place;

    ngx_memcpy(&place, bytes, sizeof(uint64_t));

    return &shm->seen[place * NGX_HTTP_TCCBS_REPLAY_GROUP & (shm->nseen - 1)];
}
