
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_breaker.h"
#include "ngx_http_tccbs_link.h"
#include "ngx_http_tccbs_redis.h"
#include "ngx_tccbs_gcra.h"


#define NGX_HTTP_TCCBS_REDIS_RETRY    1000    /* milliseconds, about */
#define NGX_HTTP_TCCBS_REDIS_LINGER   1000
#define NGX_HTTP_TCCBS_REDIS_ENTRIES  4096    /* without a reply */
#define NGX_HTTP_TCCBS_REDIS_NOTES    4096    /* for later */


typedef struct {
    ngx_http_tccbs_redis_conf_t   *conf;
    ngx_http_tccbs_link_t          link;
    ngx_uint_t                     addr;

    ngx_queue_t                    entries;   /* in order */
    ngx_uint_t                     n;
    ngx_uint_t                     told;      /* notes among them */
    ngx_queue_t                    notes;     /* to be sent when it is back */
    ngx_uint_t                     nnotes;

    ngx_http_tccbs_redis_call_t    probe;
    ngx_event_t                    retry;
    ngx_event_t                    linger;    /* keeps an exiting worker */
    ngx_http_tccbs_breaker_t       breaker;
    unsigned                       up:1;      /* has replied */
    unsigned                       sense:1;   /* of the last reply */
} ngx_http_tccbs_redis_t;


static ngx_int_t ngx_http_tccbs_redis_up(void *data);
static void ngx_http_tccbs_redis_down(void *data, const char *why);
static ngx_int_t ngx_http_tccbs_redis_reply(void *data,
    ngx_tccbs_resp_t *reply);
static ngx_int_t ngx_http_tccbs_redis_push(ngx_http_tccbs_redis_t *redis,
    ngx_http_tccbs_command_t *entry);
static void ngx_http_tccbs_redis_connect(ngx_http_tccbs_redis_t *redis);
static void ngx_http_tccbs_redis_answer(ngx_http_tccbs_command_t *entry,
    ngx_tccbs_resp_t *reply);
static void ngx_http_tccbs_redis_later(ngx_http_tccbs_redis_t *redis,
    ngx_http_tccbs_command_t *entry);
static void ngx_http_tccbs_redis_flush(ngx_http_tccbs_redis_t *redis);
static void ngx_http_tccbs_redis_take(ngx_http_tccbs_redis_t *redis,
    ngx_queue_t *entries);
static void ngx_http_tccbs_redis_settle(ngx_http_tccbs_redis_t *redis);
static void ngx_http_tccbs_redis_expire(ngx_event_t *ev);
static void ngx_http_tccbs_redis_linger(ngx_event_t *ev);

static void ngx_http_tccbs_redis_failed(ngx_http_tccbs_redis_t *redis,
    ngx_uint_t n, const char *why);
static void ngx_http_tccbs_redis_retry(ngx_event_t *ev);
static void ngx_http_tccbs_redis_ask(ngx_http_tccbs_redis_t *redis);
static void ngx_http_tccbs_redis_probed(ngx_http_tccbs_redis_call_t *call);


static ngx_http_tccbs_redis_t  *ngx_http_tccbs_redis;


ngx_int_t
ngx_http_tccbs_redis_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_redis_conf_t *conf)
{
    ngx_http_tccbs_link_t   *link;
    ngx_http_tccbs_redis_t  *redis;

    ngx_http_tccbs_script_init();

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_http_tccbs_redis_t));
    if (redis == NULL) {
        return NGX_ERROR;
    }

    redis->conf = conf;
    redis->breaker.conf = conf;
    redis->breaker.log = cycle->log;

    ngx_queue_init(&redis->entries);
    ngx_queue_init(&redis->notes);

    link = &redis->link;
    link->data = redis;
    link->up = ngx_http_tccbs_redis_up;
    link->down = ngx_http_tccbs_redis_down;
    link->reply = ngx_http_tccbs_redis_reply;
    link->log = cycle->log;
    link->ssl = conf->ssl;
    link->name = &conf->ssl_name;
    link->timeout = conf->connect_timeout;
    redis->probe.handler = ngx_http_tccbs_redis_probed;
    redis->probe.data = redis;
    redis->probe.timer.cancelable = 1;
    redis->retry.handler = ngx_http_tccbs_redis_retry;
    redis->retry.data = redis;
    redis->retry.log = cycle->log;
    redis->retry.cancelable = 1;

    redis->linger.handler = ngx_http_tccbs_redis_linger;
    redis->linger.data = redis;
    redis->linger.log = cycle->log;

    ngx_http_tccbs_redis = redis;

    ngx_add_timer(&redis->retry, 1);

    return NGX_OK;
}


