
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _LEFT_H_INCLUDED_
#define _LEFT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <malloc.h>
#include <string.h>


/*
 * Whether "text" is in memory that was taken from a pool of ngx_tccbs_shim.c,
 * each piece of which is one of malloc(), but for what begins at "but".
 */

static ngx_inline ngx_uint_t
left_in_pool(const ngx_pool_t *pool, const char *text, const u_char *but)
{
    struct {
        void  *next;
        void  *data;
    } *a;

    for (a = (void *) pool->chain; a; a = a->next) {
        if (a->data != but
            && memmem(a->data, malloc_usable_size(a->data), text,
                      strlen(text)))
        {
            return 1;
        }
    }

    return 0;
}


#endif /* _LEFT_H_INCLUDED_ */
