
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>

#include "ngx_tccbs_resp.h"


/* hiredis 1.0 counts elements in another type */

#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_tccbs_resp_count_t;
#else
typedef int     ngx_tccbs_resp_count_t;
#endif


struct ngx_tccbs_resp_reader_s {
    redisReader       *redis;
    ngx_pool_t        *pool;              /* of the reply that is read */
    ngx_log_t         *log;
    size_t             size;              /* since the last one */
    ngx_uint_t         n;                 /* values of it */
    unsigned           complete:1;
};


static ngx_tccbs_resp_t *ngx_tccbs_resp_value(const redisReadTask *task,
    ngx_tccbs_resp_e type);
static void *ngx_tccbs_resp_make_string(const redisReadTask *task, char *data,
    size_t len);
static void *ngx_tccbs_resp_make_array(const redisReadTask *task,
    ngx_tccbs_resp_count_t n);
static void *ngx_tccbs_resp_make_integer(const redisReadTask *task,
    long long value);
static void *ngx_tccbs_resp_make_nil(const redisReadTask *task);
#if (HIREDIS_MAJOR >= 1)
static void *ngx_tccbs_resp_make_double(const redisReadTask *task,
    double value, char *data, size_t len);
static void *ngx_tccbs_resp_make_bool(const redisReadTask *task, int value);
#endif
static void ngx_tccbs_resp_drop(void *value);
static u_char *ngx_tccbs_resp_code(const ngx_str_t *text);


static redisReplyObjectFunctions  ngx_tccbs_resp_functions = {
    .createString = ngx_tccbs_resp_make_string,
    .createArray = ngx_tccbs_resp_make_array,
    .createInteger = ngx_tccbs_resp_make_integer,
    .createNil = ngx_tccbs_resp_make_nil,
#if (HIREDIS_MAJOR >= 1)
    .createDouble = ngx_tccbs_resp_make_double,
    .createBool = ngx_tccbs_resp_make_bool,
#endif
    .freeObject = ngx_tccbs_resp_drop
};


ngx_tccbs_resp_reader_t *
ngx_tccbs_resp_create(ngx_log_t *log)
{
    ngx_tccbs_resp_reader_t  *reader;

    reader = calloc(1, sizeof(ngx_tccbs_resp_reader_t));
    if (reader == NULL) {
        return NULL;
    }

    reader->log = log;
    reader->complete = 1;
    reader->redis = redisReaderCreateWithFunctions(&ngx_tccbs_resp_functions);

    if (reader->redis == NULL) {
        free(reader);
        return NULL;
    }

    reader->redis->privdata = reader;

    return reader;
}


void
ngx_tccbs_resp_destroy(ngx_tccbs_resp_reader_t *reader)
{
    redisReaderFree(reader->redis);

    if (reader->pool) {
        ngx_destroy_pool(reader->pool);
    }

    free(reader);
}


