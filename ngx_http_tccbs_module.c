
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */



#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs.h"
#include "ngx_http_tccbs_answer.h"
#include "ngx_http_tccbs_request.h"
#include "ngx_http_tccbs_variables.h"


#define NGX_HTTP_TCCBS_POLICY_SIZE  16


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

static void *ngx_http_tccbs_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_tccbs_init_main_conf(ngx_conf_t *cf, void *conf);
static char *ngx_http_tccbs_init_accounts(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);
static char *ngx_http_tccbs_init_account(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf, ngx_http_tccbs_account_t *account);
static char *ngx_http_tccbs_policy_digest(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);
static void *ngx_http_tccbs_create_srv_conf(ngx_conf_t *cf);
static void *ngx_http_tccbs_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_tccbs_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_tccbs_merge_ssl(ngx_conf_t *cf,
    ngx_http_tccbs_loc_conf_t *conf, ngx_http_tccbs_loc_conf_t *prev);
static ngx_int_t ngx_http_tccbs_set_ssl(ngx_conf_t *cf,
    ngx_http_tccbs_loc_conf_t *conf);
static ngx_int_t ngx_http_tccbs_default_ca(ngx_conf_t *cf, SSL_CTX *ctx);
static ngx_int_t ngx_http_tccbs_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_tccbs_postconfiguration(ngx_conf_t *cf);
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

    { ngx_string("tccbs_ssl_trusted_certificate"),
      NGX_HTTP_TCCBS_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tccbs_loc_conf_t, ssl_trusted_certificate),
      NULL },

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
      NULL },

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
    NULL,                                  /* init module */
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

    if (mcf->audit.file) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_tccbs_audit_conf(cf, &mcf->audit, &value[1]);
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


static void *
ngx_http_tccbs_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_tccbs_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->zone = NULL;
     *     mcf->keys = NULL;
     *     mcf->identities = NULL;
     *     mcf->nkeys = 0;
     *     mcf->audit = { 0 };
     *     mcf->pass = 0;
     */

    mcf->arena = ngx_tccbs_arena_create(cf->pool);

    if (mcf->arena == NULL
        || ngx_array_init(&mcf->credentials, cf->pool, 2,
                          sizeof(ngx_http_tccbs_credential_t *))
           != NGX_OK
        || ngx_array_init(&mcf->accounts, cf->pool, 8,
                          sizeof(ngx_http_tccbs_account_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


static char *
ngx_http_tccbs_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    if (mcf->pass && mcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tccbs_pass\" needs \"tccbs_zone name:size;\" "
                      "in the \"http\" block");
        return NGX_CONF_ERROR;
    }

    if (mcf->pass && mcf->audit.file == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tccbs_pass\" needs \"tccbs_audit path;\" "
                      "in the \"http\" block");
        return NGX_CONF_ERROR;
    }

    mcf->audit.zone = mcf->zone;

    return ngx_http_tccbs_init_accounts(cf, mcf);
}


/* What is between accounts, and between accounts and credentials. */

static char *
ngx_http_tccbs_init_accounts(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf)
{
    char                       *rv;
    ngx_uint_t                  i;
    ngx_tccbs_index_t          *names;
    ngx_http_tccbs_account_t  **accounts, *account;

    accounts = mcf->accounts.elts;

    names = ngx_tccbs_index_create(cf->temp_pool, mcf->accounts.nelts);
    mcf->keys = ngx_tccbs_index_create(cf->pool, mcf->accounts.nelts * 2);
    mcf->identities = ngx_tccbs_index_create(cf->pool, mcf->accounts.nelts);

    if (names == NULL || mcf->keys == NULL || mcf->identities == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < mcf->accounts.nelts; i++) {

        account = accounts[i];

        switch (ngx_tccbs_index_add(names, &account->name, account)) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "duplicate tccbs_account \"%V\" in %s:%ui",
                          &account->name, account->file, account->line);

            /* fall through */

        default:
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_tccbs_init_account(cf, mcf, account);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_tccbs_policy_digest(cf, mcf);
}


