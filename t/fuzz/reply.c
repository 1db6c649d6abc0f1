
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_call.h"


/*
 * An answer of the upstream is classified as the sentences of ngx_tccbs_call.h
 * say, judged here a second time over the tree of values; what the caller gets
 * is read in the same way again.
 */

#define REGIONS  4

static ngx_tccbs_outcome_e judge(const ngx_tccbs_call_t *call,
    ngx_uint_t status, ngx_tccbs_json_t *root);
static ngx_tccbs_outcome_e judge_results(const ngx_tccbs_call_t *call,
    ngx_tccbs_json_t *set);
static void results(const ngx_tccbs_call_t *call,
    const ngx_tccbs_reply_t *reply);
static void written(ngx_pool_t *pool, const ngx_tccbs_call_t *call,
    const ngx_tccbs_reply_t *reply);
static ngx_uint_t string(ngx_tccbs_json_t *node);
static ngx_uint_t absent(ngx_tccbs_json_t *node);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                   f = { data, size };
    ngx_int_t                rc;
    ngx_str_t                body, why;
    ngx_uint_t               status, choice;
    ngx_pool_t              *pool;
    ngx_tccbs_call_t         call;
    ngx_tccbs_json_t        *root;
    ngx_tccbs_reply_t        reply;
    ngx_tccbs_outcome_e      want;
    ngx_tccbs_json_limits_t  limits = { 16, 65536 };

    static ngx_str_t  to[REGIONS] = {
        ngx_string("ap-beijing"), ngx_string("ap-singapore"),
        ngx_string("na-ashburn"), ngx_string("eu-frankfurt")
    };

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    choice = fuzz_byte(&f);

    ngx_memzero(&call, sizeof(call));

    call.action = (choice & 1) ? NGX_TCCBS_DESCRIBE : NGX_TCCBS_COPY;
    call.to = to;
    call.nto = 1 + (choice >> 1) % REGIONS;
    status = (choice & 0x80) ? 500 : 200;

    body = fuzz_copy(pool, f.p, f.len);

    must(ngx_tccbs_reply_parse(&reply, pool, &call, status, &body) == NGX_OK);

    rc = ngx_tccbs_json_parse(pool, &body, &limits, &root, &why);
    want = (rc == NGX_OK) ? judge(&call, status, root) : NGX_TCCBS_UNKNOWN;

    must(reply.outcome == want);
    must((reply.tree == NULL) == (reply.why != NULL));
    must(reply.tree != NULL || reply.outcome == NGX_TCCBS_UNKNOWN);
    must(reply.tcid.len <= 64 && fuzz_printable(&reply.tcid));

    if (reply.tree) {
        must(reply.tcid.len > 0);
        results(&call, &reply);
        written(pool, &call, &reply);
    }

    ngx_destroy_pool(pool);

    return 0;
}


static ngx_uint_t
string(ngx_tccbs_json_t *node)
{
    return node != NULL && node->type == NGX_TCCBS_JSON_STRING;
}


static ngx_uint_t
absent(ngx_tccbs_json_t *node)
{
    return node == NULL || node->type == NGX_TCCBS_JSON_NULL;
}


static ngx_tccbs_outcome_e
judge(const ngx_tccbs_call_t *call, ngx_uint_t status, ngx_tccbs_json_t *root)
{
    size_t             i;
    ngx_tccbs_json_t  *response, *id, *error, *code, *set, *count;

    response = ngx_tccbs_json_get(root, "Response");
    id = ngx_tccbs_json_get(response, "RequestId");

    if (status != 200 || !string(id) || id->value.len < 1
        || id->value.len > 64)
    {
        return NGX_TCCBS_UNKNOWN;
    }

    for (i = 0; i < id->value.len; i++) {
        if (!isgraph(id->value.data[i]) || id->value.data[i] >= 0x80) {
            return NGX_TCCBS_UNKNOWN;
        }
    }

    error = ngx_tccbs_json_get(response, "Error");
    set = ngx_tccbs_json_get(response, "SnapshotCopyResultSet");

    if (!absent(error)) {
        code = ngx_tccbs_json_get(error, "Code");

        if (!string(code) || code->value.len == 0
            || !string(ngx_tccbs_json_get(error, "Message"))
            || (code->value.len >= 13
                && memcmp(code->value.data, "InternalError", 13) == 0))
        {
            return NGX_TCCBS_UNKNOWN;
        }

        /* an error beside results: nobody can say what was done */

        if (call->action == NGX_TCCBS_COPY && !absent(set)) {
            return NGX_TCCBS_UNKNOWN;
        }

        return NGX_TCCBS_REJECTED;
    }

    if (call->action == NGX_TCCBS_COPY) {
        return judge_results(call, set);
    }

    set = ngx_tccbs_json_get(response, "SnapshotSet");
    count = ngx_tccbs_json_get(response, "TotalCount");

    return (set && set->type == NGX_TCCBS_JSON_ARRAY
            && count && count->type == NGX_TCCBS_JSON_NUMBER)
           ? NGX_TCCBS_SUCCESS : NGX_TCCBS_UNKNOWN;
}


