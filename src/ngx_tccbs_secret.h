
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_SECRET_H_INCLUDED_
#define _NGX_TCCBS_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TCCBS_SECRET_WHY  512


/* Which file it is, in which state: another one when a byte may be another. */

typedef struct {
    dev_t        dev;
    ino_t        ino;
    off_t        size;
    uint64_t     mtime;                       /* nanoseconds */
    uint64_t     ctime;
} ngx_tccbs_secret_state_t;


/* Why a file was refused, as a sentence that names it. */

typedef struct {
    ngx_err_t    err;                         /* of the system, or 0 */
    u_char       why[NGX_TCCBS_SECRET_WHY];
} ngx_tccbs_secret_error_t;


/*
 * Reads a file that holds a secret into "buf" of "max" bytes: a regular file of
 * root, of the user of this process or of "user", without any permission for
 * group or others, and not empty.  NGX_OK, or NGX_ERROR with "error".
 */
ngx_int_t ngx_tccbs_secret_read(ngx_str_t *path, ngx_uid_t user, u_char *buf,
    size_t max, ngx_str_t *text, ngx_tccbs_secret_state_t *state,
    ngx_tccbs_secret_error_t *error);

/* The state of the file at "path" now; NGX_ERROR when there is none. */
ngx_int_t ngx_tccbs_secret_stat(ngx_str_t *path,
    ngx_tccbs_secret_state_t *state);


#endif /* _NGX_TCCBS_SECRET_H_INCLUDED_ */
