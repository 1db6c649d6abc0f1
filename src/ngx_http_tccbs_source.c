
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_source.h"
#include "ngx_tccbs_text.h"


#define NGX_HTTP_TCCBS_SOURCE_SIZE  16384


static char *ngx_http_tccbs_source_file(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);
static char *ngx_http_tccbs_source_env(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);


static struct {
    const char  *name;
    char        *value;                       /* secret, of the environment */
} ngx_http_tccbs_environment[] = {
    { "TENCENTCLOUD_SECRET_ID", NULL },
    { "TENCENTCLOUD_SECRET_KEY", NULL },
    { "TENCENTCLOUD_TOKEN", NULL },
    { "TENCENTCLOUD_SESSION_TOKEN", NULL }
};


char *
ngx_http_tccbs_source_set(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (source->kind != NGX_HTTP_TCCBS_SOURCE_NONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_credential \"%V\" has more than one source",
                           &source->credential);
        return NGX_CONF_ERROR;
    }

    source->triple = (void *) ngx_tccbs_arena_alloc(source->vault,
                                                  sizeof(ngx_tccbs_triple_t));
    if (source->triple == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(source->triple, sizeof(ngx_tccbs_triple_t));

    if (ngx_tccbs_is(&value[0], "file")) {
        return ngx_http_tccbs_source_file(cf, source);
    }

    if (ngx_tccbs_is(&value[0], "env")) {
        return ngx_http_tccbs_source_env(cf, source);
    }

    return ngx_http_tccbs_temporary_set(cf, source);
}


static char *
ngx_http_tccbs_source_file(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_core_conf_t           *ccf;
    ngx_tccbs_secret_error_t   error;

    static ngx_str_t           formats[] = {
        ngx_string("auto"),
        ngx_string("json"),
        ngx_string("tccli"),
        ngx_string("ini")
    };

    value = cf->args->elts;

    if (cf->args->nelts == 3) {

        for (i = NGX_TCCBS_FORMAT_INI; i; i--) {
            if (value[2].len == formats[i].len
                && ngx_strncmp(value[2].data, formats[i].data, value[2].len)
                   == 0)
            {
                break;
            }
        }

        if (i == NGX_TCCBS_FORMAT_AUTO) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid format \"%V\", \"json\", \"tccli\" or "
                               "\"ini\" is expected", &value[2]);
            return NGX_CONF_ERROR;
        }

        source->format = i;
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    source->kind = NGX_HTTP_TCCBS_SOURCE_FILE;
    source->path = value[1];
    source->user = ccf->user;

    if (ngx_http_tccbs_source_read(source, cf->log, &error) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, error.err, "%s", error.why);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_tccbs_source_read(ngx_http_tccbs_source_t *source, ngx_log_t *log,
    ngx_tccbs_secret_error_t *error)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_str_t    text, why;
    ngx_pool_t  *pool;
    u_char       buf[NGX_HTTP_TCCBS_SOURCE_SIZE];

    rc = ngx_tccbs_secret_read(&source->path, source->user, buf, sizeof(buf),
                               &text, &source->state, error);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_str_set(&why, "there is no memory");

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, log);

    rc = pool ? ngx_tccbs_source_file(pool, &text, source->format,
                                      source->triple, &why)
              : NGX_ERROR;

    ngx_tccbs_wipe(buf, sizeof(buf));

    if (rc != NGX_OK) {
        p = ngx_snprintf(error->why, sizeof(error->why) - 1,
                         "credential file \"%V\" cannot be used: %V",
                         &source->path, &why);
        *p = '\0';
        error->err = 0;
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_ERROR;
}


static char *
ngx_http_tccbs_source_env(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    ngx_str_t   values[4], why;
    ngx_uint_t  i;

    for (i = 0; i < 4; i++) {

        values[i].data = (u_char *) getenv(ngx_http_tccbs_environment[i].name);
        values[i].len = values[i].data ? ngx_strlen(values[i].data) : 0;

        if (i < 2 && values[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"env\" of tccbs_credential \"%V\" needs the "
                               "environment variable \"%s\"",
                               &source->credential,
                               ngx_http_tccbs_environment[i].name);
            return NGX_CONF_ERROR;
        }

        ngx_http_tccbs_environment[i].value = (char *) values[i].data;
    }

    if (values[2].len == 0) {
        values[2] = values[3];
    }

    if (ngx_tccbs_triple_set(source->triple, &values[0], &values[1],
                             &values[2], 0, &why)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the environment of tccbs_credential \"%V\" cannot "
                           "be used: %V", &source->credential, &why);
        return NGX_CONF_ERROR;
    }

    source->kind = NGX_HTTP_TCCBS_SOURCE_ENV;

    return NGX_CONF_OK;
}


void
ngx_http_tccbs_source_forget(void)
{
    char        *value;
    ngx_uint_t   i;

    for (i = 1; i < 4; i++) {
        value = ngx_http_tccbs_environment[i].value;

        if (value) {
            ngx_tccbs_wipe(value, ngx_strlen(value));
        }
    }
}
