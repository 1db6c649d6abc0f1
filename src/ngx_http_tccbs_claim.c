
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_ask.h"
#include "ngx_http_tccbs_claim.h"


#define NGX_HTTP_TCCBS_CLAIM_ARGS     (5 + NGX_TCCBS_CALL_REGIONS)
#define NGX_HTTP_TCCBS_CLAIM_ANSWER   (128 * 1024)
#define NGX_HTTP_TCCBS_CLAIM_LONGEST  1000000000000


static ngx_int_t ngx_http_tccbs_claim_ask(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold);
static ngx_int_t ngx_http_tccbs_claim_read(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_claim_answer(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_claim_regions(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found);
static ngx_int_t ngx_http_tccbs_claim_id(ngx_tccbs_resp_t *reply,
    ngx_uint_t n, ngx_http_tccbs_found_t *found);
static void ngx_http_tccbs_claim_what(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold);


ngx_int_t
ngx_http_tccbs_claim(ngx_http_tccbs_ctx_t *ctx, ngx_http_tccbs_hold_t *hold,
    ngx_http_tccbs_found_t *found)
{
    ngx_int_t         rc;

    static ngx_str_t  name = ngx_string("a claim");

    if (!ctx->asked) {
        return ngx_http_tccbs_claim_ask(ctx, hold);
    }

    rc = ngx_http_tccbs_ask_answered(ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_claim_read(ctx, found);

        if (rc == NGX_DECLINED) {
            ngx_http_tccbs_redis_nonsense(&name);
        }
    }

    if (rc == NGX_DECLINED) {

        /* the claim may have been made: right behind it, it is given up */

        ngx_http_tccbs_claim_end(ctx, NGX_HTTP_TCCBS_CLAIM_FREE, NULL, 0,
                                 NULL);
    }

    if (rc != NGX_OK) {
        ngx_str_null(&ctx->claim);
    }

    return rc;
}


static ngx_int_t
ngx_http_tccbs_claim_ask(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold)
{
    ngx_int_t   rc;
    ngx_str_t   argv[NGX_HTTP_TCCBS_CLAIM_ARGS], hex;
    ngx_uint_t  n, nkeys;
    u_char      text[NGX_TCCBS_HEX_LEN];

    if (ngx_http_tccbs_tell_keys(ctx->mcf->redis, hold, ctx->call.to,
                                 ctx->call.nto, argv)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    nkeys = 1 + ctx->call.nto;
    n = nkeys;

    argv[n++] = ctx->id;

    if (ngx_http_tccbs_ask_number(ctx, &argv[n++], ctx->lcf->hold * 1000
                                                   + ctx->lcf->total_timeout)
        != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[n++], ctx->waited) != NGX_OK)
    {
        return NGX_ERROR;
    }

    hex.data = text;
    hex.len = ngx_tccbs_hex(text, ctx->digest, sizeof(ctx->digest)) - text;

    argv[n++] = hex;

    rc = ngx_http_tccbs_ask(ctx, NGX_HTTP_TCCBS_SCRIPT_CLAIM, argv, n, nkeys);

    if (rc == NGX_AGAIN) {
        ctx->claim = ctx->id;
    }

    return rc;
}


static ngx_int_t
ngx_http_tccbs_claim_read(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    int64_t            said, left;
    ngx_tccbs_resp_t  *reply;

    reply = ctx->ask.reply;

    if (ngx_tccbs_resp_integer(reply, 0, 0, 4, &said) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (said == 0) {
        return NGX_OK;
    }

    if (said == 4) {
        return ngx_http_tccbs_claim_regions(ctx, found);
    }

    if (ngx_http_tccbs_claim_id(reply, 1, found) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (said == 1) {
        return NGX_ABORT;
    }

    if (said == 2) {
        return ngx_http_tccbs_claim_answer(ctx, found);
    }

    if (ngx_tccbs_resp_integer(reply, 2, 0, NGX_HTTP_TCCBS_CLAIM_LONGEST,
                               &left)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    found->left = left / 1000 + 1;

    return NGX_BUSY;
}


/* What a caller is told is what was understood, as if CBS had said it. */

static ngx_int_t
ngx_http_tccbs_claim_answer(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    int64_t            outcome;
    ngx_str_t          text;
    ngx_tccbs_out_t    out;
    ngx_tccbs_reply_t  reply;

    if (ngx_tccbs_resp_integer(ctx->ask.reply, 2, NGX_TCCBS_SUCCESS,
                               NGX_TCCBS_REJECTED, &outcome)
        != NGX_OK
        || ngx_tccbs_resp_string(ctx->ask.reply, 3,
                                 NGX_HTTP_TCCBS_CLAIM_ANSWER, &text)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_tccbs_reply_parse(&reply, ctx->request->pool, &ctx->call,
                              NGX_HTTP_OK, &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (reply.tree == NULL || (int64_t) reply.outcome != outcome) {
        return NGX_DECLINED;
    }

    /* its strings are those of the text */

    ngx_tccbs_out_init(&out, ctx->request->pool, text.len + 64);
    ngx_tccbs_reply_write(&reply, &out);

    if (out.failed) {
        return NGX_ERROR;
    }

    found->outcome = outcome;
    found->answer = ngx_tccbs_out_str(&out);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_tccbs_claim_regions(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found)
{
    int64_t            region;
    ngx_str_t          made;
    ngx_uint_t         i;
    ngx_tccbs_resp_t  *reply, *element;

    reply = ctx->ask.reply;

    ngx_memzero(found, ctx->call.nto * sizeof(ngx_http_tccbs_found_t));

    for (i = 1; i < reply->nelts; i++) {
        element = &reply->elts[i];

        if (ngx_tccbs_resp_integer(element, 0, 0,
                                   (int64_t) ctx->call.nto - 1, &region)
            != NGX_OK
            || ngx_http_tccbs_claim_id(element, 1, &found[region]) != NGX_OK
            || ngx_tccbs_resp_string(element, 2, NGX_TCCBS_HEX_LEN, &made)
               != NGX_OK
            || (made.len && !ngx_tccbs_snapshot_valid(&made)))
        {
            return NGX_DECLINED;
        }

        found[region].made = 1;
        found[region].answer.len = made.len;
        found[region].answer.data = ngx_pstrdup(ctx->request->pool, &made);

        if (found[region].answer.data == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_HTTP_TCCBS_CLAIM_MADE;
}


static ngx_int_t
ngx_http_tccbs_claim_id(ngx_tccbs_resp_t *reply, ngx_uint_t n,
    ngx_http_tccbs_found_t *found)
{
    size_t     i;
    ngx_str_t  id;

    if (ngx_tccbs_resp_string(reply, n, NGX_TCCBS_UUID_LEN, &id) != NGX_OK
        || id.len != NGX_TCCBS_UUID_LEN)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < id.len; i++) {
        if ((id.data[i] < '0' || id.data[i] > '9')
            && (id.data[i] < 'a' || id.data[i] > 'f') && id.data[i] != '-')
        {
            return NGX_ERROR;
        }
    }

    ngx_memcpy(found->id, id.data, sizeof(found->id));

    return NGX_OK;
}


void
ngx_http_tccbs_claim_end(ngx_http_tccbs_ctx_t *ctx, const char *state,
    ngx_str_t *answer, time_t seconds, ngx_str_t *known)
{
    ngx_http_tccbs_hold_t  hold;
    ngx_http_tccbs_tell_t  tell;

    if (ctx->mcf->redis == NULL
        || (ctx->claim.len == 0 && *state == *NGX_HTTP_TCCBS_CLAIM_FREE
            && known == NULL))
    {
        return;
    }

    /* a refusal by Tencent that is not kept may be asked for again */

    if (answer && answer->len > NGX_HTTP_TCCBS_CLAIM_ANSWER) {
        state = (*state == *NGX_HTTP_TCCBS_CLAIM_WAITED)
                ? NGX_HTTP_TCCBS_CLAIM_FREE : NGX_HTTP_TCCBS_CLAIM_HELD;
        seconds = ctx->lcf->hold;
        answer = NULL;
    }

    ngx_memzero(&tell, sizeof(ngx_http_tccbs_tell_t));

    tell.token = ctx->claim.len ? ctx->claim : ctx->id;
    tell.state = state;
    tell.answer = answer;
    tell.outcome = ctx->outcome;
    tell.seconds = seconds;
    tell.known = known;

    if (known) {
        tell.to = ctx->call.to;
        tell.n = ctx->call.nto;
    }

    ngx_str_null(&ctx->claim);

    ngx_http_tccbs_claim_what(ctx, &hold);
    ngx_http_tccbs_tell(ctx->mcf->redis, &hold, &tell, ctx->lcf->hold);
}


void
ngx_http_tccbs_claim_made(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_found_t *found, ngx_str_t *snapshot)
{
    ngx_str_t              argv[4];
    ngx_http_tccbs_hold_t  hold;

    if (ctx->mcf->redis == NULL) {
        return;
    }

    ngx_http_tccbs_claim_what(ctx, &hold);

    argv[1].data = found->id;
    argv[1].len = sizeof(found->id);
    argv[2] = *snapshot;

    if (ngx_http_tccbs_tell_key(ctx->mcf->redis, &hold, "h", found->key,
                                &argv[0])
        == NGX_OK
        && ngx_http_tccbs_ask_number(ctx, &argv[3], ctx->lcf->hold * 1000)
           == NGX_OK)
    {
        ngx_http_tccbs_redis_note(NGX_HTTP_TCCBS_SCRIPT_MADE, argv, 4, 1,
                                  ctx->lcf->hold);
    }
}


static void
ngx_http_tccbs_claim_what(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold)
{
    ngx_memzero(hold, sizeof(ngx_http_tccbs_hold_t));

    hold->pool = ctx->request->pool;
    hold->credential = ctx->account->credential->name;
    hold->snapshot = ctx->call.snapshot;
    hold->id = ctx->id;

    ngx_memcpy(hold->call, ctx->digest, sizeof(hold->call));
}
