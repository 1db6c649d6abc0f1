
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_REDIS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>

#include "ngx_http_tccbs_command.h"
#include "ngx_http_tccbs_redis_conf.h"
#include "ngx_tccbs_resp.h"


/*
 * Redis: one pipelined connection of each worker.  Replies come in the order
 * of the calls, so a call that nobody waits for any more keeps its place in
 * that order.
 */

typedef struct ngx_http_tccbs_redis_call_s  ngx_http_tccbs_redis_call_t;

typedef void (*ngx_http_tccbs_redis_pt)(ngx_http_tccbs_redis_call_t *call);

struct ngx_http_tccbs_redis_call_s {
    ngx_http_tccbs_redis_pt        handler;
    void                          *data;
    ngx_tccbs_resp_t              *reply;         /* NULL: none in time */
    ngx_event_t                    timer;
    ngx_http_tccbs_command_t      *entry;         /* its place in the order */
    uint64_t                       began;         /* microseconds */
};


/* The connection of this worker; it is made at once, and again when lost. */
ngx_int_t ngx_http_tccbs_redis_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_redis_conf_t *conf);
void ngx_http_tccbs_redis_exit(void);

/*
 * Runs a script whose first "nkeys" arguments are its keys.
 * NGX_AGAIN: the handler is called once, not from inside of this function,
 * within "timeout" milliseconds; the reply, which is no error, is valid during
 * that.  NGX_DECLINED: Redis cannot be asked.
 */
ngx_int_t ngx_http_tccbs_redis_call(ngx_http_tccbs_redis_call_t *call,
    ngx_http_tccbs_script_e script, ngx_str_t *argv, ngx_uint_t argc,
    ngx_uint_t nkeys, ngx_msec_t timeout);

/* Nobody waits for it any more; harmless when it is not under way. */
void ngx_http_tccbs_redis_cancel(ngx_http_tccbs_redis_call_t *call);

/*
 * A note: a script that is to be run, after all calls before it, even when
 * Redis has to come back first; it is given up after "seconds".  It may be run
 * again when its reply was lost, but for GIVE, which is given up then.
 */
void ngx_http_tccbs_redis_note(ngx_http_tccbs_script_e script,
    ngx_str_t *argv, ngx_uint_t argc, ngx_uint_t nkeys, time_t seconds);

/* The reply of "what" cannot be one: as good as none. */
void ngx_http_tccbs_redis_nonsense(ngx_str_t *what);


#endif /* _NGX_HTTP_TCCBS_REDIS_H_INCLUDED_ */
