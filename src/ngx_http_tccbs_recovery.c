
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_http_tccbs_recovery.h"
#include "ngx_http_tccbs_restore.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_RECOVERY_PERIOD  1000
#define NGX_HTTP_TCCBS_RECOVERY_CLAIM   256      /* entries at a time */

/* records of a dead worker lie at the end: this much of it is read */

#define NGX_HTTP_TCCBS_RECOVERY_TAIL    (8 * 1024 * 1024)


static void ngx_http_tccbs_recovery_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_tccbs_recovery_round(void);
static u_char *ngx_http_tccbs_recovery_tail(u_char **end);
static size_t ngx_http_tccbs_recovery_before(u_char *p, size_t room);
static ngx_int_t ngx_http_tccbs_recovery_close(
    ngx_http_tccbs_flight_t *flight, u_char *tail, u_char *end);
static ngx_uint_t ngx_http_tccbs_recovery_find(u_char *p, u_char *end,
    u_char *id, const char *kind, ngx_http_tccbs_line_t *found);


static ngx_http_tccbs_flight_t      *ngx_http_tccbs_claimed[
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
                                      ngx_http_tccbs_recovery_conf);
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
    u_char                   *tail, *end;
    ngx_uint_t                i, n, more;
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

        ngx_http_tccbs_claimed[ngx_http_tccbs_nclaimed++] = flight;
    }

    if (ngx_http_tccbs_nclaimed == 0) {
        return 0;
    }

    tail = ngx_http_tccbs_recovery_tail(&end);
    if (tail == NULL) {
        return 0;
    }

    for (i = 0, n = 0; i < ngx_http_tccbs_nclaimed; i++) {
        flight = ngx_http_tccbs_claimed[i];

        if (ngx_http_tccbs_recovery_close(flight, tail, end) != NGX_OK) {
            ngx_http_tccbs_claimed[n++] = flight;
        }
    }

    ngx_http_tccbs_nclaimed = n;

    ngx_free(tail);

    return n ? 0 : more;
}


void
ngx_http_tccbs_recovery_exit(void)
{
    ngx_uint_t                n;
    ngx_http_tccbs_flight_t  *flight;

    if (ngx_http_tccbs_recovery_conf == NULL) {
        return;
    }

    n = 0;

    for ( ;; ) {
        flight = ngx_http_tccbs_flight_own(ngx_http_tccbs_recovery_conf->zone,
                                           &n);
        if (flight == NULL) {
            return;
        }

        if (!flight->closing) {
            (void) ngx_http_tccbs_recovery_close(flight, NULL, NULL);
        }
    }
}


/* The end of the file, behind that of the one before when there is room. */

static u_char *
ngx_http_tccbs_recovery_tail(u_char **end)
{
    u_char           *tail, *p;
    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t        *path;
    ngx_file_info_t   fi;

    path = &ngx_http_tccbs_recovery_conf->journal.path;

    tail = NULL;

    fd = ngx_open_file(path->data, NGX_FILE_RDWR|O_APPEND, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                      "reading the audit file \"%V\" failed", path);
        goto done;
    }

    tail = ngx_alloc(NGX_HTTP_TCCBS_RECOVERY_TAIL, ngx_cycle->log);
    if (tail == NULL) {
        goto done;
    }

    size = ngx_min(ngx_file_size(&fi), NGX_HTTP_TCCBS_RECOVERY_TAIL);

    p = tail + ngx_http_tccbs_recovery_before(tail,
                                        NGX_HTTP_TCCBS_RECOVERY_TAIL - size);

    n = pread(fd, p, size, ngx_file_size(&fi) - size);

    *end = p + ngx_max(n, 0);

    /* a line that its writer did not finish must not swallow the next one */

    if (n > 0 && (*end)[-1] != LF) {
        (void) ngx_write_fd(fd, "\n", 1);
    }

done:

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }

    return tail;
}


static size_t
ngx_http_tccbs_recovery_before(u_char *p, size_t room)
{
    u_char           *name;
    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_pool_t       *pool;
    ngx_file_info_t   fi;

    n = 0;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return 0;
    }

    name = ngx_http_tccbs_scan_before(
                                 &ngx_http_tccbs_recovery_conf->journal.path,
                                 ngx_http_tccbs_recovery_conf->hold, pool);

    fd = name ? ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0)
              : NGX_INVALID_FILE;

    if (fd != NGX_INVALID_FILE) {

        if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR) {
            size = ngx_min(ngx_file_size(&fi), (off_t) room);
            n = pread(fd, p, size, ngx_file_size(&fi) - size);
        }

        (void) ngx_close_file(fd);
    }

    ngx_destroy_pool(pool);

    return ngx_max(n, 0);
}


static ngx_int_t
ngx_http_tccbs_recovery_close(ngx_http_tccbs_flight_t *flight, u_char *tail,
    u_char *end)
{
    ngx_str_t              id, rest;
    ngx_uint_t             sending, intended;
    ngx_http_tccbs_line_t  intent, outcome;

    id.data = flight->id;
    id.len = NGX_TCCBS_UUID_LEN;

    intended = 0;
    sending = (flight->state == NGX_HTTP_TCCBS_FLIGHT_SENDING);

    if (tail) {

        intended = ngx_http_tccbs_recovery_find(tail, end, id.data, "intent",
                                                &intent);

        if (ngx_http_tccbs_recovery_find(tail, end, id.data, "outcome",
                                         &outcome)
            || ngx_http_tccbs_recovery_find(tail, end, id.data, "recovery",
                                            &outcome))
        {
            if (intended
                && ngx_http_tccbs_restore_ended(ngx_http_tccbs_recovery_conf,
                                                &intent, &outcome,
                                                ngx_cycle->log)
                   == NGX_ERROR)
            {
                return NGX_ERROR;
            }

            ngx_http_tccbs_flight_free(flight);
            return NGX_OK;
        }

        if (!intended && !sending) {
            ngx_http_tccbs_flight_free(flight);
            return NGX_OK;
        }
    }

    if (sending) {
        ngx_str_set(&rest, "\"kind\":\"recovery\",\"outcome\":\"unknown\"");

        if (intended
            && ngx_http_tccbs_restore_intent(ngx_http_tccbs_recovery_conf,
                                             &intent, ngx_cycle->log)
               == NGX_ERROR)
        {
            return NGX_ERROR;
        }

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


/* Whether there is that record; a torn line is none. */

static ngx_uint_t
ngx_http_tccbs_recovery_find(u_char *p, u_char *end, u_char *id,
    const char *kind, ngx_http_tccbs_line_t *found)
{
    u_char  *start, *line;
    u_char   key[sizeof("\"id\":\"") + NGX_TCCBS_UUID_LEN];
    u_char   want[32];
    size_t   id_len, key_len, want_len;

    id_len = NGX_TCCBS_UUID_LEN;
    key_len = ngx_sprintf(key, "\"id\":\"%*s\"", id_len, id) - key;
    want_len = ngx_sprintf(want, ",\"kind\":\"%s\"", kind) - want;

    start = p;

    for ( ;; ) {
        p = memmem(p, end - p, key, key_len);
        if (p == NULL) {
            return 0;
        }

        line = memchr(p, LF, end - p);

        if (line && memmem(p, line - p, want, want_len)) {

            while (p > start && p[-1] != LF) {
                p--;
            }

            found->line = p;
            found->len = line - p;

            return 1;
        }

        p += key_len;
    }
}
