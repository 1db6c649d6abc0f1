
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REFRESH_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REFRESH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_fetch.h"
#include "ngx_http_tccbs_source.h"


/*
 * The end of a refresh: with NGX_HTTP_TCCBS_GRANT_OK the triple of the source
 * is a new one, otherwise it is what it was, and "why" says what failed.
 */
typedef void (*ngx_http_tccbs_refresh_pt)(void *data,
    ngx_http_tccbs_grant_result_e result, ngx_str_t *why);


/*
 * Fetches a temporary credential: from the metadata service of CVM, or from
 * STS, with the triple of source->via or a web identity.  The handler is called
 * once, later.  NGX_OK, or NGX_ERROR when it cannot even begin, which was
 * logged; the handler is not called then.
 */
ngx_int_t ngx_http_tccbs_refresh(ngx_http_tccbs_source_t *source,
    ngx_ssl_t *ssl, ngx_log_t *log, ngx_http_tccbs_refresh_pt handler,
    void *data);


#endif /* _NGX_HTTP_TCCBS_REFRESH_H_INCLUDED_ */
