
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_request.h"
#include "ngx_http_tccbs_set.h"
#include "ngx_tccbs_conf.h"


#define NGX_HTTP_TCCBS_KEY_FILE  256              /* bytes, at most */


static char *ngx_http_tccbs_key_file(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, ngx_str_t *key);


char *
ngx_http_tccbs_set_signed_host(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


char *
ngx_http_tccbs_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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

    if (lcf->status) {
        return "cannot be used where \"tccbs_status\" is";
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

    if (!ssl && !ngx_tccbs_loopback(&u.host)) {
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


/* OpenSSL would complain later, and not say which line is to be mended. */

char *
ngx_http_tccbs_check_file(ngx_conf_t *cf, void *post, void *data)
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


char *
ngx_http_tccbs_set_audit_key(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf,
    ngx_str_t *value)
{
    ngx_str_t  path;

    path.data = value->data + 4;
    path.len = value->len - 4;

    return ngx_http_tccbs_key_file(cf, mcf->arena, &path, &mcf->audit.key);
}


char *
ngx_http_tccbs_set_key_master(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->key_master.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_tccbs_key_file(cf, mcf->arena, &value[1],
                                   &mcf->key_master);
}


static char *
ngx_http_tccbs_key_file(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, ngx_str_t *key)
{
    if (ngx_tccbs_conf_secret_line(cf, arena, path, NGX_HTTP_TCCBS_KEY_FILE,
                                   key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (key->len < NGX_TCCBS_SHA256_LEN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must hold a key of %d to %d bytes, such as "
                           "\"openssl rand -hex 32\" makes", path,
                           NGX_TCCBS_SHA256_LEN, NGX_HTTP_TCCBS_KEY_FILE);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tccbs_set_audit_syslog(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf, ngx_str_t *value)
{
    char         *rv;
    ngx_str_t     args[2];
    ngx_array_t   array, *save;

    if (mcf->audit.syslog) {
        return "has more than one \"syslog:\"";
    }

    mcf->audit.syslog = ngx_pcalloc(cf->pool, sizeof(ngx_syslog_peer_t));
    if (mcf->audit.syslog == NULL) {
        return NGX_CONF_ERROR;
    }

    /* nginx looks for it in the first argument */

    args[1] = *value;

    ngx_memzero(&array, sizeof(ngx_array_t));
    array.elts = args;
    array.nelts = 2;

    save = cf->args;
    cf->args = &array;

    rv = ngx_syslog_process_conf(cf, mcf->audit.syslog);

    cf->args = save;

    return rv;
}
