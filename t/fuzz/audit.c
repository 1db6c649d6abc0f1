
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "log.h"
#include "verify.h"


/*
 * "M...": a log is made, of records that are chained as the module chains
 * them; it verifies, and after one change to it, it does not.  "L...": the
 * lines are read as they are; "F...": their links are mended first, so that
 * the checks behind the hashes are reached.
 */

#define CHAINS   3
#define RECORDS  16
#define LINE     1024
#define KEY      "audit-mac-key-of-the-fuzz-target"

typedef struct {
    uint64_t  seq;
    u_char    hash[NGX_TCCBS_SHA256_LEN];
} chain_t;

typedef struct {
    u_char      *text;
    size_t       len;
    size_t       lines[2 * CHAINS + RECORDS + 1];   /* where they begin */
    ngx_uint_t   chain[2 * CHAINS + RECORDS];
    ngx_uint_t   n;
    chain_t      chains[CHAINS];
    ngx_uint_t   nchains;
    char         receipts[CHAINS][96];
} made_t;


static void open_log(tccbs_log_t *log, const ngx_str_t *text);
static ngx_int_t verify(const ngx_str_t *text, ngx_uint_t macs,
    char **receipts, ngx_uint_t nreceipts, tccbs_verify_t *v);
static void lines(const ngx_str_t *text, const tccbs_verify_t *v);
static void mend(const ngx_str_t *text);
static void made(fuzz_t *f, ngx_pool_t *pool);
static void record(made_t *m, ngx_uint_t chain, const char *members);
static void changed(fuzz_t *f, ngx_pool_t *pool, made_t *m, ngx_uint_t macs);


static ngx_tccbs_mac_t  mac;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    must(ngx_tccbs_crypto_init() == NGX_OK);
    must(ngx_tccbs_mac_key(&mac, (u_char *) KEY, sizeof(KEY) - 1) == NGX_OK);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char             *receipt, *copy;
    fuzz_t            f = { data, size };
    ngx_int_t         rc;
    ngx_str_t         text, first;
    ngx_uint_t        how;
    ngx_pool_t       *pool;
    tccbs_verify_t    v;

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    how = fuzz_byte(&f);

    if (how == 'M') {
        made(&f, pool);
        ngx_destroy_pool(pool);
        return 0;
    }

    /* the first line is a receipt */

    first = fuzz_until(&f, pool, '\n');
    copy = ngx_pnalloc(pool, first.len + 1);
    must(copy != NULL);
    ngx_memcpy(copy, first.data, first.len);
    copy[first.len] = '\0';
    receipt = copy;

    text = fuzz_copy(pool, f.p, f.len);

    if (how == 'F') {
        mend(&text);
    }

    rc = verify(&text, how & 1, &receipt, first.len ? 1 : 0, &v);

    must(rc == NGX_OK || rc == NGX_DECLINED);
    must((rc == NGX_DECLINED) == (v.class != NULL));
    must(v.class == NULL || strlen(v.why) > 0);
    lines(&text, &v);

    ngx_destroy_pool(pool);

    return 0;
}


static void
open_log(tccbs_log_t *log, const ngx_str_t *text)
{
    u_char     *p, hash[NGX_TCCBS_SHA256_LEN];
    ngx_str_t   line;

    ngx_memzero(log, sizeof(tccbs_log_t));

    log->name = "fuzz";
    log->start = text->data;
    log->size = text->len;
    log->end = text->data;

    if (text->len) {
        p = memrchr(text->data, LF, text->len);
        log->end = p ? p + 1 : text->data;
    }

    p = log->start;

    if (tccbs_log_line(log, &p, &line) == NGX_OK) {
        must(ngx_tccbs_sha256(hash, &line, 1) == NGX_OK);
        (void) ngx_tccbs_hex(log->id, hash, TCCBS_LOG_ID / 2);
    }
}


static ngx_int_t
verify(const ngx_str_t *text, ngx_uint_t macs, char **receipts,
    ngx_uint_t nreceipts, tccbs_verify_t *v)
{
    tccbs_log_t  log;

    ngx_memzero(v, sizeof(tccbs_verify_t));
    open_log(&log, text);

    v->logs = &log;
    v->nlogs = 1;
    v->receipts = receipts;
    v->nreceipts = nreceipts;

    if (macs) {
        ngx_str_set(&v->mac_key, KEY);
    }

    return tccbs_verify(v);
}


/* What the readers of a line give lies inside of it. */

