
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_NOISE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_NOISE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Refusals that get no record of their own, of callers without an account or
 * while there is little room: one record a minute says how many there were, so
 * that a flood neither fills nor stops the audit log.
 */
void ngx_http_tccbs_noise_init(ngx_cycle_t *cycle);
void ngx_http_tccbs_noise(void);

/* The last record of the process, before the audit log ends. */
void ngx_http_tccbs_noise_exit(void);


#endif /* _NGX_HTTP_TCCBS_NOISE_H_INCLUDED_ */
