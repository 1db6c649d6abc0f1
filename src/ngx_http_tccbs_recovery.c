
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_recovery.h"
#include "ngx_http_tccbs_restore.h"
#include "ngx_http_tccbs_segment.h"


#define NGX_HTTP_TCCBS_RECOVERY_PERIOD  1000
#define NGX_HTTP_TCCBS_RECOVERY_CLAIM   256      /* entries at a time */

/* an intent that was being written is looked for in so much of the end */

#define NGX_HTTP_TCCBS_RECOVERY_TAIL    (8 * 1024 * 1024)


typedef struct {
    ngx_http_tccbs_flight_t        *flight;
    ngx_http_tccbs_line_t           intent;   /* empty: not found */
    ngx_http_tccbs_line_t           end;      /* its outcome or recovery */
} ngx_http_tccbs_claimed_t;


static void ngx_http_tccbs_recovery_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_tccbs_recovery_round(void);
static void ngx_http_tccbs_recovery_claimed(void);
static ngx_int_t ngx_http_tccbs_recovery_read(ngx_pool_t *pool);
static void ngx_http_tccbs_recovery_end_line(void);
static void ngx_http_tccbs_recovery_look(ngx_http_tccbs_segment_t *segment,
    size_t *seen);
static ngx_uint_t ngx_http_tccbs_recovery_sought(size_t seen);
static void ngx_http_tccbs_recovery_line(ngx_http_tccbs_line_t *line);
static ngx_int_t ngx_http_tccbs_recovery_close(
    ngx_http_tccbs_claimed_t *claimed);
static ngx_int_t ngx_http_tccbs_recovery_append(
    ngx_http_tccbs_flight_t *flight);


static ngx_http_tccbs_claimed_t      ngx_http_tccbs_claimed[
                                                NGX_HTTP_TCCBS_RECOVERY_CLAIM];
static ngx_uint_t                    ngx_http_tccbs_nclaimed;
static ngx_event_t                   ngx_http_tccbs_recovery_event;
static ngx_connection_t              ngx_http_tccbs_recovery_dumb;
static ngx_http_tccbs_audit_conf_t  *ngx_http_tccbs_recovery_conf;


ngx_int_t
ngx_http_tccbs_recovery_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf)
{
    ngx_event_t  *ev;

    ngx_http_tccbs_recovery_conf = conf;

    ev = &ngx_http_tccbs_recovery_event;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ngx_http_tccbs_recovery_dumb.fd = (ngx_socket_t) -1;

    ev->handler = ngx_http_tccbs_recovery_handler;
    ev->data = &ngx_http_tccbs_recovery_dumb;
    ev->log = cycle->log;
    ev->cancelable = 1;

    /* after an upgrade, what the old workers are about to write comes first */

    ngx_add_timer(ev, ngx_inherited ? NGX_HTTP_TCCBS_RECOVERY_PERIOD : 1);

    return NGX_OK;
}


static void
ngx_http_tccbs_recovery_handler(ngx_event_t *ev)
{
    ngx_http_tccbs_takeover_t  *takeover;

    takeover = &ngx_http_tccbs_recovery_conf->takeover;

    /* a new binary that was given up again */

    if (!ngx_http_tccbs_takeover_present(takeover)
        && ngx_http_tccbs_takeover_gone(takeover))
    {
        (void) ngx_http_tccbs_restore((ngx_cycle_t *) ngx_cycle,
                                      ngx_http_tccbs_recovery_conf, 1);
    }

    if (ngx_http_tccbs_audit_ready()
        && ngx_http_tccbs_takeover_present(takeover))
    {
        while (ngx_http_tccbs_recovery_round()) { /* void */ }
    }

    ngx_add_timer(ev, NGX_HTTP_TCCBS_RECOVERY_PERIOD);
}


/*
 * The entries are taken first and the file is read then: whatever their owners
 * wrote is in it.  Those that cannot be closed are kept for the next time.
 */

