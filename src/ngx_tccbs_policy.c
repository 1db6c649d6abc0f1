
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_policy.h"
#include "ngx_tccbs_text.h"


static ngx_int_t ngx_tccbs_policy_deny(ngx_tccbs_verdict_t *verdict,
    const char *rule, const char *what, const ngx_str_t *value,
    const ngx_array_t *allowed);
static ngx_uint_t ngx_tccbs_policy_region(const ngx_array_t *allowed,
    const ngx_str_t *region);
static ngx_uint_t ngx_tccbs_policy_match(const ngx_str_t *pattern,
    const ngx_str_t *id);


ngx_int_t
ngx_tccbs_policy(const ngx_tccbs_policy_t *policy,
    const ngx_tccbs_call_t *call, ngx_tccbs_verdict_t *verdict)
{
    ngx_str_t   *pattern;
    ngx_uint_t   i;

    if (!(policy->actions & (1 << call->action))) {
        return ngx_tccbs_policy_deny(verdict, "actions", "action",
                                     &ngx_tccbs_actions[call->action], NULL);
    }

    if (call->action == NGX_TCCBS_DESCRIBE) {

        if (ngx_tccbs_policy_region(&policy->from, &call->from)
            || ngx_tccbs_policy_region(&policy->to, &call->from))
        {
            return NGX_OK;
        }

        return ngx_tccbs_policy_deny(verdict, "from", "region", &call->from,
                                     &policy->from);
    }

    if (!ngx_tccbs_policy_region(&policy->from, &call->from)) {
        return ngx_tccbs_policy_deny(verdict, "from", "source region",
                                     &call->from, &policy->from);
    }

    for (i = 0; i < call->nto; i++) {
        if (!ngx_tccbs_policy_region(&policy->to, &call->to[i])) {
            return ngx_tccbs_policy_deny(verdict, "to", "destination region",
                                         &call->to[i], &policy->to);
        }
    }

    pattern = policy->snapshots.elts;

    for (i = 0; i < policy->snapshots.nelts; i++) {
        if (ngx_tccbs_policy_match(&pattern[i], &call->snapshot)) {
            return NGX_OK;
        }
    }

    if (policy->snapshots.nelts == 0) {
        return NGX_OK;
    }

    return ngx_tccbs_policy_deny(verdict, "snapshots", "snapshot",
                                 &call->snapshot, &policy->snapshots);
}


static ngx_int_t
ngx_tccbs_policy_deny(ngx_tccbs_verdict_t *verdict, const char *rule,
    const char *what, const ngx_str_t *value, const ngx_array_t *allowed)
{
    verdict->rule = rule;
    verdict->what = what;
    verdict->value = value;
    verdict->allowed = allowed;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_tccbs_policy_region(const ngx_array_t *allowed, const ngx_str_t *region)
{
    ngx_str_t   *s;
    ngx_uint_t   i;

    s = allowed->elts;

    for (i = 0; i < allowed->nelts; i++) {
        if (ngx_tccbs_is(&s[i], "*") || ngx_tccbs_same(&s[i], region)) {
            return 1;
        }
    }

    return 0;
}


/* "*" stands for any characters, also none; the last one seen may grow. */

static ngx_uint_t
ngx_tccbs_policy_match(const ngx_str_t *pattern, const ngx_str_t *id)
{
    u_char  *p, *s, *plast, *slast, *star, *mark;

    p = pattern->data;
    plast = p + pattern->len;
    s = id->data;
    slast = s + id->len;
    star = NULL;
    mark = NULL;

    while (s < slast) {

        if (p < plast && *p == '*') {
            star = ++p;
            mark = s;
            continue;
        }

        if (p < plast && *p == *s) {
            p++;
            s++;
            continue;
        }

        if (star == NULL) {
            return 0;
        }

        p = star;
        s = ++mark;
    }

    while (p < plast && *p == '*') {
        p++;
    }

    return p == plast;
}
