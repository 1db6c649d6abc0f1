
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include "ngx_tccbs_json.h"
#include "ngx_tccbs_tc3.h"
#include "tap.h"


/*
 * t/vectors.json: signatures that real SDKs put on the wire, and wrong ones.
 */

#define MAX_HEADERS  24


static ngx_pool_t  *pool;
static ngx_str_t    alias[] = { { 26, (u_char *) "cbs.intl.tencentcloudapi.com" } };


static ngx_str_t
member(ngx_tccbs_json_t *node, const char *name)
{
    ngx_str_t          none = ngx_null_string;
    ngx_tccbs_json_t  *m;

    m = ngx_tccbs_json_get(node, name);

    return m ? m->value : none;
}


static time_t
number(ngx_str_t text)
{
    time_t  n;

    for (n = 0; text.len; text.len--) {
        n = n * 10 + (*text.data++ - '0');
    }

    return n;
}


static ngx_tccbs_json_t *
header(ngx_tccbs_json_t *headers, const char *name)
{
    ngx_tccbs_json_t  *h;

    for (h = headers ? headers->child : NULL; h; h = h->next) {
        if (h->name.len == strlen(name)
            && strncasecmp((char *) h->name.data, name, h->name.len) == 0)
        {
            return h;
        }
    }

    return NULL;
}


static void
lower(ngx_str_t *dst, ngx_str_t *src)
{
    size_t  i;

    dst->len = src->len;
    dst->data = ngx_palloc(pool, src->len + 1);

    for (i = 0; i < src->len; i++) {
        dst->data[i] = ngx_tolower(src->data[i]);
    }
}


/* The request of a vector, with the changes of a negative one. */

static void
request(ngx_tccbs_tc3_request_t *req, ngx_tccbs_tc3_header_t *headers,
    ngx_tccbs_json_t *vector, ngx_tccbs_json_t *change)
{
    ngx_str_t          name;
    ngx_uint_t         dropped;
    ngx_tccbs_json_t  *h, *d, *other, *set, *drop;

    set = change ? ngx_tccbs_json_get(change, "headers") : NULL;
    drop = change ? ngx_tccbs_json_get(change, "drop_headers") : NULL;

    memset(req, 0, sizeof(ngx_tccbs_tc3_request_t));

    req->method = member(vector, "method");
    req->uri = member(vector, "canonical_uri");
    req->query = member(vector, "query");
    req->payload = member(vector, "body");
    req->headers = headers;

    if (change && ngx_tccbs_json_get(change, "body")) {
        req->payload = member(change, "body");
    }

    /* the query of a POST is not signed */

    if (is(&req->method, "POST")) {
        req->query.len = 0;
    }

    for (h = ngx_tccbs_json_get(vector, "headers")->child; h; h = h->next) {

        lower(&name, &h->name);
        dropped = 0;

        for (d = drop ? drop->child : NULL; d; d = d->next) {
            dropped |= (d->value.len == h->name.len
                        && strncasecmp((char *) d->value.data,
                                       (char *) h->name.data, d->value.len)
                           == 0);
        }

        if (dropped) {
            continue;
        }

        headers[req->nheaders].name = name;
        headers[req->nheaders].value = h->value;

        other = NULL;

        if (set) {
            h->name.data[h->name.len] = '\0';
            other = header(set, (char *) h->name.data);
        }

        if (other) {
            headers[req->nheaders].value = other->value;
        }

        if (is(&name, "x-tc-timestamp")) {
            req->timestamp = headers[req->nheaders].value;
        }

        if (is(&name, "x-tc-content-sha256")) {
            req->payload = headers[req->nheaders].value;
        }

        req->nheaders++;
    }
}


static ngx_str_t *
value(ngx_tccbs_tc3_request_t *req, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < req->nheaders; i++) {
        if (is(&req->headers[i].name, name)) {
            return &req->headers[i].value;
        }
    }

    return NULL;
}


