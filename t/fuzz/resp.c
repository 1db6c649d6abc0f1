
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_resp.h"


/*
 * "C" and words between NUL bytes: a command, which is read as the array of
 * these words.  Otherwise what a server sends, in pieces of the size that the
 * first byte says: the same replies as in one piece, each within its bounds,
 * and each the same when it is written and read again.
 */

#define TEXT  (4 * NGX_TCCBS_RESP_SIZE)


typedef struct {
    u_char     *data;
    size_t      len;
} text_t;


static ngx_int_t stream(const u_char *data, size_t len, size_t step,
    text_t *out);
static ngx_uint_t write_reply(const ngx_tccbs_resp_t *reply, text_t *out);
static void add(text_t *out, const void *data, size_t len);
static void add_line(text_t *out, char type, int64_t n);
static void values(ngx_tccbs_resp_t *reply);
static void command(fuzz_t *f);


static text_t  pieces, whole, again;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    pieces.data = malloc(TEXT);
    whole.data = malloc(TEXT);
    again.data = malloc(TEXT);

    must(pieces.data && whole.data && again.data);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t      f = { data, size };
    ngx_int_t   rc;
    ngx_uint_t  how;

    how = fuzz_byte(&f);

    if (how == 'C') {
        command(&f);
        return 0;
    }

    pieces.len = whole.len = again.len = 0;

    rc = stream(f.p, f.len, 1 + how, &pieces);

    must(rc == NGX_AGAIN || rc == NGX_ERROR);
    must(rc == stream(f.p, f.len, f.len + 1, &whole));
    must(pieces.len == whole.len
         && memcmp(pieces.data, whole.data, whole.len) == 0);

    must(stream(whole.data, whole.len, whole.len + 1, &again) == NGX_AGAIN);
    must(again.len == whole.len
         && memcmp(again.data, whole.data, whole.len) == 0);

    return 0;
}


/* How it ends: what was read until then is in "out". */

static ngx_int_t
stream(const u_char *data, size_t len, size_t step, text_t *out)
{
    u_char                   *copy;
    size_t                    n;
    ngx_int_t                 rc;
    ngx_tccbs_resp_t         *reply;
    ngx_tccbs_resp_reader_t  *reader;

    reader = ngx_tccbs_resp_create(NULL);
    must(reader != NULL);

    rc = ngx_tccbs_resp_next(reader, &reply);
    must(rc == NGX_AGAIN);

    for ( /* void */ ; len && rc != NGX_ERROR; data += n, len -= n) {

        n = ngx_min(len, step);
        copy = malloc(n);
        must(copy != NULL);
        ngx_memcpy(copy, data, n);
        must(ngx_tccbs_resp_feed(reader, copy, n) == NGX_OK);
        free(copy);

        while ((rc = ngx_tccbs_resp_next(reader, &reply)) == NGX_OK) {
            must(write_reply(reply, out) <= NGX_TCCBS_RESP_MAX);
            values(reply);
        }
    }

    ngx_tccbs_resp_destroy(reader);

    return rc;
}


/* How many values it had. */

static ngx_uint_t
write_reply(const ngx_tccbs_resp_t *reply, text_t *out)
{
    ngx_uint_t  i, n;

    must(reply->text.len <= NGX_TCCBS_RESP_SIZE);

    switch (reply->type) {

    case NGX_TCCBS_RESP_NIL:
        add_line(out, '$', -1);
        return 1;

    case NGX_TCCBS_RESP_INTEGER:
        add_line(out, ':', reply->integer);
        return 1;

    case NGX_TCCBS_RESP_STATUS:
    case NGX_TCCBS_RESP_ERROR:
        add(out, (reply->type == NGX_TCCBS_RESP_ERROR) ? "-" : "+", 1);
        add(out, reply->text.data, reply->text.len);
        add(out, CRLF, 2);
        return 1;

    case NGX_TCCBS_RESP_STRING:
        add_line(out, '$', reply->text.len);
        add(out, reply->text.data, reply->text.len);
        add(out, CRLF, 2);
        return 1;

    case NGX_TCCBS_RESP_ARRAY:
        add_line(out, '*', reply->nelts);

        for (i = 0, n = 1; i < reply->nelts; i++) {
            n += write_reply(&reply->elts[i], out);
        }

        return n;
    }

    must(0);

    return 0;
}


