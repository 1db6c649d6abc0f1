
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _AUDIT_H_INCLUDED_
#define _AUDIT_H_INCLUDED_


/*
 * What the audit log of a worker stands on: a journal that ends a write when it
 * is told to, well or not, an event loop whose rounds and timers the test turns,
 * and what else nginx would have.  Memory and OpenSSL fail when fail_at() says.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/hmac.h>

#include "calls.h"
#include "ngx_http_tccbs_audit.h"
#include "ngx_http_tccbs_metrics.h"
#include "shm.h"
#include "tap.h"


#define FILE_SIZE  (4 * 1024 * 1024)
#define WRITES     8                          /* at exit, at most */
#define ROUNDS     8
#define LAZY       1                          /* which timer */
#define RETRY      2
#define ANCHOR     3


static u_char                           file[FILE_SIZE];
static size_t                           size;
static ngx_uint_t                       sealed;

static struct {
    ngx_http_tccbs_journal_pt           handler;
    ngx_http_tccbs_journal_reopen_pt    reopen;
    u_char                             *data;
    size_t                              len;
    ngx_uint_t                          flags;
    ngx_uint_t                          writes;
    ngx_uint_t                          written;
    ngx_int_t                           now[WRITES];  /* at exit */
    ngx_uint_t                          nnow;
    ngx_int_t                           init;
} journal;

static ngx_http_tccbs_shm_t             shm;
static ngx_shm_zone_t                   zone;
static ngx_http_tccbs_flight_t          flights[256], *freed[256];
static ngx_uint_t                       nfreed, alerts, copies, bad;
static ngx_http_tccbs_audit_conf_t      conf;
static ngx_cycle_t                      cycle;
static ngx_log_t                        log;
static ngx_event_t                     *first;    /* the four, in a row */
static int                              armed, at, count;
static ngx_uint_t                       nopen;     /* that can be */
static ngx_int_t                        told;
static ngx_uint_t                       ntold;

ngx_queue_t                             ngx_posted_events;
ngx_queue_t                             ngx_posted_next_events;
ngx_rbtree_t                            ngx_event_timer_rbtree;
static ngx_rbtree_node_t                sentinel;
volatile ngx_msec_t                     ngx_current_msec;


/* The memory of a worker ends with its process, which here never ends. */

const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
    return "detect_leaks=0";
}


static int
fails(void)
{
    return armed && count++ == at;
}


/* Of what can fail from here on, the n-th does, until "armed" is 0. */

static void
fail_at(int n)
{
    count = 0;
    at = n;
    armed = 1;
}


openssl_calls(failing)


void *
ngx_alloc(size_t n, ngx_log_t *to)
{
    return fails() ? NULL : malloc(n);
}


void
ngx_gmtime(time_t t, ngx_tm_t *tp)
{
    (void) gmtime_r(&t, tp);

    tp->tm_year += 1900;
    tp->tm_mon++;
}


/* Of nginx's formats those that are used: "%uL", "%*s", and those of C. */

u_char * ngx_cdecl
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    int          width;
    size_t       len;
    va_list      args;
    const char  *s;

    va_start(args, fmt);

    while (*fmt) {

        if (*fmt != '%') {
            *buf++ = *fmt++;

        } else if (strncmp(fmt, "%uL", 3) == 0) {
            buf += sprintf((char *) buf, "%llu",
                           va_arg(args, unsigned long long));
            fmt += 3;

        } else if (strncmp(fmt, "%*s", 3) == 0) {
            len = va_arg(args, size_t);
            buf = ngx_cpymem(buf, va_arg(args, u_char *), len);
            fmt += 3;

        } else if (strncmp(fmt, "%s", 2) == 0) {
            s = va_arg(args, const char *);
            buf = ngx_cpymem(buf, s, strlen(s));
            fmt += 2;

        } else {
            width = fmt[2] - '0';
            buf += sprintf((char *) buf, "%0*d", width, va_arg(args, int));
            fmt += 4;
        }
    }

    va_end(args);

    return buf;
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *to, ngx_err_t err,
    const char *fmt, ...)
{
    alerts += (level == NGX_LOG_ALERT);
}


ngx_http_tccbs_shm_t *
ngx_http_tccbs_zone_shm(ngx_shm_zone_t *z)
{
    return &shm;
}


void
ngx_http_tccbs_flight_free(ngx_http_tccbs_flight_t *flight)
{
    freed[nfreed++] = flight;
}


