
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_VALUE_H_INCLUDED_
#define _NGX_TCCBS_VALUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* The shapes of the API's values. */

/* ^[a-z]{2}-[a-z0-9]+(-[a-z0-9]+)*$, at most 64 bytes. */
ngx_uint_t ngx_tccbs_region_valid(const ngx_str_t *region);

/* "snap-" and 4 to 32 of [a-z0-9]. */
ngx_uint_t ngx_tccbs_snapshot_valid(const ngx_str_t *id);

/*
 * At most "max" characters of strict UTF-8, none of them a control character,
 * a line break of Unicode, or one that changes the direction of the text.
 */
ngx_uint_t ngx_tccbs_value_text(const ngx_str_t *s, ngx_uint_t max);

/* Decimal digits without sign and leading zeros up to "max", or NGX_ERROR. */
int64_t ngx_tccbs_value_uint(const ngx_str_t *text, int64_t max);

/* "list" ends with an empty string. */
ngx_uint_t ngx_tccbs_value_one_of(const ngx_str_t *s, const ngx_str_t *list);


#endif /* _NGX_TCCBS_VALUE_H_INCLUDED_ */
