
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_CONF_H_INCLUDED_
#define _NGX_TCCBS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"


/* A directive inside one of our blocks. */

typedef char *(*ngx_tccbs_block_pt)(ngx_conf_t *cf, void *object);

typedef struct {
    ngx_str_t               name;
    ngx_uint_t              min;      /* arguments, the name not counted */
    ngx_uint_t              max;
    ngx_tccbs_block_pt      set;
} ngx_tccbs_block_command_t;


/*
 * Parses "{ ... }" with a table of its own that ends with an empty name; each
 * setter gets "object" and reads cf->args.  "include" works inside.
 */
char *ngx_tccbs_conf_block(ngx_conf_t *cf, ngx_tccbs_block_command_t *commands,
    void *object);

/*
 * Reads a file that holds a secret into the arena: a regular file, owned by
 * root or by the user of this process, without any permission for group or
 * others, at most "max" bytes.  On failure the reason is logged with file and
 * line of the directive.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_tccbs_conf_secret(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, size_t max, ngx_str_t *secret);

/* The same for a file of one line, without its end; "max" is for the line. */
ngx_int_t ngx_tccbs_conf_secret_line(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, size_t max, ngx_str_t *secret);


/* Whether the host of a URL is 127.0.0.1, [::1] or localhost. */
ngx_uint_t ngx_tccbs_loopback(ngx_str_t *host);


/*
 * A name found by hash: gateway key ids and identities.  The index is built
 * once at configuration and only read afterwards.
 */

typedef struct ngx_tccbs_index_s  ngx_tccbs_index_t;

ngx_tccbs_index_t *ngx_tccbs_index_create(ngx_pool_t *pool, ngx_uint_t n);

/* NGX_OK; NGX_BUSY when the name is taken; NGX_ERROR. */
ngx_int_t ngx_tccbs_index_add(ngx_tccbs_index_t *index, ngx_str_t *name,
    void *value);
void *ngx_tccbs_index_find(ngx_tccbs_index_t *index, ngx_str_t *name);


#endif /* _NGX_TCCBS_CONF_H_INCLUDED_ */
