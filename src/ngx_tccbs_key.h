
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_KEY_H_INCLUDED_
#define _NGX_TCCBS_KEY_H_INCLUDED_


#include "ngx_tccbs_crypto.h"


/* What the gateway and the tool that issues its keys have to agree on. */

#define NGX_TCCBS_KEY_ID_MIN      8
#define NGX_TCCBS_KEY_ID_MAX      64
#define NGX_TCCBS_KEY_MIN         32          /* bytes of a secret */
#define NGX_TCCBS_KEY_MAX         256
#define NGX_TCCBS_KEY_DERIVED     NGX_TCCBS_HEX_LEN


/* The shape of a gateway key id: 8 to 64 of [A-Za-z0-9_-]. */
ngx_uint_t ngx_tccbs_key_id_valid(const ngx_str_t *id);

/*
 * The secret of a key that is derived from a master key instead of stored:
 * HKDF-SHA256 (RFC 5869) of "master" without salt, with "tccbs gateway key "
 * and the id as info, 32 bytes in lower-case hexadecimal.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_tccbs_key_derive(u_char secret[NGX_TCCBS_KEY_DERIVED],
    const ngx_str_t *master, const ngx_str_t *id);

/*
 * The time from which on a key is unknown: "2026-12-31", which is midnight UTC,
 * or "2026-12-31T18:00:00Z".  NGX_ERROR for anything else.
 */
time_t ngx_tccbs_key_expires(const ngx_str_t *text);


#endif /* _NGX_TCCBS_KEY_H_INCLUDED_ */
