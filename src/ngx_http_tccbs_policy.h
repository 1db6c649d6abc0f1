
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_POLICY_H_INCLUDED_
#define _NGX_HTTP_TCCBS_POLICY_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * May this account make this call: action, source region, every destination
 * and the snapshot must each be allowed by a rule of the account.  A read is
 * allowed in the source and in the destination regions.
 * NGX_OK, NGX_DECLINED with the rule and what it allows, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_permit(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_POLICY_H_INCLUDED_ */
