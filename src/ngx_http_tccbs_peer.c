
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_peer.h"


ngx_err_t
ngx_http_tccbs_peer_error(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err;
}


ngx_int_t
ngx_http_tccbs_peer_name(ngx_connection_t *c, const ngx_str_t *name)
{
    u_char  *text;

    if (ngx_inet_addr(name->data, name->len) != INADDR_NONE
        || ngx_strlchr(name->data, name->data + name->len, ':'))
    {
        return NGX_OK;
    }

    text = ngx_pnalloc(c->pool, name->len + 1);
    if (text == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(text, name->data, name->len + 1);

    if (SSL_set_tlsext_host_name(c->ssl->connection, (char *) text) == 0) {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "SSL_set_tlsext_host_name(\"%s\") failed", text);
        return NGX_ERROR;
    }

    return NGX_OK;
}
