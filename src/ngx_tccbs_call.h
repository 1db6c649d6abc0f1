
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_CALL_H_INCLUDED_
#define _NGX_TCCBS_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_json.h"
#include "ngx_tccbs_value.h"


/*
 * The two calls of CBS 2017-03-12 that the gateway knows, as the API
 * documentation of CopySnapshotCrossRegions and DescribeSnapshots has them.
 */

typedef enum {
    NGX_TCCBS_COPY = 0,
    NGX_TCCBS_DESCRIBE,
    NGX_TCCBS_NACTIONS
} ngx_tccbs_action_e;


#define NGX_TCCBS_CALL_REGIONS  32        /* destinations, at most */

typedef enum {
    NGX_TCCBS_NONE = 0,
    NGX_TCCBS_SUCCESS,
    NGX_TCCBS_PARTIAL,
    NGX_TCCBS_REJECTED,
    NGX_TCCBS_NOT_SENT,
    NGX_TCCBS_UNKNOWN
} ngx_tccbs_outcome_e;


/* A refusal in Tencent's terms: a code of protocol and a sentence. */

typedef struct {
    ngx_str_t               code;
    ngx_str_t               message;
} ngx_tccbs_error_t;


typedef struct {
    ngx_tccbs_action_e      action;
    ngx_str_t               from;         /* source region, X-TC-Region */

    /* CopySnapshotCrossRegions */
    ngx_str_t               snapshot;
    ngx_str_t               name;         /* data is NULL when absent */
    ngx_str_t               label;        /* name with the tag, or empty */
    ngx_str_t               tag;
    ngx_str_t              *to;
    ngx_uint_t              nto;

    /* DescribeSnapshots: its validated parameters */
    ngx_tccbs_json_t       *tree;
} ngx_tccbs_call_t;


typedef struct {
    ngx_str_t               region;
    ngx_str_t               snapshot;     /* the new one; empty when failed */
    ngx_str_t               code;         /* "Success" or an error code */
} ngx_tccbs_result_t;


typedef struct {
    ngx_tccbs_outcome_e     outcome;
    ngx_str_t               tcid;         /* Tencent's RequestId, or empty */
    ngx_str_t               code;         /* of Error, or empty */
    ngx_str_t               message;
    ngx_tccbs_result_t     *per;          /* copy: one per destination */
    ngx_uint_t              nper;
    ngx_tccbs_json_t       *tree;         /* NULL when unusable */
    const char             *why;          /* when unusable: the reason */
} ngx_tccbs_reply_t;


extern ngx_str_t  ngx_tccbs_outcomes[];   /* names, by ngx_tccbs_outcome_e */

/* The action of that exact name (case counts), or NGX_ERROR. */
ngx_int_t ngx_tccbs_action(const ngx_str_t *name);
extern ngx_str_t  ngx_tccbs_actions[];    /* names, by ngx_tccbs_action_e */

/*
 * Reads the body of a call; call->action and call->from are set by the caller.
 * NGX_OK; NGX_DECLINED with "error" filled in (InvalidParameter: bad JSON or
 * type; UnknownParameter; MissingParameter; InvalidParameterValue); NGX_ERROR
 * when there is no memory.
 */
ngx_int_t ngx_tccbs_call_parse(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    const ngx_str_t *body, ngx_tccbs_error_t *error);

/*
 * A tag: the first 16 hexadecimal digits of a call's id, which the new snapshot
 * carries at the end of its name (" #0123456789abcdef"), so that a copy whose
 * answer was lost can be found.  The first function gives the call its tag and
 * label: NGX_OK, NGX_DECLINED when the name has no room for it, or NGX_ERROR;
 * the second one finds the tag of a name, 0 when it has none.
 */
#define NGX_TCCBS_TAG_LEN   16
#define NGX_TCCBS_NAME_MAX  60            /* characters of SnapshotName */

ngx_int_t ngx_tccbs_call_tag(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    const ngx_str_t *id);
ngx_uint_t ngx_tccbs_name_tag(const ngx_str_t *name, ngx_str_t *tag);

/* The body of the call in its one canonical form, made from the values. */
void ngx_tccbs_call_write(const ngx_tccbs_call_t *call, ngx_tccbs_out_t *out);

/*
 * Classifies the upstream's answer to "call".  The outcome of a copy is
 * SUCCESS, PARTIAL, REJECTED when Tencent's answer is definite, UNKNOWN when
 * it is not: status other than 200, no strict JSON, no RequestId, no entry for
 * a destination, a "Success" without a new snapshot, an "InternalError*" code,
 * results beside an "Error".
 * A read is SUCCESS, REJECTED or UNKNOWN by the same rules.  NGX_OK, or
 * NGX_ERROR when there is no memory.
 */
ngx_int_t ngx_tccbs_reply_parse(ngx_tccbs_reply_t *reply, ngx_pool_t *pool,
    const ngx_tccbs_call_t *call, ngx_uint_t status, const ngx_str_t *body);

/* The result for that region, or NULL. */
ngx_tccbs_result_t *ngx_tccbs_reply_region(const ngx_tccbs_reply_t *reply,
    const ngx_str_t *region);

/* An error code after which nobody knows whether the call was carried out. */
ngx_uint_t ngx_tccbs_code_indefinite(const ngx_str_t *code);

/* The answer to a copy with these results, in the form of Tencent's. */
void ngx_tccbs_reply_made(ngx_tccbs_out_t *out, const ngx_str_t *id,
    const ngx_tccbs_result_t *per, ngx_uint_t n);

/*
 * The answer for the caller, rebuilt from the tree: a null "Error" is left out
 * and a null "Message" in a result is "", since SDKs crash on them.
 */
void ngx_tccbs_reply_write(const ngx_tccbs_reply_t *reply,
    ngx_tccbs_out_t *out);


#endif /* _NGX_TCCBS_CALL_H_INCLUDED_ */
