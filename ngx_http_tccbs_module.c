
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */



#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <malloc.h>

#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_answer.h"
#include "ngx_http_tccbs_conf.h"
#include "ngx_http_tccbs_lease.h"
#include "ngx_http_tccbs_mapped.h"
#include "ngx_http_tccbs_names.h"
#include "ngx_http_tccbs_noise.h"
#include "ngx_http_tccbs_protect.h"
#include "ngx_http_tccbs_recovery.h"
#include "ngx_http_tccbs_redis_conf.h"
#include "ngx_http_tccbs_restore.h"
#include "ngx_http_tccbs_set.h"
#include "ngx_http_tccbs_status.h"
#include "ngx_http_tccbs_variables.h"


static char *ngx_http_tccbs_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_credential(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_account(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_audit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_redis_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_int_t ngx_http_tccbs_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_tccbs_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_tccbs_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_tccbs_init_process(ngx_cycle_t *cycle);
static void ngx_http_tccbs_exit_process(ngx_cycle_t *cycle);


static ngx_conf_bitmask_t  ngx_http_tccbs_ssl_protocols[] = {
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


static ngx_conf_num_bounds_t  ngx_http_tccbs_ssl_verify_depth_bounds = {
    ngx_conf_check_num_bounds, 1, 100
};


static ngx_conf_post_t  ngx_http_tccbs_file_post = {
    ngx_http_tccbs_check_file
};


/* bytes that a worker may have free before it gives them to the kernel */

#define NGX_HTTP_TCCBS_TRIM  (8 * 1024 * 1024)


#define NGX_HTTP_TCCBS_CONF  NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF             \
                             |NGX_HTTP_LOC_CONF

static ngx_command_t  ngx_http_tccbs_commands[] = {

    { ngx_string("tccbs_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_credential"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_tccbs_credential,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_account"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_tccbs_account,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_key_master"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_set_key_master,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_core_dump"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_tccbs_main_conf_t, core_dump),
      NULL },

    { ngx_string("tccbs_audit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_tccbs_audit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_tccbs_redis_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_identity"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE12,
      ngx_http_tccbs_set_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_signed_host"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_1MORE,
      ngx_http_tccbs_set_signed_host,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_set_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_tccbs_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_connect_timeout"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, upstream.connect_timeout),
      NULL },

    { ngx_string("tccbs_send_timeout"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, upstream.send_timeout),
      NULL },

    { ngx_string("tccbs_read_timeout"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, upstream.read_timeout),
      NULL },

    { ngx_string("tccbs_total_timeout"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, total_timeout),
      NULL },

    { ngx_string("tccbs_body_size"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, body_size),
      NULL },

    { ngx_string("tccbs_response_size"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, response_size),
      NULL },

    { ngx_string("tccbs_replay_window"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, replay_window),
      NULL },

    { ngx_string("tccbs_hold"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, hold),
      NULL },

    { ngx_string("tccbs_snapshot_tag"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, snapshot_tag),
      NULL },

    { ngx_string("tccbs_monitor"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, monitor),
      NULL },

    { ngx_string("tccbs_ssl_trusted_certificate"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_trusted_certificate),
      &ngx_http_tccbs_file_post },

    { ngx_string("tccbs_ssl_verify_depth"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_verify_depth),
      &ngx_http_tccbs_ssl_verify_depth_bounds },

    { ngx_string("tccbs_ssl_name"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_name),
      NULL },

    { ngx_string("tccbs_ssl_protocols"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_protocols),
      &ngx_http_tccbs_ssl_protocols },

    { ngx_string("tccbs_ssl_ciphers"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_ciphers),
      NULL },

    { ngx_string("tccbs_ssl_crl"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_crl),
      &ngx_http_tccbs_file_post },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_tccbs_module_ctx = {
    ngx_http_tccbs_preconfiguration,       /* preconfiguration */
    ngx_http_tccbs_postconfiguration,      /* postconfiguration */

    ngx_http_tccbs_create_main_conf,       /* create main configuration */
    ngx_http_tccbs_init_main_conf,         /* init main configuration */

    ngx_http_tccbs_create_srv_conf,        /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_tccbs_create_loc_conf,        /* create location configuration */
    ngx_http_tccbs_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_tccbs_module = {
    NGX_MODULE_V1,
    &ngx_http_tccbs_module_ctx,            /* module context */
    ngx_http_tccbs_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_tccbs_init_module,            /* init module */
    ngx_http_tccbs_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_tccbs_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_tccbs_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (mcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\", \"name:size\" is expected",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = p - value[1].data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR || size < NGX_HTTP_TCCBS_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\", at least %uzk is "
                           "expected", &s,
                           (size_t) NGX_HTTP_TCCBS_ZONE_MIN / 1024);
        return NGX_CONF_ERROR;
    }

    mcf->zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_tccbs_module);
    if (mcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zone->init = ngx_http_tccbs_names_init;
    mcf->zone->data = mcf;

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    char                          *rv;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_tccbs_credential_t  **credentials, **slot, *credential;

    value = cf->args->elts;
    credentials = mcf->credentials.elts;

    for (i = 0; i < mcf->credentials.nelts; i++) {
        if (credentials[i]->name.len == value[1].len
            && ngx_strncmp(credentials[i]->name.data, value[1].data,
                           value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate tccbs_credential \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    credential = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_credential_t));
    slot = ngx_array_push(&mcf->credentials);

    if (credential == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = credential;

    credential->name = value[1];
    credential->index = i;
    credential->source.vault = mcf->keeper.vault;

    rv = ngx_http_tccbs_credential_block(cf, credential);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_tccbs_credential_via(cf, credential, &mcf->credentials);
}


static char *
ngx_http_tccbs_account(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    ngx_str_t                  *value;
    ngx_http_tccbs_account_t  **slot, *account;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "none") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_account \"none\" is what tccbs_status calls "
                           "requests without an account, use another name");
        return NGX_CONF_ERROR;
    }

    account = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_account_t));
    slot = ngx_array_push(&mcf->accounts);

    if (account == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = account;

    account->name = value[1];
    account->arena = mcf->arena;

    return ngx_http_tccbs_account_block(cf, account);
}


static char *
ngx_http_tccbs_audit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (mcf->audit.journal.file) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "key=", 4) == 0) {
            rv = ngx_http_tccbs_set_audit_key(cf, mcf, &value[i]);

        } else if (ngx_strncmp(value[i].data, "syslog:", 7) == 0) {
            rv = ngx_http_tccbs_set_audit_syslog(cf, mcf, &value[i]);

        } else if (ngx_strcmp(value[i].data, "buffered") == 0) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "tccbs_audit is \"buffered\": calls are "
                               "forwarded before their record is on the disk, "
                               "a crash of the host loses records");
            mcf->audit.journal.buffered = 1;
            rv = NGX_CONF_OK;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", \"key=path\", "
                               "\"syslog:server=address\" or \"buffered\" is "
                               "expected", &value[i]);
            rv = NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_tccbs_journal_conf(cf, &mcf->audit.journal, &value[1]);
}


