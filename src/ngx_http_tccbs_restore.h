
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_RESTORE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_RESTORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_audit.h"
#include "ngx_http_tccbs_scan.h"


/*
 * The zone takes over, unless it did, and the audit log is read: intents
 * without an outcome become entries of their worker, if it may be "alive",
 * which recovery closes when that is gone, and hold their regions for "hold"
 * seconds, and "flight" seconds more while that may still come; copies of the
 * last "window" seconds get their answers back.  NGX_OK, or NGX_ERROR when
 * something may have been forgotten for want of memory.
 */
ngx_int_t ngx_http_tccbs_restore(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf, ngx_uint_t alive);

/*
 * The outcome of an intent, whose worker is gone, was found in the log: what
 * was held for it is free again, or has its answer.  NGX_ERROR as above.
 */
ngx_int_t ngx_http_tccbs_restore_ended(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_line_t *intent, ngx_http_tccbs_line_t *outcome,
    ngx_log_t *log);

/*
 * The copy whose intent is this line of the log will have no outcome: when it
 * was "sent" its regions are held for "hold" seconds.  The call itself is no
 * longer in flight.  Other lines are left alone.  NGX_ERROR as above.
 */
ngx_int_t ngx_http_tccbs_restore_intent(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_line_t *intent, ngx_uint_t sent, ngx_log_t *log);


#endif /* _NGX_HTTP_TCCBS_RESTORE_H_INCLUDED_ */
