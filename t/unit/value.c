
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_value.h"
#include "tap.h"
#include "valid.h"


/* What is taken from a caller for a region, an id, a name, a number. */

static void
test_region(void)
{
    char         text[80];
    ngx_str_t    s;
    const char  *good[] = { "ap-x", "ap-guangzhou", "ap-shanghai-fsi", "na-9",
                            "ap-east1", "ap-1-2", "sa-saopaulo", NULL };
    const char  *bad[] = { "", "ap", "ap-", "a-xx", "apx-x", "Ap-x", "aP-x",
                           "ap-X", "1p-x", "a1-x", "a{-x", "ap-{", "ap-x/",
                           "ap-x:", "ap--x", "ap-x-", "ap-x-1-", "ap-x--1",
                           "ap_xx", "ap-x_y", "ap-x.", "ap-x ", " ap-x",
                           "ap-*", "*", "ap-\xc3\xa9", NULL };

    valid("region", ngx_tccbs_region_valid, good, bad);

    memset(text, 'x', sizeof(text));
    memcpy(text, "ap-", 3);

    s = bytes(text, 64);
    ok(ngx_tccbs_region_valid(&s), "64 characters");
    s = bytes(text, 65);
    ok(!ngx_tccbs_region_valid(&s), "65 are too many");
    s = bytes("ap-x\0", 5);
    ok(!ngx_tccbs_region_valid(&s), "a zero at the end");
    s = bytes("ap-x", 2);
    ok(!ngx_tccbs_region_valid(&s), "what is behind it does not count");
}


static void
test_snapshot(void)
{
    char         text[80];
    ngx_str_t    s;
    const char  *good[] = { "snap-ckgjwkqh", "snap-az09", NULL };
    const char  *bad[] = { "", "snap-", "snap-abc", "Snap-abcd", "snap_abcd",
                           "disk-abcd", "snap-abcD", "snap-ab/d", "snap-ab:d",
                           "snap-ab`d", "snap-ab{d", "snap-ab*d", "snap-abc ",
                           "snap-abc-", " snap-abcd", NULL };

    valid("snapshot", ngx_tccbs_snapshot_valid, good, bad);

    memset(text, '0', sizeof(text));
    memcpy(text, "snap-", 5);

    s = bytes(text, 37);
    ok(ngx_tccbs_snapshot_valid(&s), "37 characters");
    s = bytes(text, 38);
    ok(!ngx_tccbs_snapshot_valid(&s), "38 are too many");
}


static void
test_text(void)
{
    size_t       i;
    ngx_str_t    s;
    const char  *good[] = { "", "a name", "~", "\xc2\xa0",
                            "\xe2\x80\xa7",
                            "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa",
                            "\xe5\xa4\x87", "\xf0\x9f\x98\x80" };
    const char  *bad[] = { "\x01", "\x1f", "a\n", "\x7f", "\xc2\x80",
                           "\xc2\x9f",
                           "\xe2\x80\xa8", "\xe2\x80\xa9",  /* separators */
                           "\xe2\x80\xaa", "\xe2\x80\xae",  /* directions */
                           "\xe2\x81\xa6", "\xe2\x81\xa9",
                           "\x80", "\xff", "a\xc3", "\xc0\x80",
                           "\xed\xa0\x80", "\xf4\x90\x80\x80" };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        s = str(good[i]);
        ok(ngx_tccbs_value_text(&s, 60), "text %d", (int) i);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s = str(bad[i]);
        ok(!ngx_tccbs_value_text(&s, 60), "no text %d", (int) i);
    }

    s = str("\xc3\xa9\xc3\xa9\xc3\xa9");
    ok(ngx_tccbs_value_text(&s, 3), "characters are counted, not bytes");
    ok(!ngx_tccbs_value_text(&s, 2), "and no more of them are taken");

    s = str("abc\xff");
    ok(!ngx_tccbs_value_text(&s, 60), "bad in the end");
}


static void
test_uint(void)
{
    size_t     i;
    ngx_str_t  s;

    struct {
        const char  *text;
        int64_t      max;
        int64_t      want;
    } cases[] = {
        { "0", 100, 0 },
        { "1", 100, 1 },
        { "100", 100, 100 },
        { "101", 100, NGX_ERROR },
        { "2147483647", 2147483647, 2147483647 },
        { "2147483648", 2147483647, NGX_ERROR },
        { "9999999999", 2147483647, NGX_ERROR },
        { "10000000000", 2147483647, NGX_ERROR },
        { "18446744073709551617", 2147483647, NGX_ERROR },
        { "", 100, NGX_ERROR },
        { "00", 100, NGX_ERROR },
        { "01", 100, NGX_ERROR },
        { "-1", 100, NGX_ERROR },
        { "+1", 100, NGX_ERROR },
        { "1.0", 100, NGX_ERROR },
        { "1e1", 100, NGX_ERROR },
        { "1:", 100, NGX_ERROR },
        { "1 ", 100, NGX_ERROR },
        { "0x1", 100, NGX_ERROR }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = str(cases[i].text);
        ok(ngx_tccbs_value_uint(&s, cases[i].max) == cases[i].want,
           "number \"%s\"", cases[i].text);
    }
}


static void
test_one_of(void)
{
    ngx_str_t               s;
    static const ngx_str_t  list[] = {
        ngx_string("ASC"), ngx_string("DESC"), ngx_null_string
    };

    s = str("DESC");
    ok(ngx_tccbs_value_one_of(&s, list), "one of them");
    s = str("DES");
    ok(!ngx_tccbs_value_one_of(&s, list), "a part of one");
    s = str("desc");
    ok(!ngx_tccbs_value_one_of(&s, list), "in another case");
    s = str("");
    ok(!ngx_tccbs_value_one_of(&s, list), "nothing is none of them");
}


int
main(void)
{
    test_region();
    test_snapshot();
    test_text();
    test_uint();
    test_one_of();

    return tap_done();
}
