
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_source.h"
#include "left.h"
#include "tap.h"


typedef enum { FILE_AUTO, FILE_JSON, FILE_TCCLI, FILE_INI, METADATA, STS } kind;


static ngx_pool_t          *pool;
static ngx_tccbs_triple_t   triple;
static ngx_str_t            why;


static ngx_int_t
parse(kind k, const char *text)
{
    ngx_str_t  s;

    s = str(text);
    why = str("");

    switch (k) {

    case METADATA:
        return ngx_tccbs_source_metadata(pool, &s, &triple, &why);

    case STS:
        return ngx_tccbs_source_sts(pool, &s, &triple, &why);

    default:
        return ngx_tccbs_source_file(pool, &s, (ngx_tccbs_format_e) k, &triple,
                                     &why);
    }
}


static ngx_uint_t
has(const char *id, const char *key, const char *token, time_t expires)
{
    ngx_str_t  s;

    s.data = triple.id;
    s.len = triple.id_len;

    if (!is(&s, id)) {
        return 0;
    }

    s.data = triple.key;
    s.len = triple.key_len;

    if (!is(&s, key)) {
        return 0;
    }

    s.data = triple.token;
    s.len = triple.token_len;

    return is(&s, token) && triple.expires == expires;
}


static void
good(kind k, const char *text, const char *id, const char *key,
    const char *token, time_t expires)
{
    ok(parse(k, text) == NGX_OK && has(id, key, token, expires),
       "taken: %.60s", text);
}


/* What is refused leaves the credential as it was, and is not quoted. */

static void
bad(kind k, const char *text, const char *reason)
{
    ngx_str_t  id, key, token, none;

    id = str("before");
    key = str("key");
    token = str("token");

    (void) ngx_tccbs_triple_set(&triple, &id, &key, &token, 7, &none);

    ok(parse(k, text) == NGX_DECLINED, "refused: %.60s", text);
    ok(has("before", "key", "token", 7), "and nothing changed");
    ok(why.len && strstr((char *) why.data, reason) != NULL, "reason: %.*s",
       (int) why.len, why.data);
}


static void
files(void)
{
    good(FILE_AUTO, "{\"secret_id\":\"a\",\"secret_key\":\"b\"}",
         "a", "b", "", 0);
    good(FILE_JSON, " {\"secret_key\":\"b\",\"secret_id\":\"a\","
         "\"token\":\"t\",\"expires\":1795554620} ", "a", "b", "t",
         1795554620);
    good(FILE_AUTO, "{\"secretId\":\"a\",\"secretKey\":\"b\","
         "\"token\":\"t\",\"role-arn\":\"x\",\"expiresAt\":1795554620}",
         "a", "b", "t", 1795554620);
    good(FILE_TCCLI, "{\"secretId\":\"a\",\"secretKey\":\"b\","
         "\"token\":null,\"type\":\"sso\"}", "a", "b", "", 0);
    good(FILE_AUTO, "{\"secret_id\":\"a\",\"secret_key\":\"b\","
         "\"secretId\":\"x\",\"secretKey\":\"y\"}", "a", "b", "", 0);

    good(FILE_AUTO, "[default]\nsecret_id = a\nsecret_key = b\n",
         "a", "b", "", 0);
    good(FILE_INI, "; x\r\n# y\r\n[other]\r\nsecret_id=n\r\nsecret_key=n\r\n"
         "[default]\r\n\tsecret_key =b=\r\nsecret_id= a \r\nrole_arn = r\r\n"
         "token = t", "a", "b=", "t", 0);
    good(FILE_INI, "[default]\nsecret_id=a\nsecret_key=b\n[z]\nsecret_id=z\n",
         "a", "b", "", 0);

    bad(FILE_AUTO, "", "[default]");
    bad(FILE_AUTO, "{", "");
    bad(FILE_AUTO, "{}", "\"secret_id\"");
    bad(FILE_AUTO, "{\"secret_id\":\"a\"}", "secret key");
    bad(FILE_JSON, "{\"secretId\":\"a\",\"secretKey\":\"b\"}", "secret id");
    bad(FILE_TCCLI, "{\"secret_id\":\"a\",\"secret_key\":\"b\"}", "secret id");
    bad(FILE_JSON, "{\"secret_id\":1,\"secret_key\":\"b\"}", "strings");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"b\",\"token\":1}",
        "token");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"b\","
        "\"expires\":\"soon\"}", "expiry");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"b\","
        "\"expires\":-5}", "expiry");
    bad(FILE_JSON, "{\"secret_id\":\"\",\"secret_key\":\"b\"}", "empty");
    bad(FILE_JSON, "{\"secret_id\":\"a b\",\"secret_key\":\"b\"}", "printable");
    bad(FILE_JSON, "{\"secret_id\":\"a\\r\\nb\",\"secret_key\":\"b\"}",
        "printable");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"\\u00e9\"}",
        "printable");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"b\","
        "\"token\":\"t\\nX: y\"}", "printable");
    bad(FILE_JSON, "{\"secret_id\":\"a/b\",\"secret_key\":\"b\"}", "\"/\"");
    bad(FILE_JSON, "{\"secret_id\":\"a,b\",\"secret_key\":\"b\"}", "\",\"");
    bad(FILE_JSON, "{\"secret_id\":\"a\",\"secret_id\":\"c\","
        "\"secret_key\":\"b\"}", "");
    bad(FILE_INI, "secret_id=a\nsecret_key=b\n", "[default]");
    bad(FILE_INI, "[default]\nsecret_id=a\n", "secret_key");
    bad(FILE_INI, "[default]\nsecret_id=a\nsecret_id=a\nsecret_key=b\n",
        "twice");
    bad(FILE_INI, "[default]\nsecret_id a\n", "name = value");
}


