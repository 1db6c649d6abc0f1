
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_replay.h"


/*
 * The table is open: an entry lies at most this far from its place.  With
 * uniformly spread signatures a run this long fills up only when more than
 * nine tenths of the table are alive.
 */

#define NGX_HTTP_TCCBS_REPLAY_RUN  128


ngx_int_t
ngx_http_tccbs_replay_check(ngx_shm_zone_t *zone, const u_char *signature,
    uint32_t context, time_t life, time_t window)
{
    time_t                  now;
    uint64_t                place;
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_slab_pool_t        *shpool;
    ngx_http_tccbs_shm_t   *shm;
    ngx_http_tccbs_seen_t  *seen, *room;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shm = shpool->data;

    /* the place and the stored part are different bytes of the signature */

    ngx_memcpy(&place, signature + 8, sizeof(uint64_t));

    now = ngx_http_tccbs_zone_now();

    room = NULL;
    rc = NGX_BUSY;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < NGX_HTTP_TCCBS_REPLAY_RUN; i++) {

        seen = &shm->seen[(place + i) & (shm->nseen - 1)];

        if ((time_t) seen->expires < now) {
            if (room == NULL) {
                room = seen;
            }

            continue;
        }

        if (ngx_memcmp(seen->signature, signature, sizeof(seen->signature))
            == 0)
        {
            if (seen->context != context) {
                rc = NGX_DECLINED;

            } else if (now - ((time_t) seen->expires - seen->life) >= window) {
                rc = NGX_ABORT;

            } else {
                rc = NGX_OK;
            }

            room = NULL;
            break;
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

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}
