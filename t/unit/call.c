
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_call.h"
#include "tap.h"


#define LONG  10000


static ngx_pool_t  *pool;
static ngx_str_t    codes[] = {
    ngx_string(""),
    ngx_string("InvalidParameter"),
    ngx_string("InvalidParameterValue"),
    ngx_string("MissingParameter"),
    ngx_string("UnknownParameter")
};

enum { GOOD, TYPE, VALUE, MISSING, UNKNOWN };


/* a text with "n" times a piece, between commas, in place of "@" */

static const char *
times(const char *form, const char *piece, int n)
{
    int          i;
    char        *p;
    const char  *at;

    p = ngx_palloc(pool, LONG);
    at = strchr(form, '@');

    memcpy(p, form, at - form);
    p[at - form] = '\0';

    for (i = 0; i < n; i++) {
        strcat(p, i ? "," : "");
        strcat(p, piece);
    }

    return strcat(p, at + 1);
}


static ngx_int_t
parse(ngx_tccbs_action_e action, const char *text, ngx_tccbs_call_t *call,
    ngx_tccbs_error_t *error)
{
    ngx_str_t  body;

    memset(call, 0, sizeof(ngx_tccbs_call_t));
    memset(error, 0, sizeof(ngx_tccbs_error_t));

    call->action = action;
    call->from = str("ap-guangzhou");
    body = str(text);

    return ngx_tccbs_call_parse(call, pool, &body, error);
}


static void
expect(ngx_tccbs_action_e action, const char *text, int code)
{
    ngx_int_t          rc;
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

    rc = parse(action, text, &call, &error);

    ok(rc == ((code == GOOD) ? NGX_OK : NGX_DECLINED)
       && is(&error.code, (char *) codes[code].data),
       "%s: %.60s", code ? (char *) codes[code].data : "good", text);
}


static void
test_describe(void)
{
    size_t       i;
    const char  *ids, *filters, *filter, *values, *disks;

    struct {
        const char  *text;
        int          code;
    } cases[] = {
        { "{}", GOOD },
        { "{\"SnapshotIds\":[1]}", TYPE },
        { "{\"SnapshotIds\":[\"snap-abcd\",null]}", TYPE },
        { "{\"SnapshotIds\":[\"snap-abc\"]}", VALUE },
        { "{\"Filters\":[1]}", TYPE },
        { "{\"Filters\":[{}]}", MISSING },
        { "{\"Filters\":[{\"Name\":\"zone\"}]}", MISSING },
        { "{\"Filters\":[{\"Values\":[\"a\"]}]}", MISSING },
        { "{\"Filters\":[{\"Name\":\"Zone\",\"Values\":[\"a\"]}]}", VALUE },
        { "{\"Filters\":[{\"Name\":\"zone\",\"Values\":[1]}]}", TYPE },
        { "{\"Filters\":[{\"Name\":\"zone\",\"Values\":[\"a\\n\"]}]}", VALUE },
        { "{\"Filters\":[{\"Name\":\"zone\",\"Values\":[]}]}", VALUE },
        { "{\"Filters\":[{\"Name\":\"zone\",\"Values\":[\"a\"]},"
          "{\"Name\":\"disk-id\",\"Values\":[\"b\"]}]}", GOOD },
        { "{\"SnapshotIds\":[],\"Filters\":[]}", TYPE },
        { "{\"SnapshotIds\":[\"x\"],\"Filters\":[]}", VALUE },
        { "{\"Limit\":1,\"Offset\":0}", GOOD },
        { "{\"Limit\":100}", GOOD },
        { "{\"Limit\":0}", VALUE },
        { "{\"Limit\":101}", VALUE },
        { "{\"Limit\":\"1\"}", TYPE },
        { "{\"Offset\":-1}", VALUE },
        { "{\"Offset\":1.5}", VALUE },
        { "{\"OrderField\":\"CREATE_TIME\",\"Order\":\"DESC\"}", GOOD },
        { "{\"OrderField\":\"create_time\"}", VALUE },
        { "{\"Order\":\"DES\"}", VALUE }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(NGX_TCCBS_DESCRIBE, cases[i].text, cases[i].code);
    }

    ids = "{\"SnapshotIds\":[@]}";
    expect(NGX_TCCBS_DESCRIBE, times(ids, "\"snap-abcd\"", 100), GOOD);
    expect(NGX_TCCBS_DESCRIBE, times(ids, "\"snap-abcd\"", 101), VALUE);

    filters = "{\"Filters\":[@]}";
    filter = "{\"Name\":\"zone\",\"Values\":[\"a\"]}";
    expect(NGX_TCCBS_DESCRIBE, times(filters, filter, 10), GOOD);
    expect(NGX_TCCBS_DESCRIBE, times(filters, filter, 11), VALUE);

    values = "{\"Filters\":[{\"Name\":\"zone\",\"Values\":[@]}]}";
    expect(NGX_TCCBS_DESCRIBE, times(values, "\"a\"", 100), GOOD);
    expect(NGX_TCCBS_DESCRIBE, times(values, "\"a\"", 101), VALUE);

    disks = "{\"Filters\":[{\"Name\":\"disk-id\",\"Values\":[@]}]}";
    expect(NGX_TCCBS_DESCRIBE, times(disks, "\"a\"", 10), GOOD);
    expect(NGX_TCCBS_DESCRIBE, times(disks, "\"a\"", 11), VALUE);
}


