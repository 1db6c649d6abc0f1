
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_account.h"


#define NGX_HTTP_TCCBS_SCOPE_SERVICE  64


/* The verification key of one date and service, one per key and worker. */

typedef struct {
    u_char             date[NGX_TCCBS_TC3_DATE_LEN];
    u_char             len;
    u_char             service[NGX_HTTP_TCCBS_SCOPE_SERVICE];
    ngx_tccbs_mac_t    mac;
} ngx_http_tccbs_scope_key_t;


static char *ngx_http_tccbs_account_key(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_identity(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_credential(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_actions(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_from(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_to(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_regions(ngx_conf_t *cf,
    ngx_array_t *regions);
static char *ngx_http_tccbs_account_snapshots(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_rate(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_quota(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_account_weight(ngx_conf_t *cf, void *object);
static ngx_str_t *ngx_http_tccbs_account_push(ngx_conf_t *cf,
    ngx_array_t *array, ngx_str_t *value);


static ngx_tccbs_block_command_t  ngx_http_tccbs_account_commands[] = {
    { ngx_string("key"), 2, 2, ngx_http_tccbs_account_key },
    { ngx_string("identity"), 1, 1, ngx_http_tccbs_account_identity },
    { ngx_string("credential"), 1, 1, ngx_http_tccbs_account_credential },
    { ngx_string("actions"), 1, 64, ngx_http_tccbs_account_actions },
    { ngx_string("from"), 1, 128, ngx_http_tccbs_account_from },
    { ngx_string("to"), 1, 128, ngx_http_tccbs_account_to },
    { ngx_string("snapshots"), 1, 1024, ngx_http_tccbs_account_snapshots },
    { ngx_string("rate"), 1, 3, ngx_http_tccbs_account_rate },
    { ngx_string("quota"), 1, 1, ngx_http_tccbs_account_quota },
    { ngx_string("weight"), 1, 1, ngx_http_tccbs_account_weight },
    { ngx_null_string, 0, 0, NULL }
};


/* the last one stands in for unknown keys */

static ngx_http_tccbs_scope_key_t  *ngx_http_tccbs_scope_keys;
static ngx_uint_t                   ngx_http_tccbs_nkeys;
static u_char                       ngx_http_tccbs_dummy[40];


char *
ngx_http_tccbs_account_block(ngx_conf_t *cf, ngx_http_tccbs_account_t *account)
{
    char         *rv;
    ngx_uint_t    i;
    ngx_array_t  *arrays[] = { &account->identities, &account->policy.from,
                               &account->policy.to,
                               &account->policy.snapshots };

    account->file = cf->conf_file->file.name.data;
    account->line = cf->conf_file->line;
    account->weight = 1;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (ngx_array_init(arrays[i], cf->pool, 2, sizeof(ngx_str_t))
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    rv = ngx_tccbs_conf_block(cf, ngx_http_tccbs_account_commands, account);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (account->credential_name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"%V\" needs \"credential name;\"",
                           &account->name);
        return NGX_CONF_ERROR;
    }

    if (account->nkeys == 0 && account->identities.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"%V\" needs \"key id file:path;\" "
                           "or \"identity value;\"", &account->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_key(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    size_t                 i;
    ngx_str_t             *value, path, secret;
    ngx_http_tccbs_key_t  *key;

    value = cf->args->elts;

    if (account->nkeys == NGX_HTTP_TCCBS_KEYS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"%V\" has more than %d keys",
                           &account->name, NGX_HTTP_TCCBS_KEYS);
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_tccbs_key_id_valid(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid gateway key id \"%V\", it must have %d to "
                           "%d characters of A-Z, a-z, 0-9, \"_\" and \"-\"",
                           &value[1], NGX_HTTP_TCCBS_KEY_ID_MIN,
                           NGX_HTTP_TCCBS_KEY_ID_MAX);
        return NGX_CONF_ERROR;
    }

    /* the value may be a secret written here by mistake: do not repeat it */

    if (value[2].len <= 5 || ngx_strncmp(value[2].data, "file:", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the key \"%V\" must be in a file of its own, "
                           "use \"file:path\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    path.data = value[2].data + 5;
    path.len = value[2].len - 5;

    if (ngx_tccbs_conf_secret_line(cf, account->arena, &path,
                                   NGX_HTTP_TCCBS_KEY_MAX, &secret)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] <= ' ' || secret.data[i] >= 0x7f) {
            break;
        }
    }

    if (i < secret.len || secret.len < NGX_HTTP_TCCBS_KEY_MIN
        || secret.len > NGX_HTTP_TCCBS_KEY_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must hold one line of %d to %d printable "
                           "ASCII characters without spaces, "
                           "see \"tccbs key new\"",
                           &path, NGX_HTTP_TCCBS_KEY_MIN,
                           NGX_HTTP_TCCBS_KEY_MAX);
        return NGX_CONF_ERROR;
    }

    key = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_key_t));
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    key->id = value[1];
    key->secret = secret;
    key->account = account;

    account->keys[account->nkeys++] = key;

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_http_tccbs_key_id_valid(ngx_str_t *id)
{
    u_char  c;
    size_t  i;

    if (id->len < NGX_HTTP_TCCBS_KEY_ID_MIN
        || id->len > NGX_HTTP_TCCBS_KEY_ID_MAX)
    {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        c = id->data[i];

        if ((c < '0' || c > '9') && (c < 'A' || c > 'Z')
            && (c < 'a' || c > 'z') && c != '_' && c != '-')
        {
            return 0;
        }
    }

    return 1;
}


static char *
ngx_http_tccbs_account_identity(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty value in \"identity\"";
    }

    return ngx_http_tccbs_account_push(cf, &account->identities, &value[1])
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tccbs_account_credential(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (account->credential_name.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"%V\" has a duplicate "
                           "\"credential\"", &account->name);
        return NGX_CONF_ERROR;
    }

    account->credential_name = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_actions(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    ngx_int_t    action;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        action = ngx_tccbs_action(&value[i]);

        if (action == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown action \"%V\", the gateway knows "
                               "\"CopySnapshotCrossRegions\" and "
                               "\"DescribeSnapshots\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        account->policy.actions |= 1 << action;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_from(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    return ngx_http_tccbs_account_regions(cf, &account->policy.from);
}


static char *
ngx_http_tccbs_account_to(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    return ngx_http_tccbs_account_regions(cf, &account->policy.to);
}


static char *
ngx_http_tccbs_account_regions(ngx_conf_t *cf, ngx_array_t *regions)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (!ngx_tccbs_region_valid(&value[i])
            && (value[i].len != 1 || value[i].data[0] != '*'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid region \"%V\", a region code like "
                               "\"ap-guangzhou\" or \"*\" is expected",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_tccbs_account_push(cf, regions, &value[i]) == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_snapshots(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    u_char       c;
    size_t       n;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (n = 0; n < value[i].len; n++) {
            c = value[i].data[n];

            if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-'
                && c != '*')
            {
                break;
            }
        }

        if (n == 0 || n < value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid snapshot pattern \"%V\", an id like "
                               "\"snap-ckgjwkqh\" is expected, \"*\" in it "
                               "stands for any characters", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_tccbs_account_push(cf, &account->policy.snapshots,
                                        &value[i])
            == NULL)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_rate(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    size_t       len;
    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i, period;

    value = cf->args->elts;

    if (account->rate_cost) {
        return "has a duplicate \"rate\"";
    }

    len = value[1].len;
    period = 0;

    if (len > 3 && ngx_strncmp(value[1].data + len - 3, "r/s", 3) == 0) {
        period = 1000000;

    } else if (len > 3 && ngx_strncmp(value[1].data + len - 3, "r/m", 3) == 0)
    {
        period = 60000000;
    }

    n = period ? ngx_atoi(value[1].data, len - 3) : NGX_ERROR;

    if (n < 1 || (ngx_uint_t) n > period / 10) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid rate \"%V\", a number like \"5r/s\" or "
                           "\"30r/m\" is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    account->rate = value[1];
    account->rate_cost = period / n;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "nodelay") == 0) {
            account->rate_nodelay = 1;
            continue;
        }

        n = NGX_ERROR;

        if (ngx_strncmp(value[i].data, "burst=", 6) == 0) {
            n = ngx_atoi(value[i].data + 6, value[i].len - 6);
        }

        if (n < 0 || n > 100000) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", \"burst=number\" or "
                               "\"nodelay\" is expected", &value[i]);
            return NGX_CONF_ERROR;
        }

        account->rate_burst = n;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_quota(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    ngx_int_t    n;
    ngx_str_t   *value;

    value = cf->args->elts;
    n = NGX_ERROR;

    if (account->quota) {
        return "has a duplicate \"quota\"";
    }

    if (value[1].len > 2
        && ngx_strncmp(value[1].data + value[1].len - 2, "/d", 2) == 0)
    {
        n = ngx_atoi(value[1].data, value[1].len - 2);
    }

    if (n < 1 || n > 1000000000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid quota \"%V\", a number of copies like "
                           "\"200/d\" is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    account->quota = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_account_weight(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_account_t *account = object;

    ngx_int_t    n;
    ngx_str_t   *value;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid weight \"%V\", a number from 1 to 1000 is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    account->weight = n;

    return NGX_CONF_OK;
}


static ngx_str_t *
ngx_http_tccbs_account_push(ngx_conf_t *cf, ngx_array_t *array,
    ngx_str_t *value)
{
    ngx_str_t  *s;

    s = ngx_array_push(array);

    if (s) {
        *s = *value;
    }

    return s;
}


ngx_int_t
ngx_http_tccbs_account_init(ngx_cycle_t *cycle, ngx_uint_t n)
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
ngx_http_tccbs_account_mac(ngx_http_tccbs_key_t *key, ngx_str_t *date,
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

    if (service->len <= sizeof(scope->service)
        && service->len == scope->len
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
