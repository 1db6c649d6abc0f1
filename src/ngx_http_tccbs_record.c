
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_noise.h"
#include "ngx_http_tccbs_record.h"
#include "ngx_http_tccbs_refuse.h"


#define NGX_HTTP_TCCBS_RECORD_SIZE  768


static ngx_int_t ngx_http_tccbs_record_signer(ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_record_caller(ngx_tccbs_out_t *out,
    ngx_http_tccbs_ctx_t *ctx);
static void ngx_http_tccbs_record_str(ngx_tccbs_out_t *out, const char *name,
    const ngx_str_t *value);
static void ngx_http_tccbs_record_uint(ngx_tccbs_out_t *out, const char *name,
    uint64_t value);
static void ngx_http_tccbs_record_per(ngx_tccbs_out_t *out,
    ngx_tccbs_reply_t *reply);


static ngx_int_t
ngx_http_tccbs_record_signer(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_tccbs_credential_key(ctx->account->credential,
                                       ctx->request->pool, ngx_time(),
                                       &ctx->signer);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "credential",
                                 "The gateway has no valid credential now; "
                                 "nothing was sent to Tencent Cloud.");
}


ngx_int_t
ngx_http_tccbs_record_intent(ngx_http_tccbs_ctx_t *ctx)
{
    size_t           from;
    ngx_int_t        rc;
    ngx_str_t        rest, call;
    ngx_tccbs_out_t  out;
    u_char           digest[NGX_TCCBS_HEX_LEN];

    rc = ngx_http_tccbs_record_signer(ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->decided = 1;

    ngx_tccbs_out_init(&out, ctx->request->pool, NGX_HTTP_TCCBS_RECORD_SIZE);

    ngx_tccbs_out_lit(&out, "\"kind\":\"intent\"");
    from = out.pos - out.start;
    ngx_http_tccbs_record_caller(&out, ctx);
    ctx->caller.len = out.pos - out.start - from;

    if (ctx->entry) {
        call.data = digest;
        call.len = ngx_tccbs_hex(digest, ctx->digest, sizeof(ctx->digest))
                   - digest;

        ngx_http_tccbs_record_str(&out, "call", &call);
    }

    ngx_http_tccbs_record_str(&out, "tag", &ctx->call.tag);

    ngx_tccbs_out_lit(&out, ",\"credential\":{");
    ngx_tccbs_out_lit(&out, "\"name\":");
    ngx_tccbs_out_string(&out, &ctx->account->credential->name);
    ngx_tccbs_out_lit(&out, ",\"key\":");
    ngx_tccbs_out_string(&out, &ctx->signer);
    ngx_tccbs_out_lit(&out, "}");

    ngx_http_tccbs_record_uint(&out, "pid", ngx_pid);

    if (out.failed) {
        return NGX_ERROR;
    }

    ctx->receipt.data = ngx_pnalloc(ctx->request->pool,
                                    NGX_HTTP_TCCBS_RECEIPT_LEN);
    if (ctx->receipt.data == NULL) {
        return NGX_ERROR;
    }

    ctx->flight = ngx_http_tccbs_flight_take(ctx->mcf->zone, &ctx->id);

    if (ctx->flight == NULL) {
        return NGX_BUSY;
    }

    rest = ngx_tccbs_out_str(&out);

    ctx->caller.data = rest.data + from;

    if (ngx_http_tccbs_audit_append(&ctx->id, &rest, NULL, &ctx->wait.pos)
        != NGX_OK)
    {
        ngx_http_tccbs_flight_free(ctx->flight);
        ctx->flight = NULL;
        return NGX_ERROR;
    }

    ctx->receipt.len = ngx_http_tccbs_chain_receipt(ctx->receipt.data)
                       - ctx->receipt.data;

    return NGX_OK;
}


void
ngx_http_tccbs_record_outcome(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t         rest;
    ngx_tccbs_out_t   out;

    ngx_tccbs_out_init(&out, ctx->request->pool, NGX_HTTP_TCCBS_RECORD_SIZE);

    /* who and what stand there as in the intent */

    ngx_tccbs_out_lit(&out, "\"kind\":\"outcome\"");
    ngx_tccbs_out_raw(&out, ctx->caller.data, ctx->caller.len);
    ngx_http_tccbs_record_str(&out, "outcome",
                              &ngx_tccbs_outcomes[ctx->outcome]);

    ngx_http_tccbs_record_str(&out, "code", ctx->reply.code.len
                                            ? &ctx->reply.code
                                            : &ctx->error.code);

    if (ctx->reply.nper) {
        ngx_http_tccbs_record_per(&out, &ctx->reply);
    }

    ngx_http_tccbs_record_str(&out, "tcid", &ctx->reply.tcid);
    ngx_http_tccbs_record_uint(&out, "status", ctx->attempt.status.code);
    ngx_http_tccbs_record_uint(&out, "sent", ctx->attempt.sent);
    ngx_http_tccbs_record_uint(&out, "ms", ctx->attempt.ms);

    rest = ngx_tccbs_out_str(&out);

    if (out.failed
        || ngx_http_tccbs_audit_append(&ctx->id, &rest, ctx->flight,
                                       &ctx->wait.pos)
           != NGX_OK)
    {
        /* the entry in the zone stays, so that recovery closes the intent */

        ngx_log_error(NGX_LOG_ALERT, ctx->request->connection->log, 0,
                      "no memory for the audit record of %V, outcome %V",
                      &ctx->id, &ngx_tccbs_outcomes[ctx->outcome]);
        return;
    }

    ctx->recorded = 1;
    ctx->flight = NULL;
}


void
ngx_http_tccbs_record_refusal(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t        rest;
    ngx_tccbs_out_t  out;

    /* refusals are summed up when room is short, it is kept for outcomes */

    if (ctx->account == NULL || !ngx_http_tccbs_audit_ready()) {
        ngx_http_tccbs_noise();
        return;
    }

    ngx_tccbs_out_init(&out, ctx->request->pool, NGX_HTTP_TCCBS_RECORD_SIZE);

    ngx_tccbs_out_lit(&out, "\"kind\":\"refusal\"");
    ngx_http_tccbs_record_caller(&out, ctx);
    ngx_http_tccbs_record_str(&out, "code", &ctx->error.code);
    ngx_http_tccbs_record_str(&out, "of", &ctx->original);

    rest = ngx_tccbs_out_str(&out);

    if (out.failed || ngx_http_tccbs_audit_note(&ctx->id, &rest) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "no memory for the audit record of %V, refused: %V",
                      &ctx->id, &ctx->error.code);
    }
}


