
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_audit.h"
#include "ngx_http_tccbs_noise.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_NOISE_TIME  60000

#define NGX_HTTP_TCCBS_NOISE_TEXT                                             \
    "\"kind\":\"refusal\",\"decision\":\"anonymous\",\"count\":"


static void ngx_http_tccbs_noise_handler(ngx_event_t *ev);
static void ngx_http_tccbs_noise_record(void);


static ngx_uint_t        ngx_http_tccbs_noise_count;
static ngx_event_t       ngx_http_tccbs_noise_timer;

/* nginx's debug log wants the descriptor of what an event belongs to */

static ngx_connection_t  ngx_http_tccbs_noise_dumb;


void
ngx_http_tccbs_noise_init(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_noise_dumb.fd = (ngx_socket_t) -1;

    ngx_http_tccbs_noise_timer.data = &ngx_http_tccbs_noise_dumb;
    ngx_http_tccbs_noise_timer.handler = ngx_http_tccbs_noise_handler;
    ngx_http_tccbs_noise_timer.log = cycle->log;
    ngx_http_tccbs_noise_timer.cancelable = 1;
}


void
ngx_http_tccbs_noise(void)
{
    ngx_http_tccbs_noise_count++;

    if (!ngx_http_tccbs_noise_timer.timer_set) {
        ngx_add_timer(&ngx_http_tccbs_noise_timer, NGX_HTTP_TCCBS_NOISE_TIME);
    }
}


static void
ngx_http_tccbs_noise_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_noise_record();
}


void
ngx_http_tccbs_noise_exit(void)
{
    ngx_http_tccbs_noise_record();
}


static void
ngx_http_tccbs_noise_record(void)
{
    ngx_str_t  id, rest;
    u_char     uuid[NGX_TCCBS_UUID_LEN];
    u_char     text[sizeof(NGX_HTTP_TCCBS_NOISE_TEXT) + NGX_INT64_LEN];

    if (ngx_http_tccbs_noise_count == 0 || ngx_tccbs_uuid(uuid) != NGX_OK) {
        return;
    }

    id.data = uuid;
    id.len = sizeof(uuid);

    rest.data = text;
    rest.len = ngx_sprintf(text, NGX_HTTP_TCCBS_NOISE_TEXT "%ui",
                           ngx_http_tccbs_noise_count)
               - text;

    if (ngx_http_tccbs_audit_note(&id, &rest) == NGX_OK) {
        ngx_http_tccbs_noise_count = 0;
    }
}
