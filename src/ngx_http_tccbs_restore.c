
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_http_tccbs_hold.h"
#include "ngx_http_tccbs_restore.h"
#include "ngx_tccbs_call.h"
#include "ngx_tccbs_text.h"


/* every record begins like this, see ngx_http_tccbs_audit_line() */

#define NGX_HTTP_TCCBS_RESTORE_HEAD  "{\"v\":1,\"time\":\""
#define NGX_HTTP_TCCBS_RESTORE_TIME  (sizeof(NGX_HTTP_TCCBS_RESTORE_HEAD) - 1)
#define NGX_HTTP_TCCBS_RESTORE_ID    (NGX_HTTP_TCCBS_RESTORE_TIME             \
                                      + sizeof("2026-01-01T00:00:00.000000Z"  \
                                               "\",\"id\":\"") - 1)
#define NGX_HTTP_TCCBS_RESTORE_MIN   (NGX_HTTP_TCCBS_RESTORE_ID               \
                                      + NGX_TCCBS_UUID_LEN)
#define NGX_HTTP_TCCBS_RESTORE_KIND  400          /* "kind" begins before */


/* Intents that are open, by id; the lines stay where they are. */

typedef struct {
    u_char                       *line;
    size_t                        len;
} ngx_http_tccbs_open_t;

typedef struct {
    ngx_log_t                    *log;
    ngx_http_tccbs_audit_conf_t  *conf;
    time_t                        hold;
    time_t                        window;
    ngx_http_tccbs_open_t        *slots;
    ngx_uint_t                    size;           /* a power of two */
    ngx_uint_t                    used;           /* also by closed ones */
    ngx_uint_t                    nopen;
} ngx_http_tccbs_restore_t;


static ngx_int_t ngx_http_tccbs_restore_file(ngx_http_tccbs_restore_t *ctx,
    u_char *p, u_char *last);
static ngx_int_t ngx_http_tccbs_restore_line(ngx_http_tccbs_restore_t *ctx,
    u_char *line, size_t len);
static ngx_http_tccbs_open_t *ngx_http_tccbs_restore_find(
    ngx_http_tccbs_restore_t *ctx, u_char *id);
static ngx_int_t ngx_http_tccbs_restore_grow(ngx_http_tccbs_restore_t *ctx);
static void ngx_http_tccbs_restore_record(ngx_http_tccbs_restore_t *ctx,
    ngx_http_tccbs_open_t *intent, ngx_http_tccbs_open_t *outcome);
static void ngx_http_tccbs_restore_hold(ngx_shm_zone_t *zone, time_t seconds,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome);
static void ngx_http_tccbs_restore_settled(ngx_http_tccbs_restore_t *ctx,
    u_char *line, size_t len);
static void ngx_http_tccbs_restore_answer(ngx_http_tccbs_restore_t *ctx,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome,
    ngx_str_t *id, time_t left);
static ngx_str_t ngx_http_tccbs_restore_member(ngx_tccbs_json_t *node,
    const char *name);
static time_t ngx_http_tccbs_restore_time(u_char *p);


ngx_int_t
ngx_http_tccbs_restore(ngx_cycle_t *cycle, ngx_http_tccbs_audit_conf_t *conf,
    time_t hold, time_t window)
{
    u_char                    *map;
    size_t                     size;
    ngx_fd_t                   fd;
    ngx_int_t                  rc;
    ngx_file_info_t            fi;
    ngx_http_tccbs_shm_t      *shm;
    ngx_http_tccbs_restore_t   ctx;

    shm = ngx_http_tccbs_zone_shm(conf->zone);

    if (ngx_test_config || !ngx_atomic_cmp_set(&shm->restored, 0, 1)) {
        return NGX_OK;
    }

    fd = ngx_open_file(conf->journal.path.data, NGX_FILE_RDONLY,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "the audit file \"%V\" cannot be read",
                      &conf->journal.path);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
        }

        return NGX_ERROR;
    }

    size = ngx_is_file(&fi) ? ngx_file_size(&fi) : 0;
    rc = NGX_OK;

    if (size) {
        map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (map == MAP_FAILED) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "the audit file \"%V\" cannot be mapped",
                          &conf->journal.path);
            rc = NGX_ERROR;

        } else {
            ngx_memzero(&ctx, sizeof(ngx_http_tccbs_restore_t));

            ctx.log = cycle->log;
            ctx.conf = conf;
            ctx.hold = hold;
            ctx.window = window;

            (void) madvise(map, size, MADV_SEQUENTIAL);

            rc = ngx_http_tccbs_restore_file(&ctx, map, map + size);

            if (ctx.slots) {
                ngx_free(ctx.slots);
            }

            (void) munmap(map, size);
        }
    }

    (void) ngx_close_file(fd);

    return rc;
}


