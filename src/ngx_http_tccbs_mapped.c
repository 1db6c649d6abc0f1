
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_certificate.h"
#include "ngx_http_tccbs_mapped.h"


struct ngx_http_tccbs_identity_s {
    ngx_http_complex_value_t   value;
    ngx_array_t                headers;       /* ngx_str_t, as in $http_name */
    unsigned                   certificate:1;
};


static ngx_int_t ngx_http_tccbs_mapped_variables(ngx_conf_t *cf,
    ngx_http_tccbs_identity_t *identity, ngx_str_t *value, ngx_uint_t trusted);
static ngx_int_t ngx_http_tccbs_mapped_variable(ngx_conf_t *cf,
    ngx_http_tccbs_identity_t *identity, ngx_str_t *name, ngx_uint_t trusted);
static ngx_uint_t ngx_http_tccbs_mapped_once(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_tccbs_mapped_is(ngx_str_t *header, ngx_str_t *name);


char *
ngx_http_tccbs_set_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_loc_conf_t *lcf = conf;

    ngx_str_t                         *value;
    ngx_uint_t                         trusted;
    ngx_http_tccbs_identity_t         *identity;
    ngx_http_compile_complex_value_t   ccv;

    if (lcf->identity != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    trusted = (cf->args->nelts == 3);

    if (trusted && ngx_strcmp(value[2].data, "trusted") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", \"trusted\" is expected",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (!trusted && ngx_strcmp(value[1].data, "signature") == 0) {
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

    identity = ngx_pcalloc(cf->pool, sizeof(ngx_http_tccbs_identity_t));

    if (identity == NULL
        || ngx_array_init(&identity->headers, cf->pool, 1, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_http_tccbs_mapped_variables(cf, identity, &value[1], trusted)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &identity->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    lcf->identity = identity;

    return NGX_CONF_OK;
}


/* The names of "$name" and "${name}" in a value. */

static ngx_int_t
ngx_http_tccbs_mapped_variables(ngx_conf_t *cf,
    ngx_http_tccbs_identity_t *identity, ngx_str_t *value, ngx_uint_t trusted)
{
    u_char     *p, *last;
    ngx_str_t   name;

    p = value->data;
    last = value->data + value->len;

    while (p < last) {

        if (*p++ != '$') {
            continue;
        }

        if (p < last && *p == '{') {
            p++;
        }

        for (name.data = p; p < last; p++) {
            if ((*p < '0' || *p > '9') && (*p < 'A' || *p > 'Z')
                && (*p < 'a' || *p > 'z') && *p != '_')
            {
                break;
            }
        }

        name.len = p - name.data;

        if (ngx_http_tccbs_mapped_variable(cf, identity, &name, trusted)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * What nginx has verified is known to be so for certificates alone.  A header
 * or a cookie is text of the client, and what another variable is made of
 * cannot be seen here.
 */

static ngx_int_t
ngx_http_tccbs_mapped_variable(ngx_conf_t *cf,
    ngx_http_tccbs_identity_t *identity, ngx_str_t *name, ngx_uint_t trusted)
{
    ngx_str_t  *header;

    if (ngx_strncasecmp(name->data, (u_char *) "ssl_client_", 11) == 0) {
        identity->certificate = 1;
        return NGX_OK;
    }

    if (!trusted) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a client might choose the value of \"$%V\", use "
                           "\"$ssl_client_s_dn\", or add \"trusted\" when "
                           "nobody but you can set it", name);
        return NGX_ERROR;
    }

    if (ngx_strncasecmp(name->data, (u_char *) "http_", 5) == 0) {

        header = ngx_array_push(&identity->headers);
        if (header == NULL) {
            return NGX_ERROR;
        }

        header->data = name->data + 5;
        header->len = name->len - 5;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_mapped(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_account_t **account)
{
    ngx_str_t                  *header, value;
    ngx_uint_t                  i;
    ngx_http_tccbs_identity_t  *identity;

    *account = NULL;
    identity = ctx->lcf->identity;

    if (identity->certificate && !ngx_http_tccbs_certificate_verified(r)) {
        return NGX_OK;
    }

    header = identity->headers.elts;

    for (i = 0; i < identity->headers.nelts; i++) {
        if (!ngx_http_tccbs_mapped_once(r, &header[i])) {
            return NGX_OK;
        }
    }

    if (ngx_http_complex_value(r, &identity->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len) {
        *account = ngx_tccbs_index_find(ctx->mcf->identities, &value);
    }

    return NGX_OK;
}


/*
 * A second header might be the one of a client that got through, or the one
 * that nginx looks at, depending on its version.
 */

static ngx_uint_t
ngx_http_tccbs_mapped_once(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            n += ngx_http_tccbs_mapped_is(&header[i].key, name);
        }
    }

    return n == 1;
}


static ngx_uint_t
ngx_http_tccbs_mapped_is(ngx_str_t *header, ngx_str_t *name)
{
    u_char  c;
    size_t  i;

    if (header->len != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        c = (header->data[i] == '-') ? '_' : ngx_tolower(header->data[i]);

        if (c != ngx_tolower(name->data[i])) {
            return 0;
        }
    }

    return 1;
}
