
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_MAPPED_H_INCLUDED_
#define _NGX_HTTP_TCCBS_MAPPED_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* "tccbs_identity signature;" or "tccbs_identity value [trusted];". */
char *ngx_http_tccbs_set_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * The account that the identity of the caller maps to, or NULL: none, an empty
 * one, one of a certificate that is not verified, or one of a request header
 * that came more than once.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_mapped(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_http_tccbs_account_t **account);


#endif /* _NGX_HTTP_TCCBS_MAPPED_H_INCLUDED_ */