static char *
ngx_http_tccbs_init_account(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf,
    ngx_http_tccbs_account_t *account)
{
    ngx_str_t                     *identity;
    ngx_uint_t                     i;
    ngx_http_tccbs_credential_t  **credentials;

    credentials = mcf->credentials.elts;

    for (i = 0; i < mcf->credentials.nelts; i++) {
        if (credentials[i]->name.len == account->credential_name.len
            && ngx_strncmp(credentials[i]->name.data,
                           account->credential_name.data,
                           account->credential_name.len)
               == 0)
        {
            account->credential = credentials[i];
        }
    }

    if (account->credential == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown credential \"%V\" of tccbs_account \"%V\", add "
                      "\"tccbs_credential %V { ... }\", in %s:%ui",
                      &account->credential_name, &account->name,
                      &account->credential_name, account->file, account->line);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < account->nkeys; i++) {

        account->keys[i]->index = mcf->nkeys++;

        switch (ngx_tccbs_index_add(mcf->keys, &account->keys[i]->id,
                                    account->keys[i]))
        {
        case NGX_OK:
            break;

        case NGX_BUSY:
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "duplicate gateway key \"%V\" of tccbs_account "
                          "\"%V\" in %s:%ui", &account->keys[i]->id,
                          &account->name, account->file, account->line);

            /* fall through */

        default:
            return NGX_CONF_ERROR;
        }
    }

    identity = account->identities.elts;

    for (i = 0; i < account->identities.nelts; i++) {

        switch (ngx_tccbs_index_add(mcf->identities, &identity[i], account)) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "duplicate identity \"%V\" of tccbs_account \"%V\" "
                          "in %s:%ui", &identity[i], &account->name,
                          account->file, account->line);

            /* fall through */

        default:
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* Names the rules that a decision was made by; secrets are not in it. */

static char *
ngx_http_tccbs_policy_digest(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_str_t                  *s, piece;
    ngx_uint_t                  i, n, k;
    ngx_array_t                *lists[4];
    ngx_tccbs_out_t             out;
    ngx_http_tccbs_account_t  **accounts, *account;
    u_char                      digest[NGX_TCCBS_SHA256_LEN];

    accounts = mcf->accounts.elts;

    ngx_tccbs_out_init(&out, cf->temp_pool, 4096);

    for (i = 0; i < mcf->accounts.nelts; i++) {

        account = accounts[i];

        ngx_tccbs_out_string(&out, &account->name);
        ngx_tccbs_out_string(&out, &account->credential_name);
        ngx_tccbs_out_uint(&out, account->actions);

        for (n = 0; n < account->nkeys; n++) {
            ngx_tccbs_out_string(&out, &account->keys[n]->id);
        }

        lists[0] = &account->identities;
        lists[1] = &account->from;
        lists[2] = &account->to;
        lists[3] = &account->snapshots;

        for (n = 0; n < 4; n++) {
            s = lists[n]->elts;

            ngx_tccbs_out_lit(&out, ";");

            for (k = 0; k < lists[n]->nelts; k++) {
                ngx_tccbs_out_string(&out, &s[k]);
            }
        }
    }

    piece = ngx_tccbs_out_str(&out);

    if (out.failed
        || ngx_tccbs_crypto_init() != NGX_OK
        || ngx_tccbs_sha256(digest, &piece, 1) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    (void) ngx_tccbs_hex(mcf->policy, digest, sizeof(mcf->policy) / 2);

    return NGX_CONF_OK;
}


static void *
ngx_http_tccbs_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_srv_conf_t));
}


static void *
ngx_http_tccbs_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_tccbs_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream.upstream = NULL;
     *     conf->upstream.ssl = NULL;
     *     conf->upstream.pass_request_headers = 0;
     *     conf->upstream.pass_request_body = 0;
     *     conf->upstream.buffering = 0;
     *     conf->upstream.intercept_errors = 0;
     *     conf->upstream.hide_headers_hash = { NULL, 0 };
     *     conf->pass = 0;
     *     conf->host = { 0, NULL };
     *     conf->name = { 0, NULL };
     *     conf->ssl_* = { 0, NULL };
     *     conf->ssl_protocols = 0;
     */

    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.read_timeout = NGX_CONF_UNSET_MSEC;

    conf->identity = NGX_CONF_UNSET_PTR;
    conf->signed_hosts = NGX_CONF_UNSET_PTR;
    conf->total_timeout = NGX_CONF_UNSET_MSEC;
    conf->body_size = NGX_CONF_UNSET_SIZE;
    conf->response_size = NGX_CONF_UNSET_SIZE;
    conf->ssl_verify_depth = NGX_CONF_UNSET_UINT;

    /*
     * the hardcoded values: an answer stays in memory and no header of it is
     * kept, so that there is no list of hidden ones; only what was never
     * written may be tried at another address
     */

    conf->upstream.buffer_size = 2 * ngx_pagesize;
    conf->upstream.ignore_client_abort = 1;
    conf->upstream.ignore_headers = ~0;
    conf->upstream.next_upstream = NGX_HTTP_UPSTREAM_FT_ERROR
                                   |NGX_HTTP_UPSTREAM_FT_TIMEOUT;
    conf->upstream.next_upstream_tries = 2;
    conf->upstream.ssl_session_reuse = 1;
    conf->upstream.ssl_server_name = 1;
    conf->upstream.ssl_verify = 1;

    ngx_str_set(&conf->upstream.module, "tccbs");

    return conf;
}