void
ngx_http_tccbs_redis_exit(void)
{
    if (ngx_http_tccbs_redis) {
        ngx_http_tccbs_link_close(&ngx_http_tccbs_redis->link);
        ngx_http_tccbs_redis = NULL;
    }
}


ngx_int_t
ngx_http_tccbs_redis_call(ngx_http_tccbs_redis_call_t *call,
    ngx_http_tccbs_script_e script, ngx_str_t *argv, ngx_uint_t argc,
    ngx_uint_t nkeys, ngx_msec_t timeout)
{
    ngx_http_tccbs_redis_t    *redis;
    ngx_http_tccbs_command_t  *entry;

    redis = ngx_http_tccbs_redis;

    if (redis->breaker.open && call != &redis->probe) {
        return NGX_DECLINED;
    }

    ngx_http_tccbs_redis_connect(redis);

    if (redis->link.peer.connection == NULL) {
        return NGX_DECLINED;
    }

    entry = ngx_http_tccbs_command_eval(NGX_HTTP_TCCBS_COMMAND_CALL, script,
                                        argv, argc, nkeys);

    if (ngx_http_tccbs_redis_push(redis, entry) != NGX_OK) {
        return NGX_DECLINED;
    }

    entry->call = call;

    call->entry = entry;
    call->reply = NULL;
    call->began = ngx_tccbs_gcra_now();
    call->timer.handler = ngx_http_tccbs_redis_expire;
    call->timer.data = call;
    call->timer.log = redis->link.log;

    ngx_add_timer(&call->timer, timeout);

    return NGX_AGAIN;
}


void
ngx_http_tccbs_redis_cancel(ngx_http_tccbs_redis_call_t *call)
{
    ngx_http_tccbs_command_t  *entry;

    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    entry = call->entry;

    if (entry) {
        entry->call = NULL;
        call->entry = NULL;
    }
}


void
ngx_http_tccbs_redis_note(ngx_http_tccbs_script_e script, ngx_str_t *argv,
    ngx_uint_t argc, ngx_uint_t nkeys, time_t seconds)
{
    ngx_http_tccbs_redis_t    *redis;
    ngx_http_tccbs_command_t  *entry;

    redis = ngx_http_tccbs_redis;

    entry = ngx_http_tccbs_command_eval(NGX_HTTP_TCCBS_COMMAND_NOTE, script,
                                        argv, argc, nkeys);
    if (entry == NULL) {
        return;
    }

    entry->expires = ngx_current_msec + seconds * 1000;

    if (!redis->breaker.open) {
        ngx_http_tccbs_redis_connect(redis);
    }

    if (redis->breaker.open || redis->link.peer.connection == NULL) {
        ngx_http_tccbs_redis_later(redis, entry);
        return;
    }

    (void) ngx_http_tccbs_redis_push(redis, entry);
}


void
ngx_http_tccbs_redis_nonsense(ngx_str_t *what)
{
    ngx_http_tccbs_redis_t  *redis;

    redis = ngx_http_tccbs_redis;

    redis->sense = 0;
    ngx_http_tccbs_breaker_say(&redis->breaker, "makes no sense to", what);
    ngx_http_tccbs_redis_failed(redis, 1, "its replies make no sense");
}


/* The way there. */

static void
ngx_http_tccbs_redis_connect(ngx_http_tccbs_redis_t *redis)
{
    ngx_addr_t                   *addr;
    ngx_http_tccbs_redis_conf_t  *conf;

    if (redis->link.peer.connection) {
        return;
    }

    conf = redis->conf;
    addr = &conf->addrs[redis->addr++ % conf->naddrs];

    if (ngx_http_tccbs_link_connect(&redis->link, addr) != NGX_OK) {
        ngx_http_tccbs_redis_failed(redis, NGX_HTTP_TCCBS_BREAKER_FAILS,
                                    "cannot connect");
    }
}


