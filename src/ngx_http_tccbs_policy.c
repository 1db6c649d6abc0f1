
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_policy.h"
#include "ngx_http_tccbs_refuse.h"


#define NGX_HTTP_TCCBS_POLICY_LIST  400


static ngx_int_t ngx_http_tccbs_policy_action(ngx_http_tccbs_ctx_t *ctx);
static ngx_uint_t ngx_http_tccbs_policy_region(ngx_array_t *allowed,
    ngx_str_t *region);
static ngx_uint_t ngx_http_tccbs_policy_match(ngx_str_t *pattern,
    ngx_str_t *id);
static ngx_int_t ngx_http_tccbs_policy_deny(ngx_http_tccbs_ctx_t *ctx,
    const char *rule, const char *what, ngx_str_t *value,
    ngx_array_t *allowed);


ngx_int_t
ngx_http_tccbs_permit(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t                 *pattern;
    ngx_uint_t                 i;
    ngx_tccbs_call_t          *call;
    ngx_http_tccbs_account_t  *account;

    call = &ctx->call;
    account = ctx->account;

    if (!(account->actions & (1 << call->action))) {
        return ngx_http_tccbs_policy_action(ctx);
    }

    if (call->action == NGX_TCCBS_DESCRIBE) {

        if (ngx_http_tccbs_policy_region(&account->from, &call->from)
            || ngx_http_tccbs_policy_region(&account->to, &call->from))
        {
            return NGX_OK;
        }

        return ngx_http_tccbs_policy_deny(ctx, "from", "region", &call->from,
                                          &account->from);
    }

    if (!ngx_http_tccbs_policy_region(&account->from, &call->from)) {
        return ngx_http_tccbs_policy_deny(ctx, "from", "source region",
                                          &call->from, &account->from);
    }

    for (i = 0; i < call->nto; i++) {
        if (!ngx_http_tccbs_policy_region(&account->to, &call->to[i])) {
            return ngx_http_tccbs_policy_deny(ctx, "to", "destination region",
                                              &call->to[i], &account->to);
        }
    }

    pattern = account->snapshots.elts;

    for (i = 0; i < account->snapshots.nelts; i++) {
        if (ngx_http_tccbs_policy_match(&pattern[i], &call->snapshot)) {
            return NGX_OK;
        }
    }

    if (account->snapshots.nelts == 0) {
        return NGX_OK;
    }

    return ngx_http_tccbs_policy_deny(ctx, "snapshots", "snapshot",
                                      &call->snapshot, &account->snapshots);
}


static ngx_int_t
ngx_http_tccbs_policy_action(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t    *name;
    ngx_uint_t    i;
    ngx_array_t   allowed;

    if (ngx_array_init(&allowed, ctx->request->pool, NGX_TCCBS_NACTIONS,
                       sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_TCCBS_NACTIONS; i++) {
        if (ctx->account->actions & (1 << i)) {
            name = ngx_array_push(&allowed);
            *name = ngx_tccbs_actions[i];
        }
    }

    return ngx_http_tccbs_policy_deny(ctx, "actions", "action",
                                      &ngx_tccbs_actions[ctx->call.action],
                                      &allowed);
}


static ngx_uint_t
ngx_http_tccbs_policy_region(ngx_array_t *allowed, ngx_str_t *region)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    s = allowed->elts;

    for (i = 0; i < allowed->nelts; i++) {

        if (s[i].len == 1 && s[i].data[0] == '*') {
            return 1;
        }

        if (s[i].len == region->len
            && ngx_strncmp(s[i].data, region->data, region->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* "*" stands for any characters, also none; the last one seen may grow. */

static ngx_uint_t
ngx_http_tccbs_policy_match(ngx_str_t *pattern, ngx_str_t *id)
{
    u_char  *p, *s, *plast, *slast, *star, *mark;

    p = pattern->data;
    plast = p + pattern->len;
    s = id->data;
    slast = s + id->len;
    star = NULL;
    mark = NULL;

    while (s < slast) {

        if (p < plast && *p == '*') {
            star = ++p;
            mark = s;
            continue;
        }

        if (p < plast && *p == *s) {
            p++;
            s++;
            continue;
        }

        if (star == NULL) {
            return 0;
        }

        p = star;
        s = ++mark;
    }

    while (p < plast && *p == '*') {
        p++;
    }

    return p == plast;
}


static ngx_int_t
ngx_http_tccbs_policy_deny(ngx_http_tccbs_ctx_t *ctx, const char *rule,
    const char *what, ngx_str_t *value, ngx_array_t *allowed)
{
    u_char      *p, *last;
    ngx_str_t   *s;
    ngx_uint_t   i;
    u_char       list[NGX_HTTP_TCCBS_POLICY_LIST];

    p = list;
    last = list + sizeof(list);
    s = allowed->elts;

    if (allowed->nelts == 0) {
        p = ngx_cpymem(p, "nothing", 7);
    }

    for (i = 0; i < allowed->nelts; i++) {

        if ((size_t) (last - p) < s[i].len + 8) {
            p = ngx_cpymem(p, ", ...", 5);
            break;
        }

        p = ngx_slprintf(p, last, "%s%V", i ? ", " : "", &s[i]);
    }

    return ngx_http_tccbs_refuse(ctx, "UnauthorizedOperation", rule,
                                 "The %s \"%V\" is not allowed for account "
                                 "\"%V\" by its rule \"%s\", which allows: "
                                 "%*s.", what, value, &ctx->account->name,
                                 rule, (size_t) (p - list), list);
}