static char *
ngx_http_tccbs_redis_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    if (mcf->redis) {
        return "is duplicate";
    }

    mcf->redis = ngx_http_tccbs_redis_conf(cf, mcf->arena);

    return mcf->redis ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_tccbs_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_tccbs_add_variables(cf);
}


static ngx_int_t
ngx_http_tccbs_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_tccbs_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tccbs_module);

    return mcf->pass ? ngx_http_tccbs_answer_init(cf) : NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i, n;
    ngx_http_tccbs_account_t      **accounts;
    ngx_http_tccbs_main_conf_t     *mcf;
    ngx_http_tccbs_credential_t   **credentials;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tccbs_module);

    ngx_http_tccbs_metrics_loaded(mcf ? mcf->loaded : NULL);

    if (mcf == NULL) {
        return NGX_OK;
    }

    if (ngx_http_tccbs_keeper_module(cycle, &mcf->keeper) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!mcf->pass) {
        return NGX_OK;
    }

    ngx_http_tccbs_protect_master(cycle, mcf);

    /* shared memory is at the same address in all processes */

    credentials = mcf->credentials.elts;

    for (i = 0; i < mcf->credentials.nelts; i++) {
        for (n = 0; n < NGX_TCCBS_NACTIONS; n++) {
            ngx_http_tccbs_queue_init(credentials[i]->budget[n]);
        }

        if (ngx_http_tccbs_lease_limits(credentials[i], mcf->redis)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    accounts = mcf->accounts.elts;

    for (i = 0; i < mcf->accounts.nelts; i++) {

        for (n = 0; n < NGX_TCCBS_NACTIONS; n++) {
            accounts[i]->usage->flows[n].account =
                              ngx_http_tccbs_lease_account(&accounts[i]->name);
        }

        ngx_http_tccbs_key_publish(mcf->zone, accounts[i]->usage,
                                   accounts[i]->keys, accounts[i]->nkeys);
    }

    ngx_http_tccbs_key_published(mcf->zone);

    if (ngx_http_tccbs_metrics_start(mcf->zone) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_test_config) {
        return NGX_OK;
    }

    if (ngx_http_tccbs_journal_own(cycle, &mcf->audit.journal) != NGX_OK
        || ngx_http_tccbs_takeover_open(cycle, &mcf->audit.takeover,
                                        &mcf->audit.journal.path, mcf->zone)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* also a reload can begin with an empty zone, of another size or name */

    return ngx_http_tccbs_restore(cycle, &mcf->audit,
                                  ngx_inherited
                                  || !ngx_is_init_cycle(cycle->old_cycle));
}


static ngx_int_t
ngx_http_tccbs_init_process(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tccbs_module);

    if (mcf == NULL) {
        return NGX_OK;
    }

    ngx_http_tccbs_keeper_process(cycle, &mcf->keeper);

    if (!mcf->pass) {
        return NGX_OK;
    }

    ngx_http_tccbs_protect_process(cycle, mcf);

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    ngx_http_tccbs_takeover_master(&mcf->audit.takeover);
    ngx_http_tccbs_metrics_worker();

    /*
     * Calls wait for the disk together and end together: without this the
     * memory of all of them is unmapped and faulted in again with each sync.
     */

#ifdef M_TRIM_THRESHOLD
    (void) mallopt(M_TRIM_THRESHOLD, NGX_HTTP_TCCBS_TRIM);
#endif

    if (ngx_tccbs_crypto_init() != NGX_OK
        || ngx_http_tccbs_key_init(cycle, mcf->nkeys) != NGX_OK
        || ngx_http_tccbs_credential_init(cycle, mcf->credentials.nelts)
           != NGX_OK
        || (mcf->redis
            && (ngx_http_tccbs_redis_init(cycle, mcf->redis) != NGX_OK
                || ngx_http_tccbs_lease_start(cycle, mcf->zone, mcf->redis,
                                              &mcf->credentials)
                   != NGX_OK))
        || ngx_http_tccbs_audit_init(cycle, &mcf->audit) != NGX_OK
        || ngx_http_tccbs_recovery_init(cycle, &mcf->audit) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "tccbs cannot start in this process");
        return NGX_ERROR;
    }

    ngx_http_tccbs_noise_init(cycle);

    return NGX_OK;
}


static void
ngx_http_tccbs_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_redis_exit();
    ngx_http_tccbs_noise_exit();
    ngx_http_tccbs_audit_stop();
    ngx_http_tccbs_recovery_exit();
    ngx_http_tccbs_audit_exit(cycle);
    ngx_http_tccbs_key_exit();
    ngx_http_tccbs_metrics_worker_exit();
}
