
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "chain.h"
#include "verify.h"
#include "ngx_tccbs_text.h"


#define TCCBS_NOWHERE        ((uint32_t) -1)  /* something is missing */


typedef struct {
    u_char            *text;
    size_t             len;
    uint32_t           file;
    uint64_t           line;
} tccbs_piece_t;

typedef struct {
    tccbs_verify_t    *v;
    ngx_tccbs_mac_t    mac;
    tccbs_chains_t     chains;
    tccbs_piece_t     *torn;
    size_t             ntorn, torn_alloc;
} tccbs_verify_ctx_t;


static ngx_int_t tccbs_verify_file(tccbs_verify_ctx_t *ctx, uint32_t file);
static ngx_int_t tccbs_verify_entry(tccbs_verify_ctx_t *ctx, uint32_t file,
    uint64_t line, tccbs_record_t *record);
static ngx_int_t tccbs_verify_torn(tccbs_verify_ctx_t *ctx, uint32_t file,
    uint64_t line, u_char *text, size_t len);
static void tccbs_verify_count(tccbs_verify_t *v, tccbs_record_t *record,
    tccbs_entry_t *e);
static void tccbs_verify_again(tccbs_verify_ctx_t *ctx, tccbs_chain_t *chain);
static u_char *tccbs_verify_number(u_char *p, u_char *last, uint64_t *n);
static void tccbs_verify_links(tccbs_verify_ctx_t *ctx, tccbs_chain_t *chain);
static void tccbs_verify_anchors(tccbs_verify_ctx_t *ctx,
    tccbs_chain_t *chain);
static void tccbs_verify_pieces(tccbs_verify_ctx_t *ctx);
static void tccbs_verify_notes(tccbs_verify_ctx_t *ctx);
static void tccbs_verify_receipts(tccbs_verify_ctx_t *ctx);
static void tccbs_verify_broken(tccbs_verify_ctx_t *ctx, const char *class,
    uint32_t file, uint64_t line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));


