
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_json.h"
#include "tap.h"


#define LIT(s)  { sizeof(s) - 1, (u_char *) s }


static ngx_tccbs_json_limits_t  limits = { 4, 64 };


static ngx_str_t  valid[] = {
    LIT("null"), LIT("true"), LIT("false"), LIT("0"), LIT("-0"), LIT("12"),
    LIT("-1.5e+10"), LIT("1E5"), LIT("\"\""), LIT("\"a\""), LIT("[]"),
    LIT("{}"), LIT(" [ 1 , 2 ] "), LIT("{\"a\":1}"), LIT("{\"a\":{\"a\":1}}"),
    LIT("[[[[]]]]"), LIT("{\"a\":[{\"b\":[]}]}"),
    LIT("\"\\u0001\\\"\\\\\\/\\b\\f\\n\\r\\t\""), LIT("\"\\ud83d\\ude00\""),
    LIT("\"\xf0\x9f\x98\x80\""), LIT("\"\xc3\xa9\""), LIT("\"\xed\x9f\xbf\""),
    LIT("\"\xee\x80\x80\""), LIT("\"\xf4\x8f\xbf\xbf\""), LIT("\"\x7f\""),
    LIT("\"\\\\ud800\""), LIT("[1,1,1]"), LIT("{\"a\":1,\"A\":2}"),
    LIT("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,"
        "\"i\":9,\"j\":10,\"k\":11,\"l\":12}"),
    LIT("\t\r\n 1 \t\r\n")
};

static ngx_str_t  invalid[] = {
    LIT(""), LIT(" "), LIT("{"), LIT("}"), LIT("["), LIT("]"), LIT("\""),
    LIT("nul"), LIT("nullx"), LIT("True"), LIT("NaN"), LIT("Infinity"),
    LIT("-"), LIT("+1"), LIT("01"), LIT("1."), LIT(".5"), LIT("1e"),
    LIT("0x1"), LIT("1 2"), LIT("[1,]"), LIT("[,1]"), LIT("[1 2]"),
    LIT("{\"a\"}"), LIT("{\"a\":}"), LIT("{\"a\":1,}"), LIT("{,}"),
    LIT("{a:1}"), LIT("{'a':1}"), LIT("{1:1}"), LIT("{\"a\":1 \"b\":2}"),
    LIT("[1]x"), LIT("[1][2]"), LIT("{}{}"), LIT("[1]//x"), LIT("/**/[1]"),
    LIT("[1/**/]"), LIT("#\n1"), LIT("\xef\xbb\xbf[]"), LIT("\xfe\xff"),
    LIT("\"a\nb\""), LIT("\"a\tb\""), LIT("\"\x01\""), LIT("\"\x1f\""),
    LIT("\"\0\""), LIT("[\0]"), LIT("\"\\x\""), LIT("\"\\u\""),
    LIT("\"\\u12\""), LIT("\"\\u12g4\""), LIT("\"\\u0000\""),
    LIT("\"\\ud800\""), LIT("\"\\udc00\""), LIT("\"\\ud800x\""),
    LIT("\"\\ud800\\ud800\""), LIT("\"\\udc00\\ud800\""),
    LIT("\"\\ud800\\n\""), LIT("\"\\uD800\\u0041\""),
    LIT("\"\x80\""), LIT("\"\xc0\xaf\""), LIT("\"\xc1\xbf\""),
    LIT("\"\xc2\""), LIT("\"\xe0\x80\xaf\""), LIT("\"\xe0\x9f\xbf\""),
    LIT("\"\xed\xa0\x80\""), LIT("\"\xed\xbf\xbf\""),
    LIT("\"\xf0\x80\x80\xaf\""), LIT("\"\xf4\x90\x80\x80\""),
    LIT("\"\xf5\x80\x80\x80\""), LIT("\"\xff\""), LIT("\"\xe2\x82\""),
    LIT("{\"a\":1,\"a\":1}"), LIT("{\"a\":1,\"b\":2,\"a\":3}"),
    LIT("{\"a\":1,\"\\u0061\":2}"), LIT("{\"\":1,\"\":2}"),
    LIT("[{\"x\":{\"a\":1,\"a\":2}}]"),
    LIT("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,"
        "\"i\":9,\"j\":10,\"b\":11}"),
    LIT("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,"
        "\"i\":9,\"j\":10,\"j\":11}"),
    LIT("[[[[[]]]]]"), LIT("{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}"),
    LIT("{\"a\xff\":1}"), LIT("{\"a\\u0000\":1}")
};


