
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_conf.h"
#include "ngx_http_tccbs_protect.h"
#include "ngx_http_tccbs_status.h"


static ngx_int_t ngx_http_tccbs_keeper_ssl(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);
static char *ngx_http_tccbs_init_accounts(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);
static char *ngx_http_tccbs_init_account(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf, ngx_http_tccbs_account_t *account);
static char *ngx_http_tccbs_policy_digest(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);
static ngx_int_t ngx_http_tccbs_merge_ssl(ngx_conf_t *cf,
    ngx_http_tccbs_loc_conf_t *conf, ngx_http_tccbs_loc_conf_t *prev);
static ngx_int_t ngx_http_tccbs_set_ssl(ngx_conf_t *cf,
    ngx_http_tccbs_loc_conf_t *conf);
static ngx_int_t ngx_http_tccbs_default_ca(ngx_conf_t *cf, SSL_CTX *ctx);


void *
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
     *     mcf->key_master = { 0, NULL };
     *     mcf->logs = { NULL };
     *     mcf->audit = { 0 };
     *     mcf->recent = NULL;
     *     mcf->nobody = NULL;
     *     mcf->status = 0;
     *     mcf->redis = NULL;
     *     mcf->pass = 0;
     */

    mcf->core_dump = NGX_CONF_UNSET;
    mcf->arena = ngx_tccbs_arena_create(cf->pool);
    mcf->keeper.vault = ngx_tccbs_arena_create(cf->pool);
    mcf->keeper.credentials = &mcf->credentials;

    if (mcf->arena == NULL || mcf->keeper.vault == NULL
        || ngx_http_tccbs_metrics_begin(cf->pool, &mcf->loaded) != NGX_OK
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


char *
ngx_http_tccbs_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    if (mcf->pass && mcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tccbs_pass\" needs \"tccbs_zone name:size;\" "
                      "in the \"http\" block");
        return NGX_CONF_ERROR;
    }

    if (mcf->pass && mcf->audit.journal.file == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tccbs_pass\" needs \"tccbs_audit path;\" "
                      "in the \"http\" block");
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_value(mcf->core_dump, 0);

    if (mcf->status && !mcf->pass) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"tccbs_status\" has nothing to show without a "
                      "location with \"tccbs_pass\"");
        return NGX_CONF_ERROR;
    }

    mcf->audit.zone = mcf->zone;
    mcf->audit.redis = mcf->redis;

    if (ngx_http_tccbs_keeper_ssl(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_tccbs_init_accounts(cf, mcf);
}


/* STS is verified as the upstream is, by what is set in the http block. */

static ngx_int_t
ngx_http_tccbs_keeper_ssl(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_uint_t                     i;
    ngx_http_tccbs_loc_conf_t     *conf, *lcf;
    ngx_http_tccbs_credential_t  **credentials;

    credentials = mcf->credentials.elts;

    for (i = 0; i < mcf->credentials.nelts; i++) {
        if (credentials[i]->source.endpoint.ssl) {
            break;
        }
    }

    if (i == mcf->credentials.nelts) {
        return NGX_OK;
    }

    lcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_tccbs_module);
    conf = ngx_http_tccbs_create_loc_conf(cf);

    if (conf == NULL
        || ngx_http_tccbs_merge_ssl(cf, conf, lcf) != NGX_OK
        || ngx_http_tccbs_set_ssl(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf->keeper.ssl = conf->upstream.ssl;

    return NGX_OK;
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

    if (names == NULL || mcf->keys == NULL || mcf->identities == NULL
        || ngx_tccbs_crypto_init() != NGX_OK)
    {
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

        switch (ngx_http_tccbs_key_complete(account->keys[i], mcf->arena,
                                            &mcf->key_master))
        {
        case NGX_OK:
            break;

        case NGX_DECLINED:
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "the key \"%V\" of tccbs_account \"%V\" is derived, "
                          "add \"tccbs_key_master file;\" to the \"http\" "
                          "block, in %s:%ui", &account->keys[i]->id,
                          &account->name, account->file, account->line);

            /* fall through */

        default:
            return NGX_CONF_ERROR;
        }

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
        ngx_tccbs_out_uint(&out, account->policy.actions);
        ngx_tccbs_out_string(&out, &account->rate);
        ngx_tccbs_out_uint(&out, account->rate_burst);
        ngx_tccbs_out_uint(&out, account->quota);
        ngx_tccbs_out_uint(&out, account->weight);

        for (n = 0; n < account->nkeys; n++) {
            ngx_tccbs_out_string(&out, &account->keys[n]->id);
        }

        lists[0] = &account->identities;
        lists[1] = &account->policy.from;
        lists[2] = &account->policy.to;
        lists[3] = &account->policy.snapshots;

        for (n = 0; n < 4; n++) {
            s = lists[n]->elts;

            ngx_tccbs_out_lit(&out, ";");

            for (k = 0; k < lists[n]->nelts; k++) {
                ngx_tccbs_out_string(&out, &s[k]);
            }
        }
    }

    piece = ngx_tccbs_out_str(&out);

    if (out.failed || ngx_tccbs_sha256(digest, &piece, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_tccbs_hex(mcf->policy, digest, sizeof(mcf->policy) / 2);

    return NGX_CONF_OK;
}


void *
ngx_http_tccbs_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_srv_conf_t));
}


void *
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
    conf->monitor = NGX_CONF_UNSET;
    conf->snapshot_tag = NGX_CONF_UNSET;
    conf->replay_window = NGX_CONF_UNSET;
    conf->hold = NGX_CONF_UNSET;
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


char *
ngx_http_tccbs_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_tccbs_loc_conf_t *prev = parent;
    ngx_http_tccbs_loc_conf_t *conf = child;

    ngx_http_complex_value_t    *name;
    ngx_http_tccbs_main_conf_t  *mcf;

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
    ngx_conf_merge_value(conf->monitor, prev->monitor, 0);
    ngx_conf_merge_value(conf->snapshot_tag, prev->snapshot_tag, 0);
    ngx_conf_merge_sec_value(conf->replay_window, prev->replay_window, 300);
    ngx_conf_merge_sec_value(conf->hold, prev->hold, 900);

    if (ngx_http_tccbs_merge_ssl(cf, conf, prev) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->status) {
        ngx_http_tccbs_status_merge(cf, conf);
    }

    if (!conf->pass) {
        return NGX_CONF_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tccbs_module);

    if (ngx_http_tccbs_protect_log(cf, mcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    mcf->audit.hold = ngx_max(mcf->audit.hold, conf->hold);
    mcf->audit.window = ngx_max(mcf->audit.window, conf->replay_window);
    mcf->audit.flight = ngx_max(mcf->audit.flight,
                                (time_t) (conf->total_timeout / 1000 + 1));

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
