
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_GCRA_H_INCLUDED_
#define _NGX_TCCBS_GCRA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The generic cell rate algorithm on one word: the theoretical arrival time of
 * the next request in microseconds of a clock that all processes share.
 */

/* That clock: monotonic, exact, and good in threads. */
uint64_t ngx_tccbs_gcra_now(void);

/*
 * Takes one request of "cost" microseconds (the reciprocal of the rate) when
 * the cell is not more than "tolerance" (burst * cost) ahead of "now".
 * NGX_OK: taken, *wait is how much ahead it is, 0 when within the rate;
 * NGX_BUSY: not taken, *wait is the time until it could be.
 */
ngx_int_t ngx_tccbs_gcra_take(ngx_atomic_t *cell, uint64_t now, uint64_t cost,
    uint64_t tolerance, uint64_t *wait);

/* Gives back what was taken and not used. */
void ngx_tccbs_gcra_give(ngx_atomic_t *cell, uint64_t cost);


/*
 * A counter per UTC day in one word.  NGX_OK, or NGX_BUSY when fewer than "n"
 * of "limit" are left.  A day that is before the stored one counts as that
 * one: a clock that is set back gives nothing.
 */
ngx_int_t ngx_tccbs_quota_take(ngx_atomic_t *cell, uint32_t day, uint32_t n,
    uint32_t limit);
void ngx_tccbs_quota_give(ngx_atomic_t *cell, uint32_t day, uint32_t n);

/* Takes out what was counted on that day. */
uint32_t ngx_tccbs_quota_drain(ngx_atomic_t *cell, uint32_t day);

/* How many were taken on that day. */
uint32_t ngx_tccbs_quota_used(ngx_atomic_t *cell, uint32_t day);


#endif /* _NGX_TCCBS_GCRA_H_INCLUDED_ */
