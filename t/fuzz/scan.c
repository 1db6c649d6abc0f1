
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"


/*
 * The lines of an audit file as the module reads them when it starts.  The file
 * is a block of its exact size; a second reader says which intents have ended
 * with which outcome, and which are left.
 */

#include "ngx_http_tccbs_line.c"
#include "ngx_http_tccbs_scan.c"


#define LINES  512
#define HEAD   "{\"v\":1,\"time\":\""


/* A line as the second reader has it, by its place in the file. */

typedef struct {
    size_t        at;
    size_t        len;
    char          kind;                       /* 'i', 'o', 'r', or 0 */
    ssize_t       ended;                      /* an intent: by that line */
    ngx_uint_t    gone;                       /* another one has its id */
    ngx_uint_t    alone;                      /* a recovery of nothing */
} line_t;


static void ended(void *data, ngx_http_tccbs_line_t *intent,
    ngx_http_tccbs_line_t *outcome);
static void other(void *data, ngx_http_tccbs_line_t *line);
static void judge(const u_char *text, size_t len);
static line_t *line_of(ngx_http_tccbs_line_t *line);


static u_char               *file;
static size_t                file_len;
static line_t                lines[LINES];
static ngx_uint_t            nlines, nheads;
static ngx_time_t            now;
volatile ngx_time_t         *ngx_cached_time = &now;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    must(ngx_tccbs_crypto_init() == NGX_OK);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_log_t              log;
    ngx_uint_t             i;
    ngx_http_tccbs_scan_t  scan;

    judge(data, size);

    file = malloc(size);
    file_len = size;

    must(file != NULL || size == 0);
    memcpy(file, data, size);

    ngx_memzero(&log, sizeof(log));
    ngx_memzero(&scan, sizeof(scan));

    scan.log = &log;
    scan.ended = ended;
    scan.other = other;

    /* whatever time a line has, it is kept */

    scan.keep = INT64_MAX / 2;
    nheads = 0;

    must(ngx_http_tccbs_scan(&scan) == NGX_OK);

    /* each that was to be reported has been */

    for (i = 0; i < nlines; i++) {
        must(lines[i].kind != 'i' || lines[i].gone || lines[i].ended == -2);
        must(!lines[i].alone);
    }

    must(nheads <= NGX_HTTP_TCCBS_HEADS);

    free(file);

    return 0;
}


static void
judge(const u_char *text, size_t len)
{
    size_t         at, n;
    line_t        *l;
    ngx_uint_t     i;
    const u_char  *p, *lf, *id;

    nlines = 0;

    for (at = 0; nlines < LINES; at += n + 1) {

        lf = (at < len) ? memchr(text + at, '\n', len - at) : NULL;

        if (lf == NULL) {
            break;
        }

        n = lf - text - at;

        /* in front of the last beginning there is what a crash has left */

        for (p = lf - sizeof(HEAD) + 1; p > text + at; p--) {
            if (memcmp(p, HEAD, sizeof(HEAD) - 1) == 0) {
                n -= p - text - at;
                at = p - text;
                break;
            }
        }

        if (n < NGX_HTTP_TCCBS_LINE_MIN || lf[-1] != '}'
            || memcmp(text + at, HEAD, sizeof(HEAD) - 1) != 0)
        {
            continue;
        }

        l = &lines[nlines++];
        l->at = at;
        l->len = n;
        l->kind = 0;
        l->ended = -1;
        l->gone = 0;
        l->alone = 0;

        p = memmem(text + at, ngx_min(n, 400), "\"kind\":\"", 8);

        if (p == NULL || text + at + ngx_min(n, 400) - p < 17) {
            continue;
        }

        if (p[8] == 'i' || p[8] == 'o' || (p[8] == 'r' && p[10] == 'c')) {
            l->kind = p[8];
        }

        if (l->kind == 0) {
            continue;
        }

        /* the last intent of that id, unless that one has ended */

        id = text + at + NGX_HTTP_TCCBS_LINE_ID;
        l->alone = (l->kind == 'r');

        for (i = nlines - 1; i-- > 0; /* void */ ) {

            if (lines[i].kind != 'i'
                || memcmp(text + lines[i].at + NGX_HTTP_TCCBS_LINE_ID, id,
                          NGX_TCCBS_UUID_LEN) != 0)
            {
                continue;
            }

            if (lines[i].ended == -1) {
                if (l->kind == 'i') {
                    lines[i].gone = 1;

                } else {
                    lines[i].ended = nlines - 1;
                    l->alone = 0;
                }
            }

            break;
        }
    }
}


static line_t *
line_of(ngx_http_tccbs_line_t *line)
{
    ngx_uint_t  i;

    must(line->line >= file && line->line + line->len <= file + file_len);

    for (i = 0; i < nlines; i++) {
        if (lines[i].at == (size_t) (line->line - file)) {
            must(lines[i].len == line->len);
            return &lines[i];
        }
    }

    must(nlines == LINES);

    return NULL;
}


static void
ended(void *data, ngx_http_tccbs_line_t *intent,
    ngx_http_tccbs_line_t *outcome)
{
    line_t  *in, *out;

    in = line_of(intent);
    out = outcome ? line_of(outcome) : NULL;

    (void) ngx_http_tccbs_line_time(intent);
    must(ngx_http_tccbs_line_id(intent) + NGX_TCCBS_UUID_LEN
         <= intent->line + intent->len);

    if (nlines == LINES) {
        return;
    }

    must(in->kind == 'i' && !in->gone);
    must(in->ended == (out ? out - lines : -1));

    in->ended = -2;
}


static void
other(void *data, ngx_http_tccbs_line_t *line)
{
    line_t  *l;

    l = line_of(line);

    if (nlines == LINES) {
        return;
    }

    must(l->alone);
    l->alone = 0;
}


void
ngx_http_tccbs_heads_ended(ngx_shm_zone_t *zone,
    const u_char chain[NGX_HTTP_TCCBS_CHAIN_LEN], uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN])
{
    must(chain > file
         && chain + NGX_HTTP_TCCBS_CHAIN_LEN < file + file_len);
    must(seq <= INT64_MAX);
    nheads++;
}


/* The file is the only segment. */

ngx_array_t *
ngx_http_tccbs_segments(ngx_str_t *path, time_t keep, ngx_uint_t level,
    ngx_pool_t *pool)
{
    static ngx_array_t               segments;
    static ngx_http_tccbs_segment_t  segment;

    ngx_memzero(&segment, sizeof(segment));

    if (file_len) {
        segment.start = file;
        segment.last = file + file_len;
    }

    segments.elts = &segment;
    segments.nelts = 1;

    return &segments;
}


/* What it needs of nginx. */

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return calloc(1, size);
}


/* few values: what collides is told apart all the same */

uint32_t
ngx_murmur_hash2(u_char *data, size_t len)
{
    return data[0] & 7;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    uint64_t  value;

    for (value = 0; n; line++, n--) {
        if (*line < '0' || *line > '9' || value > 100000000000000000) {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}
