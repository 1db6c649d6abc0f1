
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_key.h"


#define NGX_HTTP_TCCBS_SCOPE_SERVICE  64


/* The verification key of one date and service, one per key and worker. */

typedef struct {
    u_char             date[NGX_TCCBS_TC3_DATE_LEN];
    u_char             len;
    u_char             service[NGX_HTTP_TCCBS_SCOPE_SERVICE];
    ngx_tccbs_mac_t    mac;
} ngx_http_tccbs_scope_key_t;


static ngx_int_t ngx_http_tccbs_key_secret(ngx_conf_t *cf,
    ngx_tccbs_arena_t *arena, ngx_http_tccbs_key_t *key, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_key_parameter(ngx_conf_t *cf,
    ngx_http_tccbs_key_t *key, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_key_certificate(ngx_conf_t *cf,
    ngx_http_tccbs_key_t *key, ngx_str_t *value);


/* the last one stands in for unknown keys */

static ngx_http_tccbs_scope_key_t  *ngx_http_tccbs_scope_keys;
static ngx_uint_t                   ngx_http_tccbs_nkeys;
static u_char                       ngx_http_tccbs_dummy[40];


ngx_http_tccbs_key_t *
ngx_http_tccbs_key_conf(ngx_conf_t *cf, ngx_tccbs_arena_t *arena)
{
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_http_tccbs_key_t  *key;

    value = cf->args->elts;

    if (!ngx_tccbs_key_id_valid(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid gateway key id \"%V\", it must have %d to "
                           "%d characters of A-Z, a-z, 0-9, \"_\" and \"-\"",
                           &value[1], NGX_TCCBS_KEY_ID_MIN,
                           NGX_TCCBS_KEY_ID_MAX);
        return NULL;
    }

    key = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->id = value[1];

    if (ngx_http_tccbs_key_secret(cf, arena, key, &value[2]) != NGX_OK) {
        return NULL;
    }

    for (i = 3; i < cf->args->nelts; i++) {
        if (ngx_http_tccbs_key_parameter(cf, key, &value[i]) != NGX_OK) {
            return NULL;
        }
    }

    return key;
}


static ngx_int_t
ngx_http_tccbs_key_secret(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_http_tccbs_key_t *key, ngx_str_t *value)
{
    size_t     i;
    ngx_str_t  path, secret;

    if (ngx_strcmp(value->data, "derived") == 0) {
        return NGX_OK;
    }

    /* the value may be a secret written here by mistake: do not repeat it */

    if (value->len <= 5 || ngx_strncmp(value->data, "file:", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the key \"%V\" must be in a file of its own, "
                           "use \"file:path\", or \"derived\" with "
                           "\"tccbs_key_master\"", &key->id);
        return NGX_ERROR;
    }

    path.data = value->data + 5;
    path.len = value->len - 5;

    if (ngx_tccbs_conf_secret_line(cf, arena, &path, NGX_TCCBS_KEY_MAX,
                                   &secret)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] <= ' ' || secret.data[i] >= 0x7f) {
            break;
        }
    }

    if (i < secret.len || secret.len < NGX_TCCBS_KEY_MIN
        || secret.len > NGX_TCCBS_KEY_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must hold one line of %d to %d printable "
                           "ASCII characters without spaces, "
                           "see \"tccbs key new\"",
                           &path, NGX_TCCBS_KEY_MIN, NGX_TCCBS_KEY_MAX);
        return NGX_ERROR;
    }

    key->secret = secret;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_key_parameter(ngx_conf_t *cf, ngx_http_tccbs_key_t *key,
    ngx_str_t *value)
{
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "cert=", 5) == 0
        && key->certificate.len == 0)
    {
        s.data = value->data + 5;
        s.len = value->len - 5;

        return ngx_http_tccbs_key_certificate(cf, key, &s);
    }

    if (ngx_strncmp(value->data, "expires=", 8) != 0 || key->expires) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of the key \"%V\", "
                           "\"expires=date\" or \"cert=subject\" is "
                           "expected, each once", value, &key->id);
        return NGX_ERROR;
    }

    s.data = value->data + 8;
    s.len = value->len - 8;

    key->expires = ngx_tccbs_key_expires(&s);

    if (key->expires == (time_t) NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid date \"%V\" of the key \"%V\", one like "
                           "\"2026-12-31\" or \"2026-12-31T18:00:00Z\" is "
                           "expected", &s, &key->id);
        return NGX_ERROR;
    }

    if (key->expires <= ngx_time()) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the key \"%V\" has expired, remove it",
                           &key->id);
    }

    return NGX_OK;
}


