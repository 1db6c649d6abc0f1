
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_DOCTOR_H_INCLUDED_
#define _TCCBS_DOCTOR_H_INCLUDED_


#include "setup.h"


typedef struct {
    const char      *check;
    ngx_uint_t       finding;
    ngx_str_t        text;
} tccbs_result_t;

typedef struct {
    ngx_pool_t      *pool;
    tccbs_setup_t    setup;
    time_t           max_age;               /* of a credential, seconds */
    ngx_array_t      results;               /* tccbs_result_t */
    ngx_uint_t       findings;
    ngx_uint_t       failed;                /* no memory */
} tccbs_doctor_t;


/* A result; a finding is something to be mended, or that cannot be seen. */
void tccbs_doctor_say(tccbs_doctor_t *doctor, ngx_uint_t finding,
    const char *check, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The checks: of files, of the running processes, of the upstreams. */
void tccbs_doctor_files(tccbs_doctor_t *doctor);
void tccbs_doctor_processes(tccbs_doctor_t *doctor);
void tccbs_doctor_upstreams(tccbs_doctor_t *doctor);


#endif /* _TCCBS_DOCTOR_H_INCLUDED_ */
