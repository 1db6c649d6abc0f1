
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RECOVERY_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RECOVERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_audit.h"


/*
 * Closes the intents of workers that died: every second a worker looks for
 * open entries in the zone whose owner is gone, reads in the audit file what
 * became of them, and appends the outcome that is missing.  Where that is
 * unknown the regions are held for "hold" seconds; an answer that is there is
 * given again for "window" seconds.  What fails is tried again the next time.
 */
ngx_int_t ngx_http_tccbs_recovery_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf);

/*
 * The same for what this worker leaves open on a fast shutdown, unless other
 * gateways have to be told; between stop() and exit() of the audit log.
 */
void ngx_http_tccbs_recovery_exit(void);


#endif /* _NGX_HTTP_TCCBS_RECOVERY_H_INCLUDED_ */
