
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "ngx_tccbs_out.h"
#include "ngx_tccbs_tc3.h"


/*
 * An Authorization value that is accepted consists of nothing but what was
 * read from it: put together again it is the same text, but for blanks, and
 * is read in the same way.  A value made of valid parts is accepted.
 */

#define LONGEST  2048


static void written(ngx_tccbs_out_t *out, const ngx_tccbs_tc3_auth_t *auth);
static void read_again(ngx_pool_t *pool, const ngx_tccbs_tc3_auth_t *auth,
    const ngx_str_t *text);
static void shape(const ngx_tccbs_tc3_auth_t *auth);
static void without_blanks(ngx_pool_t *pool, const ngx_str_t *s,
    ngx_str_t *bare);
static void made(fuzz_t *f, ngx_pool_t *pool);
static void field(fuzz_t *f, ngx_tccbs_out_t *out, size_t n,
    const char *alphabet);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                 f = { data, size };
    ngx_int_t              rc;
    ngx_str_t              value, why, text, a, b;
    ngx_pool_t            *pool;
    ngx_tccbs_out_t        out;
    ngx_tccbs_tc3_auth_t   auth;

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    if (fuzz_byte(&f) == 'M') {
        made(&f, pool);
        ngx_destroy_pool(pool);
        return 0;
    }

    ngx_str_null(&why);

    value = fuzz_copy(pool, f.p, f.len);
    rc = ngx_tccbs_tc3_parse(&auth, &value, &why);

    if (rc == NGX_OK) {
        shape(&auth);

        ngx_tccbs_out_init(&out, pool, LONGEST);
        written(&out, &auth);
        text = ngx_tccbs_out_str(&out);

        without_blanks(pool, &value, &a);
        without_blanks(pool, &text, &b);
        must(fuzz_same(&a, &b));

        read_again(pool, &auth, &text);

    } else {
        must(rc == NGX_DECLINED);
        must(why.len > 0 && fuzz_printable(&why));
    }

    ngx_destroy_pool(pool);

    return 0;
}


static void
written(ngx_tccbs_out_t *out, const ngx_tccbs_tc3_auth_t *auth)
{
    ngx_uint_t  i;
    u_char      hex[NGX_TCCBS_HEX_LEN];

    ngx_tccbs_out_lit(out, "TC3-HMAC-SHA256 Credential=");
    ngx_tccbs_out_raw(out, auth->key_id.data, auth->key_id.len);
    ngx_tccbs_out_lit(out, "/");
    ngx_tccbs_out_raw(out, auth->date.data, auth->date.len);
    ngx_tccbs_out_lit(out, "/");
    ngx_tccbs_out_raw(out, auth->service.data, auth->service.len);
    ngx_tccbs_out_lit(out, "/tc3_request, SignedHeaders=");

    for (i = 0; i < auth->nnames; i++) {
        if (i) {
            ngx_tccbs_out_lit(out, ";");
        }

        ngx_tccbs_out_raw(out, auth->names[i].data, auth->names[i].len);
    }

    (void) ngx_tccbs_hex(hex, auth->signature, NGX_TCCBS_SHA256_LEN);

    ngx_tccbs_out_lit(out, ", Signature=");
    ngx_tccbs_out_raw(out, hex, sizeof(hex));

    must(!out->failed);
}


static void
read_again(ngx_pool_t *pool, const ngx_tccbs_tc3_auth_t *auth,
    const ngx_str_t *text)
{
    ngx_int_t              rc;
    ngx_str_t              copy, why;
    ngx_uint_t             i;
    ngx_tccbs_tc3_auth_t   again;

    copy = fuzz_copy(pool, text->data, text->len);
    rc = ngx_tccbs_tc3_parse(&again, &copy, &why);

    if (text->len > LONGEST) {
        must(rc == NGX_DECLINED);
        return;
    }

    must(rc == NGX_OK);
    must(fuzz_same(&auth->key_id, &again.key_id));
    must(fuzz_same(&auth->date, &again.date));
    must(fuzz_same(&auth->service, &again.service));
    must(fuzz_same(&auth->signed_headers, &again.signed_headers));
    must(auth->nnames == again.nnames);
    must(memcmp(auth->signature, again.signature, NGX_TCCBS_SHA256_LEN) == 0);

    for (i = 0; i < auth->nnames; i++) {
        must(fuzz_same(&auth->names[i], &again.names[i]));
    }
}


/* What those behind the parser rely on. */

