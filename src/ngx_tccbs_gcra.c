
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_gcra.h"


uint64_t
ngx_tccbs_gcra_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


ngx_int_t
ngx_tccbs_gcra_take(ngx_atomic_t *cell, uint64_t now, uint64_t cost,
    uint64_t tolerance, uint64_t *wait)
{
    uint64_t  tat, base;

    for ( ;; ) {
        tat = *cell;
        base = (tat > now) ? tat : now;

        if (base - now > tolerance) {
            *wait = base - now - tolerance;
            return NGX_BUSY;
        }

        if (ngx_atomic_cmp_set(cell, tat, base + cost)) {
            *wait = base - now;
            return NGX_OK;
        }
    }
}


void
ngx_tccbs_gcra_give(ngx_atomic_t *cell, uint64_t cost)
{
    /* a time in the past is the same as now */

    (void) ngx_atomic_fetch_add(cell, -(ngx_atomic_int_t) cost);
}


ngx_int_t
ngx_tccbs_quota_take(ngx_atomic_t *cell, uint32_t day, uint32_t n,
    uint32_t limit)
{
    uint64_t  old;
    uint32_t  stored, used;

    for ( ;; ) {
        old = *cell;
        stored = old >> 32;
        used = (stored < day) ? 0 : (uint32_t) old;

        if (n > limit || used > limit - n) {
            return NGX_BUSY;
        }

        if (ngx_atomic_cmp_set(cell, old,
                               (uint64_t) ngx_max(stored, day) << 32
                               | (used + n)))
        {
            return NGX_OK;
        }
    }
}


void
ngx_tccbs_quota_give(ngx_atomic_t *cell, uint32_t day, uint32_t n)
{
    uint64_t  old;

    do {
        old = *cell;

        /* what was taken yesterday is not missing today */

        if ((uint32_t) (old >> 32) != day || (uint32_t) old < n) {
            return;
        }

    } while (!ngx_atomic_cmp_set(cell, old, old - n));
}


uint32_t
ngx_tccbs_quota_drain(ngx_atomic_t *cell, uint32_t day)
{
    uint64_t  old;

    do {
        old = *cell;

        if ((uint32_t) (old >> 32) != day) {
            return 0;
        }

    } while (!ngx_atomic_cmp_set(cell, old, (uint64_t) day << 32));

    return (uint32_t) old;
}


uint32_t
ngx_tccbs_quota_used(ngx_atomic_t *cell, uint32_t day)
{
    uint64_t  old;

    old = *cell;

    return ((uint32_t) (old >> 32) < day) ? 0 : (uint32_t) old;
}
