
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SOURCE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SOURCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_endpoint.h"
#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_secret.h"
#include "ngx_tccbs_source.h"


typedef enum {
    NGX_HTTP_TCCBS_SOURCE_NONE = 0,
    NGX_HTTP_TCCBS_SOURCE_FILE,
    NGX_HTTP_TCCBS_SOURCE_ENV,
    NGX_HTTP_TCCBS_SOURCE_ROLE,               /* from here on: fetched */
    NGX_HTTP_TCCBS_SOURCE_ASSUME_ROLE,
    NGX_HTTP_TCCBS_SOURCE_OIDC
} ngx_http_tccbs_source_e;


/* Where a central credential comes from, and what came from there. */

typedef struct ngx_http_tccbs_source_s  ngx_http_tccbs_source_t;

struct ngx_http_tccbs_source_s {
    ngx_http_tccbs_source_e    kind;
    uint32_t                   hash;          /* of the directive */
    ngx_str_t                  credential;    /* its name */
    ngx_tccbs_arena_t         *vault;
    ngx_tccbs_triple_t        *triple;        /* in the vault */

    ngx_str_t                  path;          /* file */
    ngx_tccbs_format_e         format;
    ngx_uid_t                  user;          /* of the workers */
    ngx_tccbs_secret_state_t   state;         /* of what was read */

    ngx_http_tccbs_endpoint_t  endpoint;      /* what is fetched */
    ngx_str_t                  role;          /* a name, or an ARN */
    ngx_str_t                  via_name;      /* assume_role */
    ngx_http_tccbs_source_t   *via;
    ngx_str_t                  session;       /* and oidc */
    ngx_uint_t                 duration;      /* seconds */
    ngx_str_t                  region;
    ngx_str_t                  external_id;   /* or empty */
    ngx_str_t                  provider;      /* oidc */
};


/*
 * A directive of tccbs_credential that names the source: "file", "env", "role",
 * "assume_role" and "oidc".
 */
char *ngx_http_tccbs_source_set(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);

/* Of a kind that is fetched, see ngx_http_tccbs_source_set(). */
char *ngx_http_tccbs_temporary_set(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);

/*
 * Reads the file into "triple".  NGX_OK; NGX_ERROR with "error", then the
 * triple is what it was.
 */
ngx_int_t ngx_http_tccbs_source_read(ngx_http_tccbs_source_t *source,
    ngx_log_t *log, ngx_tccbs_secret_error_t *error);

/*
 * For a worker: overwrites what is still in the environment that it inherited.
 * The master keeps it, for the next configuration.
 */
void ngx_http_tccbs_source_forget(void);


#endif /* _NGX_HTTP_TCCBS_SOURCE_H_INCLUDED_ */
