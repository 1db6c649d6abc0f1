
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_tc3.h"


#define TCCBS_BODY        (16 * 1024 * 1024)
#define TCCBS_SECRET_MAX  1022


static int tccbs_sign_request(ngx_pool_t *pool, char **option);
static void tccbs_sign_show(const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *date, const ngx_str_t *service, const char *id,
    const u_char signature[NGX_TCCBS_SHA256_LEN]);


enum {
    TCCBS_SIGN_ID = 0,
    TCCBS_SIGN_SECRET,
    TCCBS_SIGN_HOST,
    TCCBS_SIGN_ACTION,
    TCCBS_SIGN_SERVICE,
    TCCBS_SIGN_TIMESTAMP,
    TCCBS_SIGN_N
};


int
tccbs_sign(int argc, char **argv)
{
    int                  c, i, rc;
    char                *option[TCCBS_SIGN_N] = { NULL };
    ngx_pool_t          *pool;
    static struct option options[] = {
        { "id", required_argument, NULL, TCCBS_SIGN_ID },
        { "secret-file", required_argument, NULL, TCCBS_SIGN_SECRET },
        { "host", required_argument, NULL, TCCBS_SIGN_HOST },
        { "action", required_argument, NULL, TCCBS_SIGN_ACTION },
        { "service", required_argument, NULL, TCCBS_SIGN_SERVICE },
        { "timestamp", required_argument, NULL, TCCBS_SIGN_TIMESTAMP },
        { NULL, 0, NULL, 0 }
    };

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c < 0 || c >= TCCBS_SIGN_N) {
            return tccbs_usage("sign");
        }

        option[c] = optarg;
    }

    for (i = TCCBS_SIGN_ID; i <= TCCBS_SIGN_ACTION; i++) {
        if (option[i] == NULL) {
            return tccbs_usage("sign");
        }
    }

    if (optind != argc) {
        return tccbs_usage("sign");
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
    if (pool == NULL) {
        return TCCBS_FAILED;
    }

    rc = tccbs_sign_request(pool, option);

    ngx_destroy_pool(pool);

    return rc;
}


static int
tccbs_sign_request(ngx_pool_t *pool, char **option)
{
    time_t                    t;
    ngx_int_t                 rc;
    ngx_str_t                 secret, date, service, names[3];
    ngx_tccbs_mac_t           mac;
    ngx_tccbs_tc3_header_t    headers[3];
    ngx_tccbs_tc3_request_t   req;
    char                      now[32];
    u_char                    day[NGX_TCCBS_TC3_DATE_LEN];
    u_char                    key[NGX_TCCBS_SHA256_LEN];
    u_char                    signature[NGX_TCCBS_SHA256_LEN];

    if (tccbs_read_line(option[TCCBS_SIGN_SECRET], pool, TCCBS_SECRET_MAX,
                        &secret)
        != NGX_OK)
    {
        return TCCBS_FAILED;
    }

    if (tccbs_read(stdin, pool, TCCBS_BODY, &req.payload) != NGX_OK) {
        fprintf(stderr, "tccbs: cannot read the body\n");
        return TCCBS_FAILED;
    }

    if (option[TCCBS_SIGN_TIMESTAMP] == NULL) {
        snprintf(now, sizeof(now), "%lld", (long long) time(NULL));
        option[TCCBS_SIGN_TIMESTAMP] = now;
    }

#define tccbs_str(s, text)                                                    \
    (s).data = (u_char *) (text); (s).len = ngx_strlen((s).data)

    tccbs_str(req.timestamp, option[TCCBS_SIGN_TIMESTAMP]);

    t = ngx_tccbs_tc3_timestamp(&req.timestamp);

    if (t == (time_t) NGX_ERROR) {
        fprintf(stderr, "tccbs: the timestamp must be seconds since 1970\n");
        return TCCBS_USAGE;
    }

    ngx_tccbs_tc3_date(t, day);
    date.data = day;
    date.len = sizeof(day);

    tccbs_str(service, option[TCCBS_SIGN_SERVICE] ? option[TCCBS_SIGN_SERVICE]
                                                  : "cbs");
    tccbs_str(req.method, "POST");
    tccbs_str(req.uri, "/");
    ngx_str_null(&req.query);
    tccbs_str(headers[0].name, "content-type");
    tccbs_str(headers[0].value, "application/json");
    tccbs_str(headers[1].name, "host");
    tccbs_str(headers[1].value, option[TCCBS_SIGN_HOST]);
    tccbs_str(headers[2].name, "x-tc-action");
    tccbs_str(headers[2].value, option[TCCBS_SIGN_ACTION]);

#undef tccbs_str

    req.headers = headers;
    req.nheaders = 3;

    names[0] = headers[0].name;
    names[1] = headers[1].name;
    names[2] = headers[2].name;

    ngx_memzero(&mac, sizeof(ngx_tccbs_mac_t));

    rc = ngx_tccbs_tc3_day_key(key, &secret, &date, &service);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_key(&mac, key, sizeof(key));
    }

    if (rc == NGX_OK) {
        rc = ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, names,
                                3, pool);
    }

    ngx_tccbs_mac_free(&mac);
    ngx_tccbs_wipe(key, sizeof(key));
    ngx_tccbs_wipe(secret.data, secret.len);

    if (rc != NGX_OK) {
        fprintf(stderr, "tccbs: cannot sign\n");
        return TCCBS_FAILED;
    }

    tccbs_sign_show(&req, &date, &service, option[TCCBS_SIGN_ID], signature);

    return TCCBS_OK;
}


