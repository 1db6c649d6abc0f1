
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#define _GNU_SOURCE                         /* strptime() */

#include "probe.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>


#define TCCBS_PROBE_TIMEOUT  5              /* seconds, of each step */
#define TCCBS_PROBE_ANSWER   8192


static int tccbs_probe_connect(tccbs_probe_t *probe, char *why);
static int tccbs_probe_wait(int fd, const struct addrinfo *ai);
static SSL_CTX *tccbs_probe_ctx(tccbs_probe_t *probe, char *why);
static ngx_int_t tccbs_probe_handshake(SSL *ssl, tccbs_probe_t *probe,
    const char *name, int fd, char *why);
static ngx_int_t tccbs_probe_date(SSL *ssl, int fd, tccbs_probe_t *probe,
    ngx_uint_t *dated, time_t *ahead);
static ssize_t tccbs_probe_read(SSL *ssl, int fd, char *buf, size_t len);
static const char *tccbs_probe_error(void);


ngx_uint_t
tccbs_probe_ca(const char *path)
{
    int          n;
    FILE        *f;
    X509        *cert;

    f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }

    for (n = 0; (cert = PEM_read_X509(f, NULL, NULL, NULL)) != NULL; n++) {
        X509_free(cert);
    }

    /* the end of the file is an error as well */

    ERR_clear_error();
    (void) fclose(f);

    return n;
}


ngx_int_t
tccbs_probe(tccbs_probe_t *probe, const char *name, ngx_uint_t *dated,
    time_t *ahead, char why[TCCBS_PROBE_WHY])
{
    int         fd;
    SSL        *ssl;
    SSL_CTX    *ctx;
    ngx_int_t   rc;

    *dated = 0;
    ssl = NULL;
    ctx = NULL;
    rc = NGX_ERROR;

    fd = tccbs_probe_connect(probe, why);
    if (fd == -1) {
        return NGX_ERROR;
    }

    if (!probe->ssl) {
        rc = tccbs_probe_date(NULL, fd, probe, dated, ahead);
        goto done;
    }

    ctx = tccbs_probe_ctx(probe, why);
    if (ctx == NULL) {
        goto done;
    }

    ssl = SSL_new(ctx);
    if (ssl == NULL) {
        goto done;
    }

    rc = tccbs_probe_handshake(ssl, probe, name, fd, why);

    if (rc == NGX_OK) {
        rc = tccbs_probe_date(ssl, fd, probe, dated, ahead);
    }

done:

    SSL_free(ssl);
    SSL_CTX_free(ctx);
    (void) close(fd);

    return rc;
}


static int
tccbs_probe_connect(tccbs_probe_t *probe, char *why)
{
    int               fd, rc;
    struct addrinfo   hints, *res, *ai;

    ngx_memzero(&hints, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;

    rc = getaddrinfo(probe->host, probe->port, &hints, &res);

    if (rc != 0) {
        snprintf(why, TCCBS_PROBE_WHY, "no address: %s", gai_strerror(rc));
        return -1;
    }

    fd = -1;

    for (ai = res; ai; ai = ai->ai_next) {

        fd = socket(ai->ai_family, ai->ai_socktype|SOCK_NONBLOCK|SOCK_CLOEXEC,
                    ai->ai_protocol);

        if (fd == -1) {
            break;
        }

        if (tccbs_probe_wait(fd, ai) == 0) {
            break;
        }

        rc = errno;
        (void) close(fd);
        errno = rc;
        fd = -1;
    }

    if (fd == -1) {
        snprintf(why, TCCBS_PROBE_WHY, "cannot connect: %s", strerror(errno));
    }

    freeaddrinfo(res);

    return fd;
}


/* Connects in time; the socket blocks afterwards, with a timeout. */

static int
tccbs_probe_wait(int fd, const struct addrinfo *ai)
{
    int             error;
    socklen_t       len;
    struct pollfd   pfd;
    struct timeval  tv;

    if (connect(fd, ai->ai_addr, ai->ai_addrlen) == -1) {

        if (errno != EINPROGRESS) {
            return -1;
        }

        pfd.fd = fd;
        pfd.events = POLLOUT;

        if (poll(&pfd, 1, TCCBS_PROBE_TIMEOUT * 1000) != 1) {
            errno = ETIMEDOUT;
            return -1;
        }

        len = sizeof(error);

        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1) {
            return -1;
        }

        if (error) {
            errno = error;
            return -1;
        }
    }

    tv.tv_sec = TCCBS_PROBE_TIMEOUT;
    tv.tv_usec = 0;

    if (fcntl(fd, F_SETFL, 0) == -1
        || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == -1
        || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == -1)
    {
        return -1;
    }

    return 0;
}


