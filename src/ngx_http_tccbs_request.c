
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_answer.h"
#include "ngx_http_tccbs_attempt.h"
#include "ngx_http_tccbs_count.h"
#include "ngx_http_tccbs_decode.h"
#include "ngx_http_tccbs_duplicate.h"
#include "ngx_http_tccbs_enter.h"
#include "ngx_http_tccbs_fleet.h"
#include "ngx_http_tccbs_headers.h"
#include "ngx_http_tccbs_identify.h"
#include "ngx_http_tccbs_limit.h"
#include "ngx_http_tccbs_outcome.h"
#include "ngx_http_tccbs_policy.h"
#include "ngx_http_tccbs_record.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_http_tccbs_request.h"
#include "ngx_http_tccbs_spend.h"
#include "ngx_http_tccbs_turn.h"


/*
 * A stage goes on (NGX_OK), refuses (NGX_DECLINED, ctx->error is set), fails
 * (NGX_ERROR), has an answer already (NGX_DONE) or waits (NGX_AGAIN): then
 * something will call ngx_http_tccbs_resume() with its result.  Each waiting
 * stage owns a timer that is not cancelable, or a reload would drop the
 * request.
 */

#define NGX_HTTP_TCCBS_BACKOFF  100              /* milliseconds, doubled */


typedef ngx_int_t (*ngx_http_tccbs_stage_pt)(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);


