
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_audit.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_AUDIT_BUFFER     262144

/* records that nobody waits for, and all that are buffered: milliseconds */

#define NGX_HTTP_TCCBS_AUDIT_LAZY       1000
#define NGX_HTTP_TCCBS_AUDIT_BUFFERED   10

#define NGX_HTTP_TCCBS_AUDIT_RETRY      1000

/* rounds of the event loop for which a batch may gather */

#define NGX_HTTP_TCCBS_AUDIT_ROUNDS     8

/* bytes to reserve: for the outcomes of as many calls as can be open */

#define NGX_HTTP_TCCBS_AUDIT_RESERVE    1048576
#define NGX_HTTP_TCCBS_AUDIT_OUTCOME    2048

/* an anchor comes after so much time or so many records */

#define NGX_HTTP_TCCBS_AUDIT_ANCHOR     60000
#define NGX_HTTP_TCCBS_AUDIT_RECORDS    1000


typedef struct {
    ngx_http_tccbs_audit_conf_t  *conf;
    ngx_log_t                    *log;

    uint64_t                      durable;     /* position */

    uint64_t                      gathered;    /* position, the last round */
    ngx_uint_t                    rounds;

    ngx_http_tccbs_batch_t        pending;
    ngx_http_tccbs_batch_t        batch;

    ngx_event_t                   turn;
    ngx_event_t                   lazy;
    ngx_event_t                   retry;
    ngx_event_t                   anchor;
    ngx_queue_t                   waits;
    ngx_connection_t              dumb;

    ngx_uint_t                    records;     /* since the last anchor */

    unsigned                      busy:1;
    unsigned                      failing:1;
    unsigned                      full:1;
    unsigned                      rotate:1;
    unsigned                      urgent:1;    /* somebody waits */
    unsigned                      exiting:1;
} ngx_http_tccbs_audit_t;


static void ngx_http_tccbs_audit_timer(ngx_event_t *ev,
    ngx_event_handler_pt handler);
static ngx_int_t ngx_http_tccbs_audit_line(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight);
static ngx_int_t ngx_http_tccbs_audit_own(ngx_str_t *rest);
static ngx_int_t ngx_http_tccbs_audit_anchor(const char *why,
    ngx_uint_t all);
static void ngx_http_tccbs_audit_rewritten(void);
static void ngx_http_tccbs_audit_reopen(void);
static void ngx_http_tccbs_audit_next(void);
static void ngx_http_tccbs_audit_kick(void);
static void ngx_http_tccbs_audit_turn_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_tccbs_audit_turn(void);
static void ngx_http_tccbs_audit_segment(void);
static ngx_uint_t ngx_http_tccbs_audit_flags(void);
static void ngx_http_tccbs_audit_write(void);
static void ngx_http_tccbs_audit_done(ngx_int_t rc, ngx_uint_t found);
static void ngx_http_tccbs_audit_settle(ngx_int_t rc, ngx_int_t said);
static void ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev);
static void ngx_http_tccbs_audit_anchor_handler(ngx_event_t *ev);


static ngx_http_tccbs_audit_t  ngx_http_tccbs_audit;


ngx_int_t
ngx_http_tccbs_audit_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    ngx_memzero(audit, sizeof(ngx_http_tccbs_audit_t));

    audit->conf = conf;
    audit->log = cycle->log;

    ngx_queue_init(&audit->waits);

    conf->journal.reserve = ngx_max(NGX_HTTP_TCCBS_AUDIT_RESERVE,
                               ngx_http_tccbs_zone_shm(conf->zone)->nflights
                               * NGX_HTTP_TCCBS_AUDIT_OUTCOME);

    if (ngx_http_tccbs_chain_init(conf->zone, &conf->key, cycle->log)
        != NGX_OK
        || ngx_http_tccbs_journal_init(cycle, &conf->journal,
                                       ngx_http_tccbs_audit_done,
                                       ngx_http_tccbs_audit_reopen)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    audit->dumb.fd = (ngx_socket_t) -1;

    ngx_http_tccbs_audit_timer(&audit->turn, ngx_http_tccbs_audit_turn_handler);
    ngx_http_tccbs_audit_timer(&audit->lazy, ngx_http_tccbs_audit_turn_handler);
    ngx_http_tccbs_audit_timer(&audit->retry,
                               ngx_http_tccbs_audit_retry_handler);
    ngx_http_tccbs_audit_timer(&audit->anchor,
                               ngx_http_tccbs_audit_anchor_handler);

    /* what ended before this chain began is named in its first record */

    return ngx_http_tccbs_audit_anchor("start", 1);
}


