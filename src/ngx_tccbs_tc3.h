
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_TC3_H_INCLUDED_
#define _NGX_TCCBS_TC3_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"


/* TC3-HMAC-SHA256, the signature v3 of the Tencent Cloud API documentation. */

#define NGX_TCCBS_TC3_NAMES      16
#define NGX_TCCBS_TC3_DATE_LEN   10
#define NGX_TCCBS_TC3_WINDOW     300          /* seconds, either side */
#define NGX_TCCBS_TC3_SERVICE    255


typedef struct {
    ngx_str_t          key_id;
    ngx_str_t          date;                  /* YYYY-MM-DD */
    ngx_str_t          service;
    ngx_str_t          signed_headers;        /* as written */
    ngx_str_t          names[NGX_TCCBS_TC3_NAMES];
    ngx_uint_t         nnames;
    u_char             signature[NGX_TCCBS_SHA256_LEN];
} ngx_tccbs_tc3_auth_t;


typedef struct {
    ngx_str_t          name;                  /* lower case */
    ngx_str_t          value;                 /* as received */
} ngx_tccbs_tc3_header_t;


/* What was received, or is to be sent, as far as the signature covers it. */

typedef struct {
    ngx_str_t                method;
    ngx_str_t                uri;             /* canonical: "/" */
    ngx_str_t                query;           /* raw; empty for POST */
    ngx_tccbs_tc3_header_t  *headers;         /* one entry per name */
    ngx_uint_t               nheaders;
    ngx_str_t                timestamp;       /* the text of X-TC-Timestamp */
    ngx_str_t                payload;         /* the bytes that are hashed */
} ngx_tccbs_tc3_request_t;


/*
 * Reads an Authorization value.  The result points into "value".
 * NGX_OK, or NGX_DECLINED with a reason in "why" that quotes no input.
 */
ngx_int_t ngx_tccbs_tc3_parse(ngx_tccbs_tc3_auth_t *auth,
    const ngx_str_t *value, ngx_str_t *why);

/*
 * X-TC-Timestamp: ^[1-9][0-9]{9,10}$, seconds since the epoch, or NGX_ERROR.
 */
time_t ngx_tccbs_tc3_timestamp(const ngx_str_t *text);

/* The UTC date of a time as YYYY-MM-DD. */
void ngx_tccbs_tc3_date(time_t t, u_char date[NGX_TCCBS_TC3_DATE_LEN]);

/*
 * The signing key of one day and service:
 * HMAC(HMAC(HMAC("TC3" + secret, date), service), "tc3_request").
 */
ngx_int_t ngx_tccbs_tc3_day_key(u_char key[NGX_TCCBS_SHA256_LEN],
    const ngx_str_t *secret, const ngx_str_t *date, const ngx_str_t *service);

/*
 * The signature of "req" under the keyed "mac" (of the day key).  "names" are
 * the signed headers, ascending; a name that "req" lacks gives NGX_DECLINED.
 * Values of content-type and host are taken as they are, others trimmed and
 * lower-cased.
 */
ngx_int_t ngx_tccbs_tc3_sign(ngx_tccbs_mac_t *mac,
    u_char signature[NGX_TCCBS_SHA256_LEN], const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *date, const ngx_str_t *service, const ngx_str_t *names,
    ngx_uint_t nnames, ngx_pool_t *pool);

/*
 * What a POST of JSON to a service of Tencent Cloud says; "date" is that of the
 * timestamp and of the day key.
 */

typedef struct {
    ngx_str_t          key_id;
    ngx_str_t          date;
    ngx_str_t          service;
    ngx_str_t          timestamp;
    ngx_str_t          host;
    ngx_str_t          action;
    ngx_str_t          body;
} ngx_tccbs_tc3_post_t;

/* Its Content-Type, which is signed, and sent as it is. */
extern ngx_str_t  ngx_tccbs_tc3_json;

/*
 * The value of its Authorization header, with content-type, host and
 * x-tc-action signed under the keyed "mac": NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_tccbs_tc3_authorize(ngx_tccbs_mac_t *mac,
    const ngx_tccbs_tc3_post_t *post, ngx_str_t *authorization,
    ngx_pool_t *pool);

/*
 * Tries the received Host, the same without its port, both in lower case, and
 * each of "hosts"; with each the received Content-Type and its lower case.
 * All comparisons are in constant time.  Dates, times and key ids are the
 * caller's business.  NGX_OK, NGX_DECLINED (no candidate matches, or a signed
 * header is absent), NGX_ERROR.
 */
ngx_int_t ngx_tccbs_tc3_verify(ngx_tccbs_mac_t *mac,
    const ngx_tccbs_tc3_auth_t *auth, const ngx_tccbs_tc3_request_t *req,
    const ngx_str_t *hosts, ngx_uint_t nhosts, ngx_pool_t *pool);

/*
 * The scope's service is "cbs", or the first label of the received Host (all of
 * it, a port included, when there is no dot); there case is ignored.
 */
ngx_uint_t ngx_tccbs_tc3_service_valid(const ngx_str_t *service,
    const ngx_str_t *host);


#endif /* _NGX_TCCBS_TC3_H_INCLUDED_ */
