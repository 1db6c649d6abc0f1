
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_audit.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN  16
#define NGX_HTTP_TCCBS_AUDIT_BUFFER     65536
#define NGX_HTTP_TCCBS_AUDIT_LAZY       1000
#define NGX_HTTP_TCCBS_AUDIT_SUMMARY    60000
#define NGX_HTTP_TCCBS_AUDIT_RETRY      1000

/* the common members without the id */

#define NGX_HTTP_TCCBS_AUDIT_HEAD                                             \
    (sizeof("{\"v\":1,\"time\":\"2026-01-01T00:00:00.000000Z\",\"id\":\"\","  \
            "\"chain\":\"\",\"seq\":,\"prev\":\"\"}\n")                       \
     + NGX_TCCBS_UUID_LEN + NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN + NGX_INT64_LEN    \
     + NGX_TCCBS_HEX_LEN)


/* Lines that were appended together, and who is done when they are durable. */

typedef struct {
    u_char                       *start;
    u_char                       *pos;
    u_char                       *end;
    uint64_t                      last;        /* position of the last line */
    ngx_http_tccbs_flight_t     **flights;
    ngx_uint_t                    nflights;
    ngx_uint_t                    nalloc;
} ngx_http_tccbs_audit_batch_t;


typedef struct {
    ngx_http_tccbs_audit_conf_t  *conf;
    ngx_log_t                    *log;

    u_char                        chain[NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN];
    u_char                        prev[NGX_TCCBS_SHA256_LEN];
    uint64_t                      seq;
    uint64_t                      durable;     /* position, = seq of the last */

    ngx_http_tccbs_audit_batch_t  pending;
    ngx_http_tccbs_audit_batch_t  batch;

    ngx_event_t                   lazy;
    ngx_event_t                   retry;
    ngx_event_t                   summary;
    ngx_queue_t                   waits;
    ngx_connection_t              dumb;

    ngx_uint_t                    anonymous;

    unsigned                      busy:1;
    unsigned                      failing:1;
    unsigned                      exiting:1;
} ngx_http_tccbs_audit_t;


static ngx_int_t ngx_http_tccbs_audit_line(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight);
static ngx_int_t ngx_http_tccbs_audit_reserve(
    ngx_http_tccbs_audit_batch_t *batch, size_t size,
    ngx_http_tccbs_flight_t *flight);
static void ngx_http_tccbs_audit_kick(void);
static ngx_uint_t ngx_http_tccbs_audit_turn(void);
static void ngx_http_tccbs_audit_write(void);
static void ngx_http_tccbs_audit_done(ngx_int_t rc);
static void ngx_http_tccbs_audit_settle(ngx_int_t rc);
static void ngx_http_tccbs_audit_lazy_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_summary_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_sum(void);


static ngx_http_tccbs_audit_t  ngx_http_tccbs_audit;





