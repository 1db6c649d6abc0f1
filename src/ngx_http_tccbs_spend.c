
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_ask.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_http_tccbs_replay.h"
#include "ngx_http_tccbs_spend.h"
#include "ngx_tccbs_text.h"


static uint32_t ngx_http_tccbs_spend_context(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_spend_ask(ngx_http_tccbs_ctx_t *ctx,
    uint32_t context, time_t life);
static ngx_int_t ngx_http_tccbs_spend_answer(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_spend_refuse(ngx_http_tccbs_ctx_t *ctx,
    ngx_int_t rc);


ngx_int_t
ngx_http_tccbs_spend(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    time_t     life;
    uint32_t   context;
    ngx_int_t  rc;

    if (ctx->key == NULL) {
        return NGX_OK;
    }

    context = ngx_http_tccbs_spend_context(ctx);
    life = ctx->stamp + NGX_TCCBS_TC3_WINDOW - ngx_time();

    if (ctx->mcf->redis) {

        rc = ctx->asked ? ngx_http_tccbs_spend_answer(ctx)
                        : ngx_http_tccbs_spend_ask(ctx, context, life);

        if (rc == NGX_AGAIN || rc == NGX_ERROR) {
            return rc;
        }

        /* to look again costs nothing */

        if (rc == NGX_BUSY
            && ctx->mcf->redis->duplicates == NGX_HTTP_TCCBS_REDIS_DENY
            && ngx_tccbs_same(&ctx->headers.action,
                              &ngx_tccbs_actions[NGX_TCCBS_COPY]))
        {
            return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "redis",
                                         "The gateway cannot tell whether "
                                         "this call was sent through another "
                                         "one; nothing was sent to Tencent "
                                         "Cloud.");
        }

        if (rc != NGX_OK && rc != NGX_BUSY) {
            return ngx_http_tccbs_spend_refuse(ctx, rc);
        }
    }

    rc = ngx_http_tccbs_replay_check(ctx->mcf->zone, ctx->signature, context,
                                     life, ctx->lcf->replay_window);

    return (rc == NGX_OK) ? NGX_OK : ngx_http_tccbs_spend_refuse(ctx, rc);
}


/* What no signature of an SDK covers. */

static uint32_t
ngx_http_tccbs_spend_context(ngx_http_tccbs_ctx_t *ctx)
{
    uint32_t                   crc;
    ngx_http_tccbs_headers_t  *h;

    h = &ctx->headers;

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, ctx->key->id.data, ctx->key->id.len);
    ngx_crc32_update(&crc, (u_char *) "\n", 1);
    ngx_crc32_update(&crc, h->action.data, h->action.len);
    ngx_crc32_update(&crc, (u_char *) "\n", 1);
    ngx_crc32_update(&crc, h->version.data, h->version.len);
    ngx_crc32_update(&crc, (u_char *) "\n", 1);
    ngx_crc32_update(&crc, h->region.data, h->region.len);
    ngx_crc32_final(crc);

    return crc;
}


/* Redis gets a digest: a signature can be used as long as it is remembered. */

static ngx_int_t
ngx_http_tccbs_spend_ask(ngx_http_tccbs_ctx_t *ctx, uint32_t context,
    time_t life)
{
    ngx_int_t  rc;
    ngx_str_t  piece, name, argv[4], none = ngx_null_string;
    u_char     digest[NGX_TCCBS_SHA256_LEN], hex[NGX_TCCBS_HEX_LEN];

    piece.data = ctx->signature;
    piece.len = sizeof(ctx->signature);

    if (ngx_tccbs_sha256(digest, &piece, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    name.data = hex;
    name.len = ngx_tccbs_hex(hex, digest, sizeof(digest)) - hex;

    if (ngx_http_tccbs_ask_key(ctx, &argv[0], "s", &name, "c", &none) != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[1], context) != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[2], (life + 1) * 1000)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[3], ctx->lcf->replay_window)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_ask(ctx, NGX_HTTP_TCCBS_SCRIPT_SPEND, argv, 4, 1);

    return (rc == NGX_DECLINED) ? NGX_BUSY : rc;
}


/* As ngx_http_tccbs_replay_check(), or NGX_BUSY when there is no answer. */

static ngx_int_t
ngx_http_tccbs_spend_answer(ngx_http_tccbs_ctx_t *ctx)
{
    int64_t           said;

    static ngx_str_t  name = ngx_string("a signature");
    static ngx_int_t  codes[] = { NGX_OK, NGX_DECLINED, NGX_ABORT };

    if (ngx_http_tccbs_ask_answered(ctx) != NGX_OK) {
        return NGX_BUSY;
    }

    if (ngx_tccbs_resp_integer(ctx->ask.reply, 0, 0, 2, &said) != NGX_OK) {
        ngx_http_tccbs_redis_nonsense(&name);
        return NGX_BUSY;
    }

    return codes[said];
}


static ngx_int_t
ngx_http_tccbs_spend_refuse(ngx_http_tccbs_ctx_t *ctx, ngx_int_t rc)
{
    switch (rc) {

    case NGX_DECLINED:
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureFailure",
                                     "replay",
                                     "This signature was used with another "
                                     "action, version or region.");

    case NGX_ABORT:
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureExpire",
                                     "replay",
                                     "This signature was used more than %T "
                                     "seconds ago, sign the call again.",
                                     ctx->lcf->replay_window);

    default:
        return ngx_http_tccbs_refuse(ctx,
                                     "RequestLimitExceeded.IPLimitExceeded",
                                     "replay",
                                     "The gateway has no room to remember "
                                     "another signature, try again in five "
                                     "minutes.");
    }
}
