
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_line.h"


ngx_http_tccbs_line_e
ngx_http_tccbs_line_kind(ngx_http_tccbs_line_t *line)
{
    u_char  *p;
    size_t   n;

    n = sizeof(NGX_HTTP_TCCBS_LINE_HEAD) - 1;

    if (line->len < NGX_HTTP_TCCBS_LINE_MIN) {
        return NGX_HTTP_TCCBS_LINE_NONE;
    }

    /* quotes in strings are escaped: this is nowhere inside of a record */

    while ((p = memmem(line->line + 1, line->len - 1, NGX_HTTP_TCCBS_LINE_HEAD,
                       n))
           != NULL)
    {
        line->len -= p - line->line;
        line->line = p;
    }

    if (line->len < NGX_HTTP_TCCBS_LINE_MIN
        || ngx_memcmp(line->line, NGX_HTTP_TCCBS_LINE_HEAD, n) != 0
        || line->line[line->len - 1] != '}')
    {
        return NGX_HTTP_TCCBS_LINE_NONE;
    }

    n = ngx_min(line->len, NGX_HTTP_TCCBS_LINE_KIND);

    p = memmem(line->line, n, "\"kind\":\"", 8);

    if (p == NULL || line->line + n - p < 17) {
        return NGX_HTTP_TCCBS_LINE_OTHER;
    }

    switch (p[8]) {

    case 'i':
        return NGX_HTTP_TCCBS_LINE_INTENT;

    case 'o':
        return NGX_HTTP_TCCBS_LINE_OUTCOME;

    case 'r':
        return (p[10] == 'c') ? NGX_HTTP_TCCBS_LINE_RECOVERY
                              : NGX_HTTP_TCCBS_LINE_OTHER;

    default:
        return NGX_HTTP_TCCBS_LINE_OTHER;
    }
}


u_char *
ngx_http_tccbs_line_id(ngx_http_tccbs_line_t *line)
{
    return line->line + NGX_HTTP_TCCBS_LINE_ID;
}


/* "YYYY-MM-DDThh:mm:ss", which a record has in UTC. */

time_t
ngx_http_tccbs_line_time(ngx_http_tccbs_line_t *line)
{
    u_char     *p;
    struct tm   tm;

    p = line->line + NGX_HTTP_TCCBS_LINE_TIME;

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = ngx_atoi(p, 4) - 1900;
    tm.tm_mon = ngx_atoi(p + 5, 2) - 1;
    tm.tm_mday = ngx_atoi(p + 8, 2);
    tm.tm_hour = ngx_atoi(p + 11, 2);
    tm.tm_min = ngx_atoi(p + 14, 2);
    tm.tm_sec = ngx_atoi(p + 17, 2);

    return timegm(&tm);
}
