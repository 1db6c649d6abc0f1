
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_count.h"


/* places of the label "decision" */

#define NGX_HTTP_TCCBS_ALLOWED    0
#define NGX_HTTP_TCCBS_REFUSED    1
#define NGX_HTTP_TCCBS_WOULD      2
#define NGX_HTTP_TCCBS_DUPLICATE  3

/* and of "code", for a client that did not wait */

#define NGX_HTTP_TCCBS_NO_CODE    1


static ngx_uint_t ngx_http_tccbs_count_action(ngx_http_tccbs_ctx_t *ctx);
static ngx_uint_t ngx_http_tccbs_count_code(ngx_http_tccbs_ctx_t *ctx);
static ngx_uint_t ngx_http_tccbs_count_decision(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_count_recent(ngx_http_tccbs_ctx_t *ctx);


void
ngx_http_tccbs_count(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_uint_t     action, code;
    ngx_atomic_t  *area;

    area = ctx->account ? ctx->account->metrics : ctx->mcf->nobody;
    action = ngx_http_tccbs_count_action(ctx);
    code = ngx_http_tccbs_count_code(ctx);

    ngx_http_tccbs_metrics_add(area, NGX_HTTP_TCCBS_M_REQUESTS, action, code,
                               1);
    ngx_http_tccbs_metrics_add(area, NGX_HTTP_TCCBS_M_DECISIONS,
                               ngx_http_tccbs_count_decision(ctx), 0, 1);
    ngx_http_tccbs_metrics_observe(NULL, NGX_HTTP_TCCBS_M_DURATION, action,
                                   (ngx_current_msec - ctx->start) * 1000);

    if (ctx->rule.len && ctx->original.len == 0) {
        ngx_http_tccbs_metrics_add(area, NGX_HTTP_TCCBS_M_REFUSALS,
                                   ngx_http_tccbs_families_rule(&ctx->rule), 0,
                                   1);
    }

    /* whoever knows no key must not push out what an operator looks for */

    if (ctx->account) {
        ngx_http_tccbs_count_recent(ctx);
    }
}


void
ngx_http_tccbs_count_answer(ngx_http_tccbs_main_conf_t *mcf, ngx_str_t *code)
{
    ngx_http_tccbs_metrics_add(mcf->nobody, NGX_HTTP_TCCBS_M_REQUESTS,
                               NGX_HTTP_TCCBS_NO_ACTION,
                               ngx_http_tccbs_families_code(code), 1);
    ngx_http_tccbs_metrics_add(mcf->nobody, NGX_HTTP_TCCBS_M_DECISIONS,
                               NGX_HTTP_TCCBS_REFUSED, 0, 1);
}


void
ngx_http_tccbs_count_attempt(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_tccbs_action_e            action;
    ngx_http_tccbs_credential_t  *credential;

    action = ctx->call.action;
    credential = ctx->account->credential;

    ngx_http_tccbs_metrics_add(credential->metrics, NGX_HTTP_TCCBS_M_ATTEMPTS,
                               action, 0, 1);
    ngx_http_tccbs_pace_count(credential->pace[action], ngx_time());
}


void
ngx_http_tccbs_count_outcome(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_uint_t           i, copies;
    ngx_tccbs_action_e   action;

    action = ctx->call.action;

    ngx_http_tccbs_metrics_add(ctx->account->metrics,
                               NGX_HTTP_TCCBS_M_OUTCOMES, action,
                               ctx->outcome - NGX_TCCBS_SUCCESS, 1);

    if (ctx->attempt.started) {
        ngx_http_tccbs_metrics_observe(NULL, NGX_HTTP_TCCBS_M_UPSTREAM, action,
                                       ctx->attempt.ms * 1000);
    }

    copies = 0;

    for (i = 0; i < ctx->reply.nper; i++) {
        copies += (ctx->reply.per[i].snapshot.len != 0);
    }

    if (copies) {
        ngx_http_tccbs_metrics_add(ctx->account->metrics,
                                   NGX_HTTP_TCCBS_M_COPIES, 0, 0, copies);
    }
}


void
ngx_http_tccbs_count_throttled(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_metrics_add(ctx->account->credential->metrics,
                               NGX_HTTP_TCCBS_M_THROTTLED, ctx->call.action, 0,
                               1);
}


void
ngx_http_tccbs_count_turn(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_metrics_observe(ctx->account->credential->metrics,
                                   NGX_HTTP_TCCBS_M_QUEUE_WAIT,
                                   ctx->call.action, ctx->waiting * 1000);
}


static ngx_uint_t
ngx_http_tccbs_count_action(ngx_http_tccbs_ctx_t *ctx)
{
    return ctx->called ? ctx->call.action : NGX_HTTP_TCCBS_NO_ACTION;
}


static ngx_uint_t
ngx_http_tccbs_count_code(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t  other = ngx_string("other");

    if (ctx->error.code.len) {
        return ngx_http_tccbs_families_code(&ctx->error.code);
    }

    if (ctx->reply.code.len) {
        return ngx_http_tccbs_families_code(&ctx->reply.code);
    }

    if (!ctx->answered) {
        return NGX_HTTP_TCCBS_NO_CODE;
    }

    /* the refusal of the call that this one has waited for */

    if (ctx->stored.len && ctx->outcome == NGX_TCCBS_REJECTED) {
        return ngx_http_tccbs_families_code(&other);
    }

    return 0;
}


static ngx_uint_t
ngx_http_tccbs_count_decision(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->monitored) {
        return NGX_HTTP_TCCBS_WOULD;
    }

    if (ctx->original.len) {
        return NGX_HTTP_TCCBS_DUPLICATE;
    }

    return ctx->decided ? NGX_HTTP_TCCBS_ALLOWED : NGX_HTTP_TCCBS_REFUSED;
}


static void
ngx_http_tccbs_count_recent(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_time_t                 *tp;
    ngx_http_tccbs_decision_t   d;

    ngx_memzero(&d, sizeof(ngx_http_tccbs_decision_t));

    tp = ngx_timeofday();

    d.time = (uint64_t) tp->sec * 1000 + tp->msec;
    d.ms = (uint32_t) (ngx_current_msec - ctx->start);
    d.action = ngx_http_tccbs_count_action(ctx);
    d.code = ngx_http_tccbs_count_code(ctx);
    d.decision = ngx_http_tccbs_count_decision(ctx);
    d.outcome = ctx->outcome;
    d.nto = ctx->call.nto;

    ngx_http_tccbs_recent_text(d.account, sizeof(d.account),
                               &ctx->account->name);
    ngx_http_tccbs_recent_text(d.from, sizeof(d.from), &ctx->call.from);
    ngx_http_tccbs_recent_text(d.snapshot, sizeof(d.snapshot),
                               &ctx->call.snapshot);
    ngx_http_tccbs_recent_text(d.rule, sizeof(d.rule), &ctx->rule);

    if (ctx->call.nto) {
        ngx_http_tccbs_recent_text(d.to, sizeof(d.to), &ctx->call.to[0]);
    }

    ngx_memcpy(d.id, ctx->id.data, sizeof(d.id));

    ngx_http_tccbs_recent_add(ctx->mcf->recent, &d);
}
