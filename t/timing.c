
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <math.h>
#include <stdio.h>
#include <x86intrin.h>

#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_tc3.h"


/*
 * Whether the time of an operation tells the secret that it works on, as
 * dudect asks: two classes of inputs in random order, the slowest part of the
 * samples left out, and Welch's t of the two means.  "timing SAMPLES" prints a
 * line "NAME T" for each operation; those that begin with "control" are early
 * exits that must be found.
 */

#define BATCH    64                           /* inputs prepared at once */
#define IDS      64
#define BUCKETS  (2 * IDS)                    /* of an index of so many */
#define LONG     1024

typedef struct {
    double  n, mean, m2;
} stat_t;

typedef struct {
    const char   *name;
    void        (*prepare)(void *input, int class);
    int         (*run)(void *input);
} operation_t;

typedef union {
    u_char                 bytes[LONG];
    ngx_tccbs_tc3_auth_t   auth;
    ngx_str_t              id;
} input_t;


static void measure(const operation_t *op, uint64_t samples);
static double welch(const stat_t *a, const stat_t *b);
static void add(stat_t *s, double x);
static int order(const void *one, const void *two);
static uint64_t below(uint64_t n);

static void bytes_prepare(void *input, int class);
static int equal_run(void *input);
static int early_run(void *input);
static void long_prepare(void *input, int class);
static int memcmp_run(void *input);
static void verify_prepare(void *input, int class);
static int verify_run(void *input);
static void lookup_prepare(void *input, int class);
static int lookup_run(void *input);


static const operation_t  operations[] = {
    { "compare", bytes_prepare, equal_run },
    { "verify", verify_prepare, verify_run },
    { "lookup", lookup_prepare, lookup_run },
    { "control loop", bytes_prepare, early_run },
    { "control memcmp", long_prepare, memcmp_run },
    { NULL, NULL, NULL }
};


static uint64_t                  state = 88172645463325252ull;
static u_char                    secret[LONG];
static u_char                    signature[NGX_TCCBS_SHA256_LEN];
static ngx_pool_t               *pool;
static ngx_tccbs_mac_t           mac;
static ngx_tccbs_tc3_auth_t      auth;
static ngx_tccbs_tc3_request_t   req;
static ngx_tccbs_tc3_header_t    headers[2];
static ngx_tccbs_index_t        *ids;
static ngx_str_t                 known[IDS];
static u_char                    names[BATCH][64];
static volatile int              sink;


/* MurmurHash2, which nginx-dev has no source of. */

uint32_t
ngx_murmur_hash2(u_char *data, size_t len)
{
    uint32_t  h, k;

    h = 0 ^ len;

    for ( /* void */ ; len >= 4; data += 4, len -= 4) {
        k = data[0] | data[1] << 8 | data[2] << 16 | (uint32_t) data[3] << 24;
        k *= 0x5bd1e995;
        k ^= k >> 24;
        k *= 0x5bd1e995;
        h = h * 0x5bd1e995 ^ k;
    }

    switch (len) {

    case 3:
        h ^= data[2] << 16;
        /* fall through */
    case 2:
        h ^= data[1] << 8;
        /* fall through */
    case 1:
        h ^= data[0];
        h *= 0x5bd1e995;
    }

    h ^= h >> 13;
    h *= 0x5bd1e995;

    return h ^ h >> 15;
}


int
main(int argc, char **argv)
{
    size_t              i;
    uint64_t            samples;
    const operation_t  *op;
    u_char              text[64];

    samples = (argc == 2) ? strtoull(argv[1], NULL, 10) : 0;

    if (samples < 1000) {
        fprintf(stderr, "usage: timing SAMPLES\n");
        return 2;
    }

    pool = ngx_create_pool(4096, NULL);

    if (ngx_tccbs_crypto_init() != NGX_OK
        || ngx_tccbs_random(secret, sizeof(secret)) != NGX_OK
        || ngx_tccbs_mac_key(&mac, secret, 32) != NGX_OK)
    {
        return 2;
    }

    ngx_str_set(&headers[0].name, "content-type");
    ngx_str_set(&headers[0].value, "application/json");
    ngx_str_set(&headers[1].name, "host");
    ngx_str_set(&headers[1].value, "cbs.gw.test");

    req.headers = headers;
    req.nheaders = 2;
    ngx_str_set(&req.method, "POST");
    ngx_str_set(&req.uri, "/");
    ngx_str_set(&req.timestamp, "1700000000");
    ngx_str_set(&req.payload, "{}");

    auth.names[0] = headers[0].name;
    auth.names[1] = headers[1].name;
    auth.nnames = 2;
    ngx_str_set(&auth.date, "2023-11-14");
    ngx_str_set(&auth.service, "cbs");

    if (ngx_tccbs_tc3_sign(&mac, signature, &req, &auth.date, &auth.service,
                           auth.names, 2, pool)
        != NGX_OK)
    {
        return 2;
    }

    ids = ngx_tccbs_index_create(pool, IDS);

    for (i = 0; i < IDS; i++) {
        known[i].len = sprintf((char *) text, "AKIDgw%026llx",
                               (unsigned long long) below(~0ull));
        known[i].data = ngx_pnalloc(pool, known[i].len);
        memcpy(known[i].data, text, known[i].len);

        if (ngx_tccbs_index_add(ids, &known[i], &known[i]) != NGX_OK) {
            return 2;
        }
    }

    for (op = operations; op->name; op++) {
        measure(op, samples);
    }

    return 0;
}


