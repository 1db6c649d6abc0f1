
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_BREAKER_H_INCLUDED_
#define _NGX_HTTP_TCCBS_BREAKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_command.h"
#include "ngx_http_tccbs_metrics.h"
#include "ngx_http_tccbs_redis_conf.h"
#include "ngx_tccbs_resp.h"


/*
 * Whether this worker may ask Redis: after NGX_HTTP_TCCBS_BREAKER_FAILS
 * failures in a row nothing is asked until a probe, about once a second, was
 * able to write.  Also how questions end, for the status and the error log.
 */

#define NGX_HTTP_TCCBS_BREAKER_FAILS  3

typedef struct {
    ngx_http_tccbs_redis_conf_t   *conf;
    ngx_log_t                     *log;
    ngx_uint_t                     fails;
    ngx_uint_t                     open;
    time_t                         said;      /* in the error log */
} ngx_http_tccbs_breaker_t;


/* "n" failures; whether the breaker opens with them, which is logged. */
ngx_uint_t ngx_http_tccbs_breaker_failed(ngx_http_tccbs_breaker_t *breaker,
    ngx_uint_t n, const char *why);

/* Redis was able to write. */
void ngx_http_tccbs_breaker_close(ngx_http_tccbs_breaker_t *breaker);

/* When to probe the next time, in milliseconds. */
ngx_msec_t ngx_http_tccbs_breaker_pause(void);

/* What is wrong with it, in the error log: once a second. */
void ngx_http_tccbs_breaker_say(ngx_http_tccbs_breaker_t *breaker,
    const char *says, ngx_str_t *what);

/* The same with an error in reply to a command, whose text is changed. */
void ngx_http_tccbs_breaker_error(ngx_http_tccbs_breaker_t *breaker,
    ngx_http_tccbs_command_e kind, ngx_tccbs_resp_t *reply);


typedef enum {
    NGX_HTTP_TCCBS_BREAKER_OK = 0,
    NGX_HTTP_TCCBS_BREAKER_TIMEOUT,
    NGX_HTTP_TCCBS_BREAKER_ERROR,
    NGX_HTTP_TCCBS_BREAKER_NOT_ASKED
} ngx_http_tccbs_breaker_e;

/* A call has ended after so many microseconds, which count with a reply. */
void ngx_http_tccbs_breaker_count(ngx_http_tccbs_redis_conf_t *conf,
    ngx_http_tccbs_breaker_e result, uint64_t took);


#endif /* _NGX_HTTP_TCCBS_BREAKER_H_INCLUDED_ */