static void
add(text_t *out, const void *data, size_t len)
{
    must(len <= TEXT - out->len);

    if (len) {
        ngx_memcpy(out->data + out->len, data, len);
    }

    out->len += len;
}


static void
add_line(text_t *out, char type, int64_t n)
{
    int   len;
    char  line[32];

    len = snprintf(line, sizeof(line), "%c%lld\r\n", type, (long long) n);
    add(out, line, len);
}


/* What is asked of a reply has the kind and the bounds that were asked for. */

static void
values(ngx_tccbs_resp_t *reply)
{
    size_t      i;
    int64_t     n;
    ngx_str_t   s;
    ngx_uint_t  k;

    for (k = 0; k <= reply->nelts; k++) {

        if (ngx_tccbs_resp_integer(reply, k, -5, 1000, &n) == NGX_OK) {
            must(n >= -5 && n <= 1000 && n == reply->elts[k].integer);
            must(reply->elts[k].type == NGX_TCCBS_RESP_INTEGER);
        }

        if (ngx_tccbs_resp_string(reply, k, 16, &s) == NGX_OK) {
            must(s.len <= 16 && fuzz_same(&s, &reply->elts[k].text));
            must(reply->elts[k].type == NGX_TCCBS_RESP_STRING);
        }

        must(k < reply->nelts
             || (ngx_tccbs_resp_integer(reply, k, INT64_MIN, INT64_MAX, &n)
                 == NGX_ERROR
                 && ngx_tccbs_resp_string(reply, k, SIZE_MAX, &s)
                    == NGX_ERROR));
    }

    if (ngx_tccbs_resp_is_error(reply, "NOSCRIPT")) {
        must(reply->type == NGX_TCCBS_RESP_ERROR && reply->text.len >= 8);
        must(memcmp(reply->text.data, "NOSCRIPT", 8) == 0);
    }

    ngx_tccbs_resp_printable(reply, 32);
    must(reply->text.len <= 32);

    for (i = 0; i < reply->text.len; i++) {
        must(isprint(reply->text.data[i]));
    }
}


static void
command(fuzz_t *f)
{
    ngx_str_t                 argv[NGX_TCCBS_RESP_MAX + 1], bytes;
    ngx_int_t                 rc;
    ngx_uint_t                i, n;
    ngx_pool_t               *pool;
    ngx_tccbs_resp_t         *reply;
    ngx_tccbs_resp_reader_t  *reader;

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    for (n = 0; f->len && n <= NGX_TCCBS_RESP_MAX; n++) {
        argv[n] = fuzz_until(f, pool, '\0');
    }

    bytes.data = NULL;
    rc = ngx_tccbs_resp_command(argv, n, &bytes);
    must((rc == NGX_OK) == (n <= NGX_TCCBS_RESP_MAX));

    /* the array is a value as well */

    if (rc == NGX_OK && n < NGX_TCCBS_RESP_MAX) {

        reader = ngx_tccbs_resp_create(NULL);
        must(reader != NULL);
        must(ngx_tccbs_resp_feed(reader, bytes.data, bytes.len) == NGX_OK);
        must(ngx_tccbs_resp_next(reader, &reply) == NGX_OK);
        must(reply->type == NGX_TCCBS_RESP_ARRAY && reply->nelts == n);

        for (i = 0; i < n; i++) {
            must(reply->elts[i].type == NGX_TCCBS_RESP_STRING);
            must(fuzz_same(&reply->elts[i].text, &argv[i]));
        }

        must(ngx_tccbs_resp_next(reader, &reply) == NGX_AGAIN);
        ngx_tccbs_resp_destroy(reader);
    }

    ngx_tccbs_resp_free(&bytes);
    ngx_destroy_pool(pool);
}
