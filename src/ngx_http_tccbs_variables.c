
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_variables.h"


typedef enum {
    NGX_HTTP_TCCBS_VAR_ACCOUNT = 0,
    NGX_HTTP_TCCBS_VAR_ACTION,
    NGX_HTTP_TCCBS_VAR_DECISION,
    NGX_HTTP_TCCBS_VAR_CODE,
    NGX_HTTP_TCCBS_VAR_REQUEST_ID,
    NGX_HTTP_TCCBS_VAR_OUTCOME,
    NGX_HTTP_TCCBS_VAR_DELAY,
    NGX_HTTP_TCCBS_VAR_LIMIT
} ngx_http_tccbs_variable_e;


static ngx_int_t ngx_http_tccbs_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_int_t ngx_http_tccbs_variable_limit(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_str_t *value);


static ngx_http_variable_t  ngx_http_tccbs_vars[] = {

    { ngx_string("tccbs_account"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_ACCOUNT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_action"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_ACTION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_decision"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_DECISION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_code"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_CODE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_request_id"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_REQUEST_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_outcome"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_OUTCOME, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_delay"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_DELAY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("tccbs_upstream_limit"), NULL, ngx_http_tccbs_variable,
      NGX_HTTP_TCCBS_VAR_LIMIT, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_tccbs_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_tccbs_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t              value;
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_tccbs_module);

    ngx_str_null(&value);

    if (ctx == NULL) {
        goto done;
    }

    switch (data) {

    case NGX_HTTP_TCCBS_VAR_ACCOUNT:
        if (ctx->account) {
            value = ctx->account->name;
        }
        break;

    case NGX_HTTP_TCCBS_VAR_ACTION:
        if (ctx->called) {
            value = ngx_tccbs_actions[ctx->call.action];
        }
        break;

    case NGX_HTTP_TCCBS_VAR_DECISION:
        if (ctx->monitored) {
            ngx_str_set(&value, "would-refuse");

        } else if (ctx->original.len) {
            ngx_str_set(&value, "duplicate");

        } else if (ctx->decided) {
            ngx_str_set(&value, "allowed");

        } else {
            ngx_str_set(&value, "refused");
        }
        break;

    case NGX_HTTP_TCCBS_VAR_CODE:
        value = ctx->error.code.len ? ctx->error.code : ctx->reply.code;
        break;

    case NGX_HTTP_TCCBS_VAR_REQUEST_ID:
        value = ctx->id;
        break;

    case NGX_HTTP_TCCBS_VAR_OUTCOME:
        value = ngx_tccbs_outcomes[ctx->outcome];
        break;

    case NGX_HTTP_TCCBS_VAR_DELAY:
        value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%T.%03M",
                                (time_t) ctx->waiting / 1000,
                                ctx->waiting % 1000)
                    - value.data;
        break;

    case NGX_HTTP_TCCBS_VAR_LIMIT:
        if (ngx_http_tccbs_variable_limit(r, ctx, &value) != NGX_OK) {
            return NGX_ERROR;
        }
        break;
    }

done:

    if (value.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = value.data;

    return NGX_OK;
}


/* Calls in a second, as far as Tencent's refusals have shrunk the limit. */

static ngx_int_t
ngx_http_tccbs_variable_limit(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *value)
{
    uint64_t                      cost, rate;
    ngx_http_tccbs_credential_t  *credential;

    credential = ctx->account ? ctx->account->credential : NULL;

    if (credential == NULL || !ctx->called
        || credential->cost[ctx->call.action] == 0)
    {
        return NGX_OK;
    }

    cost = ngx_http_tccbs_queue_cost(credential->budget[ctx->call.action],
                                     credential->cost[ctx->call.action]);
    rate = 100000000 / cost;

    value->data = ngx_pnalloc(r->pool, NGX_INT64_LEN + 4);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_sprintf(value->data, "%uL.%02uL", rate / 100, rate % 100)
                 - value->data;

    return NGX_OK;
}