/* Every intermediate value but the keys. */

static void
tccbs_sign_show(const ngx_tccbs_tc3_request_t *req, const ngx_str_t *date,
    const ngx_str_t *service, const char *id,
    const u_char signature[NGX_TCCBS_SHA256_LEN])
{
    char       canonical[8192];
    size_t     i, len;
    ngx_str_t  piece;
    u_char     digest[NGX_TCCBS_SHA256_LEN];
    u_char     body[NGX_TCCBS_HEX_LEN], hash[NGX_TCCBS_HEX_LEN];
    u_char     hex[NGX_TCCBS_HEX_LEN];

    (void) ngx_tccbs_sha256(digest, &req->payload, 1);
    (void) ngx_tccbs_hex(body, digest, sizeof(digest));

    len = snprintf(canonical, sizeof(canonical), "POST\n/\n\n"
                   "content-type:%s\nhost:%s\nx-tc-action:",
                   req->headers[0].value.data, req->headers[1].value.data);

    for (i = 0; i < req->headers[2].value.len && len < sizeof(canonical) - 200;
         i++)
    {
        canonical[len++] = ngx_tolower(req->headers[2].value.data[i]);
    }

    len += snprintf(canonical + len, sizeof(canonical) - len,
                    "\n\ncontent-type;host;x-tc-action\n%.*s",
                    NGX_TCCBS_HEX_LEN, body);

    piece.data = (u_char *) canonical;
    piece.len = len;

    (void) ngx_tccbs_sha256(digest, &piece, 1);
    (void) ngx_tccbs_hex(hash, digest, sizeof(digest));
    (void) ngx_tccbs_hex(hex, signature, NGX_TCCBS_SHA256_LEN);

    printf("canonical request:\n%s\n\n", canonical);
    printf("its SHA-256:\n%.*s\n\n", NGX_TCCBS_HEX_LEN, hash);
    printf("string to sign:\nTC3-HMAC-SHA256\n%.*s\n%.*s/%.*s/tc3_request\n"
           "%.*s\n\n", (int) req->timestamp.len, req->timestamp.data,
           (int) date->len, date->data, (int) service->len, service->data,
           NGX_TCCBS_HEX_LEN, hash);
    printf("signature:\n%.*s\n\n", NGX_TCCBS_HEX_LEN, hex);
    printf("X-TC-Timestamp: %.*s\n", (int) req->timestamp.len,
           req->timestamp.data);
    printf("Authorization: TC3-HMAC-SHA256 Credential=%s/%.*s/%.*s/tc3_request,"
           " SignedHeaders=content-type;host;x-tc-action, Signature=%.*s\n",
           id, (int) date->len, date->data, (int) service->len, service->data,
           NGX_TCCBS_HEX_LEN, hex);
}
