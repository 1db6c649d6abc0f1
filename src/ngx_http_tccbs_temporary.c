
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_source.h"
#include "ngx_tccbs_text.h"


#define NGX_HTTP_TCCBS_METADATA     "metadata.tencentyun.com"
#define NGX_HTTP_TCCBS_DURATION     7200
#define NGX_HTTP_TCCBS_DURATION_MIN 900
#define NGX_HTTP_TCCBS_DURATION_MAX 43200


static char *ngx_http_tccbs_temporary_role(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);
static char *ngx_http_tccbs_temporary_assume(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);
static char *ngx_http_tccbs_temporary_oidc(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source);
static char *ngx_http_tccbs_temporary_parameters(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source, ngx_uint_t from, const char *allowed,
    ngx_str_t *url);
static char *ngx_http_tccbs_temporary_arn(ngx_conf_t *cf, ngx_str_t *arn);
static ngx_uint_t ngx_http_tccbs_temporary_name(ngx_str_t *s, size_t max);


static ngx_str_t  ngx_http_tccbs_sts = ngx_string(
    "https://sts.tencentcloudapi.com");
static ngx_str_t  ngx_http_tccbs_metadata = ngx_string(
    "http://" NGX_HTTP_TCCBS_METADATA
    "/latest/meta-data/cam/security-credentials/");


char *
ngx_http_tccbs_temporary_set(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    /* what is the same keeps its grant over a reload */

    for (i = 0; i < cf->args->nelts; i++) {
        source->hash = source->hash * 31 + ngx_tccbs_hash(&value[i]);
    }

    source->duration = NGX_HTTP_TCCBS_DURATION;
    ngx_str_set(&source->session, "tccbs");
    ngx_str_set(&source->region, "ap-guangzhou");

    if (ngx_tccbs_is(&value[0], "role")) {
        return ngx_http_tccbs_temporary_role(cf, source);
    }

    if (ngx_tccbs_is(&value[0], "assume_role")) {
        return ngx_http_tccbs_temporary_assume(cf, source);
    }

    return ngx_http_tccbs_temporary_oidc(cf, source);
}


/* role NAME|auto [url=...] */

static char *
ngx_http_tccbs_temporary_role(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    char       *rv;
    u_char     *p;
    ngx_str_t  *value, url, uri, why;

    value = cf->args->elts;
    url = ngx_http_tccbs_metadata;

    rv = ngx_http_tccbs_temporary_parameters(cf, source, 2, "", &url);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (!ngx_tccbs_is(&value[1], "auto")
        && ngx_tccbs_source_role(&value[1], &source->role, &why) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid role \"%V\", the name of a role, not its "
                           "ARN, or \"auto\" is expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    source->kind = NGX_HTTP_TCCBS_SOURCE_ROLE;

    rv = ngx_http_tccbs_endpoint_set(cf, &source->endpoint, &url,
                                     NGX_HTTP_TCCBS_METADATA);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    /* names of roles are appended */

    uri = source->endpoint.uri;

    if (uri.data[uri.len - 1] != '/') {

        p = ngx_pnalloc(cf->pool, uri.len + 1);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        source->endpoint.uri.data = p;
        source->endpoint.uri.len = uri.len + 1;

        *ngx_cpymem(p, uri.data, uri.len) = '/';
    }

    return NGX_CONF_OK;
}


/* assume_role ARN via OTHER [session=] [duration=] [external_id=] ... */

static char *
ngx_http_tccbs_temporary_assume(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source)
{
    char       *rv;
    ngx_str_t  *value, url;

    value = cf->args->elts;
    url = ngx_http_tccbs_sts;

    if (!ngx_tccbs_is(&value[2], "via")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"assume_role ARN via "
                           "NAME\" with the name of another tccbs_credential "
                           "is expected", &value[2]);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_tccbs_temporary_arn(cf, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    source->kind = NGX_HTTP_TCCBS_SOURCE_ASSUME_ROLE;
    source->role = value[1];
    source->via_name = value[3];

    rv = ngx_http_tccbs_temporary_parameters(cf, source, 4,
                                             "session= duration= external_id= "
                                             "region= ", &url);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_tccbs_endpoint_set(cf, &source->endpoint, &url, NULL);
}


/* oidc [session=] [duration=] [url=], and the variables of TKE */

static char *
ngx_http_tccbs_temporary_oidc(ngx_conf_t *cf, ngx_http_tccbs_source_t *source)
{
    char        *rv, *value;
    size_t       len;
    ngx_str_t    url, *part;
    ngx_uint_t   i;

    static struct {
        const char  *name;
        size_t       offset;
    } variables[] = {
        { "TKE_REGION", offsetof(ngx_http_tccbs_source_t, region) },
        { "TKE_PROVIDER_ID", offsetof(ngx_http_tccbs_source_t, provider) },
        { "TKE_WEB_IDENTITY_TOKEN_FILE",
          offsetof(ngx_http_tccbs_source_t, path) },
        { "TKE_ROLE_ARN", offsetof(ngx_http_tccbs_source_t, role) }
    };

    url = ngx_http_tccbs_sts;

    rv = ngx_http_tccbs_temporary_parameters(cf, source, 1,
                                             "session= duration= ", &url);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 0; i < 4; i++) {

        value = getenv(variables[i].name);

        if (value == NULL || *value == '\0') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"oidc\" of tccbs_credential \"%V\" needs the "
                               "environment variable \"%s\"",
                               &source->credential, variables[i].name);
            return NGX_CONF_ERROR;
        }

        /* with its end, for the name of a file */

        len = ngx_strlen(value);
        part = (ngx_str_t *) ((u_char *) source + variables[i].offset);

        part->len = len;
        part->data = ngx_pnalloc(cf->pool, len + 1);

        if (part->data == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memcpy(part->data, value, len + 1);

        source->hash = source->hash * 31 + ngx_tccbs_hash(part);
    }

    if (!ngx_http_tccbs_temporary_name(&source->region, 64)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the environment variable \"TKE_REGION\" is no "
                           "name of a region");
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_tccbs_temporary_arn(cf, &source->role);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    source->kind = NGX_HTTP_TCCBS_SOURCE_OIDC;

    return ngx_http_tccbs_endpoint_set(cf, &source->endpoint, &url, NULL);
}


