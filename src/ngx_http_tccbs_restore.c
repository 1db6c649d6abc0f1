
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_hold.h"
#include "ngx_http_tccbs_restore.h"
#include "ngx_http_tccbs_tell.h"
#include "ngx_tccbs_call.h"
#include "ngx_tccbs_text.h"


typedef struct {
    ngx_log_t                    *log;
    ngx_http_tccbs_audit_conf_t  *conf;
    ngx_uint_t                    alive;      /* owners may be */
    ngx_uint_t                    nopen;
    ngx_uint_t                    failed;     /* something is not restored */
} ngx_http_tccbs_restore_t;


static void ngx_http_tccbs_restore_record(void *data,
    ngx_http_tccbs_line_t *intent, ngx_http_tccbs_line_t *outcome);
static ngx_int_t ngx_http_tccbs_restore_open(ngx_http_tccbs_restore_t *ctx,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_str_t *id);
static ngx_int_t ngx_http_tccbs_restore_end(ngx_http_tccbs_audit_conf_t *conf,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome,
    time_t age);
static void ngx_http_tccbs_restore_tell(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_hold_t *hold, ngx_tccbs_json_t *intent, ngx_uint_t sent);
static ngx_int_t ngx_http_tccbs_restore_what(ngx_http_tccbs_hold_t *hold,
    ngx_shm_zone_t *zone, ngx_pool_t *pool, ngx_tccbs_json_t *intent);
static ngx_int_t ngx_http_tccbs_restore_hold(ngx_shm_zone_t *zone,
    time_t seconds, ngx_pool_t *pool, ngx_tccbs_json_t *intent,
    ngx_tccbs_json_t *outcome);
static void ngx_http_tccbs_restore_release(ngx_http_tccbs_hold_t *hold,
    ngx_tccbs_json_t *intent);
static void ngx_http_tccbs_restore_settled(void *data,
    ngx_http_tccbs_line_t *line);
static ngx_int_t ngx_http_tccbs_restore_answer(
    ngx_http_tccbs_audit_conf_t *conf, ngx_pool_t *pool,
    ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome, ngx_str_t *id,
    time_t left);
static ngx_int_t ngx_http_tccbs_restore_parse(ngx_pool_t *pool,
    ngx_http_tccbs_line_t *line, ngx_tccbs_json_t **record);
static ngx_str_t ngx_http_tccbs_restore_member(ngx_tccbs_json_t *node,
    const char *name);


ngx_int_t
ngx_http_tccbs_restore(ngx_cycle_t *cycle, ngx_http_tccbs_audit_conf_t *conf,
    ngx_uint_t alive)
{
    ngx_int_t                  rc;
    ngx_http_tccbs_scan_t      scan;
    ngx_http_tccbs_restore_t   ctx;

    rc = ngx_http_tccbs_takeover_take(&conf->takeover);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : rc;
    }

    ngx_memzero(&ctx, sizeof(ngx_http_tccbs_restore_t));

    ctx.log = cycle->log;
    ctx.conf = conf;
    ctx.alive = alive;

    scan.path = conf->journal.path;
    scan.keep = ngx_max(conf->hold, conf->window);
    scan.zone = conf->zone;
    scan.log = cycle->log;
    scan.data = &ctx;
    scan.ended = ngx_http_tccbs_restore_record;
    scan.other = ngx_http_tccbs_restore_settled;

    rc = ngx_http_tccbs_scan(&scan);

    if (ctx.nopen) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "%ui intents in the audit file had no outcome",
                      ctx.nopen);
    }

    /* a copy that is not remembered could be made again */

    if (rc == NGX_OK && ctx.failed) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "what the audit file \"%V\" knows of the last copies "
                      "has no room, make tccbs_zone \"%V\" larger",
                      &conf->journal.path, &conf->zone->shm.name);
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ngx_http_tccbs_takeover_taken(&conf->takeover);
    }

    return rc;
}


static void
ngx_http_tccbs_restore_record(void *data, ngx_http_tccbs_line_t *intent,
    ngx_http_tccbs_line_t *outcome)
{
    ngx_http_tccbs_restore_t *ctx = data;

    ngx_int_t          rc;
    ngx_str_t          id;
    ngx_pool_t        *pool;
    ngx_tccbs_json_t  *in, *out;

    pool = ngx_create_pool(4096, ctx->log);
    if (pool == NULL) {
        ctx->failed = 1;
        return;
    }

    rc = ngx_http_tccbs_restore_parse(pool, intent, &in);

    if (rc == NGX_OK && outcome) {
        rc = ngx_http_tccbs_restore_parse(pool, outcome, &out);

        if (rc == NGX_OK) {
            rc = ngx_http_tccbs_restore_end(ctx->conf, pool, in, out,
                              ngx_time() - ngx_http_tccbs_line_time(outcome));
        }

    } else if (rc == NGX_OK) {
        id.data = ngx_http_tccbs_line_id(intent);
        id.len = NGX_TCCBS_UUID_LEN;

        rc = ngx_http_tccbs_restore_open(ctx, pool, in, &id);
    }

    if (rc == NGX_ERROR) {
        ctx->failed = 1;
    }

    ngx_destroy_pool(pool);
}