/*
 * What is waiting already comes after the login; without that, claims would be
 * made where other gateways do not look.
 */

static ngx_int_t
ngx_http_tccbs_redis_up(void *data)
{
    ngx_http_tccbs_redis_t *redis = data;

    ngx_uint_t                    i;
    ngx_queue_t                   waiting;
    ngx_http_tccbs_command_t     *entry;
    ngx_http_tccbs_redis_conf_t  *conf;

    ngx_http_tccbs_redis_take(redis, &waiting);

    conf = redis->conf;

    if ((conf->password.len
         && ngx_http_tccbs_redis_push(redis,
                                      ngx_http_tccbs_command_auth(&conf->user,
                                                            &conf->password))
            != NGX_OK)
        || (conf->db
            && ngx_http_tccbs_redis_push(redis,
                                     ngx_http_tccbs_command_select(conf->db))
               != NGX_OK))
    {
        if (!ngx_queue_empty(&waiting)) {
            ngx_queue_add(&redis->entries, &waiting);
        }

        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_TCCBS_SCRIPTS; i++) {
        (void) ngx_http_tccbs_redis_push(redis,
                                         ngx_http_tccbs_command_load(i));
    }

    while (!ngx_queue_empty(&waiting)) {
        entry = ngx_http_tccbs_command_shift(&waiting);

        if (entry->call || entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE) {
            (void) ngx_http_tccbs_redis_push(redis, entry);

        } else {
            ngx_http_tccbs_command_free(entry);
        }
    }

    ngx_http_tccbs_redis_ask(redis);

    return NGX_OK;
}


/* When there is no room a note is kept for later, all else is freed. */