/* A worker does not outlive its requests for these: exit() flushes. */

static void
ngx_http_tccbs_audit_timer(ngx_event_t *ev, ngx_event_handler_pt handler)
{
    /* nginx's debug log wants the descriptor of what an event belongs to */

    ev->data = &ngx_http_tccbs_audit.dumb;
    ev->handler = handler;
    ev->log = ngx_http_tccbs_audit.log;
    ev->cancelable = 1;
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
        ngx_http_tccbs_audit_settle(NGX_OK, NGX_OK);
    }
}


void
ngx_http_tccbs_audit_exit(ngx_cycle_t *cycle)
{
    ngx_http_tccbs_audit_t  *audit;
    ngx_http_tccbs_batch_t  *batch;

    audit = &ngx_http_tccbs_audit;
    batch = &audit->batch;

    if (audit->conf == NULL) {
        return;
    }

    /* a chain that wrote nothing does not begin to when it ends */

    if (ngx_http_tccbs_chain_seq() <= 1 && !audit->busy) {
        return;
    }

    /* what was under way may be in the file already */

    if (audit->busy && !ngx_http_tccbs_batch_empty(batch)) {
        ngx_http_tccbs_audit_rewritten();
    }

    (void) ngx_http_tccbs_audit_anchor("stop", 0);

    while (audit->busy || ngx_http_tccbs_audit_turn()) {

        if (ngx_http_tccbs_journal_write_now(batch->start,
                                             batch->pos - batch->start,
                                             ngx_http_tccbs_audit_flags())
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                          "audit records are lost on exit");
            return;
        }

        ngx_http_tccbs_audit_settle(NGX_OK, NGX_OK);
    }
}


