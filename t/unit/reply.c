
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_call.h"
#include "tap.h"


#define ID      "\"RequestId\":\"req-1\""
#define BJ      "\"DestinationRegion\":\"ap-beijing\""
#define SG      "\"DestinationRegion\":\"ap-singapore\""
#define DONE    "\"Code\":\"Success\",\"SnapshotId\":\"snap-new1\""
#define BUSY    "\"Code\":\"ResourceBusy\""
#define GOOD    "{" BJ "," DONE "}"
#define SET(s)  "{\"Response\":{" ID ",\"SnapshotCopyResultSet\":[" s "]}}"
#define ERR(e)  "{\"Response\":{" ID ",\"Error\":" e "}}"
#define LOOK(l) "{\"Response\":{" ID "," l "}}"


static ngx_pool_t        *pool;
static ngx_tccbs_call_t   call;
static ngx_str_t          to[] = {
    ngx_string("ap-beijing"), ngx_string("ap-singapore")
};


static ngx_tccbs_outcome_e
judge(ngx_tccbs_reply_t *reply, ngx_uint_t status, const char *text)
{
    ngx_str_t  body;

    body = str(text);

    if (ngx_tccbs_reply_parse(reply, pool, &call, status, &body) != NGX_OK) {
        return NGX_TCCBS_NONE;
    }

    return reply->outcome;
}


static void
expect(ngx_tccbs_outcome_e outcome, const char *text)
{
    ngx_tccbs_reply_t  reply;

    ok(judge(&reply, 200, text) == outcome,
       "%s: %.160s", (char *) ngx_tccbs_outcomes[outcome].data, text);

    /* what is unusable is shown to nobody, and says why */

    ok((reply.tree == NULL) == (reply.why != NULL), "a tree or a reason");
    ok(reply.tree || (outcome == NGX_TCCBS_UNKNOWN && reply.nper == 0),
       "no results of what is unusable");
}


static void
test_envelope(void)
{
    size_t             i;
    char               text[200];
    ngx_tccbs_reply_t  reply;

    struct {
        const char  *text;
        const char  *why;
    } bad[] = {
        { "", "no valid JSON" },
        { "x", "no valid JSON" },
        { SET(GOOD) "x", "no valid JSON" },
        { "null", "no Response" },
        { "[]", "no Response" },
        { "{}", "no Response" },
        { "{\"Response\":null}", "no Response" },
        { "{\"Response\":[]}", "no Response" },
        { "{\"Response\":\"x\"}", "no Response" },
        { "{\"Response\":{}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":null}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":1}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":\"\"}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":\"a b\"}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":\"a\\u007f\"}}", "no RequestId" },
        { "{\"Response\":{\"RequestId\":\"\\u00e9\"}}", "no RequestId" }
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect(NGX_TCCBS_UNKNOWN, bad[i].text);
        ok(judge(&reply, 200, bad[i].text) == NGX_TCCBS_UNKNOWN
           && reply.why && strcmp(reply.why, bad[i].why) == 0,
           "since there is %s", bad[i].why);
    }

    expect(NGX_TCCBS_UNKNOWN, "{\"Response\":{" ID "}}");

    for (i = 64; i <= 65; i++) {
        snprintf(text, sizeof(text), "{\"Response\":{\"RequestId\":\"%0*d\","
                 "\"SnapshotCopyResultSet\":[" GOOD "]}}", (int) i, 0);
        expect((i == 64) ? NGX_TCCBS_SUCCESS : NGX_TCCBS_UNKNOWN, text);
    }

    ok(judge(&reply, 500, SET(GOOD)) == NGX_TCCBS_UNKNOWN
       && is(&reply.tcid, "req-1"),
       "another status: unknown, with the id of it");
}


