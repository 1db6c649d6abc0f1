
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_PROTECT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_PROTECT_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* Remembers the logs that what a caller sends to this location goes to. */
ngx_int_t ngx_http_tccbs_protect_log(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf);

/*
 * Unless "tccbs_core_dump" is on, nobody but root may look into the master and
 * its processes, and no core is written.  Warns of a configuration that gives
 * secrets away, or that has no effect because of this.
 */
void ngx_http_tccbs_protect_master(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf);

/* The same for a new process, whose secrets are locked in memory. */
void ngx_http_tccbs_protect_process(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf);


#endif /* _NGX_HTTP_TCCBS_PROTECT_H_INCLUDED_ */
