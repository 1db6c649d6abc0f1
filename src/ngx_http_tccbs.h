
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_H_INCLUDED_
#define _NGX_HTTP_TCCBS_H_INCLUDED_


#include "ngx_http_tccbs_compat.h"
#include "ngx_http_tccbs_account.h"
#include "ngx_http_tccbs_audit.h"
#include "ngx_http_tccbs_keeper.h"
#include "ngx_http_tccbs_redis.h"
#include "ngx_http_tccbs_store.h"
#include "ngx_tccbs_call.h"


typedef struct ngx_http_tccbs_ctx_s       ngx_http_tccbs_ctx_t;
typedef struct ngx_http_tccbs_identity_s  ngx_http_tccbs_identity_t;


typedef struct {
    ngx_shm_zone_t                *zone;
    ngx_tccbs_arena_t             *arena;
    ngx_flag_t                     core_dump;
    ngx_array_t                    logs;         /* ngx_log_t *, of callers */
    ngx_array_t                    credentials;  /* of pointers */
    ngx_http_tccbs_keeper_conf_t   keeper;
    ngx_array_t                    accounts;     /* of pointers */
    ngx_tccbs_index_t             *keys;
    ngx_tccbs_index_t             *identities;
    ngx_uint_t                     nkeys;
    ngx_str_t                      key_master;   /* in the arena, or empty */
    ngx_http_tccbs_audit_conf_t    audit;
    ngx_http_tccbs_redis_conf_t   *redis;        /* NULL: this gateway alone */
    u_char                         policy[16];   /* digest, hexadecimal */
    ngx_http_tccbs_recent_t       *recent;
    ngx_atomic_t                  *nobody;       /* metrics without account */
    ngx_uint_t                    *loaded;       /* it is in use */
    ngx_uint_t                     status;       /* tccbs_status is used */
    ngx_uint_t                     pass;         /* tccbs_pass is used */
} ngx_http_tccbs_main_conf_t;


typedef struct {
    ngx_uint_t                     pass;         /* in one of its locations */
} ngx_http_tccbs_srv_conf_t;


typedef struct {
    ngx_http_upstream_conf_t       upstream;
    ngx_str_t                      host;         /* of tccbs_pass */
    ngx_str_t                      name;         /* verified, SNI, signed */
    ngx_uint_t                     pass;
    u_char                        *status_file;  /* of tccbs_status */
    ngx_uint_t                     status;       /* its line, or 0 */
    ngx_uint_t                     local;        /* status for this host only */

    ngx_http_tccbs_identity_t     *identity;     /* NULL: by signature */
    ngx_array_t                   *signed_hosts; /* ngx_str_t */
    ngx_msec_t                     total_timeout;
    size_t                         body_size;
    size_t                         response_size;
    ngx_flag_t                     monitor;
    ngx_flag_t                     snapshot_tag;
    time_t                         replay_window;
    time_t                         hold;

    ngx_str_t                      ssl_trusted_certificate;
    ngx_str_t                      ssl_crl;
    ngx_str_t                      ssl_name;
    ngx_str_t                      ssl_ciphers;
    ngx_uint_t                     ssl_verify_depth;
    ngx_uint_t                     ssl_protocols;
} ngx_http_tccbs_loc_conf_t;


/* The request headers that are read; each at most once. */

typedef struct {
    ngx_str_t                      authorization;
    ngx_str_t                      host;
    ngx_str_t                      content_type;
    ngx_str_t                      action;
    ngx_str_t                      version;
    ngx_str_t                      region;
    ngx_str_t                      timestamp;
    ngx_str_t                      token;
    ngx_str_t                      language;
    ngx_str_t                      client;
    ngx_str_t                      trace;
    ngx_str_t                      payload;
} ngx_http_tccbs_headers_t;


/* One exchange with the upstream. */

