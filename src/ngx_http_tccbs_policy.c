
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


static u_char *ngx_http_tccbs_policy_list(u_char *p, u_char *last,
    const ngx_array_t *allowed, ngx_uint_t actions);


ngx_int_t
ngx_http_tccbs_permit(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    u_char               *p;
    ngx_tccbs_verdict_t   verdict;
    u_char                list[NGX_HTTP_TCCBS_POLICY_LIST];

    if (ngx_tccbs_policy(&ctx->account->policy, &ctx->call, &verdict)
        == NGX_OK)
    {
        return NGX_OK;
    }

    p = ngx_http_tccbs_policy_list(list, list + sizeof(list), verdict.allowed,
                                   ctx->account->policy.actions);

    return ngx_http_tccbs_refuse(ctx, "UnauthorizedOperation", verdict.rule,
                                 "The %s \"%V\" is not allowed for account "
                                 "\"%V\" by its rule \"%s\", which allows: "
                                 "%*s.", verdict.what, verdict.value,
                                 &ctx->account->name, verdict.rule,
                                 (size_t) (p - list), list);
}


static u_char *
ngx_http_tccbs_policy_list(u_char *p, u_char *last, const ngx_array_t *allowed,
    ngx_uint_t actions)
{
    u_char      *start;
    ngx_str_t   *s;
    ngx_uint_t   i, n;

    start = p;

    s = allowed ? allowed->elts : ngx_tccbs_actions;
    n = allowed ? allowed->nelts : NGX_TCCBS_NACTIONS;

    for (i = 0; i < n; i++) {

        if (allowed == NULL && !(actions & (1 << i))) {
            continue;
        }

        if ((size_t) (last - p) < s[i].len + 8) {
            return ngx_cpymem(p, ", ...", 5);
        }

        p = ngx_slprintf(p, last, "%s%V", (p == start) ? "" : ", ", &s[i]);
    }

    return (p == start) ? ngx_cpymem(p, "nothing", 7) : p;
}
