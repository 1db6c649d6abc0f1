
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ZONE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_ZONE_LAYOUT  17
#define NGX_HTTP_TCCBS_ZONE_MIN     (256 * 1024)

/* bytes, about, that a copy takes there while it is remembered */

#define NGX_HTTP_TCCBS_ZONE_STORED  1024

/* open calls; room for their outcomes is reserved on the disk */

#define NGX_HTTP_TCCBS_FLIGHTS_MAX  16384


/*
 * An intent that has no durable outcome yet.  The entry outlives the worker:
 * another one finds entries of a dead owner and closes them in the audit log.
 */

typedef enum {
    NGX_HTTP_TCCBS_FLIGHT_INTENT = 0,     /* it is being written */
    NGX_HTTP_TCCBS_FLIGHT_READY,          /* it is in the audit file */
    NGX_HTTP_TCCBS_FLIGHT_SENDING         /* bytes may have left */
} ngx_http_tccbs_flight_e;

typedef struct {
    ngx_atomic_t       owner;             /* pid, 0 when free */
    ngx_atomic_t       state;
    ngx_atomic_t       closing;           /* somebody sees to its outcome */
    u_char             id[40];            /* of the audit records, 36 used */
} ngx_http_tccbs_flight_t;


/* A signature that was accepted, see ngx_http_tccbs_replay.h. */

typedef struct {
    u_char             signature[6];
    uint16_t           life;              /* seconds before "expires" */
    uint32_t           context;
    uint32_t           expires;
} ngx_http_tccbs_seen_t;


/* The end of a worker's chain of records, see ngx_http_tccbs_heads.h. */

#define NGX_HTTP_TCCBS_HEADS      64
#define NGX_HTTP_TCCBS_CHAIN_LEN  16          /* hexadecimal digits */

typedef struct {
    ngx_atomic_t       owner;                 /* pid */
    uint64_t           age;                   /* 0 when free */
    uint64_t           seq;
    ngx_uint_t         used;                  /* there is a durable record */
    u_char             chain[NGX_HTTP_TCCBS_CHAIN_LEN];
    u_char             hash[NGX_TCCBS_SHA256_LEN];
} ngx_http_tccbs_head_t;


/*
 * What an account has used, and its keys of the newest configuration; made at
 * configuration and never freed.
 */

#define NGX_HTTP_TCCBS_RATES  2               /* one for each action */
#define NGX_HTTP_TCCBS_KEYS   2               /* live keys of an account */

typedef struct {
    uint64_t               account;           /* by which a fleet knows it */
    uint64_t               finish;            /* tag in the queue */
} ngx_http_tccbs_flow_t;

typedef struct {
    ngx_atomic_t           rate[NGX_HTTP_TCCBS_RATES];
    ngx_atomic_t           quota;
    ngx_atomic_t           owed;              /* not yet told to Redis */
    ngx_http_tccbs_flow_t  flows[NGX_HTTP_TCCBS_RATES];
    ngx_atomic_t           live[NGX_HTTP_TCCBS_KEYS];    /* marks of keys */
    ngx_atomic_t           generation;                   /* that they are of */
} ngx_http_tccbs_usage_t;


typedef struct ngx_http_tccbs_stored_s  ngx_http_tccbs_stored_t;

typedef struct {
    ngx_uint_t                layout;
    size_t                    size;

    ngx_atomic_t              generation;     /* of the configuration */

    uint64_t                  number;         /* 0 until it is chosen */
    ngx_atomic_t              taken;          /* over, with what is logged */
    ngx_atomic_t              taker;          /* pid */
    ngx_atomic_t              term;           /* how often that was */

    ngx_uint_t                nflights;
    ngx_http_tccbs_flight_t  *flights;

    ngx_uint_t                nseen;      /* a power of two */
    ngx_http_tccbs_seen_t    *seen;

    ngx_rbtree_t              named;
    ngx_rbtree_node_t         sentinel;

    ngx_uint_t                nbuckets;   /* a power of two */
    ngx_uint_t                swept;      /* the next one to be swept */
    ngx_http_tccbs_stored_t **buckets;    /* ngx_http_tccbs_store.h */

    uint64_t                  age;            /* of heads */
    ngx_http_tccbs_head_t     heads[NGX_HTTP_TCCBS_HEADS];
} ngx_http_tccbs_shm_t;


/*
 * The zone of "tccbs_zone name:size".  All shared memory of the module is laid
 * out here; it survives a reload, a binary upgrade starts an empty one.
 */
ngx_int_t ngx_http_tccbs_zone_init(ngx_shm_zone_t *zone, void *data);
ngx_http_tccbs_shm_t *ngx_http_tccbs_zone_shm(ngx_shm_zone_t *zone);

/*
 * "size" bytes under that name, zeroed when there were none; for the master,
 * before it forks.  NULL without room for another one.
 */
void *ngx_http_tccbs_zone_named(ngx_shm_zone_t *zone, const char *kind,
    ngx_str_t *name, size_t size);

/* Whether names that were made since the last time stay, or are freed. */
void ngx_http_tccbs_zone_named_done(ngx_shm_zone_t *zone, ngx_uint_t keep);

/* Seconds of the monotonic clock: what is shared must not end by a step. */
time_t ngx_http_tccbs_zone_now(void);

/* Whether an owner has ended; one of another user is there all the same. */

static ngx_inline ngx_uint_t
ngx_http_tccbs_gone(ngx_atomic_uint_t pid)
{
    return kill((pid_t) pid, 0) == -1 && ngx_errno == ESRCH;
}


/* Takes a free entry for this process, or returns NULL. */
ngx_http_tccbs_flight_t *ngx_http_tccbs_flight_take(ngx_shm_zone_t *zone,
    ngx_str_t *id);

/*
 * An entry for an intent that was found in the log.  Its owner is "pid", a
 * process of before a binary upgrade, as long as it runs; 0 for one that is
 * gone.  NGX_OK, NGX_DECLINED when there is an entry, NGX_ERROR without room.
 */
ngx_int_t ngx_http_tccbs_flight_found(ngx_shm_zone_t *zone, ngx_str_t *id,
    ngx_pid_t pid);

void ngx_http_tccbs_flight_free(ngx_http_tccbs_flight_t *flight);

/*
 * The next entry, from *n on, whose owner is gone; it belongs to this process
 * from then on.  NULL at the end of the table.
 */
ngx_http_tccbs_flight_t *ngx_http_tccbs_flight_orphan(ngx_shm_zone_t *zone,
    ngx_uint_t *n);

/* The next entry, from *n on, that this process owns, or NULL. */
ngx_http_tccbs_flight_t *ngx_http_tccbs_flight_own(ngx_shm_zone_t *zone,
    ngx_uint_t *n);


#endif /* _NGX_HTTP_TCCBS_ZONE_H_INCLUDED_ */