ngx_int_t
tccbs_verify(tccbs_verify_t *v)
{
    size_t              i;
    ngx_int_t           rc;
    tccbs_chains_t     *chains;
    tccbs_verify_ctx_t  ctx;

    ngx_memzero(&ctx, sizeof(ctx));

    ctx.v = v;
    chains = &ctx.chains;
    rc = NGX_ERROR;

    if (v->mac_key.len
        && ngx_tccbs_mac_key(&ctx.mac, v->mac_key.data, v->mac_key.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < v->nlogs; i++) {
        if (tccbs_verify_file(&ctx, i) != NGX_OK) {
            goto done;
        }
    }

    for (i = 0; i < chains->n; i++) {
        tccbs_chain_sort(&chains->elts[i]);
        tccbs_verify_again(&ctx, &chains->elts[i]);
    }

    for (i = 0; i < chains->n; i++) {
        tccbs_verify_links(&ctx, &chains->elts[i]);
    }

    for (i = 0; i < chains->n; i++) {
        tccbs_verify_anchors(&ctx, &chains->elts[i]);
    }

    tccbs_verify_pieces(&ctx);
    tccbs_verify_notes(&ctx);
    tccbs_verify_receipts(&ctx);

    v->chains = chains->n;

    rc = v->class ? NGX_DECLINED : NGX_OK;

done:

    tccbs_chains_free(chains);
    free(ctx.torn);
    ngx_tccbs_mac_free(&ctx.mac);

    return rc;
}


static ngx_int_t
tccbs_verify_file(tccbs_verify_ctx_t *ctx, uint32_t file)
{
    u_char          *p, *inner;
    uint64_t         n;
    ngx_str_t        line, rest;
    tccbs_log_t     *log;
    tccbs_record_t   record;

    log = &ctx->v->logs[file];
    p = log->start;

    for (n = 1; tccbs_log_line(log, &p, &line) == NGX_OK; n++) {

        if (line.len == 0) {
            continue;
        }

        rest = line;
        inner = tccbs_log_inner(&line);

        if (inner) {

            /* a crash left something, and another worker went on behind it */

            if (tccbs_verify_torn(ctx, file, n, line.data, inner - line.data)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            rest.data = inner;
            rest.len = line.data + line.len - inner;
        }

        if (tccbs_log_record(&rest, &record) != NGX_OK) {
            if (tccbs_verify_torn(ctx, file, n, rest.data, rest.len)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        if (tccbs_verify_entry(ctx, file, n, &record) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* what follows the last newline is being written, or was cut off */

    if (log->size && log->end < log->start + log->size) {
        return tccbs_verify_torn(ctx, file, n, log->end,
                                 log->start + log->size - log->end);
    }

    return NGX_OK;
}


static ngx_int_t
tccbs_verify_entry(tccbs_verify_ctx_t *ctx, uint32_t file, uint64_t line,
    tccbs_record_t *record)
{
    size_t          n;
    ngx_str_t       text;
    tccbs_entry_t  *e;
    tccbs_chain_t  *chain;
    u_char          mac[NGX_TCCBS_SHA256_LEN], said[NGX_TCCBS_SHA256_LEN];

    /* a chain has one record at least */

    if (ngx_tccbs_unhex(said, record->prev, sizeof(said)) != NGX_OK) {
        return tccbs_verify_torn(ctx, file, line, record->line.data,
                                 record->line.len);
    }

    chain = tccbs_chains_get(&ctx->chains, record->chain, 1);
    if (chain == NULL) {
        return NGX_ERROR;
    }

    e = tccbs_chain_next(chain);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->seq = record->seq;
    e->text = record->line.data;
    e->len = record->line.len;
    e->file = file;
    e->line = line;
    e->kind = TCCBS_PLAIN;
    e->bad_mac = 0;

    ngx_memcpy(e->prev, said, sizeof(e->prev));

    if (ngx_tccbs_sha256(e->hash, &record->line, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->v->mac_key.len) {
        text = record->line;
        text.len = record->covered;

        e->bad_mac = (record->mac == NULL
                      || ngx_tccbs_unhex(said, record->mac, sizeof(said))
                         != NGX_OK
                      || ngx_tccbs_mac_sign(&ctx->mac, mac, &text, 1) != NGX_OK
                      || ngx_memcmp(mac, said, sizeof(mac)) != 0);
    }

    if (chain->n && e->seq != chain->entries[chain->n - 1].seq + 1) {
        chain->sorted = 0;
    }

    /* within a file the order is that of writing, but for what is repeated */

    if (chain->n && chain->file == file && e->seq <= chain->last) {

        for (n = chain->n; n; n--) {
            if (chain->entries[n - 1].seq == e->seq) {
                break;
            }
        }

        if (n == 0) {
            tccbs_verify_broken(ctx, "swap", file, line,
                                "record %llu of chain %.16s stands behind "
                                "%llu", (unsigned long long) e->seq,
                                chain->name,
                                (unsigned long long) chain->last);
        }

    } else {
        chain->last = e->seq;
    }

    chain->file = file;
    chain->n++;

    tccbs_verify_count(ctx->v, record, e);

    return NGX_OK;
}


static void
tccbs_verify_count(tccbs_verify_t *v, tccbs_record_t *record,
    tccbs_entry_t *e)
{
    ngx_str_t  why;

    v->records++;

    switch (record->kind.data[0]) {

    case 'i':
        v->intents++;
        break;

    case 'o':
        v->outcomes++;
        break;

    case 'r':
        if (record->kind.data[2] == 'f') {
            v->refusals++;

        } else {
            v->recoveries++;
        }

        break;

    case 'a':
        v->anchors++;

        why = tccbs_log_member(&record->line, "why");

        e->kind = ngx_tccbs_is(&why, "segment") ? TCCBS_SEGMENT
                  : ngx_tccbs_is(&why, "start") ? TCCBS_START : TCCBS_ANCHOR;
    }
}


static ngx_int_t
tccbs_verify_torn(tccbs_verify_ctx_t *ctx, uint32_t file, uint64_t line,
    u_char *text, size_t len)
{
    size_t          n;
    tccbs_piece_t  *torn;

    if (ctx->ntorn == ctx->torn_alloc) {
        n = ctx->torn_alloc ? 2 * ctx->torn_alloc : 64;
        torn = realloc(ctx->torn, n * sizeof(tccbs_piece_t));

        if (torn == NULL) {
            return NGX_ERROR;
        }

        ctx->torn = torn;
        ctx->torn_alloc = n;
    }

    torn = &ctx->torn[ctx->ntorn++];

    torn->text = text;
    torn->len = len;
    torn->file = file;
    torn->line = line;

    return NGX_OK;
}


/*
 * A batch that was written again after a failure may be there twice, to the
 * byte; an anchor behind it says which records these were.
 */

static void
tccbs_verify_again(tccbs_verify_ctx_t *ctx, tccbs_chain_t *chain)
{
    size_t          i, n;
    uint64_t        first, last;
    ngx_str_t       line, why, from, to;
    tccbs_entry_t  *e, *kept;

    first = 1;
    last = 0;
    n = chain->n;

    /* from the end on: the anchor comes first */

    for (i = chain->n; i-- > 0; /* void */ ) {

        e = &chain->entries[i];

        if (e->kind == TCCBS_ANCHOR) {
            line.data = e->text;
            line.len = e->len;
            why = tccbs_log_member(&line, "why");

            from = tccbs_log_member(&line, "first");
            to = tccbs_log_member(&line, "last");

            if (ngx_tccbs_is(&why, "rewritten") && from.len && to.len) {
                (void) tccbs_verify_number(from.data, from.data + from.len,
                                           &first);
                (void) tccbs_verify_number(to.data, to.data + to.len, &last);
            }
        }

        if (i == 0 || chain->entries[i - 1].seq != e->seq) {
            continue;
        }

        kept = &chain->entries[i - 1];

        if (ngx_memcmp(kept->hash, e->hash, sizeof(e->hash)) != 0) {
            tccbs_verify_broken(ctx, "insert", e->file, e->line,
                                "chain %.16s has two records %llu",
                                chain->name, (unsigned long long) e->seq);

        } else if (e->seq < first || e->seq > last) {
            tccbs_verify_broken(ctx, "duplicate", e->file, e->line,
                                "record %llu of chain %.16s is there twice",
                                (unsigned long long) e->seq, chain->name);

        } else {
            ctx->v->repeated++;
        }

        ngx_memmove(e, e + 1, (n - i - 1) * sizeof(tccbs_entry_t));
        n--;
    }

    chain->n = n;
}


/* Digits, which end at "last" at the latest. */

static u_char *
tccbs_verify_number(u_char *p, u_char *last, uint64_t *n)
{
    for (*n = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        *n = *n * 10 + (*p - '0');
    }

    return p;
}


static void
tccbs_verify_links(tccbs_verify_ctx_t *ctx, tccbs_chain_t *chain)
{
    size_t          i;
    tccbs_entry_t  *e, *before;

    static const u_char  zeros[NGX_TCCBS_SHA256_LEN];

    for (i = 0; i < chain->n; i++) {

        e = &chain->entries[i];
        before = i ? e - 1 : NULL;

        if (e->bad_mac) {
            tccbs_verify_broken(ctx,
                                (i + 1 < chain->n
                                 && e[1].seq == e->seq + 1
                                 && ngx_memcmp(e[1].prev, e->hash,
                                               sizeof(e->hash))
                                    == 0)
                                ? "re-chained" : "flip",
                                e->file, e->line,
                                "record %llu of chain %.16s does not fit its "
                                "mac", (unsigned long long) e->seq,
                                chain->name);
        }

        if (before == NULL) {

            if (e->seq == 0) {
                if (ngx_memcmp(e->prev, zeros, sizeof(zeros)) != 0
                    || e->kind != TCCBS_START)
                {
                    tccbs_verify_broken(ctx, "insert", e->file, e->line,
                                        "chain %.16s does not begin as a "
                                        "chain does", chain->name);
                }

            } else if (e->kind == TCCBS_SEGMENT) {
                ctx->v->pruned++;

            } else {
                tccbs_verify_broken(ctx, "delete", e->file, e->line,
                                    "what stood before record %llu of chain "
                                    "%.16s is missing",
                                    (unsigned long long) e->seq, chain->name);
            }

            continue;
        }

        if (e->seq != before->seq + 1) {
            tccbs_verify_broken(ctx,
                                (e->kind == TCCBS_SEGMENT) ? "dropped segment"
                                                           : "delete",
                                e->file, e->line,
                                "records %llu to %llu of chain %.16s are "
                                "missing", (unsigned long long) before->seq + 1,
                                (unsigned long long) e->seq - 1, chain->name);

        } else if (ngx_memcmp(e->prev, before->hash, sizeof(e->prev)) != 0) {
            tccbs_verify_broken(ctx, "flip", before->file, before->line,
                                "record %llu of chain %.16s is not the one "
                                "that the next one names",
                                (unsigned long long) before->seq, chain->name);
        }
    }
}


/* What the anchors of a chain say of the others. */

static void
tccbs_verify_anchors(tccbs_verify_ctx_t *ctx, tccbs_chain_t *chain)
{
    size_t          i;
    u_char         *p, *last;
    uint64_t        seq;
    tccbs_entry_t  *e, *named;
    tccbs_chain_t  *other;
    u_char          hash[NGX_TCCBS_SHA256_LEN];

    for (i = 0; i < chain->n; i++) {

        e = &chain->entries[i];

        if (e->kind == TCCBS_PLAIN) {
            continue;
        }

        last = e->text + e->len;
        p = memmem(e->text, e->len, "\"heads\":[", 9);

        for (p = p ? p + 9 : last; p < last && *p != ']'; /* void */ ) {

            p = memmem(p, last - p, "{\"chain\":\"", 10);

            if (p == NULL || last - p < 10 + TCCBS_LOG_CHAIN + 8) {
                break;
            }

            other = tccbs_chains_get(&ctx->chains, p + 10, 0);
            p += 10 + TCCBS_LOG_CHAIN + 8;
            p = tccbs_verify_number(p, last, &seq);

            if (last - p < 9 + NGX_TCCBS_HEX_LEN + 2
                || ngx_tccbs_unhex(hash, p + 9, sizeof(hash)) != NGX_OK)
            {
                break;
            }

            p += 9 + NGX_TCCBS_HEX_LEN + 2;
            p += (p < last && *p == ',');

            if (other == NULL || seq < other->entries[0].seq) {
                continue;                      /* in an older segment */
            }

            named = tccbs_chain_find(other, seq);

            if (named == NULL) {
                named = &other->entries[other->n - 1];

                if (seq > named->seq) {
                    tccbs_verify_broken(ctx, "truncate", named->file,
                                        named->line,
                                        "chain %.16s ends at record %llu, and "
                                        "chain %.16s names its record %llu",
                                        other->name,
                                        (unsigned long long) named->seq,
                                        chain->name, (unsigned long long) seq);
                }

            } else if (ngx_memcmp(named->hash, hash, sizeof(hash)) != 0) {
                tccbs_verify_broken(ctx, "flip", named->file, named->line,
                                    "record %llu of chain %.16s is not the "
                                    "one that chain %.16s names",
                                    (unsigned long long) seq, other->name,
                                    chain->name);
            }
        }
    }
}


/*
 * Lines that are no record: how a record begins, cut off by a crash, and no
 * record of that chain behind it; or the beginning of one that was written
 * again.
 */

static void
tccbs_verify_pieces(tccbs_verify_ctx_t *ctx)
{
    size_t          i;
    u_char         *name;
    uint64_t        seq;
    ngx_str_t       text;
    tccbs_entry_t  *e;
    tccbs_piece_t  *torn;
    tccbs_chain_t  *chain;

    for (i = 0; i < ctx->ntorn; i++) {

        torn = &ctx->torn[i];

        text.data = torn->text;
        text.len = torn->len;

        if (!tccbs_log_torn(&text, &name, &seq)) {
            tccbs_verify_broken(ctx, "flip", torn->file, torn->line,
                                "this is no record, and not how one begins");
            continue;
        }

        ctx->v->torn++;

        if (name == NULL) {
            continue;
        }

        chain = tccbs_chains_get(&ctx->chains, name, 0);

        if (chain == NULL) {
            if (seq != 0) {
                tccbs_verify_broken(ctx, "insert", torn->file, torn->line,
                                    "a part of a record of a chain that is "
                                    "not there");
            }

            continue;
        }

        e = tccbs_chain_find(chain, seq);

        if (e ? (text.len > e->len
                 || ngx_memcmp(e->text, text.data, text.len) != 0)
              : seq != chain->entries[chain->n - 1].seq + 1)
        {
            tccbs_verify_broken(ctx, "flip", torn->file, torn->line,
                                "record %llu of chain %.16s is damaged",
                                (unsigned long long) seq, chain->name);
        }
    }
}


static void
tccbs_verify_notes(tccbs_verify_ctx_t *ctx)
{
    size_t               i, k;
    const char          *name;
    tccbs_verify_t      *v;
    tccbs_checkpoint_t   c;
    u_char               root[NGX_TCCBS_SHA256_LEN];

    v = ctx->v;

    for (i = 0; i < v->nnotes; i++) {

        name = v->note_names[i];

        if (tccbs_note_read(v->key, v->notes[i], &c) != NGX_OK) {
            tccbs_verify_broken(ctx, "checkpoint", TCCBS_NOWHERE, 0,
                                "%s is not signed by \"%s\"", name,
                                v->key->name);
            continue;
        }

        for (k = 0; k < v->nlogs; k++) {
            if (strcmp(c.segment, (char *) v->logs[k].id) == 0) {
                break;
            }
        }

        if (k == v->nlogs) {
            tccbs_verify_broken(ctx, "dropped segment", TCCBS_NOWHERE, 0,
                                "the segment %s of %s is missing, or its "
                                "first line was changed", c.segment, name);

        } else if (tccbs_note_root(&v->logs[k], c.size, root) != NGX_OK) {
            tccbs_verify_broken(ctx, "truncate", k,
                                tccbs_note_lines(&v->logs[k]),
                                "%s is for %llu lines", name,
                                (unsigned long long) c.size);

        } else if (ngx_memcmp(root, c.root, sizeof(root)) != 0) {

            /* whatever else was found is the first place */

            if (v->class == NULL) {
                tccbs_verify_broken(ctx, "re-chained", k, 1,
                                    "the first %llu lines are not those of %s",
                                    (unsigned long long) c.size, name);
            }
        }
    }
}


static void
tccbs_verify_receipts(tccbs_verify_ctx_t *ctx)
{
    char           *text;
    size_t          i;
    uint64_t        seq;
    tccbs_entry_t  *e;
    tccbs_chain_t  *chain;
    u_char          hash[NGX_TCCBS_SHA256_LEN];

    for (i = 0; i < ctx->v->nreceipts; i++) {

        text = ctx->v->receipts[i];
        e = NULL;

        if (strlen(text) > TCCBS_LOG_CHAIN + 1
            && text[TCCBS_LOG_CHAIN] == '.')
        {
            chain = tccbs_chains_get(&ctx->chains, (u_char *) text, 0);
            seq = strtoull(text + TCCBS_LOG_CHAIN + 1, &text, 10);
            e = chain ? tccbs_chain_find(chain, seq) : NULL;
        }

        if (e && (strlen(text) != NGX_TCCBS_HEX_LEN + 1
                  || ngx_tccbs_unhex(hash, (u_char *) text + 1, sizeof(hash))
                     != NGX_OK
                  || ngx_memcmp(hash, e->hash, sizeof(hash)) != 0))
        {
            tccbs_verify_broken(ctx, "flip", e->file, e->line,
                                "this is not the record of the receipt %s",
                                ctx->v->receipts[i]);

        } else if (e == NULL) {
            tccbs_verify_broken(ctx, "truncate", TCCBS_NOWHERE, 0,
                                "there is no record for the receipt %s",
                                ctx->v->receipts[i]);
        }
    }
}


/* The first one in the order of the files is the one to look at. */

static void
tccbs_verify_broken(tccbs_verify_ctx_t *ctx, const char *class, uint32_t file,
    uint64_t line, const char *fmt, ...)
{
    va_list          args;
    tccbs_verify_t  *v;

    v = ctx->v;

    if (v->class && (file > v->at || (file == v->at && line >= v->line))) {
        return;
    }

    v->class = class;
    v->at = file;
    v->file = (file < v->nlogs) ? v->logs[file].name : NULL;
    v->line = line;

    va_start(args, fmt);
    (void) vsnprintf(v->why, sizeof(v->why), fmt, args);
    va_end(args);
}
