
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"


/*
 * One call in microseconds, a little above the reciprocal of the limit: the way
 * to Tencent is not the same for each call, and no second may see more.
 */

#define NGX_HTTP_TCCBS_CREDENTIAL_COST(n)  (1015000 / (n))


/* What a process signs with, one per credential. */

typedef struct {
    ngx_atomic_uint_t          version;       /* of the grant */
    u_char                     date[NGX_TCCBS_TC3_DATE_LEN];
    ngx_tccbs_mac_t            mac;           /* of that date */
    ngx_http_tccbs_grant_t     grant;
} ngx_http_tccbs_signer_t;


static char *ngx_http_tccbs_credential_source(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_limit(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_queue(ngx_conf_t *cf, void *object);
static ngx_http_tccbs_signer_t *ngx_http_tccbs_credential_signer(
    ngx_http_tccbs_credential_t *credential, time_t now);
static ngx_int_t ngx_http_tccbs_credential_day(
    ngx_http_tccbs_signer_t *signer, ngx_str_t *date);
static size_t ngx_http_tccbs_credential_mask(u_char *dst, u_char *id,
    size_t len);


static ngx_tccbs_block_command_t  ngx_http_tccbs_credential_commands[] = {
    { ngx_string("file"), 1, 2, ngx_http_tccbs_credential_source },
    { ngx_string("env"), 0, 0, ngx_http_tccbs_credential_source },
    { ngx_string("role"), 1, 2, ngx_http_tccbs_credential_source },
    { ngx_string("assume_role"), 3, 8, ngx_http_tccbs_credential_source },
    { ngx_string("oidc"), 0, 3, ngx_http_tccbs_credential_source },
    { ngx_string("limit"), 1, 1, ngx_http_tccbs_credential_limit },
    { ngx_string("queue"), 2, 2, ngx_http_tccbs_credential_queue },
    { ngx_null_string, 0, 0, NULL }
};


static ngx_http_tccbs_signer_t  *ngx_http_tccbs_signers;


char *
ngx_http_tccbs_credential_block(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential)
{
    char  *rv;

    credential->source.credential = credential->name;

    rv = ngx_tccbs_conf_block(cf, ngx_http_tccbs_credential_commands,
                              credential);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (credential->source.kind == NGX_HTTP_TCCBS_SOURCE_NONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_credential \"%V\" has no source, "
                           "add \"file path;\", \"env;\", \"role auto;\", "
                           "\"assume_role ...;\" or \"oidc;\"",
                           &credential->name);
        return NGX_CONF_ERROR;
    }

    if (credential->cost[0] == 0) {
        credential->limit[0] = 20;
        credential->cost[0] = NGX_HTTP_TCCBS_CREDENTIAL_COST(20);
    }

    if (credential->queue_max == 0) {
        credential->queue_time = 10000;
        credential->queue_max = 1000;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential_limit(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    size_t      len;
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    len = value[1].len;
    n = NGX_ERROR;

    if (credential->cost[0]) {
        return "has a duplicate \"limit\"";
    }

    if (len > 3 && ngx_strncmp(value[1].data + len - 3, "r/s", 3) == 0) {
        n = ngx_atoi(value[1].data, len - 3);
    }

    if (n < 1 || n > 100000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid limit \"%V\", \"1r/s\" to \"100000r/s\" is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    credential->limit[0] = n;
    credential->limit[1] = n;
    credential->cost[0] = NGX_HTTP_TCCBS_CREDENTIAL_COST(n);
    credential->cost[1] = NGX_HTTP_TCCBS_CREDENTIAL_COST(n);

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential_queue(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    ngx_int_t   time, n;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (credential->queue_max) {
        return "has a duplicate \"queue\"";
    }

    time = ngx_parse_time(&value[1], 0);
    n = ngx_atoi(value[2].data, value[2].len);

    if (time == NGX_ERROR || n < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid queue \"%V %V\", a time and a number like "
                           "\"10s 1000\" is expected", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    credential->queue_time = time;
    credential->queue_max = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential_source(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    return ngx_http_tccbs_source_set(cf, &credential->source);
}


char *
ngx_http_tccbs_credential_via(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential, ngx_array_t *credentials)
{
    ngx_uint_t                     i;
    ngx_http_tccbs_source_t       *source;
    ngx_http_tccbs_credential_t  **others;

    source = &credential->source;
    others = credentials->elts;

    if (source->kind != NGX_HTTP_TCCBS_SOURCE_ASSUME_ROLE) {
        return NGX_CONF_OK;
    }

    for (i = 0; i < credential->index; i++) {
        if (others[i]->name.len == source->via_name.len
            && ngx_strncmp(others[i]->name.data, source->via_name.data,
                           source->via_name.len)
               == 0)
        {
            source->via = &others[i]->source;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown credential \"%V\" of tccbs_credential \"%V\","
                       " \"tccbs_credential %V { ... }\" must stand before it",
                       &source->via_name, &credential->name,
                       &source->via_name);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_tccbs_credential_init(ngx_cycle_t *cycle, ngx_uint_t n)
{
    ngx_uint_t          i;
    ngx_tccbs_arena_t  *arena;

    /* the arena is this process's own: keys of a few days, tokens */

    arena = ngx_tccbs_arena_create(cycle->pool);
    if (arena == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tccbs_signers = (void *) ngx_tccbs_arena_alloc(arena,
                                     (n + 1) * sizeof(ngx_http_tccbs_signer_t));

    if (ngx_http_tccbs_signers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        ngx_http_tccbs_signers[i].version = (ngx_atomic_uint_t) -1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_credential_key(ngx_http_tccbs_credential_t *credential,
    ngx_pool_t *pool, time_t now, ngx_str_t *key)
{
    ngx_http_tccbs_signer_t  *signer;

    signer = ngx_http_tccbs_credential_signer(credential, now);
    if (signer == NULL) {
        return NGX_DECLINED;
    }

    key->data = ngx_pnalloc(pool, signer->grant.id_len);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(key->data, signer->grant.id, signer->grant.id_len);
    key->len = signer->grant.id_len;

    return NGX_OK;
}


ngx_uint_t
ngx_http_tccbs_credential_current(ngx_http_tccbs_credential_t *credential,
    time_t now, ngx_str_t *key)
{
    ngx_http_tccbs_signer_t  *signer;

    signer = ngx_http_tccbs_credential_signer(credential, now);

    return signer && signer->grant.id_len == key->len
           && ngx_memcmp(signer->grant.id, key->data, key->len) == 0;
}


ngx_int_t
ngx_http_tccbs_credential_sign(ngx_http_tccbs_credential_t *credential,
    ngx_pool_t *pool, time_t now, ngx_str_t *key, ngx_str_t *timestamp,
    ngx_str_t *host, ngx_str_t *action, ngx_str_t *body,
    ngx_str_t *authorization, ngx_str_t *token)
{
    ngx_tccbs_tc3_post_t      post;
    ngx_http_tccbs_signer_t  *signer;
    u_char                    text[NGX_TCCBS_TC3_DATE_LEN];

    if (!ngx_http_tccbs_credential_current(credential, now, key)) {
        return NGX_DECLINED;
    }

    signer = &ngx_http_tccbs_signers[credential->index];

    ngx_tccbs_tc3_date(now, text);

    post.date.data = text;
    post.date.len = sizeof(text);

    if (ngx_http_tccbs_credential_day(signer, &post.date) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&post.service, "cbs");
    post.key_id = *key;
    post.timestamp = *timestamp;
    post.host = *host;
    post.action = *action;
    post.body = *body;

    token->data = signer->grant.token;
    token->len = signer->grant.token_len;

    return ngx_tccbs_tc3_authorize(&signer->mac, &post, authorization, pool);
}


/* Who signs now, or NULL: one whole grant of those that there were. */

static ngx_http_tccbs_signer_t *
ngx_http_tccbs_credential_signer(ngx_http_tccbs_credential_t *credential,
    time_t now)
{
    ngx_int_t                 rc;
    ngx_atomic_uint_t         version;
    ngx_http_tccbs_signer_t  *signer;

    signer = &ngx_http_tccbs_signers[credential->index];
    version = signer->version;

    rc = ngx_http_tccbs_grant_read(credential->page, &signer->version,
                                   &signer->grant);

    if (signer->version != version) {
        signer->date[0] = '\0';
    }

    if (rc != NGX_OK
        || (signer->grant.expires && signer->grant.expires <= now))
    {
        return NULL;
    }

    return signer;
}


static ngx_int_t
ngx_http_tccbs_credential_day(ngx_http_tccbs_signer_t *signer, ngx_str_t *date)
{
    ngx_uint_t             i;
    ngx_http_tccbs_day_t  *day;

    if (ngx_memcmp(signer->date, date->data, date->len) == 0) {
        return NGX_OK;
    }

    signer->date[0] = '\0';

    for (i = 0; i < NGX_HTTP_TCCBS_GRANT_DAYS; i++) {

        day = &signer->grant.days[i];

        if (ngx_memcmp(day->date, date->data, date->len) != 0) {
            continue;
        }

        if (ngx_tccbs_mac_key(&signer->mac, day->key, sizeof(day->key))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_memcpy(signer->date, date->data, date->len);

        return NGX_OK;
    }

    return NGX_ERROR;
}


void
ngx_http_tccbs_credential_status(ngx_http_tccbs_credential_t *credential,
    time_t now, ngx_http_tccbs_credential_status_t *status)
{
    ngx_int_t               rc;
    ngx_atomic_uint_t       version;
    ngx_http_tccbs_page_t  *page;
    ngx_http_tccbs_grant_t  grant;

    ngx_memzero(status, sizeof(ngx_http_tccbs_credential_status_t));

    page = credential->page;
    version = (ngx_atomic_uint_t) -1;

    rc = ngx_http_tccbs_grant_read(page, &version, &grant);

    /* after a reload nobody withdraws what has ended */

    if (rc == NGX_OK && (grant.expires == 0 || grant.expires > now)) {
        status->valid = 1;
        status->expires = grant.expires;
        status->key_len = ngx_http_tccbs_credential_mask(status->key, grant.id,
                                                         grant.id_len);
    }

    ngx_tccbs_wipe(&grant, sizeof(ngx_http_tccbs_grant_t));

    status->refreshed = (time_t) page->refreshed;
    status->tried = (time_t) page->tried;
    status->result = ngx_min(page->result, NGX_HTTP_TCCBS_GRANT_UNUSABLE);
}


/* Enough of a key id to know it again. */

static size_t
ngx_http_tccbs_credential_mask(u_char *dst, u_char *id, size_t len)
{
    u_char  *p;

    p = dst;

    if (len > NGX_HTTP_TCCBS_CREDENTIAL_MASK) {
        p = ngx_cpymem(p, id, 6);
    }

    p = ngx_cpymem(p, "****", 4);

    if (len > NGX_HTTP_TCCBS_CREDENTIAL_MASK) {
        p = ngx_cpymem(p, id + len - 4, 4);
    }

    return p - dst;
}