/* Its worker may be alive, and the outcome come after the longest call. */

static ngx_int_t
ngx_http_tccbs_restore_open(ngx_http_tccbs_restore_t *ctx, ngx_pool_t *pool,
    ngx_tccbs_json_t *intent, ngx_str_t *id)
{
    time_t             hold;
    ngx_int_t          rc;
    ngx_pid_t          pid;
    ngx_tccbs_json_t  *member;

    pid = 0;
    hold = ctx->conf->hold;
    member = ngx_tccbs_json_get(intent, "pid");

    if (ctx->alive && member) {
        pid = ngx_atoi(member->value.data, member->value.len);
        hold += ctx->conf->flight;
    }

    rc = ngx_http_tccbs_flight_found(ctx->conf->zone, id, pid);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    ctx->nopen++;

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ctx->log, 0,
                      "no room in the zone to close the intent %V", id);
    }

    return ngx_http_tccbs_restore_hold(ctx->conf->zone, hold, pool, intent,
                                       NULL);
}


/*
 * NGX_OK: held or answered; NGX_DECLINED: nothing is to be known of it;
 * NGX_BUSY: held, as it cannot be answered; NGX_ERROR.
 */

static ngx_int_t
ngx_http_tccbs_restore_end(ngx_http_tccbs_audit_conf_t *conf, ngx_pool_t *pool,
    ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome, time_t age)
{
    ngx_int_t  rc;
    ngx_str_t  end, id;

    end = ngx_http_tccbs_restore_member(outcome, "outcome");

    if (ngx_tccbs_is(&end, "unknown") && age < conf->hold) {
        return ngx_http_tccbs_restore_hold(conf->zone, conf->hold - age, pool,
                                           intent, outcome);
    }

    if ((!ngx_tccbs_is(&end, "success") && !ngx_tccbs_is(&end, "partial"))
        || age >= conf->window)
    {
        return NGX_DECLINED;
    }

    id = ngx_http_tccbs_restore_member(intent, "id");

    rc = ngx_http_tccbs_restore_answer(conf, pool, intent, outcome, &id,
                                       conf->window - age);

    if (rc == NGX_AGAIN) {

        /* the same call waits to be sent here, which it will not be */

        rc = ngx_http_tccbs_restore_hold(conf->zone, conf->window - age, pool,
                                         intent, outcome);

        return (rc == NGX_OK) ? NGX_BUSY : rc;
    }

    return rc;
}


ngx_int_t
ngx_http_tccbs_restore_ended(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_line_t *intent, ngx_http_tccbs_line_t *outcome,
    ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_str_t               end;
    ngx_uint_t              known;
    ngx_pool_t             *pool;
    ngx_tccbs_json_t       *in, *out;
    ngx_http_tccbs_hold_t   hold;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_restore_parse(pool, intent, &in);

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_restore_parse(pool, outcome, &out);
    }

    if (rc == NGX_OK) {
        end = ngx_http_tccbs_restore_member(out, "outcome");

        known = (end.len && !ngx_tccbs_is(&end, "unknown")
                 && ngx_http_tccbs_restore_what(&hold, conf->zone, pool, in)
                    == NGX_OK);

        rc = ngx_http_tccbs_restore_end(conf, pool, in, out,
                              ngx_time() - ngx_http_tccbs_line_time(outcome));

        /* a call that has an answer, or is to get one, is at no moment free */

        if (known && (rc == NGX_OK || rc == NGX_DECLINED)) {
            ngx_http_tccbs_restore_release(&hold, in);
        }

        if (known && rc == NGX_DECLINED) {
            ngx_http_tccbs_store_release(conf->zone, hold.call, &hold.id);
            ngx_http_tccbs_restore_tell(conf, &hold, in, 0);
        }
    }

    ngx_destroy_pool(pool);

    return rc;
}


