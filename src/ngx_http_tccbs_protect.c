
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_protect.h"


static void ngx_http_tccbs_protect_undumpable(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf);
static ngx_uint_t ngx_http_tccbs_protect_debug(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf);


ngx_int_t
ngx_http_tccbs_protect_log(ngx_conf_t *cf, ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_log_t                 **log;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_srv_conf_t   *cscf;

    if (mcf->logs.elts == NULL
        && ngx_array_init(&mcf->logs, cf->pool, 4, sizeof(ngx_log_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    log = ngx_array_push_n(&mcf->logs, 2);
    if (log == NULL) {
        return NGX_ERROR;
    }

    /* a header is read before its location is found */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    log[0] = clcf->error_log;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    clcf = cscf->ctx->loc_conf[ngx_http_core_module.ctx_index];
    log[1] = clcf->error_log;

    return NGX_OK;
}


void
ngx_http_tccbs_protect_master(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (!mcf->core_dump && ccf->rlimit_core != (off_t) NGX_CONF_UNSET
        && ccf->rlimit_core > 0)
    {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "\"worker_rlimit_core\" has no effect without "
                      "\"tccbs_core_dump on;\"");
    }

    if (ngx_http_tccbs_protect_debug(cycle, mcf)) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "\"error_log\" has the level \"debug\" where "
                      "\"tccbs_pass\" is: nginx will write the headers of "
                      "callers there, their signatures included");
    }

    ngx_http_tccbs_protect_undumpable(cycle, mcf);
}


void
ngx_http_tccbs_protect_process(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf)
{
    ngx_http_tccbs_protect_undumpable(cycle, mcf);

    if (ngx_process == NGX_PROCESS_HELPER) {
        ngx_tccbs_arena_wipe(mcf->arena);
        return;
    }

    if (ngx_tccbs_arena_lock(mcf->arena) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                      "mlock() failed: keys may be swapped out to disk, raise "
                      "RLIMIT_MEMLOCK (\"LimitMEMLOCK=\" of systemd)");
    }
}


/* nginx makes its workers dumpable before a module is asked */

static void
ngx_http_tccbs_protect_undumpable(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf)
{
#if (NGX_HAVE_PR_SET_DUMPABLE)

    if (!mcf->core_dump && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "prctl(PR_SET_DUMPABLE) failed");
    }

#endif
}


static ngx_uint_t
ngx_http_tccbs_protect_debug(ngx_cycle_t *cycle,
    ngx_http_tccbs_main_conf_t *mcf)
{
#if (NGX_DEBUG)

    ngx_log_t         *log, **logs;
    ngx_uint_t         i;
    ngx_event_conf_t  *ecf;

    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ecf->debug_connection.nelts) {
        return 1;
    }

    logs = mcf->logs.elts;

    for (i = 0; i < mcf->logs.nelts; i++) {
        for (log = logs[i]; log; log = log->next) {
            if (log->log_level & NGX_LOG_DEBUG_HTTP) {
                return 1;
            }
        }
    }

#endif

    return 0;
}
