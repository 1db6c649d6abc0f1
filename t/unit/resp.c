
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_resp.h"
#include "tap.h"


static ngx_int_t  last;


/* The reply to "text", fed in pieces of "n" bytes; it lives in "reader". */

static ngx_tccbs_resp_t *
read_reply(ngx_tccbs_resp_reader_t *reader, const char *text, size_t len,
    size_t n)
{
    size_t             i, size;
    ngx_tccbs_resp_t  *reply;

    for (i = 0; i < len; i += size) {
        size = ngx_min(n, len - i);

        if (ngx_tccbs_resp_feed(reader, (u_char *) text + i, size) != NGX_OK) {
            return NULL;
        }

        last = ngx_tccbs_resp_next(reader, &reply);

        if (last == NGX_OK) {
            return reply;
        }

        if (last == NGX_ERROR) {
            return NULL;
        }
    }

    return NULL;
}


static void
replies(void)
{
    int64_t                   value;
    ngx_str_t                 s;
    ngx_uint_t                n;
    ngx_tccbs_resp_t         *reply;
    ngx_tccbs_resp_reader_t  *reader;

    static const char  text[] = "*4\r\n:-7\r\n$3\r\na\0b\r\n$-1\r\n*1\r\n:9\r\n";

    for (n = 1; n < sizeof(text); n++) {

        reader = ngx_tccbs_resp_create(NULL);
        reply = read_reply(reader, text, sizeof(text) - 1, n);

        ok(reply && reply->type == NGX_TCCBS_RESP_ARRAY && reply->nelts == 4,
           "an array in pieces of %d", (int) n);

        if (reply) {
            ok(ngx_tccbs_resp_integer(reply, 0, -7, 0, &value) == NGX_OK
               && value == -7, "a number");
            ok(ngx_tccbs_resp_string(reply, 1, 3, &s) == NGX_OK
               && s.len == 3 && memcmp(s.data, "a\0b", 3) == 0, "a string");
            ok(reply->elts[2].type == NGX_TCCBS_RESP_NIL, "nothing");
            ok(reply->elts[3].elts[0].integer == 9, "an array in it");
        }

        ngx_tccbs_resp_destroy(reader);
    }

    /* what is asked for has a kind and bounds */

    reader = ngx_tccbs_resp_create(NULL);
    reply = read_reply(reader, text, sizeof(text) - 1, 1000);

    ok(ngx_tccbs_resp_integer(reply, 0, -6, 0, &value) == NGX_ERROR, "less");
    ok(ngx_tccbs_resp_integer(reply, 0, -9, -8, &value) == NGX_ERROR, "more");
    ok(ngx_tccbs_resp_integer(reply, 1, -9, 9, &value) == NGX_ERROR,
       "a string is no number");
    ok(ngx_tccbs_resp_integer(reply, 4, -9, 9, &value) == NGX_ERROR, "beyond");
    ok(ngx_tccbs_resp_string(reply, 1, 2, &s) == NGX_ERROR, "too long");
    ok(ngx_tccbs_resp_string(reply, 0, 9, &s) == NGX_ERROR,
       "a number is no string");
    ok(ngx_tccbs_resp_string(&reply->elts[0], 0, 9, &s) == NGX_ERROR,
       "no array");

    /* one after the other */

    reply = read_reply(reader, "-NOSCRIPT No \x01\xff\r\n+OK\r\n", 22, 1000);

    ok(reply && ngx_tccbs_resp_is_error(reply, "NOSCRIPT"), "an error");
    ok(reply && !ngx_tccbs_resp_is_error(reply, "NOSCRIPTS"), "of that code");

    ngx_tccbs_resp_printable(reply, 14);
    ok(is(&reply->text, "NOSCRIPT No ??") || is(&reply->text, "NOSCRIPT No ?"),
       "fit for a log");

    ok(ngx_tccbs_resp_next(reader, &reply) == NGX_OK
       && reply->type == NGX_TCCBS_RESP_STATUS
       && !ngx_tccbs_resp_is_error(reply, "OK"), "a status");
    ok(ngx_tccbs_resp_next(reader, &reply) == NGX_AGAIN, "no more");

    ngx_tccbs_resp_destroy(reader);
}


/* An error has a code, wherever the version of Redis puts it. */

