
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CERTIFICATE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CERTIFICATE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * Whether the client has shown a certificate that nginx verified, by what the
 * server of this request trusts.  With "ssl_verify_client optional_no_ca" it
 * may be one that nobody vouches for; without SNI, or in a session that is
 * resumed, one that another server of the address has asked for.
 */
ngx_uint_t ngx_http_tccbs_certificate_verified(ngx_http_request_t *r);

/*
 * Whether it is that one: "sha256:" and 64 lower-case digits, or the subject as
 * $ssl_client_s_dn has it.  NGX_OK, NGX_DECLINED, NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_certificate_is(ngx_http_request_t *r,
    ngx_str_t *value);


#endif /* _NGX_HTTP_TCCBS_CERTIFICATE_H_INCLUDED_ */
