
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_tc3.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>


/*
 * A request is made of the input and signed; the signature is the one that
 * plain OpenSSL gives for a canonical request that is put together here, it is
 * verified, and after one change anywhere it is not, unless the change is one
 * of those that do not count: case and blanks around the value of a header, a
 * form of the host that SDKs sign.
 */

#define HEADERS  8
#define KEY      "tc3-fuzz-key-0123456789abcdefghi"

typedef enum {
    SIGNATURE = 0, BODY, TIMESTAMP, DATE, SERVICE, METHOD, QUERY, VALUE, NAME,
    PARTS
} part_e;


static void canonical(ngx_pool_t *pool, const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *date, const ngx_str_t *service,
    u_char signature[NGX_TCCBS_SHA256_LEN]);
static void normal(ngx_pool_t *pool, const ngx_str_t *value, ngx_str_t *dst);
static ngx_uint_t host_form(ngx_pool_t *pool, const ngx_str_t *host,
    const ngx_str_t *is);
static void lower(ngx_pool_t *pool, const ngx_str_t *s, ngx_str_t *dst);
static ngx_str_t *part(part_e which, ngx_uint_t n,
    ngx_tccbs_tc3_request_t *req, ngx_tccbs_tc3_auth_t *auth);
static void times(const ngx_str_t *text);


static ngx_tccbs_mac_t  mac;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    must(ngx_tccbs_crypto_init() == NGX_OK);
    must(ngx_tccbs_mac_key(&mac, (u_char *) KEY, NGX_TCCBS_SHA256_LEN)
         == NGX_OK);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                    f = { data, size };
    part_e                    which;
    ngx_int_t                 rc;
    ngx_str_t                *s, was, a, b;
    ngx_uint_t                i, n, bit, at, same;
    ngx_pool_t               *pool;
    ngx_tccbs_tc3_auth_t      auth;
    ngx_tccbs_tc3_header_t    headers[HEADERS];
    ngx_tccbs_tc3_request_t   req;
    u_char                    expected[NGX_TCCBS_SHA256_LEN];

    static const char  *names[HEADERS] = {
        "content-type", "host", "x-a", "x-tc-action", "x-tc-region",
        "x-tc-timestamp", "x-tc-version", "z"
    };

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    ngx_memzero(&req, sizeof(req));
    ngx_memzero(&auth, sizeof(auth));

    which = fuzz_byte(&f) % PARTS;
    n = fuzz_byte(&f);
    at = fuzz_byte(&f);
    bit = fuzz_byte(&f) % 8;
    req.nheaders = 2 + fuzz_byte(&f) % (HEADERS - 1);

    req.headers = headers;
    req.method = fuzz_until(&f, pool, '\n');
    req.query = fuzz_until(&f, pool, '\n');
    req.timestamp = fuzz_until(&f, pool, '\n');
    auth.date = fuzz_until(&f, pool, '\n');
    auth.service = fuzz_until(&f, pool, '\n');
    ngx_str_set(&req.uri, "/");

    times(&req.timestamp);

    for (i = 0; i < req.nheaders; i++) {
        headers[i].name = fuzz_copy(pool, names[i], strlen(names[i]));
        headers[i].value = fuzz_until(&f, pool, '\n');
        auth.names[auth.nnames++] = headers[i].name;
    }

    req.payload = fuzz_copy(pool, f.p, f.len);

    /* what the module signs is what is to be signed, and verified */

    canonical(pool, &req, &auth.date, &auth.service, expected);

    must(ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &auth.date,
                            &auth.service, auth.names, auth.nnames, pool)
         == NGX_OK);
    must(memcmp(auth.signature, expected, sizeof(expected)) == 0);
    must(ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool) == NGX_OK);

    /* one bit of one part */

    same = 0;

    if (which == SIGNATURE) {
        auth.signature[at % sizeof(auth.signature)] ^= 1 << bit;

    } else if (which == NAME) {

        /* a header that is signed and did not come */

        headers[n % req.nheaders].name = fuzz_copy(pool, "absent", 6);

    } else {
        s = part(which, n, &req, &auth);

        if (s->len == 0) {
            ngx_destroy_pool(pool);
            return 0;
        }

        was = fuzz_copy(pool, s->data, s->len);
        s->data[at % s->len] ^= 1 << bit;

        if (which == VALUE) {

            switch (n % req.nheaders) {

            case 0:
                lower(pool, s, &a);
                same = fuzz_same(&a, &was);
                break;

            case 1:
                same = host_form(pool, s, &was);
                break;

            default:
                normal(pool, &was, &a);
                normal(pool, s, &b);
                same = fuzz_same(&a, &b);
            }
        }
    }

    rc = ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool);

    must(rc == (same ? NGX_OK : NGX_DECLINED));

    ngx_destroy_pool(pool);

    return 0;
}


static ngx_str_t *
part(part_e which, ngx_uint_t n, ngx_tccbs_tc3_request_t *req,
    ngx_tccbs_tc3_auth_t *auth)
{
    switch (which) {

    case BODY:
        return &req->payload;

    case TIMESTAMP:
        return &req->timestamp;

    case DATE:
        return &auth->date;

    case SERVICE:
        return &auth->service;

    case METHOD:
        return &req->method;

    case QUERY:
        return &req->query;

    default:
        return &req->headers[n % req->nheaders].value;
    }
}


