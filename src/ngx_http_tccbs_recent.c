
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_recent.h"


void
ngx_http_tccbs_pace_count(ngx_http_tccbs_pace_t *pace, time_t now)
{
    uint64_t       old, new;
    ngx_atomic_t  *cell;

    cell = &pace->seconds[now % NGX_HTTP_TCCBS_SECONDS];

    do {
        old = *cell;
        new = ((uint32_t) (old >> 32) == (uint32_t) now)
              ? old + 1 : (uint64_t) now << 32 | 1;

    } while (!ngx_atomic_cmp_set(cell, old, new));
}


ngx_uint_t
ngx_http_tccbs_pace_at(ngx_http_tccbs_pace_t *pace, time_t second)
{
    uint64_t  cell;

    cell = pace->seconds[second % NGX_HTTP_TCCBS_SECONDS];

    return ((uint32_t) (cell >> 32) == (uint32_t) second) ? (uint32_t) cell
                                                          : 0;
}


void
ngx_http_tccbs_recent_add(ngx_http_tccbs_recent_t *recent,
    const ngx_http_tccbs_decision_t *decision)
{
    ngx_atomic_uint_t               n;
    ngx_http_tccbs_recent_entry_t  *entry;

    n = ngx_atomic_fetch_add(&recent->n, 1);
    entry = &recent->entries[n % NGX_HTTP_TCCBS_RECENT];

    /* a worker that dies here leaves an odd number, which nobody reads */

    entry->state = 2 * n + 1;
    ngx_memory_barrier();

    entry->decision = *decision;

    ngx_memory_barrier();
    entry->state = 2 * n + 2;
}


ngx_uint_t
ngx_http_tccbs_recent_copy(ngx_http_tccbs_recent_t *recent,
    ngx_http_tccbs_decision_t decisions[NGX_HTTP_TCCBS_RECENT])
{
    ngx_uint_t                      i, copied;
    ngx_atomic_uint_t               n;
    ngx_http_tccbs_recent_entry_t  *entry;

    n = recent->n;
    copied = 0;

    for (i = 0; i < NGX_HTTP_TCCBS_RECENT && n > 0; i++) {

        n--;
        entry = &recent->entries[n % NGX_HTTP_TCCBS_RECENT];

        if (entry->state != 2 * n + 2) {
            continue;
        }

        ngx_memory_barrier();
        decisions[copied] = entry->decision;
        ngx_memory_barrier();

        if (entry->state == 2 * n + 2) {
            copied++;
        }
    }

    return copied;
}


void
ngx_http_tccbs_recent_text(char *text, size_t size, const ngx_str_t *s)
{
    size_t  len;

    len = ngx_min(s->len, size - 1);

    if (len) {
        ngx_memcpy(text, s->data, len);
    }

    text[len] = '\0';
}