static ngx_tccbs_outcome_e
judge_results(const ngx_tccbs_call_t *call, ngx_tccbs_json_t *set)
{
    ngx_uint_t         i, n, done, failed;
    ngx_tccbs_json_t  *item, *found, *code, *id, *region;

    if (set == NULL || set->type != NGX_TCCBS_JSON_ARRAY
        || set->n != call->nto)
    {
        return NGX_TCCBS_UNKNOWN;
    }

    done = 0;
    failed = 0;

    for (i = 0; i < call->nto; i++) {

        found = NULL;
        n = 0;

        for (item = set->child; item; item = item->next) {
            region = ngx_tccbs_json_get(item, "DestinationRegion");

            if (string(region) && fuzz_same(&region->value, &call->to[i])) {
                found = item;
                n++;
            }
        }

        if (n != 1) {
            return NGX_TCCBS_UNKNOWN;
        }

        code = ngx_tccbs_json_get(found, "Code");
        id = ngx_tccbs_json_get(found, "SnapshotId");

        if (!string(code) || code->value.len == 0
            || (!absent(id) && !string(id)))
        {
            return NGX_TCCBS_UNKNOWN;
        }

        if (fuzz_is(&code->value, "Success")) {

            if (!string(id) || id->value.len == 0) {
                return NGX_TCCBS_UNKNOWN;
            }

            done++;
            continue;
        }

        if (code->value.len >= 13
            && memcmp(code->value.data, "InternalError", 13) == 0)
        {
            return NGX_TCCBS_UNKNOWN;
        }

        failed++;
    }

    return failed ? (done ? NGX_TCCBS_PARTIAL : NGX_TCCBS_REJECTED)
                  : NGX_TCCBS_SUCCESS;
}


static void
results(const ngx_tccbs_call_t *call, const ngx_tccbs_reply_t *reply)
{
    ngx_uint_t           i;
    ngx_tccbs_result_t  *result;

    if (call->action != NGX_TCCBS_COPY || reply->code.len) {
        must(reply->nper == 0);
        return;
    }

    must(reply->nper == call->nto);

    for (i = 0; i < call->nto; i++) {
        result = ngx_tccbs_reply_region(reply, &call->to[i]);

        must(result != NULL && result->code.len > 0);
        must((result->snapshot.len > 0) == fuzz_is(&result->code, "Success"));
    }
}


static void
written(ngx_pool_t *pool, const ngx_tccbs_call_t *call,
    const ngx_tccbs_reply_t *reply)
{
    ngx_str_t           text, twice;
    ngx_uint_t          i;
    ngx_tccbs_out_t     out;
    ngx_tccbs_json_t   *response, *item, *node;
    ngx_tccbs_reply_t   again;

    ngx_tccbs_out_init(&out, pool, 16);
    ngx_tccbs_reply_write(reply, &out);
    must(!out.failed);

    text = ngx_tccbs_out_str(&out);
    text = fuzz_copy(pool, text.data, text.len);
    must(fuzz_printable(&text));

    must(ngx_tccbs_reply_parse(&again, pool, call, 200, &text) == NGX_OK);

    must(again.outcome == reply->outcome);
    must(fuzz_same(&again.tcid, &reply->tcid));
    must(fuzz_same(&again.code, &reply->code));
    must(again.nper == reply->nper);

    ngx_tccbs_out_init(&out, pool, 16);
    ngx_tccbs_reply_write(&again, &out);
    twice = ngx_tccbs_out_str(&out);
    must(fuzz_same(&text, &twice));

    /* what crashes SDKs is not in it */

    response = ngx_tccbs_json_get(again.tree, "Response");
    node = ngx_tccbs_json_get(response, "Error");
    must(node == NULL || node->type != NGX_TCCBS_JSON_NULL);

    if (reply->nper == 0) {
        return;
    }

    node = ngx_tccbs_json_get(response, "SnapshotCopyResultSet");

    for (item = node->child; item; item = item->next) {
        node = ngx_tccbs_json_get(item, "Message");
        must(node == NULL || node->type != NGX_TCCBS_JSON_NULL);
    }

    /* the answer that is made of these results alone */

    for (i = 0; i < reply->nper; i++) {
        if (reply->per[i].snapshot.len == 0) {
            ngx_str_set(&reply->per[i].snapshot, "");
        }
    }

    ngx_tccbs_out_init(&out, pool, 16);
    ngx_tccbs_reply_made(&out, &reply->tcid, reply->per, reply->nper);
    text = ngx_tccbs_out_str(&out);

    must(ngx_tccbs_reply_parse(&again, pool, call, 200, &text) == NGX_OK);
    must(again.outcome == reply->outcome && again.nper == reply->nper);
}