static void
answers(void)
{
    good(METADATA, "{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\","
         "\"ExpiredTime\":1795554620,\"Expiration\":\"x\",\"Token\":\"t\","
         "\"Code\":\"Success\"}", "a", "b", "t", 1795554620);

    bad(METADATA, "<html>no</html>", "");
    bad(METADATA, "{\"Code\":\"Failed\"}", "Success");
    bad(METADATA, "{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\","
        "\"ExpiredTime\":1795554620,\"Token\":\"t\"}", "Success");
    bad(METADATA, "{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\","
        "\"Token\":\"t\",\"Code\":\"Success\"}", "expiry");
    bad(METADATA, "{\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\","
        "\"ExpiredTime\":1795554620,\"Code\":\"Success\"}", "token");
    bad(METADATA, "[]", "Success");

    good(STS, "{\"Response\":{\"Credentials\":{\"Token\":\"t\","
         "\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\"},"
         "\"ExpiredTime\":1795554620,\"RequestId\":\"r\"}}",
         "a", "b", "t", 1795554620);

    bad(STS, "{\"Response\":{\"Error\":{\"Code\":\"AuthFailure.Secret\","
        "\"Message\":\"m\"},\"RequestId\":\"r\"}}", "AuthFailure.Secret");
    bad(STS, "{\"Response\":{\"Error\":{\"Code\":\"a b\\n\"}}}", "code");
    bad(STS, "{\"Response\":{\"Error\":{}}}", "code");
    bad(STS, "{\"Response\":{\"ExpiredTime\":1795554620}}", "secret id");
    bad(STS, "{\"Response\":{\"Credentials\":{\"Token\":\"t\","
        "\"TmpSecretId\":\"a\",\"TmpSecretKey\":\"b\"}}}", "expiry");
    bad(STS, "{\"Response\":null}", "secret id");
    bad(STS, "null", "secret id");
}


static void
lengths(void)
{
    ngx_str_t      s, id, key, token;
    static u_char  text[NGX_TCCBS_TRIPLE_TOKEN + 1];

    memset(text, 'x', sizeof(text));

    id.data = key.data = token.data = text;
    id.len = key.len = NGX_TCCBS_TRIPLE_ID;
    token.len = NGX_TCCBS_TRIPLE_TOKEN;

    ok(ngx_tccbs_triple_set(&triple, &id, &key, &token, 0, &s) == NGX_OK
       && triple.id_len == id.len && triple.key_len == key.len
       && triple.token_len == token.len, "the longest ones");

    id.len++;
    ok(ngx_tccbs_triple_set(&triple, &id, &key, &token, 0, &s)
       == NGX_DECLINED, "a longer id");
    id.len--;

    key.len++;
    ok(ngx_tccbs_triple_set(&triple, &id, &key, &token, 0, &s)
       == NGX_DECLINED, "a longer key");
    key.len--;

    token.len++;
    ok(ngx_tccbs_triple_set(&triple, &id, &key, &token, 0, &s)
       == NGX_DECLINED, "a longer token");
}


static void
roles(void)
{
    ngx_str_t   s, role;
    ngx_uint_t  i;

    static const char  *names[] = {
        "role", "My-Role_1.x\n", " x \r\n"
    };

    static const char  *wrong[] = {
        "", "\n", "a b", "a/b", "a\nb", "<html>", "\xc3\xa9",
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0123456789012345678901234567890123456789012345678901234567890123x"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        s = str(names[i]);
        ok(ngx_tccbs_source_role(&s, &role, &why) == NGX_OK && role.len
           && role.data[0] > ' ' && role.data[role.len - 1] > ' ',
           "a role: %s", names[i]);
    }

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        s = str(wrong[i]);
        ok(ngx_tccbs_source_role(&s, &role, &why) == NGX_DECLINED,
           "no role: %s", wrong[i]);
    }
}


/* Half of a file, as one that is being written has it, and what is odd. */

static void
wiped(void)
{
    ngx_uint_t  i;

    static const struct {
        kind         k;
        const char  *text;
    } texts[] = {
        { FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"a-secret\"}" },
        { FILE_JSON, "{\"secret_id\":\"a\",\"secret_key\":\"a-secret\"" },
        { FILE_JSON, "{\"secret_key\":\"a-secret\",\"a\":[[[[[1]]]]]}" },
        { FILE_JSON, "{\"secret_key\":\"b\",\"secret_key\":\"a-secret\"}" },
        { FILE_JSON, "{\"secret_key\":\"a-\\u0073ecret\",\"x\":1} x" },
        { FILE_JSON, "{\"a-secret\":" },
        { METADATA, "{\"Code\":\"No\",\"TmpSecretKey\":\"a-secret\"}" },
        { STS, "{\"Response\":{\"Credentials\":{\"Token\":\"a-secret\"" },
        { FILE_INI, "[default]\nsecret_id=a\nsecret_key=a-secret\n" },
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        (void) parse(texts[i].k, texts[i].text);

        ok(!left_in_pool(pool, "a-secret", NULL),
           "no secret stays in the pool of %.40s", texts[i].text);
    }
}


int
main(void)
{
    (void) ngx_tccbs_crypto_init();

    pool = ngx_create_pool(4096, NULL);

    files();
    answers();
    lengths();
    roles();
    wiped();

    ngx_destroy_pool(pool);
    ngx_tccbs_crypto_done();

    return tap_done();
}