typedef struct {
    ngx_http_tccbs_ctx_t          *ctx;
    ngx_http_request_t            *request;      /* the subrequest */
    ngx_http_status_t              status;
    ngx_http_chunked_t             chunked;
    off_t                          length;       /* -1: not given */
    off_t                          rest;
    u_char                        *body;
    size_t                         size;
    size_t                         room;
    ngx_uint_t                     informational;
    ngx_msec_t                     start;
    ngx_msec_t                     ms;
    size_t                         sent;

    unsigned                       started:1;
    unsigned                       wrote:1;      /* bytes met a connection */
    unsigned                       header:1;     /* complete */
    unsigned                       close:1;      /* Connection: close */
    unsigned                       complete:1;
    unsigned                       oversized:1;
    unsigned                       timedout:1;
    unsigned                       have_chunked:1;
    unsigned                       done:1;
    unsigned                       rotated:1;    /* another key signs now */
} ngx_http_tccbs_attempt_t;


struct ngx_http_tccbs_ctx_s {
    ngx_http_request_t            *request;
    ngx_http_tccbs_main_conf_t    *mcf;
    ngx_http_tccbs_loc_conf_t     *lcf;
    ngx_uint_t                     stage;

    ngx_str_t                      id;           /* of request and records */
    ngx_msec_t                     start;
    ngx_http_tccbs_headers_t       headers;
    ngx_str_t                      trace;        /* of traceparent, or empty */
    ngx_str_t                      parent;
    ngx_str_t                      body;

    ngx_http_tccbs_account_t      *account;
    ngx_http_tccbs_key_t          *key;          /* NULL: mapped identity */
    u_char                         signature[NGX_TCCBS_SHA256_LEN];
    time_t                         stamp;        /* signed with it */
    ngx_tccbs_call_t               call;

    ngx_tccbs_error_t              error;        /* the refusal or failure */
    ngx_str_t                      rule;         /* that refused */
    ngx_tccbs_outcome_e            outcome;
    ngx_tccbs_reply_t              reply;
    ngx_http_tccbs_attempt_t       attempt;

    ngx_http_tccbs_stored_t       *entry;        /* the call in flight */
    u_char                         digest[NGX_TCCBS_SHA256_LEN];
    ngx_str_t                      claim;        /* in Redis: its token */
    ngx_str_t                      stored;       /* answer of another call */
    ngx_str_t                      original;     /* its id */

    ngx_http_tccbs_waiter_t       *waiter;       /* in the queue */
    ngx_msec_t                     queued;       /* since then */
    ngx_msec_t                     waiting;      /* for so long */
    ngx_uint_t                     throttled;    /* attempts refused so */
    ngx_uint_t                     rotations;    /* attempts given up so */
    ngx_uint_t                     term;         /* of the zone, on entry */

    ngx_http_tccbs_flight_t       *flight;       /* open intent */
    ngx_str_t                      signer;       /* key id of that intent */
    ngx_str_t                      receipt;      /* of that intent */
    ngx_str_t                      caller;       /* members of its record */
    ngx_http_tccbs_audit_wait_t    wait;
    ngx_event_t                    timer;        /* of the stage */
    ngx_msec_t                     delay;        /* to wait for */
    ngx_uint_t                     retry_after;  /* seconds */
    uint32_t                       quota_day;    /* taken then, 0: not */
    ngx_uint_t                     limited;      /* by whom */

    ngx_http_tccbs_redis_call_t    ask;          /* of Redis, by a stage */
    ngx_msec_t                     asked_at;
    ngx_msec_t                     asking;       /* for so long, in all */
    uint32_t                       owed;         /* copies, told with it */
    uint32_t                       owed_day;

    ngx_http_event_handler_pt      body_handler;
    ngx_buf_t                     *body_out;     /* in place of nginx's own */

    unsigned                       traced:1;     /* traceparent was seen */
    unsigned                       called:1;     /* the call was understood */
    unsigned                       decided:1;
    unsigned                       recorded:1;   /* the outcome */
    unsigned                       pending:1;    /* it is not durable yet */
    unsigned                       monitored:1;  /* would be refused */
    unsigned                       poll:1;       /* ask the stage again */
    unsigned                       asked:1;      /* Redis */
    unsigned                       waited:1;     /* for another call */
    unsigned                       retry:1;      /* another attempt follows */
    unsigned                       answered:1;
    unsigned                       replaced:1;
};


#define NGX_HTTP_TCCBS_VERSION  "0.1.0"


extern ngx_module_t  ngx_http_tccbs_module;


#endif /* _NGX_HTTP_TCCBS_H_INCLUDED_ */
