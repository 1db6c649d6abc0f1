
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_LOG_H_INCLUDED_
#define _TCCBS_LOG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"


/* An audit file in memory; docs/audit.md has the format of its lines. */

#define TCCBS_LOG_CHAIN  16
#define TCCBS_LOG_ID     16                   /* of a segment, hexadecimal */

typedef struct {
    const char   *name;
    u_char       *start;
    u_char       *end;                        /* behind the last newline */
    size_t        size;
    u_char        id[TCCBS_LOG_ID + 1];       /* by its first line, or "" */
} tccbs_log_t;

/* The members that every record has, where they are in its line. */

typedef struct {
    ngx_str_t     line;                       /* without the newline */
    u_char       *time;                       /* 27 characters */
    u_char       *id;
    u_char       *chain;
    u_char       *prev;                       /* 64 digits */
    uint64_t      seq;
    ngx_str_t     kind;
    u_char       *mac;                        /* 64 digits, NULL: none */
    size_t        covered;                    /* bytes that it covers */
} tccbs_record_t;


/* NGX_OK, or NGX_ERROR with a message on stderr. */
ngx_int_t tccbs_log_open(tccbs_log_t *log, const char *name);
void tccbs_log_close(tccbs_log_t *log);

/* The next line from *p on, or NGX_DONE; *p is moved behind it. */
ngx_int_t tccbs_log_line(const tccbs_log_t *log, u_char **p, ngx_str_t *line);

/*
 * Reads a line as a record: NGX_OK, or NGX_DECLINED.  A record that begins
 * inside of the line, behind what a crash left, is found by tccbs_log_inner().
 */
ngx_int_t tccbs_log_record(const ngx_str_t *line, tccbs_record_t *record);
u_char *tccbs_log_inner(const ngx_str_t *line);

/* Whether text is how a record begins, cut off; with its chain and number. */
ngx_uint_t tccbs_log_torn(const ngx_str_t *text, u_char **chain,
    uint64_t *seq);

/* The string or number of a member, raw; empty when it is not there. */
ngx_str_t tccbs_log_member(const ngx_str_t *line, const char *name);


#endif /* _TCCBS_LOG_H_INCLUDED_ */
