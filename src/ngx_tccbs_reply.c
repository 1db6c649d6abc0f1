
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_call.h"
#include "ngx_tccbs_text.h"


#define NGX_TCCBS_REPLY_DEPTH  16
#define NGX_TCCBS_REPLY_NODES  65536
#define NGX_TCCBS_REPLY_ID     64


static ngx_uint_t ngx_tccbs_reply_id(ngx_tccbs_json_t *node);
static void ngx_tccbs_reply_error(ngx_tccbs_reply_t *reply,
    ngx_tccbs_json_t *node);
static ngx_int_t ngx_tccbs_reply_results(ngx_tccbs_reply_t *reply,
    ngx_pool_t *pool, const ngx_tccbs_call_t *call, ngx_tccbs_json_t *set);
static ngx_uint_t ngx_tccbs_reply_result(ngx_tccbs_reply_t *reply,
    const ngx_tccbs_call_t *call, ngx_tccbs_json_t *item);
static void ngx_tccbs_reply_unusable(ngx_tccbs_reply_t *reply,
    const char *why);
static void ngx_tccbs_reply_mend(ngx_tccbs_json_t *response);


ngx_int_t
ngx_tccbs_reply_parse(ngx_tccbs_reply_t *reply, ngx_pool_t *pool,
    const ngx_tccbs_call_t *call, ngx_uint_t status, const ngx_str_t *body)
{
    ngx_int_t                rc;
    ngx_str_t                why;
    ngx_tccbs_json_t        *root, *response, *node, *set;
    ngx_tccbs_json_limits_t  limits;

    ngx_memzero(reply, sizeof(ngx_tccbs_reply_t));

    limits.depth = NGX_TCCBS_REPLY_DEPTH;
    limits.nodes = NGX_TCCBS_REPLY_NODES;

    rc = ngx_tccbs_json_parse(pool, body, &limits, &root, &why);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_tccbs_reply_unusable(reply, "no valid JSON");
        return NGX_OK;
    }

    response = ngx_tccbs_json_get(root, "Response");

    if (response == NULL || response->type != NGX_TCCBS_JSON_OBJECT) {
        ngx_tccbs_reply_unusable(reply, "no Response");
        return NGX_OK;
    }

    node = ngx_tccbs_json_get(response, "RequestId");

    if (!ngx_tccbs_reply_id(node)) {
        ngx_tccbs_reply_unusable(reply, "no RequestId");
        return NGX_OK;
    }

    reply->tcid = node->value;

    if (status != 200) {
        ngx_tccbs_reply_unusable(reply, "status other than 200");
        return NGX_OK;
    }

    reply->tree = root;

    node = ngx_tccbs_json_get(response, "Error");
    set = ngx_tccbs_json_get(response, "SnapshotCopyResultSet");

    if (node && node->type != NGX_TCCBS_JSON_NULL) {

        if (call->action == NGX_TCCBS_COPY
            && set && set->type != NGX_TCCBS_JSON_NULL)
        {
            ngx_tccbs_reply_unusable(reply, "an Error beside results");

        } else {
            ngx_tccbs_reply_error(reply, node);
        }

    } else if (call->action == NGX_TCCBS_COPY) {

        if (ngx_tccbs_reply_results(reply, pool, call, set) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        set = ngx_tccbs_json_get(response, "SnapshotSet");
        node = ngx_tccbs_json_get(response, "TotalCount");

        if (set == NULL || set->type != NGX_TCCBS_JSON_ARRAY
            || node == NULL || node->type != NGX_TCCBS_JSON_NUMBER)
        {
            ngx_tccbs_reply_unusable(reply, "no SnapshotSet or TotalCount");

        } else {
            reply->outcome = NGX_TCCBS_SUCCESS;
        }
    }

    if (reply->tree) {
        ngx_tccbs_reply_mend(response);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_tccbs_reply_id(ngx_tccbs_json_t *node)
{
    size_t  i;

    if (node == NULL || node->type != NGX_TCCBS_JSON_STRING
        || node->value.len == 0 || node->value.len > NGX_TCCBS_REPLY_ID)
    {
        return 0;
    }

    for (i = 0; i < node->value.len; i++) {
        if (node->value.data[i] <= ' ' || node->value.data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_tccbs_reply_error(ngx_tccbs_reply_t *reply, ngx_tccbs_json_t *node)
{
    ngx_tccbs_json_t  *code, *message;

    code = ngx_tccbs_json_get(node, "Code");
    message = ngx_tccbs_json_get(node, "Message");

    if (code == NULL || code->type != NGX_TCCBS_JSON_STRING
        || code->value.len == 0
        || message == NULL || message->type != NGX_TCCBS_JSON_STRING)
    {
        ngx_tccbs_reply_unusable(reply, "an Error without Code or Message");
        return;
    }

    reply->code = code->value;
    reply->message = message->value;

    reply->outcome = ngx_tccbs_code_indefinite(&code->value)
                     ? NGX_TCCBS_UNKNOWN : NGX_TCCBS_REJECTED;
}


/* One result for each destination of the call, and none besides. */

static ngx_int_t
ngx_tccbs_reply_results(ngx_tccbs_reply_t *reply, ngx_pool_t *pool,
    const ngx_tccbs_call_t *call, ngx_tccbs_json_t *set)
{
    ngx_uint_t               i, done, indefinite;
    ngx_tccbs_json_t        *item;

    if (set == NULL || set->type != NGX_TCCBS_JSON_ARRAY
        || set->n != call->nto)
    {
        ngx_tccbs_reply_unusable(reply, "not one result for each destination");
        return NGX_OK;
    }

    reply->per = ngx_pcalloc(pool, set->n * sizeof(ngx_tccbs_result_t));
    if (reply->per == NULL) {
        return NGX_ERROR;
    }

    for (item = set->child; item; item = item->next) {
        if (!ngx_tccbs_reply_result(reply, call, item)) {
            reply->nper = 0;
            ngx_tccbs_reply_unusable(reply, "a malformed result");
            return NGX_OK;
        }
    }

    done = 0;
    indefinite = 0;

    for (i = 0; i < reply->nper; i++) {
        done += ngx_tccbs_is(&reply->per[i].code, "Success");
        indefinite += ngx_tccbs_code_indefinite(&reply->per[i].code);
    }

    if (indefinite) {
        reply->outcome = NGX_TCCBS_UNKNOWN;

    } else if (done == reply->nper) {
        reply->outcome = NGX_TCCBS_SUCCESS;

    } else {
        reply->outcome = done ? NGX_TCCBS_PARTIAL : NGX_TCCBS_REJECTED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_tccbs_reply_result(ngx_tccbs_reply_t *reply, const ngx_tccbs_call_t *call,
    ngx_tccbs_json_t *item)
{
    ngx_uint_t           i;
    ngx_tccbs_json_t    *region, *snapshot, *code;
    ngx_tccbs_result_t  *result;

    region = ngx_tccbs_json_get(item, "DestinationRegion");
    snapshot = ngx_tccbs_json_get(item, "SnapshotId");
    code = ngx_tccbs_json_get(item, "Code");

    if (region == NULL || region->type != NGX_TCCBS_JSON_STRING
        || code == NULL || code->type != NGX_TCCBS_JSON_STRING
        || code->value.len == 0
        || (snapshot && snapshot->type != NGX_TCCBS_JSON_STRING
            && snapshot->type != NGX_TCCBS_JSON_NULL))
    {
        return 0;
    }

    for (i = 0; i < reply->nper; i++) {
        if (ngx_tccbs_same(&reply->per[i].region, &region->value)) {
            return 0;
        }
    }

    for (i = 0; i < call->nto; i++) {
        if (ngx_tccbs_same(&call->to[i], &region->value)) {
            break;
        }
    }

    if (i == call->nto) {
        return 0;
    }

    result = &reply->per[reply->nper++];

    result->region = region->value;
    result->code = code->value;

    if (!ngx_tccbs_is(&result->code, "Success")) {
        return 1;
    }

    if (snapshot == NULL || snapshot->type != NGX_TCCBS_JSON_STRING
        || snapshot->value.len == 0)
    {
        return 0;
    }

    result->snapshot = snapshot->value;

    return 1;
}


ngx_uint_t
ngx_tccbs_code_indefinite(const ngx_str_t *code)
{
    return code->len >= 13
           && ngx_strncmp(code->data, "InternalError", 13) == 0;
}


ngx_tccbs_result_t *
ngx_tccbs_reply_region(const ngx_tccbs_reply_t *reply,
    const ngx_str_t *region)
{
    ngx_uint_t  i;

    for (i = 0; i < reply->nper; i++) {
        if (ngx_tccbs_same(&reply->per[i].region, region)) {
            return &reply->per[i];
        }
    }

    return NULL;
}


static void
ngx_tccbs_reply_unusable(ngx_tccbs_reply_t *reply, const char *why)
{
    reply->outcome = NGX_TCCBS_UNKNOWN;
    reply->tree = NULL;
    reply->why = why;
}


/* Python, PHP, Ruby and C++ crash on a null Error, Terraform on a Message. */

static void
ngx_tccbs_reply_mend(ngx_tccbs_json_t *response)
{
    ngx_tccbs_json_t  **p, *set, *item, *message;

    for (p = &response->child; *p; p = &(*p)->next) {
        if ((*p)->type == NGX_TCCBS_JSON_NULL
            && ngx_tccbs_is(&(*p)->name, "Error"))
        {
            *p = (*p)->next;
            response->n--;
            break;
        }
    }

    set = ngx_tccbs_json_get(response, "SnapshotCopyResultSet");

    if (set == NULL || set->type != NGX_TCCBS_JSON_ARRAY) {
        return;
    }

    for (item = set->child; item; item = item->next) {
        message = ngx_tccbs_json_get(item, "Message");

        if (message && message->type == NGX_TCCBS_JSON_NULL) {
            message->type = NGX_TCCBS_JSON_STRING;
            message->value.len = 0;
        }
    }
}


void
ngx_tccbs_reply_write(const ngx_tccbs_reply_t *reply, ngx_tccbs_out_t *out)
{
    ngx_tccbs_out_json(out, reply->tree);
}


void
ngx_tccbs_reply_made(ngx_tccbs_out_t *out, const ngx_str_t *id,
    const ngx_tccbs_result_t *per, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_tccbs_out_lit(out, "{\"Response\":{\"RequestId\":");
    ngx_tccbs_out_string(out, id);
    ngx_tccbs_out_lit(out, ",\"SnapshotCopyResultSet\":[");

    for (i = 0; i < n; i++) {
        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_lit(out, "{\"Code\":");
        ngx_tccbs_out_string(out, &per[i].code);
        ngx_tccbs_out_lit(out, ",\"DestinationRegion\":");
        ngx_tccbs_out_string(out, &per[i].region);
        ngx_tccbs_out_lit(out, ",\"Message\":\"\",\"SnapshotId\":");
        ngx_tccbs_out_string(out, &per[i].snapshot);
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]}}");
}