static ngx_int_t
ngx_http_tccbs_restore_file(ngx_http_tccbs_restore_t *ctx, u_char *p,
    u_char *last)
{
    u_char      *lf;
    ngx_uint_t   i;

    if (ngx_http_tccbs_restore_grow(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    while (p < last) {

        lf = memchr(p, LF, last - p);

        /* what a crash cut off is no record */

        if (lf == NULL) {
            break;
        }

        if (ngx_http_tccbs_restore_line(ctx, p, lf - p) != NGX_OK) {
            return NGX_ERROR;
        }

        p = lf + 1;
    }

    for (i = 0; i < ctx->size; i++) {
        if (ctx->slots[i].line && ctx->slots[i].len) {
            ngx_http_tccbs_restore_record(ctx, &ctx->slots[i], NULL);
        }
    }

    if (ctx->nopen) {
        ngx_log_error(NGX_LOG_WARN, ctx->log, 0,
                      "%ui intents in the audit file had no outcome",
                      ctx->nopen);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_restore_line(ngx_http_tccbs_restore_t *ctx, u_char *line,
    size_t len)
{
    u_char                 *p;
    size_t                  n;
    ngx_http_tccbs_open_t  *open, end;

    if (len < NGX_HTTP_TCCBS_RESTORE_MIN
        || ngx_memcmp(line, NGX_HTTP_TCCBS_RESTORE_HEAD,
                      NGX_HTTP_TCCBS_RESTORE_TIME)
           != 0)
    {
        return NGX_OK;
    }

    n = ngx_min(len, NGX_HTTP_TCCBS_RESTORE_KIND);

    p = memmem(line, n, "\"kind\":\"", 8);

    if (p == NULL || line + n - p < 17) {
        return NGX_OK;
    }

    p += 8;

    if (*p != 'i' && *p != 'o' && (*p != 'r' || p[2] != 'c')) {
        return NGX_OK;
    }

    open = ngx_http_tccbs_restore_find(ctx, line + NGX_HTTP_TCCBS_RESTORE_ID);

    if (*p == 'i') {

        if (open->line == NULL) {
            ctx->used++;
        }

        open->line = line;
        open->len = len;

        if (ctx->used * 2 > ctx->size) {
            return ngx_http_tccbs_restore_grow(ctx);
        }

        return NGX_OK;
    }

    if (open->line == NULL || open->len == 0) {

        if (*p == 'r') {
            ngx_http_tccbs_restore_settled(ctx, line, len);
        }

        return NGX_OK;
    }

    end.line = line;
    end.len = len;

    if (ngx_http_tccbs_restore_time(line + NGX_HTTP_TCCBS_RESTORE_TIME)
        + ngx_max(ctx->window, ctx->hold) > ngx_time())
    {
        ngx_http_tccbs_restore_record(ctx, open, &end);
    }

    open->len = 0;

    return NGX_OK;
}


static ngx_http_tccbs_open_t *
ngx_http_tccbs_restore_find(ngx_http_tccbs_restore_t *ctx, u_char *id)
{
    ngx_uint_t              i;
    ngx_http_tccbs_open_t  *open;

    i = ngx_murmur_hash2(id, NGX_TCCBS_UUID_LEN);

    for ( ;; ) {
        open = &ctx->slots[i++ & (ctx->size - 1)];

        if (open->line == NULL
            || ngx_memcmp(open->line + NGX_HTTP_TCCBS_RESTORE_ID, id,
                          NGX_TCCBS_UUID_LEN)
               == 0)
        {
            return open;
        }
    }
}


/* A larger table, with the open ones only. */

static ngx_int_t
ngx_http_tccbs_restore_grow(ngx_http_tccbs_restore_t *ctx)
{
    ngx_uint_t              i, n, size;
    ngx_http_tccbs_open_t  *old, *open;

    old = ctx->slots;
    size = ctx->size;

    for (i = 0, n = 0; i < size; i++) {
        n += (old[i].len != 0);
    }

    for (ctx->size = 4096; ctx->size < 8 * n; ctx->size *= 2) { /* void */ }

    ctx->slots = ngx_calloc(ctx->size * sizeof(ngx_http_tccbs_open_t),
                            ctx->log);
    if (ctx->slots == NULL) {
        ctx->slots = old;
        ctx->size = size;
        return NGX_ERROR;
    }

    ctx->used = n;

    for (i = 0; i < size; i++) {
        if (old[i].len) {
            open = ngx_http_tccbs_restore_find(ctx, old[i].line
                                               + NGX_HTTP_TCCBS_RESTORE_ID);
            *open = old[i];
        }
    }

    if (old) {
        ngx_free(old);
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_restore_record(ngx_http_tccbs_restore_t *ctx,
    ngx_http_tccbs_open_t *intent, ngx_http_tccbs_open_t *outcome)
{
    time_t                    left;
    ngx_str_t                 id, text, why, end;
    ngx_pool_t               *pool;
    ngx_tccbs_json_t         *in, *out;
    ngx_tccbs_json_limits_t   limits;

    limits.depth = 4;
    limits.nodes = 1024;

    pool = ngx_create_pool(4096, ctx->log);
    if (pool == NULL) {
        return;
    }

    id.data = intent->line + NGX_HTTP_TCCBS_RESTORE_ID;
    id.len = NGX_TCCBS_UUID_LEN;

    text.data = intent->line;
    text.len = intent->len;

    if (ngx_tccbs_json_parse(pool, &text, &limits, &in, &why) != NGX_OK) {
        goto done;
    }

    if (outcome == NULL) {
        ctx->nopen++;

        if (ngx_http_tccbs_flight_lost(ctx->conf->zone, &id) != NGX_OK) {
            ngx_log_error(NGX_LOG_ALERT, ctx->log, 0,
                          "no room in the zone to close the intent %V", &id);
        }

        ngx_http_tccbs_restore_hold(ctx->conf->zone, ctx->hold, pool, in, NULL);
        goto done;
    }

    text.data = outcome->line;
    text.len = outcome->len;

    if (ngx_tccbs_json_parse(pool, &text, &limits, &out, &why) != NGX_OK) {
        goto done;
    }

    end = ngx_http_tccbs_restore_member(out, "outcome");
    left = ngx_http_tccbs_restore_time(outcome->line
                                       + NGX_HTTP_TCCBS_RESTORE_TIME)
           - ngx_time();

    if (ngx_tccbs_is(&end, "unknown") && left + ctx->hold > 0) {
        ngx_http_tccbs_restore_hold(ctx->conf->zone, left + ctx->hold, pool,
                                    in, out);

    } else if ((ngx_tccbs_is(&end, "success") || ngx_tccbs_is(&end, "partial"))
               && left + ctx->window > 0)
    {
        ngx_http_tccbs_restore_answer(ctx, pool, in, out, &id,
                                      left + ctx->window);
    }

done:

    ngx_destroy_pool(pool);
}


void
ngx_http_tccbs_restore_intent(ngx_shm_zone_t *zone, u_char *line, size_t len,
    time_t hold, ngx_log_t *log)
{
    ngx_str_t                 text, why;
    ngx_pool_t               *pool;
    ngx_tccbs_json_t         *intent;
    ngx_tccbs_json_limits_t   limits;

    limits.depth = 4;
    limits.nodes = 1024;

    text.data = line;
    text.len = len;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return;
    }

    if (ngx_tccbs_json_parse(pool, &text, &limits, &intent, &why) == NGX_OK) {
        ngx_http_tccbs_restore_hold(zone, hold, pool, intent, NULL);
    }

    ngx_destroy_pool(pool);
}


/* Each region of the copy, whatever its name was; some may be known. */

static void
ngx_http_tccbs_restore_hold(ngx_shm_zone_t *zone, time_t seconds,
    ngx_pool_t *pool, ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome)
{
    ngx_str_t               call, region, code, made;
    ngx_tccbs_json_t       *to, *per;
    ngx_http_tccbs_hold_t   hold;

    ngx_memzero(&hold, sizeof(ngx_http_tccbs_hold_t));

    hold.zone = zone;
    hold.pool = pool;
    hold.credential = ngx_http_tccbs_restore_member(
                               ngx_tccbs_json_get(intent, "credential"),
                               "name");
    hold.snapshot = ngx_http_tccbs_restore_member(intent, "snapshot");
    hold.id = ngx_http_tccbs_restore_member(intent, "id");
    hold.tag = ngx_http_tccbs_restore_member(intent, "tag");
    call = ngx_http_tccbs_restore_member(intent, "call");
    to = ngx_tccbs_json_get(intent, "to");

    if (hold.id.len != NGX_TCCBS_UUID_LEN || call.len != NGX_TCCBS_HEX_LEN
        || ngx_tccbs_unhex(hold.call, call.data, sizeof(hold.call)) != NGX_OK)
    {
        return;
    }

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

        if (made.len) {
            (void) ngx_http_tccbs_hold_made(&hold, &to->value, &made, seconds);

        } else if (code.len == 0 || ngx_tccbs_code_indefinite(&code)) {
            (void) ngx_http_tccbs_hold(&hold, &to->value, seconds);
        }
    }
}


/* A copy that was found later, see ngx_http_tccbs_record_settled(). */

static void
ngx_http_tccbs_restore_settled(ngx_http_tccbs_restore_t *ctx, u_char *line,
    size_t len)
{
    ngx_str_t                 text, why, region, made;
    ngx_pool_t               *pool;
    ngx_tccbs_json_t         *record, *per;
    ngx_http_tccbs_hold_t     hold;
    ngx_http_tccbs_found_t    found;
    ngx_tccbs_json_limits_t   limits;

    limits.depth = 4;
    limits.nodes = 1024;

    text.data = line;
    text.len = len;

    pool = ngx_create_pool(4096, ctx->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_tccbs_json_parse(pool, &text, &limits, &record, &why) != NGX_OK) {
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
                                              ctx->hold, &found);

    } else if (hold.snapshot.len) {
        (void) ngx_http_tccbs_hold_settle(&hold, &region, ctx->hold, &found);
    }

done:

    ngx_destroy_pool(pool);
}


/* The answer as Tencent gave it, from what was recorded of it. */

static void
ngx_http_tccbs_restore_answer(ngx_http_tccbs_restore_t *ctx, ngx_pool_t *pool,
    ngx_tccbs_json_t *intent, ngx_tccbs_json_t *outcome, ngx_str_t *id,
    time_t left)
{
    ngx_str_t                 call, tcid, value, answer;
    ngx_uint_t                partial;
    ngx_tccbs_out_t           out;
    ngx_tccbs_json_t         *per;
    ngx_http_tccbs_found_t    found;
    ngx_http_tccbs_stored_t  *entry;
    u_char                    key[NGX_TCCBS_SHA256_LEN];

    call = ngx_http_tccbs_restore_member(intent, "call");
    tcid = ngx_http_tccbs_restore_member(outcome, "tcid");
    per = ngx_tccbs_json_get(outcome, "per");

    if (call.len != NGX_TCCBS_HEX_LEN
        || ngx_tccbs_unhex(key, call.data, sizeof(key)) != NGX_OK
        || per == NULL)
    {
        return;
    }

    partial = 0;

    ngx_tccbs_out_init(&out, pool, 1024);
    ngx_tccbs_out_lit(&out, "{\"Response\":{\"RequestId\":");
    ngx_tccbs_out_string(&out, &tcid);
    ngx_tccbs_out_lit(&out, ",\"SnapshotCopyResultSet\":[");

    for (per = per->child; per; per = per->next) {

        value = ngx_http_tccbs_restore_member(per, "code");
        partial |= !ngx_tccbs_is(&value, "Success");

        ngx_tccbs_out_lit(&out, "{\"Code\":");
        ngx_tccbs_out_string(&out, &value);
        value = ngx_http_tccbs_restore_member(per, "region");
        ngx_tccbs_out_lit(&out, ",\"DestinationRegion\":");
        ngx_tccbs_out_string(&out, &value);
        value = ngx_http_tccbs_restore_member(per, "snapshot");
        ngx_tccbs_out_lit(&out, ",\"Message\":\"\",\"SnapshotId\":");
        ngx_tccbs_out_string(&out, &value);
        ngx_tccbs_out_lit(&out, "}");

        if (per->next) {
            ngx_tccbs_out_lit(&out, ",");
        }
    }

    ngx_tccbs_out_lit(&out, "]}}");

    answer = ngx_tccbs_out_str(&out);

    if (!out.failed
        && ngx_http_tccbs_store_claim(ctx->conf->zone, key, id, 0, ctx->hold,
                                      pool, &entry, &found)
           == NGX_OK)
    {
        ngx_http_tccbs_store_answer(ctx->conf->zone, entry,
                                    partial ? NGX_TCCBS_PARTIAL
                                            : NGX_TCCBS_SUCCESS,
                                    &answer, left, 0);
    }
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


/* "YYYY-MM-DDThh:mm:ss", which a record has in UTC. */

static time_t
ngx_http_tccbs_restore_time(u_char *p)
{
    struct tm  tm;

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = ngx_atoi(p, 4) - 1900;
    tm.tm_mon = ngx_atoi(p + 5, 2) - 1;
    tm.tm_mday = ngx_atoi(p + 8, 2);
    tm.tm_hour = ngx_atoi(p + 11, 2);
    tm.tm_min = ngx_atoi(p + 14, 2);
    tm.tm_sec = ngx_atoi(p + 17, 2);

    return timegm(&tm);
}