static void
key_of(ngx_tccbs_mac_t *mac, ngx_tccbs_json_t *vector, const ngx_str_t *date,
    const ngx_str_t *service, u_char key[NGX_TCCBS_SHA256_LEN])
{
    ngx_str_t  secret;

    secret = member(vector, "secret_key");

    memset(mac, 0, sizeof(ngx_tccbs_mac_t));

    (void) ngx_tccbs_tc3_day_key(key, &secret, date, service);
    (void) ngx_tccbs_mac_key(mac, key, NGX_TCCBS_SHA256_LEN);
}


static void
test_vector(ngx_tccbs_json_t *vector)
{
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   hex[NGX_TCCBS_HEX_LEN];
    u_char                   date[NGX_TCCBS_TC3_DATE_LEN];
    u_char                   signature[NGX_TCCBS_SHA256_LEN];
    ngx_str_t                name, rule, want, why, *authorization, host;
    ngx_uint_t               i;
    ngx_tccbs_mac_t          mac;
    ngx_tccbs_tc3_auth_t     auth;
    ngx_tccbs_tc3_header_t   headers[MAX_HEADERS];
    ngx_tccbs_tc3_request_t  req;

    name = member(vector, "name");
    rule = member(vector, "signed_host_rule");

    request(&req, headers, vector, NULL);
    authorization = value(&req, "authorization");

    ok(authorization && ngx_tccbs_tc3_parse(&auth, authorization, &why)
       == NGX_OK, "%.*s: parsed", (int) name.len, name.data);

    want = member(vector, "secret_id");
    ok(auth.key_id.len == want.len
       && memcmp(auth.key_id.data, want.data, want.len) == 0,
       "%.*s: key id", (int) name.len, name.data);

    ngx_tccbs_tc3_date(ngx_tccbs_tc3_timestamp(&req.timestamp), date);
    ok(memcmp(date, auth.date.data, sizeof(date)) == 0,
       "%.*s: date", (int) name.len, name.data);

    key_of(&mac, vector, &auth.date, &auth.service, key);

    want = member(vector, "secret_signing_hex");

    if (want.len) {
        (void) ngx_tccbs_hex(hex, key, sizeof(key));
        ok(memcmp(hex, want.data, sizeof(hex)) == 0, "%.*s: day key",
           (int) name.len, name.data);
    }

    host = *value(&req, "host");

    ok(ngx_tccbs_tc3_service_valid(&auth.service, &host)
       || strncmp((char *) name.data, "official", 8) == 0,
       "%.*s: service", (int) name.len, name.data);

    ok(ngx_tccbs_tc3_verify(&mac, &auth, &req, alias,
                            is(&rule, "configured alias") ? 1 : 0, pool)
       == NGX_OK, "%.*s: verified", (int) name.len, name.data);

    if (is(&rule, "configured alias")) {
        ok(ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool)
           == NGX_DECLINED, "%.*s: not without the alias", (int) name.len,
           name.data);
    }

    /* what the SDK signed gives what the SDK sent */

    for (i = 0; i < req.nheaders; i++) {
        if (is(&req.headers[i].name, "host")) {
            req.headers[i].value = member(vector, "signed_host");
        }
    }

    ok(ngx_tccbs_tc3_sign(&mac, signature, &req, &auth.date, &auth.service,
                          auth.names, auth.nnames, pool) == NGX_OK,
       "%.*s: signed", (int) name.len, name.data);

    (void) ngx_tccbs_hex(hex, signature, sizeof(signature));
    want = member(vector, "signature");
    ok(want.len == sizeof(hex) && memcmp(hex, want.data, want.len) == 0,
       "%.*s: signature", (int) name.len, name.data);

    /* one bit anywhere in the body and it is none */

    if (req.payload.len) {
        req.payload.data[req.payload.len / 2] ^= 1;
        ok(ngx_tccbs_tc3_verify(&mac, &auth, &req, alias, 1, pool)
           == NGX_DECLINED, "%.*s: a changed body", (int) name.len,
           name.data);
        req.payload.data[req.payload.len / 2] ^= 1;
    }

    ngx_tccbs_mac_free(&mac);
}


/* The order of checks of the gateway, as far as signatures go. */

