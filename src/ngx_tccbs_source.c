
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_json.h"
#include "ngx_tccbs_source.h"
#include "ngx_tccbs_tc3.h"
#include "ngx_tccbs_text.h"


#define NGX_TCCBS_SOURCE_ROLE  128
#define NGX_TCCBS_SOURCE_CODE  64


/* The names of the parts, and of the time of expiry, in an object. */

typedef struct {
    const char  *id;
    const char  *key;
    const char  *token;
    const char  *expires;
} ngx_tccbs_source_names_t;


static ngx_int_t ngx_tccbs_source_parse(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_tccbs_json_t **root, ngx_str_t *why);
static ngx_int_t ngx_tccbs_source_object(ngx_tccbs_json_t *object,
    ngx_tccbs_json_t *expiry, const ngx_tccbs_source_names_t *names,
    ngx_tccbs_triple_t *triple, ngx_str_t *why);
static ngx_int_t ngx_tccbs_source_string(ngx_tccbs_json_t *object,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_tccbs_source_json(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_tccbs_format_e format,
    ngx_tccbs_triple_t *triple, ngx_str_t *why);
static ngx_int_t ngx_tccbs_source_ini(const ngx_str_t *text,
    ngx_tccbs_triple_t *triple, ngx_str_t *why);
static void ngx_tccbs_source_trim(ngx_str_t *s);
static ngx_int_t ngx_tccbs_source_error(ngx_pool_t *pool,
    ngx_tccbs_json_t *error, ngx_str_t *why);
static ngx_uint_t ngx_tccbs_source_printable(const ngx_str_t *s);


static const ngx_tccbs_source_names_t  ngx_tccbs_source_own = {
    "secret_id", "secret_key", "token", "expires"
};

static const ngx_tccbs_source_names_t  ngx_tccbs_source_tccli = {
    "secretId", "secretKey", "token", "expiresAt"
};

static const ngx_tccbs_source_names_t  ngx_tccbs_source_temporary = {
    "TmpSecretId", "TmpSecretKey", "Token", "ExpiredTime"
};


ngx_int_t
ngx_tccbs_triple_set(ngx_tccbs_triple_t *triple, const ngx_str_t *id,
    const ngx_str_t *key, const ngx_str_t *token, time_t expires,
    ngx_str_t *why)
{
    if (id->len == 0 || key->len == 0) {
        ngx_str_set(why, "the secret id or the secret key is empty");
        return NGX_DECLINED;
    }

    if (id->len > NGX_TCCBS_TRIPLE_ID || key->len > NGX_TCCBS_TRIPLE_ID
        || token->len > NGX_TCCBS_TRIPLE_TOKEN)
    {
        ngx_str_set(why, "the secret id, the secret key or the token is "
                         "longer than 1024, 1024 and 4096 bytes");
        return NGX_DECLINED;
    }

    /* what cannot be in a header would split the upstream request */

    if (!ngx_tccbs_source_printable(id) || !ngx_tccbs_source_printable(key)
        || !ngx_tccbs_source_printable(token))
    {
        ngx_str_set(why, "the secret id, the secret key or the token is not "
                         "printable ASCII without spaces");
        return NGX_DECLINED;
    }

    if (ngx_strlchr(id->data, id->data + id->len, '/')
        || ngx_strlchr(id->data, id->data + id->len, ','))
    {
        ngx_str_set(why, "the secret id must not have \"/\" or \",\"");
        return NGX_DECLINED;
    }

    ngx_tccbs_wipe(triple, sizeof(ngx_tccbs_triple_t));

    ngx_memcpy(triple->id, id->data, id->len);
    ngx_memcpy(triple->key, key->data, key->len);

    if (token->len) {
        ngx_memcpy(triple->token, token->data, token->len);
    }

    triple->id_len = id->len;
    triple->key_len = key->len;
    triple->token_len = token->len;
    triple->expires = expires;

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_source_file(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_format_e format, ngx_tccbs_triple_t *triple, ngx_str_t *why)
{
    ngx_str_t  s;

    if (format == NGX_TCCBS_FORMAT_AUTO) {
        s = *text;
        ngx_tccbs_source_trim(&s);

        format = (s.len && s.data[0] == '{') ? NGX_TCCBS_FORMAT_AUTO
                                             : NGX_TCCBS_FORMAT_INI;
    }

    if (format == NGX_TCCBS_FORMAT_INI) {
        return ngx_tccbs_source_ini(text, triple, why);
    }

    return ngx_tccbs_source_json(pool, text, format, triple, why);
}


ngx_int_t
ngx_tccbs_source_role(const ngx_str_t *text, ngx_str_t *role, ngx_str_t *why)
{
    size_t  i;

    *role = *text;
    ngx_tccbs_source_trim(role);

    for (i = 0; i < role->len; i++) {
        if ((role->data[i] < 'A' || role->data[i] > 'Z')
            && (role->data[i] < 'a' || role->data[i] > 'z')
            && (role->data[i] < '0' || role->data[i] > '9')
            && role->data[i] != '_' && role->data[i] != '-'
            && role->data[i] != '.')
        {
            break;
        }
    }

    if (i == 0 || i < role->len || i > NGX_TCCBS_SOURCE_ROLE) {
        ngx_str_set(why, "that is no name of a role");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_source_metadata(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_triple_t *triple, ngx_str_t *why)
{
    ngx_int_t          rc;
    ngx_str_t          code;
    ngx_tccbs_json_t  *root;

    rc = ngx_tccbs_source_parse(pool, text, &root, why);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_tccbs_source_string(root, "Code", &code) != NGX_OK
        || !ngx_tccbs_is(&code, "Success"))
    {
        ngx_str_set(why, "its \"Code\" is not \"Success\"");
        rc = NGX_DECLINED;

    } else {
        rc = ngx_tccbs_source_object(root,
                                     ngx_tccbs_json_get(root, "ExpiredTime"),
                                     &ngx_tccbs_source_temporary, triple, why);
    }

    ngx_tccbs_json_wipe(root);

    return rc;
}


ngx_int_t
ngx_tccbs_source_sts(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_triple_t *triple, ngx_str_t *why)
{
    ngx_int_t          rc;
    ngx_tccbs_json_t  *root, *response, *error;

    rc = ngx_tccbs_source_parse(pool, text, &root, why);

    if (rc != NGX_OK) {
        return rc;
    }

    response = ngx_tccbs_json_get(root, "Response");
    error = ngx_tccbs_json_get(response, "Error");

    if (error && error->type != NGX_TCCBS_JSON_NULL) {
        rc = ngx_tccbs_source_error(pool, error, why);

    } else {
        rc = ngx_tccbs_source_object(ngx_tccbs_json_get(response,
                                                        "Credentials"),
                                     ngx_tccbs_json_get(response,
                                                        "ExpiredTime"),
                                     &ngx_tccbs_source_temporary, triple, why);
    }

    ngx_tccbs_json_wipe(root);

    return rc;
}


static ngx_int_t
ngx_tccbs_source_parse(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_json_t **root, ngx_str_t *why)
{
    ngx_tccbs_json_limits_t  limits;

    limits.depth = 4;
    limits.nodes = 64;

    return ngx_tccbs_json_parse(pool, text, &limits, root, why);
}


static ngx_int_t
ngx_tccbs_source_object(ngx_tccbs_json_t *object, ngx_tccbs_json_t *expiry,
    const ngx_tccbs_source_names_t *names, ngx_tccbs_triple_t *triple,
    ngx_str_t *why)
{
    time_t     expires;
    ngx_str_t  id, key, token;

    if (ngx_tccbs_source_string(object, names->id, &id) != NGX_OK
        || ngx_tccbs_source_string(object, names->key, &key) != NGX_OK)
    {
        ngx_str_set(why, "it must have a secret id and a secret key as "
                         "strings");
        return NGX_DECLINED;
    }

    if (ngx_tccbs_source_string(object, names->token, &token) == NGX_ERROR) {
        ngx_str_set(why, "its token is no string");
        return NGX_DECLINED;
    }

    expires = 0;

    if (expiry && expiry->type != NGX_TCCBS_JSON_NULL) {
        expires = (expiry->type == NGX_TCCBS_JSON_NUMBER)
                  ? ngx_tccbs_tc3_timestamp(&expiry->value) : NGX_ERROR;

        if (expires == NGX_ERROR) {
            ngx_str_set(why, "its time of expiry is no number of seconds");
            return NGX_DECLINED;
        }
    }

    if (names == &ngx_tccbs_source_temporary
        && (expires == 0 || token.len == 0))
    {
        ngx_str_set(why, "it must have a token and a time of expiry");
        return NGX_DECLINED;
    }

    return ngx_tccbs_triple_set(triple, &id, &key, &token, expires, why);
}


/* NGX_OK; NGX_DECLINED when it is absent, empty in "value"; NGX_ERROR. */

static ngx_int_t
ngx_tccbs_source_string(ngx_tccbs_json_t *object, const char *name,
    ngx_str_t *value)
{
    ngx_tccbs_json_t  *node;

    ngx_str_null(value);

    node = ngx_tccbs_json_get(object, name);

    if (node == NULL || node->type == NGX_TCCBS_JSON_NULL) {
        return NGX_DECLINED;
    }

    if (node->type != NGX_TCCBS_JSON_STRING) {
        return NGX_ERROR;
    }

    *value = node->value;

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_source_json(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_tccbs_format_e format, ngx_tccbs_triple_t *triple, ngx_str_t *why)
{
    ngx_int_t                        rc;
    ngx_tccbs_json_t                *root;
    const ngx_tccbs_source_names_t  *names;

    rc = ngx_tccbs_source_parse(pool, text, &root, why);

    if (rc != NGX_OK) {
        return rc;
    }

    names = &ngx_tccbs_source_own;

    if (format == NGX_TCCBS_FORMAT_TCCLI
        || (format == NGX_TCCBS_FORMAT_AUTO
            && ngx_tccbs_json_get(root, names->id) == NULL
            && ngx_tccbs_json_get(root, ngx_tccbs_source_tccli.id)))
    {
        names = &ngx_tccbs_source_tccli;
    }

    rc = ngx_tccbs_source_object(root,
                                 ngx_tccbs_json_get(root, names->expires),
                                 names, triple, why);

    if (rc == NGX_DECLINED && format == NGX_TCCBS_FORMAT_AUTO
        && ngx_tccbs_json_get(root, names->id) == NULL)
    {
        ngx_str_set(why, "it must have strings \"secret_id\" and "
                         "\"secret_key\"");
    }

    ngx_tccbs_json_wipe(root);

    return rc;
}


/* "name = value" lines; only those of [default] count, each name once. */

static ngx_int_t
ngx_tccbs_source_ini(const ngx_str_t *text, ngx_tccbs_triple_t *triple,
    ngx_str_t *why)
{
    u_char      *p, *last, *eol, *eq;
    ngx_str_t    line, name, parts[3];
    ngx_uint_t   i, section;

    static const char  *names[] = { "secret_id", "secret_key", "token" };

    ngx_memzero(parts, sizeof(parts));

    section = 0;
    last = text->data + text->len;

    for (p = text->data; p < last; p = eol + 1) {

        for (eol = p; eol < last && *eol != LF; eol++) { /* void */ }

        line.data = p;
        line.len = eol - p;

        ngx_tccbs_source_trim(&line);

        if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';') {
            continue;
        }

        if (line.data[0] == '[') {
            section = ngx_tccbs_is(&line, "[default]");
            continue;
        }

        eq = ngx_strlchr(line.data, line.data + line.len, '=');

        if (eq == NULL) {
            ngx_str_set(why, "a line is neither JSON nor \"name = value\"");
            return NGX_DECLINED;
        }

        if (!section) {
            continue;
        }

        name.data = line.data;
        name.len = eq - line.data;

        line.len -= eq + 1 - line.data;
        line.data = eq + 1;

        ngx_tccbs_source_trim(&name);
        ngx_tccbs_source_trim(&line);

        for (i = 0; i < 3; i++) {
            if (!ngx_tccbs_is(&name, names[i])) {
                continue;
            }

            if (parts[i].data) {
                ngx_str_set(why, "a name is there twice in \"[default]\"");
                return NGX_DECLINED;
            }

            parts[i] = line;
        }
    }

    if (parts[0].len == 0 || parts[1].len == 0) {
        ngx_str_set(why, "it must have \"secret_id\" and \"secret_key\" in "
                         "\"[default]\"");
        return NGX_DECLINED;
    }

    return ngx_tccbs_triple_set(triple, &parts[0], &parts[1], &parts[2], 0,
                                why);
}


static void
ngx_tccbs_source_trim(ngx_str_t *s)
{
    while (s->len && (s->data[0] == ' ' || (s->data[0] >= '\t'
                                            && s->data[0] <= CR)))
    {
        s->data++;
        s->len--;
    }

    while (s->len && (s->data[s->len - 1] == ' '
                      || (s->data[s->len - 1] >= '\t'
                          && s->data[s->len - 1] <= CR)))
    {
        s->len--;
    }
}


/* A code of STS names the mistake of an operator: it is worth being told. */

static ngx_int_t
ngx_tccbs_source_error(ngx_pool_t *pool, ngx_tccbs_json_t *error,
    ngx_str_t *why)
{
    ngx_str_t  code, name;

    if (ngx_tccbs_source_string(error, "Code", &code) != NGX_OK
        || code.len > NGX_TCCBS_SOURCE_CODE
        || ngx_tccbs_source_role(&code, &name, why) != NGX_OK)
    {
        ngx_str_set(why, "it refused without a code");
        return NGX_DECLINED;
    }

    why->data = ngx_pnalloc(pool, name.len);
    if (why->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(why->data, name.data, name.len);
    why->len = name.len;

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_tccbs_source_printable(const ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] <= ' ' || s->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}
