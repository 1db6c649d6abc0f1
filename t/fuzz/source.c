
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "left.h"
#include "ngx_tccbs_json.h"
#include "ngx_tccbs_source.h"


/*
 * What credentials are read from: "0" to "3" and the text of a file in that
 * format, "M" and an answer of the metadata service, "S" and one of STS, "R"
 * and the name of a role.  It is judged here a second time; what is refused
 * changes nothing, and in no case is a secret left in the pool.
 */

#define SECRET  "fuzz-secret"


static ngx_uint_t judge(ngx_pool_t *pool, ngx_uint_t how,
    const ngx_str_t *text, ngx_str_t *parts, time_t *expires);
static ngx_uint_t judge_json(ngx_tccbs_json_t *object,
    ngx_tccbs_json_t *expiry, const char *const *names, ngx_uint_t temporary,
    ngx_str_t *parts, time_t *expires);
static ngx_uint_t judge_ini(const ngx_str_t *text, ngx_str_t *parts);
static ngx_uint_t part(const ngx_str_t *s, size_t least, size_t most);
static ngx_str_t stripped(const u_char *p, const u_char *last);
static void role(const ngx_str_t *text);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t              f = { data, size };
    time_t              expires;
    ngx_int_t           rc;
    ngx_str_t           text, why, parts[3];
    ngx_uint_t          how, good;
    ngx_pool_t         *pool, *second;
    ngx_tccbs_triple_t  triple, was;

    how = fuzz_byte(&f);

    pool = ngx_create_pool(1024, NULL);
    second = ngx_create_pool(1024, NULL);
    must(pool != NULL && second != NULL);

    text = fuzz_copy(second, f.p, f.len);
    ngx_str_set(&why, "");

    memset(&was, 0x5a, sizeof(was));
    triple = was;

    switch (how) {

    case '0':
    case '1':
    case '2':
    case '3':
        rc = ngx_tccbs_source_file(pool, &text, how - '0', &triple, &why);
        break;

    case 'M':
        rc = ngx_tccbs_source_metadata(pool, &text, &triple, &why);
        break;

    case 'S':
        rc = ngx_tccbs_source_sts(pool, &text, &triple, &why);
        break;

    default:
        role(&text);
        goto done;
    }

    must(rc == NGX_OK || rc == NGX_DECLINED);

    good = judge(second, how, &text, parts, &expires);
    must(good == (rc == NGX_OK));

    if (good) {
        must(triple.expires == expires);
        must(triple.id_len == parts[0].len && triple.key_len == parts[1].len
             && triple.token_len == parts[2].len);
        must(memcmp(triple.id, parts[0].data, parts[0].len) == 0);
        must(memcmp(triple.key, parts[1].data, parts[1].len) == 0);
        must(parts[2].len == 0
             || memcmp(triple.token, parts[2].data, parts[2].len) == 0);

    } else {
        must(why.len > 0 && fuzz_printable(&why));
        must(memcmp(&triple, &was, sizeof(was)) == 0);
    }

    /* the code of an error of STS is all that is told of a text */

    must(!left_in_pool(pool, SECRET, (how == 'S') ? why.data : NULL));

done:

    ngx_destroy_pool(pool);
    ngx_destroy_pool(second);

    return 0;
}


static ngx_uint_t
judge(ngx_pool_t *pool, ngx_uint_t how, const ngx_str_t *text,
    ngx_str_t *parts, time_t *expires)
{
    ngx_str_t                why, s;
    ngx_tccbs_json_t        *root, *object, *node;
    ngx_tccbs_json_limits_t  limits = { 4, 64 };

    static const char  *own[] = { "secret_id", "secret_key", "token" };
    static const char  *tccli[] = { "secretId", "secretKey", "token" };
    static const char  *temporary[] = { "TmpSecretId", "TmpSecretKey",
                                        "Token" };

    ngx_memzero(parts, 3 * sizeof(ngx_str_t));
    *expires = 0;

    s = stripped(text->data, text->data + text->len);

    if (how == '3' || (how == '0' && (s.len == 0 || s.data[0] != '{'))) {
        return judge_ini(text, parts);
    }

    if (ngx_tccbs_json_parse(pool, text, &limits, &root, &why) != NGX_OK) {
        return 0;
    }

    if (how == 'M') {
        node = ngx_tccbs_json_get(root, "Code");

        return node && node->type == NGX_TCCBS_JSON_STRING
               && fuzz_is(&node->value, "Success")
               && judge_json(root, ngx_tccbs_json_get(root, "ExpiredTime"),
                             temporary, 1, parts, expires);
    }

    if (how == 'S') {
        root = ngx_tccbs_json_get(root, "Response");
        node = ngx_tccbs_json_get(root, "Error");
        object = ngx_tccbs_json_get(root, "Credentials");

        return (node == NULL || node->type == NGX_TCCBS_JSON_NULL)
               && judge_json(object, ngx_tccbs_json_get(root, "ExpiredTime"),
                             temporary, 1, parts, expires);
    }

    if (how == '2' || (how == '0' && !ngx_tccbs_json_get(root, "secret_id")
                       && ngx_tccbs_json_get(root, "secretId")))
    {
        return judge_json(root, ngx_tccbs_json_get(root, "expiresAt"), tccli,
                          0, parts, expires);
    }

    return judge_json(root, ngx_tccbs_json_get(root, "expires"), own, 0,
                      parts, expires);
}