static void
lines(const ngx_str_t *text, const tccbs_verify_t *v)
{
    u_char          *p, *inner, *chain;
    uint64_t         n, seq;
    ngx_str_t        line, value;
    ngx_uint_t       i;
    tccbs_log_t      log;
    tccbs_record_t   record;

    static const char  *names[] = { "time", "why", "first", "heads", "mac" };

    open_log(&log, text);
    p = log.start;
    n = 0;

    for (n = 0; tccbs_log_line(&log, &p, &line) == NGX_OK; n++) {

        inner = tccbs_log_inner(&line);
        must(inner == NULL || (inner > line.data
                               && inner < line.data + line.len));

        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            value = tccbs_log_member(&line, names[i]);
            must(value.data == NULL
                 || (value.data >= line.data
                     && value.data + value.len <= line.data + line.len));
        }

        (void) tccbs_log_torn(&line, &chain, &seq);

        if (tccbs_log_record(&line, &record) != NGX_OK) {
            continue;
        }

        must(record.time > line.data);
        must(record.kind.data + record.kind.len < line.data + line.len);
        must(record.covered < line.len);
        must(record.mac == NULL
             || record.mac + NGX_TCCBS_HEX_LEN <= line.data + line.len);
    }

    must(v->records <= n);
    must(v->intents + v->outcomes + v->refusals + v->recoveries + v->anchors
         <= v->records);
}


/* Each record names the one before it in its chain. */

static void
mend(const ngx_str_t *text)
{
    u_char          *p, hash[NGX_TCCBS_SHA256_LEN];
    u_char           names[CHAINS][TCCBS_LOG_CHAIN];
    u_char           hashes[CHAINS][NGX_TCCBS_SHA256_LEN];
    ngx_str_t        line;
    ngx_uint_t       i, n;
    tccbs_log_t      log;
    tccbs_record_t   record;

    open_log(&log, text);
    p = log.start;
    n = 0;

    while (tccbs_log_line(&log, &p, &line) == NGX_OK) {

        if (tccbs_log_record(&line, &record) != NGX_OK) {
            continue;
        }

        for (i = 0; i < n; i++) {
            if (memcmp(names[i], record.chain, TCCBS_LOG_CHAIN) == 0) {
                break;
            }
        }

        if (i == CHAINS) {
            continue;
        }

        if (i == n) {
            n++;
            ngx_memcpy(names[i], record.chain, TCCBS_LOG_CHAIN);

        } else {
            (void) ngx_tccbs_hex(record.prev, hashes[i], sizeof(hashes[i]));
        }

        if (record.mac) {
            line.len = record.covered;
            must(ngx_tccbs_mac_sign(&mac, hash, &line, 1) == NGX_OK);
            (void) ngx_tccbs_hex(record.mac, hash, sizeof(hash));
        }

        must(ngx_tccbs_sha256(hashes[i], &record.line, 1) == NGX_OK);
    }
}


static void
made(fuzz_t *f, ngx_pool_t *pool)
{
    char             *receipts[CHAINS];
    u_char            hex[NGX_TCCBS_HEX_LEN];
    made_t            m;
    ngx_str_t         text;
    ngx_uint_t        i, n, macs, chain;
    tccbs_verify_t    v;
    char              members[512];

    static const char  *kinds[] = {
        "\"kind\":\"intent\",\"account\":\"a\"",
        "\"kind\":\"outcome\",\"outcome\":\"success\",\"per\":[]",
        "\"kind\":\"refusal\",\"code\":\"a\\\"b\"",
        "\"kind\":\"recovery\",\"outcome\":\"unknown\""
    };

    ngx_memzero(&m, sizeof(m));

    m.text = ngx_pnalloc(pool, LINE * (2 * CHAINS + RECORDS));
    must(m.text != NULL);

    macs = fuzz_byte(f) & 1;
    m.nchains = 1 + fuzz_byte(f) % CHAINS;

    for (i = 0; i < m.nchains; i++) {
        record(&m, i, "\"kind\":\"anchor\",\"why\":\"start\",\"heads\":[]");
    }

    for (n = 1 + fuzz_byte(f) % RECORDS; n; n--) {

        i = fuzz_byte(f);
        chain = i % m.nchains;
        i /= CHAINS + 1;

        if (i % 5 < 4) {
            record(&m, chain, kinds[i % 5]);
            continue;
        }

        /* an anchor names the heads of the others */

        i = (i / 5) % m.nchains;
        (void) ngx_tccbs_hex(hex, m.chains[i].hash, NGX_TCCBS_SHA256_LEN);

        snprintf(members, sizeof(members), "\"kind\":\"anchor\",\"why\":\"time"
                 "\",\"heads\":[{\"chain\":\"%016x\",\"seq\":%llu,"
                 "\"hash\":\"%.64s\"}]", (unsigned) i + 1,
                 (unsigned long long) m.chains[i].seq - 1, hex);
        record(&m, chain, members);
    }

    m.lines[m.n] = m.len;

    for (i = 0; i < m.nchains; i++) {
        (void) ngx_tccbs_hex(hex, m.chains[i].hash, NGX_TCCBS_SHA256_LEN);
        snprintf(m.receipts[i], sizeof(m.receipts[i]), "%016x.%llu.%.64s",
                 (unsigned) i + 1, (unsigned long long) m.chains[i].seq - 1,
                 hex);
        receipts[i] = m.receipts[i];
    }

    text = fuzz_copy(pool, m.text, m.len);

    must(verify(&text, macs, receipts, m.nchains, &v) == NGX_OK);
    must(v.records == m.n && v.chains == m.nchains && v.torn == 0);

    changed(f, pool, &m, macs);
}


