
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_CONF_H_INCLUDED_
#define _TCCBS_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Reads an nginx configuration as its parser does: words, quotes, comments,
 * blocks and "include" with patterns, relative to the directory of the main
 * file.  Each directive is given to "handler" with the word that ended it: ";",
 * "{", and "}" without words.  The handler's value other than NGX_OK ends it.
 */

#define TCCBS_CONF_WORDS  2048

typedef struct {
    const char   *file;
    ngx_uint_t    line;
    ngx_str_t    *words;
    ngx_uint_t    n;
    u_char        end;
} tccbs_directive_t;

typedef ngx_int_t (*tccbs_conf_pt)(void *data, tccbs_directive_t *directive);

/* NGX_OK, or NGX_ERROR with a message on stderr. */
ngx_int_t tccbs_conf(ngx_pool_t *pool, const char *file, tccbs_conf_pt handler,
    void *data);


#endif /* _TCCBS_CONF_H_INCLUDED_ */
