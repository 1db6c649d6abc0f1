
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_PEER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_PEER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* How a connect() that was in progress has ended: 0, or the error. */
ngx_err_t ngx_http_tccbs_peer_error(ngx_connection_t *c);

/*
 * Tells a TLS server its name, before the handshake: NGX_OK, also for an
 * address, which is no name (RFC 6066), or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_peer_name(ngx_connection_t *c, const ngx_str_t *name);


#endif /* _NGX_HTTP_TCCBS_PEER_H_INCLUDED_ */
