
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_policy.h"
#include "draw.h"
#include "tap.h"


static ngx_str_t           from[] = { ngx_string("ap-guangzhou") };
static ngx_str_t           to[] = { ngx_string("ap-beijing"),
                                    ngx_string("ap-tokyo") };
static ngx_str_t           any[] = { ngx_string("*") };
static ngx_str_t           patterns[2];
static ngx_str_t           regions[2];

static ngx_tccbs_policy_t  policy;
static ngx_tccbs_call_t    call;


static void
list(ngx_array_t *array, ngx_str_t *elts, ngx_uint_t n)
{
    array->elts = elts;
    array->nelts = n;
}


/* a copy that all rules allow */

static void
allowed(void)
{
    memset(&policy, 0, sizeof(ngx_tccbs_policy_t));
    memset(&call, 0, sizeof(ngx_tccbs_call_t));

    policy.actions = 1 << NGX_TCCBS_COPY;

    list(&policy.from, from, 1);
    list(&policy.to, to, 2);

    regions[0] = to[0];
    regions[1] = to[1];

    call.action = NGX_TCCBS_COPY;
    call.from = from[0];
    call.snapshot = str("snap-abcd1234");
    call.to = regions;
    call.nto = 2;
}


static void
decides(const char *rule, const char *value, const char *name)
{
    ngx_int_t            rc;
    ngx_tccbs_verdict_t  verdict;

    rc = ngx_tccbs_policy(&policy, &call, &verdict);

    if (rule == NULL) {
        ok(rc == NGX_OK, "%s: allowed", name);
        return;
    }

    ok(rc == NGX_DECLINED && strcmp(verdict.rule, rule) == 0
       && is(verdict.value, value), "%s: refused by \"%s\"", name, rule);
}


static void
test_rules(void)
{
    allowed();
    decides(NULL, NULL, "a copy");

    policy.actions = 1 << NGX_TCCBS_DESCRIBE;
    decides("actions", "CopySnapshotCrossRegions", "a copy by a reader");

    policy.actions = 0;
    decides("actions", "CopySnapshotCrossRegions", "a copy by nobody");

    allowed();
    call.from = to[0];
    decides("from", "ap-beijing", "another source");

    allowed();
    call.from = str("ap-guangzhou-2");
    decides("from", "ap-guangzhou-2", "a longer source");

    allowed();
    list(&policy.from, any, 1);
    call.from = str("eu-frankfurt");
    decides(NULL, NULL, "any source");

    allowed();
    list(&policy.from, NULL, 0);
    decides("from", "ap-guangzhou", "no source");

    allowed();
    regions[1] = from[0];
    decides("to", "ap-guangzhou", "the second destination");

    allowed();
    list(&policy.to, to, 1);
    decides("to", "ap-tokyo", "one of two destinations");

    allowed();
    list(&policy.to, NULL, 0);
    decides("to", "ap-beijing", "no destination");

    allowed();
    list(&policy.snapshots, patterns, 2);
    patterns[0] = str("snap-x*");
    patterns[1] = str("snap-ab*");
    decides(NULL, NULL, "the second pattern");
    patterns[1] = str("snap-ac*");
    decides("snapshots", "snap-abcd1234", "no pattern");
}


static void
test_look(void)
{
    allowed();
    call.action = NGX_TCCBS_DESCRIBE;
    call.nto = 0;
    decides("actions", "DescribeSnapshots", "a look by a writer");

    policy.actions |= 1 << NGX_TCCBS_DESCRIBE;
    decides(NULL, NULL, "a look at a source");

    call.from = to[1];
    decides(NULL, NULL, "at a destination");

    call.from = str("eu-frankfurt");
    decides("from", "eu-frankfurt", "elsewhere");

    /* patterns are about what is copied */

    call.from = from[0];
    list(&policy.snapshots, patterns, 1);
    patterns[0] = str("snap-none");
    decides(NULL, NULL, "a look has no snapshot");
}


/* The definition, without a memory of stars. */

static ngx_uint_t
matches(const char *p, const char *s)
{
    if (*p == '*') {
        return matches(p + 1, s) || (*s && matches(p, s + 1));
    }

    return *p ? (*p == *s && matches(p + 1, s + 1)) : *s == '\0';
}


static ngx_uint_t
judged(const char *pattern, const char *id)
{
    ngx_tccbs_verdict_t  verdict;

    patterns[0] = str(pattern);
    call.snapshot = str(id);

    return ngx_tccbs_policy(&policy, &call, &verdict) == NGX_OK;
}


static void
test_patterns(void)
{
    int                  i, k, n, wrong, yes;
    char                 pattern[12], id[12];
    ngx_tccbs_verdict_t  verdict;

    allowed();
    list(&policy.snapshots, patterns, 1);

    ok(judged("snap-abcd", "snap-abcd"), "without a star");
    ok(!judged("snap-abcd", "snap-abcde"), "no beginning of it");
    ok(!judged("snap-abcd", "snap-abc"), "no end of it");
    ok(judged("snap-abcd*", "snap-abcd"), "a star for nothing");
    ok(judged("snap-abcd***", "snap-abcd"), "three of them");
    ok(!judged("snap-abcd*e", "snap-abcd"), "nor for what follows");
    ok(judged("*", "snap-abcd") && judged("*", ""), "a star for all");
    ok(!judged("", "snap-abcd") && judged("", ""), "nothing for nothing");
    ok(judged("*ab*ab", "abxabab"), "the last one grows");
    ok(!judged("snap-a*c", "snap-abcd"), "to the end");

    /* what is behind the end of a pattern is no part of it */

    call.snapshot = str("snap-abcd");
    patterns[0] = bytes("snap-*", 5);
    ok(ngx_tccbs_policy(&policy, &call, &verdict) != NGX_OK, "a star behind");
    patterns[0] = bytes("snap-abcd", 5);
    ok(ngx_tccbs_policy(&policy, &call, &verdict) != NGX_OK, "the rest behind");

    wrong = 0;
    yes = 0;

    for (i = 0; i < 100000; i++) {

        n = draw(sizeof(pattern));

        for (k = 0; k < n; k++) {
            pattern[k] = "ab*"[draw(3)];
        }

        pattern[n] = '\0';
        n = draw(sizeof(id));

        for (k = 0; k < n; k++) {
            id[k] = "ab"[draw(2)];
        }

        id[n] = '\0';

        wrong += (judged(pattern, id) != matches(pattern, id));
        yes += judged(pattern, id);
    }

    ok(wrong == 0, "100000 patterns are judged by the definition");
    ok(yes > 1000 && yes < 99000, "%d of them match", yes);
}


int
main(void)
{
    seed = 11;

    test_rules();
    test_look();
    test_patterns();

    return tap_done();
}