static ngx_uint_t
judge_json(ngx_tccbs_json_t *object, ngx_tccbs_json_t *expiry,
    const char *const *names, ngx_uint_t temporary, ngx_str_t *parts,
    time_t *expires)
{
    char               digits[12];
    size_t             i;
    ngx_tccbs_json_t  *node;

    for (i = 0; i < 3; i++) {
        node = ngx_tccbs_json_get(object, names[i]);

        if (node && node->type == NGX_TCCBS_JSON_STRING) {
            parts[i] = node->value;

        } else if (i < 2 || (node && node->type != NGX_TCCBS_JSON_NULL)) {
            return 0;
        }
    }

    if (expiry && expiry->type != NGX_TCCBS_JSON_NULL) {

        if (expiry->type != NGX_TCCBS_JSON_NUMBER || expiry->value.len < 10
            || expiry->value.len > 11 || expiry->value.data[0] == '0')
        {
            return 0;
        }

        for (i = 0; i < expiry->value.len; i++) {
            if (!isdigit(expiry->value.data[i])) {
                return 0;
            }
        }

        ngx_memcpy(digits, expiry->value.data, i);
        digits[i] = '\0';
        *expires = strtoll(digits, NULL, 10);
    }

    if (temporary && (*expires == 0 || parts[2].len == 0)) {
        return 0;
    }

    return part(&parts[0], 1, 1024) && part(&parts[1], 1, 1024)
           && part(&parts[2], 0, 4096)
           && memchr(parts[0].data, '/', parts[0].len) == NULL
           && memchr(parts[0].data, ',', parts[0].len) == NULL;
}


static ngx_uint_t
judge_ini(const ngx_str_t *text, ngx_str_t *parts)
{
    u_char      *p, *last, *next, *eq;
    ngx_str_t    line, name;
    ngx_uint_t   i, inside, seen;

    static const char  *names[] = { "secret_id", "secret_key", "token" };

    inside = 0;
    seen = 0;
    last = text->data + text->len;

    for (p = text->data; p < last; p = next + 1) {

        next = memchr(p, '\n', last - p);
        next = next ? next : last;
        line = stripped(p, next);

        if (line.len == 0 || strchr("#;", line.data[0])) {

            /* a NUL is no comment */

            if (line.len == 0 || line.data[0] != '\0') {
                continue;
            }
        }

        if (line.data[0] == '[') {
            inside = fuzz_is(&line, "[default]");
            continue;
        }

        eq = memchr(line.data, '=', line.len);

        if (eq == NULL) {
            return 0;
        }

        name = stripped(line.data, eq);

        for (i = 0; inside && i < 3; i++) {

            if (!fuzz_is(&name, names[i])) {
                continue;
            }

            if (seen & (1 << i)) {
                return 0;
            }

            seen |= 1 << i;
            parts[i] = stripped(eq + 1, line.data + line.len);
        }
    }

    return part(&parts[0], 1, 1024) && part(&parts[1], 1, 1024)
           && part(&parts[2], 0, 4096)
           && memchr(parts[0].data, '/', parts[0].len) == NULL
           && memchr(parts[0].data, ',', parts[0].len) == NULL;
}


static ngx_uint_t
part(const ngx_str_t *s, size_t least, size_t most)
{
    size_t  i;

    if (s->len < least || s->len > most) {
        return 0;
    }

    for (i = 0; i < s->len; i++) {
        if (s->data[i] < 0x21 || s->data[i] > 0x7e) {
            return 0;
        }
    }

    return 1;
}


static ngx_str_t
stripped(const u_char *p, const u_char *last)
{
    ngx_str_t  s;

    while (p < last && isspace(*p)) {
        p++;
    }

    while (p < last && isspace(last[-1])) {
        last--;
    }

    s.data = (u_char *) p;
    s.len = last - p;

    return s;
}


static void
role(const ngx_str_t *text)
{
    size_t      i;
    ngx_int_t   rc;
    ngx_str_t   name, why, want;
    ngx_uint_t  good;

    ngx_str_set(&why, "");
    want = stripped(text->data, text->data + text->len);
    good = (want.len > 0 && want.len <= 128);

    for (i = 0; i < want.len; i++) {
        good &= isalnum(want.data[i]) || (want.data[i]
                                      && strchr("_-.", want.data[i]));
    }

    rc = ngx_tccbs_source_role(text, &name, &why);

    must(rc == (good ? NGX_OK : NGX_DECLINED));
    must(good ? fuzz_same(&name, &want) : why.len > 0);
}
