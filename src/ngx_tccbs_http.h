
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_HTTP_H_INCLUDED_
#define _NGX_TCCBS_HTTP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Reads an HTTP/1.x answer, of which "text" is what came so far; "eof" tells
 * that no more will come.  NGX_OK with the status and the body, which is in
 * "text", whose chunks are joined; NGX_AGAIN; NGX_DECLINED when that is no
 * answer or not all of it.  After NGX_OK "text" is not to be read again.
 */
ngx_int_t ngx_tccbs_http_parse(ngx_str_t *text, ngx_uint_t eof,
    ngx_uint_t *status, ngx_str_t *body);


#endif /* _NGX_TCCBS_HTTP_H_INCLUDED_ */