/* A subject, or a fingerprint as OpenSSL prints it, which is normalised. */

static ngx_int_t
ngx_http_tccbs_key_certificate(ngx_conf_t *cf, ngx_http_tccbs_key_t *key,
    ngx_str_t *value)
{
    u_char  *p, *src, *last, digest[NGX_TCCBS_SHA256_LEN];

    key->certificate = *value;

    if (value->len <= 7 || ngx_strncmp(value->data, "sha256:", 7) != 0) {

        if (value->len && value->data[0] != '"'
            && ngx_strlchr(value->data, value->data + value->len, '='))
        {
            return NGX_OK;
        }

        goto invalid;
    }

    last = value->data + value->len;
    p = value->data + 7;

    for (src = p; src < last; src++) {
        if (*src != ':') {
            *p++ = ngx_tolower(*src);
        }
    }

    key->certificate.len = p - value->data;

    if (key->certificate.len == 7 + 2 * sizeof(digest)
        && ngx_tccbs_unhex(digest, value->data + 7, sizeof(digest)) == NGX_OK)
    {
        return NGX_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid certificate of the key \"%V\", a subject like "
                       "\"cert=CN=team-dr,O=example\", with quotes around all "
                       "of it, or \"cert=sha256:\" and 64 hexadecimal digits "
                       "is expected", &key->id);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_tccbs_key_complete(ngx_http_tccbs_key_t *key,
    ngx_tccbs_arena_t *arena, const ngx_str_t *master)
{
    u_char           *p;
    ngx_int_t         rc;
    ngx_str_t         pieces[3];
    ngx_tccbs_mac_t   mac;
    u_char            digest[NGX_TCCBS_SHA256_LEN];

    if (key->secret.len == 0) {

        if (master->len == 0) {
            return NGX_DECLINED;
        }

        p = ngx_tccbs_arena_alloc(arena, NGX_TCCBS_KEY_DERIVED);

        if (p == NULL
            || ngx_tccbs_key_derive(p, master, &key->id) != NGX_OK)
        {
            return NGX_ERROR;
        }

        key->secret.data = p;
        key->secret.len = NGX_TCCBS_KEY_DERIVED;
    }

    ngx_memzero(&mac, sizeof(ngx_tccbs_mac_t));

    pieces[0] = key->id;
    pieces[1].data = (u_char *) &key->expires;
    pieces[1].len = sizeof(key->expires);
    pieces[2] = key->certificate;

    rc = ngx_tccbs_mac_key(&mac, key->secret.data, key->secret.len);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_sign(&mac, digest, pieces, 3);
    }

    ngx_tccbs_mac_free(&mac);

    if (rc == NGX_OK) {
        ngx_memcpy(&key->mark, digest, sizeof(key->mark));
        key->mark |= 1;                   /* 0 is none */
    }

    return rc;
}


/* A key that stays must be found at every moment. */