static ngx_uint_t
ngx_http_tccbs_recovery_round(void)
{
    ngx_uint_t                n, more;
    ngx_http_tccbs_flight_t  *flight;

    n = 0;
    more = 1;

    while (ngx_http_tccbs_nclaimed < NGX_HTTP_TCCBS_RECOVERY_CLAIM) {

        flight = ngx_http_tccbs_flight_orphan(
                                   ngx_http_tccbs_recovery_conf->zone, &n);
        if (flight == NULL) {
            more = 0;
            break;
        }

        ngx_http_tccbs_claimed[ngx_http_tccbs_nclaimed++].flight = flight;
    }

    ngx_http_tccbs_recovery_claimed();

    return ngx_http_tccbs_nclaimed ? 0 : more;
}


/*
 * What this worker leaves open: an intent that was not sent may be in memory
 * still.  What cannot be closed is left to another worker or the next start,
 * and so is what other gateways have to be told, as this one says no more.
 */

void
ngx_http_tccbs_recovery_exit(void)
{
    ngx_uint_t                n;
    ngx_http_tccbs_flight_t  *flight;

    if (ngx_http_tccbs_recovery_conf == NULL) {
        return;
    }

    n = 0;

    do {
        ngx_http_tccbs_nclaimed = 0;

        while (ngx_http_tccbs_nclaimed < NGX_HTTP_TCCBS_RECOVERY_CLAIM) {

            flight = ngx_http_tccbs_flight_own(
                                   ngx_http_tccbs_recovery_conf->zone, &n);
            if (flight == NULL) {
                break;
            }

            if (flight->closing) {
                continue;
            }

            if (flight->state != NGX_HTTP_TCCBS_FLIGHT_SENDING) {
                (void) ngx_http_tccbs_recovery_append(flight);

            } else if (ngx_http_tccbs_recovery_conf->redis == NULL) {
                ngx_http_tccbs_claimed[ngx_http_tccbs_nclaimed++].flight
                                                                     = flight;
            }
        }

        ngx_http_tccbs_recovery_claimed();

    } while (flight);
}


/* Closes what was claimed; what cannot be stays so. */

static void
ngx_http_tccbs_recovery_claimed(void)
{
    ngx_uint_t                i, n;
    ngx_pool_t               *pool;
    ngx_http_tccbs_flight_t  *flight;

    if (ngx_http_tccbs_nclaimed == 0) {
        return;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    if (ngx_http_tccbs_recovery_read(pool) == NGX_OK) {

        for (i = 0, n = 0; i < ngx_http_tccbs_nclaimed; i++) {
            flight = ngx_http_tccbs_claimed[i].flight;

            if (ngx_http_tccbs_recovery_close(&ngx_http_tccbs_claimed[i])
                != NGX_OK)
            {
                ngx_http_tccbs_claimed[n++].flight = flight;
            }
        }

        ngx_http_tccbs_nclaimed = n;
    }

    ngx_destroy_pool(pool);
}


/* What the file says of the calls, and older ones as long as it is not all. */

static ngx_int_t
ngx_http_tccbs_recovery_read(ngx_pool_t *pool)
{
    size_t                     seen;
    ngx_uint_t                 i;
    ngx_array_t               *segments;
    ngx_http_tccbs_segment_t  *segment;

    for (i = 0; i < ngx_http_tccbs_nclaimed; i++) {
        ngx_http_tccbs_claimed[i].intent.len = 0;
        ngx_http_tccbs_claimed[i].end.len = 0;
    }

    segments = ngx_http_tccbs_segments(
                                 &ngx_http_tccbs_recovery_conf->journal.path,
                                 ngx_http_tccbs_recovery_conf->hold,
                                 NGX_LOG_ERR, pool);
    if (segments == NULL) {
        return NGX_ERROR;
    }

    segment = segments->elts;
    i = segments->nelts - 1;

    /* of the others one that cannot be read is as one that is gone */

    if (segment[i].unread) {
        return NGX_ERROR;
    }

    if (segment[i].start && segment[i].last[-1] != LF) {
        ngx_http_tccbs_recovery_end_line();
    }

    seen = 0;

    for (i = segments->nelts; i; i--) {
        ngx_http_tccbs_recovery_look(&segment[i - 1], &seen);
    }

    return NGX_OK;
}


/* A line that its writer did not finish must not swallow the next one. */

static void
ngx_http_tccbs_recovery_end_line(void)
{
    ngx_fd_t  fd;

    fd = ngx_open_file(ngx_http_tccbs_recovery_conf->journal.path.data,
                       NGX_FILE_WRONLY|O_APPEND, NGX_FILE_OPEN, 0);

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_write_fd(fd, "\n", 1);
        (void) ngx_close_file(fd);
    }
}


