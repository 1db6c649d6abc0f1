
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_limit.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_DAY  86400


ngx_int_t
ngx_http_tccbs_limit(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    time_t                     now;
    uint64_t                   wait;
    ngx_atomic_t              *cell;
    ngx_http_tccbs_usage_t    *usage;
    ngx_http_tccbs_account_t  *account;

    account = ctx->account;
    usage = account->usage;
    cell = &usage->rate[ctx->call.action];
    wait = 0;

    if (account->rate_cost
        && ngx_tccbs_gcra_take(cell, (uint64_t) ngx_current_msec * 1000,
                               account->rate_cost,
                               account->rate_cost * account->rate_burst, &wait)
           != NGX_OK)
    {
        ctx->retry_after = wait / 1000000 + 1;

        return ngx_http_tccbs_refuse(ctx, "RequestLimitExceeded", "rate",
                                     "The account \"%V\" is limited to %V with "
                                     "a burst of %ui for %V; come back in %ui "
                                     "seconds.", &account->name,
                                     &account->rate, account->rate_burst,
                                     &ngx_tccbs_actions[ctx->call.action],
                                     ctx->retry_after);
    }

    if (ctx->call.action == NGX_TCCBS_COPY && account->quota) {

        now = ngx_time();

        if (ngx_tccbs_quota_take(&usage->quota, now / NGX_HTTP_TCCBS_DAY,
                                 ctx->call.nto, account->quota)
            != NGX_OK)
        {
            if (account->rate_cost) {
                ngx_tccbs_gcra_give(cell, account->rate_cost);
            }

            ctx->retry_after = NGX_HTTP_TCCBS_DAY - now % NGX_HTTP_TCCBS_DAY;

            return ngx_http_tccbs_refuse(ctx, "LimitExceeded", "quota",
                                         "The account \"%V\" may make %ui "
                                         "copies to a region in a UTC day, %ui "
                                         "were made and %ui are asked for; "
                                         "come back in %ui seconds.",
                                         &account->name, account->quota,
                                         (ngx_uint_t) ngx_tccbs_quota_used(
                                             &usage->quota,
                                             now / NGX_HTTP_TCCBS_DAY),
                                         ctx->call.nto, ctx->retry_after);
        }

        ctx->quota_day = now / NGX_HTTP_TCCBS_DAY;
    }

    if (wait == 0 || account->rate_nodelay) {
        return NGX_OK;
    }

    ctx->delay = wait / 1000 + 1;

    return NGX_AGAIN;
}


void
ngx_http_tccbs_limit_refund(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->quota_day == 0) {
        return;
    }

    ngx_tccbs_quota_give(&ctx->account->usage->quota, ctx->quota_day,
                         ctx->call.nto);

    ctx->quota_day = 0;
}


void
ngx_http_tccbs_limit_forget(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_limit_refund(ctx);

    if (ctx->account->rate_cost) {
        ngx_tccbs_gcra_give(&ctx->account->usage->rate[ctx->call.action],
                            ctx->account->rate_cost);
    }
}
