
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_certificate.h"
#include "ngx_http_tccbs_identify.h"
#include "ngx_http_tccbs_mapped.h"
#include "ngx_http_tccbs_refuse.h"
#include "ngx_http_tccbs_replay.h"


static ngx_int_t ngx_http_tccbs_identify_mapped(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx);
static ngx_int_t ngx_http_tccbs_identify_required(ngx_http_tccbs_ctx_t *ctx,
    ngx_str_t *value, const char *name);
static ngx_int_t ngx_http_tccbs_identify_signed(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_tccbs_tc3_auth_t *auth, time_t stamp);
static ngx_int_t ngx_http_tccbs_identify_signature(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_tccbs_tc3_auth_t *auth,
    ngx_http_tccbs_key_t *key);


ngx_int_t
ngx_http_tccbs_identify(ngx_http_request_t *r, ngx_http_tccbs_ctx_t *ctx)
{
    time_t                     stamp;
    ngx_int_t                  rc;
    ngx_str_t                  why;
    ngx_tccbs_tc3_auth_t       auth;
    ngx_http_tccbs_headers_t  *h;

    if (ctx->lcf->identity) {
        return ngx_http_tccbs_identify_mapped(r, ctx);
    }

    h = &ctx->headers;

    if (h->authorization.len == 0) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.InvalidAuthorization",
                                     "authorization",
                                     "The request is not signed; sign it with "
                                     "TC3-HMAC-SHA256 and a key that this "
                                     "gateway issued.");
    }

    if (ngx_tccbs_tc3_parse(&auth, &h->authorization, &why) != NGX_OK) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.InvalidAuthorization",
                                     "authorization",
                                     "The header `Authorization` is invalid: "
                                     "%V.", &why);
    }

    if (h->payload.len) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.InvalidAuthorization",
                                     "unsigned-payload",
                                     "The signature must cover the body: "
                                     "`X-TC-Content-SHA256` is not accepted.");
    }

    rc = ngx_http_tccbs_identify_required(ctx, &h->timestamp,
                                          "X-TC-Timestamp");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_tccbs_identify_required(ctx, &h->action, "X-TC-Action");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_tccbs_identify_required(ctx, &h->version, "X-TC-Version");
    if (rc != NGX_OK) {
        return rc;
    }

    stamp = ngx_tccbs_tc3_timestamp(&h->timestamp);

    if (stamp == (time_t) NGX_ERROR) {
        return ngx_http_tccbs_refuse(ctx, "InvalidParameterValue", "timestamp",
                                     "The header `X-TC-Timestamp` must be the "
                                     "UNIX time in seconds.");
    }

    return ngx_http_tccbs_identify_signed(r, ctx, &auth, stamp);
}


static ngx_int_t
ngx_http_tccbs_identify_required(ngx_http_tccbs_ctx_t *ctx, ngx_str_t *value,
    const char *name)
{
    if (value->len) {
        return NGX_OK;
    }

    return ngx_http_tccbs_refuse(ctx, "MissingParameter", "header",
                                 "The request is missing a required parameter "
                                 "`%s`.", name);
}


