
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_fleet.h"
#include "ngx_http_tccbs_limit.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_DAY  86400


/* Who has counted the call: without Redis each gateway has its part. */

typedef enum {
    NGX_HTTP_TCCBS_LIMITED_NOT = 0,
    NGX_HTTP_TCCBS_LIMITED_HERE,
    NGX_HTTP_TCCBS_LIMITED_PART,
    NGX_HTTP_TCCBS_LIMITED_FLEET
} ngx_http_tccbs_limited_e;


static void ngx_http_tccbs_limit_take(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits);
static uint64_t ngx_http_tccbs_limit_cost(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_limit_refuse(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits);


ngx_int_t
ngx_http_tccbs_limit(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_tccbs_limits_t    limits;
    ngx_http_tccbs_account_t  *account;

    account = ctx->account;

    if (account->rate_cost == 0
        && (account->quota == 0 || ctx->call.action != NGX_TCCBS_COPY))
    {
        return NGX_OK;
    }

    ngx_memzero(&limits, sizeof(ngx_http_tccbs_limits_t));

    if (ctx->mcf->redis == NULL) {
        ctx->limited = NGX_HTTP_TCCBS_LIMITED_HERE;
        ngx_http_tccbs_limit_take(ctx, &limits);

    } else {
        rc = ngx_http_tccbs_fleet_limit(ctx, &limits);

        if (rc == NGX_AGAIN || rc == NGX_ERROR) {
            return rc;
        }

        if (rc == NGX_OK) {
            ctx->limited = NGX_HTTP_TCCBS_LIMITED_FLEET;

        } else if (ctx->mcf->redis->rates == NGX_HTTP_TCCBS_REDIS_LOCAL) {
            ctx->limited = NGX_HTTP_TCCBS_LIMITED_PART;
            ngx_http_tccbs_limit_take(ctx, &limits);

        } else {
            return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "redis",
                                         "The gateway cannot tell whether "
                                         "the limits of the account are "
                                         "kept; nothing was sent to Tencent "
                                         "Cloud.");
        }
    }

    if (limits.over) {
        return ngx_http_tccbs_limit_refuse(ctx, &limits);
    }

    if (ctx->call.action == NGX_TCCBS_COPY && account->quota) {
        ctx->quota_day = limits.day;
    }

    if (limits.wait == 0 || account->rate_nodelay) {
        return NGX_OK;
    }

    ctx->delay = limits.wait / 1000 + 1;

    return NGX_AGAIN;
}


static void
ngx_http_tccbs_limit_take(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits)
{
    time_t                     now;
    uint32_t                   left;
    uint64_t                   cost;
    ngx_int_t                  rc;
    ngx_atomic_t              *cell;
    ngx_http_tccbs_usage_t    *usage;
    ngx_http_tccbs_account_t  *account;

    account = ctx->account;
    usage = account->usage;
    cell = &usage->rate[ctx->call.action];
    cost = ngx_http_tccbs_limit_cost(ctx);

    now = ngx_time();

    limits->day = now / NGX_HTTP_TCCBS_DAY;
    limits->left = NGX_HTTP_TCCBS_DAY - now % NGX_HTTP_TCCBS_DAY;

    if (cost
        && ngx_tccbs_gcra_take(cell, (uint64_t) ngx_current_msec * 1000, cost,
                               account->rate_cost * account->rate_burst,
                               &limits->wait)
           != NGX_OK)
    {
        limits->over = NGX_HTTP_TCCBS_LIMIT_RATE;
        return;
    }

    if (ctx->call.action != NGX_TCCBS_COPY || account->quota == 0) {
        return;
    }

    limits->used = ngx_tccbs_quota_used(&usage->quota, limits->day);

    if (ctx->limited == NGX_HTTP_TCCBS_LIMITED_HERE) {
        rc = ngx_tccbs_quota_take(&usage->quota, limits->day, ctx->call.nto,
                                  account->quota);

    } else {

        /* a part of what was left when Redis was asked last */

        left = account->quota - ngx_min(limits->used, account->quota);

        rc = ngx_tccbs_quota_take(&usage->owed, limits->day, ctx->call.nto,
                                  left / ctx->mcf->redis->nodes);

        limits->used += ngx_tccbs_quota_used(&usage->owed, limits->day);
    }

    if (rc != NGX_OK) {

        if (cost) {
            ngx_tccbs_gcra_give(cell, cost);
        }

        limits->over = NGX_HTTP_TCCBS_LIMIT_QUOTA;
    }
}


/* The same burst in time is a part of it in calls. */

static uint64_t
ngx_http_tccbs_limit_cost(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->limited == NGX_HTTP_TCCBS_LIMITED_PART) {
        return ctx->account->rate_cost * ctx->mcf->redis->nodes;
    }

    return ctx->account->rate_cost;
}


static ngx_int_t
ngx_http_tccbs_limit_refuse(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits)
{
    const char                *part;
    ngx_http_tccbs_account_t  *account;

    account = ctx->account;

    part = (ctx->limited == NGX_HTTP_TCCBS_LIMITED_PART)
           ? " This gateway has lost the others and has its part of that only."
           : "";

    ctx->limited = NGX_HTTP_TCCBS_LIMITED_NOT;

    if (limits->over == NGX_HTTP_TCCBS_LIMIT_RATE) {

        ctx->retry_after = limits->wait / 1000000 + 1;

        return ngx_http_tccbs_refuse(ctx, "RequestLimitExceeded", "rate",
                                     "The account \"%V\" is limited to %V with "
                                     "a burst of %ui for %V; come back in %ui "
                                     "seconds.%s", &account->name,
                                     &account->rate, account->rate_burst,
                                     &ngx_tccbs_actions[ctx->call.action],
                                     ctx->retry_after, part);
    }

    ctx->retry_after = limits->left;

    return ngx_http_tccbs_refuse(ctx, "LimitExceeded", "quota",
                                 "The account \"%V\" may make %ui copies to a "
                                 "region in a UTC day, %ui were made and %ui "
                                 "are asked for; come back in %ui seconds.%s",
                                 &account->name, account->quota,
                                 (ngx_uint_t) limits->used, ctx->call.nto,
                                 ctx->retry_after, part);
}


void
ngx_http_tccbs_limit_refund(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_usage_t  *usage;

    if (ctx->quota_day == 0) {
        return;
    }

    if (ctx->limited == NGX_HTTP_TCCBS_LIMITED_FLEET) {
        ngx_http_tccbs_fleet_give(ctx, 0, ctx->quota_day);

    } else {
        usage = ctx->account->usage;

        ngx_tccbs_quota_give((ctx->limited == NGX_HTTP_TCCBS_LIMITED_PART)
                                 ? &usage->owed : &usage->quota,
                             ctx->quota_day, ctx->call.nto);
    }

    ctx->quota_day = 0;
}


void
ngx_http_tccbs_limit_forget(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->limited == NGX_HTTP_TCCBS_LIMITED_FLEET) {
        ngx_http_tccbs_fleet_give(ctx, 1, ctx->quota_day);
        ctx->quota_day = 0;
        return;
    }

    ngx_http_tccbs_limit_refund(ctx);

    if (ctx->limited != NGX_HTTP_TCCBS_LIMITED_NOT && ctx->account->rate_cost) {
        ngx_tccbs_gcra_give(&ctx->account->usage->rate[ctx->call.action],
                            ngx_http_tccbs_limit_cost(ctx));
    }
}
