
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_http.h"


/*
 * An answer of the metadata service or of STS as it comes, in pieces of the
 * size that the first byte says.  What was refused stays refused, an answer
 * that was whole stays what it was, and at the end a second reader agrees.
 */

typedef struct {
    ngx_int_t     rc;
    ngx_uint_t    status;
    ngx_str_t     body;
} answer_t;


static answer_t parsed(ngx_pool_t *pool, const fuzz_t *f, size_t len,
    ngx_uint_t eof);
static answer_t judge(ngx_pool_t *pool, const fuzz_t *f);
static ngx_uint_t judge_chunks(const char *p, const char *last,
    ngx_str_t *body);
static ngx_uint_t field(const char *line, size_t len, const char *name,
    ngx_str_t *value);
static ngx_int_t number(const ngx_str_t *s, ngx_uint_t base);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t       f = { data, size };
    size_t       len, step;
    answer_t     now, first, want;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    step = 1 + fuzz_byte(&f) + f.len / 64;
    first.rc = NGX_AGAIN;

    for (len = 0; len <= f.len; len += step) {

        now = parsed(pool, &f, len, 0);

        if (first.rc == NGX_AGAIN) {
            first = now;
            continue;
        }

        must(now.rc == first.rc);
        must(now.rc != NGX_OK || (now.status == first.status
                                  && fuzz_same(&now.body, &first.body)));
    }

    now = parsed(pool, &f, f.len, 0);
    must(first.rc == NGX_AGAIN || now.rc == first.rc);

    want = judge(pool, &f);

    /* only a body without a length ends with the connection */

    if (now.rc == NGX_OK) {
        must(want.rc == NGX_OK);
        must(now.status == want.status && fuzz_same(&now.body, &want.body));
    }

    must(now.rc != NGX_DECLINED || want.rc == NGX_DECLINED);

    now = parsed(pool, &f, f.len, 1);

    must(now.rc == want.rc);
    must(now.rc != NGX_OK || (now.status == want.status
                              && fuzz_same(&now.body, &want.body)));

    ngx_destroy_pool(pool);

    return 0;
}


static answer_t
parsed(ngx_pool_t *pool, const fuzz_t *f, size_t len, ngx_uint_t eof)
{
    answer_t   a;
    ngx_str_t  text;

    ngx_memzero(&a, sizeof(a));
    text = fuzz_copy(pool, f->p, len);

    a.rc = ngx_tccbs_http_parse(&text, eof, &a.status, &a.body);

    must(a.rc == NGX_OK || a.rc == NGX_DECLINED || (a.rc == NGX_AGAIN && !eof));

    if (a.rc == NGX_OK) {
        must(a.status >= 200 && a.status <= 999);
        must(a.body.data >= text.data
             && a.body.data + a.body.len <= text.data + len);
    }

    return a;
}


/* The same of all that there is, with the connection closed behind it. */

static answer_t
judge(ngx_pool_t *pool, const fuzz_t *f)
{
    char       *text, *head, *line, *eol, *last;
    answer_t    a;
    ngx_int_t   length;
    ngx_str_t   value;
    ngx_uint_t  chunked;

    ngx_memzero(&a, sizeof(a));
    a.rc = NGX_DECLINED;

    text = ngx_pnalloc(pool, f->len + 1);
    must(text != NULL);

    if (f->len) {
        ngx_memcpy(text, f->p, f->len);
    }

    text[f->len] = '\0';
    last = text + f->len;
    head = memmem(text, f->len, "\r\n\r\n", 4);

    if (head == NULL || head - text < 12 || memcmp(text, "HTTP/1.", 7) != 0
        || text[8] != ' ' || text[9] < '2' || !isdigit(text[9])
        || !isdigit(text[10]) || !isdigit(text[11])
        || (text[12] != ' ' && memcmp(text + 12, "\r\n", 2) != 0))
    {
        return a;
    }

    a.status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + text[11] - '0';
    length = -1;
    chunked = 0;

    line = (char *) memmem(text, f->len, "\r\n", 2) + 2;

    for ( /* void */ ; line < head + 2; line = eol + 2) {

        eol = memmem(line, last - line, "\r\n", 2);

        if (field(line, eol - line, "Content-Length:", &value)) {

            if (length != -1 || (length = number(&value, 10)) == -1) {
                return a;
            }

        } else if (field(line, eol - line, "Transfer-Encoding:", &value)) {

            if (chunked || value.len != 7
                || strncasecmp((char *) value.data, "chunked", 7) != 0)
            {
                return a;
            }

            chunked = 1;
        }
    }

    a.body.data = (u_char *) head + 4;
    a.body.len = last - head - 4;

    if (chunked) {
        a.body.data = ngx_pnalloc(pool, f->len + 1);
        must(a.body.data != NULL);

        if (length != -1 || !judge_chunks(head + 4, last, &a.body)) {
            return a;
        }

    } else if (length != -1) {
        if (a.body.len < (size_t) length) {
            return a;
        }

        a.body.len = length;
    }

    a.rc = NGX_OK;

    return a;
}


static ngx_uint_t
judge_chunks(const char *p, const char *last, ngx_str_t *body)
{
    ngx_int_t    n;
    ngx_str_t    size;
    const char  *eol;

    body->len = 0;

    for ( ;; ) {
        eol = memmem(p, last - p, "\r\n", 2);

        if (eol == NULL) {
            return 0;
        }

        size.data = (u_char *) p;

        for (size.len = 0; p < eol && !memchr("; \t", *p, 3); p++) {
            size.len++;
        }

        n = number(&size, 16);

        if (n == -1) {
            return 0;
        }

        p = eol + 2;

        if (n == 0) {
            break;
        }

        if (last - p < n + 2 || memcmp(p + n, "\r\n", 2) != 0) {
            return 0;
        }

        ngx_memcpy(body->data + body->len, p, n);
        body->len += n;
        p += n + 2;
    }

    return (last - p >= 2 && memcmp(p, "\r\n", 2) == 0)
           || memmem(p, last - p, "\r\n\r\n", 4) != NULL;
}


static ngx_uint_t
field(const char *line, size_t len, const char *name, ngx_str_t *value)
{
    size_t  n;

    n = strlen(name);

    if (len < n || strncasecmp(line, name, n) != 0) {
        return 0;
    }

    line += n;
    len -= n;

    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }

    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t')) {
        len--;
    }

    value->data = (u_char *) line;
    value->len = len;

    return 1;
}


static ngx_int_t
number(const ngx_str_t *s, ngx_uint_t base)
{
    char    text[8];
    size_t  i;

    if (s->len < 1 || s->len > 7) {
        return -1;
    }

    for (i = 0; i < s->len; i++) {
        if (base == 16 ? !isxdigit(s->data[i]) : !isdigit(s->data[i])) {
            return -1;
        }

        text[i] = s->data[i];
    }

    text[i] = '\0';

    return strtol(text, NULL, base);
}
