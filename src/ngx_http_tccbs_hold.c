
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_hold.h"
#include "ngx_tccbs_out.h"


static ngx_int_t ngx_http_tccbs_hold_claim(ngx_http_tccbs_hold_t *hold,
    ngx_str_t *region, time_t seconds, u_char key[NGX_TCCBS_SHA256_LEN]);
static ngx_int_t ngx_http_tccbs_hold_key(ngx_http_tccbs_hold_t *hold,
    const char *kind, ngx_str_t *what, ngx_str_t *region,
    u_char key[NGX_TCCBS_SHA256_LEN]);


ngx_int_t
ngx_http_tccbs_hold(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    time_t seconds)
{
    ngx_int_t                 rc;
    ngx_str_t                 target;
    ngx_http_tccbs_found_t    found;
    ngx_http_tccbs_stored_t  *entry;
    u_char                    key[NGX_TCCBS_SHA256_LEN];
    u_char                    tag[NGX_TCCBS_SHA256_LEN];

    rc = ngx_http_tccbs_hold_claim(hold, region, seconds, key);

    if (rc != NGX_OK) {
        return (rc == NGX_BUSY) ? NGX_OK : rc;
    }

    if (hold->tag.len == 0
        || ngx_http_tccbs_hold_key(hold, "tag", &hold->tag, region, tag)
           != NGX_OK)
    {
        return NGX_OK;
    }

    /* without an entry that leads from the tag to the region it stays held */

    if (ngx_http_tccbs_store_claim(hold->zone, tag, NULL, &hold->id, 0,
                                   seconds, hold->pool, &entry, &found)
        == NGX_OK)
    {
        target.data = key;
        target.len = sizeof(key);

        ngx_http_tccbs_store_answer(hold->zone, entry, 0, &target, seconds, 0);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_hold_made(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    ngx_str_t *snapshot, time_t seconds)
{
    ngx_int_t               rc;
    ngx_http_tccbs_found_t  found;
    u_char                  key[NGX_TCCBS_SHA256_LEN];

    rc = ngx_http_tccbs_hold_claim(hold, region, seconds, key);

    if (rc != NGX_OK && rc != NGX_BUSY) {
        return rc;
    }

    (void) ngx_http_tccbs_store_made(hold->zone, key, snapshot, seconds,
                                     &found);

    return NGX_OK;
}


/* Holds the region and tells its key, also when it is held (NGX_BUSY). */

static ngx_int_t
ngx_http_tccbs_hold_claim(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    time_t seconds, u_char key[NGX_TCCBS_SHA256_LEN])
{
    ngx_int_t                 rc;
    ngx_str_t                 about;
    ngx_tccbs_out_t           out;
    ngx_http_tccbs_found_t    found;
    ngx_http_tccbs_stored_t  *entry;

    if (ngx_http_tccbs_hold_region(hold, region, key) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_store_claim(hold->zone, key, hold->call, &hold->id, 0,
                                    seconds, hold->pool, &entry, &found);

    if (rc == NGX_OK) {

        ngx_tccbs_out_init(&out, hold->pool, 256);
        ngx_tccbs_out_lit(&out, "\"account\":");
        ngx_tccbs_out_string(&out, &hold->account);
        ngx_tccbs_out_lit(&out, ",\"credential\":");
        ngx_tccbs_out_string(&out, &hold->credential);
        ngx_tccbs_out_lit(&out, ",\"snapshot\":");
        ngx_tccbs_out_string(&out, &hold->snapshot);
        ngx_tccbs_out_lit(&out, ",\"region\":");
        ngx_tccbs_out_string(&out, region);

        ngx_str_null(&about);

        if (!out.failed) {
            about = ngx_tccbs_out_str(&out);
        }

        ngx_http_tccbs_store_hold(hold->zone, entry, hold->call, &about,
                                  seconds);
    }

    return rc;
}


void
ngx_http_tccbs_hold_release(ngx_http_tccbs_hold_t *hold, ngx_str_t *region)
{
    u_char  key[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_hold_key(hold, "hold", &hold->snapshot, region, key)
        == NGX_OK)
    {
        ngx_http_tccbs_store_release(hold->zone, key, &hold->id);
    }
}


ngx_int_t
ngx_http_tccbs_hold_look(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    ngx_http_tccbs_found_t *found)
{
    ngx_int_t  rc;
    u_char     key[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_hold_region(hold, region, key) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_store_look(hold->zone, key, hold->pool, found);

    if (rc == NGX_DONE
        && ngx_memcmp(found->call, hold->call, sizeof(hold->call)) != 0)
    {
        return NGX_OK;
    }

    found->made = (rc == NGX_DONE);

    return rc;
}


ngx_int_t
ngx_http_tccbs_hold_settle(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    time_t seconds, ngx_http_tccbs_found_t *found)
{
    ngx_str_t  none = ngx_null_string;
    u_char     key[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_hold_region(hold, region, key) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tccbs_store_made(hold->zone, key, &none, seconds, found);
}


ngx_int_t
ngx_http_tccbs_hold_settle_tag(ngx_http_tccbs_hold_t *hold, ngx_str_t *tag,
    ngx_str_t *region, ngx_str_t *made, time_t seconds,
    ngx_http_tccbs_found_t *found)
{
    u_char  key[NGX_TCCBS_SHA256_LEN];

    if (ngx_http_tccbs_hold_key(hold, "tag", tag, region, key) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the answer there is the key of the region */

    if (ngx_http_tccbs_store_look(hold->zone, key, hold->pool, found)
        != NGX_DONE)
    {
        return NGX_DECLINED;
    }

    return ngx_http_tccbs_store_made(hold->zone, found->answer.data, made,
                                     seconds, found);
}


ngx_int_t
ngx_http_tccbs_hold_region(ngx_http_tccbs_hold_t *hold, ngx_str_t *region,
    u_char key[NGX_TCCBS_SHA256_LEN])
{
    return ngx_http_tccbs_hold_key(hold, "hold", &hold->snapshot, region, key);
}


/* Strings in quotes: what one ends with cannot begin the next. */

static ngx_int_t
ngx_http_tccbs_hold_key(ngx_http_tccbs_hold_t *hold, const char *kind,
    ngx_str_t *what, ngx_str_t *region, u_char key[NGX_TCCBS_SHA256_LEN])
{
    ngx_str_t        text;
    ngx_tccbs_out_t  out;

    ngx_tccbs_out_init(&out, hold->pool, 256);
    ngx_tccbs_out_raw(&out, (const u_char *) kind, ngx_strlen(kind));
    ngx_tccbs_out_string(&out, &hold->credential);
    ngx_tccbs_out_string(&out, what);
    ngx_tccbs_out_string(&out, region);

    text = ngx_tccbs_out_str(&out);

    return out.failed ? NGX_ERROR : ngx_tccbs_sha256(key, &text, 1);
}
