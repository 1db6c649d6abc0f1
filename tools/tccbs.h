
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_H_INCLUDED_
#define _TCCBS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <getopt.h>
#include <stdio.h>


/* Exit codes: 0 ok, 1 a finding or a failure, 2 usage. */

#define TCCBS_OK        0
#define TCCBS_FAILED    1
#define TCCBS_USAGE     2


/* The commands; each has its options and arguments after its words. */

int tccbs_key_new(int argc, char **argv);
int tccbs_sign(int argc, char **argv);
int tccbs_explain(int argc, char **argv);
int tccbs_doctor(int argc, char **argv);
int tccbs_audit_verify(int argc, char **argv);
int tccbs_audit_seal(int argc, char **argv);
int tccbs_audit_key(int argc, char **argv);
int tccbs_audit_show(int argc, char **argv);

/* Prints how a command is used, or all of them when "words" is NULL. */
int tccbs_usage(const char *words);

/* Writes a new file of mode 0400; the message on failure is printed. */
int tccbs_write_secret(const char *path, const char *text, size_t len);

/* The rest of a stream, ended by a NUL that does not count; at most "max". */
ngx_int_t tccbs_read(FILE *f, ngx_pool_t *pool, size_t max, ngx_str_t *text);

/* A whole file, likewise; the message on failure is printed. */
ngx_int_t tccbs_read_file(const char *path, ngx_pool_t *pool, size_t max,
    ngx_str_t *text);

/* The same for a secret in a file of one line, without its end. */
ngx_int_t tccbs_read_line(const char *path, ngx_pool_t *pool, size_t max,
    ngx_str_t *text);


#endif /* _TCCBS_H_INCLUDED_ */