static ngx_http_tccbs_ctx_t *ngx_http_tccbs_create_ctx(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tccbs_spent(ngx_http_request_t *r);
static void ngx_http_tccbs_cleanup(void *data);
static ngx_int_t ngx_http_tccbs_refuse_now(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_int_t rc);
static void ngx_http_tccbs_body_event(ngx_http_request_t *r);
static void ngx_http_tccbs_body(ngx_http_request_t *r);
static void ngx_http_tccbs_resume(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_int_t rc);
static ngx_uint_t ngx_http_tccbs_monitored(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_delayed(ngx_event_t *ev);
static void ngx_http_tccbs_replied(ngx_http_tccbs_redis_call_t *call);
static void ngx_http_tccbs_wait(ngx_http_tccbs_ctx_t *ctx,
    ngx_event_handler_pt handler, ngx_msec_t timeout);
static void ngx_http_tccbs_wake(ngx_http_tccbs_ctx_t *ctx, ngx_int_t rc);

static ngx_int_t ngx_http_tccbs_intend(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_intent_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_tccbs_send(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_send_event(ngx_http_request_t *r);
static void ngx_http_tccbs_send_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_tccbs_outcome(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_outcome_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_tccbs_again(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_durable(void *data, ngx_int_t rc);


static ngx_http_tccbs_stage_pt  ngx_http_tccbs_stages[] = {
    ngx_http_tccbs_read,
    ngx_http_tccbs_identify,
    ngx_http_tccbs_spend,
    ngx_http_tccbs_decode,
    ngx_http_tccbs_permit,
    ngx_http_tccbs_enter,
    ngx_http_tccbs_limit,
    ngx_http_tccbs_duplicate,
    ngx_http_tccbs_turn,
    ngx_http_tccbs_intend,
    ngx_http_tccbs_send,
    ngx_http_tccbs_outcome,
    ngx_http_tccbs_again,
    NULL
};


ngx_int_t
ngx_http_tccbs_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (r != r->main) {

        /* only an attempt of ours, no mirror, SSI or auth_request */

        if (ctx == NULL || ctx->attempt.request != r) {
            return NGX_HTTP_FORBIDDEN;
        }

        return ngx_http_tccbs_attempt_handler(r, ctx);
    }

    /*
     * A redirect inside nginx must not run a call a second time; an error page
     * gets the envelope of the error that led here.
     */

    if (r->internal || ngx_http_tccbs_spent(r)) {
        return (r->err_status >= NGX_HTTP_BAD_REQUEST) ? (ngx_int_t)
                                                         r->err_status
                                                       : NGX_HTTP_FORBIDDEN;
    }

    ctx = ngx_http_tccbs_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_tccbs_shape(r, ctx);

    if (rc == NGX_OK
        && r->headers_in.content_length_n > (off_t) ctx->lcf->body_size)
    {
        rc = ngx_http_tccbs_refuse(ctx, "RequestSizeLimitExceeded",
                                   "body-size",
                                   "The body of the request is larger than "
                                   "%uz bytes.", ctx->lcf->body_size);
    }

    if (rc != NGX_OK) {
        return ngx_http_tccbs_refuse_now(r, ctx, rc);
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_tccbs_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    if (rc == NGX_AGAIN) {
        ctx->body_handler = r->read_event_handler;
        r->read_event_handler = ngx_http_tccbs_body_event;
    }

    return NGX_DONE;
}


static ngx_http_tccbs_ctx_t *
ngx_http_tccbs_create_ctx(ngx_http_request_t *r)
{
    ngx_http_cleanup_t    *cln;
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_tccbs_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->mcf = ngx_http_get_module_main_conf(r, ngx_http_tccbs_module);
    ctx->lcf = ngx_http_get_module_loc_conf(r, ngx_http_tccbs_module);
    ctx->start = ngx_current_msec;

    ctx->id.len = NGX_TCCBS_UUID_LEN;
    ctx->id.data = ngx_pnalloc(r->pool, NGX_TCCBS_UUID_LEN);

    if (ctx->id.data == NULL || ngx_tccbs_uuid(ctx->id.data) != NGX_OK) {
        return NULL;
    }

    ctx->wait.handler = ngx_http_tccbs_durable;
    ctx->wait.data = ctx;

    ctx->ask.handler = ngx_http_tccbs_replied;
    ctx->ask.data = ctx;

    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_tccbs_cleanup;
    cln->data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_tccbs_module);

    return ctx;
}


/* Contexts do not survive a redirect inside nginx, cleanups do. */

static ngx_uint_t
ngx_http_tccbs_spent(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_tccbs_cleanup) {
            return 1;
        }
    }

    return 0;
}


/* The last word on every request, also on one that nginx takes down. */

static void
ngx_http_tccbs_cleanup(void *data)
{
    ngx_http_tccbs_ctx_t *ctx = data;

    ngx_http_tccbs_audit_cancel(&ctx->wait);
    ngx_http_tccbs_fleet_cancel(ctx);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_tccbs_turn_leave(ctx);
    ngx_http_tccbs_settle(ctx);
    ngx_http_tccbs_duplicate_done(ctx);

    if (ctx->outcome == NGX_TCCBS_NONE || ctx->outcome == NGX_TCCBS_NOT_SENT) {
        ngx_http_tccbs_limit_refund(ctx);
    }

    ngx_http_tccbs_count(ctx);
}


static ngx_int_t
ngx_http_tccbs_refuse_now(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx,
    ngx_int_t rc)
{
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_tccbs_record_refusal(ctx);

    return ngx_http_tccbs_answer(r, ctx);
}


/* nginx closes the connection when a body is late; a client wants to know. */

static void
ngx_http_tccbs_body_event(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (!r->connection->read->timedout) {
        ctx->body_handler(r);
        return;
    }

    r->keepalive = 0;
    r->read_event_handler = ngx_http_block_reading;

    rc = ngx_http_tccbs_refuse(ctx, "InvalidRequest", "body-timeout",
                               "The body of the request did not arrive in "
                               "time.");

    ngx_http_tccbs_record_refusal(ctx);

    ngx_http_finalize_request(r, (rc == NGX_ERROR)
                                 ? NGX_ERROR : ngx_http_tccbs_answer(r, ctx));
}


static void
ngx_http_tccbs_body(ngx_http_request_t *r)
{
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_tccbs_resume(r, ctx, ngx_http_tccbs_stages[0](r, ctx));
}


static void
ngx_http_tccbs_resume(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx,
    ngx_int_t rc)
{
    for ( ;; ) {

        if (rc == NGX_AGAIN) {

            if (ctx->delay) {
                r->read_event_handler = ngx_http_test_reading;
                ngx_http_tccbs_wait(ctx, ngx_http_tccbs_delayed, ctx->delay);
                ctx->delay = 0;
            }

            return;
        }

        if (rc == NGX_DECLINED && ngx_http_tccbs_monitored(ctx)) {
            rc = NGX_OK;
        }

        if (rc == NGX_DONE) {

            /* the answer of another call: nothing is spent */

            ngx_http_tccbs_limit_forget(ctx);
            ngx_http_tccbs_record_refusal(ctx);
            break;
        }

        if (rc == NGX_ERROR) {
            rc = ngx_http_tccbs_refuse(ctx, "InternalError", "gateway",
                                       "The gateway failed; nothing was sent "
                                       "to Tencent Cloud.");
        }

        if (rc == NGX_OK) {
            ctx->stage++;

        } else if (ctx->flight) {

            /* not an ending like others: the intent gets its outcome */

            ngx_http_tccbs_settle(ctx);

            while (ngx_http_tccbs_stages[ctx->stage]
                   != ngx_http_tccbs_outcome)
            {
                ctx->stage++;
            }

        } else {
            ngx_http_tccbs_record_refusal(ctx);
            break;
        }

        if (ngx_http_tccbs_stages[ctx->stage] == NULL) {
            break;
        }

        rc = ngx_http_tccbs_stages[ctx->stage](r, ctx);
    }

    /* who waits for this call does not wait for the client to go */

    ngx_http_tccbs_duplicate_done(ctx);

    ngx_http_finalize_request(r, ngx_http_tccbs_answer(r, ctx));
}


/* With tccbs_monitor what policy and limits would refuse goes on. */

static ngx_uint_t
ngx_http_tccbs_monitored(ngx_http_tccbs_ctx_t *ctx)
{
    if (!ctx->lcf->monitor
        || (ngx_http_tccbs_stages[ctx->stage] != ngx_http_tccbs_permit
            && ngx_http_tccbs_stages[ctx->stage] != ngx_http_tccbs_limit))
    {
        return 0;
    }

    ctx->monitored = 1;

    ngx_http_tccbs_record_refusal(ctx);

    ngx_str_null(&ctx->error.code);
    ctx->retry_after = 0;

    return 1;
}


static void
ngx_http_tccbs_delayed(ngx_event_t *ev)
{
    ngx_http_tccbs_ctx_t *ctx = ev->data;

    ngx_int_t  rc;

    ctx->request->read_event_handler = ngx_http_block_reading;

    rc = NGX_OK;

    if (ctx->poll) {
        ctx->poll = 0;
        rc = ngx_http_tccbs_stages[ctx->stage](ctx->request, ctx);
    }

    ngx_http_tccbs_wake(ctx, rc);
}


/* Redis has said something, or nothing in time. */

static void
ngx_http_tccbs_replied(ngx_http_tccbs_redis_call_t *call)
{
    ngx_http_tccbs_ctx_t *ctx = call->data;

    ngx_http_tccbs_wake(ctx, ngx_http_tccbs_stages[ctx->stage](ctx->request,
                                                               ctx));
}


static void
ngx_http_tccbs_wait(ngx_http_tccbs_ctx_t *ctx, ngx_event_handler_pt handler,
    ngx_msec_t timeout)
{
    ngx_add_timer(&ctx->timer, timeout);

    ctx->timer.handler = handler;
}


/* Goes on after a wait, from an event of ours. */

static void
ngx_http_tccbs_wake(ngx_http_tccbs_ctx_t *ctx, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_tccbs_audit_cancel(&ctx->wait);

    ngx_http_tccbs_resume(r, ctx, rc);

    ngx_http_run_posted_requests(c);
}


/* INTENT: on the disk before the first byte leaves. */

static ngx_int_t
ngx_http_tccbs_intend(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ngx_http_tccbs_audit_ready()) {
        return ngx_http_tccbs_refuse(ctx, "InternalError", "audit",
                                     "The audit log cannot be written; "
                                     "nothing was sent to Tencent Cloud.");
    }

    rc = ngx_http_tccbs_record_intent(ctx);

    if (rc == NGX_BUSY) {
        ctx->decided = 0;

        return ngx_http_tccbs_refuse(ctx, "InternalError", "audit",
                                     "There are too many open calls in the "
                                     "gateway; nothing was sent to Tencent "
                                     "Cloud.");
    }

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_tccbs_audit_wait(&ctx->wait);

    if (rc == NGX_AGAIN) {
        ngx_http_tccbs_wait(ctx, ngx_http_tccbs_intent_timeout,
                            NGX_HTTP_TCCBS_AUDIT_TIMEOUT);
    }

    return rc;
}


static void
ngx_http_tccbs_intent_timeout(ngx_event_t *ev)
{
    ngx_http_tccbs_ctx_t *ctx = ev->data;

    ngx_http_tccbs_wake(ctx, ngx_http_tccbs_refuse(ctx, "InternalError",
                                     "audit",
                                     "The audit log is too slow; nothing was "
                                     "sent to Tencent Cloud."));
}


/* SEND: one attempt; whatever becomes of it is settled when it ends. */

static ngx_int_t
ngx_http_tccbs_send(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_msec_int_t  left;

    ctx->flight->state = NGX_HTTP_TCCBS_FLIGHT_READY;

    if (r->connection->error) {
        return ngx_http_tccbs_refuse(ctx, "InternalError", "abandoned",
                                     "The client is gone; nothing was sent to "
                                     "Tencent Cloud.");
    }

    if (ngx_http_tccbs_entered(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    left = ctx->start + ctx->lcf->total_timeout - ngx_current_msec;

    if (left <= 0) {
        return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "time-out",
                                     "The request took too long before it "
                                     "was sent; nothing was sent to Tencent "
                                     "Cloud.");
    }

    if (ngx_http_tccbs_turn_depart(ctx) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (ngx_http_tccbs_attempt_start(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_tccbs_send_event;

    ngx_http_tccbs_wait(ctx, ngx_http_tccbs_send_timeout, left);

    return NGX_AGAIN;
}


static void
ngx_http_tccbs_send_event(ngx_http_request_t *r)
{
    ngx_http_tccbs_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_tccbs_module);

    if (!ctx->attempt.done) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_tccbs_resume(r, ctx, NGX_OK);
}


static void
ngx_http_tccbs_send_timeout(ngx_event_t *ev)
{
    ngx_http_tccbs_ctx_t *ctx = ev->data;

    /* a timer stays, so that a worker that exits waits for the end of it */

    ngx_add_timer(&ctx->timer, 1000);

    ngx_http_tccbs_attempt_expire(&ctx->attempt);
}


/* OUTCOME: the caller is told what the log says. */

static ngx_int_t
ngx_http_tccbs_outcome(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ctx->recorded) {
        ctx->pending = 1;
        return NGX_OK;
    }

    rc = ngx_http_tccbs_audit_wait(&ctx->wait);

    if (rc == NGX_AGAIN) {
        ngx_http_tccbs_wait(ctx, ngx_http_tccbs_outcome_timeout,
                            NGX_HTTP_TCCBS_AUDIT_TIMEOUT);
    }

    return rc;
}


static void
ngx_http_tccbs_outcome_timeout(ngx_event_t *ev)
{
    ngx_http_tccbs_ctx_t *ctx = ev->data;

    ctx->pending = 1;

    ngx_http_tccbs_wake(ctx, NGX_OK);
}


/*
 * After a refusal for the rate, or when the credential was rotated before a
 * byte left: back into the queue, after a while, with an id and records of its
 * own.
 */

static ngx_int_t
ngx_http_tccbs_again(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    u_char  *id;

    if (!ctx->retry) {
        return NGX_OK;
    }

    id = ngx_pnalloc(r->pool, NGX_TCCBS_UUID_LEN);

    if (id == NULL || ngx_tccbs_uuid(id) != NGX_OK) {
        return NGX_OK;
    }

    ctx->id.data = id;

    /* what the next attempt does not come to is not that of this one */

    ngx_memzero(&ctx->attempt, sizeof(ngx_http_tccbs_attempt_t));
    ngx_memzero(&ctx->reply, sizeof(ngx_tccbs_reply_t));
    ngx_str_null(&ctx->error.code);

    ctx->outcome = NGX_TCCBS_NONE;
    ctx->retry = 0;
    ctx->decided = 0;
    ctx->recorded = 0;
    ctx->pending = 0;

    ngx_http_tccbs_duplicate_again(ctx);

    while (ngx_http_tccbs_stages[ctx->stage + 1] != ngx_http_tccbs_turn) {
        ctx->stage--;
    }

    ctx->delay = NGX_HTTP_TCCBS_BACKOFF << ctx->throttled;

    return NGX_AGAIN;
}


static void
ngx_http_tccbs_durable(void *data, ngx_int_t rc)
{
    ngx_http_tccbs_ctx_t *ctx = data;

    if (ctx->recorded) {
        ctx->pending = (rc != NGX_OK);
        rc = NGX_OK;

    } else if (rc != NGX_OK) {
        rc = ngx_http_tccbs_refuse(ctx, "InternalError", "audit",
                                   "The audit log cannot be written; nothing "
                                   "was sent to Tencent Cloud.");
    }

    ngx_http_tccbs_wake(ctx, rc);
}
