
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_decode.h"
#include "ngx_http_tccbs_refuse.h"


ngx_int_t
ngx_http_tccbs_read(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    u_char       *p;
    size_t        len, n;
    ssize_t       size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    len = 0;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);

        if (len > ctx->lcf->body_size) {
            return ngx_http_tccbs_refuse(ctx, "RequestSizeLimitExceeded",
                                         "body-size",
                                         "The body of the request is larger "
                                         "than %uz bytes.",
                                         ctx->lcf->body_size);
        }
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->body.data = p;
    ctx->body.len = len;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;
        n = ngx_buf_size(b);

        if (n == 0) {
            continue;
        }

        if (b->in_file) {
            size = ngx_read_file(b->file, p, n, b->file_pos);

            if (size != (ssize_t) n) {
                return NGX_ERROR;
            }

        } else {
            ngx_memcpy(p, b->pos, n);
        }

        p += n;
    }

    *p = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_decode(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t                  rc, action;
    ngx_http_tccbs_headers_t  *h;

    static ngx_str_t  version = ngx_string("2017-03-12");

    h = &ctx->headers;

    if (h->version.len != version.len
        || ngx_strncmp(h->version.data, version.data, version.len) != 0)
    {
        return ngx_http_tccbs_refuse(ctx, "NoSuchVersion", "version",
                                     "The version must be \"2017-03-12\".");
    }

    action = ngx_tccbs_action(&h->action);

    if (action == NGX_ERROR) {
        return ngx_http_tccbs_refuse(ctx, "InvalidAction", "action",
                                     "The gateway knows the actions "
                                     "\"CopySnapshotCrossRegions\" and "
                                     "\"DescribeSnapshots\".");
    }

    if (h->region.len == 0) {
        return ngx_http_tccbs_refuse(ctx, "MissingParameter", "region",
                                     "The request is missing a required "
                                     "parameter `X-TC-Region`.");
    }

    if (!ngx_tccbs_region_valid(&h->region)) {
        return ngx_http_tccbs_refuse(ctx, "UnsupportedRegion", "region",
                                     "The header `X-TC-Region` is not a "
                                     "region code.");
    }

    ctx->call.action = action;
    ctx->call.from = h->region;
    ctx->called = 1;

    rc = ngx_tccbs_call_parse(&ctx->call, r->pool, &ctx->body, &ctx->error);

    if (rc == NGX_DECLINED) {
        ngx_str_set(&ctx->rule, "parameters");
    }

    if (rc != NGX_OK || !ctx->lcf->snapshot_tag || action != NGX_TCCBS_COPY) {
        return rc;
    }

    rc = ngx_tccbs_call_tag(&ctx->call, r->pool, &ctx->id);

    if (rc == NGX_DECLINED) {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameterValue",
                                     "parameters",
                                     "`SnapshotName` must have at most %d "
                                     "characters: the gateway adds a tag.",
                                     NGX_TCCBS_NAME_MAX - NGX_TCCBS_TAG_LEN
                                     - 2);
    }

    return rc;
}