void
ngx_http_tccbs_key_publish(ngx_shm_zone_t *zone,
    ngx_http_tccbs_usage_t *usage, ngx_http_tccbs_key_t **keys, ngx_uint_t n)
{
    ngx_uint_t             i, k, stays[NGX_HTTP_TCCBS_KEYS];
    ngx_http_tccbs_shm_t  *shm;

    shm = ngx_http_tccbs_zone_shm(zone);

    ngx_memzero(stays, sizeof(stays));

    for (k = 0; k < NGX_HTTP_TCCBS_KEYS; k++) {

        for (i = 0; i < n && keys[i]->mark != usage->live[k]; i++) {
            /* void */
        }

        if (i < n) {
            stays[i] = 1;

        } else {
            usage->live[k] = 0;
        }
    }

    for (i = 0, k = 0; i < n; i++) {

        keys[i]->usage = usage;

        if (stays[i]) {
            continue;
        }

        while (usage->live[k]) {
            k++;
        }

        usage->live[k] = keys[i]->mark;
    }

    ngx_memory_barrier();

    usage->generation = shm->generation + 1;
}


void
ngx_http_tccbs_key_published(ngx_shm_zone_t *zone)
{
    ngx_memory_barrier();

    ngx_http_tccbs_zone_shm(zone)->generation++;
}


ngx_http_tccbs_key_t *
ngx_http_tccbs_key_find(ngx_tccbs_index_t *keys, ngx_shm_zone_t *zone,
    ngx_str_t *id)
{
    ngx_uint_t             i;
    ngx_http_tccbs_key_t  *key;

    key = ngx_tccbs_index_find(keys, id);

    if (key == NULL
        || (key->expires && key->expires <= ngx_time())
        || key->usage->generation < ngx_http_tccbs_zone_shm(zone)->generation)
    {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_TCCBS_KEYS; i++) {
        if (key->usage->live[i] == key->mark) {
            return key;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_tccbs_key_init(ngx_cycle_t *cycle, ngx_uint_t n)
{
    ngx_http_tccbs_nkeys = n;
    ngx_http_tccbs_scope_keys = ngx_pcalloc(cycle->pool,
                                (n + 1) * sizeof(ngx_http_tccbs_scope_key_t));

    if (ngx_http_tccbs_scope_keys == NULL) {
        return NGX_ERROR;
    }

    return ngx_tccbs_random(ngx_http_tccbs_dummy,
                            sizeof(ngx_http_tccbs_dummy));
}


ngx_tccbs_mac_t *
ngx_http_tccbs_key_mac(ngx_http_tccbs_key_t *key, ngx_str_t *date,
    ngx_str_t *service)
{
    ngx_int_t                    rc;
    ngx_str_t                    secret;
    ngx_http_tccbs_scope_key_t  *scope;
    u_char                       day[NGX_TCCBS_SHA256_LEN];

    if (key) {
        secret = key->secret;
        scope = &ngx_http_tccbs_scope_keys[key->index];

    } else {
        secret.data = ngx_http_tccbs_dummy;
        secret.len = sizeof(ngx_http_tccbs_dummy);
        scope = &ngx_http_tccbs_scope_keys[ngx_http_tccbs_nkeys];
    }

    if (service->len == scope->len
        && ngx_memcmp(scope->date, date->data, sizeof(scope->date)) == 0
        && ngx_memcmp(scope->service, service->data, service->len) == 0)
    {
        return &scope->mac;
    }

    scope->len = 0;

    rc = ngx_tccbs_tc3_day_key(day, &secret, date, service);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_key(&scope->mac, day, sizeof(day));
    }

    ngx_tccbs_wipe(day, sizeof(day));

    if (rc != NGX_OK) {
        return NULL;
    }

    if (service->len <= sizeof(scope->service)) {
        ngx_memcpy(scope->date, date->data, sizeof(scope->date));
        ngx_memcpy(scope->service, service->data, service->len);
        scope->len = service->len;
    }

    return &scope->mac;
}


void
ngx_http_tccbs_key_exit(void)
{
    ngx_uint_t  i;

    if (ngx_http_tccbs_scope_keys == NULL) {
        return;
    }

    for (i = 0; i <= ngx_http_tccbs_nkeys; i++) {
        ngx_tccbs_mac_free(&ngx_http_tccbs_scope_keys[i].mac);
    }

    ngx_http_tccbs_scope_keys = NULL;
    ngx_tccbs_wipe(ngx_http_tccbs_dummy, sizeof(ngx_http_tccbs_dummy));
}
