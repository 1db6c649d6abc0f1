
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_SOURCE_H_INCLUDED_
#define _NGX_TCCBS_SOURCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TCCBS_TRIPLE_ID     1024
#define NGX_TCCBS_TRIPLE_TOKEN  4096


/*
 * A central credential: what signs, with the time at which that ends.  It is
 * one piece of memory, so that it can be kept in an arena and wiped.
 */

typedef struct {
    time_t        expires;                    /* 0: never */
    size_t        id_len;                     /* 0: there is none */
    size_t        key_len;
    size_t        token_len;                  /* 0: not a temporary one */
    u_char        id[NGX_TCCBS_TRIPLE_ID];
    u_char        key[NGX_TCCBS_TRIPLE_ID];
    u_char        token[NGX_TCCBS_TRIPLE_TOKEN];
} ngx_tccbs_triple_t;


typedef enum {
    NGX_TCCBS_FORMAT_AUTO = 0,                /* JSON when it begins with "{" */
    NGX_TCCBS_FORMAT_JSON,                    /* secret_id, secret_key, token */
    NGX_TCCBS_FORMAT_TCCLI,                   /* secretId, secretKey, token */
    NGX_TCCBS_FORMAT_INI                      /* section [default] */
} ngx_tccbs_format_e;


/*
 * All of these: NGX_OK; NGX_DECLINED with a reason in "why" that quotes
 * nothing of the text; NGX_ERROR when there is no memory.  On a failure the
 * triple is what it was.  What they take from "pool" is wiped.
 */

/* Copies the parts when each may stand in a header, "token" may be empty. */
ngx_int_t ngx_tccbs_triple_set(ngx_tccbs_triple_t *triple, const ngx_str_t *id,
    const ngx_str_t *key, const ngx_str_t *token, time_t expires,
    ngx_str_t *why);

/* A credential file; it may say when it expires ("expires", "expiresAt"). */
ngx_int_t ngx_tccbs_source_file(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_format_e format, ngx_tccbs_triple_t *triple, ngx_str_t *why);

/* The name of the role that a CVM instance has, on a line of its own. */
ngx_int_t ngx_tccbs_source_role(const ngx_str_t *text, ngx_str_t *role,
    ngx_str_t *why);

/* The answer of the metadata service of a CVM instance with a role. */
ngx_int_t ngx_tccbs_source_metadata(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_triple_t *triple, ngx_str_t *why);

/*
 * The answer of STS to AssumeRole and AssumeRoleWithWebIdentity; of an error of
 * STS "why" is its code, in "pool".
 */
ngx_int_t ngx_tccbs_source_sts(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_triple_t *triple, ngx_str_t *why);


#endif /* _NGX_TCCBS_SOURCE_H_INCLUDED_ */