static void
shape(const ngx_tccbs_tc3_auth_t *auth)
{
    size_t            n;
    ngx_uint_t        i, type, host;
    const ngx_str_t  *a, *b;

    must(auth->key_id.len > 0 && fuzz_printable(&auth->key_id));
    must(memchr(auth->key_id.data, '/', auth->key_id.len) == NULL);
    must(memchr(auth->key_id.data, ',', auth->key_id.len) == NULL);
    must(auth->date.len == NGX_TCCBS_TC3_DATE_LEN);
    must(auth->service.len > 0 && auth->service.len <= NGX_TCCBS_TC3_SERVICE);
    must(memchr(auth->service.data, '/', auth->service.len) == NULL);
    must(auth->nnames >= 2 && auth->nnames <= NGX_TCCBS_TC3_NAMES);

    for (i = 0; i < auth->date.len; i++) {
        must(i == 4 || i == 7 ? auth->date.data[i] == '-'
                              : isdigit(auth->date.data[i]));
    }

    type = 0;
    host = 0;

    for (i = 0; i < auth->nnames; i++) {
        a = &auth->names[i];
        type += fuzz_is(a, "content-type");
        host += fuzz_is(a, "host");

        must(a->len > 0);

        for (n = 0; n < a->len; n++) {
            must(islower(a->data[n]) || isdigit(a->data[n])
                 || a->data[n] == '-');
        }

        if (i) {
            b = a - 1;
            n = ngx_min(a->len, b->len);
            must(memcmp(b->data, a->data, n) < 0
                 || (memcmp(b->data, a->data, n) == 0 && b->len < a->len));
        }
    }

    must(type == 1 && host == 1);
}


static void
without_blanks(ngx_pool_t *pool, const ngx_str_t *s, ngx_str_t *bare)
{
    size_t  i;

    *bare = fuzz_copy(pool, s->data, s->len);
    bare->len = 0;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] != ' ') {
            bare->data[bare->len++] = s->data[i];
        }
    }
}


/* A value that is valid by construction, with as many blanks as there may be */

static void
made(fuzz_t *f, ngx_pool_t *pool)
{
    size_t                 i;
    ngx_str_t              text, why;
    ngx_uint_t             bits;
    ngx_tccbs_out_t        out;
    ngx_tccbs_tc3_auth_t   auth;

    static const char  id[] = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE._-=+!";
    static const char  digits[] = "0123456789";
    static const char  hex[] = "0123456789abcdef";

    /* in the order of ASCII; those of content-type and host are always there */

    static const char  *names[] = {
        "0", "accept", "content-length", "content-type", "host", "hosts",
        "x", "x-tc", "x-tc-action", "x-tc-region", "x-tc-timestamp",
        "x-tc-version"
    };

    ngx_tccbs_out_init(&out, pool, 512);

    ngx_tccbs_out_lit(&out, "TC3-HMAC-SHA256 ");

    for (i = fuzz_byte(f) % 4; i; i--) {
        ngx_tccbs_out_lit(&out, " ");
    }

    ngx_tccbs_out_lit(&out, "Credential=");
    field(f, &out, 1 + fuzz_byte(f) % 64, id);
    ngx_tccbs_out_lit(&out, "/");
    field(f, &out, 4, digits);
    ngx_tccbs_out_lit(&out, "-");
    field(f, &out, 2, digits);
    ngx_tccbs_out_lit(&out, "-");
    field(f, &out, 2, digits);
    ngx_tccbs_out_lit(&out, "/");
    field(f, &out, 1 + fuzz_byte(f) % NGX_TCCBS_TC3_SERVICE, id);
    ngx_tccbs_out_lit(&out, "/tc3_request,");

    for (i = fuzz_byte(f) % 4; i; i--) {
        ngx_tccbs_out_lit(&out, " ");
    }

    ngx_tccbs_out_lit(&out, "SignedHeaders=");

    bits = fuzz_byte(f) | fuzz_byte(f) << 8 | 0x18;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bits & (1 << i)) {
            if (bits & ((1 << i) - 1)) {
                ngx_tccbs_out_lit(&out, ";");
            }

            ngx_tccbs_out_raw(&out, (const u_char *) names[i],
                              strlen(names[i]));
        }
    }

    ngx_tccbs_out_lit(&out, ",");

    for (i = fuzz_byte(f) % 4; i; i--) {
        ngx_tccbs_out_lit(&out, " ");
    }

    ngx_tccbs_out_lit(&out, "Signature=");
    field(f, &out, NGX_TCCBS_HEX_LEN, hex);

    text = ngx_tccbs_out_str(&out);
    text = fuzz_copy(pool, text.data, text.len);

    must(ngx_tccbs_tc3_parse(&auth, &text, &why) == NGX_OK);
    shape(&auth);

    /* it ends where it ends */

    text.len--;
    must(ngx_tccbs_tc3_parse(&auth, &text, &why) == NGX_DECLINED);
}


static void
field(fuzz_t *f, ngx_tccbs_out_t *out, size_t n, const char *alphabet)
{
    size_t  len;

    len = strlen(alphabet);

    while (n--) {
        ngx_tccbs_out_raw(out,
                          (const u_char *) alphabet + fuzz_byte(f) % len, 1);
    }
}
