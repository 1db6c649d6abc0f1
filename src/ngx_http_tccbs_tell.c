
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_tell.h"
#include "ngx_tccbs_call.h"


#define NGX_HTTP_TCCBS_TELL_ARGS  (8 + 2 * NGX_TCCBS_CALL_REGIONS)


static ngx_int_t ngx_http_tccbs_tell_key(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, const char *what, const u_char *digest,
    ngx_str_t *key);


void
ngx_http_tccbs_tell(ngx_http_tccbs_redis_conf_t *redis,
    ngx_http_tccbs_hold_t *hold, ngx_str_t *to, ngx_uint_t n, time_t seconds)
{
    ngx_str_t   argv[NGX_HTTP_TCCBS_TELL_ARGS];
    ngx_uint_t  i, argc;
    u_char      ms[NGX_INT64_LEN], hex[NGX_TCCBS_HEX_LEN];
    u_char      digest[NGX_TCCBS_SHA256_LEN];

    argc = 0;

    if (ngx_http_tccbs_tell_key(redis, hold, "d", hold->call, &argv[argc++])
        != NGX_OK)
    {
        return;
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_tccbs_hold_region(hold, &to[i], digest) != NGX_OK
            || ngx_http_tccbs_tell_key(redis, hold, "h", digest, &argv[argc++])
               != NGX_OK)
        {
            return;
        }
    }

    argv[argc++] = hold->id;
    ngx_str_set(&argv[argc], "-");
    argc++;
    argv[argc].data = ms;
    argv[argc++].len = ngx_sprintf(ms, "%T", seconds * 1000) - ms;
    ngx_str_set(&argv[argc], "0");
    argc++;
    ngx_str_null(&argv[argc]);
    argc++;
    argv[argc].data = hex;
    argv[argc++].len = ngx_tccbs_hex(hex, hold->call, sizeof(hold->call))
                       - hex;
    argv[argc++] = hold->id;

    for (i = 0; i < n; i++) {
        ngx_str_set(&argv[argc], "h");
        argc++;
    }

    ngx_http_tccbs_redis_note(NGX_HTTP_TCCBS_SCRIPT_TELL, argv, argc, 1 + n,
                              seconds);
}


static ngx_int_t
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
