
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_count.h"
#include "ngx_http_tccbs_lease.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_http_tccbs_turn.h"


static ngx_int_t ngx_http_tccbs_turn_refuse(ngx_http_tccbs_ctx_t *ctx,
    const char *why);


ngx_int_t
ngx_http_tccbs_turn(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_msec_t                    delay;
    ngx_tccbs_action_e            action;
    ngx_http_tccbs_account_t     *account;
    ngx_http_tccbs_credential_t  *credential;

    account = ctx->account;
    credential = account->credential;
    action = ctx->call.action;

    if (credential->cost[action] == 0) {
        return NGX_OK;
    }

    if (ctx->waiter == NULL) {
        ctx->queued = ngx_current_msec;
    }

    ctx->waiting = ngx_current_msec - ctx->queued;

    if (ctx->waiting > credential->queue_time) {
        return ngx_http_tccbs_turn_refuse(ctx, "waited too long");
    }

    rc = ngx_http_tccbs_queue_ask(ctx->mcf->zone, credential->budget[action],
                                  &ctx->waiter,
                                  &account->usage->flows[action],
                                  account->weight, credential->cost[action],
                                  credential->queue_max, &delay);

    if (rc == NGX_OK) {
        ngx_http_tccbs_count_turn(ctx);
        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_tccbs_lease_wanted(credential, action);

        ctx->delay = delay;
        ctx->poll = 1;
        return NGX_AGAIN;
    }

    if (rc == NGX_BUSY) {
        return ngx_http_tccbs_turn_refuse(ctx, "found the queue full");
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "queue",
                                     "The gateway has no room for another call "
                                     "in its queue; nothing was sent to "
                                     "Tencent Cloud.");
    }

    return rc;
}


ngx_int_t
ngx_http_tccbs_turn_depart(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_tccbs_action_e            action;
    ngx_http_tccbs_credential_t  *credential;

    action = ctx->call.action;
    credential = ctx->account->credential;

    if (credential->cost[action] == 0) {
        return NGX_OK;
    }

    ctx->poll = 1;

    if (ngx_http_tccbs_queue_depart(credential->budget[action],
                                    credential->cost[action], &ctx->delay)
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    ctx->poll = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_turn_refuse(ngx_http_tccbs_ctx_t *ctx, const char *why)
{
    ngx_http_tccbs_turn_leave(ctx);

    ctx->retry_after = ctx->account->credential->queue_time / 1000 + 1;

    return ngx_http_tccbs_refuse(ctx,
                                 "RequestLimitExceeded"
                                 ".GlobalRegionUinLimitExceeded", "queue",
                                 "The limit of Tencent Cloud is shared by all "
                                 "accounts and the call %s; nothing was sent, "
                                 "come back in %ui seconds.", why,
                                 ctx->retry_after);
}


void
ngx_http_tccbs_turn_leave(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->waiter == NULL) {
        return;
    }

    ngx_http_tccbs_queue_leave(ctx->mcf->zone,
                     ctx->account->credential->budget[ctx->call.action],
                     ctx->waiter);

    ctx->waiter = NULL;
}
