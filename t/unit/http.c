
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_http.h"
#include "tap.h"


static char         buf[512];
static ngx_uint_t   status;
static ngx_str_t    body;


static ngx_int_t
parse(const char *answer, size_t len, ngx_uint_t eof)
{
    ngx_str_t  text;

    memcpy(buf, answer, len);

    text.data = (u_char *) buf;
    text.len = len;

    return ngx_tccbs_http_parse(&text, eof, &status, &body);
}


/* It is complete with its last byte and not before, however it comes. */

static void
good(const char *answer, ngx_uint_t code, const char *content)
{
    size_t  i, len;

    len = strlen(answer);

    for (i = 0; i < len; i++) {
        if (parse(answer, i, 0) != NGX_AGAIN
            || parse(answer, i, 1) != NGX_DECLINED)
        {
            break;
        }
    }

    ok(i == len, "incomplete up to %d of %d bytes", (int) i, (int) len);
    ok(parse(answer, len, 0) == NGX_OK && status == code && is(&body, content),
       "%.40s", answer);
}


static void
bad(const char *answer)
{
    ok(parse(answer, strlen(answer), 0) == NGX_DECLINED, "refused: %.60s",
       answer);
}


int
main(void)
{
    const char  *text;

    good("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    good("HTTP/1.0 404\r\nX: y\r\ncontent-length:2\r\n\r\nno", 404, "no");
    good("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 204, "");
    good("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
         "3\r\nhel\r\n00a;x=y\r\nlo and bye\r\n0\r\n\r\n", 200,
         "hello and bye");
    good("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1 \r\nx\r\n0\r\nTrailer: y\r\n\r\n", 200, "x");

    /* more than its length is left alone */

    text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello";
    ok(parse(text, strlen(text), 0) == NGX_OK && is(&body, "he"), "surplus");

    /* until the end */

    text = "HTTP/1.1 200 OK\r\n\r\nhello";
    ok(parse(text, strlen(text), 0) == NGX_AGAIN, "no length: goes on");
    ok(parse(text, strlen(text), 1) == NGX_OK && is(&body, "hello"),
       "no length: until the end");

    bad("HTTP/2 200 OK\r\n\r\n");
    bad("HTTP/1.1 20x OK\r\n\r\n");
    bad("HTTP/1.1 100 Continue\r\n\r\n");
    bad("HTTP/1.1 2000 OK\r\n\r\n");
    bad("hello\r\n\r\n");
    bad("\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"
        "\r\n\r\n0\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\nxyz\r\n0\r\n\r\n");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "fffffffff\r\n");

    return tap_done();
}