ngx_uint_t
ngx_http_tccbs_audit_ready(void)
{
    return ngx_http_tccbs_audit.conf && !ngx_http_tccbs_audit.failing
           && !ngx_http_tccbs_audit.full;
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

    if (!ngx_http_tccbs_audit.conf->journal.buffered) {
        ngx_http_tccbs_audit.urgent = 1;
    }

    ngx_http_tccbs_audit_next();

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_audit_note(ngx_str_t *id, ngx_str_t *rest)
{
    if (ngx_http_tccbs_audit_line(id, rest, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_tccbs_audit_next();

    return NGX_OK;
}


/* A record that nobody waits for may wait for others. */

static void
ngx_http_tccbs_audit_next(void)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (audit->urgent || audit->rotate
        || audit->pending.pos - audit->pending.start
           > NGX_HTTP_TCCBS_AUDIT_BUFFER)
    {
        ngx_http_tccbs_audit_kick();

    } else if (!ngx_http_tccbs_batch_empty(&audit->pending)
               && !audit->lazy.timer_set)
    {
        ngx_add_timer(&audit->lazy, audit->conf->journal.buffered
                                    ? NGX_HTTP_TCCBS_AUDIT_BUFFERED
                                    : NGX_HTTP_TCCBS_AUDIT_LAZY);
    }
}


ngx_int_t
ngx_http_tccbs_audit_wait(ngx_http_tccbs_audit_wait_t *wait)
{
    if (ngx_http_tccbs_audit.durable >= wait->pos
        || ngx_http_tccbs_audit.conf->journal.buffered)
    {
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
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (ngx_http_tccbs_batch_append(&audit->pending, id, rest, flight,
                                    audit->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    audit->records++;

    if (!audit->anchor.timer_set && !audit->exiting) {
        ngx_add_timer(&audit->anchor, NGX_HTTP_TCCBS_AUDIT_ANCHOR);
    }

    return NGX_OK;
}


/* A record of no call: its id is its own. */

static ngx_int_t
ngx_http_tccbs_audit_own(ngx_str_t *rest)
{
    ngx_str_t  id;
    u_char     uuid[NGX_TCCBS_UUID_LEN];

    if (ngx_tccbs_uuid(uuid) != NGX_OK) {
        return NGX_ERROR;
    }

    id.data = uuid;
    id.len = sizeof(uuid);

    return ngx_http_tccbs_audit_line(&id, rest, NULL);
}


static ngx_int_t
ngx_http_tccbs_audit_anchor(const char *why, ngx_uint_t all)
{
    ngx_int_t  rc;
    ngx_str_t  rest;

    if (ngx_http_tccbs_chain_anchor(why, all, &rest) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_tccbs_audit_own(&rest);

    ngx_free(rest.data);

    ngx_http_tccbs_audit.records = 0;

    return rc;
}


/* A batch may be in the file more than once now, wholly or in part. */

static void
ngx_http_tccbs_audit_rewritten(void)
{
    ngx_str_t                rest;
    ngx_http_tccbs_batch_t  *batch;
    u_char                   text[128];

    batch = &ngx_http_tccbs_audit.batch;

    rest.data = text;
    rest.len = ngx_sprintf(text, "\"kind\":\"anchor\",\"why\":\"rewritten\","
                           "\"first\":%uL,\"last\":%uL", batch->first,
                           batch->last - 1)
               - text;

    (void) ngx_http_tccbs_audit_own(&rest);
}


/* nginx reopens its files: what comes now goes to a new segment. */

static void
ngx_http_tccbs_audit_reopen(void)
{
    ngx_http_tccbs_audit.rotate = 1;
    ngx_http_tccbs_audit_kick();
}


/*
 * The batch is written when a round of the event loop, which does not wait for
 * events meanwhile, has brought no more records: calls that come or are woken
 * together share a sync, and a worker with nothing else to do writes at once.
 */

static void
ngx_http_tccbs_audit_kick(void)
{
    ngx_post_event(&ngx_http_tccbs_audit.turn, &ngx_posted_events);
}


static void
ngx_http_tccbs_audit_turn_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (audit->busy) {
        return;
    }

    if (audit->gathered != audit->pending.last
        && audit->rounds < NGX_HTTP_TCCBS_AUDIT_ROUNDS)
    {
        audit->gathered = audit->pending.last;
        audit->rounds++;

        ngx_post_event(&audit->turn, &ngx_posted_next_events);
        return;
    }

    audit->rounds = 0;

    if (audit->records >= NGX_HTTP_TCCBS_AUDIT_RECORDS) {
        (void) ngx_http_tccbs_audit_anchor("time", 0);
    }

    if (!ngx_http_tccbs_audit_turn()) {
        return;
    }

    if (audit->lazy.timer_set) {
        ngx_del_timer(&audit->lazy);
    }

    ngx_http_tccbs_audit_write();
}


/* What has gathered becomes the batch; the buffers take turns. */

static ngx_uint_t
ngx_http_tccbs_audit_turn(void)
{
    ngx_http_tccbs_audit_t  *audit;
    ngx_http_tccbs_batch_t   batch;

    audit = &ngx_http_tccbs_audit;

    if (audit->rotate && ngx_http_tccbs_batch_empty(&audit->pending)) {
        ngx_http_tccbs_audit_segment();
    }

    if (ngx_http_tccbs_batch_empty(&audit->pending)) {
        return 0;
    }

    batch = audit->batch;
    audit->batch = audit->pending;
    audit->pending = batch;

    audit->busy = 1;
    audit->urgent = 0;

    /* what was appended before belongs to the old segment */

    if (audit->rotate) {
        ngx_http_tccbs_audit_segment();
    }

    return 1;
}


/* The header of a segment: the first record that this chain has in it. */

static void
ngx_http_tccbs_audit_segment(void)
{
    if (ngx_http_tccbs_audit_anchor("segment", 1) == NGX_OK) {
        ngx_http_tccbs_audit.pending.reopen = 1;
        ngx_http_tccbs_audit.rotate = 0;
    }
}


static ngx_uint_t
ngx_http_tccbs_audit_flags(void)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    if (audit->failing) {
        return NGX_HTTP_TCCBS_JOURNAL_SEAL|NGX_HTTP_TCCBS_JOURNAL_REOPEN;
    }

    return audit->batch.reopen ? NGX_HTTP_TCCBS_JOURNAL_REOPEN : 0;
}


static void
ngx_http_tccbs_audit_write(void)
{
    ngx_http_tccbs_batch_t  *batch;

    batch = &ngx_http_tccbs_audit.batch;

    ngx_http_tccbs_journal_write(batch->start, batch->pos - batch->start,
                                 ngx_http_tccbs_audit_flags());
}


static void
ngx_http_tccbs_audit_done(ngx_int_t rc, ngx_uint_t found)
{
    ngx_uint_t               full;
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    full = (found & NGX_HTTP_TCCBS_JOURNAL_FULL) ? 1 : 0;

    if (full && !audit->full) {
        ngx_log_error(NGX_LOG_CRIT, audit->log, 0,
                      "no room can be reserved for the audit file, nothing "
                      "is forwarded until there is");

    } else if (!full && audit->full) {
        ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                      "there is room for the audit file again");
    }

    audit->full = full;

    if (found & NGX_HTTP_TCCBS_JOURNAL_REPLACED) {
        audit->rotate = 1;
    }

    if (rc == NGX_OK) {

        if (audit->failing) {
            ngx_log_error(NGX_LOG_NOTICE, audit->log, 0,
                          "the audit file is written again");

            audit->failing = 0;

            ngx_http_tccbs_audit_rewritten();
        }

        if (full && !audit->retry.timer_set) {
            ngx_add_timer(&audit->retry, NGX_HTTP_TCCBS_AUDIT_RETRY);
        }

        /* with no room for outcomes an intent is durable, but of no use */

        ngx_http_tccbs_audit_settle(NGX_OK, full ? NGX_ERROR : NGX_OK);
        ngx_http_tccbs_audit_next();

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

    ngx_http_tccbs_audit_settle(NGX_ERROR, NGX_ERROR);
}


/* "rc": what became of the batch; "said": what those who wait are told. */

static void
ngx_http_tccbs_audit_settle(ngx_int_t rc, ngx_int_t said)
{
    ngx_queue_t                   ready, *q, *next;
    ngx_http_tccbs_audit_t       *audit;
    ngx_http_tccbs_batch_t       *batch;
    ngx_http_tccbs_audit_wait_t  *wait;

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

        if (!ngx_http_tccbs_batch_empty(batch)) {
            audit->durable = batch->last;

            ngx_http_tccbs_chain_durable(batch->last - 1, batch->hash);

            if (audit->conf->syslog) {
                ngx_http_tccbs_batch_copy(batch, audit->conf->syslog,
                                          audit->log);
            }
        }

        ngx_http_tccbs_batch_done(batch);

        audit->busy = 0;
    }

    /* a handler may cancel another wait of this very queue */

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        wait = ngx_queue_data(q, ngx_http_tccbs_audit_wait_t, queue);

        ngx_http_tccbs_audit_cancel(wait);
        wait->handler(wait->data, said);
    }
}


static void
ngx_http_tccbs_audit_retry_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_audit_t  *audit;

    audit = &ngx_http_tccbs_audit;

    /* an empty batch asks for room */

    if (audit->failing || !audit->busy) {
        audit->busy = 1;
        ngx_http_tccbs_audit_write();
    }
}


static void
ngx_http_tccbs_audit_anchor_handler(ngx_event_t *ev)
{
    if (ngx_http_tccbs_audit.records
        && ngx_http_tccbs_audit_anchor("time", 0) == NGX_OK)
    {
        ngx_http_tccbs_audit_kick();
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