static ngx_int_t
parse(ngx_pool_t *pool, const ngx_str_t *text, ngx_tccbs_json_t **root)
{
    u_char     *copy;
    ngx_int_t   rc;
    ngx_str_t   s, why;

    /* a block of exactly that size: a sanitizer sees each byte beyond */

    copy = malloc(text->len ? text->len : 1);
    memcpy(copy, text->data, text->len);

    s.data = copy;
    s.len = text->len;
    why.len = 0;

    rc = ngx_tccbs_json_parse(pool, &s, &limits, root, &why);

    free(copy);

    if (rc == NGX_DECLINED && why.len == 0) {
        return NGX_ERROR;
    }

    return rc;
}


static void
test_texts(void)
{
    size_t             i;
    ngx_pool_t        *pool;
    ngx_tccbs_json_t  *root;

    for (i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        pool = ngx_create_pool(1024, NULL);
        ok(parse(pool, &valid[i], &root) == NGX_OK, "valid: %s",
           valid[i].data);
        ngx_destroy_pool(pool);
    }

    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        pool = ngx_create_pool(1024, NULL);
        ok(parse(pool, &invalid[i], &root) == NGX_DECLINED && root == NULL,
           "invalid: %s", invalid[i].data);
        ngx_destroy_pool(pool);
    }
}


static void
test_limits(void)
{
    int                i;
    char               text[512];
    ngx_str_t          s;
    ngx_pool_t        *pool;
    ngx_tccbs_json_t  *root;

    for (i = 62; i <= 64; i++) {
        pool = ngx_create_pool(1024, NULL);

        memset(text, 0, sizeof(text));
        strcat(text, "[1");

        while (strlen(text) < (size_t) 2 * i) {
            strcat(text, ",1");
        }

        strcat(text, "]");
        s = str(text);

        ok(parse(pool, &s, &root) == (i + 1 <= 64 ? NGX_OK : NGX_DECLINED),
           "%d values", i + 1);

        ngx_destroy_pool(pool);
    }
}


static void
test_get(void)
{
    ngx_str_t          s;
    ngx_pool_t        *pool;
    ngx_tccbs_json_t  *root, *node;

    pool = ngx_create_pool(1024, NULL);
    s = str("{\"a\":\"x\\u00e9\",\"b\":[1,2,3],\"ab\":null}");

    ok(parse(pool, &s, &root) == NGX_OK, "parsed");
    node = ngx_tccbs_json_get(root, "a");
    ok(node && is(&node->value, "x\xc3\xa9"), "decoded");
    node = ngx_tccbs_json_get(root, "b");
    ok(node && node->n == 3 && is(&node->child->next->value, "2"), "array");
    ok(ngx_tccbs_json_get(root, "c") == NULL, "no such member");
    ok(ngx_tccbs_json_get(root, "abc") == NULL, "nor a longer one");
    ok(ngx_tccbs_json_get(node, "a") == NULL, "nor in an array");
    ok(ngx_tccbs_json_get(NULL, "a") == NULL, "nor in nothing");

    ngx_destroy_pool(pool);
}


/* Any bytes give a valid string; what is UTF-8 comes back as it was. */

