
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_tccbs_json.h"
#include "ngx_tccbs_tc3.h"
#include "ngx_tccbs_text.h"


/*
 * Verifies requests with the pure files of the module, for t/differential.t.
 * Each line of the input is a request as t/bin/verifier.py describes it; each
 * line of the output is "1" for a good one, or "0" and a reason.  What the
 * module does with a request before and after is done here in its order.
 */

#define HEADERS  40


static ngx_tccbs_json_limits_t  limits = { 6, 1024 };


static const char *
text(ngx_tccbs_json_t *node, ngx_pool_t *pool, ngx_str_t *value)
{
    if (node == NULL || node->type != NGX_TCCBS_JSON_STRING) {
        return "input";
    }

    value->len = node->value.len / 2;
    value->data = ngx_pnalloc(pool, value->len);

    if (value->data == NULL
        || ngx_tccbs_unhex(value->data, node->value.data, value->len)
           != NGX_OK)
    {
        return "input";
    }

    return NULL;
}


static ngx_str_t *
find(ngx_tccbs_tc3_request_t *req, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < req->nheaders; i++) {
        if (ngx_tccbs_is(&req->headers[i].name, name)) {
            return &req->headers[i].value;
        }
    }

    return NULL;
}


/* Lower-case names; of one name there may be one header only. */

static const char *
headers(ngx_tccbs_json_t *node, ngx_pool_t *pool, ngx_tccbs_tc3_request_t *req)
{
    size_t                   k;
    ngx_uint_t               i;
    const char              *why;
    ngx_tccbs_json_t        *pair;
    ngx_tccbs_tc3_header_t  *header;

    if (node == NULL || node->n > HEADERS) {
        return "input";
    }

    for (pair = node->child; pair; pair = pair->next) {

        header = &req->headers[req->nheaders];
        why = text(pair->child, pool, &header->name);

        if (why == NULL) {
            why = text(pair->child->next, pool, &header->value);
        }

        if (why) {
            return why;
        }

        for (k = 0; k < header->name.len; k++) {
            header->name.data[k] = ngx_tolower(header->name.data[k]);
        }

        for (i = 0; i < req->nheaders; i++) {
            if (ngx_tccbs_same(&req->headers[i].name, &header->name)) {
                return "repeated";
            }
        }

        req->nheaders++;
    }

    return NULL;
}


static time_t
number(ngx_tccbs_json_t *node)
{
    size_t  i;
    time_t  n;

    n = 0;

    for (i = 0; node && i < node->value.len; i++) {
        n = n * 10 + (node->value.data[i] - '0');
    }

    return n;
}


static const char *
judge(ngx_tccbs_json_t *root, ngx_tccbs_json_t *conf, ngx_pool_t *pool)
{
    time_t                    stamp, now, skew;
    ngx_int_t                 rc;
    ngx_str_t                *value, why, hosts[8];
    ngx_uint_t                n;
    const char               *bad;
    ngx_tccbs_mac_t           mac;
    ngx_tccbs_json_t         *key, *node;
    ngx_tccbs_tc3_auth_t      auth;
    ngx_tccbs_tc3_header_t    list[HEADERS];
    ngx_tccbs_tc3_request_t   req;
    u_char                    day[NGX_TCCBS_SHA256_LEN];
    u_char                    date[NGX_TCCBS_TC3_DATE_LEN];

    ngx_memzero(&req, sizeof(ngx_tccbs_tc3_request_t));

    req.headers = list;
    ngx_str_set(&req.uri, "/");

    bad = text(ngx_tccbs_json_get(root, "method"), pool, &req.method);

    if (bad == NULL) {
        bad = text(ngx_tccbs_json_get(root, "query"), pool, &req.query);
    }

    if (bad == NULL) {
        bad = text(ngx_tccbs_json_get(root, "body"), pool, &req.payload);
    }

    if (bad == NULL) {
        bad = headers(ngx_tccbs_json_get(root, "headers"), pool, &req);
    }

    if (bad) {
        return bad;
    }

    now = number(ngx_tccbs_json_get(root, "now"));

    if (ngx_tccbs_is(&req.method, "POST")) {
        if (req.query.len) {
            return "query";
        }

    } else if (ngx_tccbs_is(&req.method, "GET")) {
        req.payload.len = 0;

    } else {
        return "method";
    }

    value = find(&req, "authorization");

    if (value == NULL || ngx_tccbs_tc3_parse(&auth, value, &why) != NGX_OK) {
        return "authorization";
    }

    if (find(&req, "x-tc-content-sha256")) {
        return "unsigned-payload";
    }

    value = find(&req, "x-tc-timestamp");

    if (value == NULL) {
        return "timestamp";
    }

    req.timestamp = *value;
    stamp = ngx_tccbs_tc3_timestamp(value);

    if (stamp == (time_t) NGX_ERROR) {
        return "timestamp";
    }

    value = find(&req, "host");

    if (value == NULL || !ngx_tccbs_tc3_service_valid(&auth.service, value)) {
        return "service";
    }

    for (key = ngx_tccbs_json_get(conf, "keys")->child; key; key = key->next) {
        if (ngx_tccbs_same(&key->name, &auth.key_id)) {
            break;
        }
    }

    if (key == NULL) {
        return "key";
    }

    skew = now - stamp;

    if (skew > NGX_TCCBS_TC3_WINDOW || skew < -NGX_TCCBS_TC3_WINDOW) {
        return "time";
    }

    ngx_tccbs_tc3_date(stamp, date);

    if (ngx_memcmp(date, auth.date.data, sizeof(date)) != 0) {
        return "date";
    }

    n = 0;

    for (node = ngx_tccbs_json_get(conf, "hosts")->child; node && n < 8;
         node = node->next)
    {
        hosts[n++] = node->value;
    }

    ngx_memzero(&mac, sizeof(ngx_tccbs_mac_t));

    if (ngx_tccbs_tc3_day_key(day, &key->value, &auth.date, &auth.service)
        != NGX_OK
        || ngx_tccbs_mac_key(&mac, day, sizeof(day)) != NGX_OK)
    {
        return "error";
    }

    rc = ngx_tccbs_tc3_verify(&mac, &auth, &req, hosts, n, pool);

    ngx_tccbs_mac_free(&mac);

    return (rc == NGX_OK) ? NULL : "signature";
}


int
main(void)
{
    char              *line;
    size_t             size;
    ssize_t            len;
    ngx_str_t          s, why;
    const char        *bad;
    ngx_pool_t        *pool, *forever;
    ngx_tccbs_json_t  *conf, *root;

    if (ngx_tccbs_crypto_init() != NGX_OK) {
        return 2;
    }

    line = NULL;
    size = 0;
    conf = NULL;
    forever = ngx_create_pool(1024, NULL);

    while ((len = getline(&line, &size, stdin)) > 0) {

        pool = ngx_create_pool(1024, NULL);

        s.data = (u_char *) line;
        s.len = len;

        if (conf == NULL) {

            if (ngx_tccbs_json_parse(forever, &s, &limits, &conf, &why)
                != NGX_OK)
            {
                return 2;
            }

        } else {
            bad = "input";

            if (ngx_tccbs_json_parse(pool, &s, &limits, &root, &why)
                == NGX_OK)
            {
                bad = judge(root, conf, pool);
            }

            printf("%s%s\n", bad ? "0 " : "1", bad ? bad : "");
        }

        ngx_destroy_pool(pool);
    }

    ngx_destroy_pool(forever);
    free(line);

    return 0;
}
