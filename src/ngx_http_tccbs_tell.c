
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_tell.h"
#include "ngx_tccbs_call.h"


#define NGX_HTTP_TCCBS_TELL_ARGS  (8 + 2 * NGX_TCCBS_CALL_REGIONS)


void
ngx_http_tccbs_tell(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_http_tccbs_tell_t *tell, time_t life)
{
    ngx_str_t   argv[NGX_HTTP_TCCBS_TELL_ARGS];
    ngx_uint_t  i, n;
    u_char      ms[NGX_INT64_LEN], outcome[NGX_INT64_LEN];
    u_char      hex[NGX_TCCBS_HEX_LEN];

    if (ngx_http_tccbs_tell_keys(redis, hold, tell->to, tell->n, argv)
        != NGX_OK)
    {
        return;
    }

    n = 1 + tell->n;

    argv[n++] = tell->token;
    argv[n].data = (u_char *) tell->state;
    argv[n++].len = 1;
    argv[n].data = ms;
    argv[n++].len = ngx_sprintf(ms, "%T", tell->seconds * 1000) - ms;
    argv[n].data = outcome;
    argv[n++].len = ngx_sprintf(outcome, "%ui", tell->outcome) - outcome;

    if (tell->answer) {
        argv[n++] = *tell->answer;

    } else {
        ngx_str_null(&argv[n]);
        n++;
    }

    argv[n].data = hex;
    argv[n++].len = ngx_tccbs_hex(hex, hold->call, sizeof(hold->call)) - hex;
    argv[n++] = hold->id;

    for (i = 0; i < tell->n; i++) {

        if (tell->known) {
            argv[n] = tell->known[i];

        } else {
            ngx_str_set(&argv[n], "h");
        }

        n++;
    }

    ngx_http_tccbs_redis_note(NGX_HTTP_TCCBS_SCRIPT_TELL, argv, n,
                              1 + tell->n, life);
}


ngx_int_t
ngx_http_tccbs_tell_keys(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *to, ngx_uint_t n, ngx_str_t *argv)
{
    ngx_uint_t  i;
    u_char      digest[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_tell_key(redis, hold, "d", hold->call, &argv[0])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_tccbs_hold_region(hold, &to[i], digest) != NGX_OK
            || ngx_http_tccbs_tell_key(redis, hold, "h", digest, &argv[1 + i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_tell_key(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, const char *what, const u_char *digest,
    ngx_str_t *key)
{
    ngx_str_t  of;
    u_char     hex[NGX_TCCBS_HEX_LEN];

    of.data = hex;
    of.len = ngx_tccbs_hex(hex, digest, NGX_TCCBS_SHA256_LEN) - hex;

    return ngx_http_tccbs_redis_key(redis, hold->pool, key, "c",
                                    &hold->credential, what, &of);
}
