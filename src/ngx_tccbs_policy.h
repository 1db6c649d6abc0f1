
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_POLICY_H_INCLUDED_
#define _NGX_TCCBS_POLICY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_call.h"


/* What an account may do; what no rule allows is refused. */

typedef struct {
    ngx_uint_t               actions;         /* bits by ngx_tccbs_action_e */
    ngx_array_t              from;            /* ngx_str_t, "*" is any */
    ngx_array_t              to;
    ngx_array_t              snapshots;       /* patterns; empty is any */
} ngx_tccbs_policy_t;

typedef struct {
    const char              *rule;            /* that decides */
    const char              *what;            /* it is about, in words */
    const ngx_str_t         *value;           /* that it does not allow */
    const ngx_array_t       *allowed;         /* NULL for "actions" */
} ngx_tccbs_verdict_t;


/*
 * NGX_OK, or NGX_DECLINED with the rule that refuses.  A call to describe may
 * look into the regions of "from" and of "to".
 */
ngx_int_t ngx_tccbs_policy(const ngx_tccbs_policy_t *policy,
    const ngx_tccbs_call_t *call, ngx_tccbs_verdict_t *verdict);


#endif /* _NGX_TCCBS_POLICY_H_INCLUDED_ */
