
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_HOLD_H_INCLUDED_
#define _NGX_HTTP_TCCBS_HOLD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_store.h"


/*
 * What is known of a snapshot's copies to its regions after a call that had no
 * usable answer.  A region is held until its time ends or DescribeSnapshots
 * shows that the copy was made; then it stays known as made by that call.
 */

typedef struct {
    ngx_shm_zone_t            *zone;
    ngx_pool_t                *pool;
    ngx_str_t                  credential;    /* its name */
    ngx_str_t                  account;       /* that asked, for people */
    ngx_str_t                  snapshot;      /* the source */
    ngx_str_t                  id;            /* of the call's records */
    ngx_str_t                  tag;           /* of the new names, or empty */
    u_char                     call[NGX_TCCBS_SHA256_LEN];
} ngx_http_tccbs_hold_t;


/* Nobody knows: NGX_OK, NGX_DECLINED when the zone is full, NGX_ERROR. */
ngx_int_t ngx_http_tccbs_hold(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    time_t seconds);

/* Made as "snapshot", by the same call; returns as above. */
ngx_int_t ngx_http_tccbs_hold_made(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region, ngx_str_t *snapshot, time_t seconds);

/* The call of that id has an outcome after all: its hold ends. */
void ngx_http_tccbs_hold_release(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region);

/* The digest that a region is found by: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_tccbs_hold_region(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region, u_char key[NGX_TCCBS_SHA256_LEN]);

/*
 * NGX_OK: the region is free for this call; NGX_BUSY: it is held; NGX_DONE:
 * this very call made it, found->answer is the new snapshot, empty when its id
 * is not known; NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_hold_look(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region, ngx_http_tccbs_found_t *found);

/*
 * Evidence: that a copy of hold->snapshot to the region is made, or that the
 * snapshot "made" in the region has the tag of a name.  NGX_OK when this ends a
 * hold, NGX_DECLINED when not, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_hold_settle(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region, time_t seconds, ngx_http_tccbs_found_t *found);
ngx_int_t ngx_http_tccbs_hold_settle_tag(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *tag, ngx_str_t *region, ngx_str_t *made, time_t seconds,
    ngx_http_tccbs_found_t *found);


#endif /* _NGX_HTTP_TCCBS_HOLD_H_INCLUDED_ */
