
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "ngx_http_tccbs_lease.h"
#include "ngx_tccbs_call.h"


#define NGX_HTTP_TCCBS_LEASE_PERIOD  100      /* milliseconds */


typedef struct {
    ngx_shm_zone_t               *zone;
    ngx_http_tccbs_budget_t      *budget;
    ngx_msec_t                    timeout;
    ngx_str_t                     keys[NGX_TCCBS_LEASE_KEYS];
    ngx_http_tccbs_redis_call_t   call;
    ngx_tccbs_lease_ask_t         ask;
    ngx_event_t                   timer;
} ngx_http_tccbs_lease_task_t;


static ngx_int_t ngx_http_tccbs_lease_task(ngx_cycle_t *cycle,
    ngx_http_tccbs_lease_task_t *task, ngx_http_tccbs_redis_conf_t *conf,
    ngx_http_tccbs_credential_t *credential, ngx_uint_t action);
static void ngx_http_tccbs_lease_timer(ngx_event_t *ev);
static ngx_msec_t ngx_http_tccbs_lease_run(ngx_http_tccbs_lease_task_t *task);
static void ngx_http_tccbs_lease_answered(ngx_http_tccbs_redis_call_t *call);


static ngx_http_tccbs_lease_task_t  *ngx_http_tccbs_lease_tasks;