static void
test_error(void)
{
    ngx_tccbs_reply_t  reply;

    expect(NGX_TCCBS_REJECTED, ERR("{\"Code\":\"LimitExceeded\","
                                   "\"Message\":\"\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Code\":\"InternalError\","
                                  "\"Message\":\"m\"}"));
    expect(NGX_TCCBS_REJECTED, ERR("{\"Code\":\"InternalErro\","
                                   "\"Message\":\"m\"}"));
    expect(NGX_TCCBS_REJECTED, ERR("{\"Code\":\"internalError\","
                                   "\"Message\":\"m\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Message\":\"m\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Code\":null,\"Message\":\"m\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Code\":\"\",\"Message\":\"m\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Code\":\"LimitExceeded\"}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("{\"Code\":\"LimitExceeded\","
                                  "\"Message\":null}"));
    expect(NGX_TCCBS_UNKNOWN, ERR("\"LimitExceeded\""));
    expect(NGX_TCCBS_UNKNOWN, ERR("false"));

    /* both at once: nobody knows which is true */

    expect(NGX_TCCBS_UNKNOWN, "{\"Response\":{" ID ",\"Error\":{"
           "\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
           "\"SnapshotCopyResultSet\":[" GOOD "]}}");
    expect(NGX_TCCBS_UNKNOWN, "{\"Response\":{" ID ",\"Error\":{"
           "\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
           "\"SnapshotCopyResultSet\":[]}}");
    expect(NGX_TCCBS_REJECTED, "{\"Response\":{" ID ",\"Error\":{"
           "\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
           "\"SnapshotCopyResultSet\":null}}");

    (void) judge(&reply, 200, ERR("{\"Code\":\"LimitExceeded\","
                                  "\"Message\":\"m\"}"));
    ok(is(&reply.code, "LimitExceeded") && is(&reply.message, "m"),
       "its code and text");
}


static void
test_results(void)
{
    ngx_str_t            other;
    ngx_tccbs_reply_t    reply;
    ngx_tccbs_result_t  *result;

    call.nto = 1;

    expect(NGX_TCCBS_SUCCESS, SET(GOOD));
    expect(NGX_TCCBS_REJECTED, SET("{" BJ "," BUSY "}"));
    expect(NGX_TCCBS_REJECTED, SET("{" BJ "," BUSY ",\"SnapshotId\":null}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":\"InternalError.X\"}"));

    expect(NGX_TCCBS_UNKNOWN, SET(""));
    expect(NGX_TCCBS_UNKNOWN, SET(GOOD ",{" SG "," DONE "}"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotCopyResultSet\":null"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotCopyResultSet\":{}"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotCopyResultSet\":{"
                                   "\"a\":" GOOD "}"));
    expect(NGX_TCCBS_UNKNOWN, SET("null"));
    expect(NGX_TCCBS_UNKNOWN, SET("\"Success\""));
    expect(NGX_TCCBS_UNKNOWN, SET("{" DONE "}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{\"DestinationRegion\":null," DONE "}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" SG "," DONE "}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"SnapshotId\":\"snap-new1\"}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":0}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":\"\"}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":\"Success\"}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":\"Success\","
                                  "\"SnapshotId\":null}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ ",\"Code\":\"Success\","
                                  "\"SnapshotId\":\"\"}"));
    expect(NGX_TCCBS_UNKNOWN, SET("{" BJ "," BUSY ",\"SnapshotId\":1}"));

    call.nto = 2;

    expect(NGX_TCCBS_SUCCESS, SET("{" SG "," DONE "}," GOOD));
    expect(NGX_TCCBS_PARTIAL, SET(GOOD ",{" SG "," BUSY "}"));
    expect(NGX_TCCBS_REJECTED, SET("{" BJ "," BUSY "},{" SG "," BUSY "}"));
    expect(NGX_TCCBS_UNKNOWN, SET(GOOD ",{" SG ","
                                  "\"Code\":\"InternalError\"}"));
    expect(NGX_TCCBS_UNKNOWN, SET(GOOD));
    expect(NGX_TCCBS_UNKNOWN, SET(GOOD "," GOOD));
    expect(NGX_TCCBS_UNKNOWN, SET(GOOD ",null"));

    (void) judge(&reply, 200, SET(GOOD ",{" SG "," BUSY "}"));

    result = ngx_tccbs_reply_region(&reply, &to[1]);
    ok(result && is(&result->code, "ResourceBusy")
       && result->snapshot.len == 0, "the result of a region");
    result = ngx_tccbs_reply_region(&reply, &to[0]);
    ok(result && is(&result->snapshot, "snap-new1"), "and of another one");

    other = str("ap-tokyo");
    ok(ngx_tccbs_reply_region(&reply, &other) == NULL, "of no other");

    call.nto = 1;
}