static ngx_int_t
ngx_http_tccbs_redis_push(ngx_http_tccbs_redis_t *redis,
    ngx_http_tccbs_command_t *entry)
{
    if (entry == NULL) {
        return NGX_ERROR;
    }

    if (redis->n >= NGX_HTTP_TCCBS_REDIS_ENTRIES
        || (ngx_http_tccbs_link_is_up(&redis->link)
            && ngx_http_tccbs_link_send(&redis->link, &entry->bytes)
               != NGX_OK))
    {
        if (entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE) {
            ngx_http_tccbs_redis_later(redis, entry);

        } else {
            ngx_http_tccbs_redis_answer(entry, NULL);
            ngx_http_tccbs_command_free(entry);
        }

        return NGX_BUSY;
    }

    entry->sent = ngx_http_tccbs_link_is_up(&redis->link);

    ngx_queue_insert_tail(&redis->entries, &entry->queue);
    redis->n++;

    if (entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE) {
        redis->told++;

        if (!redis->linger.timer_set) {
            ngx_add_timer(&redis->linger, NGX_HTTP_TCCBS_REDIS_LINGER);
        }
    }

    ngx_http_tccbs_link_idle(&redis->link, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_redis_reply(void *data, ngx_tccbs_resp_t *reply)
{
    ngx_http_tccbs_redis_t *redis = data;

    ngx_int_t                  rc;
    ngx_http_tccbs_command_t  *entry;

    if (ngx_queue_empty(&redis->entries)) {
        return NGX_ERROR;
    }

    entry = ngx_http_tccbs_command_shift(&redis->entries);

    redis->n--;
    redis->told -= (entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE);

    if (ngx_tccbs_resp_is_error(reply, "NOSCRIPT") && !entry->again) {

        /* it was not run, so it may be sent again */

        entry->again = 1;

        if (ngx_http_tccbs_redis_push(redis,
                          ngx_http_tccbs_command_load(entry->script))
            == NGX_OK)
        {
            (void) ngx_http_tccbs_redis_push(redis, entry);
            return NGX_OK;
        }
    }

    rc = NGX_OK;

    if (reply->type != NGX_TCCBS_RESP_ERROR) {

        redis->up = 1;
        redis->sense = (entry->call != NULL);

        if (entry->call == NULL && entry->late) {
            entry->late(entry, reply);
        }

        ngx_http_tccbs_redis_answer(entry, reply);
        redis->breaker.fails = redis->sense ? 0 : redis->breaker.fails;

    } else {

        ngx_http_tccbs_breaker_error(&redis->breaker, entry->kind, reply);

        /* a bad key or a failed script is no bad Redis, all else is */

        if (ngx_tccbs_resp_is_error(reply, "ERR")) {
            ngx_http_tccbs_redis_failed(redis, 1, "scripts fail");

        } else if (!ngx_tccbs_resp_is_error(reply, "WRONGTYPE")) {
            ngx_http_tccbs_redis_failed(redis, NGX_HTTP_TCCBS_BREAKER_FAILS,
                                        "it refuses");
        }

        /* another server may be behind the address by now */

        if (entry->kind == NGX_HTTP_TCCBS_COMMAND_LOGIN
            || ngx_tccbs_resp_is_error(reply, "READONLY"))
        {
            rc = NGX_ERROR;
        }

        ngx_http_tccbs_redis_answer(entry, NULL);

        /* what fails by itself would fail again, but a hold is worth it */

        if (entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE
            && !(entry->script == NGX_HTTP_TCCBS_SCRIPT_GIVE
                 && ngx_tccbs_resp_is_error(reply, "ERR"))
            && !ngx_tccbs_resp_is_error(reply, "WRONGTYPE"))
        {
            ngx_http_tccbs_redis_later(redis, entry);
            entry = NULL;
        }
    }

    if (entry) {
        ngx_http_tccbs_command_free(entry);
    }

    ngx_http_tccbs_redis_settle(redis);

    return rc;
}


static void
ngx_http_tccbs_redis_answer(ngx_http_tccbs_command_t *entry,
    ngx_tccbs_resp_t *reply)
{
    uint64_t                      took;
    ngx_http_tccbs_redis_t       *redis;
    ngx_http_tccbs_redis_call_t  *call;

    call = entry->call;

    if (call == NULL) {
        return;
    }

    redis = ngx_http_tccbs_redis;
    took = ngx_tccbs_gcra_now() - call->began;

    ngx_http_tccbs_redis_cancel(call);

    call->reply = reply;
    call->handler(call);

    /* the handler knows whether the reply is one */

    ngx_http_tccbs_breaker_count(redis->conf,
                                 (reply && redis->sense)
                                 ? NGX_HTTP_TCCBS_BREAKER_OK
                                 : NGX_HTTP_TCCBS_BREAKER_ERROR, took);
}


static void
ngx_http_tccbs_redis_expire(ngx_event_t *ev)
{
    ngx_http_tccbs_redis_call_t *call = ev->data;

    ngx_http_tccbs_redis_t  *redis;

    redis = ngx_http_tccbs_redis;

    ngx_http_tccbs_redis_cancel(call);
    ngx_http_tccbs_breaker_count(redis->conf,
                                 NGX_HTTP_TCCBS_BREAKER_TIMEOUT, 0);

    /* calls wait behind each other, for a probe there is no excuse */

    if (call == &redis->probe) {
        ngx_http_tccbs_link_close(&redis->link);
        ngx_http_tccbs_redis_down(redis, "no reply in time");
        return;
    }

    ngx_http_tccbs_redis_failed(redis, 1, "no reply in time");

    call->reply = NULL;
    call->handler(call);
}


/* The end of a connection, and what is to be done on the next one. */

static void
ngx_http_tccbs_redis_down(void *data, const char *why)
{
    ngx_http_tccbs_redis_t *redis = data;

    ngx_queue_t                entries;
    ngx_http_tccbs_command_t  *entry;

    ngx_http_tccbs_redis_take(redis, &entries);

    /* what cannot be reached is not tried again for each call */

    if (why) {
        ngx_http_tccbs_redis_failed(redis, redis->up
                                           ? 1 : NGX_HTTP_TCCBS_BREAKER_FAILS,
                                    why);
    }

    redis->up = 0;

    while (!ngx_queue_empty(&entries)) {
        entry = ngx_http_tccbs_command_shift(&entries);

        /* what Redis may have been given back is better lost than doubled */

        if (entry->kind == NGX_HTTP_TCCBS_COMMAND_NOTE
            && !(entry->sent && entry->script == NGX_HTTP_TCCBS_SCRIPT_GIVE))
        {
            ngx_http_tccbs_redis_later(redis, entry);
            continue;
        }

        ngx_http_tccbs_redis_answer(entry, NULL);
        ngx_http_tccbs_command_free(entry);
    }

    ngx_http_tccbs_redis_settle(redis);
}


static void
ngx_http_tccbs_redis_later(ngx_http_tccbs_redis_t *redis,
    ngx_http_tccbs_command_t *entry)
{
    if (redis->nnotes >= NGX_HTTP_TCCBS_REDIS_NOTES
        || (ngx_msec_int_t) (entry->expires - ngx_current_msec) <= 0)
    {
        ngx_log_error(NGX_LOG_WARN, redis->link.log, 0,
                      "redis %V was not told of something in time",
                      &redis->conf->name);

        ngx_http_tccbs_command_free(entry);
        return;
    }

    entry->again = 0;

    ngx_queue_insert_tail(&redis->notes, &entry->queue);
    redis->nnotes++;

    if (!redis->retry.timer_set) {
        ngx_add_timer(&redis->retry, NGX_HTTP_TCCBS_REDIS_RETRY);
    }
}


static void
ngx_http_tccbs_redis_flush(ngx_http_tccbs_redis_t *redis)
{
    ngx_uint_t                 n;
    ngx_http_tccbs_command_t  *entry;

    for (n = redis->nnotes; n; n--) {
        entry = ngx_http_tccbs_command_shift(&redis->notes);
        redis->nnotes--;

        if (ngx_http_tccbs_redis_push(redis, entry) != NGX_OK) {
            break;
        }
    }
}


/* All entries, in their order; none are left. */

static void
ngx_http_tccbs_redis_take(ngx_http_tccbs_redis_t *redis, ngx_queue_t *entries)
{
    ngx_queue_init(entries);

    if (!ngx_queue_empty(&redis->entries)) {
        ngx_queue_add(entries, &redis->entries);
        ngx_queue_init(&redis->entries);
    }

    redis->n = 0;
    redis->told = 0;
}


/* A worker that exits waits for the replies to its notes, for a moment. */

static void
ngx_http_tccbs_redis_settle(ngx_http_tccbs_redis_t *redis)
{
    if (redis->n == 0) {
        ngx_http_tccbs_link_idle(&redis->link, 1);
    }

    if (redis->told == 0 && redis->linger.timer_set) {
        ngx_del_timer(&redis->linger);
    }
}


static void
ngx_http_tccbs_redis_linger(ngx_event_t *ev)
{
}


static void
ngx_http_tccbs_redis_failed(ngx_http_tccbs_redis_t *redis, ngx_uint_t n,
    const char *why)
{
    if (!ngx_http_tccbs_breaker_failed(&redis->breaker, n, why)) {
        return;
    }

    if (redis->retry.timer_set) {
        ngx_del_timer(&redis->retry);
    }

    ngx_add_timer(&redis->retry, ngx_http_tccbs_breaker_pause());
}


static void
ngx_http_tccbs_redis_retry(ngx_event_t *ev)
{
    ngx_http_tccbs_redis_t *redis = ev->data;

    if (redis->breaker.open) {
        ngx_add_timer(&redis->retry, ngx_http_tccbs_breaker_pause());
    }

    ngx_http_tccbs_redis_connect(redis);

    if (ngx_http_tccbs_link_is_up(&redis->link)) {
        ngx_http_tccbs_redis_ask(redis);
    }
}


/* Whether it can be used; when that is known, what is left to say. */

static void
ngx_http_tccbs_redis_ask(ngx_http_tccbs_redis_t *redis)
{
    if (!redis->breaker.open) {
        ngx_http_tccbs_redis_flush(redis);

    } else if (redis->probe.entry == NULL) {
        (void) ngx_http_tccbs_redis_call(&redis->probe,
                                         NGX_HTTP_TCCBS_SCRIPT_PROBE,
                                         &redis->conf->probe, 1, 1,
                                         redis->conf->deadline);
    }
}


static void
ngx_http_tccbs_redis_probed(ngx_http_tccbs_redis_call_t *call)
{
    ngx_http_tccbs_redis_t *redis = call->data;

    if (call->reply) {
        ngx_http_tccbs_breaker_close(&redis->breaker);
        ngx_http_tccbs_redis_flush(redis);
    }
}
