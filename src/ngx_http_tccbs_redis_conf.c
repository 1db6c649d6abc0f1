
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_redis_conf.h"
#include "ngx_tccbs_text.h"


#define NGX_HTTP_TCCBS_REDIS_PASSWORD  1024    /* bytes, at most */
#define NGX_HTTP_TCCBS_REDIS_PORT      6379
#define NGX_HTTP_TCCBS_REDIS_DEPTH     4       /* of certificates */


typedef struct {
    ngx_conf_t                    *cf;
    ngx_tccbs_arena_t             *arena;
    ngx_http_tccbs_redis_conf_t   *conf;
    ngx_str_t                      ca;
    ngx_uint_t                     tls;
} ngx_http_tccbs_redis_set_t;

typedef ngx_int_t (*ngx_http_tccbs_redis_set_pt)(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);

typedef struct {
    ngx_str_t                      name;
    ngx_http_tccbs_redis_set_pt    set;
    const char                    *expected;
} ngx_http_tccbs_redis_parameter_t;


static ngx_int_t ngx_http_tccbs_redis_url(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *url);
static ngx_int_t ngx_http_tccbs_redis_parameter(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_password(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_nodes(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_deadline(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_connect(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_prefix(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_rates(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_duplicates(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_ca(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_set_name(
    ngx_http_tccbs_redis_set_t *set, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_redis_time(ngx_str_t *value, ngx_int_t max,
    ngx_msec_t *time);
static ngx_int_t ngx_http_tccbs_redis_policy(ngx_str_t *value,
    ngx_uint_t *policy);
static ngx_int_t ngx_http_tccbs_redis_tls(ngx_http_tccbs_redis_set_t *set);


static ngx_http_tccbs_redis_parameter_t  ngx_http_tccbs_redis_parameters[] = {
    { ngx_string("password_file="), ngx_http_tccbs_redis_set_password,
      "a path" },
    { ngx_string("nodes="), ngx_http_tccbs_redis_set_nodes, "1 to 10000" },
    { ngx_string("deadline="), ngx_http_tccbs_redis_set_deadline,
      "1ms to 1s" },
    { ngx_string("connect_timeout="), ngx_http_tccbs_redis_set_connect,
      "1ms to 10s" },
    { ngx_string("prefix="), ngx_http_tccbs_redis_set_prefix,
      "1 to 64 of A-Z a-z 0-9 . _ : -" },
    { ngx_string("rates="), ngx_http_tccbs_redis_set_rates,
      "\"local\" or \"deny\"" },
    { ngx_string("duplicates="), ngx_http_tccbs_redis_set_duplicates,
      "\"deny\" or \"local\"" },
    { ngx_string("trusted_certificate="), ngx_http_tccbs_redis_set_ca,
      "a path" },
    { ngx_string("ssl_name="), ngx_http_tccbs_redis_set_name, "a name" },
    { ngx_null_string, NULL, NULL }
};


ngx_http_tccbs_redis_conf_t *
ngx_http_tccbs_redis_conf(ngx_conf_t *cf, ngx_tccbs_arena_t *arena)
{
    u_char                       *p;
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_tccbs_redis_set_t    set;
    ngx_http_tccbs_redis_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_redis_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->deadline = 50;
    conf->connect_timeout = 1000;
    conf->rates = NGX_HTTP_TCCBS_REDIS_LOCAL;
    conf->duplicates = NGX_HTTP_TCCBS_REDIS_DENY;

    ngx_str_set(&conf->prefix, "tccbs");

    ngx_memzero(&set, sizeof(ngx_http_tccbs_redis_set_t));

    set.cf = cf;
    set.arena = arena;
    set.conf = conf;

    value = cf->args->elts;

    if (ngx_http_tccbs_redis_url(&set, &value[1]) != NGX_OK) {
        return NULL;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_tccbs_redis_parameter(&set, &value[i]) != NGX_OK) {
            return NULL;
        }
    }

    if (conf->nodes == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"tccbs_redis\" needs \"nodes=number\": how many "
                           "gateways share this redis, each has that part of "
                           "the rates and quotas when it is lost");
        return NULL;
    }

    if (conf->user.len && conf->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the user \"%V\" of \"tccbs_redis\" needs "
                           "\"password_file=path\"", &conf->user);
        return NULL;
    }

    conf->probe.data = ngx_pnalloc(cf->pool, conf->prefix.len
                                             + sizeof(":{probe}") - 1);
    if (conf->probe.data == NULL) {
        return NULL;
    }

    p = ngx_sprintf(conf->probe.data, "%V:{probe}", &conf->prefix);
    conf->probe.len = p - conf->probe.data;

    if (set.tls && ngx_http_tccbs_redis_tls(&set) != NGX_OK) {
        return NULL;
    }

    return conf;
}


static ngx_int_t
ngx_http_tccbs_redis_url(ngx_http_tccbs_redis_set_t *set, ngx_str_t *url)
{
    u_char                       *p, *last, *at;
    ngx_int_t                     db;
    ngx_url_t                     u;
    ngx_http_tccbs_redis_conf_t  *conf;

    conf = set->conf;
    last = url->data + url->len;

    if (ngx_strncmp(url->data, "redis://", 8) == 0) {
        p = url->data + 8;

    } else if (ngx_strncmp(url->data, "rediss://", 9) == 0) {
        p = url->data + 9;
        set->tls = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                           "invalid URL of \"tccbs_redis\", "
                           "\"redis://[user@]host:port/db\" or \"rediss://"
                           "...\" is expected");
        return NGX_ERROR;
    }

    at = ngx_strlchr(p, last, '@');

    if (at) {

        /* the message must not say it either */

        if (ngx_strlchr(p, at, ':')) {
            ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                               "the URL of \"tccbs_redis\" has a password, "
                               "which \"nginx -T\" would show; write it to a "
                               "file that only root can read and add "
                               "\"password_file=path\"");
            return NGX_ERROR;
        }

        conf->user.data = p;
        conf->user.len = at - p;

        p = at + 1;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = p;
    u.url.len = last - p;
    u.default_port = NGX_HTTP_TCCBS_REDIS_PORT;
    u.uri_part = 1;

    if (ngx_parse_url(set->cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                           "%s in the URL \"%V\" of \"tccbs_redis\"",
                           u.err ? u.err : "no address", url);
        return NGX_ERROR;
    }

    db = 0;

    if (u.uri.len > 1) {
        db = ngx_atoi(u.uri.data + 1, u.uri.len - 1);
    }

    if (db == NGX_ERROR || db > 65535) {
        ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                           "invalid database \"%V\" in the URL \"%V\", "
                           "\"/number\" is expected", &u.uri, url);
        return NGX_ERROR;
    }

    conf->db = db;
    conf->addrs = u.addrs;
    conf->naddrs = u.naddrs;
    conf->ssl_name = u.host;

    conf->name.data = p;
    conf->name.len = (u.uri.len ? u.uri.data : last) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_parameter(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    ngx_str_t                          text;
    ngx_http_tccbs_redis_parameter_t  *p;

    for (p = ngx_http_tccbs_redis_parameters; p->name.len; p++) {

        if (value->len < p->name.len
            || ngx_strncmp(value->data, p->name.data, p->name.len) != 0)
        {
            continue;
        }

        text.data = value->data + p->name.len;
        text.len = value->len - p->name.len;

        switch (text.len ? p->set(set, &text) : NGX_DECLINED) {

        case NGX_OK:
            return NGX_OK;

        case NGX_DECLINED:
            ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                               "invalid parameter \"%V\" of \"tccbs_redis\", "
                               "%s is expected", value, p->expected);

            /* fall through */

        default:
            return NGX_ERROR;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, set->cf, 0,
                       "invalid parameter \"%V\" of \"tccbs_redis\"", value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_tccbs_redis_set_password(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    return ngx_tccbs_conf_secret_line(set->cf, set->arena, value,
                                      NGX_HTTP_TCCBS_REDIS_PASSWORD,
                                      &set->conf->password);
}


static ngx_int_t
ngx_http_tccbs_redis_set_nodes(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    ngx_int_t  n;

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > 10000) {
        return NGX_DECLINED;
    }

    set->conf->nodes = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_set_deadline(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    return ngx_http_tccbs_redis_time(value, 1000, &set->conf->deadline);
}


static ngx_int_t
ngx_http_tccbs_redis_set_connect(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    return ngx_http_tccbs_redis_time(value, 10000,
                                     &set->conf->connect_timeout);
}


static ngx_int_t
ngx_http_tccbs_redis_set_prefix(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if ((c < '0' || c > '9') && (c < 'A' || c > 'Z')
            && (c < 'a' || c > 'z') && c != '.' && c != '_' && c != ':'
            && c != '-')
        {
            return NGX_DECLINED;
        }
    }

    set->conf->prefix = *value;

    return (value->len <= NGX_HTTP_TCCBS_REDIS_PREFIX) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tccbs_redis_set_rates(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    return ngx_http_tccbs_redis_policy(value, &set->conf->rates);
}


static ngx_int_t
ngx_http_tccbs_redis_set_duplicates(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    return ngx_http_tccbs_redis_policy(value, &set->conf->duplicates);
}


static ngx_int_t
ngx_http_tccbs_redis_set_ca(ngx_http_tccbs_redis_set_t *set, ngx_str_t *value)
{
    set->ca = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_set_name(ngx_http_tccbs_redis_set_t *set,
    ngx_str_t *value)
{
    set->conf->ssl_name = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_time(ngx_str_t *value, ngx_int_t max, ngx_msec_t *time)
{
    ngx_int_t  ms;

    ms = ngx_parse_time(value, 0);

    if (ms < 1 || ms > max) {
        return NGX_DECLINED;
    }

    *time = ms;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_policy(ngx_str_t *value, ngx_uint_t *policy)
{
    if (ngx_tccbs_is(value, "deny")) {
        *policy = NGX_HTTP_TCCBS_REDIS_DENY;
        return NGX_OK;
    }

    if (ngx_tccbs_is(value, "local")) {
        *policy = NGX_HTTP_TCCBS_REDIS_LOCAL;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_tccbs_redis_tls(ngx_http_tccbs_redis_set_t *set)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(set->cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = set->cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(set->cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    set->conf->ssl = ssl;

    if (set->ca.len) {
        return ngx_ssl_trusted_certificate(set->cf, ssl, &set->ca,
                                           NGX_HTTP_TCCBS_REDIS_DEPTH);
    }

    SSL_CTX_set_verify_depth(ssl->ctx, NGX_HTTP_TCCBS_REDIS_DEPTH);

    if (SSL_CTX_set_default_verify_paths(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, set->cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_redis_key(ngx_http_tccbs_redis_conf_t *redis, ngx_pool_t *pool,
    ngx_str_t *key, const char *kind, ngx_str_t *name, const char *what,
    ngx_str_t *of)
{
    u_char  *p;

    p = ngx_pnalloc(pool, redis->prefix.len + name->len + of->len
                          + sizeof(":{:}::") + ngx_strlen(kind)
                          + ngx_strlen(what));
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_sprintf(p, "%V:{%s:%V}:%s%s%V", &redis->prefix, kind, name, what,
                    of->len ? ":" : "", of);
    key->len = p - key->data;

    return NGX_OK;
}