static const char *
judge(ngx_tccbs_json_t *vector, ngx_tccbs_json_t *change)
{
    time_t                   now, stamp;
    ngx_int_t                rc;
    ngx_str_t                why, id, *authorization;
    ngx_tccbs_mac_t          mac;
    ngx_tccbs_tc3_auth_t     auth;
    ngx_tccbs_tc3_header_t   headers[MAX_HEADERS];
    ngx_tccbs_tc3_request_t  req;
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   date[NGX_TCCBS_TC3_DATE_LEN];

    request(&req, headers, vector, change);

    authorization = value(&req, "authorization");

    if (authorization == NULL
        || ngx_tccbs_tc3_parse(&auth, authorization, &why) != NGX_OK)
    {
        return "AuthFailure.InvalidAuthorization";
    }

    if (req.timestamp.len == 0) {
        return "MissingParameter";
    }

    now = number(member(change, "now"));
    stamp = ngx_tccbs_tc3_timestamp(&req.timestamp);
    id = member(vector, "secret_id");

    if (auth.key_id.len != id.len
        || memcmp(auth.key_id.data, id.data, id.len) != 0)
    {
        return "AuthFailure.SecretIdNotFound";
    }

    if (now - stamp > NGX_TCCBS_TC3_WINDOW
        || stamp - now > NGX_TCCBS_TC3_WINDOW)
    {
        return "AuthFailure.SignatureExpire";
    }

    ngx_tccbs_tc3_date(stamp, date);

    if (memcmp(date, auth.date.data, sizeof(date)) != 0) {
        return "AuthFailure.SignatureFailure";
    }

    key_of(&mac, vector, &auth.date, &auth.service, key);

    rc = ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool);

    ngx_tccbs_mac_free(&mac);

    return (rc == NGX_OK) ? "" : "AuthFailure.SignatureFailure";
}


static void
test_vectors(void)
{
    FILE                    *f;
    ngx_str_t                text, why, name, base, code;
    const char              *got;
    ngx_uint_t               n;
    ngx_tccbs_json_t        *root, *vector, *change;
    ngx_tccbs_json_limits_t  limits = { 8, 100000 };

    text.data = ngx_palloc(pool, 1 << 20);

    f = fopen("t/vectors.json", "r");
    ok(f != NULL, "t/vectors.json is there");

    if (f == NULL) {
        return;
    }

    text.len = fread(text.data, 1, 1 << 20, f);
    fclose(f);

    ok(ngx_tccbs_json_parse(pool, &text, &limits, &root, &why) == NGX_OK,
       "vectors are read");

    vector = ngx_tccbs_json_get(root, "vectors");
    ok(vector->n >= 19, "%d vectors", (int) vector->n);

    for (vector = vector->child; vector; vector = vector->next) {
        test_vector(vector);
    }

    change = ngx_tccbs_json_get(root, "negative_vectors");
    ok(change->n >= 13, "%d negative vectors", (int) change->n);

    for (change = change->child; change; change = change->next) {

        name = member(change, "name");
        base = member(change, "base");
        code = member(change, "expected_code");
        n = 0;

        for (vector = ngx_tccbs_json_get(root, "vectors")->child; vector;
             vector = vector->next)
        {
            text = member(vector, "name");

            if (text.len == base.len
                && memcmp(text.data, base.data, base.len) == 0)
            {
                n++;
                got = judge(vector, change);
                ok(is(&code, *got ? got : "null"), "%.*s: %s",
                   (int) name.len, name.data, *got ? got : "accepted");
            }
        }

        ok(n == 1, "%.*s: has a base", (int) name.len, name.data);
    }
}


#define GOOD  "TC3-HMAC-SHA256 Credential=id/2026-01-01/cbs/tc3_request, "     \
              "SignedHeaders=content-type;host, Signature="
#define SIG   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TC3   "TC3-HMAC-SHA256 "
#define CRED  TC3 "Credential=id/2026-01-01/cbs/tc3_request, "
#define NAMES "SignedHeaders=content-type;host, "