void
ngx_http_tccbs_record_settled(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *region, ngx_str_t *made)
{
    ngx_str_t        rest, id;
    ngx_tccbs_out_t  out;
    u_char           uuid[NGX_TCCBS_UUID_LEN];

    if (ngx_tccbs_uuid(uuid) != NGX_OK) {
        return;
    }

    id.data = uuid;
    id.len = sizeof(uuid);

    ngx_tccbs_out_init(&out, ctx->request->pool, NGX_HTTP_TCCBS_RECORD_SIZE);

    ngx_tccbs_out_lit(&out, "\"kind\":\"recovery\"");
    ngx_http_tccbs_record_caller(&out, ctx);

    ngx_http_tccbs_record_str(&out, "of", &hold->id);
    ngx_http_tccbs_record_str(&out, "credential", &hold->credential);
    ngx_http_tccbs_record_str(&out, "source", &hold->snapshot);
    ngx_http_tccbs_record_str(&out, "tag", &hold->tag);
    ngx_tccbs_out_lit(&out, ",\"per\":[{\"region\":");
    ngx_tccbs_out_string(&out, region);
    ngx_http_tccbs_record_str(&out, "snapshot", made);
    ngx_tccbs_out_lit(&out, ",\"code\":\"Success\"}]");

    rest = ngx_tccbs_out_str(&out);

    if (out.failed || ngx_http_tccbs_audit_note(&id, &rest) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "no memory for the audit record of a copy that was "
                      "found, of %V", &hold->id);
    }
}


