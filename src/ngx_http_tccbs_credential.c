
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_credential.h"
#include "ngx_tccbs_json.h"


#define NGX_HTTP_TCCBS_CREDENTIAL_FILE   16384
#define NGX_HTTP_TCCBS_CREDENTIAL_ID     1024
#define NGX_HTTP_TCCBS_CREDENTIAL_TOKEN  4096

/*
 * One call in microseconds, a hundredth above the reciprocal of the limit: the
 * way to Tencent is not the same for each call, and no second may see more.
 */

#define NGX_HTTP_TCCBS_CREDENTIAL_COST(n)  (1010000 / (n))


/* The signing key of the day, one per credential and worker. */

typedef struct {
    u_char             date[NGX_TCCBS_TC3_DATE_LEN];
    ngx_tccbs_mac_t    mac;
} ngx_http_tccbs_day_key_t;


static char *ngx_http_tccbs_credential_file(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_env(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_limit(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_queue(ngx_conf_t *cf, void *object);
static char *ngx_http_tccbs_credential_set(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential, ngx_str_t *id, ngx_str_t *key,
    ngx_str_t *token, ngx_str_t *source);
static ngx_int_t ngx_http_tccbs_credential_copy(
    ngx_http_tccbs_credential_t *credential, ngx_str_t *dst, ngx_str_t *src);
static ngx_uint_t ngx_http_tccbs_credential_printable(ngx_str_t *s);
static void ngx_http_tccbs_credential_wipe(ngx_tccbs_json_t *node);
static ngx_tccbs_mac_t *ngx_http_tccbs_credential_mac(
    ngx_http_tccbs_credential_t *credential, ngx_str_t *date);


static ngx_tccbs_block_command_t  ngx_http_tccbs_credential_commands[] = {
    { ngx_string("file"), 1, 1, ngx_http_tccbs_credential_file },
    { ngx_string("env"), 0, 0, ngx_http_tccbs_credential_env },
    { ngx_string("limit"), 1, 1, ngx_http_tccbs_credential_limit },
    { ngx_string("queue"), 2, 2, ngx_http_tccbs_credential_queue },
    { ngx_null_string, 0, 0, NULL }
};


ngx_str_t  ngx_http_tccbs_content_type = ngx_string("application/json");

static ngx_str_t  ngx_http_tccbs_service = ngx_string("cbs");
static ngx_str_t  ngx_http_tccbs_signed_names[] = {
    ngx_string("content-type"),
    ngx_string("host"),
    ngx_string("x-tc-action")
};

static ngx_http_tccbs_day_key_t  *ngx_http_tccbs_day_keys;


char *
ngx_http_tccbs_credential_block(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential)
{
    char  *rv;

    rv = ngx_tccbs_conf_block(cf, ngx_http_tccbs_credential_commands,
                              credential);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (credential->secret_key.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_credential \"%V\" has no source, "
                           "add \"file path;\" or \"env;\"",
                           &credential->name);
        return NGX_CONF_ERROR;
    }

    if (credential->cost[0] == 0) {
        credential->cost[0] = NGX_HTTP_TCCBS_CREDENTIAL_COST(20);
    }

    if (credential->queue_max == 0) {
        credential->queue_time = 10000;
        credential->queue_max = 1000;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential_limit(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    size_t      len;
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    len = value[1].len;
    n = NGX_ERROR;

    if (credential->cost[0]) {
        return "has a duplicate \"limit\"";
    }

    if (len > 3 && ngx_strncmp(value[1].data + len - 3, "r/s", 3) == 0) {
        n = ngx_atoi(value[1].data, len - 3);
    }

    if (n < 1 || n > 100000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid limit \"%V\", \"1r/s\" to \"100000r/s\" is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    credential->cost[0] = NGX_HTTP_TCCBS_CREDENTIAL_COST(n);
    credential->cost[1] = NGX_HTTP_TCCBS_CREDENTIAL_COST(n);

    return NGX_CONF_OK;
}


static char *
ngx_http_tccbs_credential_queue(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    ngx_int_t   time, n;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (credential->queue_max) {
        return "has a duplicate \"queue\"";
    }

    time = ngx_parse_time(&value[1], 0);
    n = ngx_atoi(value[2].data, value[2].len);

    if (time == NGX_ERROR || n < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid queue \"%V %V\", a time and a number like "
                           "\"10s 1000\" is expected", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    credential->queue_time = time;
    credential->queue_max = n;

    return NGX_CONF_OK;
}


/*
 * JSON with secret_id, secret_key and optionally token; the names that tccli
 * writes (secretId, secretKey) are taken as well.
 */

static char *
ngx_http_tccbs_credential_file(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    char                    *rv;
    ngx_int_t                rc;
    ngx_str_t               *value, text, why, empty;
    ngx_pool_t              *pool;
    ngx_uint_t               i;
    ngx_tccbs_json_t        *root, *node, *members[3];
    ngx_tccbs_json_limits_t  limits;

    static const char       *names[3][2] = {
        { "secret_id", "secretId" },
        { "secret_key", "secretKey" },
        { "token", "token" }
    };

    value = cf->args->elts;

    if (ngx_tccbs_conf_secret(cf, credential->arena, &value[1],
                              NGX_HTTP_TCCBS_CREDENTIAL_FILE, &text)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, cf->log);
    if (pool == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;
    root = NULL;

    limits.depth = 2;
    limits.nodes = 64;

    rc = ngx_tccbs_json_parse(pool, &text, &limits, &root, &why);

    ngx_tccbs_wipe(text.data, text.len);

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "credential file \"%V\" is no valid JSON: %V",
                           &value[1], &why);
    }

    if (rc != NGX_OK) {
        goto done;
    }

    for (i = 0; i < 3; i++) {
        node = ngx_tccbs_json_get(root, names[i][0]);

        if (node == NULL) {
            node = ngx_tccbs_json_get(root, names[i][1]);
        }

        if (node && node->type == NGX_TCCBS_JSON_NULL) {
            node = NULL;
        }

        if ((node == NULL && i < 2)
            || (node && node->type != NGX_TCCBS_JSON_STRING))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "credential file \"%V\" must have a string "
                               "\"%s\"", &value[1], names[i][0]);
            goto done;
        }

        members[i] = node;
    }

    ngx_str_null(&empty);

    rv = ngx_http_tccbs_credential_set(cf, credential, &members[0]->value,
                                       &members[1]->value,
                                       members[2] ? &members[2]->value
                                                  : &empty,
                                       &value[1]);

done:

    ngx_http_tccbs_credential_wipe(root);
    ngx_destroy_pool(pool);

    return rv;
}


static void
ngx_http_tccbs_credential_wipe(ngx_tccbs_json_t *node)
{
    for ( /* void */ ; node; node = node->next) {
        ngx_tccbs_wipe(node->value.data, node->value.len);
        ngx_http_tccbs_credential_wipe(node->child);
    }
}


static char *
ngx_http_tccbs_credential_env(ngx_conf_t *cf, void *object)
{
    ngx_http_tccbs_credential_t *credential = object;

    u_char            *p;
    ngx_str_t          source, values[3];
    ngx_uint_t         i;

    static const char *names[] = {
        "TENCENTCLOUD_SECRET_ID",
        "TENCENTCLOUD_SECRET_KEY",
        "TENCENTCLOUD_TOKEN"
    };

    for (i = 0; i < 3; i++) {
        p = (u_char *) getenv(names[i]);

        if (p == NULL && i < 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"env\" of tccbs_credential \"%V\" needs the "
                               "environment variable \"%s\"",
                               &credential->name, names[i]);
            return NGX_CONF_ERROR;
        }

        values[i].data = p;
        values[i].len = p ? ngx_strlen(p) : 0;
    }

    if (values[2].len == 0) {
        p = (u_char *) getenv("TENCENTCLOUD_SESSION_TOKEN");

        values[2].data = p;
        values[2].len = p ? ngx_strlen(p) : 0;
    }

    ngx_str_set(&source, "the environment");

    return ngx_http_tccbs_credential_set(cf, credential, &values[0],
                                         &values[1], &values[2], &source);
}


static char *
ngx_http_tccbs_credential_set(ngx_conf_t *cf,
    ngx_http_tccbs_credential_t *credential, ngx_str_t *id, ngx_str_t *key,
    ngx_str_t *token, ngx_str_t *source)
{
    if (credential->secret_key.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tccbs_credential \"%V\" has more than one source",
                           &credential->name);
        return NGX_CONF_ERROR;
    }

    /* what cannot be in a header would split the upstream request */

    if (id->len == 0 || id->len > NGX_HTTP_TCCBS_CREDENTIAL_ID
        || key->len == 0 || key->len > NGX_HTTP_TCCBS_CREDENTIAL_ID
        || token->len > NGX_HTTP_TCCBS_CREDENTIAL_TOKEN
        || !ngx_http_tccbs_credential_printable(id)
        || !ngx_http_tccbs_credential_printable(key)
        || !ngx_http_tccbs_credential_printable(token))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "secret id, secret key and token of %V must be "
                           "printable ASCII without spaces, \"/\" or \",\" in "
                           "the id, and at most %d, %d and %d bytes long",
                           source, NGX_HTTP_TCCBS_CREDENTIAL_ID,
                           NGX_HTTP_TCCBS_CREDENTIAL_ID,
                           NGX_HTTP_TCCBS_CREDENTIAL_TOKEN);
        return NGX_CONF_ERROR;
    }

    if (ngx_strlchr(id->data, id->data + id->len, '/')
        || ngx_strlchr(id->data, id->data + id->len, ','))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the secret id of %V must not have \"/\" or \",\"",
                           source);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tccbs_credential_copy(credential, &credential->secret_id, id)
        != NGX_OK
        || ngx_http_tccbs_credential_copy(credential, &credential->secret_key,
                                          key)
           != NGX_OK
        || ngx_http_tccbs_credential_copy(credential, &credential->token,
                                          token)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_tccbs_credential_copy(ngx_http_tccbs_credential_t *credential,
    ngx_str_t *dst, ngx_str_t *src)
{
    if (src->len == 0) {
        ngx_str_null(dst);
        return NGX_OK;
    }

    dst->data = ngx_tccbs_arena_alloc(credential->arena, src->len);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, src->data, src->len);
    dst->len = src->len;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tccbs_credential_printable(ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] <= ' ' || s->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_tccbs_credential_init(ngx_cycle_t *cycle, ngx_uint_t n)
{
    ngx_http_tccbs_day_keys = ngx_pcalloc(cycle->pool,
                                        n * sizeof(ngx_http_tccbs_day_key_t));

    return ngx_http_tccbs_day_keys ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_tccbs_credential_sign(ngx_http_tccbs_credential_t *credential,
    ngx_pool_t *pool, time_t now, ngx_str_t *timestamp, ngx_str_t *host,
    ngx_str_t *action, ngx_str_t *body, ngx_str_t *authorization)
{
    u_char                   *p;
    size_t                    len;
    ngx_str_t                 date;
    ngx_tccbs_mac_t          *mac;
    ngx_tccbs_tc3_header_t    headers[3];
    ngx_tccbs_tc3_request_t   req;
    u_char                    text[NGX_TCCBS_TC3_DATE_LEN];
    u_char                    signature[NGX_TCCBS_SHA256_LEN];

    ngx_tccbs_tc3_date(now, text);

    date.data = text;
    date.len = sizeof(text);

    mac = ngx_http_tccbs_credential_mac(credential, &date);
    if (mac == NULL) {
        return NGX_ERROR;
    }

    headers[0].name = ngx_http_tccbs_signed_names[0];
    headers[0].value = ngx_http_tccbs_content_type;
    headers[1].name = ngx_http_tccbs_signed_names[1];
    headers[1].value = *host;
    headers[2].name = ngx_http_tccbs_signed_names[2];
    headers[2].value = *action;

    ngx_str_set(&req.method, "POST");
    ngx_str_set(&req.uri, "/");
    ngx_str_null(&req.query);
    req.headers = headers;
    req.nheaders = 3;
    req.timestamp = *timestamp;
    req.payload = *body;

    if (ngx_tccbs_tc3_sign(mac, signature, &req, &date,
                           &ngx_http_tccbs_service,
                           ngx_http_tccbs_signed_names, 3, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof("TC3-HMAC-SHA256 Credential=/2026-01-01/cbs/tc3_request, "
                 "SignedHeaders=content-type;host;x-tc-action, Signature=")
          + credential->secret_id.len + NGX_TCCBS_HEX_LEN;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    authorization->data = p;

    p = ngx_sprintf(p, "TC3-HMAC-SHA256 Credential=%V/%V/%V/tc3_request, "
                    "SignedHeaders=content-type;host;x-tc-action, Signature=",
                    &credential->secret_id, &date, &ngx_http_tccbs_service);
    p = ngx_tccbs_hex(p, signature, sizeof(signature));

    authorization->len = p - authorization->data;

    return NGX_OK;
}


static ngx_tccbs_mac_t *
ngx_http_tccbs_credential_mac(ngx_http_tccbs_credential_t *credential,
    ngx_str_t *date)
{
    ngx_int_t                  rc;
    ngx_http_tccbs_day_key_t  *day;
    u_char                     key[NGX_TCCBS_SHA256_LEN];

    day = &ngx_http_tccbs_day_keys[credential->index];

    if (ngx_memcmp(day->date, date->data, sizeof(day->date)) == 0) {
        return &day->mac;
    }

    day->date[0] = '\0';

    rc = ngx_tccbs_tc3_day_key(key, &credential->secret_key, date,
                               &ngx_http_tccbs_service);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_key(&day->mac, key, sizeof(key));
    }

    ngx_tccbs_wipe(key, sizeof(key));

    if (rc != NGX_OK) {
        return NULL;
    }

    ngx_memcpy(day->date, date->data, sizeof(day->date));

    return &day->mac;
}