/* From the end: what is sought was written last, an end behind its intent. */

static void
ngx_http_tccbs_recovery_look(ngx_http_tccbs_segment_t *segment, size_t *seen)
{
    u_char                 *p, *lf;
    ngx_http_tccbs_line_t   line;

    /* what a crash cut off is no record */

    lf = segment->start ? memrchr(segment->start, LF,
                                  segment->last - segment->start)
                        : NULL;

    while (lf && ngx_http_tccbs_recovery_sought(*seen)) {

        p = memrchr(segment->start, LF, lf - segment->start);

        line.line = p ? p + 1 : segment->start;
        line.len = lf - line.line;

        *seen += line.len + 1;

        ngx_http_tccbs_recovery_line(&line);

        lf = p;
    }
}


static ngx_uint_t
ngx_http_tccbs_recovery_sought(size_t seen)
{
    ngx_uint_t                 i;
    ngx_http_tccbs_claimed_t  *claimed;

    for (i = 0; i < ngx_http_tccbs_nclaimed; i++) {
        claimed = &ngx_http_tccbs_claimed[i];

        if (claimed->intent.len == 0
            && (claimed->flight->state != NGX_HTTP_TCCBS_FLIGHT_INTENT
                || seen < NGX_HTTP_TCCBS_RECOVERY_TAIL))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_tccbs_recovery_line(ngx_http_tccbs_line_t *line)
{
    u_char                    *id;
    ngx_uint_t                 i;
    ngx_http_tccbs_line_e      kind;
    ngx_http_tccbs_claimed_t  *claimed;

    kind = ngx_http_tccbs_line_kind(line);

    if (kind == NGX_HTTP_TCCBS_LINE_NONE
        || kind == NGX_HTTP_TCCBS_LINE_OTHER)
    {
        return;
    }

    id = ngx_http_tccbs_line_id(line);

    for (i = 0; i < ngx_http_tccbs_nclaimed; i++) {
        claimed = &ngx_http_tccbs_claimed[i];

        if (ngx_memcmp(claimed->flight->id, id, NGX_TCCBS_UUID_LEN) != 0) {
            continue;
        }

        if (kind == NGX_HTTP_TCCBS_LINE_INTENT) {
            claimed->intent = *line;

        } else {
            claimed->end = *line;
        }

        return;
    }
}


static ngx_int_t
ngx_http_tccbs_recovery_close(ngx_http_tccbs_claimed_t *claimed)
{
    ngx_uint_t                intended, ended, sent;
    ngx_http_tccbs_flight_t  *flight;

    flight = claimed->flight;
    sent = (flight->state == NGX_HTTP_TCCBS_FLIGHT_SENDING);
    intended = (claimed->intent.len != 0);
    ended = (claimed->end.len != 0);

    if (ended && intended
        && ngx_http_tccbs_restore_ended(ngx_http_tccbs_recovery_conf,
                                        &claimed->intent, &claimed->end,
                                        ngx_cycle->log)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    /* what was never in the file has no end there */

    if (ended
        || (!intended && flight->state == NGX_HTTP_TCCBS_FLIGHT_INTENT))
    {
        ngx_http_tccbs_flight_free(flight);
        return NGX_OK;
    }

    if (intended
        && ngx_http_tccbs_restore_intent(ngx_http_tccbs_recovery_conf,
                                         &claimed->intent, sent,
                                         ngx_cycle->log)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return ngx_http_tccbs_recovery_append(flight);
}


static ngx_int_t
ngx_http_tccbs_recovery_append(ngx_http_tccbs_flight_t *flight)
{
    ngx_str_t  id, rest;

    id.data = flight->id;
    id.len = NGX_TCCBS_UUID_LEN;

    if (flight->state == NGX_HTTP_TCCBS_FLIGHT_SENDING) {
        ngx_str_set(&rest, "\"kind\":\"recovery\",\"outcome\":\"unknown\"");

    } else {
        ngx_str_set(&rest, "\"kind\":\"recovery\",\"outcome\":\"not-sent\"");
    }

    if (ngx_http_tccbs_audit_append(&id, &rest, flight, NULL) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "no audit record for the intent %V", &id);
        return NGX_ERROR;
    }

    return NGX_OK;
}