/* Who, what and why: in every record, so that each can be read alone. */

static void
ngx_http_tccbs_record_caller(ngx_tccbs_out_t *out, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_str_t   policy, *decision;
    ngx_uint_t  i;

    static ngx_str_t  allowed = ngx_string("allowed");
    static ngx_str_t  refused = ngx_string("refused");
    static ngx_str_t  would = ngx_string("would-refuse");
    static ngx_str_t  duplicate = ngx_string("duplicate");

    ngx_http_tccbs_record_str(out, "account", &ctx->account->name);

    if (ctx->key) {
        ngx_http_tccbs_record_str(out, "key", &ctx->key->id);
    }

    ngx_http_tccbs_record_str(out, "client",
                              &ctx->request->connection->addr_text);

    ngx_http_tccbs_record_str(out, "trace", &ctx->trace);
    ngx_http_tccbs_record_str(out, "parent", &ctx->parent);

    if (ctx->called) {
        ngx_http_tccbs_record_str(out, "action",
                                  &ngx_tccbs_actions[ctx->call.action]);
        ngx_http_tccbs_record_str(out, "from", &ctx->call.from);

        if (ctx->call.nto) {
            ngx_tccbs_out_lit(out, ",\"to\":[");

            for (i = 0; i < ctx->call.nto; i++) {
                if (i) {
                    ngx_tccbs_out_lit(out, ",");
                }

                ngx_tccbs_out_string(out, &ctx->call.to[i]);
            }

            ngx_tccbs_out_lit(out, "]");
        }

        ngx_http_tccbs_record_str(out, "snapshot", &ctx->call.snapshot);
    }

    decision = ctx->monitored ? &would
                              : ctx->original.len ? &duplicate
                                                  : ctx->decided ? &allowed
                                                                 : &refused;

    ngx_http_tccbs_record_str(out, "decision", decision);

    if (!ctx->decided || ctx->monitored) {
        ngx_http_tccbs_record_str(out, "rule", &ctx->rule);
    }

    policy.data = ctx->mcf->policy;
    policy.len = sizeof(ctx->mcf->policy);

    ngx_http_tccbs_record_str(out, "policy", &policy);
}


static void
ngx_http_tccbs_record_str(ngx_tccbs_out_t *out, const char *name,
    const ngx_str_t *value)
{
    if (value->len == 0) {
        return;
    }

    ngx_tccbs_out_lit(out, ",\"");
    ngx_tccbs_out_raw(out, (const u_char *) name, ngx_strlen(name));
    ngx_tccbs_out_lit(out, "\":");
    ngx_tccbs_out_string(out, value);
}


static void
ngx_http_tccbs_record_uint(ngx_tccbs_out_t *out, const char *name,
    uint64_t value)
{
    ngx_tccbs_out_lit(out, ",\"");
    ngx_tccbs_out_raw(out, (const u_char *) name, ngx_strlen(name));
    ngx_tccbs_out_lit(out, "\":");
    ngx_tccbs_out_uint(out, value);
}


static void
ngx_http_tccbs_record_per(ngx_tccbs_out_t *out, ngx_tccbs_reply_t *reply)
{
    ngx_uint_t  i;

    ngx_tccbs_out_lit(out, ",\"per\":[");

    for (i = 0; i < reply->nper; i++) {

        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_lit(out, "{\"region\":");
        ngx_tccbs_out_string(out, &reply->per[i].region);

        ngx_http_tccbs_record_str(out, "snapshot", &reply->per[i].snapshot);
        ngx_http_tccbs_record_str(out, "code", &reply->per[i].code);

        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]");
}
