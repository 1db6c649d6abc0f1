
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


/*
 * Verifying and signing a copy beside the bare operations of OpenSSL that they
 * need: the same hashes of texts of the same lengths, prefetched algorithm,
 * keyed contexts.  In turns; prints the medians in nanoseconds and the ratio.
 *
 * crypto [rounds] [ours|bare]: with a name it runs only that one, for a count
 * of instructions.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <stdio.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_tc3.h"


#define CALLS   2000                          /* of a round */
#define ROUNDS  101


static ngx_pool_t              *pool;
static ngx_str_t                body, stamp, date, service, names[3];
static ngx_tccbs_mac_t          mac;
static ngx_tccbs_tc3_auth_t     auth;
static ngx_tccbs_tc3_header_t   headers[3];
static ngx_tccbs_tc3_request_t  in, out;

static EVP_MD                  *md;
static EVP_MD_CTX              *ctx, *inner, *outer;


static double
now_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * 1e9 + ts.tv_nsec;
}


static void
check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "crypto: %s failed\n", what);
        exit(1);
    }
}


/*
 * Allocations are what they are in nginx, the next bytes of a pool; those of
 * the programs outside of it are malloc(), for sanitizers.
 */

static u_char  heap[4096], *heap_last;

void *__wrap_ngx_palloc(ngx_pool_t *pool, size_t size);
void *__wrap_ngx_pnalloc(ngx_pool_t *pool, size_t size);


void *
__wrap_ngx_palloc(ngx_pool_t *pool, size_t size)
{
    u_char  *p;

    p = ngx_align_ptr(heap_last, NGX_ALIGNMENT);

    check((size_t) (heap + sizeof(heap) - p) >= size, "room");

    heap_last = p + size;

    return p;
}


void *
__wrap_ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return __wrap_ngx_palloc(pool, size);
}


static void
ours(void)
{
    u_char  signature[NGX_TCCBS_SHA256_LEN];

    heap_last = heap;

    check(ngx_tccbs_tc3_verify(&mac, &auth, &in, NULL, 0, pool) == NGX_OK,
          "verify");
    check(ngx_tccbs_tc3_sign(&mac, signature, &out, &date, &service, names, 3,
                             pool)
          == NGX_OK, "sign");
}


static void
digest(size_t len)
{
    u_char         hash[32];
    static u_char  text[4096];

    check(EVP_DigestInit_ex2(ctx, md, NULL) == 1
          && EVP_DigestUpdate(ctx, text, len) == 1
          && EVP_DigestFinal_ex(ctx, hash, NULL) == 1, "digest");
}


static void
keyed(size_t len)
{
    u_char         hash[32];
    static u_char  text[4096];

    check(EVP_MD_CTX_copy_ex(ctx, inner) == 1
          && EVP_DigestUpdate(ctx, text, len) == 1
          && EVP_DigestFinal_ex(ctx, hash, NULL) == 1
          && EVP_MD_CTX_copy_ex(ctx, outer) == 1
          && EVP_DigestUpdate(ctx, hash, sizeof(hash)) == 1
          && EVP_DigestFinal_ex(ctx, hash, NULL) == 1, "keyed digest");
}


/* the payload, the canonical request, the text that is signed; twice */

static size_t  lengths[2];


static void
bare(void)
{
    int  i;

    for (i = 0; i < 2; i++) {
        digest(body.len);
        digest(lengths[i]);
        keyed(sizeof("TC3-HMAC-SHA256\n1774051200\n"
                     "2026-03-21/cbs/tc3_request\n") - 1 + 64);
    }
}


static double
time_of(void (*run)(void))
{
    int     i;
    double  start;

    start = now_ns();

    for (i = 0; i < CALLS; i++) {
        run();
    }

    return (now_ns() - start) / CALLS;
}


static int
order(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return (a > b) - (a < b);
}


static ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = strlen(s);

    return v;
}


