
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_SETUP_H_INCLUDED_
#define _TCCBS_SETUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* What a configuration says of a gateway, as far as it can be looked at. */

/* Where a directive counts: a block, and those around it. */

typedef struct tccbs_block_s  tccbs_block_t;

typedef enum {
    TCCBS_SETUP_CA = 0,
    TCCBS_SETUP_CRL,
    TCCBS_SETUP_NAME,
    TCCBS_SETUP_DEPTH,
    TCCBS_SETUP_CIPHERS,
    TCCBS_SETUP_VALUES
} tccbs_setup_e;

struct tccbs_block_s {
    tccbs_block_t   *parent;
    ngx_str_t        kind;                  /* "server", "tccbs_account" */
    ngx_str_t        name;                  /* its first argument */
    char            *values[TCCBS_SETUP_VALUES];
};

/* A file with a secret. */

typedef struct {
    const char      *what;
    char            *path;
} tccbs_setup_file_t;

typedef struct {
    ngx_str_t        id;
    time_t           expires;
} tccbs_setup_key_t;

/* One "tccbs_pass", and one server of an "upstream" block. */

typedef struct {
    tccbs_block_t   *block;
    ngx_str_t        host;
    ngx_str_t        port;
    ngx_uint_t       ssl;
} tccbs_setup_pass_t;

typedef struct {
    ngx_str_t        upstream;
    ngx_str_t        host;
    ngx_str_t        port;
} tccbs_setup_server_t;

/* A directive that is of interest because it is there. */

typedef struct {
    const char      *file;
    ngx_uint_t       line;
} tccbs_setup_place_t;

typedef struct {
    ngx_pool_t      *pool;
    const char      *conf;
    const char      *prefix;                /* with "/" at the end */
    char            *pid;
    char            *audit;
    ngx_array_t      files;                 /* tccbs_setup_file_t */
    ngx_array_t      keys;                  /* tccbs_setup_key_t */
    ngx_array_t      passes;                /* tccbs_setup_pass_t */
    ngx_array_t      servers;               /* tccbs_setup_server_t */
    ngx_array_t      debug;                 /* tccbs_setup_place_t */
    tccbs_block_t   *block;                 /* while reading */
} tccbs_setup_t;


/*
 * Reads it.  setup->pool, conf, prefix and pid (or NULL) are given.  NGX_OK, or
 * NGX_ERROR with a message on stderr.
 */
ngx_int_t tccbs_setup_read(tccbs_setup_t *setup);

/* The value in a block, or the next one around it that has one, or NULL. */
char *tccbs_setup_value(tccbs_block_t *block, tccbs_setup_e value);


#endif /* _TCCBS_SETUP_H_INCLUDED_ */
