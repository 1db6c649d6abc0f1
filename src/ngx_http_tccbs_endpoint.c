
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_endpoint.h"
#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_text.h"


char *
ngx_http_tccbs_endpoint_set(ngx_conf_t *cf,
    ngx_http_tccbs_endpoint_t *endpoint, ngx_str_t *url, const char *plain)
{
    size_t      i, add;
    ngx_url_t   u;

    /* it becomes part of a request */

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= ' ' || url->data[i] >= 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid character in URL \"%V\"", url);
            return NGX_CONF_ERROR;
        }
    }

    endpoint->url = *url;
    endpoint->ssl = (ngx_strncasecmp(url->data, (u_char *) "https://", 8)
                     == 0);

    if (endpoint->ssl) {
        add = 8;

    } else if (ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0) {
        add = 7;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", it must begin with "
                           "\"https://\"", url);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = url->data + add;
    u.url.len = url->len - add;
    u.default_port = endpoint->ssl ? 443 : 80;
    u.uri_part = 1;
    u.no_resolve = ngx_test_config;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in URL \"%V\"",
                           u.err ? u.err : "no memory", url);
        return NGX_CONF_ERROR;
    }

    if (!endpoint->ssl && !ngx_tccbs_loopback(&u.host)
        && (plain == NULL || !ngx_tccbs_is(&u.host, plain)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", only \"https://\" is allowed "
                           "for a host that is not 127.0.0.1, [::1]%s%s or "
                           "localhost", url, plain ? ", " : "",
                           plain ? plain : "");
        return NGX_CONF_ERROR;
    }

    endpoint->name = u.host;
    endpoint->host = u.host;
    endpoint->uri = u.uri;
    endpoint->addrs = u.addrs;
    endpoint->naddrs = u.naddrs;

    if (u.uri.len == 0 || u.uri.data[0] != '/') {
        ngx_str_set(&endpoint->uri, "/");
    }

    /* it is written as in the URL, behind the name */

    if (u.port != u.default_port) {
        endpoint->host.len = u.host.len + 1 + u.port_text.len;
    }

    return NGX_CONF_OK;
}
