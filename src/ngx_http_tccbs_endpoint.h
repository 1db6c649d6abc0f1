
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_ENDPOINT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_ENDPOINT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* A URL that the keeper fetches. */

typedef struct {
    ngx_str_t      url;                       /* as configured */
    ngx_str_t      name;                      /* to be verified, for SNI */
    ngx_str_t      host;                      /* with an unusual port */
    ngx_str_t      uri;
    ngx_addr_t    *addrs;
    ngx_uint_t     naddrs;
    ngx_uint_t     ssl;
} ngx_http_tccbs_endpoint_t;


/*
 * Parses "url" and, unless the configuration is only tested, resolves its host.
 * "http" is allowed for "plain", which may be NULL, and on loopback.
 */
char *ngx_http_tccbs_endpoint_set(ngx_conf_t *cf,
    ngx_http_tccbs_endpoint_t *endpoint, ngx_str_t *url, const char *plain);


#endif /* _NGX_HTTP_TCCBS_ENDPOINT_H_INCLUDED_ */
