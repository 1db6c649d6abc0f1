
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_breaker.h"


#define NGX_HTTP_TCCBS_BREAKER_PAUSE  1000    /* milliseconds, about */
#define NGX_HTTP_TCCBS_BREAKER_SAID   200     /* bytes of an error */


static const char  *ngx_http_tccbs_breaker_policies[] = {
    "", "refused", "judged by this gateway alone"
};


ngx_uint_t
ngx_http_tccbs_breaker_failed(ngx_http_tccbs_breaker_t *breaker, ngx_uint_t n,
    const char *why)
{
    ngx_http_tccbs_redis_conf_t  *conf;

    breaker->fails += n;

    if (breaker->open || breaker->fails < NGX_HTTP_TCCBS_BREAKER_FAILS) {
        return 0;
    }

    conf = breaker->conf;
    breaker->open = 1;

    ngx_http_tccbs_metrics_breaker(1);
    ngx_http_tccbs_metrics_add(conf->metrics, NGX_HTTP_TCCBS_M_REDIS_OPENS, 0,
                               0, 1);

    ngx_log_error(NGX_LOG_ERR, breaker->log, 0,
                  "redis %V cannot be used, %s: until then rates and quotas "
                  "are %s and copies are %s", &conf->name, why,
                  ngx_http_tccbs_breaker_policies[conf->rates],
                  ngx_http_tccbs_breaker_policies[conf->duplicates]);

    return 1;
}


void
ngx_http_tccbs_breaker_close(ngx_http_tccbs_breaker_t *breaker)
{
    breaker->fails = 0;
    breaker->open = 0;

    ngx_http_tccbs_metrics_breaker(0);

    ngx_log_error(NGX_LOG_NOTICE, breaker->log, 0,
                  "redis %V can be used", &breaker->conf->name);
}


/* Workers and gateways do not come back all at once. */

ngx_msec_t
ngx_http_tccbs_breaker_pause(void)
{
    return NGX_HTTP_TCCBS_BREAKER_PAUSE * 3 / 4
           + ngx_random() % (NGX_HTTP_TCCBS_BREAKER_PAUSE / 2);
}


void
ngx_http_tccbs_breaker_say(ngx_http_tccbs_breaker_t *breaker, const char *says,
    ngx_str_t *what)
{
    if (breaker->said != ngx_time()) {
        breaker->said = ngx_time();

        ngx_log_error(NGX_LOG_ERR, breaker->log, 0, "redis %V %s \"%V\"",
                      &breaker->conf->name, says, what);
    }
}


/*
 * A server that does not know AUTH repeats its arguments, and one that was
 * told the password may say it in reply to anything.
 */

void
ngx_http_tccbs_breaker_error(ngx_http_tccbs_breaker_t *breaker,
    ngx_http_tccbs_command_e kind, ngx_tccbs_resp_t *reply)
{
    ngx_str_t  *text, *password;

    static ngx_str_t  login = ngx_string("user, password or database");

    text = &reply->text;
    password = &breaker->conf->password;

    if (kind == NGX_HTTP_TCCBS_COMMAND_LOGIN
        || (password->len
            && ngx_strlcasestrn(text->data, text->data + text->len,
                                password->data, password->len - 1)))
    {
        ngx_http_tccbs_breaker_say(breaker, "refuses the", &login);
        return;
    }

    ngx_tccbs_resp_printable(reply, NGX_HTTP_TCCBS_BREAKER_SAID);
    ngx_http_tccbs_breaker_say(breaker, "says", text);
}


void
ngx_http_tccbs_breaker_count(ngx_http_tccbs_redis_conf_t *conf,
    ngx_http_tccbs_breaker_e result, uint64_t took)
{
    ngx_http_tccbs_metrics_add(conf->metrics, NGX_HTTP_TCCBS_M_REDIS_CALLS,
                               result, 0, 1);

    if (result == NGX_HTTP_TCCBS_BREAKER_OK) {
        ngx_http_tccbs_metrics_observe(conf->metrics,
                                       NGX_HTTP_TCCBS_M_REDIS_DURATION, 0,
                                       took);
    }
}