static const char  *malformed[] = {
    "", " ", "SKIP", "TC3-HMAC-SHA256", TC3, "tc3-hmac-sha256 " "Credential=",
    "TC3-HMAC-SHA2560 Credential=id/2026-01-01/cbs/tc3_request, " NAMES
        "Signature=" SIG,
    " " GOOD SIG, GOOD, GOOD "0" SIG, GOOD SIG "0", GOOD SIG " ",
    GOOD SIG ",", GOOD SIG ", X=y",
    GOOD "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
    GOOD "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    TC3 NAMES CRED "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/cbs/tc3_request, Signature=" SIG,
    TC3 "Credential=/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id//cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01//tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/cbs/, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/cbs/tc3_requestx, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/cbs/TC3_REQUEST, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-1-1/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/20260101/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-0x/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-011/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=i d/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=i,d/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=i\td/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/c/bs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "credential=id/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=i\x7f" "d/2026-01-01/cbs/tc3_request, " NAMES
        "Signature=" SIG,
    TC3 "Credential=id/2026-01/01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01.01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026.01-01/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01--1/cbs/tc3_request, " NAMES "Signature=" SIG,
    TC3 "Credential=id/2026-01-01/cbs/tc3_request,",
    TC3 "Credential=id/2026-01-01/cbs/tc3_request,   ",
    CRED "SignedHeaders=content-type;host,",
    CRED "SignedHeaders=content-type;host,   ",
    CRED "SignedHeaders=content-type;host",
    CRED "SignedHeaders=, Signature=" SIG,
    CRED "SignedHeaders=host, Signature=" SIG,
    CRED "SignedHeaders=content-type, Signature=" SIG,
    CRED "SignedHeaders=host;content-type, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;host, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;, Signature=" SIG,
    CRED "SignedHeaders=;content-type;host, Signature=" SIG,
    CRED "SignedHeaders=content-type;;host, Signature=" SIG,
    CRED "SignedHeaders=Content-Type;Host, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;x tc, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;x_tc, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;x:tc, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;x.tc, Signature=" SIG,
    CRED "SignedHeaders=content-type/host, Signature=" SIG,
    CRED "SignedHeaders=content-type;host;x{tc, Signature=" SIG,
    CRED "SignedHeaders=content-type;hos;host;ho, Signature=" SIG,
    CRED "SignedHeaders=a;b;c;content-type;d;e;f;g;h;host;i;j;k;l;m;n;o, "
        "Signature=" SIG,
    CRED NAMES "signature=" SIG,
    CRED NAMES SIG
};


static void
test_long_service(size_t len, ngx_int_t want)
{
    char                  text[1024], *p;
    ngx_str_t             s, why;
    ngx_tccbs_tc3_auth_t  auth;

    strcpy(text, TC3 "Credential=id/2026-01-01/");
    p = text + strlen(text);
    memset(p, 's', len);
    strcpy(p + len, "/tc3_request, " NAMES "Signature=" SIG);

    s = str(text);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == want, "a service of %d bytes",
       (int) len);
}


static void
test_grammar(void)
{
    size_t                 i;
    char                   text[4096];
    ngx_str_t              s, why;
    ngx_tccbs_tc3_auth_t   auth;

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        s = str(malformed[i]);
        ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_DECLINED,
           "malformed: %s", malformed[i]);
    }

    s = str(GOOD SIG);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_OK, "good");
    ok(auth.nnames == 2 && is(&auth.names[1], "host")
       && is(&auth.service, "cbs") && auth.signature[1] == 0x23, "its parts");

    s = str("TC3-HMAC-SHA256   Credential=id/2026-01-01/cbs/tc3_request,"
            "SignedHeaders=content-type;host,Signature=" SIG);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_OK, "spaces");

    s = str(CRED "SignedHeaders=content-type;host;x-a9, Signature=" SIG);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_OK
       && is(&auth.names[2], "x-a9"), "a digit in a name");

    s = str(CRED "SignedHeaders=content-type;host;host-x, Signature=" SIG);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_OK
       && is(&auth.names[2], "host-x"), "a name that begins as the last one");

    /* each beginning of it, which what is behind it must not complete */

    s = str(GOOD SIG);
    i = s.len;

    while (s.len-- > 0
           && ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_DECLINED)
    {
        i--;
    }

    ok(i == 0, "%u bytes less are not good", (unsigned) i);

    s = str(CRED);
    s.len = sizeof("TC3-HMAC-SHA256") - 1;
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_DECLINED
       && is(&why, "the algorithm must be TC3-HMAC-SHA256"), "nor is a blank "
       "behind the end");

    memset(text, 0, sizeof(text));
    strcpy(text, TC3 "Credential=");
    memset(text + strlen(text), 'a', 2048);
    strcat(text, "/2026-01-01/cbs/tc3_request, " NAMES "Signature=" SIG);
    s = str(text);
    ok(ngx_tccbs_tc3_parse(&auth, &s, &why) == NGX_DECLINED, "too long");

    test_long_service(NGX_TCCBS_TC3_SERVICE, NGX_OK);
    test_long_service(NGX_TCCBS_TC3_SERVICE + 1, NGX_DECLINED);
}


