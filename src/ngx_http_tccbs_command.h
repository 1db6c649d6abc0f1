
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_COMMAND_H_INCLUDED_
#define _NGX_HTTP_TCCBS_COMMAND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_script.h"
#include "ngx_tccbs_resp.h"


/* A command for Redis, in the order of commands.  All return NULL at worst. */

typedef enum {
    NGX_HTTP_TCCBS_COMMAND_CALL = 0,
    NGX_HTTP_TCCBS_COMMAND_NOTE,
    NGX_HTTP_TCCBS_COMMAND_LOAD,
    NGX_HTTP_TCCBS_COMMAND_LOGIN
} ngx_http_tccbs_command_e;

struct ngx_http_tccbs_redis_call_s;

typedef struct ngx_http_tccbs_command_s  ngx_http_tccbs_command_t;

/* The reply to a call for which nobody has waited; it is no error. */
typedef void (*ngx_http_tccbs_command_late_pt)(
    ngx_http_tccbs_command_t *command, ngx_tccbs_resp_t *reply);

struct ngx_http_tccbs_command_s {
    ngx_queue_t                           queue;
    ngx_http_tccbs_command_e              kind;
    ngx_http_tccbs_script_e               script;
    ngx_str_t                             bytes;
    struct ngx_http_tccbs_redis_call_s   *call;     /* NULL: nobody waits */
    ngx_http_tccbs_command_late_pt        late;     /* or NULL */
    ngx_msec_t                            expires;  /* of a note */
    unsigned                              again:1;  /* after NOSCRIPT */
    unsigned                              sent:1;   /* may have been run */
};


#define NGX_HTTP_TCCBS_COMMAND_ARGS  128


ngx_http_tccbs_command_t *ngx_http_tccbs_command_eval(
    ngx_http_tccbs_command_e kind, ngx_http_tccbs_script_e script,
    ngx_str_t *argv, ngx_uint_t argc, ngx_uint_t nkeys);
ngx_http_tccbs_command_t *ngx_http_tccbs_command_load(
    ngx_http_tccbs_script_e script);
ngx_http_tccbs_command_t *ngx_http_tccbs_command_auth(ngx_str_t *user,
    ngx_str_t *password);
ngx_http_tccbs_command_t *ngx_http_tccbs_command_select(ngx_uint_t db);

/* The first "argc" arguments of its script, keys among them. */
void ngx_http_tccbs_command_argv(ngx_http_tccbs_command_t *command,
    ngx_str_t *argv, ngx_uint_t argc);

/* The first one of a queue that is not empty. */
ngx_http_tccbs_command_t *ngx_http_tccbs_command_shift(ngx_queue_t *queue);

void ngx_http_tccbs_command_free(ngx_http_tccbs_command_t *command);


#endif /* _NGX_HTTP_TCCBS_COMMAND_H_INCLUDED_ */