static void
prepare(void)
{
    int        i;
    ngx_str_t  secret;
    u_char     key[NGX_TCCBS_SHA256_LEN], block[64];

    secret = str("not-a-secret-of-anybody-0123456789");
    date = str("2026-03-21");
    service = str("cbs");
    stamp = str("1774051200");
    body = str("{\"SnapshotId\":\"snap-0123456789abcdef\","
               "\"DestinationRegions\":[\"ap-beijing\"]}");

    names[0] = headers[0].name = str("content-type");
    names[1] = headers[1].name = str("host");
    names[2] = headers[2].name = str("x-tc-action");
    headers[0].value = str("application/json");
    headers[1].value = str("cbs.intl.tencentcloudapi.com");
    headers[2].value = str("CopySnapshotCrossRegions");

    out.method = str("POST");
    out.uri = str("/");
    out.query = str("");
    out.headers = headers;
    out.nheaders = 3;
    out.timestamp = stamp;
    out.payload = body;
    in = out;

    check(ngx_tccbs_tc3_day_key(key, &secret, &date, &service) == NGX_OK
          && ngx_tccbs_mac_key(&mac, key, sizeof(key)) == NGX_OK, "key");

    /* callers sign two headers, as all SDKs do */

    auth.date = date;
    auth.service = service;
    auth.signed_headers = str("content-type;host");
    auth.names[0] = names[0];
    auth.names[1] = names[1];
    auth.nnames = 2;

    check(ngx_tccbs_tc3_sign(&mac, auth.signature, &in, &date, &service, names,
                             2, pool)
          == NGX_OK, "sign");

    lengths[0] = sizeof("POST\n/\n\ncontent-type:application/json\n"
                        "host:cbs.intl.tencentcloudapi.com\n\n"
                        "content-type;host\n") - 1 + 64;
    lengths[1] = lengths[0]
                 + sizeof("x-tc-action:copysnapshotcrossregions\n"
                          ";x-tc-action") - 1;

    /* an HMAC whose inner and outer blocks were hashed before */

    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    ctx = EVP_MD_CTX_new();
    inner = EVP_MD_CTX_new();
    outer = EVP_MD_CTX_new();

    for (i = 0; i < 64; i++) {
        block[i] = (u_char) i;
    }

    check(md && ctx && inner && outer
          && EVP_DigestInit_ex2(inner, md, NULL) == 1
          && EVP_DigestUpdate(inner, block, 64) == 1
          && EVP_DigestInit_ex2(outer, md, NULL) == 1
          && EVP_DigestUpdate(outer, block, 64) == 1, "contexts");
}


int
main(int argc, char **argv)
{
    int            i, rounds;
    static double  a[1001], b[1001], r[1001];

    rounds = (argc > 1) ? atoi(argv[1]) : ROUNDS;
    rounds = ngx_max(1, ngx_min(rounds, 1001));

    pool = ngx_create_pool(4096, NULL);
    heap_last = heap;

    check(ngx_tccbs_crypto_init() == NGX_OK, "start");
    prepare();

    for (i = 0; i < rounds; i++) {
        a[i] = (argc > 2 && argv[2][0] == 'b') ? 0 : time_of(ours);
        b[i] = (argc > 2 && argv[2][0] == 'o') ? 0 : time_of(bare);
        r[i] = b[i] ? a[i] / b[i] : 0;
    }

    qsort(a, rounds, sizeof(double), order);
    qsort(b, rounds, sizeof(double), order);
    qsort(r, rounds, sizeof(double), order);

    if (argc > 2) {
        printf("%d calls\n", rounds * CALLS);
        return 0;
    }

    printf("verify and sign %.0f ns, bare operations %.0f ns, ratio %.2f "
           "(%.2f to %.2f)\n", a[rounds / 2], b[rounds / 2], r[rounds / 2],
           r[rounds / 10], r[rounds * 9 / 10]);

    return 0;
}
