
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_held.h"


ngx_uint_t
ngx_http_tccbs_held(ngx_shm_zone_t *zone, ngx_http_tccbs_held_t *held,
    ngx_uint_t max, ngx_uint_t *n)
{
    time_t                    now;
    ngx_uint_t                i, k, all, youngest;
    ngx_slab_pool_t          *shpool;
    ngx_http_tccbs_shm_t     *shm;
    ngx_http_tccbs_held_t    *h;
    ngx_http_tccbs_stored_t  *e;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;
    shm = shpool->data;
    now = ngx_http_tccbs_zone_now();
    all = 0;
    youngest = 0;
    *n = 0;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < shm->nbuckets; i++) {
        for (e = shm->buckets[i]; e; e = e->next) {

            if (e->state != NGX_HTTP_TCCBS_HELD || e->expires <= now) {
                continue;
            }

            all++;

            if (*n < max) {
                h = &held[(*n)++];

            } else if (now - e->since > held[youngest].age) {
                h = &held[youngest];

            } else {
                continue;
            }

            ngx_memcpy(h->id, e->id, sizeof(h->id));
            h->age = now - e->since;
            h->left = e->expires - now;
            h->len = (e->len <= sizeof(h->about)) ? e->len : 0;

            if (h->len) {
                ngx_memcpy(h->about, e->answer, h->len);
            }

            for (k = 0; *n == max && k < max; k++) {
                if (held[k].age < held[youngest].age) {
                    youngest = k;
                }
            }
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return all;
}