ngx_int_t
ngx_http_tccbs_audit_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf)
{
    ngx_http_tccbs_audit_t  *audit;
    u_char                   chain[NGX_HTTP_TCCBS_AUDIT_CHAIN_LEN / 2];

    audit = &ngx_http_tccbs_audit;

    ngx_memzero(audit, sizeof(ngx_http_tccbs_audit_t));

    audit->conf = conf;
    audit->log = cycle->log;

    ngx_queue_init(&audit->waits);

    if (ngx_tccbs_random(chain, sizeof(chain)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_tccbs_hex(audit->chain, chain, sizeof(chain));

    if (ngx_http_tccbs_journal_init(cycle, &conf->journal,
                                    ngx_http_tccbs_audit_done)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a worker does not outlive its requests for these: exit() flushes */

    /* nginx's debug log wants the descriptor of what an event belongs to */

    audit->dumb.fd = (ngx_socket_t) -1;
    audit->lazy.data = &audit->dumb;
    audit->retry.data = &audit->dumb;
    audit->summary.data = &audit->dumb;

    audit->lazy.handler = ngx_http_tccbs_audit_lazy_handler;
    audit->lazy.log = cycle->log;
    audit->lazy.cancelable = 1;

    audit->retry.handler = ngx_http_tccbs_audit_retry_handler;
    audit->retry.log = cycle->log;
    audit->retry.cancelable = 1;

    audit->summary.handler = ngx_http_tccbs_audit_summary_handler;
    audit->summary.log = cycle->log;
    audit->summary.cancelable = 1;

    return NGX_OK;
}


void
ngx_http_tccbs_audit_stop(void)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (audit->conf == NULL) {
        return;
    }

    /* no thread is there any more, and no request is to be woken */

    audit->exiting = 1;

    if (audit->busy && ngx_http_tccbs_journal_written()) {
        ngx_http_tccbs_audit_settle(NGX_OK);
    }

    ngx_http_tccbs_audit_sum();
}


void
ngx_http_tccbs_audit_exit(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_batch_t  *batch;

    audit = &ngx_http_tccbs_audit;
    batch = &audit->batch;

    if (audit->conf == NULL) {
        return;
    }

    while (audit->busy || ngx_http_tccbs_audit_turn()) {

        if (ngx_http_tccbs_journal_write_now(batch->start,
                                             batch->pos - batch->start,
                                             audit->failing)
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                          "audit records are lost on exit");
            return;
        }

        ngx_http_tccbs_audit_settle(NGX_OK);
    }
}


ngx_uint_t
ngx_http_tccbs_audit_ready(void)
{
    return ngx_http_tccbs_audit.conf && !ngx_http_tccbs_audit.failing;
}


ngx_int_t
ngx_http_tccbs_audit_append(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight, uint64_t *pos)
{
    if (ngx_http_tccbs_audit_line(id, rest, flight) != NGX_OK) {
        return NGX_ERROR;
    }

    if (pos) {
        *pos = ngx_http_tccbs_audit.pending.last;
    }

    ngx_http_tccbs_audit_kick();

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_audit_note(ngx_str_t *id, ngx_str_t *rest)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (ngx_http_tccbs_audit_line(id, rest, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    if (audit->pending.pos - audit->pending.start
        > NGX_HTTP_TCCBS_AUDIT_BUFFER)
    {
        ngx_http_tccbs_audit_kick();

    } else if (!audit->lazy.timer_set) {
        ngx_add_timer(&audit->lazy, NGX_HTTP_TCCBS_AUDIT_LAZY);
    }

    return NGX_OK;
}


void
ngx_http_tccbs_audit_anonymous(void)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    audit->anonymous++;

    if (!audit->summary.timer_set) {
        ngx_add_timer(&audit->summary, NGX_HTTP_TCCBS_AUDIT_SUMMARY);
    }
}


ngx_int_t
ngx_http_tccbs_audit_wait(ngx_http_tccbs_audit_wait_t *wait)
{
    if (ngx_http_tccbs_audit.durable >= wait->pos) {
        return NGX_OK;
    }

    ngx_queue_insert_tail(&ngx_http_tccbs_audit.waits, &wait->queue);
    wait->active = 1;

    return NGX_AGAIN;
}


void
ngx_http_tccbs_audit_cancel(ngx_http_tccbs_audit_wait_t *wait)
{
    if (wait->active) {
        ngx_queue_remove(&wait->queue);
        wait->active = 0;
    }
}


static ngx_int_t
ngx_http_tccbs_audit_line(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight)
{
    u_char                        *line;
    ngx_tm_t                       tm;
    ngx_str_t                      piece;
    struct timespec                ts;
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_batch_t  *batch;
    u_char                         prev[NGX_TCCBS_HEX_LEN];

    audit = &ngx_http_tccbs_audit;
    batch = &audit->pending;

    if (ngx_http_tccbs_audit_reserve(batch,
                                     NGX_HTTP_TCCBS_AUDIT_HEAD + rest->len,
                                     flight)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    ngx_gmtime(ts.tv_sec, &tm);

    ngx_tccbs_hex(prev, audit->prev, sizeof(audit->prev));

    line = batch->pos;

    batch->pos = ngx_sprintf(line, "{\"v\":1,\"time\":"
                             "\"%04d-%02d-%02dT%02d:%02d:%02d.%06LZ\","
                             "\"id\":\"%V\",\"chain\":\"%*s\",\"seq\":%uL,"
                             "\"prev\":\"%*s\",%V}\n",
                             tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                             tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                             (int64_t) (ts.tv_nsec / 1000), id,
                             sizeof(audit->chain), audit->chain, audit->seq,
                             sizeof(prev), prev, rest);

    /* the chain links lines without their newline */

    piece.data = line;
    piece.len = batch->pos - line - 1;

    if (ngx_tccbs_sha256(audit->prev, &piece, 1) != NGX_OK) {
        batch->pos = line;
        return NGX_ERROR;
    }

    if (flight) {
        flight->closing = 1;
        batch->flights[batch->nflights++] = flight;
    }

    batch->last = ++audit->seq;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_audit_reserve(ngx_http_tccbs_audit_batch_t *batch, size_t size,
    ngx_http_tccbs_flight_t *flight)
{
    u_char      *p;
    size_t       used, need;
    ngx_uint_t   n;
    void        *flights;

    used = batch->pos - batch->start;

    if ((size_t) (batch->end - batch->pos) < size) {

        need = ngx_max(2 * used, NGX_HTTP_TCCBS_AUDIT_BUFFER) + size;

        p = ngx_alloc(need, ngx_http_tccbs_audit.log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (batch->start) {
            ngx_memcpy(p, batch->start, used);
            ngx_free(batch->start);
        }

        batch->start = p;
        batch->pos = p + used;
        batch->end = p + need;
    }

    if (flight && batch->nflights == batch->nalloc) {

        n = batch->nalloc ? 2 * batch->nalloc : 64;

        flights = ngx_alloc(n * sizeof(ngx_http_tccbs_flight_t *),
                            ngx_http_tccbs_audit.log);
        if (flights == NULL) {
            return NGX_ERROR;
        }

        if (batch->flights) {
            ngx_memcpy(flights, batch->flights, batch->nflights
                                          * sizeof(ngx_http_tccbs_flight_t *));
            ngx_free(batch->flights);
        }

        batch->flights = flights;
        batch->nalloc = n;
    }

    return NGX_OK;
}


static void
ngx_http_tccbs_audit_kick(void)
{
    if (ngx_http_tccbs_audit.busy || ngx_http_tccbs_audit.exiting
        || !ngx_http_tccbs_audit_turn())
    {
        return;
    }

    if (ngx_http_tccbs_audit.lazy.timer_set) {
        ngx_del_timer(&ngx_http_tccbs_audit.lazy);
    }

    ngx_http_tccbs_audit_write();
}


/* What has gathered becomes the batch; the buffers take turns. */

static ngx_uint_t
ngx_http_tccbs_audit_turn(void)
{
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_batch_t   batch;

    audit = &ngx_http_tccbs_audit;

    if (audit->pending.pos == audit->pending.start) {
        return 0;
    }

    batch = audit->batch;
    audit->batch = audit->pending;
    audit->pending = batch;

    audit->busy = 1;

    return 1;
}


static void
ngx_http_tccbs_audit_write(void)
{
    ngx_http_tccbs_audit_batch_t  *batch;

    batch = &ngx_http_tccbs_audit.batch;

    ngx_http_tccbs_journal_write(batch->start, batch->pos - batch->start,
                                 ngx_http_tccbs_audit.failing);
}


static void
ngx_http_tccbs_audit_done(ngx_int_t rc)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (rc == NGX_OK) {

        if (audit->failing) {
            ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                          "the audit file is written again");
        }

        audit->failing = 0;

        ngx_http_tccbs_audit_settle(NGX_OK);
        ngx_http_tccbs_audit_kick();

        return;
    }

    /*
     * The batch is kept and written again as a whole: after a failed sync
     * nobody knows which of its pages reached the disk.
     */

    if (!audit->failing) {
        ngx_log_error(NGX_LOG_ERR, audit->log, 0,
                      "nothing is forwarded until the audit file can be "
                      "written");
    }

    audit->failing = 1;

    ngx_add_timer(&audit->retry, NGX_HTTP_TCCBS_AUDIT_RETRY);

    ngx_http_tccbs_audit_settle(NGX_ERROR);
}


static void
ngx_http_tccbs_audit_settle(ngx_int_t rc)
{
    ngx_uint_t                     i;
    ngx_queue_t                    ready, *q, *next;
    ngx_http_tccbs_audit_t        *audit;
    ngx_http_tccbs_audit_wait_t   *wait;
    ngx_http_tccbs_audit_batch_t  *batch;

    audit = &ngx_http_tccbs_audit;
    batch = &audit->batch;

    ngx_queue_init(&ready);

    if (audit->exiting) {
        ngx_queue_init(&audit->waits);
    }

    for (q = ngx_queue_head(&audit->waits);
         q != ngx_queue_sentinel(&audit->waits);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, ngx_http_tccbs_audit_wait_t, queue);

        if (wait->pos <= batch->last) {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&ready, q);
        }
    }

    if (rc == NGX_OK) {
        audit->durable = batch->last;

        for (i = 0; i < batch->nflights; i++) {
            ngx_http_tccbs_flight_free(batch->flights[i]);
        }

        batch->pos = batch->start;
        batch->nflights = 0;

        audit->busy = 0;
    }

    /* a handler may cancel another wait of this very queue */

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        wait = ngx_queue_data(q, ngx_http_tccbs_audit_wait_t, queue);

        ngx_http_tccbs_audit_cancel(wait);
        wait->handler(wait->data, rc);
    }
}


static void
ngx_http_tccbs_audit_lazy_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_kick();
}


static void
ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_write();
}


static void
ngx_http_tccbs_audit_summary_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_sum();
    ngx_http_tccbs_audit_kick();
}


static void
ngx_http_tccbs_audit_sum(void)
{
    ngx_str_t                id, rest;
    ngx_http_tccbs_audit_t  *audit;
    u_char                   uuid[NGX_TCCBS_UUID_LEN];
    u_char                   buf[sizeof("\"kind\":\"refusal\","
                                        "\"decision\":\"anonymous\","
                                        "\"count\":") + NGX_INT64_LEN];

    audit = &ngx_http_tccbs_audit;

    if (audit->anonymous == 0 || ngx_tccbs_uuid(uuid) != NGX_OK) {
        return;
    }

    id.data = uuid;
    id.len = sizeof(uuid);

    rest.data = buf;
    rest.len = ngx_sprintf(buf, "\"kind\":\"refusal\","
                           "\"decision\":\"anonymous\",\"count\":%ui",
                           audit->anonymous)
               - buf;

    if (ngx_http_tccbs_audit_line(&id, &rest, NULL) == NGX_OK) {
        audit->anonymous = 0;
    }
}
