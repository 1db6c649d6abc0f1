
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */



#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_answer.h"
#include "ngx_http_tccbs_conf.h"
#include "ngx_http_tccbs_recovery.h"
#include "ngx_http_tccbs_request.h"
#include "ngx_http_tccbs_variables.h"


static char *ngx_http_tccbs_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_credential(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_account(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_audit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_signed_host(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_tccbs_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_uint_t ngx_http_tccbs_loopback(ngx_str_t *host);
static char *ngx_http_tccbs_file(ngx_conf_t *cf, void *post, void *data);

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


static ngx_conf_post_t  ngx_http_tccbs_file_post = { ngx_http_tccbs_file };


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

    { ngx_string("tccbs_audit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_audit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_identity"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_signed_host"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_1MORE,
      ngx_http_tccbs_signed_host,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tccbs_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tccbs_pass,
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

    mcf->zone = ngx_http_tccbs_zone_add(cf, &name, size,
                                        &ngx_http_tccbs_module);

    return mcf->zone ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tccbs_credential(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

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
    credential->arena = mcf->arena;

    return ngx_http_tccbs_credential_block(cf, credential);
}


static char *
ngx_http_tccbs_account(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    ngx_str_t                  *value;
    ngx_http_tccbs_account_t  **slot, *account;

    value = cf->args->elts;

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

    ngx_str_t  *value;

    if (mcf->audit.journal.file) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_tccbs_journal_conf(cf, &mcf->audit.journal, &value[1]);
}


static char *
ngx_http_tccbs_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_loc_conf_t *lcf = conf;

    ngx_str_t                         *value;
    ngx_http_compile_complex_value_t   ccv;

    if (lcf->identity != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "signature") == 0) {
        lcf->identity = NULL;
        return NGX_CONF_OK;
    }

    /* a constant would give every caller the same account */

    if (ngx_http_script_variables_count(&value[1]) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", \"signature\" or a value "
                           "with a variable such as \"$ssl_client_s_dn\" is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->identity = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (lcf->identity == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = lcf->identity;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_tccbs_signed_host(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_loc_conf_t *lcf = conf;

    size_t       n;
    ngx_str_t   *value, *host;
    ngx_uint_t   i;

    if (lcf->signed_hosts == NGX_CONF_UNSET_PTR) {
        lcf->signed_hosts = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (lcf->signed_hosts == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (n = 0; n < value[i].len; n++) {
            if (value[i].data[n] <= ' ' || value[i].data[n] >= 0x7f
                || value[i].data[n] == '/')
            {
                break;
            }
        }

        if (n == 0 || n < value[i].len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid host \"%V\", a name without scheme "
                               "and path is expected", &value[i]);
            return NGX_CONF_ERROR;
        }

        host = ngx_array_push(lcf->signed_hosts);
        if (host == NULL) {
            return NGX_CONF_ERROR;
        }

        *host = value[i];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_loc_conf_t *lcf = conf;

    size_t                       add;
    ngx_url_t                    u;
    ngx_str_t                   *value, *url;
    ngx_uint_t                   ssl;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_tccbs_srv_conf_t   *scf;
    ngx_http_tccbs_main_conf_t  *mcf;

    if (lcf->pass) {
        return "is duplicate";
    }

    value = cf->args->elts;
    url = &value[1];

    if (ngx_strncasecmp(url->data, (u_char *) "https://", 8) == 0) {
        ssl = 1;
        add = 8;

    } else if (ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0) {
        ssl = 0;
        add = 7;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", it must begin with "
                           "\"https://\"", url);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_script_variables_count(url)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", variables are not allowed",
                           url);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = url->len - add;
    u.url.data = url->data + add;
    u.default_port = ssl ? 443 : 80;
    u.uri_part = 1;
    u.no_resolve = 1;

    lcf->upstream.upstream = ngx_http_upstream_add(cf, &u, 0);

    if (lcf->upstream.upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    if (u.uri.len > 1 || (u.uri.len == 1 && u.uri.data[0] != '/')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", the API has no path", url);
        return NGX_CONF_ERROR;
    }

    if (!ssl && !ngx_http_tccbs_loopback(&u.host)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", only \"https://\" is allowed "
                           "for an address that is not 127.0.0.1, [::1] or "
                           "localhost", url);
        return NGX_CONF_ERROR;
    }

    lcf->host = u.host;
    lcf->pass = 1 + ssl;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_tccbs_handler;

    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_tccbs_module);
    scf->pass = 1;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tccbs_module);
    mcf->pass = 1;

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_tccbs_loopback(ngx_str_t *host)
{
    static ngx_str_t  *name, names[] = {
        ngx_string("127.0.0.1"),
        ngx_string("[::1]"),
        ngx_string("localhost"),
        ngx_null_string
    };

    for (name = names; name->len; name++) {
        if (name->len == host->len
            && ngx_strncmp(name->data, host->data, host->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* OpenSSL would complain later, and not say which line is to be mended. */

static char *
ngx_http_tccbs_file(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *name = data;

    ngx_str_t        path;
    ngx_file_info_t  fi;

    if (name->len == 0) {
        return NGX_CONF_OK;
    }

    path = *name;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path.data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_file_info_n " \"%V\" failed", &path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
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
    ngx_uint_t                   i;
    ngx_http_tccbs_account_t   **accounts;
    ngx_http_tccbs_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tccbs_module);

    if (mcf == NULL || !mcf->pass) {
        return NGX_OK;
    }

    /* the slots are at the same address in all processes */

    accounts = mcf->accounts.elts;

    for (i = 0; i < mcf->accounts.nelts; i++) {

        accounts[i]->slot = ngx_http_tccbs_slot(mcf->zone,
                                                &accounts[i]->name);
        if (accounts[i]->slot == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "tccbs_zone \"%V\" has no room for %ui accounts, "
                          "make it larger", &mcf->zone->shm.name,
                          mcf->accounts.nelts);
            return NGX_ERROR;
        }
    }

    return ngx_http_tccbs_journal_own(cycle, &mcf->audit.journal);
}


static ngx_int_t
ngx_http_tccbs_init_process(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tccbs_module);

    if (mcf == NULL || !mcf->pass) {
        return NGX_OK;
    }

    if (ngx_tccbs_crypto_init() != NGX_OK
        || ngx_http_tccbs_account_init(cycle, mcf->nkeys) != NGX_OK
        || ngx_http_tccbs_credential_init(cycle, mcf->credentials.nelts)
           != NGX_OK
        || ngx_http_tccbs_audit_init(cycle, &mcf->audit) != NGX_OK
        || ngx_http_tccbs_recovery_init(cycle, &mcf->audit) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "tccbs cannot start in this process");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_audit_stop();
    ngx_http_tccbs_recovery_exit();
    ngx_http_tccbs_audit_exit(cycle);
}
