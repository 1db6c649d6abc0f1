
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_enter.h"
#include "ngx_http_tccbs_refuse.h"


static ngx_int_t ngx_http_tccbs_superseded(ngx_http_tccbs_ctx_t *ctx);


ngx_int_t
ngx_http_tccbs_enter(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ctx->term = ngx_http_tccbs_takeover_present(&ctx->mcf->audit.takeover);

    return ctx->term ? NGX_OK : ngx_http_tccbs_superseded(ctx);
}


ngx_int_t
ngx_http_tccbs_entered(ngx_http_tccbs_ctx_t *ctx)
{
    return (ngx_http_tccbs_takeover_present(&ctx->mcf->audit.takeover)
            == ctx->term)
           ? NGX_OK : ngx_http_tccbs_superseded(ctx);
}


static ngx_int_t
ngx_http_tccbs_superseded(ngx_http_tccbs_ctx_t *ctx)
{
    return ngx_http_tccbs_refuse(ctx, "ServiceUnavailable", "takeover",
                                 "Another nginx has taken over; nothing was "
                                 "sent to Tencent Cloud, the call can be "
                                 "repeated.");
}
