
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _VALID_H_INCLUDED_
#define _VALID_H_INCLUDED_


#include "tap.h"


/* Each of the good is valid, and none of the bad; NULL ends them. */

static void
valid(const char *what, ngx_uint_t (*is_valid)(const ngx_str_t *s),
    const char *const *good, const char *const *bad)
{
    ngx_str_t  s;

    for ( /* void */ ; *good; good++) {
        s = str(*good);
        ok(is_valid(&s), "%s: %s", what, *good);
    }

    for ( /* void */ ; *bad; bad++) {
        s = str(*bad);
        ok(!is_valid(&s), "no %s: \"%s\"", what, *bad);
    }
}


#endif /* _VALID_H_INCLUDED_ */