static u_char *
put(u_char *p, const void *data, size_t len)
{
    return len ? ngx_cpymem(p, data, len) : p;
}


static u_char *
put_hash(u_char *p, const void *data, size_t len)
{
    u_char      hash[SHA256_DIGEST_LENGTH];
    ngx_uint_t  i;

    SHA256(data, len, hash);

    for (i = 0; i < sizeof(hash); i++) {
        p += sprintf((char *) p, "%02x", hash[i]);
    }

    return p;
}


static void
canonical(ngx_pool_t *pool, const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *date, const ngx_str_t *service,
    u_char signature[NGX_TCCBS_SHA256_LEN])
{
    u_char           *text, *p;
    size_t            len;
    unsigned          n;
    ngx_str_t         value;
    ngx_uint_t        i;
    const ngx_str_t  *name;

    len = req->method.len + req->query.len + req->timestamp.len + date->len
          + service->len + 512;

    for (i = 0; i < req->nheaders; i++) {
        len += 2 * req->headers[i].name.len + req->headers[i].value.len + 4;
    }

    text = ngx_pnalloc(pool, len);
    must(text != NULL);

    p = put(text, req->method.data, req->method.len);
    p = put(p, "\n/\n", 3);
    p = put(p, req->query.data, req->query.len);
    p = put(p, "\n", 1);

    for (i = 0; i < req->nheaders; i++) {
        value = req->headers[i].value;

        if (i >= 2) {
            normal(pool, &req->headers[i].value, &value);
        }

        name = &req->headers[i].name;
        p = put(p, name->data, name->len);
        p = put(p, ":", 1);
        p = put(p, value.data, value.len);
        p = put(p, "\n", 1);
    }

    for (i = 0; i < req->nheaders; i++) {
        p = put(p, i ? ";" : "\n", 1);
        p = put(p, req->headers[i].name.data, req->headers[i].name.len);
    }

    p = put(p, "\n", 1);
    p = put_hash(p, req->payload.data, req->payload.len);

    len = p - text;
    value = fuzz_copy(pool, text, len);

    p = put(text, "TC3-HMAC-SHA256\n", 16);
    p = put(p, req->timestamp.data, req->timestamp.len);
    p = put(p, "\n", 1);
    p = put(p, date->data, date->len);
    p = put(p, "/", 1);
    p = put(p, service->data, service->len);
    p = put(p, "/tc3_request\n", 13);
    p = put_hash(p, value.data, value.len);

    must(HMAC(EVP_sha256(), KEY, NGX_TCCBS_SHA256_LEN, text, p - text,
              signature, &n)
         != NULL);
}


static void
lower(ngx_pool_t *pool, const ngx_str_t *s, ngx_str_t *dst)
{
    size_t  i;

    *dst = fuzz_copy(pool, s->data, s->len);

    for (i = 0; i < s->len; i++) {
        if (dst->data[i] >= 'A' && dst->data[i] <= 'Z') {
            dst->data[i] += 'a' - 'A';
        }
    }
}


static void
normal(ngx_pool_t *pool, const ngx_str_t *value, ngx_str_t *dst)
{
    lower(pool, value, dst);

    while (dst->len && strchr(" \t", dst->data[dst->len - 1])
           && dst->data[dst->len - 1])
    {
        dst->len--;
    }

    while (dst->len && (*dst->data == ' ' || *dst->data == '\t')) {
        dst->data++;
        dst->len--;
    }
}


/* Whether "is" is the received host, without its port, in lower case. */

static ngx_uint_t
host_form(ngx_pool_t *pool, const ngx_str_t *host, const ngx_str_t *is)
{
    u_char     *colon;
    size_t      i;
    ngx_str_t   forms[4];

    forms[0] = *host;
    forms[1] = *host;

    colon = host->len ? memrchr(host->data, ':', host->len) : NULL;

    if (colon && colon > host->data && colon + 1 < host->data + host->len) {

        for (i = colon + 1 - host->data; i < host->len; i++) {
            if (host->data[i] < '0' || host->data[i] > '9') {
                break;
            }
        }

        if (i == host->len) {
            forms[1].len = colon - host->data;
        }
    }

    lower(pool, &forms[0], &forms[2]);
    lower(pool, &forms[1], &forms[3]);

    for (i = 0; i < 4; i++) {
        if (fuzz_same(&forms[i], is)) {
            return 1;
        }
    }

    return 0;
}


/* The time of a timestamp, and its date as the C library has it. */

static void
times(const ngx_str_t *text)
{
    time_t      t, want;
    size_t      i;
    struct tm   tm;
    char        date[32], copy[16];
    u_char      got[NGX_TCCBS_TC3_DATE_LEN];

    t = ngx_tccbs_tc3_timestamp(text);
    want = NGX_ERROR;

    if (text->len == 10 || text->len == 11) {

        for (i = 0; i < text->len && isdigit(text->data[i]); i++) {
            copy[i] = text->data[i];
        }

        copy[i] = '\0';

        if (i == text->len && copy[0] != '0') {
            want = strtoll(copy, NULL, 10);
        }
    }

    must(t == want);

    if (t == NGX_ERROR) {
        return;
    }

    must(gmtime_r(&t, &tm) != NULL);
    must(strftime(date, sizeof(date), "%Y-%m-%d", &tm) == sizeof(got));

    ngx_tccbs_tc3_date(t, got);
    must(memcmp(got, date, sizeof(got)) == 0);
}
