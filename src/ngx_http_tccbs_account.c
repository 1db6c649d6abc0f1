
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_account.h"


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
    { ngx_string("key"), 2, 4, ngx_http_tccbs_account_key },
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

    ngx_http_tccbs_key_t  *key;

    if (account->nkeys == NGX_HTTP_TCCBS_KEYS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"%V\" has more than %d keys",
                           &account->name, NGX_HTTP_TCCBS_KEYS);
        return NGX_CONF_ERROR;
    }

    key = ngx_http_tccbs_key_conf(cf, account->arena);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    key->account = account;

    account->keys[account->nkeys++] = key;

    return NGX_CONF_OK;
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
