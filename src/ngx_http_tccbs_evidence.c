
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_claim.h"
#include "ngx_http_tccbs_evidence.h"
#include "ngx_http_tccbs_hold.h"
#include "ngx_http_tccbs_record.h"


static void ngx_http_tccbs_evidence_item(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold, ngx_http_tccbs_found_t *found,
    ngx_tccbs_json_t *item);


void
ngx_http_tccbs_evidence(ngx_http_tccbs_ctx_t *ctx)
{
    ngx_tccbs_json_t        *set, *item;
    ngx_http_tccbs_hold_t    hold;
    ngx_http_tccbs_found_t   found;

    if (ctx->call.action != NGX_TCCBS_DESCRIBE
        || ctx->outcome != NGX_TCCBS_SUCCESS)
    {
        return;
    }

    ngx_memzero(&hold, sizeof(ngx_http_tccbs_hold_t));

    hold.zone = ctx->mcf->zone;
    hold.pool = ctx->request->pool;
    hold.credential = ctx->account->credential->name;
    hold.id.data = found.id;
    hold.id.len = sizeof(found.id);

    set = ngx_tccbs_json_get(ctx->reply.tree, "Response");
    set = ngx_tccbs_json_get(set, "SnapshotSet");

    for (item = set ? set->child : NULL; item; item = item->next) {
        ngx_http_tccbs_evidence_item(ctx, &hold, &found, item);
    }
}


static void
ngx_http_tccbs_evidence_item(ngx_http_tccbs_ctx_t *ctx,
    ngx_http_tccbs_hold_t *hold, ngx_http_tccbs_found_t *found,
    ngx_tccbs_json_t *item)
{
    ngx_str_t          tag, none = ngx_null_string;
    ngx_tccbs_json_t  *id, *name, *region;

    id = ngx_tccbs_json_get(item, "SnapshotId");
    name = ngx_tccbs_json_get(item, "SnapshotName");
    region = ngx_tccbs_json_get(item, "CopyingToRegions");

    if (id == NULL || id->type != NGX_TCCBS_JSON_STRING || id->value.len == 0) {
        return;
    }

    if (name && name->type == NGX_TCCBS_JSON_STRING
        && ngx_tccbs_name_tag(&name->value, &tag)
        && ngx_http_tccbs_hold_settle_tag(hold, &tag, &ctx->call.from,
                                          &id->value, ctx->lcf->hold, found)
           == NGX_OK)
    {
        hold->snapshot = none;
        hold->tag = tag;

        ngx_http_tccbs_record_settled(ctx, hold, &ctx->call.from, &id->value);
        ngx_http_tccbs_claim_made(ctx, found, &id->value);
    }

    hold->snapshot = id->value;
    hold->tag = none;

    for (region = region ? region->child : NULL; region; region = region->next)
    {
        if (region->type == NGX_TCCBS_JSON_STRING
            && ngx_http_tccbs_hold_settle(hold, &region->value,
                                          ctx->lcf->hold, found)
               == NGX_OK)
        {
            ngx_http_tccbs_record_settled(ctx, hold, &region->value, &none);
            ngx_http_tccbs_claim_made(ctx, found, &none);
        }
    }
}
