
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_call.h"


/*
 * The body of a call that is accepted, written as it is sent, is read as the
 * same call, and its values have the shapes of the API.  What is refused is
 * refused with a code of the protocol and plain text.
 */

#define ID  "0f1e2d3c-4b5a-4987-8765-43210fedcba9"

static void same_call(const ngx_tccbs_call_t *a, const ngx_tccbs_call_t *b);
static void shapes(const ngx_tccbs_call_t *call);
static ngx_str_t sent(ngx_pool_t *pool, const ngx_tccbs_call_t *call);
static void tagged(ngx_pool_t *pool, ngx_tccbs_call_t *call);
static void tree(ngx_pool_t *pool, const ngx_str_t *text);
static void same_tree(const ngx_tccbs_json_t *a, const ngx_tccbs_json_t *b);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t              f = { data, size };
    ngx_int_t           rc;
    ngx_str_t           body, text, twice;
    ngx_pool_t         *pool;
    ngx_tccbs_call_t    call, again;
    ngx_tccbs_error_t   error;

    static const char  *codes[] = {
        "InvalidParameter", "UnknownParameter", "MissingParameter",
        "InvalidParameterValue", NULL
    };

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    ngx_memzero(&call, sizeof(call));
    ngx_memzero(&again, sizeof(again));
    ngx_memzero(&error, sizeof(error));

    call.action = fuzz_byte(&f) % NGX_TCCBS_NACTIONS;
    ngx_str_set(&call.from, "ap-guangzhou");

    again.action = call.action;
    again.from = call.from;

    body = fuzz_copy(pool, f.p, f.len);
    rc = ngx_tccbs_call_parse(&call, pool, &body, &error);

    if (rc != NGX_OK) {
        must(rc == NGX_DECLINED);
        must(fuzz_in(&error.code, codes));
        must(error.message.len > 0 && error.message.len < 256);
        must(fuzz_printable(&error.message));

    } else {
        shapes(&call);

        text = sent(pool, &call);

        must(ngx_tccbs_call_parse(&again, pool, &text, &error) == NGX_OK);
        same_call(&call, &again);

        twice = sent(pool, &again);
        must(fuzz_same(&text, &twice));

        if (call.action == NGX_TCCBS_COPY) {
            tagged(pool, &call);
        }
    }

    tree(pool, &body);

    ngx_destroy_pool(pool);

    return 0;
}


static ngx_str_t
sent(ngx_pool_t *pool, const ngx_tccbs_call_t *call)
{
    ngx_str_t        text;
    ngx_tccbs_out_t  out;

    ngx_tccbs_out_init(&out, pool, 16);
    ngx_tccbs_call_write(call, &out);
    must(!out.failed);

    text = ngx_tccbs_out_str(&out);
    must(fuzz_printable(&text));

    return fuzz_copy(pool, text.data, text.len);
}


static void
same_call(const ngx_tccbs_call_t *a, const ngx_tccbs_call_t *b)
{
    ngx_uint_t  i;

    must(a->nto == b->nto);
    must(fuzz_same(&a->snapshot, &b->snapshot));
    must(fuzz_same(&a->name, &b->name));

    for (i = 0; i < a->nto; i++) {
        must(fuzz_same(&a->to[i], &b->to[i]));
    }

    if (a->action == NGX_TCCBS_DESCRIBE) {
        same_tree(a->tree, b->tree);
    }
}


static void
shapes(const ngx_tccbs_call_t *call)
{
    size_t            k;
    ngx_uint_t        i, n;
    const ngx_str_t  *s;

    if (call->action != NGX_TCCBS_COPY) {
        must(call->tree != NULL && call->tree->type == NGX_TCCBS_JSON_OBJECT);
        return;
    }

    s = &call->snapshot;
    must(s->len >= 9 && s->len <= 37 && memcmp(s->data, "snap-", 5) == 0);

    for (k = 5; k < s->len; k++) {
        must(islower(s->data[k]) || isdigit(s->data[k]));
    }

    must(call->nto >= 1 && call->nto <= 32);

    for (i = 0; i < call->nto; i++) {
        s = &call->to[i];

        must(s->len >= 4 && s->len <= 64 && s->data[2] == '-');
        must(!fuzz_same(s, &call->from));

        for (k = 0; k < s->len; k++) {
            must(islower(s->data[k]) || isdigit(s->data[k])
                 || s->data[k] == '-');
        }

        for (n = 0; n < i; n++) {
            must(!fuzz_same(s, &call->to[n]));
        }
    }

    /* characters: what is no continuation byte */

    for (k = 0, n = 0; k < call->name.len; k++) {
        n += (call->name.data[k] & 0xc0) != 0x80;
        must(call->name.data[k] >= ' ' && call->name.data[k] != 0x7f);
    }

    must(n <= NGX_TCCBS_NAME_MAX);
}


/* A tag that was put into a name is found there. */

static void
tagged(ngx_pool_t *pool, ngx_tccbs_call_t *call)
{
    ngx_int_t          rc;
    ngx_str_t          id, text, tag;
    ngx_tccbs_call_t   again;
    ngx_tccbs_error_t  error;

    id = fuzz_copy(pool, ID, sizeof(ID) - 1);
    rc = ngx_tccbs_call_tag(call, pool, &id);

    if (rc == NGX_DECLINED) {
        must(call->name.len > NGX_TCCBS_NAME_MAX - NGX_TCCBS_TAG_LEN - 2);
        return;
    }

    must(rc == NGX_OK);
    must(fuzz_is(&call->tag, "0f1e2d3c4b5a4987"));

    ngx_memzero(&again, sizeof(again));
    again.from = call->from;

    text = sent(pool, call);

    must(ngx_tccbs_call_parse(&again, pool, &text, &error) == NGX_OK);
    must(fuzz_same(&again.name, &call->label));
    must(fuzz_same(&again.snapshot, &call->snapshot));
    must(ngx_tccbs_name_tag(&again.name, &tag));
    must(fuzz_same(&tag, &call->tag));
}


/* Any text that is read, written and read again gives the same values. */

static void
tree(ngx_pool_t *pool, const ngx_str_t *text)
{
    ngx_int_t                rc;
    ngx_str_t                once, why;
    ngx_tccbs_out_t          out;
    ngx_tccbs_json_t        *a, *b;
    ngx_tccbs_json_limits_t  limits = { 8, 256 };

    rc = ngx_tccbs_json_parse(pool, text, &limits, &a, &why);

    if (rc != NGX_OK) {
        must(rc == NGX_DECLINED && a == NULL);
        must(why.len > 0 && fuzz_printable(&why));
        return;
    }

    ngx_tccbs_out_init(&out, pool, 16);
    ngx_tccbs_out_json(&out, a);
    must(!out.failed);

    once = ngx_tccbs_out_str(&out);
    once = fuzz_copy(pool, once.data, once.len);
    must(fuzz_printable(&once));

    must(ngx_tccbs_json_parse(pool, &once, &limits, &b, &why) == NGX_OK);
    same_tree(a, b);
}


static void
same_tree(const ngx_tccbs_json_t *a, const ngx_tccbs_json_t *b)
{
    ngx_uint_t         n;
    ngx_tccbs_json_t  *c, *d;

    must(a->type == b->type);
    must(a->n == b->n);
    must(fuzz_same(&a->name, &b->name));
    must(fuzz_same(&a->value, &b->value));

    n = 0;

    for (c = a->child, d = b->child; c && d; c = c->next, d = d->next) {
        same_tree(c, d);
        n++;
    }

    must(c == NULL && d == NULL && n == a->n);
}
