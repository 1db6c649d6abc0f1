
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_AUDIT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_AUDIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_batch.h"
#include "ngx_http_tccbs_redis_conf.h"
#include "ngx_http_tccbs_takeover.h"
#include "ngx_http_tccbs_journal.h"
#include "ngx_http_tccbs_zone.h"


/*
 * The audit log: records of one line each, a chain of its own per worker.
 * Records are appended to memory in the event loop; what has gathered is given
 * to the journal, one batch at a time.
 */

/* How long a request waits for its record: longer is a refusal. */

#define NGX_HTTP_TCCBS_AUDIT_TIMEOUT  2000


typedef struct {
    ngx_http_tccbs_journal_conf_t   journal;
    ngx_http_tccbs_takeover_t       takeover;
    ngx_shm_zone_t                 *zone;
    ngx_str_t                       key;          /* of the macs, or empty */
    ngx_syslog_peer_t              *syslog;       /* copies, or NULL */
    ngx_http_tccbs_redis_conf_t    *redis;        /* of the gateways, or NULL */
    time_t                          hold;         /* the longest of each */
    time_t                          window;
    time_t                          flight;
} ngx_http_tccbs_audit_conf_t;


typedef void (*ngx_http_tccbs_audit_pt)(void *data, ngx_int_t rc);

typedef struct {
    ngx_queue_t                 queue;
    uint64_t                    pos;
    ngx_http_tccbs_audit_pt     handler;
    void                       *data;
    ngx_uint_t                  active;       /* unsigned  active:1; */
} ngx_http_tccbs_audit_wait_t;


ngx_int_t ngx_http_tccbs_audit_init(ngx_cycle_t *cycle,
    ngx_http_tccbs_audit_conf_t *conf);

/*
 * The end of a process, when its threads have been joined: after stop() nobody
 * is woken any more, exit() writes what is there then.
 */
void ngx_http_tccbs_audit_stop(void);
void ngx_http_tccbs_audit_exit(ngx_cycle_t *cycle);

/*
 * 0 while the journal cannot be written, or has no room for the outcomes of
 * more calls: no intent may be appended then.
 */
ngx_uint_t ngx_http_tccbs_audit_ready(void);

/*
 * Appends a record: "rest" is what follows the common members, it starts with
 * "kind".  The position is for ngx_http_tccbs_audit_wait().  A "flight" is
 * freed once the record is durable.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_tccbs_audit_append(ngx_str_t *id, ngx_str_t *rest,
    ngx_http_tccbs_flight_t *flight, uint64_t *pos);

/* The same for a record nobody waits for: it is written within a second. */
ngx_int_t ngx_http_tccbs_audit_note(ngx_str_t *id, ngx_str_t *rest);

/*
 * NGX_OK when the record at wait->pos is durable; NGX_AGAIN: the handler will
 * be called with NGX_OK, or with NGX_ERROR when its batch could not be written.
 */
ngx_int_t ngx_http_tccbs_audit_wait(ngx_http_tccbs_audit_wait_t *wait);
void ngx_http_tccbs_audit_cancel(ngx_http_tccbs_audit_wait_t *wait);


#endif /* _NGX_HTTP_TCCBS_AUDIT_H_INCLUDED_ */