static void
codes(void)
{
    char                      text[256];
    size_t                    n;
    ngx_uint_t                i, c;
    ngx_tccbs_resp_t         *reply;
    ngx_tccbs_resp_reader_t  *reader;

#define FAILED  "ERR Error running script (call to f_1b9d): "

    static const char  *codes[] = {
        "ERR", "WRONGTYPE", "READONLY", "OOM", "BUSY", "NOSCRIPT"
    };

    static const struct {
        const char  *text;
        const char  *code;
    } errors[] = {
        { "ERR unknown command 'EVALSHA'", "ERR" },
        { "BUSY Redis is busy running a script", "BUSY" },

        /* 7 */

        { "WRONGTYPE Operation script: 1b9d, on @user_script:1.",
          "WRONGTYPE" },
        { "READONLY You can't script: 1b9d, on @user_script:1.", "READONLY" },
        { "ERR user_script:4: attempt to perform arithmetic", "ERR" },

        /* 5 and 6 */

        { FAILED "@user_script:1: WRONGTYPE Operation", "WRONGTYPE" },
        { FAILED "@user_script:1: ERR syntax error", "ERR" },
        { FAILED "@user_script:12: @user_script: 12: -READONLY", "READONLY" },
        { FAILED "@user_script:4: @user_script: 4: -OOM command", "OOM" },
        { FAILED "@user_script:4: -OOM command", "OOM" },
        { FAILED "@user_script:1: @user_script: 1: Unknown Redis", "ERR" },
        { FAILED "@user_script:1: user_script:1: attempt to BUSY", "ERR" },
        { FAILED "Script killed by user with SCRIPT KILL", "ERR" },
        { FAILED "@user_script:1: ", "ERR" },
        { FAILED "@user_script:1: -", "ERR" },
        { FAILED "@user_script:1: O", "ERR" },
        { FAILED "@user_script:1: OO", "ERR?" },
        { FAILED "@user_script:1:", "ERR" },
        { FAILED "@", "ERR" },
        { FAILED, "ERR" },
        { "ERR Error running script", "ERR" },
        { "OOM @user_script:1: WRONGTYPE", "OOM" }
    };

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {

        n = sprintf(text, "-%s\r\n", errors[i].text);

        reader = ngx_tccbs_resp_create(NULL);
        reply = read_reply(reader, text, n, 1000);

        for (c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
            ok(reply && ngx_tccbs_resp_is_error(reply, codes[c])
                        == (strcmp(codes[c], errors[i].code) == 0),
               "\"%s\" %s", errors[i].text, codes[c]);
        }

        ngx_tccbs_resp_destroy(reader);
    }
}


/* A server that wants to hurt. */

static void
hostile(void)
{
    char                     *big;
    size_t                    i;
    ngx_uint_t                n;
    ngx_tccbs_resp_reader_t  *reader;

    static const char  *texts[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "*2147483647\r\n:1\r\n",
        "*257\r\n:1\r\n",
        "*-2\r\n",
        "$-2\r\n",
        "*x\r\n",
        ":\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "$99999999999999999999999999\r\n",

        /* the kinds of version 3 */

        ",1.5\r\n",
        "#t\r\n",
        "(12345678901234567890\r\n",
        "=5\r\ntxt:a\r\n",
        "%1\r\n+a\r\n:1\r\n",
        "~1\r\n:1\r\n",
        ">1\r\n:1\r\n",
        "*1\r\n,1.5\r\n",
        "*1\r\n#f\r\n"
    };

    for (n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
        reader = ngx_tccbs_resp_create(NULL);

        last = NGX_OK;
        ok(read_reply(reader, texts[n], strlen(texts[n]), 1000) == NULL
           && last == NGX_ERROR, "no reply: case %d", (int) n);

        ngx_tccbs_resp_destroy(reader);
    }

    /* a reply without an end does not fill the memory */

    big = malloc(65536);
    memset(big, 'x', 65536);

    reader = ngx_tccbs_resp_create(NULL);

    ok(read_reply(reader, "$500000000\r\n", 12, 100) == NULL
       && last == NGX_AGAIN, "a long string begins");

    for (i = 0; i < 100 && last == NGX_AGAIN; i++) {
        (void) read_reply(reader, big, 65536, 65536);
    }

    ok(last == NGX_ERROR && i < 10, "and is given up");

    ngx_tccbs_resp_destroy(reader);
    free(big);
}


static void
commands(void)
{
    ngx_str_t    bytes, argv[3], many[300];
    ngx_uint_t   i;

    argv[0] = str("SET");
    argv[1].data = (u_char *) "a\r\nb";
    argv[1].len = 4;
    argv[2].data = NULL;
    argv[2].len = 0;

    ok(ngx_tccbs_resp_command(argv, 3, &bytes) == NGX_OK, "a command");
    ok(is(&bytes, "*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"),
       "whose arguments are bytes");

    ngx_tccbs_resp_free(&bytes);
    ok(bytes.data == NULL, "freed");

    for (i = 0; i < 300; i++) {
        many[i] = argv[0];
    }

    ok(ngx_tccbs_resp_command(many, 300, &bytes) == NGX_ERROR, "too many");
}


int
main(void)
{
    replies();
    codes();
    hostile();
    commands();

    return tap_done();
}