static void
measure(const operation_t *op, uint64_t samples)
{
    int              class[BATCH];
    double           t, worst, cut;
    stat_t           whole[2], cropped[2];
    uint64_t         k, n, start, calibration[1000];
    uint64_t         ticks[BATCH];
    static input_t   inputs[BATCH];

    memset(whole, 0, sizeof(whole));
    memset(cropped, 0, sizeof(cropped));
    cut = 0;
    n = 0;

    while (n < samples) {

        for (k = 0; k < BATCH; k++) {
            class[k] = below(2);
            sink = k;
            op->prepare(&inputs[k], class[k]);
        }

        for (k = 0; k < BATCH; k++) {
            _mm_lfence();
            start = __rdtsc();
            _mm_lfence();
            sink = op->run(&inputs[k]);
            _mm_lfence();
            ticks[k] = __rdtsc() - start;
        }

        /* the first ones say what is slow: what an interrupt hit */

        for (k = 0; k < BATCH; k++) {

            if (cut == 0) {
                calibration[n++] = ticks[k];

                if (n == sizeof(calibration) / sizeof(calibration[0])) {
                    qsort(calibration, n, sizeof(calibration[0]), order);
                    cut = calibration[n * 9 / 10];
                    n = 0;
                }

                continue;
            }

            add(&whole[class[k]], ticks[k]);
            n++;

            if (ticks[k] < cut) {
                add(&cropped[class[k]], ticks[k]);
            }
        }
    }

    worst = welch(&whole[0], &whole[1]);
    t = welch(&cropped[0], &cropped[1]);

    if (fabs(t) > fabs(worst)) {
        worst = t;
    }

    printf("%s: %.2f\n", op->name, worst);
}


static double
welch(const stat_t *a, const stat_t *b)
{
    double  v;

    v = a->m2 / (a->n - 1) / a->n + b->m2 / (b->n - 1) / b->n;

    return v > 0 ? (a->mean - b->mean) / sqrt(v) : 0;
}


static void
add(stat_t *s, double x)
{
    double  d;

    s->n++;
    d = x - s->mean;
    s->mean += d / s->n;
    s->m2 += d * (x - s->mean);
}


static int
order(const void *one, const void *two)
{
    const uint64_t *a = one, *b = two;

    return (*a > *b) - (*a < *b);
}


static uint64_t
below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return (state >> 11) % n;
}


/* A guess that is wrong from its first byte on, or in its last one only. */

static void
bytes_prepare(void *input, int class)
{
    u_char *p = input;

    size_t  i;

    for (i = 0; i < 32; i++) {
        p[i] = class ? secret[i] : secret[i] ^ (1 + below(255));
    }

    p[31] = secret[31] ^ (1 + below(255));
}


static int
equal_run(void *input)
{
    return ngx_tccbs_equal(input, secret, 32);
}


static int
early_run(void *input)
{
    size_t           i;
    volatile u_char  *p = input;

    for (i = 0; i < 32; i++) {
        if (p[i] != secret[i]) {
            return 0;
        }
    }

    return 1;
}


static void
long_prepare(void *input, int class)
{
    u_char *p = input;

    memcpy(p, secret, LONG);
    p[class ? LONG - 1 : 0] ^= 1 + below(255);
}


static int
memcmp_run(void *input)
{
    int  (*volatile compare)(const void *, const void *, size_t) = memcmp;

    return compare(input, secret, LONG);
}


static void
verify_prepare(void *input, int class)
{
    size_t                 i;
    ngx_tccbs_tc3_auth_t  *a = input;

    *a = auth;
    memcpy(a->signature, signature, sizeof(signature));

    for (i = class ? 31 : 0; i < 32; i++) {
        a->signature[i] ^= 1 + below(255);
    }
}


static int
verify_run(void *input)
{
    int          rc;
    ngx_pool_t  *p;

    p = ngx_create_pool(1024, NULL);
    rc = ngx_tccbs_tc3_verify(&mac, input, &req, NULL, 0, p);
    ngx_destroy_pool(p);

    return rc;
}


/*
 * An id that nobody has, which is nearly that of a key, or not at all, in the
 * bucket of that key: they are compared, and to as many others in both classes.
 */

static void
lookup_prepare(void *input, int class)
{
    u_char           *p;
    size_t            i;
    uint32_t          hash;
    ngx_str_t        *id = input;
    const ngx_str_t  *key;

    static ngx_uint_t  n;

    key = &known[below(IDS)];
    p = names[n++ % BATCH];

    memcpy(p, key->data, key->len);

    hash = ngx_murmur_hash2(key->data, key->len);

    do {
        for (i = class ? key->len - 3 : 6; i < key->len; i++) {
            p[i] = 'a' + below(26);
        }

        p[key->len - 1] = 'g' + below(20);

    } while ((ngx_murmur_hash2(p, key->len) ^ hash) & (BUCKETS - 1));

    id->data = p;
    id->len = key->len;
}


static int
lookup_run(void *input)
{
    return ngx_tccbs_index_find(ids, input) != NULL;
}
