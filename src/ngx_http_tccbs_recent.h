
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RECENT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RECENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_zone.h"


/* What happened last, for people who look: of a fixed size, without a lock. */


/* How many in each of the last seconds: a second and its number in a word. */

#define NGX_HTTP_TCCBS_SECONDS  128

typedef struct {
    ngx_atomic_t             seconds[NGX_HTTP_TCCBS_SECONDS];
} ngx_http_tccbs_pace_t;

void ngx_http_tccbs_pace_count(ngx_http_tccbs_pace_t *pace, time_t now);
ngx_uint_t ngx_http_tccbs_pace_at(ngx_http_tccbs_pace_t *pace, time_t second);


/* The last decisions about callers with an account. */

#define NGX_HTTP_TCCBS_RECENT  128

typedef struct {
    uint64_t                 time;            /* UTC, milliseconds */
    uint32_t                 ms;
    uint8_t                  action;          /* places, see _families.h */
    uint8_t                  code;
    uint8_t                  decision;
    uint8_t                  outcome;         /* ngx_tccbs_outcome_e */
    uint16_t                 nto;
    char                     account[32];     /* cut, with a final zero */
    char                     from[24];
    char                     to[24];          /* the first of them */
    char                     snapshot[24];
    char                     rule[20];
    char                     id[NGX_TCCBS_UUID_LEN];
} ngx_http_tccbs_decision_t;

typedef struct {
    ngx_atomic_t               state;         /* odd: is being written */
    ngx_http_tccbs_decision_t  decision;
} ngx_http_tccbs_recent_entry_t;

typedef struct {
    ngx_atomic_t                   n;         /* written so far */
    ngx_http_tccbs_recent_entry_t  entries[NGX_HTTP_TCCBS_RECENT];
} ngx_http_tccbs_recent_t;

void ngx_http_tccbs_recent_add(ngx_http_tccbs_recent_t *recent,
    const ngx_http_tccbs_decision_t *decision);

/* Copies them, the last one first, and returns how many there are. */
ngx_uint_t ngx_http_tccbs_recent_copy(ngx_http_tccbs_recent_t *recent,
    ngx_http_tccbs_decision_t decisions[NGX_HTTP_TCCBS_RECENT]);

/* "size" bytes with the beginning of a string and a zero. */
void ngx_http_tccbs_recent_text(char *text, size_t size, const ngx_str_t *s);


#endif /* _NGX_HTTP_TCCBS_RECENT_H_INCLUDED_ */
