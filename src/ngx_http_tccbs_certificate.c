
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_certificate.h"
#include "ngx_tccbs_text.h"


static X509 *ngx_http_tccbs_certificate(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tccbs_certificate_here(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_certificate_fingerprint(X509 *cert,
    u_char *text);


ngx_uint_t
ngx_http_tccbs_certificate_verified(ngx_http_request_t *r)
{
    X509  *cert;

    cert = ngx_http_tccbs_certificate(r);

    X509_free(cert);

    return cert != NULL;
}


/* The one that was verified, which the caller frees, or NULL. */

static X509 *
ngx_http_tccbs_certificate(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (c->ssl == NULL
        || SSL_get_verify_result(c->ssl->connection) != X509_V_OK
        || !ngx_http_tccbs_certificate_here(r))
    {
        return NULL;
    }

    /* the result is also that all is well when there is none */

    return SSL_get_peer_certificate(c->ssl->connection);
}


/*
 * nginx lets a Host header choose another server of the address than the one
 * whose CA was asked when the client sent no SNI; a session that was made
 * without SNI, or anywhere before nginx 1.27.4, is resumed in each server.
 */

static ngx_uint_t
ngx_http_tccbs_certificate_here(ngx_http_request_t *r)
{
    SSL                      *ssl;
    const char               *name, *was;
    ngx_http_ssl_srv_conf_t  *sscf;

    ssl = r->connection->ssl->connection;
    sscf = ngx_http_get_module_srv_conf(r, ngx_http_ssl_module);

    if (SSL_get_SSL_CTX(ssl) != sscf->ssl.ctx) {
        return 0;
    }

    if (!SSL_session_reused(ssl)) {
        return 1;
    }

    name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    was = SSL_SESSION_get0_hostname(SSL_get0_session(ssl));

    if (name == NULL || was == NULL) {
        return name == was;
    }

    return ngx_strcmp(name, was) == 0;
}


ngx_int_t
ngx_http_tccbs_certificate_is(ngx_http_request_t *r, ngx_str_t *value)
{
    X509       *cert;
    ngx_int_t   rc;
    ngx_str_t   s;
    u_char      text[7 + NGX_TCCBS_HEX_LEN];

    cert = ngx_http_tccbs_certificate(r);
    if (cert == NULL) {
        return NGX_DECLINED;
    }

    if (value->len == sizeof(text)
        && ngx_strncmp(value->data, "sha256:", 7) == 0)
    {
        s.data = text;
        s.len = sizeof(text);

        rc = ngx_http_tccbs_certificate_fingerprint(cert, text);

    } else {
        rc = ngx_ssl_get_subject_dn(r->connection, r->pool, &s);
    }

    X509_free(cert);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_tccbs_same(&s, value) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tccbs_certificate_fingerprint(X509 *cert, u_char *text)
{
    unsigned int  len;
    u_char        digest[EVP_MAX_MD_SIZE];

    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1) {
        return NGX_ERROR;
    }

    text = ngx_cpymem(text, "sha256:", 7);
    (void) ngx_tccbs_hex(text, digest, NGX_TCCBS_SHA256_LEN);

    return NGX_OK;
}