/* A copy to "n" regions, of a snapshot, with more. */

static const char *
regions(int n)
{
    int    i;
    char  *text;

    text = ngx_palloc(pool, LONG);
    strcpy(text, "{\"DestinationRegions\":[");

    for (i = 0; i < n; i++) {
        sprintf(text + strlen(text), "%s\"ap-r%02d\"", i ? "," : "", i);
    }

    return strcat(text, "],\"SnapshotId\":\"snap-abcd\"}");
}


static void
writes(const char *text, const char *want)
{
    ngx_str_t          got;
    ngx_tccbs_out_t    out;
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

    (void) parse(NGX_TCCBS_COPY, text, &call, &error);

    ngx_tccbs_out_init(&out, pool, 100);
    ngx_tccbs_call_write(&call, &out);
    got = ngx_tccbs_out_str(&out);

    ok(is(&got, want), "written: %.100s", want);
}


static void
test_copy(void)
{
    size_t             i;
    ngx_str_t          name;
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

#define TO(regions)    "{\"SnapshotId\":\"snap-abcd\","                        \
                       "\"DestinationRegions\":" regions "}"
#define OF(snapshot)   "{\"SnapshotId\":" snapshot ","                         \
                       "\"DestinationRegions\":[\"ap-beijing\"]}"
#define NAMED(name)    "{\"SnapshotId\":\"snap-abcd\","                        \
                       "\"DestinationRegions\":[\"ap-beijing\"],"              \
                       "\"SnapshotName\":" name "}"

    struct {
        const char  *text;
        int          code;
    } cases[] = {
        { TO("[\"ap-beijing\"]"), GOOD },
        { TO("[\"ap-beijing\",\"ap-singapore\"]"), GOOD },
        { TO("[\"ap-beijing\",\"ap-singapore\",\"ap-beijing\"]"), VALUE },
        { TO("[\"ap-guangzhou\"]"), VALUE },
        { TO("[\"ap-beijing\",\"ap-guangzhou\"]"), VALUE },
        { TO("[\"ap beijing\"]"), VALUE },
        { TO("[\"\"]"), VALUE },
        { TO("[]"), VALUE },
        { TO("[1]"), TYPE },
        { TO("[\"ap-beijing\",[\"ap-singapore\"]]"), TYPE },
        { TO("\"ap-beijing\""), TYPE },
        { TO("{}"), TYPE },
        { TO("null"), TYPE },
        { OF("\"snap-0a\""), VALUE },
        { OF("\"snap-ABCD\""), VALUE },
        { OF("\"disk-abcd\""), VALUE },
        { OF("1"), TYPE },
        { NAMED("\"n\""), GOOD },
        { NAMED("\"\""), VALUE },
        { NAMED("\"a\\n\""), VALUE },
        { NAMED("1"), TYPE },
        { NAMED("\"n\",\"X\":1"), UNKNOWN },
        { "{\"DestinationRegions\":[\"ap-beijing\"]}", MISSING },
        { "{\"SnapshotId\":\"snap-abcd\"}", MISSING },
        { "{\"SnapshotIds\":[],\"SnapshotId\":\"snap-abcd\"}", UNKNOWN },
        { "[]", TYPE },
        { "1", TYPE },
        { "{", TYPE },
        { "", TYPE }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(NGX_TCCBS_COPY, cases[i].text, cases[i].code);
    }

    /* there is room for so many regions, here and in other places */

    expect(NGX_TCCBS_COPY, regions(NGX_TCCBS_CALL_REGIONS), GOOD);
    expect(NGX_TCCBS_COPY, regions(NGX_TCCBS_CALL_REGIONS + 1), VALUE);

    (void) parse(NGX_TCCBS_COPY, regions(NGX_TCCBS_CALL_REGIONS), &call,
                 &error);
    ok(call.nto == NGX_TCCBS_CALL_REGIONS && is(&call.to[31], "ap-r31"),
       "all of them");

    writes(TO("[\"ap-beijing\", \"ap-singapore\"]"),
           "{\"DestinationRegions\":[\"ap-beijing\",\"ap-singapore\"],"
           "\"SnapshotId\":\"snap-abcd\"}");
    writes(NAMED("\"n\""),
           "{\"DestinationRegions\":[\"ap-beijing\"],"
           "\"SnapshotId\":\"snap-abcd\",\"SnapshotName\":\"n\"}");

    for (i = 0; i < NGX_TCCBS_NACTIONS; i++) {
        ok(ngx_tccbs_action(&ngx_tccbs_actions[i]) == (ngx_int_t) i,
           "action %d", (int) i);
    }

    name = str("CopySnapshotCrossRegion");
    ok(ngx_tccbs_action(&name) == NGX_ERROR, "no action");
}


