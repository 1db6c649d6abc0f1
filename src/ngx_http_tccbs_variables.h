
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_TCCBS_VARIABLES_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* $tccbs_account, $tccbs_action, ...: for log formats, see docs. */
ngx_int_t ngx_http_tccbs_add_variables(ngx_conf_t *cf);


#endif /* _NGX_HTTP_TCCBS_VARIABLES_H_INCLUDED_ */