static void
record(made_t *m, ngx_uint_t chain, const char *members)
{
    u_char     *p, hash[NGX_TCCBS_SHA256_LEN], hex[NGX_TCCBS_HEX_LEN];
    chain_t    *c;
    ngx_str_t   line;

    c = &m->chains[chain];
    p = m->text + m->len;

    (void) ngx_tccbs_hex(hex, c->hash, NGX_TCCBS_SHA256_LEN);

    line.data = p;
    line.len = snprintf((char *) p, LINE, "{\"v\":1,\"time\":\"2026-01-01T00:"
                        "00:00.%06uZ\",\"id\":\"%08x-0000-4000-8000-"
                        "000000000000\",\"chain\":\"%016x\",\"seq\":%llu,"
                        "\"prev\":\"%.64s\",%s", (unsigned) m->n,
                        (unsigned) m->n, (unsigned) chain + 1,
                        (unsigned long long) c->seq, hex, members);

    must(ngx_tccbs_mac_sign(&mac, hash, &line, 1) == NGX_OK);
    (void) ngx_tccbs_hex(hex, hash, sizeof(hash));

    line.len += snprintf((char *) p + line.len, LINE - line.len,
                         ",\"mac\":\"%.64s\"}\n", hex)
                - 1;

    must(ngx_tccbs_sha256(c->hash, &line, 1) == NGX_OK);

    c->seq++;
    m->chain[m->n] = chain;
    m->lines[m->n++] = m->len;
    m->len += line.len + 1;
}


static void
changed(fuzz_t *f, ngx_pool_t *pool, made_t *m, ngx_uint_t macs)
{
    char             *receipts[CHAINS];
    size_t            at, len, from, to;
    ngx_str_t         text;
    ngx_uint_t        i, how, line, other;
    tccbs_verify_t    v;

    how = fuzz_byte(f) % 6;
    at = (fuzz_byte(f) << 8 | fuzz_byte(f)) % m->len;
    line = fuzz_byte(f) % m->n;

    text.data = ngx_pnalloc(pool, 2 * m->len);
    must(text.data != NULL);

    ngx_memcpy(text.data, m->text, m->len);
    text.len = m->len;

    from = m->lines[line];
    to = m->lines[line + 1];

    switch (how) {

    case 0:
        text.data[at] ^= 1 << fuzz_byte(f) % 8;
        break;

    case 1:
        memmove(text.data + at, text.data + at + 1, text.len - at - 1);
        text.len--;
        break;

    case 2:
        text.len = at;
        break;

    case 3:
        memmove(text.data + from, text.data + to, text.len - to);
        text.len -= to - from;
        break;

    case 4:
        len = to - from;
        memmove(text.data + to + len, text.data + to, text.len - to);
        ngx_memcpy(text.data + to, m->text + from, len);
        text.len += len;
        break;

    default:

        /* the order within a chain */

        for (other = line + 1; other < m->n; other++) {
            if (m->chain[other] == m->chain[line]) {
                break;
            }
        }

        if (other == m->n) {
            return;
        }

        len = m->lines[other + 1] - to;
        ngx_memcpy(text.data + from, m->text + to, len);
        ngx_memcpy(text.data + from + len, m->text + from, to - from);
    }

    text = fuzz_copy(pool, text.data, text.len);

    for (i = 0; i < m->nchains; i++) {
        receipts[i] = m->receipts[i];
    }

    must(verify(&text, macs, receipts, m->nchains, &v) == NGX_DECLINED);
}
