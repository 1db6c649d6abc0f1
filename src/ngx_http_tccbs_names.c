
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_names.h"


static ngx_int_t ngx_http_tccbs_names_all(ngx_http_tccbs_main_conf_t *mcf);
static ngx_int_t ngx_http_tccbs_names_account(ngx_shm_zone_t *zone,
    ngx_http_tccbs_account_t *account);
static ngx_int_t ngx_http_tccbs_names_credential(ngx_shm_zone_t *zone,
    ngx_http_tccbs_credential_t *credential);


ngx_int_t
ngx_http_tccbs_names_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_int_t                    rc;
    ngx_http_tccbs_main_conf_t  *mcf;

    mcf = zone->data;

    if (ngx_http_tccbs_zone_init(zone, data) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!mcf->pass) {
        return NGX_OK;
    }

    rc = ngx_http_tccbs_names_all(mcf);

    if (rc != NGX_OK) {
        ngx_http_tccbs_store_purge(zone);
        rc = ngx_http_tccbs_names_all(mcf);
    }

    /* the configuration before goes on with the room that it had */

    ngx_http_tccbs_zone_named_done(zone, rc == NGX_OK);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "tccbs_zone \"%V\" has no room for %ui accounts, "
                      "make it larger", &zone->shm.name, mcf->accounts.nelts);
    }

    return rc;
}


/* What has a place already is found again and takes no room. */

static ngx_int_t
ngx_http_tccbs_names_all(ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_str_t                       none = ngx_null_string;
    ngx_uint_t                      i;
    ngx_http_tccbs_account_t      **accounts;
    ngx_http_tccbs_credential_t   **credentials;

    if (ngx_http_tccbs_metrics_names(mcf->zone) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf->recent = ngx_http_tccbs_zone_named(mcf->zone, "recent", &none,
                                            sizeof(ngx_http_tccbs_recent_t));

    mcf->nobody = ngx_http_tccbs_metrics_area(mcf->zone,
                                              NGX_HTTP_TCCBS_OF_ACCOUNT, NULL);

    if (mcf->recent == NULL || mcf->nobody == NULL) {
        return NGX_ERROR;
    }

    if (mcf->redis) {
        mcf->redis->metrics = ngx_http_tccbs_metrics_area(mcf->zone,
                                                 NGX_HTTP_TCCBS_OF_REDIS,
                                                 &none);
        if (mcf->redis->metrics == NULL) {
            return NGX_ERROR;
        }
    }

    accounts = mcf->accounts.elts;

    for (i = 0; i < mcf->accounts.nelts; i++) {
        if (ngx_http_tccbs_names_account(mcf->zone, accounts[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    credentials = mcf->credentials.elts;

    for (i = 0; i < mcf->credentials.nelts; i++) {
        if (ngx_http_tccbs_names_credential(mcf->zone, credentials[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_names_account(ngx_shm_zone_t *zone,
    ngx_http_tccbs_account_t *account)
{
    account->usage = ngx_http_tccbs_zone_named(zone, "account", &account->name,
                                               sizeof(ngx_http_tccbs_usage_t));

    account->metrics = ngx_http_tccbs_metrics_area(zone,
                                                   NGX_HTTP_TCCBS_OF_ACCOUNT,
                                                   &account->name);

    return (account->usage && account->metrics) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_tccbs_names_credential(ngx_shm_zone_t *zone,
    ngx_http_tccbs_credential_t *credential)
{
    ngx_uint_t  n;

    static const char  *budgets[] = { "copy", "describe" };
    static const char  *paces[] = { "pace copy", "pace describe" };

    credential->metrics = ngx_http_tccbs_metrics_area(zone,
                                                NGX_HTTP_TCCBS_OF_CREDENTIAL,
                                                &credential->name);
    if (credential->metrics == NULL) {
        return NGX_ERROR;
    }

    for (n = 0; n < NGX_TCCBS_NACTIONS; n++) {

        credential->budget[n] = ngx_http_tccbs_zone_named(zone, budgets[n],
                                             &credential->name,
                                             sizeof(ngx_http_tccbs_budget_t));

        credential->pace[n] = ngx_http_tccbs_zone_named(zone, paces[n],
                                               &credential->name,
                                               sizeof(ngx_http_tccbs_pace_t));

        if (credential->budget[n] == NULL || credential->pace[n] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
