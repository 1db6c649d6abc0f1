
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdio.h>
#include <string.h>


static int  tap_tests, tap_failed;


#define ok(cond, ...)  tap_ok((cond) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)


static void tap_ok(int good, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void
tap_ok(int good, const char *file, int line, const char *fmt, ...)
{
    int      i;
    char     name[256];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(name, sizeof(name), fmt, args);
    va_end(args);

    for (i = 0; name[i]; i++) {
        if (name[i] < ' ' || name[i] > '~' || name[i] == '#') {
            name[i] = '?';
        }
    }

    printf("%sok %d - %s\n", good ? "" : "not ", ++tap_tests, name);

    if (!good) {
        tap_failed++;
        fprintf(stderr, "# failed at %s:%d: %s\n", file, line, name);
    }
}


static int
tap_done(void)
{
    printf("1..%d\n", tap_tests);
    return tap_failed ? 1 : 0;
}


static ngx_inline ngx_str_t
bytes(const char *text, size_t len)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = len;

    return s;
}


static ngx_inline ngx_str_t
str(const char *text)
{
    return bytes(text, strlen(text));
}


static ngx_inline ngx_uint_t
is(const ngx_str_t *s, const char *text)
{
    return s->len == strlen(text)
           && (s->len == 0 || memcmp(s->data, text, s->len) == 0);
}


#endif /* _TAP_H_INCLUDED_ */