static ngx_int_t
ngx_http_tccbs_identify_signed(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_tccbs_tc3_auth_t *auth, time_t stamp)
{
    time_t                 skew;
    ngx_int_t              rc;
    const char            *rule;
    ngx_http_tccbs_key_t  *key;
    u_char                 date[NGX_TCCBS_TC3_DATE_LEN];

    if (!ngx_tccbs_key_id_valid(&auth->key_id)) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.InvalidSecretId", "key",
                                     "The SecretId is not one that this "
                                     "gateway issues.");
    }

    if (!ngx_tccbs_tc3_service_valid(&auth->service, &ctx->headers.host)) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureFailure",
                                     "service",
                                     "The service of the credential scope must "
                                     "be \"cbs\".");
    }

    ngx_http_tccbs_replay_prefetch(ctx->mcf->zone, auth->signature);

    /* the signature is computed for an unknown key and for any time, too */

    key = ngx_http_tccbs_key_find(ctx->mcf->keys, ctx->mcf->zone,
                                  &auth->key_id);

    rc = ngx_http_tccbs_identify_signature(r, ctx, auth, key);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (key == NULL) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SecretIdNotFound",
                                     "key", "The SecretId is not found.");
    }

    skew = ngx_time() - stamp;

    if (skew > NGX_TCCBS_TC3_WINDOW || skew < -NGX_TCCBS_TC3_WINDOW) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureExpire",
                                     "timestamp",
                                     "The timestamp of the request is %T "
                                     "seconds %s the clock of the gateway, "
                                     "%d are allowed.",
                                     (skew > 0) ? skew : -skew,
                                     (skew > 0) ? "behind" : "ahead of",
                                     NGX_TCCBS_TC3_WINDOW);
    }

    ngx_tccbs_tc3_date(stamp, date);

    if (ngx_memcmp(date, auth->date.data, sizeof(date)) != 0) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureFailure",
                                     "date",
                                     "The date of the credential scope is not "
                                     "the UTC date of the timestamp.");
    }

    rule = "signature";

    if (rc == NGX_OK) {

        ctx->account = key->account;
        ctx->key = key;

        /* the answer is that to a wrong key, the record says more */

        if (key->certificate.len) {
            rule = "certificate";
            rc = ngx_http_tccbs_certificate_is(r, &key->certificate);
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.SignatureFailure", rule,
                                     "The signature does not match; check the "
                                     "SecretKey.");
    }

    if (ctx->headers.token.len) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.TokenFailure", "token",
                                     "Keys of this gateway have no token.");
    }

    ngx_memcpy(ctx->signature, auth->signature, sizeof(ctx->signature));
    ctx->stamp = stamp;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_identify_signature(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx, ngx_tccbs_tc3_auth_t *auth,
    ngx_http_tccbs_key_t *key)
{
    ngx_uint_t                 n;
    ngx_tccbs_mac_t           *mac;
    ngx_tccbs_tc3_header_t     headers[8], *header;
    ngx_tccbs_tc3_request_t    req;
    ngx_http_tccbs_headers_t  *h;

    mac = ngx_http_tccbs_key_mac(key, &auth->date, &auth->service);
    if (mac == NULL) {
        return NGX_ERROR;
    }

    h = &ctx->headers;
    n = 0;

#define ngx_http_tccbs_cover(text, field)                                     \
    header = &headers[n++];                                                   \
    ngx_str_set(&header->name, text);                                         \
    header->value = h->field

    /* nginx, or a check above, has refused a request without one of these */

    ngx_http_tccbs_cover("content-type", content_type);
    ngx_http_tccbs_cover("host", host);
    ngx_http_tccbs_cover("x-tc-action", action);
    ngx_http_tccbs_cover("x-tc-timestamp", timestamp);
    ngx_http_tccbs_cover("x-tc-version", version);

    if (h->language.data) {
        ngx_http_tccbs_cover("x-tc-language", language);
    }

    if (h->region.data) {
        ngx_http_tccbs_cover("x-tc-region", region);
    }

#undef ngx_http_tccbs_cover

    req.method = r->method_name;
    ngx_str_set(&req.uri, "/");
    ngx_str_null(&req.query);
    req.headers = headers;
    req.nheaders = n;
    req.timestamp = h->timestamp;
    req.payload = ctx->body;

    return ngx_tccbs_tc3_verify(mac, auth, &req,
                                ctx->lcf->signed_hosts
                                    ? ctx->lcf->signed_hosts->elts : NULL,
                                ctx->lcf->signed_hosts
                                    ? ctx->lcf->signed_hosts->nelts : 0,
                                r->pool);
}


static ngx_int_t
ngx_http_tccbs_identify_mapped(ngx_http_request_t *r,
    ngx_http_tccbs_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ngx_http_tccbs_mapped(r, ctx, &ctx->account) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->account == NULL) {
        return ngx_http_tccbs_refuse(ctx, "AuthFailure.UnauthorizedOperation",
                                     "identity",
                                     "The caller maps to no account of this "
                                     "gateway.");
    }

    rc = ngx_http_tccbs_identify_required(ctx, &ctx->headers.action,
                                          "X-TC-Action");
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_tccbs_identify_required(ctx, &ctx->headers.version,
                                            "X-TC-Version");
}