ngx_int_t
ngx_http_tccbs_restore_intent(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_line_t *intent, ngx_uint_t sent, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_tccbs_json_t       *in;
    ngx_http_tccbs_hold_t   hold;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_restore_parse(pool, intent, &in);

    if (rc == NGX_OK && sent) {
        rc = ngx_http_tccbs_restore_hold(conf->zone, conf->hold, pool, in,
                                         NULL);
    }

    /* from here on what is known of each region decides */

    if (rc == NGX_OK
        && ngx_http_tccbs_restore_what(&hold, conf->zone, pool, in) == NGX_OK)
    {
        ngx_http_tccbs_store_release(conf->zone, hold.call, &hold.id);
        ngx_http_tccbs_restore_tell(conf, &hold, in, sent);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_http_tccbs_restore_tell(ngx_http_tccbs_audit_conf_t *conf,
    ngx_http_tccbs_hold_t *hold, ngx_tccbs_json_t *intent, ngx_uint_t sent)
{
    ngx_str_t               regions[NGX_TCCBS_CALL_REGIONS];
    ngx_tccbs_json_t       *to;
    ngx_http_tccbs_tell_t   tell;

    if (conf->redis == NULL) {
        return;
    }

    ngx_memzero(&tell, sizeof(ngx_http_tccbs_tell_t));

    tell.token = hold->id;
    tell.state = NGX_HTTP_TCCBS_CLAIM_FREE;
    tell.seconds = conf->hold;
    tell.to = regions;

    to = sent ? ngx_tccbs_json_get(intent, "to") : NULL;

    for (to = to ? to->child : NULL;
         to && tell.n < NGX_TCCBS_CALL_REGIONS;
         to = to->next)
    {
        regions[tell.n++] = to->value;
    }

    ngx_http_tccbs_tell(conf->redis, hold, &tell, conf->hold);
}


/* NGX_OK for the intent of a copy. */

static ngx_int_t
ngx_http_tccbs_restore_what(ngx_http_tccbs_hold_t *hold, ngx_shm_zone_t *zone,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent)
{
    ngx_str_t  call;

    ngx_memzero(hold, sizeof(ngx_http_tccbs_hold_t));

    hold->zone = zone;
    hold->pool = pool;
    hold->credential = ngx_http_tccbs_restore_member(
                               ngx_tccbs_json_get(intent, "credential"),
                               "name");
    hold->account = ngx_http_tccbs_restore_member(intent, "account");
    hold->snapshot = ngx_http_tccbs_restore_member(intent, "snapshot");
    hold->id = ngx_http_tccbs_restore_member(intent, "id");
    hold->tag = ngx_http_tccbs_restore_member(intent, "tag");
    call = ngx_http_tccbs_restore_member(intent, "call");

    if (hold->id.len != NGX_TCCBS_UUID_LEN || call.len != NGX_TCCBS_HEX_LEN) {
        return NGX_DECLINED;
    }

    return ngx_tccbs_unhex(hold->call, call.data, sizeof(hold->call));
}


/*
 * Each region of the copy, whatever its name was; some may be known.  NGX_ERROR
 * when one is not held.
 */

static ngx_int_t
ngx_http_tccbs_restore_hold(ngx_shm_zone_t *zone, time_t seconds,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome)
{
    ngx_int_t               rc;
    ngx_str_t               region, code, made;
    ngx_uint_t              failed;
    ngx_tccbs_json_t       *to, *per;
    ngx_http_tccbs_hold_t   hold;

    if (ngx_http_tccbs_restore_what(&hold, zone, pool, intent) != NGX_OK) {
        return NGX_OK;
    }

    failed = 0;
    to = ngx_tccbs_json_get(intent, "to");

    for (to = to ? to->child : NULL; to; to = to->next) {

        per = ngx_tccbs_json_get(outcome, "per");
        ngx_str_null(&code);
        ngx_str_null(&made);

        for (per = per ? per->child : NULL; per; per = per->next) {
            region = ngx_http_tccbs_restore_member(per, "region");

            if (ngx_tccbs_same(&region, &to->value)) {
                code = ngx_http_tccbs_restore_member(per, "code");
                made = ngx_http_tccbs_restore_member(per, "snapshot");
            }
        }

        rc = NGX_OK;

        if (made.len) {
            rc = ngx_http_tccbs_hold_made(&hold, &to->value, &made, seconds);

        } else if (code.len == 0 || ngx_tccbs_code_indefinite(&code)) {
            rc = ngx_http_tccbs_hold(&hold, &to->value, seconds);
        }

        failed |= (rc != NGX_OK);
    }

    return failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_tccbs_restore_release(ngx_http_tccbs_hold_t *hold,
    ngx_tccbs_json_t *intent)
{
    ngx_tccbs_json_t  *to;

    to = ngx_tccbs_json_get(intent, "to");

    for (to = to ? to->child : NULL; to; to = to->next) {
        ngx_http_tccbs_hold_release(hold, &to->value);
    }
}


/* A copy that was found later, see ngx_http_tccbs_record_settled(). */

static void
ngx_http_tccbs_restore_settled(void *data, ngx_http_tccbs_line_t *line)
{
    ngx_http_tccbs_restore_t *ctx = data;

    ngx_str_t                region, made;
    ngx_pool_t              *pool;
    ngx_tccbs_json_t        *record, *per;
    ngx_http_tccbs_hold_t    hold;
    ngx_http_tccbs_found_t   found;

    /* what fails here leaves a region held that need not be */

    pool = ngx_create_pool(4096, ctx->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_http_tccbs_restore_parse(pool, line, &record) != NGX_OK) {
        goto done;
    }

    ngx_memzero(&hold, sizeof(ngx_http_tccbs_hold_t));

    hold.zone = ctx->conf->zone;
    hold.pool = pool;
    hold.credential = ngx_http_tccbs_restore_member(record, "credential");
    hold.snapshot = ngx_http_tccbs_restore_member(record, "source");
    hold.tag = ngx_http_tccbs_restore_member(record, "tag");

    per = ngx_tccbs_json_get(record, "per");
    per = per ? per->child : NULL;
    region = ngx_http_tccbs_restore_member(per, "region");
    made = ngx_http_tccbs_restore_member(per, "snapshot");

    if (hold.tag.len) {
        (void) ngx_http_tccbs_hold_settle_tag(&hold, &hold.tag, &region, &made,
                                              ctx->conf->hold, &found);

    } else if (hold.snapshot.len) {
        (void) ngx_http_tccbs_hold_settle(&hold, &region, ctx->conf->hold,
                                          &found);
    }

done:

    ngx_destroy_pool(pool);
}


/*
 * The answer as Tencent gave it, from what was recorded of it.  NGX_AGAIN when
 * the same call is flying, NGX_ERROR when it is not kept.
 */

static ngx_int_t
ngx_http_tccbs_restore_answer(ngx_http_tccbs_audit_conf_t *conf,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome,
    ngx_str_t *id, time_t left)
{
    ngx_int_t                 rc;
    ngx_str_t                 call, tcid, answer;
    ngx_uint_t                n, partial;
    ngx_tccbs_out_t           out;
    ngx_tccbs_json_t         *set, *item;
    ngx_tccbs_result_t       *per;
    ngx_http_tccbs_found_t    found;
    ngx_http_tccbs_stored_t  *entry;
    u_char                    key[NGX_TCCBS_SHA256_LEN];

    call = ngx_http_tccbs_restore_member(intent, "call");
    tcid = ngx_http_tccbs_restore_member(outcome, "tcid");
    set = ngx_tccbs_json_get(outcome, "per");

    if (call.len != NGX_TCCBS_HEX_LEN
        || ngx_tccbs_unhex(key, call.data, sizeof(key)) != NGX_OK
        || set == NULL)
    {
        return NGX_DECLINED;
    }

    per = ngx_palloc(pool, set->n * sizeof(ngx_tccbs_result_t));
    if (per == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    partial = 0;

    for (item = set->child; item; item = item->next, n++) {
        per[n].region = ngx_http_tccbs_restore_member(item, "region");
        per[n].snapshot = ngx_http_tccbs_restore_member(item, "snapshot");
        per[n].code = ngx_http_tccbs_restore_member(item, "code");

        partial |= !ngx_tccbs_is(&per[n].code, "Success");
    }

    ngx_tccbs_out_init(&out, pool, 1024);
    ngx_tccbs_reply_made(&out, &tcid, per, n);

    answer = ngx_tccbs_out_str(&out);

    if (out.failed) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_store_inherit(conf->zone, key, id, &entry);

    if (rc != NGX_OK) {
        rc = ngx_http_tccbs_store_claim(conf->zone, key, NULL, id, 0,
                                        conf->hold, pool, &entry, &found);
    }

    if (rc == NGX_OK) {
        ngx_http_tccbs_store_answer(conf->zone, entry,
                                    partial ? NGX_TCCBS_PARTIAL
                                            : NGX_TCCBS_SUCCESS,
                                    &answer, left, 0);
    }

    return (rc == NGX_DECLINED) ? NGX_ERROR : rc;
}


/* NGX_OK, NGX_DECLINED when it is none, NGX_ERROR without memory. */

static ngx_int_t
ngx_http_tccbs_restore_parse(ngx_pool_t *pool, ngx_http_tccbs_line_t *line,
    ngx_tccbs_json_t **record)
{
    ngx_str_t                 text, why;
    ngx_tccbs_json_limits_t   limits;

    limits.depth = 4;
    limits.nodes = 1024;

    text.data = line->line;
    text.len = line->len;

    return ngx_tccbs_json_parse(pool, &text, &limits, record, &why);
}


static ngx_str_t
ngx_http_tccbs_restore_member(ngx_tccbs_json_t *node, const char *name)
{
    ngx_str_t          none = ngx_null_string;
    ngx_tccbs_json_t  *member;

    member = ngx_tccbs_json_get(node, name);

    return (member && member->type == NGX_TCCBS_JSON_STRING) ? member->value
                                                             : none;
}