static char *
ngx_http_tccbs_temporary_parameters(ngx_conf_t *cf,
    ngx_http_tccbs_source_t *source, ngx_uint_t from, const char *allowed,
    ngx_str_t *url)
{
    u_char      *eq;
    ngx_str_t   *value, name, rest;
    ngx_int_t    n;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = from; i < cf->args->nelts; i++) {

        eq = ngx_strlchr(value[i].data, value[i].data + value[i].len, '=');

        if (eq == NULL) {
            goto invalid;
        }

        name.data = value[i].data;
        name.len = eq + 1 - value[i].data;

        rest.data = eq + 1;
        rest.len = value[i].len - name.len;

        if (ngx_tccbs_is(&name, "url=")) {
            *url = rest;
            continue;
        }

        if (ngx_strlcasestrn((u_char *) allowed,
                             (u_char *) allowed + ngx_strlen(allowed),
                             name.data, name.len - 1)
            == NULL)
        {
            goto invalid;
        }

        if (ngx_tccbs_is(&name, "session=")) {

            if (rest.len < 2 || !ngx_http_tccbs_temporary_name(&rest, 128)) {
                goto invalid;
            }

            source->session = rest;

        } else if (ngx_tccbs_is(&name, "external_id=")) {

            if (rest.len < 2 || !ngx_http_tccbs_temporary_name(&rest, 128)) {
                goto invalid;
            }

            source->external_id = rest;

        } else if (ngx_tccbs_is(&name, "region=")) {

            if (!ngx_http_tccbs_temporary_name(&rest, 64)) {
                goto invalid;
            }

            source->region = rest;

        } else if (ngx_tccbs_is(&name, "duration=")) {

            n = ngx_parse_time(&rest, 1);

            if (n < NGX_HTTP_TCCBS_DURATION_MIN
                || n > NGX_HTTP_TCCBS_DURATION_MAX)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid parameter \"%V\", a duration of "
                                   "%ds to %ds is expected", &value[i],
                                   NGX_HTTP_TCCBS_DURATION_MIN,
                                   NGX_HTTP_TCCBS_DURATION_MAX);
                return NGX_CONF_ERROR;
            }

            source->duration = n;

        } else {
            goto invalid;
        }
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"%V\", %s\"url=\" with a "
                       "valid value is expected", &value[i], &value[0],
                       allowed);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_tccbs_temporary_arn(ngx_conf_t *cf, ngx_str_t *arn)
{
    size_t  i;

    i = 0;

    if (arn->len > 10 && arn->len <= 512
        && ngx_strncmp(arn->data, "qcs::cam::", 10) == 0)
    {
        while (i < arn->len && arn->data[i] > ' ' && arn->data[i] < 0x7f) {
            i++;
        }
    }

    if (arn->len == 0 || i < arn->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid role \"%V\", "
                           "\"qcs::cam::uin/<uin>:roleName/<name>\" is "
                           "expected", arn);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Letters, digits and "_+=,.@:/-", as STS takes them. */

static ngx_uint_t
ngx_http_tccbs_temporary_name(ngx_str_t *s, size_t max)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < s->len; i++) {

        c = s->data[i];

        if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
            && (c < '0' || c > '9')
            && ngx_strchr("_+=,.@:/-", c) == NULL)
        {
            return 0;
        }
    }

    return i > 0 && i <= max;
}