/* A signature that would leave out what says where the request goes. */

static void
test_headers(void)
{
    size_t                   i;
    ngx_int_t                rc;
    ngx_str_t                date, service, secret, why, s;
    ngx_tccbs_mac_t          mac;
    ngx_tccbs_tc3_auth_t     auth;
    ngx_tccbs_tc3_header_t   headers[3];
    ngx_tccbs_tc3_request_t  req;
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   signature[NGX_TCCBS_SHA256_LEN];

    static const ngx_str_t   names[] = {
        ngx_string("content-type"), ngx_string("host")
    };

    static const ngx_str_t   three[] = {
        ngx_string("content-type"), ngx_string("host"),
        ngx_string("x-tc-action")
    };

    static const char       *ports[] = {
        "cbs.example:8443", "cbs.example:", "cbs.example:8x", "cbs.example8",
        "cbs.example::1"
    };

    date = str("2026-01-01");
    service = str("cbs");
    secret = str("0123456789abcdef0123456789abcdef");

    memset(&mac, 0, sizeof(ngx_tccbs_mac_t));
    (void) ngx_tccbs_tc3_day_key(key, &secret, &date, &service);
    (void) ngx_tccbs_mac_key(&mac, key, sizeof(key));

    memset(&req, 0, sizeof(ngx_tccbs_tc3_request_t));
    req.method = str("POST");
    req.uri = str("/");
    req.timestamp = str("1767225600");
    req.headers = headers;

    headers[0].name = str("content-type");
    headers[0].value = str("application/json");
    headers[1].name = str("host");
    headers[1].value = str("cbs.example");
    headers[2] = headers[0];

    s = str(GOOD SIG);
    (void) ngx_tccbs_tc3_parse(&auth, &s, &why);

    for (i = 0; i < 4; i++) {

        /* none, without the host, without the type, both */

        req.headers = &headers[(i == 2) ? 1 : 0];
        req.nheaders = (i == 0) ? 0 : (i == 3) ? 2 : 1;

        rc = ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, names,
                                2, pool);
        ok(rc == ((i == 3) ? NGX_OK : NGX_DECLINED), "signed %d", (int) i);

        memcpy(auth.signature, signature, sizeof(signature));

        rc = ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool);
        ok(rc == ((i == 3) ? NGX_OK : NGX_DECLINED), "verified %d", (int) i);
    }

    /* a port that is not signed must be one */

    for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {

        headers[1].value = str("cbs.example");
        (void) ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &date, &service,
                                  names, 2, pool);

        headers[1].value = str(ports[i]);
        rc = ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool);
        ok(rc == ((i == 0) ? NGX_OK : NGX_DECLINED), "%s is cbs.example: %d",
           ports[i], (int) rc);
    }

    headers[1].value = str("cbs.example");

    /* blanks around a value, and its case, are no part of it */

    req.headers = headers;
    req.nheaders = 3;
    headers[2].name = str("x-tc-action");
    headers[2].value = str(" \t A b\t \t");

    (void) ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, three, 3,
                              pool);
    headers[2].value = str("a B");
    (void) ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &date, &service,
                              three, 3, pool);
    ok(memcmp(signature, auth.signature, sizeof(signature)) == 0,
       "blanks around a value");

    headers[2].value = str("ab");
    (void) ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &date, &service,
                              three, 3, pool);
    ok(memcmp(signature, auth.signature, sizeof(signature)) != 0,
       "but not within it");

    headers[2].value = str("\t \t");
    ok(ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, three, 3,
                          pool) == NGX_OK, "nothing but blanks");

    ngx_tccbs_mac_free(&mac);
}