static void
test_look(void)
{
    call.action = NGX_TCCBS_DESCRIBE;

    expect(NGX_TCCBS_SUCCESS, LOOK("\"SnapshotSet\":[],\"TotalCount\":0"));
    expect(NGX_TCCBS_SUCCESS, LOOK("\"SnapshotSet\":[],\"TotalCount\":0,"
                                   "\"Error\":null"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"TotalCount\":0"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotSet\":{},\"TotalCount\":0"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotSet\":[]"));
    expect(NGX_TCCBS_UNKNOWN, LOOK("\"SnapshotSet\":[],\"TotalCount\":\"0\""));

    /* the results of a copy are nothing here */

    expect(NGX_TCCBS_REJECTED, "{\"Response\":{" ID ",\"Error\":{"
           "\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
           "\"SnapshotCopyResultSet\":[]}}");

    call.action = NGX_TCCBS_COPY;
}


/* What SDKs crash on is mended, and nothing else is touched. */

static void
test_mended(void)
{
    size_t              i;
    ngx_str_t           text;
    ngx_tccbs_out_t     out;
    ngx_tccbs_reply_t   reply;
    ngx_tccbs_result_t  two[2];

    const char  *cases[][2] = {
        { LOOK("\"Error\":null,\"SnapshotCopyResultSet\":[" GOOD "]"),
          SET(GOOD) },
        { LOOK("\"Odd\":null,\"SnapshotCopyResultSet\":[" GOOD "]"),
          LOOK("\"Odd\":null,\"SnapshotCopyResultSet\":[" GOOD "]") },
        { SET("{" BJ "," DONE ",\"Message\":null}"),
          SET("{" BJ "," DONE ",\"Message\":\"\"}") },
        { SET("{" BJ "," DONE ",\"Message\":\"m\"}"),
          SET("{" BJ "," DONE ",\"Message\":\"m\"}") },
        { ERR("{\"Code\":\"LimitExceeded\",\"Message\":\"m\"}"),
          ERR("{\"Code\":\"LimitExceeded\",\"Message\":\"m\"}") },
        { LOOK("\"Error\":{\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
               "\"SnapshotCopyResultSet\":null"),
          LOOK("\"Error\":{\"Code\":\"LimitExceeded\",\"Message\":\"m\"},"
               "\"SnapshotCopyResultSet\":null") }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void) judge(&reply, 200, cases[i][0]);

        ngx_tccbs_out_init(&out, pool, 100);
        ngx_tccbs_reply_write(&reply, &out);
        text = ngx_tccbs_out_str(&out);

        ok(is(&text, cases[i][1]), "written: %.200s", cases[i][1]);
    }

    (void) judge(&reply, 200, SET(GOOD));

    ngx_tccbs_out_init(&out, pool, 100);
    ngx_tccbs_reply_made(&out, &reply.tcid, reply.per, 1);
    text = ngx_tccbs_out_str(&out);

    ok(is(&text, SET("{\"Code\":\"Success\"," BJ ",\"Message\":\"\","
                     "\"SnapshotId\":\"snap-new1\"}")), "made of results");

    two[0] = reply.per[0];
    two[1] = reply.per[0];

    ngx_tccbs_out_init(&out, pool, 100);
    ngx_tccbs_reply_made(&out, &reply.tcid, two, 2);
    text = ngx_tccbs_out_str(&out);

    ok(memmem(text.data, text.len, "},{", 3) != NULL, "and of two");

    /* of another call's answer nothing is mended */

    call.action = NGX_TCCBS_DESCRIBE;
    (void) judge(&reply, 200, LOOK("\"SnapshotSet\":[],\"TotalCount\":0,"
                 "\"SnapshotCopyResultSet\":{\"a\":{\"Message\":null}}"));
    call.action = NGX_TCCBS_COPY;

    ngx_tccbs_out_init(&out, pool, 100);
    ngx_tccbs_reply_write(&reply, &out);
    text = ngx_tccbs_out_str(&out);

    ok(memmem(text.data, text.len, "{\"Message\":null}", 16) != NULL,
       "what is no set of results");

    text = bytes("InternalError", 8);
    ok(!ngx_tccbs_code_indefinite(&text), "a code ends where it ends");
}


int
main(void)
{
    pool = ngx_create_pool(1024, NULL);

    call.action = NGX_TCCBS_COPY;
    call.to = to;
    call.nto = 1;

    test_envelope();
    test_error();
    test_results();
    test_look();
    test_mended();

    ngx_destroy_pool(pool);

    return tap_done();
}
