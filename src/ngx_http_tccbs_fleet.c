
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_ask.h"
#include "ngx_http_tccbs_fleet.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_FLEET_DAY   86400
#define NGX_HTTP_TCCBS_FLEET_GIVE  60         /* seconds, then it is late */
#define NGX_HTTP_TCCBS_FLEET_MAX   1000000000000000000  /* of any number */


static ngx_int_t ngx_http_tccbs_fleet_limit_ask(ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_fleet_limit_keys(ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *argv);
static void ngx_http_tccbs_fleet_late(ngx_http_tccbs_command_t *command,
    ngx_tccbs_resp_t *reply);
static void ngx_http_tccbs_fleet_owe(ngx_http_tccbs_ctx_t *ctx);


ngx_int_t
ngx_http_tccbs_fleet_limit(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_limits_t *limits)
{
    int64_t                 over, wait, used, day;
    ngx_int_t               rc;
    ngx_tccbs_resp_t       *reply;
    ngx_http_tccbs_usage_t *usage;

    static ngx_str_t  name = ngx_string("limit");

    if (!ctx->asked) {
        return ngx_http_tccbs_fleet_limit_ask(ctx);
    }

    rc = ngx_http_tccbs_ask_answered(ctx);

    if (rc != NGX_OK) {
        ngx_http_tccbs_fleet_owe(ctx);
        return rc;
    }

    ctx->owed = 0;
    reply = ctx->ask.reply;

    if (ngx_tccbs_resp_integer(reply, 0, 0, 2, &over) != NGX_OK
        || ngx_tccbs_resp_integer(reply, 1, 0, NGX_HTTP_TCCBS_FLEET_MAX, &wait)
           != NGX_OK
        || ngx_tccbs_resp_integer(reply, 2, 0, NGX_MAX_UINT32_VALUE, &used)
           != NGX_OK
        || ngx_tccbs_resp_integer(reply, 3, 0, NGX_MAX_UINT32_VALUE, &day)
           != NGX_OK)
    {
        ngx_http_tccbs_redis_nonsense(&name);
        return NGX_DECLINED;
    }

    limits->over = over;
    limits->wait = wait;
    limits->left = wait;
    limits->used = used;
    limits->day = day;

    /* what is known if Redis is lost, or has lost it */

    usage = ctx->account->usage;
    usage->quota = (uint64_t) day << 32 | used;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_fleet_limit_ask(ngx_http_tccbs_ctx_t *ctx)
{
    uint32_t                   day;
    ngx_int_t                  rc;
    ngx_str_t                  argv[9];
    ngx_uint_t                 copy;
    ngx_http_tccbs_usage_t    *usage;
    ngx_http_tccbs_account_t  *account;

    account = ctx->account;
    usage = account->usage;
    copy = (ctx->call.action == NGX_TCCBS_COPY && account->quota);
    day = ngx_time() / NGX_HTTP_TCCBS_FLEET_DAY;

    if (copy) {
        ctx->owed = ngx_tccbs_quota_drain(&usage->owed, day);
        ctx->owed_day = day;
    }

    if (ngx_http_tccbs_fleet_limit_keys(ctx, argv) != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[2], account->rate_cost)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[3], account->rate_cost
                                                    * account->rate_burst)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[4],
                                     copy ? ctx->call.nto : 0)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[5],
                                     copy ? account->quota : 0)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[6], day) != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[7],
                                     ngx_tccbs_quota_used(&usage->quota, day))
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[8], ctx->owed) != NGX_OK)
    {
        rc = NGX_ERROR;

    } else {
        rc = ngx_http_tccbs_ask(ctx, NGX_HTTP_TCCBS_SCRIPT_LIMIT, argv,
                                9, 2);
    }

    if (rc == NGX_AGAIN) {
        ctx->ask.entry->late = ngx_http_tccbs_fleet_late;

    } else {
        ngx_http_tccbs_fleet_owe(ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_tccbs_fleet_limit_keys(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *argv)
{
    ngx_str_t  *name, none = ngx_null_string;

    name = &ctx->account->name;

    if (ngx_http_tccbs_ask_key(ctx, &argv[0], "a", name, "r",
                               &ngx_tccbs_actions[ctx->call.action])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_tccbs_ask_key(ctx, &argv[1], "a", name, "q", &none);
}


/*
 * A call that did not wait for this was judged here, or has gone: what was
 * taken for it is given back, and so is what was told, as it is owed again.
 */

static void
ngx_http_tccbs_fleet_late(ngx_http_tccbs_command_t *command,
    ngx_tccbs_resp_t *reply)
{
    int64_t    over, day;
    ngx_int_t  n;
    ngx_str_t  argv[9], give[5];
    u_char     copies[NGX_INT_T_LEN], today[NGX_INT64_LEN];

    if (ngx_tccbs_resp_integer(reply, 0, 0, 2, &over) != NGX_OK
        || ngx_tccbs_resp_integer(reply, 3, 0, NGX_MAX_UINT32_VALUE, &day)
           != NGX_OK)
    {
        return;
    }

    ngx_http_tccbs_command_argv(command, argv, 9);

    n = (ngx_atoi(argv[6].data, argv[6].len) == day)
        ? ngx_atoi(argv[8].data, argv[8].len) : 0;

    give[0] = argv[0];
    give[1] = argv[1];

    if (over) {
        ngx_str_set(&give[2], "0");

    } else {
        give[2] = argv[2];
        n += ngx_atoi(argv[4].data, argv[4].len);
    }

    if (over && n == 0) {
        return;
    }

    give[3].data = copies;
    give[3].len = ngx_sprintf(copies, "%i", n) - copies;
    give[4].data = today;
    give[4].len = ngx_sprintf(today, "%L", day) - today;

    ngx_http_tccbs_redis_note(NGX_HTTP_TCCBS_SCRIPT_GIVE, give, 5, 2,
                              NGX_HTTP_TCCBS_FLEET_GIVE);
}


/* What Redis may not have been told of is still to be told. */

static void
ngx_http_tccbs_fleet_owe(ngx_http_tccbs_ctx_t *ctx)
{
    if (ctx->owed) {
        (void) ngx_tccbs_quota_take(&ctx->account->usage->owed, ctx->owed_day,
                                    ctx->owed, NGX_MAX_UINT32_VALUE);
        ctx->owed = 0;
    }
}


void
ngx_http_tccbs_fleet_give(ngx_http_tccbs_ctx_t *ctx, ngx_uint_t rate,
    uint32_t day)
{
    ngx_str_t  argv[5];

    if (day) {
        ngx_tccbs_quota_give(&ctx->account->usage->quota, day, ctx->call.nto);
    }

    if (ngx_http_tccbs_fleet_limit_keys(ctx, argv) != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[2],
                                     rate ? ctx->account->rate_cost : 0)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[3], day ? ctx->call.nto : 0)
           != NGX_OK
        || ngx_http_tccbs_ask_number(ctx, &argv[4], day) != NGX_OK)
    {
        return;
    }

    ngx_http_tccbs_redis_note(NGX_HTTP_TCCBS_SCRIPT_GIVE, argv, 5, 2,
                              NGX_HTTP_TCCBS_FLEET_GIVE);
}


void
ngx_http_tccbs_fleet_cancel(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_http_tccbs_redis_cancel(&ctx->ask);
    ngx_http_tccbs_fleet_owe(ctx);
}
