
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_key.h"
#include "tap.h"
#include "valid.h"


static void
test_id(void)
{
    char         text[80];
    ngx_str_t    s;
    const char  *good[] = { "AKIDgw00", "azAZ09_-", "--------", NULL };
    const char  *bad[] = { "", "AKIDgw0", "AKIDgw0/", "AKIDgw0:", "AKIDgw0@",
                           "AKIDgw0[", "AKIDgw0`", "AKIDgw0{", "AKIDgw0 ",
                           "AKIDgw0,", "AKIDgw0\n", "AKIDgw0\xc3\xa9", NULL };

    valid("id", ngx_tccbs_key_id_valid, good, bad);

    memset(text, 'x', sizeof(text));

    s = bytes(text, NGX_TCCBS_KEY_ID_MAX);
    ok(ngx_tccbs_key_id_valid(&s), "the longest id");
    s.len++;
    ok(!ngx_tccbs_key_id_valid(&s), "a longer one");
}


/* what "openssl kdf -keylen 32 ... HKDF" says */

static void
test_derive(void)
{
    char       text[80];
    u_char     secret[NGX_TCCBS_KEY_DERIVED], other[NGX_TCCBS_KEY_DERIVED];
    ngx_str_t  master, id;

    master = str("0123456789abcdef0123456789abcdef");
    id = str("AKIDgwderived");

    ok(ngx_tccbs_key_derive(secret, &master, &id) == NGX_OK, "derived");
    ok(memcmp(secret, "e44968b89266f2415b48b7c6b5ca688a"
                      "3a2535e67bd38505b8945863bab285da",
              sizeof(secret)) == 0, "HKDF of RFC 5869");

    memset(text, 'x', sizeof(text));

    id = bytes(text, NGX_TCCBS_KEY_ID_MAX);
    ok(ngx_tccbs_key_derive(other, &master, &id) == NGX_OK,
       "of the longest id");
    ok(memcmp(secret, other, sizeof(secret)) != 0, "is another secret");

    id.len++;
    memset(other, '-', sizeof(other));
    memcpy(secret, other, sizeof(secret));
    ok(ngx_tccbs_key_derive(other, &master, &id) == NGX_ERROR,
       "of a longer id there is none");
    ok(memcmp(secret, other, sizeof(secret)) == 0, "and nothing is written");
}


static void
test_expires(void)
{
    size_t     i;
    ngx_str_t  s;

    struct {
        const char  *text;
        time_t       want;
    } cases[] = {
        { "2026-12-31", 1798675200 },
        { "2026-12-31T00:00:00Z", 1798675200 },
        { "2026-12-31T23:59:59Z", 1798761599 },
        { "2028-02-29", 1835395200 },
        { "1970-01-02", 86400 },
        { "", NGX_ERROR },
        { "2026", NGX_ERROR },
        { "2026-12-3", NGX_ERROR },
        { "2026-12-31T", NGX_ERROR },
        { "2026-12-31T23:59:59", NGX_ERROR },
        { "2026-12-31T23:59:59+", NGX_ERROR },
        { "2026-12-31T23:59:59Z ", NGX_ERROR },
        { "2026-12-31 23:59:59Z", NGX_ERROR },
        { "2026-12-31T23.59:59Z", NGX_ERROR },
        { "2026/12/31", NGX_ERROR },
        { "2026-12/31", NGX_ERROR },
        { "20a6-12-31", NGX_ERROR },
        { "2026-1 -31", NGX_ERROR },
        { "2026-1/-30", NGX_ERROR },
        { "2026-12--1", NGX_ERROR },
        { "2026-00-01", NGX_ERROR },
        { "2026-13-01", NGX_ERROR },
        { "2026-12-00", NGX_ERROR },
        { "2026-12-32", NGX_ERROR },
        { "2026-02-29", NGX_ERROR },
        { "2026-12-30T24:00:00Z", NGX_ERROR },
        { "2026-12-30T22:60:00Z", NGX_ERROR },
        { "2026-12-30T22:58:60Z", NGX_ERROR },
        { "2026-12-31T23:59:60Z", NGX_ERROR },
        { "1970-01-01", NGX_ERROR },
        { "1969-12-31", NGX_ERROR },
        { "0000-01-01", NGX_ERROR }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s = str(cases[i].text);
        ok(ngx_tccbs_key_expires(&s) == cases[i].want, "expires \"%s\"",
           cases[i].text);
    }
}


int
main(void)
{
    (void) ngx_tccbs_crypto_init();

    test_id();
    test_derive();
    test_expires();

    ngx_tccbs_crypto_done();

    return tap_done();
}
