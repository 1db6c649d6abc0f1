
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_grant.h"
#include "ngx_tccbs_crypto.h"
#include "tap.h"


#define DAY  86400


static ngx_log_t                quiet;
static ngx_tccbs_triple_t       triple;
static ngx_http_tccbs_grant_t   grant;
static ngx_atomic_uint_t        version;

ngx_uint_t                      ngx_pagesize = 4096;


/* What it needs of nginx. */

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    return malloc(size);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


static ngx_http_tccbs_page_t *
adopt(const char *name, uint32_t source, ngx_uint_t generation)
{
    ngx_str_t  s;

    s = str(name);

    return ngx_http_tccbs_grant_adopt(&s, source, generation, &quiet);
}


static ngx_int_t
publish(ngx_http_tccbs_page_t *page, ngx_uint_t generation, const char *key,
    const char *token)
{
    ngx_str_t  id, k, t, why;

    id = str("AKIDgrant");
    k = str(key);
    t = str(token);

    (void) ngx_tccbs_triple_set(&triple, &id, &k, &t, 77, &why);

    return ngx_http_tccbs_grant_publish(page, generation, &triple, 10 * DAY);
}


/* Whether what a worker reads now is what was published with that key. */

static ngx_uint_t
reads(ngx_http_tccbs_page_t *page, const char *key)
{
    u_char      day[NGX_TCCBS_SHA256_LEN];
    u_char      date[NGX_TCCBS_TC3_DATE_LEN];
    ngx_str_t   k, d, service;
    ngx_uint_t  i;

    if (ngx_http_tccbs_grant_read(page, &version, &grant) != NGX_OK) {
        return 0;
    }

    k = str(key);
    service = str("cbs");
    d.data = date;
    d.len = sizeof(date);

    /* from yesterday to tomorrow */

    for (i = 0; i < NGX_HTTP_TCCBS_GRANT_DAYS; i++) {
        ngx_tccbs_tc3_date((9 + i) * DAY, date);
        (void) ngx_tccbs_tc3_day_key(day, &k, &d, &service);

        if (memcmp(grant.days[i].date, date, sizeof(date)) != 0
            || memcmp(grant.days[i].key, day, sizeof(day)) != 0)
        {
            return 0;
        }
    }

    return grant.id_len == 9 && memcmp(grant.id, "AKIDgrant", 9) == 0
           && grant.expires == 77;
}


static ngx_uint_t
none(ngx_http_tccbs_page_t *page)
{
    return ngx_http_tccbs_grant_read(page, &version, &grant) == NGX_DECLINED;
}


int
main(void)
{
    ngx_http_tccbs_page_t  *a, *b, *longer;

    (void) ngx_tccbs_crypto_init();

    longer = adopt("ab", 1, 1);
    a = adopt("a", 1, 1);
    b = adopt("b", 1, 1);

    ok(a && b && a != b && a != longer, "a page for each name");
    ok(none(a) && none(b), "without a grant");

    ok(publish(a, 1, "key-1", "token") == NGX_OK && reads(a, "key-1"),
       "one is read");
    ok(grant.token_len == 5 && memcmp(grant.token, "token", 5) == 0,
       "with its token");
    ok(none(b), "it is not that of another");

    version = (ngx_atomic_uint_t) -1;
    ok(reads(a, "key-1"), "read again");
    ngx_memzero(&grant.days, sizeof(grant.days));
    ok(!reads(a, "key-1"), "a copy of the same version is not made anew");
    ok(publish(a, 1, "key-2", "") == NGX_OK && reads(a, "key-2"),
       "one of another is");
    ok(grant.token_len == 0, "which has no token");

    /* a reload */

    ok(adopt("a", 1, 2) == a && reads(a, "key-2"),
       "after a reload from the same source: the grant stays");
    ok(publish(a, 1, "key-3", "") == NGX_DECLINED && reads(a, "key-2"),
       "the old generation does not write any more");
    ok(publish(a, 2, "key-4", "") == NGX_OK && reads(a, "key-4"),
       "the new one does");

    (void) publish(b, 1, "key-5", "");
    ok(reads(b, "key-5"), "a name that is not in the new one");
    ngx_http_tccbs_grant_sweep(2);
    ok(none(b), "is withdrawn");
    ok(reads(a, "key-4"), "the others are not");

    a->refreshed = 5;
    ok(adopt("a", 2, 3) == a && none(a), "from another source: withdrawn");
    ok(a->refreshed == 0 && a->source == 2, "and not known to be fresh");

    (void) publish(a, 3, "key-6", "");
    ngx_memzero(&triple, sizeof(triple));
    ok(ngx_http_tccbs_grant_publish(a, 3, &triple, 10 * DAY) == NGX_OK
       && none(a), "nothing to publish: withdrawn");

    ngx_tccbs_crypto_done();

    return tap_done();
}
