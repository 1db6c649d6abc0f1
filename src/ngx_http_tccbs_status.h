
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_STATUS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_STATUS_H_INCLUDED_


#include "ngx_http_tccbs_snapshot.h"
#include "ngx_tccbs_out.h"


/* The forms of the status, each from a snapshot; docs/status.md has them. */
void ngx_http_tccbs_status_json(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
void ngx_http_tccbs_status_prometheus(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);

/* A value of a family, in its unit. */
void ngx_http_tccbs_status_value(ngx_tccbs_out_t *out,
    ngx_http_tccbs_family_t *f, ngx_atomic_int_t value);

/* Whether a cell is shown; "i" is the place in its last label. */
ngx_uint_t ngx_http_tccbs_status_shown(ngx_http_tccbs_family_t *f,
    ngx_uint_t i, ngx_atomic_int_t value);


/* "tccbs_status;" in a location. */
char *ngx_http_tccbs_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* When the location is merged: who may see it without access rules. */
void ngx_http_tccbs_status_merge(ngx_conf_t *cf,
    ngx_http_tccbs_loc_conf_t *conf);


#endif /* _NGX_HTTP_TCCBS_STATUS_H_INCLUDED_ */
