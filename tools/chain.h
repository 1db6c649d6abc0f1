
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_CHAIN_H_INCLUDED_
#define _TCCBS_CHAIN_H_INCLUDED_


#include "log.h"


/* The chains of a set of segments, found by their names, and their records. */

typedef enum {
    TCCBS_PLAIN = 0,
    TCCBS_ANCHOR,
    TCCBS_SEGMENT,                            /* the header of one */
    TCCBS_START
} tccbs_kind_e;

typedef struct {
    uint64_t           seq;
    u_char             hash[NGX_TCCBS_SHA256_LEN];
    u_char             prev[NGX_TCCBS_SHA256_LEN];
    u_char            *text;
    uint32_t           len;
    uint32_t           file;
    uint64_t           line;
    uint8_t            kind;
    uint8_t            bad_mac;
} tccbs_entry_t;

typedef struct {
    u_char             name[TCCBS_LOG_CHAIN];
    tccbs_entry_t     *entries;
    size_t             n, nalloc;
    uint64_t           last;                  /* number, in this file */
    uint32_t           file;
    ngx_uint_t         sorted;
    uint64_t           first_again, last_again;
} tccbs_chain_t;

typedef struct {
    tccbs_chain_t     *elts;
    size_t             n;
    uint32_t          *table;                 /* by name, index + 1 */
    size_t             size;
    tccbs_chain_t     *recent;
} tccbs_chains_t;


/* By its name of TCCBS_LOG_CHAIN bytes; NULL without one, or without memory. */
tccbs_chain_t *tccbs_chains_get(tccbs_chains_t *chains, const u_char *name,
    ngx_uint_t create);

void tccbs_chains_free(tccbs_chains_t *chains);

/* Room for one record more, which is not counted yet; NULL without memory. */
tccbs_entry_t *tccbs_chain_next(tccbs_chain_t *chain);

/* By number, what has the same one by its place. */
void tccbs_chain_sort(tccbs_chain_t *chain);

/* In a chain that is sorted: the first of that number, or NULL. */
tccbs_entry_t *tccbs_chain_find(tccbs_chain_t *chain, uint64_t seq);


#endif /* _TCCBS_CHAIN_H_INCLUDED_ */