static SSL_CTX *
tccbs_probe_ctx(tccbs_probe_t *probe, char *why)
{
    SSL_CTX      *ctx;
    X509_STORE   *store;
    X509_LOOKUP  *lookup;

    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL) {
        goto failed;
    }

    (void) SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_verify_depth(ctx, probe->depth);

    if (probe->ciphers && SSL_CTX_set_cipher_list(ctx, probe->ciphers) == 0) {
        goto failed;
    }

    if ((probe->ca ? SSL_CTX_load_verify_locations(ctx, probe->ca, NULL)
                   : SSL_CTX_set_default_verify_paths(ctx))
        != 1)
    {
        goto failed;
    }

    if (probe->crl) {
        store = SSL_CTX_get_cert_store(ctx);
        lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

        if (lookup == NULL
            || X509_LOOKUP_load_file(lookup, probe->crl, X509_FILETYPE_PEM)
               != 1)
        {
            goto failed;
        }

        X509_STORE_set_flags(store,
                             X509_V_FLAG_CRL_CHECK|X509_V_FLAG_CRL_CHECK_ALL);
    }

    return ctx;

failed:

    snprintf(why, TCCBS_PROBE_WHY, "%s", tccbs_probe_error());
    SSL_CTX_free(ctx);

    return NULL;
}


static ngx_int_t
tccbs_probe_handshake(SSL *ssl, tccbs_probe_t *probe, const char *name, int fd,
    char *why)
{
    long  verified;

    if (SSL_set_fd(ssl, fd) != 1
        || SSL_set_tlsext_host_name(ssl, probe->name) != 1
        || SSL_set1_host(ssl, name) != 1)
    {
        snprintf(why, TCCBS_PROBE_WHY, "%s", tccbs_probe_error());
        return NGX_ERROR;
    }

    if (SSL_connect(ssl) == 1) {
        snprintf(why, TCCBS_PROBE_WHY, "%s", SSL_get_version(ssl));
        return NGX_OK;
    }

    verified = SSL_get_verify_result(ssl);

    if (verified != X509_V_OK) {
        snprintf(why, TCCBS_PROBE_WHY, "%s",
                 X509_verify_cert_error_string(verified));
        ERR_clear_error();
        return NGX_DECLINED;
    }

    snprintf(why, TCCBS_PROBE_WHY, "TLS handshake: %s", tccbs_probe_error());

    return NGX_ERROR;
}


static ngx_int_t
tccbs_probe_date(SSL *ssl, int fd, tccbs_probe_t *probe, ngx_uint_t *dated,
    time_t *ahead)
{
    int        len;
    char       request[512], answer[TCCBS_PROBE_ANSWER], *p;
    size_t     size;
    ssize_t    n;
    struct tm  tm;

    len = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n"
                   "User-Agent: tccbs-doctor\r\nConnection: close\r\n\r\n",
                   probe->name);

    if (len >= (int) sizeof(request)
        || (ssl ? SSL_write(ssl, request, len) : write(fd, request, len))
           != len)
    {
        return NGX_OK;
    }

    for (size = 0; size < sizeof(answer) - 1; size += n) {

        n = tccbs_probe_read(ssl, fd, answer + size,
                             sizeof(answer) - 1 - size);
        if (n <= 0) {
            break;
        }
    }

    answer[size] = '\0';

    p = strcasestr(answer, "\nDate: ");

    if (p == NULL
        || strptime(p + 7, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
    {
        return NGX_OK;
    }

    *dated = 1;
    *ahead = timegm(&tm) - time(NULL);

    return NGX_OK;
}


static ssize_t
tccbs_probe_read(SSL *ssl, int fd, char *buf, size_t len)
{
    return ssl ? SSL_read(ssl, buf, (int) len) : read(fd, buf, len);
}


static const char *
tccbs_probe_error(void)
{
    const char     *text;
    unsigned long   n;

    n = ERR_peek_last_error();
    text = n ? ERR_reason_error_string(n) : NULL;

    ERR_clear_error();

    return text ? text : "no reason is known";
}
