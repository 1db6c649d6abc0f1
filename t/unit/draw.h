
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _DRAW_H_INCLUDED_
#define _DRAW_H_INCLUDED_


#include <stdint.h>


/* A number below n, the same ones in each run. */

static uint32_t  seed = 7;


static uint32_t
draw(uint32_t n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) % n;
}


#endif /* _DRAW_H_INCLUDED_ */
