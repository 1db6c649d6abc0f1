
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_claim.h"
#include "ngx_http_tccbs_duplicate.h"
#include "ngx_http_tccbs_hold.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_tccbs_text.h"


#define NGX_HTTP_TCCBS_DUPLICATE_POLL   20       /* milliseconds */
#define NGX_HTTP_TCCBS_DUPLICATE_SLOW   500      /* at another gateway */

/* how long an answer that allows another try is kept for who waited */

#define NGX_HTTP_TCCBS_DUPLICATE_AGAIN  5        /* seconds */


static ngx_int_t ngx_http_tccbs_duplicate_here(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_duplicate_fleet(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_duplicate_flies(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found, ngx_msec_t delay);
static ngx_int_t ngx_http_tccbs_duplicate_answered(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_duplicate_key(ngx_http_tccbs_ctx_t *ctx,
    u_char key[NGX_TCCBS_SHA256_LEN]);
static ngx_int_t ngx_http_tccbs_duplicate_digest(ngx_tccbs_out_t *out,
    u_char key[NGX_TCCBS_SHA256_LEN]);
static int ngx_libc_cdecl ngx_http_tccbs_duplicate_order(const void *one,
    const void *two);
static ngx_int_t ngx_http_tccbs_duplicate_regions(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_duplicate_made(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_duplicate_held(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_duplicate_settled(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static void ngx_http_tccbs_duplicate_what(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold);
static ngx_int_t ngx_http_tccbs_duplicate_hold(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_duplicate_stay(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_stored_t *entry);


ngx_int_t
ngx_http_tccbs_duplicate(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->call.action != NGX_TCCBS_COPY) {
        return NGX_OK;
    }

    /* who has claimed it here asks the others, for all who wait here */

    if (ctx->entry == NULL) {

        rc = ngx_http_tccbs_duplicate_here(ctx);

        if (rc != NGX_OK || ctx->mcf->redis == NULL) {
            return rc;
        }
    }

    return ctx->mcf->redis ? ngx_http_tccbs_duplicate_fleet(ctx) : NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_duplicate_here(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_http_tccbs_found_t  found;
    u_char                  key[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_duplicate_key(ctx, key) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->digest, key, sizeof(key));

    rc = ngx_http_tccbs_store_claim(ctx->mcf->zone, key, NULL, &ctx->id,
                                    ctx->waited, ctx->lcf->hold,
                                    ctx->request->pool, &ctx->entry, &found);

    /* a call that cannot be held in each of its regions is not sent */

    if (rc == NGX_OK
        && ngx_http_tccbs_store_reserve(ctx->mcf->zone, ctx->entry,
                                        ctx->call.nto)
           != NGX_OK)
    {
        ngx_http_tccbs_store_forget(ctx->mcf->zone, ctx->entry);
        ctx->entry = NULL;
        rc = NGX_DECLINED;
    }

    switch (rc) {

    case NGX_OK:
        return ngx_http_tccbs_duplicate_regions(ctx);

    case NGX_AGAIN:
        return ngx_http_tccbs_duplicate_flies(ctx, &found,
                                              NGX_HTTP_TCCBS_DUPLICATE_POLL);

    case NGX_DONE:
        return ngx_http_tccbs_duplicate_answered(ctx, &found);

    case NGX_BUSY:
        return ngx_http_tccbs_duplicate_held(ctx, &found);

    case NGX_DECLINED:
        return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "duplicate",
                                     "The gateway has no room to protect "
                                     "another copy from being made twice; "
                                     "nothing was sent to Tencent Cloud.");

    default:
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_tccbs_duplicate_fleet(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_msec_t               delay;
    ngx_http_tccbs_hold_t    hold;
    ngx_http_tccbs_found_t  *found;

    ngx_http_tccbs_duplicate_what(ctx, &hold);

    found = ngx_pcalloc(ctx->request->pool,
                        ctx->call.nto * sizeof(ngx_http_tccbs_found_t));
    if (found == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_claim(ctx, &hold, found);

    switch (rc) {

    case NGX_ABORT:

        /* it waits for the other gateway now, not for Redis */

        ctx->asking = 0;

        delay = NGX_HTTP_TCCBS_DUPLICATE_POLL
                + (ngx_current_msec - ctx->start) / 4;

        return ngx_http_tccbs_duplicate_flies(ctx, found,
                            ngx_min(delay, NGX_HTTP_TCCBS_DUPLICATE_SLOW));

    case NGX_DONE:
        return ngx_http_tccbs_duplicate_answered(ctx, found);

    case NGX_BUSY:
        return ngx_http_tccbs_duplicate_held(ctx, found);

    case NGX_HTTP_TCCBS_CLAIM_MADE:
        return ngx_http_tccbs_duplicate_made(ctx, found);

    case NGX_DECLINED:

        if (ctx->mcf->redis->duplicates == NGX_HTTP_TCCBS_REDIS_LOCAL) {
            return NGX_OK;
        }

        return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "redis",
                                     "The gateway cannot tell whether this "
                                     "copy is being made by another one; "
                                     "nothing was sent to Tencent Cloud.");

    default:
        return rc;
    }
}


static ngx_int_t
ngx_http_tccbs_duplicate_flies(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found, ngx_msec_t delay)
{
    ctx->waited = 1;

    if ((ngx_msec_int_t) (ngx_current_msec - ctx->start)
        < (ngx_msec_int_t) ctx->lcf->total_timeout)
    {
        ctx->delay = delay;
        ctx->poll = 1;
        return NGX_AGAIN;
    }

    return ngx_http_tccbs_refuse(ctx, "InternalError.ComponentError",
                                 "duplicate",
                                 "The same call (%*s) is in flight and has no "
                                 "answer yet: the outcome is unknown.",
                                 sizeof(found->id), found->id);
}


static ngx_int_t
ngx_http_tccbs_duplicate_answered(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    ctx->original.data = ngx_pnalloc(ctx->request->pool, sizeof(found->id));
    if (ctx->original.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->original.data, found->id, sizeof(found->id));
    ctx->original.len = sizeof(found->id);

    ctx->stored = found->answer;
    ctx->outcome = found->outcome;
    ngx_str_set(&ctx->rule, "duplicate");

    return NGX_DONE;
}


/*
 * Regions whose last copy of this snapshot has no known outcome; and those that
 * this very call was found to have reached since: all of them are its answer.
 */

static ngx_int_t
ngx_http_tccbs_duplicate_regions(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_http_tccbs_hold_t    hold;
    ngx_http_tccbs_found_t  *found;

    ngx_http_tccbs_duplicate_what(ctx, &hold);

    found = ngx_pcalloc(ctx->request->pool,
                        ctx->call.nto * sizeof(ngx_http_tccbs_found_t));
    if (found == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->call.nto; i++) {

        rc = ngx_http_tccbs_hold_look(&hold, &ctx->call.to[i], &found[i]);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_BUSY) {
            return ngx_http_tccbs_duplicate_held(ctx, &found[i]);
        }
    }

    return ngx_http_tccbs_duplicate_made(ctx, found);
}


/* Regions that this very call was found to have reached, if any. */

static ngx_int_t
ngx_http_tccbs_duplicate_made(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    ngx_uint_t  i, made, known, first;

    made = 0;
    known = 0;
    first = 0;

    for (i = 0; i < ctx->call.nto; i++) {
        if (found[i].made) {
            first = made ? first : i;
            made++;
            known += (found[i].answer.len != 0);
        }
    }

    if (made == 0) {
        return NGX_OK;
    }

    if (known == ctx->call.nto) {
        return ngx_http_tccbs_duplicate_settled(ctx, found);
    }

    return ngx_http_tccbs_refuse(ctx, "InternalError.ComponentError", "hold",
                                 "An earlier call like this one (%*s), whose "
                                 "answer was lost, made the copy of \"%V\" to "
                                 "%ui of its %ui regions, \"%V\" among them: "
                                 "ask with DescribeSnapshots and repeat the "
                                 "call for the others only.",
                                 sizeof(found->id), found[first].id,
                                 &ctx->call.snapshot, made, ctx->call.nto,
                                 &ctx->call.to[first]);
}


/* The answer that was lost, from what was found in the regions. */

static ngx_int_t
ngx_http_tccbs_duplicate_settled(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    ngx_uint_t           i;
    ngx_tccbs_out_t      out;
    ngx_tccbs_result_t  *per;

    per = ngx_palloc(ctx->request->pool,
                     ctx->call.nto * sizeof(ngx_tccbs_result_t));
    if (per == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->call.nto; i++) {
        per[i].region = ctx->call.to[i];
        per[i].snapshot = found[i].answer;
        ngx_str_set(&per[i].code, "Success");
    }

    ctx->original.data = found->id;
    ctx->original.len = sizeof(found->id);

    ngx_tccbs_out_init(&out, ctx->request->pool, 512);
    ngx_tccbs_reply_made(&out, &ctx->original, per, ctx->call.nto);

    if (out.failed) {
        return NGX_ERROR;
    }

    ctx->stored = ngx_tccbs_out_str(&out);
    ctx->outcome = NGX_TCCBS_SUCCESS;
    ngx_str_set(&ctx->rule, "duplicate");

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tccbs_duplicate_held(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    return ngx_http_tccbs_refuse(ctx, "InternalError.ComponentError", "hold",
                                 "The outcome of an earlier copy of \"%V\" "
                                 "(%*s) is unknown: look for it in the "
                                 "destination regions. The gateway takes the "
                                 "call again in %T seconds.",
                                 &ctx->call.snapshot, sizeof(found->id),
                                 found->id, found->left);
}


static void
ngx_http_tccbs_duplicate_what(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold)
{
    hold->zone = ctx->mcf->zone;
    hold->pool = ctx->request->pool;
    hold->credential = ctx->account->credential->name;
    hold->account = ctx->account->name;
    hold->snapshot = ctx->call.snapshot;
    hold->id = ctx->id;
    hold->tag = ctx->call.tag;

    ngx_memcpy(hold->call, ctx->digest, sizeof(hold->call));
}


void
ngx_http_tccbs_duplicate_sent(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->entry) {
        ctx->entry->sent = 1;
    }
}


void
ngx_http_tccbs_duplicate_again(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->entry) {
        ngx_http_tccbs_store_again(ctx->mcf->zone, ctx->entry, &ctx->id);
    }
}


void
ngx_http_tccbs_duplicate_done(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t                 answer;
    ngx_tccbs_out_t           out;
    ngx_http_tccbs_stored_t  *entry;

    entry = ctx->entry;

    if (entry == NULL) {
        return;
    }

    ctx->entry = NULL;

    if (ctx->outcome == NGX_TCCBS_UNKNOWN) {

        /* from here on what is known of each region decides */

        if (ngx_http_tccbs_duplicate_hold(ctx) == NGX_OK) {
            ngx_http_tccbs_store_forget(ctx->mcf->zone, entry);

        } else {
            ngx_http_tccbs_duplicate_stay(ctx, entry);
        }

        return;
    }

    if (ctx->reply.tree && ctx->error.code.len == 0) {

        ngx_tccbs_out_init(&out, ctx->request->pool, ctx->attempt.size + 64);
        ngx_tccbs_reply_write(&ctx->reply, &out);

        if (!out.failed) {
            answer = ngx_tccbs_out_str(&out);

            if (ctx->outcome == NGX_TCCBS_REJECTED) {
                ngx_http_tccbs_store_answer(ctx->mcf->zone, entry,
                                            ctx->outcome, &answer,
                                            NGX_HTTP_TCCBS_DUPLICATE_AGAIN, 1);
                ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_WAITED,
                                         &answer,
                                         NGX_HTTP_TCCBS_DUPLICATE_AGAIN, NULL);

            } else {
                ngx_http_tccbs_store_answer(ctx->mcf->zone, entry,
                                            ctx->outcome, &answer,
                                            ctx->lcf->replay_window, 0);
                ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_ANSWERED,
                                         &answer, ctx->lcf->replay_window,
                                         NULL);
            }

            return;
        }

        /* what was done is not done again, even if nobody can repeat it */

        if (ctx->outcome != NGX_TCCBS_REJECTED) {
            ngx_http_tccbs_duplicate_stay(ctx, entry);
            return;
        }
    }

    ngx_http_tccbs_store_forget(ctx->mcf->zone, entry);
    ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_FREE, NULL, 0, NULL);
}


static void
ngx_http_tccbs_duplicate_stay(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_stored_t *entry)
{
    ngx_str_t  none = ngx_null_string;

    ngx_http_tccbs_store_hold(ctx->mcf->zone, entry, NULL, &none,
                              ctx->lcf->hold);
    ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_HELD, NULL,
                             ctx->lcf->hold, NULL);
}


static ngx_int_t
ngx_http_tccbs_duplicate_hold(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t               rc, all;
    ngx_str_t              *to, known[NGX_TCCBS_CALL_REGIONS];
    ngx_uint_t              i;
    ngx_tccbs_result_t     *per;
    ngx_http_tccbs_hold_t   hold;

    ngx_http_tccbs_duplicate_what(ctx, &hold);

    all = NGX_OK;

    for (i = 0; i < ctx->call.nto; i++) {

        to = &ctx->call.to[i];
        per = ngx_tccbs_reply_region(&ctx->reply, to);

        /* Tencent may have said of one region what happened */

        if (per && per->snapshot.len) {
            rc = ngx_http_tccbs_hold_made(&hold, to, &per->snapshot,
                                          ctx->lcf->hold);

            known[i].len = 1 + per->snapshot.len;
            known[i].data = ngx_pnalloc(hold.pool, known[i].len);

            if (known[i].data) {
                (void) ngx_sprintf(known[i].data, "m%V", &per->snapshot);

            } else {
                ngx_str_set(&known[i], "h");
            }

        } else if (per && !ngx_tccbs_code_indefinite(&per->code)) {
            ngx_str_set(&known[i], "-");
            continue;

        } else {
            rc = ngx_http_tccbs_hold(&hold, to, ctx->lcf->hold);
            ngx_str_set(&known[i], "h");
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ALERT, ctx->request->connection->log, 0,
                          "no room to hold %V in %V after the unknown outcome "
                          "of %V", &ctx->call.snapshot, to, &ctx->id);
            all = rc;
        }
    }

    ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_FREE, NULL,
                             ctx->lcf->hold, known);

    return all;
}


static ngx_int_t
ngx_http_tccbs_duplicate_key(ngx_http_tccbs_ctx_t *ctx,
    u_char key[NGX_TCCBS_SHA256_LEN])
{
    ngx_str_t        *to;
    ngx_uint_t        i;
    ngx_tccbs_out_t   out;

    to = ngx_palloc(ctx->request->pool, ctx->call.nto * sizeof(ngx_str_t));
    if (to == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to, ctx->call.to, ctx->call.nto * sizeof(ngx_str_t));
    ngx_qsort(to, ctx->call.nto, sizeof(ngx_str_t),
              ngx_http_tccbs_duplicate_order);

    /* strings in quotes: what one ends with cannot begin the next */

    ngx_tccbs_out_init(&out, ctx->request->pool, 256);
    ngx_tccbs_out_string(&out, &ctx->account->credential->name);
    ngx_tccbs_out_string(&out, &ctx->call.from);
    ngx_tccbs_out_string(&out, &ctx->call.snapshot);
    ngx_tccbs_out_string(&out, &ctx->call.name);

    for (i = 0; i < ctx->call.nto; i++) {
        ngx_tccbs_out_string(&out, &to[i]);
    }

    return ngx_http_tccbs_duplicate_digest(&out, key);
}


static ngx_int_t
ngx_http_tccbs_duplicate_digest(ngx_tccbs_out_t *out,
    u_char key[NGX_TCCBS_SHA256_LEN])
{
    ngx_str_t  text;

    text = ngx_tccbs_out_str(out);

    return out->failed ? NGX_ERROR : ngx_tccbs_sha256(key, &text, 1);
}


static int ngx_libc_cdecl
ngx_http_tccbs_duplicate_order(const void *one, const void *two)
{
    const ngx_str_t *a = one, *b = two;

    return (int) ngx_memn2cmp(a->data, b->data, a->len, b->len);
}
