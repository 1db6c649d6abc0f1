
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_count.h"
#include "ngx_http_tccbs_duplicate.h"
#include "ngx_http_tccbs_evidence.h"
#include "ngx_http_tccbs_outcome.h"
#include "ngx_http_tccbs_record.h"
#include "ngx_http_tccbs_refuse.h"


#define NGX_HTTP_TCCBS_ATTEMPTS  4


static void ngx_http_tccbs_throttle(ngx_http_tccbs_ctx_t *ctx);
static ngx_uint_t ngx_http_tccbs_may_repeat(ngx_http_tccbs_ctx_t *ctx,
    ngx_uint_t n);
static void ngx_http_tccbs_classify(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_classify_reply(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_unknown(ngx_http_tccbs_ctx_t *ctx,
    const char *code, const char *why);


void
ngx_http_tccbs_settle(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->recorded || ctx->flight == NULL) {
        return;
    }

    ngx_http_tccbs_classify(ctx);
    ngx_http_tccbs_throttle(ctx);
    ngx_http_tccbs_record_outcome(ctx);
    ngx_http_tccbs_count_outcome(ctx);

    /* others are told what is known when the log says it, not before */

    if (ctx->outcome == NGX_TCCBS_UNKNOWN) {
        ngx_http_tccbs_duplicate_done(ctx);
    }

    ngx_http_tccbs_evidence(ctx);
}


/*
 * Tencent refuses for its rate before it does anything: the only answer after
 * which the gateway itself tries again, with a record of its own.
 */

static void
ngx_http_tccbs_throttle(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_budget_t  *budget;

    static ngx_str_t  limit = ngx_string("RequestLimitExceeded");

    budget = ctx->account->credential->budget[ctx->call.action];

    if (ctx->outcome == NGX_TCCBS_NOT_SENT) {
        ctx->retry = ctx->attempt.rotated
                     && ngx_http_tccbs_may_repeat(ctx, ++ctx->rotations);
        return;
    }

    if (ctx->outcome != NGX_TCCBS_REJECTED || ctx->reply.code.len < limit.len
        || ngx_strncmp(ctx->reply.code.data, limit.data, limit.len) != 0)
    {
        if (ctx->attempt.complete) {
            ngx_http_tccbs_queue_passed(budget);
        }

        return;
    }

    ngx_http_tccbs_queue_throttled(budget);
    ngx_http_tccbs_count_throttled(ctx);

    ctx->retry = ngx_http_tccbs_may_repeat(ctx, ++ctx->throttled);
}


/* The answer must still come in time, with an attempt of usual length. */

static ngx_uint_t
ngx_http_tccbs_may_repeat(ngx_http_tccbs_ctx_t *ctx, ngx_uint_t n)
{
    ngx_msec_t  left;

    left = ctx->lcf->total_timeout - (ngx_current_msec - ctx->start);

    return n < NGX_HTTP_TCCBS_ATTEMPTS
           && !ctx->request->connection->error
           && (ngx_msec_int_t) left
              > (ngx_msec_int_t) ctx->lcf->total_timeout / 2;
}


static void
ngx_http_tccbs_classify(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_attempt_t  *attempt;

    attempt = &ctx->attempt;

    if (!attempt->wrote) {
        ctx->outcome = NGX_TCCBS_NOT_SENT;

        if (ctx->error.code.len) {
            return;
        }

        if (!attempt->started) {
            (void) ngx_http_tccbs_refuse(ctx, "InternalError", "abandoned",
                                         "The request was given up; nothing "
                                         "was sent to Tencent Cloud.");
            return;
        }

        if (attempt->rotated) {
            (void) ngx_http_tccbs_refuse(ctx, "ServiceUnavailable",
                                         "credential",
                                         "The gateway's credential changed; "
                                         "nothing was sent, the call can be "
                                         "repeated.");
            return;
        }

        (void) ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "upstream",
                                     "Tencent Cloud cannot be reached; nothing "
                                     "was sent, the call can be repeated.");
        return;
    }

    if (attempt->complete) {
        ngx_http_tccbs_classify_reply(ctx);
        return;
    }

    if (attempt->oversized) {
        ngx_http_tccbs_unknown(ctx, "ResponseSizeLimitExceeded",
                               "the answer is too large");
        return;
    }

    ngx_http_tccbs_unknown(ctx, "InternalError.ComponentError",
                           attempt->timedout ? "there was no answer in time"
                                             : "the connection was lost");
}


static void
ngx_http_tccbs_classify_reply(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t                  body;
    ngx_tccbs_reply_t         *reply;
    ngx_http_tccbs_attempt_t  *attempt;

    static ngx_str_t  auth = ngx_string("AuthFailure");

    attempt = &ctx->attempt;
    reply = &ctx->reply;

    body.data = attempt->body;
    body.len = attempt->size;

    if (ngx_tccbs_reply_parse(reply, ctx->request->pool, &ctx->call,
                              attempt->status.code, &body)
        != NGX_OK)
    {
        ngx_http_tccbs_unknown(ctx, "InternalError", "it could not be read");
        return;
    }

    if (reply->tree == NULL) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "upstream sent an unusable answer: %s, status %ui, "
                      "audit id %V",
                      reply->why, attempt->status.code, &ctx->id);

        ngx_http_tccbs_unknown(ctx, "InternalError",
                               "the answer cannot be used");
        return;
    }

    ctx->outcome = reply->outcome;

    /* about the gateway's own key, never the caller's fault */

    if (reply->code.len >= auth.len
        && ngx_strncmp(reply->code.data, auth.data, auth.len) == 0)
    {
        ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0,
                      "Tencent Cloud refused the credential \"%V\" with %V, "
                      "RequestId %V",
                      &ctx->account->credential->name, &reply->code,
                      &reply->tcid);

        (void) ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "credential",
                                     "The gateway's own credential was "
                                     "refused; its operator has been told.");
    }
}


static void
ngx_http_tccbs_unknown(ngx_http_tccbs_ctx_t *ctx, const char *code,
    const char *why)
{
    ctx->outcome = NGX_TCCBS_UNKNOWN;

    if (ctx->call.action != NGX_TCCBS_COPY) {
        (void) ngx_http_tccbs_refuse(ctx, code, "upstream",
                                     "The call was sent to Tencent Cloud and "
                                     "%s.", why);
        return;
    }

    (void) ngx_http_tccbs_refuse(ctx, code, "upstream",
                                 "The call was sent to Tencent Cloud and %s: "
                                 "the outcome is unknown. Look for the copy "
                                 "in the destination regions before you "
                                 "repeat the call.", why);
}