/* A longer secret would not be where a day key is made of it. */

static void
test_secret(void)
{
    size_t     len;
    ngx_int_t  rc;
    ngx_str_t  secret, date, service;
    u_char     text[1025], key[NGX_TCCBS_SHA256_LEN], none[sizeof(key)];

    memset(text, 'x', sizeof(text));
    memset(none, '-', sizeof(none));

    date = str("2026-01-01");
    service = str("cbs");
    secret.data = text;

    for (len = 1024; len <= sizeof(text); len++) {
        memcpy(key, none, sizeof(key));
        secret.len = len;

        rc = ngx_tccbs_tc3_day_key(key, &secret, &date, &service);

        ok(rc == ((len == 1024) ? NGX_OK : NGX_ERROR), "a secret of %d bytes",
           (int) len);
        ok((memcmp(key, none, sizeof(key)) == 0) == (len != 1024),
           "and its day key");
    }
}


static void
test_time(void)
{
    size_t       i, bad;
    time_t       t;
    struct tm    tm;
    char         text[80];
    u_char       date[NGX_TCCBS_TC3_DATE_LEN];
    ngx_str_t    s;
    const char  *wrong[] = { "", "0", "123456789", "0123456789", "+123456789",
                             "-123456789", " 1234567890", "1234567890 ",
                             "12345678.0", "1e10000000", "123456789012" };

    for (i = 0, bad = 0, t = 0; i < 60000; i++, t += 86399) {
        gmtime_r(&t, &tm);
        snprintf(text, sizeof(text), "%04d-%02d-%02d", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday);
        ngx_tccbs_tc3_date(t, date);
        bad += (memcmp(date, text, sizeof(date)) != 0);
    }

    ok(bad == 0, "60000 dates from 1970 on are those of gmtime");

    ngx_tccbs_tc3_date(951782400, date);
    ok(memcmp(date, "2000-02-29", 10) == 0, "a leap day");
    ngx_tccbs_tc3_date(4107542400, date);
    ok(memcmp(date, "2100-03-01", 10) == 0, "none in 2100");
    ngx_tccbs_tc3_date(1767225599, date);
    ok(memcmp(date, "2025-12-31", 10) == 0, "the last second of a year");
    ngx_tccbs_tc3_date(1767225600, date);
    ok(memcmp(date, "2026-01-01", 10) == 0, "and the first");

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        s = str(wrong[i]);
        ok(ngx_tccbs_tc3_timestamp(&s) == (time_t) NGX_ERROR,
           "no timestamp: %s", wrong[i]);
    }

    s = str("1767225600");
    ok(ngx_tccbs_tc3_timestamp(&s) == 1767225600, "timestamp");
}


static void
test_service(void)
{
    size_t       i;
    ngx_str_t    service, host;
    const char  *cases[][3] = {
        { "cbs", "anything", "1" }, { "127", "127.0.0.1:80", "1" },
        { "gw", "Gw.example", "1" }, { "copygw:18080", "copygw:18080", "1" },
        { "cvm", "cbs.example", "0" }, { "cb", "cbs.example", "0" },
        { "", ".example", "0" }, { "cbsx", "cbsx2.example", "0" },
        { "CBS", "x.example", "0" }, { "gw1", "GW1.example", "1" },
        { "g-{", "G-{.example", "1" }, { "g-{", "G-[.example", "0" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        service = str(cases[i][0]);
        host = str(cases[i][1]);
        ok(ngx_tccbs_tc3_service_valid(&service, &host)
           == (ngx_uint_t) (cases[i][2][0] - '0'),
           "service %s of %s", cases[i][0], cases[i][1]);
    }
}


int
main(void)
{
    alias[0].len = strlen((char *) alias[0].data);
    pool = ngx_create_pool(1024, NULL);

    (void) ngx_tccbs_crypto_init();

    test_grammar();
    test_headers();
    test_secret();
    test_time();
    test_service();
    test_vectors();

    ngx_destroy_pool(pool);
    ngx_tccbs_crypto_done();

    return tap_done();
}
