
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_PROBE_H_INCLUDED_
#define _TCCBS_PROBE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define TCCBS_PROBE_WHY  256


/* How the gateway connects to an upstream: see "tccbs_ssl_...". */

typedef struct {
    const char      *host;                  /* of the address */
    const char      *port;
    ngx_uint_t       ssl;
    const char      *name;                  /* SNI, and to be verified */
    const char      *ca;                    /* NULL: those of the system */
    const char      *crl;
    int              depth;
    const char      *ciphers;
} tccbs_probe_t;


/* Whether a file of CA certificates loads; the number of certificates, or 0. */
ngx_uint_t tccbs_probe_ca(const char *path);

/*
 * Connects, verifies the certificate for "name", which may differ from
 * probe->name, and asks for "/".  NGX_OK with the time that the Date of the
 * answer is ahead of this clock, in seconds, or with *date 0; NGX_DECLINED: the
 * certificate is refused; NGX_ERROR: anything else.  The reason is in "why".
 */
ngx_int_t tccbs_probe(tccbs_probe_t *probe, const char *name,
    ngx_uint_t *dated, time_t *ahead, char why[TCCBS_PROBE_WHY]);


#endif /* _TCCBS_PROBE_H_INCLUDED_ */