ngx_int_t
ngx_http_tccbs_lease_limits(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_redis_conf_t *conf)
{
    ngx_uint_t               i, nodes;
    ngx_msec_t               period;
    ngx_tccbs_lease_conf_t   lease, *leased;

    for (i = 0; i < NGX_TCCBS_NACTIONS; i++) {

        leased = NULL;

        /* one gateway has the limit for itself */

        if (conf && conf->nodes > 1 && credential->limit[i]) {

            period = ngx_max(NGX_HTTP_TCCBS_LEASE_PERIOD, conf->deadline / 2);
            nodes = (conf->rates == NGX_HTTP_TCCBS_REDIS_LOCAL) ? conf->nodes
                                                                : 0;

            ngx_tccbs_lease_conf(&lease, credential->limit[i], nodes,
                                 period * 1000, conf->deadline * 1000);
            leased = &lease;
        }

        if (ngx_http_tccbs_queue_lease(credential->budget[i], leased)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


uint64_t
ngx_http_tccbs_lease_account(ngx_str_t *name)
{
    u_char      digest[20];
    uint64_t    account;
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, name->data, name->len);
    ngx_sha1_final(digest, &sha1);

    ngx_memcpy(&account, digest, sizeof(uint64_t));

    return account ? account : 1;
}


ngx_int_t
ngx_http_tccbs_lease_start(ngx_cycle_t *cycle, ngx_shm_zone_t *zone,
    ngx_http_tccbs_redis_conf_t *conf, ngx_array_t *credentials)
{
    ngx_uint_t                     i, n;
    ngx_http_tccbs_lease_task_t   *task;
    ngx_http_tccbs_credential_t  **credential;

    n = credentials->nelts * NGX_TCCBS_NACTIONS;

    task = ngx_pcalloc(cycle->pool, n * sizeof(ngx_http_tccbs_lease_task_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    ngx_http_tccbs_lease_tasks = task;

    credential = credentials->elts;

    for (i = 0; i < n; i++, task++) {

        task->zone = zone;

        if (ngx_http_tccbs_lease_task(cycle, task, conf,
                                      credential[i / NGX_TCCBS_NACTIONS],
                                      i % NGX_TCCBS_NACTIONS)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_lease_task(ngx_cycle_t *cycle,
    ngx_http_tccbs_lease_task_t *task, ngx_http_tccbs_redis_conf_t *conf,
    ngx_http_tccbs_credential_t *credential, ngx_uint_t action)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *name;
    ngx_uint_t  i;

    static const char  *suffixes[] = {
        "state", "queue", "finish", "seen", "joined"
    };

    if (!credential->budget[action]->leased) {
        return NGX_OK;
    }

    task->budget = credential->budget[action];
    task->timeout = task->budget->conf.timeout / 1000;

    name = &ngx_tccbs_actions[action];
    len = conf->prefix.len + sizeof(":{l:}::") - 1 + credential->name.len
          + name->len + sizeof("joined");

    for (i = 0; i < NGX_TCCBS_LEASE_KEYS; i++) {

        p = ngx_pnalloc(cycle->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        task->keys[i].data = p;
        task->keys[i].len = ngx_sprintf(p, "%V:{l:%V}:%V:%s", &conf->prefix,
                                        &credential->name, name, suffixes[i])
                            - p;
    }

    task->call.handler = ngx_http_tccbs_lease_answered;
    task->call.data = task;
    task->call.timer.cancelable = 1;

    task->timer.handler = ngx_http_tccbs_lease_timer;
    task->timer.data = task;
    task->timer.log = cycle->log;
    task->timer.cancelable = 1;

    ngx_add_timer(&task->timer, 1);

    return NGX_OK;
}


static void
ngx_http_tccbs_lease_timer(ngx_event_t *ev)
{
    ngx_add_timer(ev, ngx_http_tccbs_lease_run(ev->data));
}


void
ngx_http_tccbs_lease_wanted(ngx_http_tccbs_credential_t *credential,
    ngx_uint_t action)
{
    ngx_http_tccbs_lease_task_t  *task;

    if (ngx_http_tccbs_lease_tasks == NULL) {
        return;
    }

    task = &ngx_http_tccbs_lease_tasks[credential->index * NGX_TCCBS_NACTIONS
                                       + action];

    /* otherwise a newer configuration leases, and its workers ask */

    if (task->budget) {
        (void) ngx_http_tccbs_lease_run(task);
    }
}


/* Returns when to look again. */

static ngx_msec_t
ngx_http_tccbs_lease_run(ngx_http_tccbs_lease_task_t *task)
{
    ngx_int_t   rc;
    ngx_str_t   argv[NGX_TCCBS_LEASE_KEYS + NGX_TCCBS_LEASE_ARGS];
    ngx_uint_t  n;
    ngx_msec_t  delay;
    u_char      buf[NGX_TCCBS_LEASE_BUFFER];

    /* a newer configuration may have ended the lease */

    if (task->call.entry || !task->budget->leased) {
        return task->timeout;
    }

    if (ngx_http_tccbs_queue_lease_ask(task->zone, task->budget, &task->ask,
                                       &delay)
        != NGX_OK)
    {
        return delay;
    }

    ngx_memcpy(argv, task->keys, sizeof(task->keys));

    n = NGX_TCCBS_LEASE_KEYS
        + ngx_tccbs_lease_args(&task->budget->conf, &task->ask,
                               task->budget->member,
                               argv + NGX_TCCBS_LEASE_KEYS, buf);

    rc = ngx_http_tccbs_redis_call(&task->call, NGX_HTTP_TCCBS_SCRIPT_LEASE,
                                   argv, n, NGX_TCCBS_LEASE_KEYS,
                                   task->timeout);

    if (rc != NGX_AGAIN) {
        (void) ngx_http_tccbs_queue_lease_answer(task->zone, task->budget,
                                                 &task->ask, NULL);
    }

    return task->timeout;
}


static void
ngx_http_tccbs_lease_answered(ngx_http_tccbs_redis_call_t *call)
{
    ngx_http_tccbs_lease_task_t *task = call->data;

    ngx_str_t  *answer;

    static ngx_str_t  name = ngx_string("lease");
    static ngx_str_t  none = ngx_null_string;

    answer = NULL;

    if (call->reply) {
        answer = (call->reply->type == NGX_TCCBS_RESP_STRING)
                 ? &call->reply->text : &none;
    }

    if (ngx_http_tccbs_queue_lease_answer(task->zone, task->budget,
                                          &task->ask, answer)
        != NGX_OK)
    {
        ngx_http_tccbs_redis_nonsense(&name);
        return;
    }

    /* whoever has learned only the time asks for slots at once */

    (void) ngx_http_tccbs_lease_run(task);
}
