
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REQUEST_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REQUEST_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* The content handler of tccbs_pass. */
ngx_int_t ngx_http_tccbs_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TCCBS_REQUEST_H_INCLUDED_ */