static void
test_writer(void)
{
    int                i, n, bad, same;
    u_char             bytes[24];
    uint32_t           seed;
    ngx_str_t          s, text;
    ngx_pool_t        *pool;
    ngx_tccbs_out_t    out;
    ngx_tccbs_json_t  *root;

    seed = 1;
    bad = 0;
    same = 0;

    for (i = 0; i < 20000; i++) {

        for (n = 0; n < (i % 24); n++) {
            seed = seed * 1103515245 + 12345;
            bytes[n] = seed >> 16;

            if (bytes[n] == 0) {
                bytes[n] = 'x';
            }
        }

        s.data = bytes;
        s.len = n;

        pool = ngx_create_pool(1024, NULL);

        ngx_tccbs_out_init(&out, pool, 2);
        ngx_tccbs_out_string(&out, &s);
        text = ngx_tccbs_out_str(&out);

        for (n = 0; n < (int) text.len; n++) {
            bad += (text.data[n] < ' ' || text.data[n] > '~');
        }

        bad += (parse(pool, &text, &root) != NGX_OK);

        if (root && root->value.len == s.len
            && memcmp(root->value.data, s.data, s.len) == 0)
        {
            same++;
        }

        ngx_destroy_pool(pool);
    }

    ok(bad == 0, "20000 strings of random bytes are valid ASCII JSON");
    ok(same > 800, "those that are UTF-8 come back");

    pool = ngx_create_pool(1024, NULL);

    s = str("a\"\\\n\x7f\xc3\xa9\xf0\x9f\x98\x80\xff");
    ngx_tccbs_out_init(&out, pool, 1);
    ngx_tccbs_out_string(&out, &s);
    text = ngx_tccbs_out_str(&out);
    ok(is(&text, "\"a\\\"\\\\\\u000a\\u007f\\u00e9\\ud83d\\ude00\\u00ff\""),
       "escapes");

    ngx_tccbs_out_init(&out, pool, 1);
    ngx_tccbs_out_uint(&out, 0);
    ngx_tccbs_out_lit(&out, " ");
    ngx_tccbs_out_uint(&out, UINT64_MAX);
    text = ngx_tccbs_out_str(&out);
    ok(is(&text, "0 18446744073709551615"), "numbers");

    s = str("{ \"a\" : [ 1.50 , true , null , { } , \"\\/\" ] , \"b\" : -0 }");
    (void) parse(pool, &s, &root);
    ngx_tccbs_out_init(&out, pool, 1);
    ngx_tccbs_out_json(&out, root);
    text = ngx_tccbs_out_str(&out);
    ok(is(&text, "{\"a\":[1.50,true,null,{},\"/\"],\"b\":-0}"), "tree");

    ngx_destroy_pool(pool);
}


/* eight bytes are looked at at once: one that is special, in each place */

static void
test_places(void)
{
    int              c, i, bad;
    size_t           extra;
    ngx_str_t        s, text, want;
    ngx_pool_t      *pool;
    ngx_tccbs_out_t  out;
    u_char           in[20], expected[64], *p;

    bad = 0;

    for (c = 0; c < 128; c++) {
        for (i = 0; i < (int) sizeof(in); i++) {

            memset(in, 'x', sizeof(in));
            in[i] = (u_char) c;

            p = expected;
            *p++ = '"';
            p = (u_char *) memset(p, 'x', i) + i;

            if (c == '"' || c == '\\') {
                p += sprintf((char *) p, "\\%c", c);

            } else if (c < ' ' || c == 0x7f) {
                p += sprintf((char *) p, "\\u%04x", c);

            } else {
                *p++ = (u_char) c;
            }

            extra = sizeof(in) - 1 - i;
            p = (u_char *) memset(p, 'x', extra) + extra;
            *p++ = '"';

            want.data = expected;
            want.len = p - expected;

            s.data = in;
            s.len = sizeof(in);

            pool = ngx_create_pool(1024, NULL);
            ngx_tccbs_out_init(&out, pool, 1);
            ngx_tccbs_out_string(&out, &s);
            text = ngx_tccbs_out_str(&out);

            bad += (text.len != want.len
                    || memcmp(text.data, want.data, want.len) != 0);

            ngx_destroy_pool(pool);
        }
    }

    ok(bad == 0, "each character in each place of a string");
}


int
main(void)
{
    test_texts();
    test_limits();
    test_get();
    test_writer();
    test_places();

    return tap_done();
}
