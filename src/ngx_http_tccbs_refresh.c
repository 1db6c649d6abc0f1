
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_refresh.h"
#include "ngx_tccbs_out.h"


#define NGX_HTTP_TCCBS_REFRESH_IDENTITY  16384 /* bytes of a web identity */


typedef struct {
    ngx_http_tccbs_source_t    *source;
    ngx_ssl_t                  *ssl;
    ngx_log_t                  *log;
    ngx_http_tccbs_refresh_pt   handler;
    void                       *data;
} ngx_http_tccbs_refresh_t;


static ngx_int_t ngx_http_tccbs_refresh_begin(
    ngx_http_tccbs_refresh_t *refresh, ngx_str_t *role);
static ngx_int_t ngx_http_tccbs_refresh_metadata(
    ngx_http_tccbs_fetch_t *fetch, ngx_http_tccbs_source_t *source,
    ngx_str_t *role);
static ngx_int_t ngx_http_tccbs_refresh_assume(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source);
static ngx_int_t ngx_http_tccbs_refresh_oidc(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source);
static ngx_int_t ngx_http_tccbs_refresh_identity(
    ngx_http_tccbs_fetch_t *fetch, ngx_http_tccbs_source_t *source,
    u_char *buf, ngx_str_t *identity);
static void ngx_http_tccbs_refresh_member(ngx_tccbs_out_t *out,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_tccbs_refresh_sign(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, ngx_str_t *timestamp, ngx_str_t *action,
    ngx_str_t *body, ngx_str_t *authorization);
static ngx_int_t ngx_http_tccbs_refresh_post(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, ngx_str_t *action, ngx_str_t *body);
static void ngx_http_tccbs_refresh_role(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why);
static void ngx_http_tccbs_refresh_answer(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why);
static void ngx_http_tccbs_refresh_fail(ngx_http_tccbs_refresh_t *refresh,
    ngx_http_tccbs_grant_result_e result, const char *why);


ngx_int_t
ngx_http_tccbs_refresh(ngx_http_tccbs_source_t *source, ngx_ssl_t *ssl,
    ngx_log_t *log, ngx_http_tccbs_refresh_pt handler, void *data)
{
    ngx_int_t                  rc;
    ngx_http_tccbs_refresh_t  *refresh;

    refresh = ngx_alloc(sizeof(ngx_http_tccbs_refresh_t), log);
    if (refresh == NULL) {
        return NGX_ERROR;
    }

    refresh->source = source;
    refresh->ssl = ssl;
    refresh->log = log;
    refresh->handler = handler;
    refresh->data = data;

    rc = ngx_http_tccbs_refresh_begin(refresh, NULL);

    if (rc != NGX_OK) {
        ngx_free(refresh);
    }

    return rc;
}


static ngx_int_t
ngx_http_tccbs_refresh_begin(ngx_http_tccbs_refresh_t *refresh,
    ngx_str_t *role)
{
    ngx_int_t                 rc;
    ngx_http_tccbs_fetch_t   *fetch;
    ngx_http_tccbs_source_t  *source;

    source = refresh->source;

    fetch = ngx_http_tccbs_fetch_create(refresh->log);
    if (fetch == NULL) {
        return NGX_ERROR;
    }

    fetch->endpoint = &source->endpoint;
    fetch->ssl = refresh->ssl;
    fetch->handler = ngx_http_tccbs_refresh_answer;
    fetch->data = refresh;

    switch (source->kind) {

    case NGX_HTTP_TCCBS_SOURCE_ASSUME_ROLE:
        rc = ngx_http_tccbs_refresh_assume(fetch, source);
        break;

    case NGX_HTTP_TCCBS_SOURCE_OIDC:
        rc = ngx_http_tccbs_refresh_oidc(fetch, source);
        break;

    default: /* NGX_HTTP_TCCBS_SOURCE_ROLE */

        if (role == NULL && source->role.len == 0) {
            fetch->handler = ngx_http_tccbs_refresh_role;
        }

        rc = ngx_http_tccbs_refresh_metadata(fetch, source,
                                             role ? role : &source->role);
    }

    if (rc != NGX_OK) {
        ngx_http_tccbs_fetch_destroy(fetch);
        return NGX_ERROR;
    }

    ngx_http_tccbs_fetch_start(fetch);

    return NGX_OK;
}


/* Without a role it is the list of roles, of one line, that is asked for. */

static ngx_int_t
ngx_http_tccbs_refresh_metadata(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, ngx_str_t *role)
{
    u_char                     *p;
    ngx_http_tccbs_endpoint_t  *endpoint;

    endpoint = &source->endpoint;

    p = ngx_pnalloc(fetch->pool,
                    sizeof("GET  HTTP/1.1" CRLF "Host: " CRLF
                           "Connection: close" CRLF CRLF)
                    + endpoint->uri.len + role->len + endpoint->host.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    fetch->request.data = p;
    fetch->request.len = ngx_sprintf(p, "GET %V%V HTTP/1.1" CRLF
                                     "Host: %V" CRLF
                                     "Connection: close" CRLF CRLF,
                                     &endpoint->uri, role, &endpoint->host)
                         - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_refresh_assume(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source)
{
    ngx_str_t         body;
    ngx_tccbs_out_t   out;

    static ngx_str_t  action = ngx_string("AssumeRole");

    ngx_tccbs_out_init(&out, fetch->pool, 512);

    ngx_tccbs_out_lit(&out, "{");
    ngx_http_tccbs_refresh_member(&out, "RoleArn", &source->role);
    ngx_http_tccbs_refresh_member(&out, "RoleSessionName", &source->session);

    if (source->external_id.len) {
        ngx_http_tccbs_refresh_member(&out, "ExternalId",
                                      &source->external_id);
    }

    ngx_tccbs_out_lit(&out, "\"DurationSeconds\":");
    ngx_tccbs_out_uint(&out, source->duration);
    ngx_tccbs_out_lit(&out, "}");

    if (out.failed) {
        return NGX_ERROR;
    }

    body = ngx_tccbs_out_str(&out);

    return ngx_http_tccbs_refresh_post(fetch, source, &action, &body);
}


static ngx_int_t
ngx_http_tccbs_refresh_oidc(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source)
{
    ngx_int_t         rc;
    ngx_str_t         body, identity;
    ngx_tccbs_out_t   out;
    u_char            buf[NGX_HTTP_TCCBS_REFRESH_IDENTITY];

    static ngx_str_t  action = ngx_string("AssumeRoleWithWebIdentity");

    if (ngx_http_tccbs_refresh_identity(fetch, source, buf, &identity)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_tccbs_out_init(&out, fetch->pool,
                       512 + NGX_HTTP_TCCBS_REFRESH_IDENTITY);

    ngx_tccbs_out_lit(&out, "{");
    ngx_http_tccbs_refresh_member(&out, "ProviderId", &source->provider);
    ngx_http_tccbs_refresh_member(&out, "WebIdentityToken", &identity);
    ngx_http_tccbs_refresh_member(&out, "RoleArn", &source->role);
    ngx_http_tccbs_refresh_member(&out, "RoleSessionName", &source->session);
    ngx_tccbs_out_lit(&out, "\"DurationSeconds\":");
    ngx_tccbs_out_uint(&out, source->duration);
    ngx_tccbs_out_lit(&out, "}");

    ngx_tccbs_wipe(buf, sizeof(buf));

    if (out.failed) {
        return NGX_ERROR;
    }

    body = ngx_tccbs_out_str(&out);

    rc = ngx_http_tccbs_refresh_post(fetch, source, &action, &body);

    ngx_tccbs_wipe(body.data, body.len);

    return rc;
}


/* The file is replaced by TKE now and then, and read each time. */

static ngx_int_t
ngx_http_tccbs_refresh_identity(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, u_char *buf, ngx_str_t *identity)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_err_t  err;

    fd = ngx_open_file(source->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed, the user of the "
                      "workers must be able to read it", &source->path);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, NGX_HTTP_TCCBS_REFRESH_IDENTITY);
    err = ngx_errno;

    (void) ngx_close_file(fd);

    identity->data = buf;
    identity->len = (n > 0) ? (size_t) n : 0;

    while (identity->len && buf[identity->len - 1] <= ' ') {
        identity->len--;
    }

    if (identity->len == 0
        || identity->len == NGX_HTTP_TCCBS_REFRESH_IDENTITY)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, (n < 0) ? err : 0,
                      "\"%V\" has no web identity", &source->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_refresh_member(ngx_tccbs_out_t *out, const char *name,
    ngx_str_t *value)
{
    ngx_tccbs_out_lit(out, "\"");
    ngx_tccbs_out_raw(out, (const u_char *) name, ngx_strlen(name));
    ngx_tccbs_out_lit(out, "\":");
    ngx_tccbs_out_string(out, value);
    ngx_tccbs_out_lit(out, ",");
}


/* With the credential that the role is assumed by; a web identity has none. */

static ngx_int_t
ngx_http_tccbs_refresh_sign(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, ngx_str_t *timestamp, ngx_str_t *action,
    ngx_str_t *body, ngx_str_t *authorization)
{
    ngx_int_t              rc;
    ngx_str_t              key;
    ngx_tccbs_mac_t        mac;
    ngx_tccbs_triple_t    *triple;
    ngx_tccbs_tc3_post_t   post;
    u_char                 text[NGX_TCCBS_TC3_DATE_LEN];
    u_char                 day[NGX_TCCBS_SHA256_LEN];

    if (source->via == NULL) {
        ngx_str_set(authorization, "SKIP");
        return NGX_OK;
    }

    triple = source->via->triple;

    key.data = triple->key;
    key.len = triple->key_len;

    ngx_tccbs_tc3_date(ngx_tccbs_tc3_timestamp(timestamp), text);

    post.key_id.data = triple->id;
    post.key_id.len = triple->id_len;
    post.date.data = text;
    post.date.len = sizeof(text);
    ngx_str_set(&post.service, "sts");
    post.timestamp = *timestamp;
    post.host = source->endpoint.host;
    post.action = *action;
    post.body = *body;

    ngx_memzero(&mac, sizeof(ngx_tccbs_mac_t));

    rc = ngx_tccbs_tc3_day_key(day, &key, &post.date, &post.service);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_key(&mac, day, sizeof(day));
    }

    if (rc == NGX_OK) {
        rc = ngx_tccbs_tc3_authorize(&mac, &post, authorization, fetch->pool);
    }

    ngx_tccbs_mac_free(&mac);
    ngx_tccbs_wipe(day, sizeof(day));

    return rc;
}


static ngx_int_t
ngx_http_tccbs_refresh_post(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_source_t *source, ngx_str_t *action, ngx_str_t *body)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    timestamp, authorization, token;
    u_char       stamp[NGX_TIME_T_LEN];

    timestamp.data = stamp;
    timestamp.len = ngx_sprintf(stamp, "%T", ngx_time()) - stamp;

    if (ngx_http_tccbs_refresh_sign(fetch, source, &timestamp, action, body,
                                    &authorization)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_null(&token);

    if (source->via) {
        token.data = source->via->triple->token;
        token.len = source->via->triple->token_len;
    }

    len = sizeof("POST / HTTP/1.1" CRLF "Host: " CRLF
                 "Content-Type: application/json" CRLF "Content-Length: " CRLF
                 "Authorization: " CRLF "X-TC-Action: " CRLF
                 "X-TC-Version: 2018-08-13" CRLF "X-TC-Region: " CRLF
                 "X-TC-Timestamp: " CRLF "X-TC-Token: " CRLF
                 "Connection: close" CRLF CRLF)
          + source->endpoint.host.len + NGX_SIZE_T_LEN + authorization.len
          + action->len + source->region.len + timestamp.len + token.len
          + body->len;

    p = ngx_pnalloc(fetch->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    fetch->request.data = p;

    p = ngx_sprintf(p, "POST / HTTP/1.1" CRLF
                    "Host: %V" CRLF
                    "Content-Type: application/json" CRLF
                    "Content-Length: %uz" CRLF
                    "Authorization: %V" CRLF
                    "X-TC-Action: %V" CRLF
                    "X-TC-Version: 2018-08-13" CRLF
                    "X-TC-Region: %V" CRLF
                    "X-TC-Timestamp: %V" CRLF,
                    &source->endpoint.host, body->len, &authorization, action,
                    &source->region, &timestamp);

    if (token.len) {
        p = ngx_sprintf(p, "X-TC-Token: %V" CRLF, &token);
    }

    p = ngx_cpymem(p, "Connection: close" CRLF CRLF,
                   sizeof("Connection: close" CRLF CRLF) - 1);
    p = ngx_cpymem(p, body->data, body->len);

    fetch->request.len = p - fetch->request.data;

    return NGX_OK;
}


/* "role auto": the name is known now, the credential is asked for. */

static void
ngx_http_tccbs_refresh_role(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why)
{
    ngx_str_t                  role, reason;
    ngx_http_tccbs_refresh_t  *refresh;

    refresh = fetch->data;

    if (result != NGX_HTTP_TCCBS_GRANT_OK) {
        ngx_http_tccbs_refresh_fail(refresh, result, why);
        return;
    }

    if (fetch->status == 404) {
        ngx_http_tccbs_refresh_fail(refresh, NGX_HTTP_TCCBS_GRANT_REFUSED,
                                    "the instance has no role");
        return;
    }

    if (fetch->status != 200
        || ngx_tccbs_source_role(&fetch->body, &role, &reason) != NGX_OK)
    {
        ngx_http_tccbs_refresh_fail(refresh, NGX_HTTP_TCCBS_GRANT_UNUSABLE,
                                    "it did not tell the name of a role");
        return;
    }

    if (ngx_http_tccbs_refresh_begin(refresh, &role) != NGX_OK) {
        ngx_http_tccbs_refresh_fail(refresh, NGX_HTTP_TCCBS_GRANT_UNREACHABLE,
                                    "no memory");
    }
}


static void
ngx_http_tccbs_refresh_answer(ngx_http_tccbs_fetch_t *fetch,
    ngx_http_tccbs_grant_result_e result, const char *why)
{
    ngx_int_t                  rc;
    ngx_str_t                  reason;
    ngx_tccbs_triple_t         triple;
    ngx_http_tccbs_source_t   *source;
    ngx_http_tccbs_refresh_t  *refresh;

    refresh = fetch->data;
    source = refresh->source;

    if (result != NGX_HTTP_TCCBS_GRANT_OK) {
        ngx_http_tccbs_refresh_fail(refresh, result, why);
        return;
    }

    if (fetch->status != 200) {
        ngx_http_tccbs_refresh_fail(refresh, NGX_HTTP_TCCBS_GRANT_REFUSED,
                                    (fetch->status == 404)
                                    ? "it answered 404, is there such a role?"
                                    : "it did not answer 200");
        return;
    }

    rc = (source->kind == NGX_HTTP_TCCBS_SOURCE_ROLE)
         ? ngx_tccbs_source_metadata(fetch->pool, &fetch->body, &triple,
                                     &reason)
         : ngx_tccbs_source_sts(fetch->pool, &fetch->body, &triple, &reason);

    if (rc == NGX_OK && triple.expires <= ngx_time()) {
        ngx_str_set(&reason, "it has expired already");
        rc = NGX_DECLINED;
    }

    if (rc == NGX_ERROR) {
        ngx_str_set(&reason, "no memory");
    }

    if (rc == NGX_OK) {
        *source->triple = triple;
        ngx_str_null(&reason);
    }

    ngx_tccbs_wipe(&triple, sizeof(ngx_tccbs_triple_t));

    refresh->handler(refresh->data, (rc == NGX_OK)
                                    ? NGX_HTTP_TCCBS_GRANT_OK
                                    : NGX_HTTP_TCCBS_GRANT_UNUSABLE, &reason);

    ngx_free(refresh);
}


static void
ngx_http_tccbs_refresh_fail(ngx_http_tccbs_refresh_t *refresh,
    ngx_http_tccbs_grant_result_e result, const char *why)
{
    ngx_str_t  reason;

    reason.data = (u_char *) why;
    reason.len = ngx_strlen(why);

    refresh->handler(refresh->data, result, &reason);

    ngx_free(refresh);
}