ngx_int_t
ngx_tccbs_resp_feed(ngx_tccbs_resp_reader_t *reader, const u_char *data,
    size_t len)
{
    reader->size += len;

    return (redisReaderFeed(reader->redis, (const char *) data, len)
            == REDIS_OK)
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_tccbs_resp_next(ngx_tccbs_resp_reader_t *reader, ngx_tccbs_resp_t **reply)
{
    void  *value;

    if (reader->complete) {

        if (reader->pool) {
            ngx_destroy_pool(reader->pool);
        }

        reader->pool = ngx_create_pool(1024, reader->log);
        if (reader->pool == NULL) {
            return NGX_ERROR;
        }

        reader->n = 0;
        reader->complete = 0;
    }

    value = NULL;

    if (redisReaderGetReply(reader->redis, &value) != REDIS_OK) {
        return NGX_ERROR;
    }

    if (value == NULL) {
        return (reader->size > NGX_TCCBS_RESP_SIZE) ? NGX_ERROR : NGX_AGAIN;
    }

    reader->size = 0;
    reader->complete = 1;

    *reply = value;

    return NGX_OK;
}


/* NULL makes hiredis give up. */

static ngx_tccbs_resp_t *
ngx_tccbs_resp_value(const redisReadTask *task, ngx_tccbs_resp_e type)
{
    ngx_tccbs_resp_t         *value;
    ngx_tccbs_resp_reader_t  *reader = task->privdata;

    if (reader->n++ == NGX_TCCBS_RESP_MAX) {
        return NULL;
    }

    /* the kinds of version 3, which nobody has asked for, are the last ones */

    if (task->type > REDIS_REPLY_ERROR) {
        return NULL;
    }

    if (task->parent) {
        value = task->parent->obj;
        value = &value->elts[task->idx];

    } else {
        value = ngx_pcalloc(reader->pool, sizeof(ngx_tccbs_resp_t));
    }

    if (value) {
        value->type = type;
    }

    return value;
}


static void *
ngx_tccbs_resp_make_string(const redisReadTask *task, char *data, size_t len)
{
    ngx_tccbs_resp_t         *value;
    ngx_tccbs_resp_reader_t  *reader = task->privdata;

    value = ngx_tccbs_resp_value(task,
                        (task->type == REDIS_REPLY_ERROR)
                            ? NGX_TCCBS_RESP_ERROR
                            : (task->type == REDIS_REPLY_STATUS)
                                ? NGX_TCCBS_RESP_STATUS
                                : NGX_TCCBS_RESP_STRING);

    if (value == NULL || len > NGX_TCCBS_RESP_SIZE) {
        return NULL;
    }

    value->text.len = len;
    value->text.data = ngx_pnalloc(reader->pool, len ? len : 1);

    if (value->text.data == NULL) {
        return NULL;
    }

    ngx_memcpy(value->text.data, data, len);

    return value;
}


static void *
ngx_tccbs_resp_make_array(const redisReadTask *task, ngx_tccbs_resp_count_t n)
{
    ngx_uint_t                depth;
    const redisReadTask      *parent;
    ngx_tccbs_resp_t         *value;
    ngx_tccbs_resp_reader_t  *reader = task->privdata;

    value = ngx_tccbs_resp_value(task, NGX_TCCBS_RESP_ARRAY);

    if (value == NULL || (size_t) n > NGX_TCCBS_RESP_MAX) {
        return NULL;
    }

    /* hiredis 1.0 has no bound of its own */

    depth = 0;

    for (parent = task; parent; parent = parent->parent) {
        depth++;
    }

    if (depth > NGX_TCCBS_RESP_DEPTH) {
        return NULL;
    }

    value->nelts = n;

    if (n) {
        value->elts = ngx_pcalloc(reader->pool, n * sizeof(ngx_tccbs_resp_t));
        if (value->elts == NULL) {
            return NULL;
        }
    }

    return value;
}


static void *
ngx_tccbs_resp_make_integer(const redisReadTask *task, long long integer)
{
    ngx_tccbs_resp_t  *value;

    value = ngx_tccbs_resp_value(task, NGX_TCCBS_RESP_INTEGER);

    if (value) {
        value->integer = integer;
    }

    return value;
}


static void *
ngx_tccbs_resp_make_nil(const redisReadTask *task)
{
    return ngx_tccbs_resp_value(task, NGX_TCCBS_RESP_NIL);
}


#if (HIREDIS_MAJOR >= 1)

/* Without these two hiredis takes the number of the kind for a pointer. */

static void *
ngx_tccbs_resp_make_double(const redisReadTask *task, double value, char *data,
    size_t len)
{
    return NULL;
}


static void *
ngx_tccbs_resp_make_bool(const redisReadTask *task, int value)
{
    return NULL;
}

#endif


/* The pool has it. */

static void
ngx_tccbs_resp_drop(void *value)
{
}


ngx_int_t
ngx_tccbs_resp_command(const ngx_str_t *argv, ngx_uint_t argc,
    ngx_str_t *bytes)
{
    int          len;
    char        *command;
    size_t       lens[NGX_TCCBS_RESP_MAX];
    ngx_uint_t   i;
    const char  *args[NGX_TCCBS_RESP_MAX];

    if (argc > NGX_TCCBS_RESP_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < argc; i++) {
        args[i] = argv[i].len ? (const char *) argv[i].data : "";
        lens[i] = argv[i].len;
    }

    len = redisFormatCommandArgv(&command, argc, args, lens);

    if (len < 0) {
        return NGX_ERROR;
    }

    bytes->data = (u_char *) command;
    bytes->len = len;

    return NGX_OK;
}


void
ngx_tccbs_resp_free(ngx_str_t *bytes)
{
    if (bytes->data) {
        redisFreeCommand((char *) bytes->data);
        bytes->data = NULL;
    }
}


ngx_int_t
ngx_tccbs_resp_integer(const ngx_tccbs_resp_t *reply, ngx_uint_t n,
    int64_t min, int64_t max, int64_t *value)
{
    const ngx_tccbs_resp_t  *element;

    if (reply->type != NGX_TCCBS_RESP_ARRAY || n >= reply->nelts) {
        return NGX_ERROR;
    }

    element = &reply->elts[n];

    if (element->type != NGX_TCCBS_RESP_INTEGER
        || element->integer < min || element->integer > max)
    {
        return NGX_ERROR;
    }

    *value = element->integer;

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_resp_string(const ngx_tccbs_resp_t *reply, ngx_uint_t n, size_t max,
    ngx_str_t *value)
{
    const ngx_tccbs_resp_t  *element;

    if (reply->type != NGX_TCCBS_RESP_ARRAY || n >= reply->nelts) {
        return NGX_ERROR;
    }

    element = &reply->elts[n];

    if (element->type != NGX_TCCBS_RESP_STRING || element->text.len > max) {
        return NGX_ERROR;
    }

    *value = element->text;

    return NGX_OK;
}


ngx_uint_t
ngx_tccbs_resp_is_error(const ngx_tccbs_resp_t *reply, const char *code)
{
    u_char  *p;
    size_t   len;

    if (reply->type != NGX_TCCBS_RESP_ERROR) {
        return 0;
    }

    p = ngx_tccbs_resp_code(&reply->text);
    len = ngx_strlen(code);

    return (size_t) (reply->text.data + reply->text.len - p) >= len
           && ngx_strncmp(p, code, len) == 0;
}


/*
 * Before Redis 7 what a command in a script says is behind the places where it
 * was said: "ERR Error running script (call to f_...): @user_script:1:
 * @user_script: 1: -READONLY ...".  What has no code there is an ERR.
 */

static u_char *
ngx_tccbs_resp_code(const ngx_str_t *text)
{
    u_char  *p, *last;

    static const char  running[] = "ERR Error running script ";

    if (text->len < sizeof(running) - 1
        || ngx_strncmp(text->data, running, sizeof(running) - 1) != 0)
    {
        return text->data;
    }

    last = text->data + text->len;
    p = ngx_strlchr(text->data, last, '@');

    while (p && p < last && (*p == '@' || (*p >= '0' && *p <= '9'))) {
        p = ngx_strlchr(p, last, ' ');
        p = p ? p + 1 : NULL;
    }

    if (p && p < last && *p == '-') {
        p++;
    }

    /* a code has more than one capital letter, a sentence has not */

    return (p && last - p > 1 && p[0] >= 'A' && p[0] <= 'Z'
            && p[1] >= 'A' && p[1] <= 'Z')
           ? p : text->data;
}


void
ngx_tccbs_resp_printable(ngx_tccbs_resp_t *reply, size_t max)
{
    size_t  i;

    reply->text.len = ngx_min(reply->text.len, max);

    for (i = 0; i < reply->text.len; i++) {
        if (reply->text.data[i] < ' ' || reply->text.data[i] > '~') {
            reply->text.data[i] = '?';
        }
    }
}