/* Of a name that a caller made up, what is plain comes back, and not much. */

static void
test_echo(void)
{
    size_t             i;
    char               text[200];
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

    struct {
        const char  *name;
        const char  *shown;
    } cases[] = {
        { "Other", "Other" },
        { "a b", "a b" },
        { "\\u0001\\u001f\\u007f", "???" },
        { "\xc3\xa9", "??" },
        { "~!", "~!" },
        { "", "" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"%s\":1}", cases[i].name);
        (void) parse(NGX_TCCBS_COPY, text, &call, &error);

        snprintf(text, sizeof(text), "The parameter `%s` is not recognized.",
                 cases[i].shown);
        ok(is(&error.message, text), "shown: %s", text);
    }

    strcpy(text, "{\"");
    memset(text + 2, 'n', 65);
    strcpy(text + 67, "\":1}");
    (void) parse(NGX_TCCBS_COPY, text, &call, &error);

    ok(error.message.len == strlen("The parameter `` is not recognized.") + 64,
       "the beginning of a long name");
}


static void
test_tag(void)
{
    size_t             i;
    ngx_int_t          rc;
    ngx_str_t          id, name, tag, text;
    ngx_tccbs_out_t    out;
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

    const char  *good[] = { " #0123456789abcdef", "a #aaaaaaaaaaaaaaaa" };
    const char  *bad[] = { "", "#0123456789abcdef", "0123456789abcdef",
                           "a#0123456789abcdef", "a 00123456789abcdef",
                           "a #0123456789abcde", "a #0123456789abcdeF",
                           "a #0123456789abcdeg", "a #0123456789abcde/",
                           "a #0123456789abcde:", "a #0123456789abcde`" };

    id = str("01234567-89ab-4def-8000-000000000000");

    (void) parse(NGX_TCCBS_COPY, "{\"SnapshotId\":\"snap-abcd\","
                 "\"DestinationRegions\":[\"ap-beijing\"]}", &call, &error);
    ok(ngx_tccbs_call_tag(&call, pool, &id) == NGX_OK, "a copy has a tag");
    ok(is(&call.tag, "0123456789ab4def"), "the first digits of the id");
    ok(is(&call.label, "snap-abcd #0123456789ab4def"), "behind its snapshot");
    ok(ngx_tccbs_name_tag(&call.label, &tag) && is(&tag, "0123456789ab4def"),
       "where it is found again");

    ngx_tccbs_out_init(&out, pool, 100);
    ngx_tccbs_call_write(&call, &out);
    text = ngx_tccbs_out_str(&out);
    ok(is(&text, "{\"DestinationRegions\":[\"ap-beijing\"],"
                 "\"SnapshotId\":\"snap-abcd\","
                 "\"SnapshotName\":\"snap-abcd #0123456789ab4def\"}"),
       "and is sent");

    /* 42 characters and the tag are the 60 that a name may have */

    for (i = 41; i <= 43; i++) {
        call.name.data = (u_char *) "nnnnnnnnnnnnnnnnnnnnnn"
                                    "nnnnnnnnnnnnnnnnnnnnnn";
        call.name.len = i;
        rc = ngx_tccbs_call_tag(&call, pool, &id);
        ok(rc == ((i <= 42) ? NGX_OK : NGX_DECLINED), "a name of %d and a tag",
           (int) i);
    }

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        name = str(good[i]);
        ok(ngx_tccbs_name_tag(&name, &tag), "tagged: %s", good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        name = str(bad[i]);
        ok(!ngx_tccbs_name_tag(&name, &tag), "not tagged: %s", bad[i]);
    }
}


int
main(void)
{
    pool = ngx_create_pool(1024, NULL);

    test_describe();
    test_copy();
    test_echo();
    test_tag();

    ngx_destroy_pool(pool);

    return tap_done();
}
