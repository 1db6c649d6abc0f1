
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/*
 * A fuzz target: LLVMFuzzerTestOneInput() gets any bytes and ends the process
 * when a property does not hold.  LLVMFuzzerInitialize() is called once.
 */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define must(cond)                                                            \
    do {                                                                      \
        if (!(cond)) {                                                        \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,  \
                    #cond);                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


/* What is left of the input: its first bytes choose, the rest is the text. */

typedef struct {
    const uint8_t  *p;
    size_t          len;
} fuzz_t;


static ngx_inline ngx_uint_t
fuzz_byte(fuzz_t *f)
{
    if (f->len == 0) {
        return 0;
    }

    f->len--;

    return *f->p++;
}


/* A block of exactly that size, so that a sanitizer sees its ends. */

static ngx_inline ngx_str_t
fuzz_copy(ngx_pool_t *pool, const void *data, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = ngx_pnalloc(pool, len);

    must(s.data != NULL);

    if (len) {
        ngx_memcpy(s.data, data, len);
    }

    return s;
}


/* The bytes up to "stop", or all that are left. */

static ngx_inline ngx_str_t
fuzz_until(fuzz_t *f, ngx_pool_t *pool, u_char stop)
{
    size_t          len;
    ngx_str_t       s;
    const uint8_t  *p;

    p = f->len ? memchr(f->p, stop, f->len) : NULL;
    len = p ? (size_t) (p - f->p) : f->len;
    s = fuzz_copy(pool, f->p, len);

    f->p += len + (p != NULL);
    f->len -= len + (p != NULL);

    return s;
}


static ngx_inline ngx_uint_t
fuzz_same(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}


static ngx_inline ngx_uint_t
fuzz_is(const ngx_str_t *s, const char *text)
{
    return s->len == strlen(text)
           && (s->len == 0 || memcmp(s->data, text, s->len) == 0);
}


static ngx_inline ngx_uint_t
fuzz_in(const ngx_str_t *s, const char *const *list)
{
    for ( /* void */ ; *list; list++) {
        if (fuzz_is(s, *list)) {
            return 1;
        }
    }

    return 0;
}


/* Whether all bytes are visible ASCII or blanks, as in what is sent out. */

static ngx_inline ngx_uint_t
fuzz_printable(const ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] < ' ' || s->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


#endif /* _FUZZ_H_INCLUDED_ */
