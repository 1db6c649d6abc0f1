
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CHAIN_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CHAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_heads.h"


/*
 * The chain of this worker: its records, each with the hash of the one before
 * and, when there is a key, a mac; and the anchors that name other chains.
 */

#define NGX_HTTP_TCCBS_RECEIPT_LEN                                            \
    (NGX_HTTP_TCCBS_CHAIN_LEN + 1 + NGX_INT64_LEN + 1 + NGX_TCCBS_HEX_LEN)


/* "key" is that of the macs, or empty. */
ngx_int_t ngx_http_tccbs_chain_init(ngx_shm_zone_t *zone, ngx_str_t *key,
    ngx_log_t *log);

/* The number of the next record, and the hash of the last one. */
uint64_t ngx_http_tccbs_chain_seq(void);
u_char *ngx_http_tccbs_chain_hash(void);

/* How much room a record with so long a "rest" needs. */
size_t ngx_http_tccbs_chain_size(size_t rest);

/*
 * Writes the next record with its newline: the common members, then "rest",
 * which begins with "kind".  NULL when that failed, the chain is as it was.
 */
u_char *ngx_http_tccbs_chain_record(u_char *p, ngx_str_t *id, ngx_str_t *rest);

/*
 * The "rest" of an anchor: the ends of all other chains, or of those that went
 * on since the last one.  It is to be freed with ngx_free().
 */
ngx_int_t ngx_http_tccbs_chain_anchor(const char *why, ngx_uint_t all,
    ngx_str_t *rest);

/* The records up to that one are durable. */
void ngx_http_tccbs_chain_durable(uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN]);

/*
 * The receipt of the last record: its chain, its number and the SHA-256 of its
 * line, with dots between them.
 */
u_char *ngx_http_tccbs_chain_receipt(u_char *p);


#endif /* _NGX_HTTP_TCCBS_CHAIN_H_INCLUDED_ */