static char *
ngx_http_tccbs_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_tccbs_loc_conf_t *prev = parent;
    ngx_http_tccbs_loc_conf_t *conf = child;

    ngx_http_complex_value_t  *name;

    ngx_conf_merge_msec_value(conf->upstream.connect_timeout,
                              prev->upstream.connect_timeout, 3000);
    ngx_conf_merge_msec_value(conf->upstream.send_timeout,
                              prev->upstream.send_timeout, 5000);
    ngx_conf_merge_msec_value(conf->upstream.read_timeout,
                              prev->upstream.read_timeout, 30000);

    ngx_conf_merge_ptr_value(conf->identity, prev->identity, NULL);
    ngx_conf_merge_ptr_value(conf->signed_hosts, prev->signed_hosts, NULL);
    ngx_conf_merge_msec_value(conf->total_timeout, prev->total_timeout, 55000);
    ngx_conf_merge_size_value(conf->body_size, prev->body_size, 16384);
    ngx_conf_merge_size_value(conf->response_size, prev->response_size,
                              262144);

    if (ngx_http_tccbs_merge_ssl(cf, conf, prev) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (!conf->pass) {
        return NGX_CONF_OK;
    }

    conf->name = conf->ssl_name.len ? conf->ssl_name : conf->host;

    if (conf->pass == 1) {
        conf->upstream.ssl = NULL;
        return NGX_CONF_OK;
    }

    /* nginx would verify the name of the upstream block otherwise */

    name = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (name == NULL) {
        return NGX_CONF_ERROR;
    }

    name->value = conf->name;
    conf->upstream.ssl_name = name;

    return (ngx_http_tccbs_set_ssl(cf, conf) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * Locations that say nothing of their own share one SSL context, or they would
 * refuse each other's kept connections.
 */

static ngx_int_t
ngx_http_tccbs_merge_ssl(ngx_conf_t *cf, ngx_http_tccbs_loc_conf_t *conf,
    ngx_http_tccbs_loc_conf_t *prev)
{
    ngx_uint_t  own;

    own = (conf->ssl_trusted_certificate.data || conf->ssl_crl.data
           || conf->ssl_ciphers.data || conf->ssl_protocols
           || conf->ssl_verify_depth != NGX_CONF_UNSET_UINT);

    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                             prev->ssl_trusted_certificate, "");
    ngx_conf_merge_uint_value(conf->ssl_verify_depth, prev->ssl_verify_depth,
                              4);
    ngx_conf_merge_str_value(conf->ssl_name, prev->ssl_name, "");
    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                                 NGX_CONF_BITMASK_SET
                                 |NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3);
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers, "DEFAULT");
    ngx_conf_merge_str_value(conf->ssl_crl, prev->ssl_crl, "");

    if (!own && prev->upstream.ssl) {
        conf->upstream.ssl = prev->upstream.ssl;
        return NGX_OK;
    }

    conf->upstream.ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (conf->upstream.ssl == NULL) {
        return NGX_ERROR;
    }

    conf->upstream.ssl->log = cf->log;

    if (!own) {
        prev->upstream.ssl = conf->upstream.ssl;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_set_ssl(ngx_conf_t *cf, ngx_http_tccbs_loc_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = conf->upstream.ssl;

    if (ssl->ctx) {
        return NGX_OK;
    }

    if (ngx_ssl_create(ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, &conf->ssl_ciphers, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->ssl_trusted_certificate.len) {

        if (ngx_ssl_trusted_certificate(cf, ssl,
                                        &conf->ssl_trusted_certificate,
                                        conf->ssl_verify_depth)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {
        SSL_CTX_set_verify_depth(ssl->ctx, conf->ssl_verify_depth);

        if (ngx_http_tccbs_default_ca(cf, ssl->ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_ssl_crl(cf, ssl, &conf->ssl_crl) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_ssl_client_session_cache(cf, ssl, 1);
}


static ngx_int_t
ngx_http_tccbs_default_ca(ngx_conf_t *cf, SSL_CTX *ctx)
{
    const char       *file, *dir;
    ngx_file_info_t   fi;

    file = getenv(X509_get_default_cert_file_env());
    dir = getenv(X509_get_default_cert_dir_env());

    file = file ? file : X509_get_default_cert_file();
    dir = dir ? dir : X509_get_default_cert_dir();

    /* OpenSSL itself is content with places that do not exist */

    if ((ngx_file_info(file, &fi) == NGX_FILE_ERROR
         && ngx_file_info(dir, &fi) == NGX_FILE_ERROR)
        || SSL_CTX_set_default_verify_paths(ctx) == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "found no CA certificates of the system in \"%s\" or "
                      "\"%s\", use \"tccbs_ssl_trusted_certificate file;\"",
                      file, dir);
        return NGX_ERROR;
    }

    return NGX_OK;
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
        || ngx_http_tccbs_audit_init(cycle, &mcf->audit) != NGX_OK)
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
    ngx_http_tccbs_audit_exit(cycle);
}
