
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_JSON_H_INCLUDED_
#define _NGX_TCCBS_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_out.h"


typedef enum {
    NGX_TCCBS_JSON_NULL = 0,
    NGX_TCCBS_JSON_BOOL,
    NGX_TCCBS_JSON_NUMBER,
    NGX_TCCBS_JSON_STRING,
    NGX_TCCBS_JSON_ARRAY,
    NGX_TCCBS_JSON_OBJECT
} ngx_tccbs_json_type_e;


typedef struct ngx_tccbs_json_s  ngx_tccbs_json_t;

struct ngx_tccbs_json_s {
    ngx_tccbs_json_type_e   type;
    ngx_str_t               name;      /* decoded, in an object */
    ngx_str_t               value;     /* string: decoded; number, bool: text */
    ngx_uint_t              n;         /* children */
    ngx_tccbs_json_t       *child;
    ngx_tccbs_json_t       *next;
};


typedef struct {
    ngx_uint_t              depth;     /* of nested arrays and objects */
    ngx_uint_t              nodes;     /* values of all kinds */
} ngx_tccbs_json_limits_t;


/*
 * Reads one strict JSON text (RFC 8259) into a tree in "pool".  Refused beside
 * what yajl refuses: duplicate names in an object (after decoding), "\u0000",
 * lone surrogates, invalid or overlong UTF-8, text after the value, and
 * anything over the limits.  The tree does not point into "text".
 * NGX_OK; NGX_DECLINED with a short reason in "why" that quotes no input;
 * NGX_ERROR when there is no memory.  Of what is refused nothing stays in
 * "pool".
 */
ngx_int_t ngx_tccbs_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_tccbs_json_limits_t *limits, ngx_tccbs_json_t **root,
    ngx_str_t *why);

/* The member of that name, or NULL, also when "node" is NULL or no object. */
ngx_tccbs_json_t *ngx_tccbs_json_get(ngx_tccbs_json_t *node, const char *name);

/* Overwrites names and values of a tree that had a secret. */
void ngx_tccbs_json_wipe(ngx_tccbs_json_t *node);

/* The tree as compact JSON, members in their order. */
void ngx_tccbs_out_json(ngx_tccbs_out_t *out, const ngx_tccbs_json_t *node);


#endif /* _NGX_TCCBS_JSON_H_INCLUDED_ */
