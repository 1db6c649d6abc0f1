
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_key.h"


#define NGX_TCCBS_KEY_INFO  "tccbs gateway key "


ngx_uint_t
ngx_tccbs_key_id_valid(const ngx_str_t *id)
{
    u_char  c;
    size_t  i;

    if (id->len < NGX_TCCBS_KEY_ID_MIN || id->len > NGX_TCCBS_KEY_ID_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        c = id->data[i];

        if ((c < '0' || c > '9') && (c < 'A' || c > 'Z')
            && (c < 'a' || c > 'z') && c != '_' && c != '-')
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_tccbs_key_derive(u_char secret[NGX_TCCBS_KEY_DERIVED],
    const ngx_str_t *master, const ngx_str_t *id)
{
    size_t     len;
    ngx_int_t  rc;
    u_char     key[NGX_TCCBS_SHA256_LEN];
    u_char     info[sizeof(NGX_TCCBS_KEY_INFO) + NGX_TCCBS_KEY_ID_MAX];

    if (id->len > NGX_TCCBS_KEY_ID_MAX) {
        return NGX_ERROR;
    }

    /* extract with a salt of zeros, expand to one block */

    ngx_memzero(key, sizeof(key));

    rc = ngx_tccbs_hmac(key, key, sizeof(key), master->data, master->len);

    if (rc == NGX_OK) {
        len = sizeof(NGX_TCCBS_KEY_INFO) - 1;

        ngx_memcpy(info, NGX_TCCBS_KEY_INFO, len);
        ngx_memcpy(info + len, id->data, id->len);
        len += id->len;
        info[len++] = 1;

        rc = ngx_tccbs_hmac(key, key, sizeof(key), info, len);
    }

    if (rc == NGX_OK) {
        (void) ngx_tccbs_hex(secret, key, sizeof(key));
    }

    ngx_tccbs_wipe(key, sizeof(key));

    return rc;
}


time_t
ngx_tccbs_key_expires(const ngx_str_t *text)
{
    u_char       c;
    size_t       i;
    time_t       t;
    ngx_uint_t   n;
    struct tm    tm, same;
    int          field[6];

    static const u_char  form[] = "dddd-dd-ddTdd:dd:ddZ";

    if (text->len != 10 && text->len != sizeof(form) - 1) {
        return NGX_ERROR;
    }

    ngx_memzero(field, sizeof(field));

    for (i = 0, n = 0; i < text->len; i++) {
        c = text->data[i];

        if (form[i] != 'd') {
            if (c != form[i]) {
                return NGX_ERROR;
            }

            n++;
            continue;
        }

        if (c < '0' || c > '9') {
            return NGX_ERROR;
        }

        field[n] = field[n] * 10 + (c - '0');
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = field[0] - 1900;
    tm.tm_mon = field[1] - 1;
    tm.tm_mday = field[2];
    tm.tm_hour = field[3];
    tm.tm_min = field[4];
    tm.tm_sec = field[5];

    same = tm;
    t = timegm(&same);

    /*
     * The 31st of February would become a day of March, the hour 24 one of
     * another day, the second 60 one of another minute.
     */

    if (t <= 0 || same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday
        || same.tm_min != tm.tm_min)
    {
        return NGX_ERROR;
    }

    return t;
}
