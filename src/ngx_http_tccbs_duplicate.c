
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_duplicate.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_tccbs_text.h"


#define NGX_HTTP_TCCBS_DUPLICATE_POLL   20       /* milliseconds */

/* how long an answer that allows another try is kept for who waited */

#define NGX_HTTP_TCCBS_DUPLICATE_AGAIN  5        /* seconds */


static ngx_int_t ngx_http_tccbs_duplicate_key(ngx_http_tccbs_ctx_t *ctx,
    u_char key[NGX_TCCBS_SHA256_LEN]);
static ngx_int_t ngx_http_tccbs_duplicate_digest(ngx_tccbs_out_t *out,
    u_char key[NGX_TCCBS_SHA256_LEN]);
static int ngx_libc_cdecl ngx_http_tccbs_duplicate_order(const void *one,
    const void *two);
static ngx_int_t ngx_http_tccbs_duplicate_regions(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_duplicate_held(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static void ngx_http_tccbs_duplicate_hold(ngx_http_tccbs_ctx_t *ctx);
static ngx_uint_t ngx_http_tccbs_duplicate_definite(ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *region);


ngx_int_t
ngx_http_tccbs_duplicate(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_http_tccbs_found_t  found;
    u_char                  key[NGX_TCCBS_SHA256_LEN];

    if (ctx->call.action != NGX_TCCBS_COPY) {
        return NGX_OK;
    }

    if (ngx_http_tccbs_duplicate_key(ctx, key) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->digest, key, sizeof(key));

    rc = ngx_http_tccbs_store_claim(ctx->mcf->zone, key, &ctx->id,
                                    ctx->waited, ctx->lcf->hold, r->pool,
                                    &ctx->entry, &found);

    switch (rc) {

    case NGX_OK:
        return ngx_http_tccbs_duplicate_regions(ctx);

    case NGX_AGAIN:

        ctx->waited = 1;

        if ((ngx_msec_int_t) (ngx_current_msec - ctx->start)
            < (ngx_msec_int_t) ctx->lcf->total_timeout)
        {
            ctx->delay = NGX_HTTP_TCCBS_DUPLICATE_POLL;
            ctx->poll = 1;
            return NGX_AGAIN;
        }

        return ngx_http_tccbs_refuse(ctx, "InternalError.ComponentError",
                                     "duplicate",
                                     "The same call (%*s) is in flight and has "
                                     "no answer yet: the outcome is unknown.",
                                     sizeof(found.id), found.id);

    case NGX_DONE:

        ctx->stored = found.answer;
        ctx->outcome = found.outcome;
        ngx_str_set(&ctx->rule, "duplicate");

        ctx->original.len = sizeof(found.id);
        ctx->original.data = ngx_pnalloc(r->pool, sizeof(found.id));
        if (ctx->original.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ctx->original.data, found.id, sizeof(found.id));

        return NGX_DONE;

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


/* Regions whose last copy of this snapshot has no known outcome. */

static ngx_int_t
ngx_http_tccbs_duplicate_regions(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_http_tccbs_found_t  found;
    u_char                  key[NGX_TCCBS_SHA256_LEN];

    for (i = 0; i < ctx->call.nto; i++) {

        if (ngx_http_tccbs_store_region_key(ctx->request->pool,
                                            &ctx->account->credential->name,
                                            &ctx->call.snapshot,
                                            &ctx->call.to[i], key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_tccbs_store_look(ctx->mcf->zone, key, &found)
            == NGX_BUSY)
        {
            return ngx_http_tccbs_duplicate_held(ctx, &found);
        }
    }

    return NGX_OK;
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
                                 found->id, found->expires - ngx_time());
}


void
ngx_http_tccbs_duplicate_sent(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->entry) {
        ctx->entry->sent = 1;
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
        ngx_http_tccbs_store_hold(ctx->mcf->zone, entry, ctx->lcf->hold);
        ngx_http_tccbs_duplicate_hold(ctx);
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

            } else {
                ngx_http_tccbs_store_answer(ctx->mcf->zone, entry,
                                            ctx->outcome, &answer,
                                            ctx->lcf->replay_window, 0);
            }

            return;
        }

        /* what was done is not done again, even if nobody can repeat it */

        if (ctx->outcome != NGX_TCCBS_REJECTED) {
            ngx_http_tccbs_store_hold(ctx->mcf->zone, entry, ctx->lcf->hold);
            return;
        }
    }

    ngx_http_tccbs_store_forget(ctx->mcf->zone, entry);
}


static void
ngx_http_tccbs_duplicate_hold(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_http_tccbs_found_t    found;
    ngx_http_tccbs_stored_t  *entry;
    u_char                    key[NGX_TCCBS_SHA256_LEN];

    for (i = 0; i < ctx->call.nto; i++) {

        if (ngx_http_tccbs_duplicate_definite(ctx, &ctx->call.to[i])) {
            continue;
        }

        rc = ngx_http_tccbs_store_region_key(ctx->request->pool,
                                             &ctx->account->credential->name,
                                             &ctx->call.snapshot,
                                             &ctx->call.to[i], key);

        if (rc == NGX_OK) {
            rc = ngx_http_tccbs_store_claim(ctx->mcf->zone, key, &ctx->id, 0,
                                            ctx->lcf->hold,
                                            ctx->request->pool, &entry,
                                            &found);
        }

        if (rc == NGX_OK) {
            ngx_http_tccbs_store_hold(ctx->mcf->zone, entry, ctx->lcf->hold);

        } else if (rc != NGX_BUSY) {
            ngx_log_error(NGX_LOG_ALERT, ctx->request->connection->log, 0,
                          "no room to hold %V in %V after the unknown outcome "
                          "of %V", &ctx->call.snapshot, &ctx->call.to[i],
                          &ctx->id);
        }
    }
}


/* Tencent may have said of one region what happened, and not of another. */

static ngx_uint_t
ngx_http_tccbs_duplicate_definite(ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *region)
{
    ngx_uint_t           i;
    ngx_tccbs_result_t  *per;

    for (i = 0; i < ctx->reply.nper; i++) {
        per = &ctx->reply.per[i];

        if (ngx_tccbs_same(&per->region, region)) {
            return per->code.len < 13
                   || ngx_strncmp(per->code.data, "InternalError", 13) != 0;
        }
    }

    return 0;
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