ngx_uint_t
ngx_http_tccbs_families_kind(const ngx_str_t *rest)
{
    return 0;
}


void
ngx_http_tccbs_metrics_add(ngx_atomic_t *area, ngx_http_tccbs_metric_e metric,
    ngx_uint_t one, ngx_uint_t two, ngx_uint_t n)
{
}


u_char *
ngx_syslog_add_header(ngx_syslog_peer_t *peer, u_char *buf)
{
    return ngx_cpymem(buf, "<190>", 5);
}


ssize_t
ngx_syslog_send(ngx_syslog_peer_t *peer, u_char *buf, size_t len)
{
    copies += (len > 5 && ngx_strncmp(buf, "<190>{\"v\":1", 11) == 0
               && buf[len - 1] == '}');
    return len;
}


ngx_int_t
ngx_http_tccbs_journal_init(ngx_cycle_t *c,
    ngx_http_tccbs_journal_conf_t *jcf, ngx_http_tccbs_journal_pt handler,
    ngx_http_tccbs_journal_reopen_pt reopen)
{
    journal.handler = handler;
    journal.reopen = reopen;

    return journal.init;
}


void
ngx_http_tccbs_journal_write(u_char *data, size_t len, ngx_uint_t flags)
{
    journal.data = data;
    journal.len = len;
    journal.flags = flags;
    journal.writes++;
}


static void
put(void)
{
    sealed += (journal.flags & NGX_HTTP_TCCBS_JOURNAL_SEAL) ? 1 : 0;

    ngx_memcpy(file + size, journal.data, journal.len);
    size += journal.len;
}


ngx_int_t
ngx_http_tccbs_journal_write_now(u_char *data, size_t len, ngx_uint_t flags)
{
    ngx_int_t  rc;

    ngx_http_tccbs_journal_write(data, len, flags);

    rc = journal.now[journal.nnow++];

    if (rc == NGX_OK) {
        put();
    }

    return rc;
}


ngx_uint_t
ngx_http_tccbs_journal_written(void)
{
    return journal.written;
}


/* The write that is under way ends. */

static void
ends(ngx_int_t rc, ngx_uint_t found)
{
    if (rc == NGX_OK) {
        put();
    }

    journal.handler(rc, found);
}


/* One round of the event loop: whether there was anything. */

static ngx_uint_t
turn(void)
{
    ngx_uint_t    n;
    ngx_event_t  *ev;
    ngx_queue_t  *q;

    n = 0;

    if (!ngx_queue_empty(&ngx_posted_next_events)) {
        ngx_queue_add(&ngx_posted_events, &ngx_posted_next_events);
        ngx_queue_init(&ngx_posted_next_events);
    }

    while (!ngx_queue_empty(&ngx_posted_events)) {
        q = ngx_queue_head(&ngx_posted_events);
        ev = ngx_queue_data(q, ngx_event_t, queue);

        ngx_delete_posted_event(ev);
        ev->handler(ev);
        n++;
    }

    return n;
}


static void
turns(void)
{
    while (turn()) { /* void */ }
}


static ngx_uint_t
timer(ngx_uint_t which)
{
    return first[which].timer_set
           ? first[which].timer.key - ngx_current_msec : 0;
}


static void
fire(ngx_uint_t which)
{
    ngx_current_msec = first[which].timer.key;
    ngx_rbtree_delete(&ngx_event_timer_rbtree, &first[which].timer);
    first[which].timer_set = 0;
    first[which].handler(&first[which]);
    turns();
}


static void
insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *end)
{
    ngx_rbtree_node_t  **p;

    for ( ;; ) {
        p = (node->key < temp->key) ? &temp->left : &temp->right;

        if (*p == end) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = end;
    node->right = end;
}


/* A worker of its own, with nothing written. */

static ngx_int_t
start(void)
{
    ngx_int_t  rc;

    size = 0;
    sealed = 0;
    nfreed = 0;
    alerts = 0;
    ntold = 0;
    told = -100;

    ngx_memzero(&journal, sizeof(journal));
    ngx_memzero(&shm, sizeof(shm));
    ngx_memzero(&log, sizeof(log));
    ngx_memzero(&conf.journal, sizeof(conf.journal));

    log.log_level = NGX_LOG_DEBUG;
    shm.nflights = nopen;
    cycle.log = &log;
    conf.zone = &zone;
    conf.syslog = NULL;

    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);
    ngx_rbtree_init(&ngx_event_timer_rbtree, &sentinel, insert);

    rc = ngx_http_tccbs_audit_init(&cycle, &conf);

    /* the one that is set then */

    if (rc == NGX_OK) {
        first = ngx_rbtree_data(ngx_event_timer_rbtree.root, ngx_event_t,
                                timer)
                - ANCHOR;
    }

    return rc;
}


