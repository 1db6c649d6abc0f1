
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_PROCESS_H_INCLUDED_
#define _TCCBS_PROCESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* What /proc tells of a running nginx. */

#define TCCBS_PROCESSES  1024

typedef struct {
    pid_t            pid;
    uid_t            uid;
    ngx_uint_t       readable;              /* all below could be read */
    ngx_uint_t       dumpable;              /* its user may look into it */
    ngx_uint_t       core;                  /* its limit is not 0 */
    ngx_uint_t       threads;
    ngx_uint_t       locked;                /* kB of memory */
    ngx_uint_t       opens;                 /* the file asked for */
} tccbs_process_t;


/* The master whose pid is in that file, or 0. */
pid_t tccbs_process_master(const char *pidfile);

/*
 * Its workers, without those that are shutting down, at most TCCBS_PROCESSES;
 * "file" may be NULL.
 */
ngx_uint_t tccbs_process_workers(pid_t master, tccbs_process_t *workers,
    const struct stat *file);


#endif /* _TCCBS_PROCESS_H_INCLUDED_ */
