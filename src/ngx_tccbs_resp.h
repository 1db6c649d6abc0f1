
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_RESP_H_INCLUDED_
#define _NGX_TCCBS_RESP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The framing of Redis' protocol, version 2, by hiredis.  A server is not
 * trusted: a reply of more than NGX_TCCBS_RESP_SIZE bytes, of more than
 * NGX_TCCBS_RESP_MAX values or of more than NGX_TCCBS_RESP_DEPTH arrays in each
 * other is an error, as is what only version 3 has, and a value is asked for
 * with bounds.
 */

#define NGX_TCCBS_RESP_SIZE   (512 * 1024)
#define NGX_TCCBS_RESP_MAX    256
#define NGX_TCCBS_RESP_DEPTH  8


typedef enum {
    NGX_TCCBS_RESP_NIL = 0,
    NGX_TCCBS_RESP_STATUS,
    NGX_TCCBS_RESP_ERROR,
    NGX_TCCBS_RESP_INTEGER,
    NGX_TCCBS_RESP_STRING,
    NGX_TCCBS_RESP_ARRAY
} ngx_tccbs_resp_e;

typedef struct ngx_tccbs_resp_s         ngx_tccbs_resp_t;
typedef struct ngx_tccbs_resp_reader_s  ngx_tccbs_resp_reader_t;

struct ngx_tccbs_resp_s {
    ngx_tccbs_resp_e        type;
    int64_t                 integer;
    ngx_str_t               text;         /* of a status, error or string */
    ngx_tccbs_resp_t       *elts;
    ngx_uint_t              nelts;
};


/* A reader of one connection, or NULL. */
ngx_tccbs_resp_reader_t *ngx_tccbs_resp_create(ngx_log_t *log);
void ngx_tccbs_resp_destroy(ngx_tccbs_resp_reader_t *reader);

/* Bytes that arrived: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_tccbs_resp_feed(ngx_tccbs_resp_reader_t *reader,
    const u_char *data, size_t len);

/*
 * The next reply, which lives until the next call: NGX_OK; NGX_AGAIN when it
 * is not complete; NGX_ERROR when this is no reply, for good.
 */
ngx_int_t ngx_tccbs_resp_next(ngx_tccbs_resp_reader_t *reader,
    ngx_tccbs_resp_t **reply);

/* The command in "bytes", which ngx_tccbs_resp_free() frees; or NGX_ERROR. */
ngx_int_t ngx_tccbs_resp_command(const ngx_str_t *argv, ngx_uint_t argc,
    ngx_str_t *bytes);
void ngx_tccbs_resp_free(ngx_str_t *bytes);

/*
 * Element "n" of an array: an integer from "min" to "max", or a string of at
 * most "max" bytes.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_tccbs_resp_integer(const ngx_tccbs_resp_t *reply, ngx_uint_t n,
    int64_t min, int64_t max, int64_t *value);
ngx_int_t ngx_tccbs_resp_string(const ngx_tccbs_resp_t *reply, ngx_uint_t n,
    size_t max, ngx_str_t *value);

/*
 * Whether it is the error of that code, such as "NOSCRIPT", or a command in a
 * script has failed with it.
 */
ngx_uint_t ngx_tccbs_resp_is_error(const ngx_tccbs_resp_t *reply,
    const char *code);

/* Makes its text fit for a log: ASCII, "max" bytes at most. */
void ngx_tccbs_resp_printable(ngx_tccbs_resp_t *reply, size_t max);


#endif /* _NGX_TCCBS_RESP_H_INCLUDED_ */