static ngx_int_t
record(ngx_uint_t n, ngx_http_tccbs_flight_t *flight, uint64_t *pos,
    ngx_uint_t note)
{
    u_char     text[64], uuid[64];
    ngx_str_t  id, rest;

    id.data = uuid;
    id.len = sprintf((char *) uuid, "%08x-0000-4000-8000-000000000000",
                     (unsigned) n);
    rest.data = text;
    rest.len = sprintf((char *) text, "\"kind\":\"intent\",\"n\":%u",
                       (unsigned) n);

    return note ? ngx_http_tccbs_audit_note(&id, &rest)
                : ngx_http_tccbs_audit_append(&id, &rest, flight, pos);
}


static ngx_int_t
append(ngx_uint_t n, ngx_http_tccbs_flight_t *flight, uint64_t *pos)
{
    return record(n, flight, pos, 0);
}


static ngx_int_t
note(ngx_uint_t n)
{
    return record(n, NULL, NULL, 1);
}


static void
woken(void *data, ngx_int_t rc)
{
    told = rc;
    ntold++;
}


static ngx_http_tccbs_audit_wait_t *
waiting(uint64_t pos)
{
    static ngx_uint_t                   n;
    static ngx_http_tccbs_audit_wait_t  waits[64];

    ngx_http_tccbs_audit_wait_t        *wait;

    wait = &waits[n++ % 64];
    ngx_memzero(wait, sizeof(*wait));
    wait->pos = pos;
    wait->handler = woken;

    return wait;
}


/* How often a text is in the file. */

static ngx_uint_t
has(const char *text)
{
    u_char      *p;
    ngx_uint_t   n;

    n = 0;

    for (p = file; (p = memmem(p, file + size - p, text, strlen(text))) != NULL;
         p++)
    {
        n++;
    }

    return n;
}


static ngx_uint_t
has_record(ngx_uint_t n)
{
    char  text[32];

    sprintf(text, "\"n\":%u}", (unsigned) n);

    return has(text);
}


static ngx_uint_t
signed_by(const ngx_str_t *key, u_char *p, u_char *last)
{
    unsigned  n;
    u_char    mac[NGX_TCCBS_SHA256_LEN], hex[NGX_TCCBS_HEX_LEN];

    static const char  member[] = ",\"mac\":\"";

    last -= sizeof(hex) + 2;

    (void) HMAC(EVP_sha256(), key->data, key->len, p,
                last - (sizeof(member) - 1) - p, mac, &n);
    (void) ngx_tccbs_hex(hex, mac, sizeof(mac));

    return memcmp(last - (sizeof(member) - 1), member, sizeof(member) - 1) == 0
           && memcmp(last, hex, sizeof(hex)) == 0;
}


/* From 0 on each number once, each line with the hash of the one before. */

static ngx_uint_t
chained(void)
{
    u_char      *p, *lf;
    size_t       len;
    ngx_str_t    line;
    uint64_t     seq;
    char         want[128];
    u_char       hash[NGX_TCCBS_SHA256_LEN];
    u_char       hex[NGX_TCCBS_HEX_LEN + 1];

    ngx_memzero(hash, sizeof(hash));

    for (p = file, seq = 0; p < file + size; p = lf + 1, seq++) {

        lf = memchr(p, '\n', file + size - p);
        if (lf == NULL) {
            return 0;
        }

        *ngx_tccbs_hex(hex, hash, sizeof(hash)) = '\0';
        len = sprintf(want, "\"seq\":%u,\"prev\":\"%s\"", (unsigned) seq, hex);

        if (memcmp(p, "{\"v\":1,\"time\":\"20", 17) != 0
            || memmem(p, lf - p, want, len) == NULL
            || (conf.key.len && !signed_by(&conf.key, p, lf)))
        {
            return 0;
        }

        line.data = p;
        line.len = lf - p;
        (void) ngx_tccbs_sha256(hash, &line, 1);
    }

    return seq > 0;
}


#endif /* _AUDIT_H_INCLUDED_ */
