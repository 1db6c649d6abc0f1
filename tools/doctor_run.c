
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "doctor.h"
#include "process.h"


static void tccbs_doctor_worker(tccbs_doctor_t *doctor,
    tccbs_process_t *worker, const struct stat *audit);


void
tccbs_doctor_processes(tccbs_doctor_t *doctor)
{
    pid_t             master;
    ngx_uint_t        i, n;
    struct stat       st, *audit;
    tccbs_process_t  *workers;

    master = tccbs_process_master(doctor->setup.pid);

    if (master == 0) {
        tccbs_doctor_say(doctor, 1, "nginx", "does not run: no process of %s",
                         doctor->setup.pid);
        return;
    }

    workers = ngx_palloc(doctor->pool,
                         TCCBS_PROCESSES * sizeof(tccbs_process_t));
    if (workers == NULL) {
        doctor->failed = 1;
        return;
    }

    audit = (doctor->setup.audit && stat(doctor->setup.audit, &st) == 0) ? &st
                                                                         : NULL;

    n = tccbs_process_workers(master, workers, audit);

    tccbs_doctor_say(doctor, n == 0, "nginx", "master %d, %u workers",
                     (int) master, (unsigned) n);

    for (i = 0; i < n; i++) {
        tccbs_doctor_worker(doctor, &workers[i], audit);
    }
}


static void
tccbs_doctor_worker(tccbs_doctor_t *doctor, tccbs_process_t *worker,
    const struct stat *audit)
{
    int         pid;
    ngx_uint_t  before;

    pid = worker->pid;

    if (!worker->readable) {
        tccbs_doctor_say(doctor, 1, "worker", "%d cannot be looked into, run "
                         "this as root", pid);
        return;
    }

    before = doctor->findings;

    if (worker->uid == 0) {
        tccbs_doctor_say(doctor, 1, "worker", "%d runs as root, use \"user\"",
                         pid);

    } else if (worker->dumpable) {
        tccbs_doctor_say(doctor, 1, "worker", "%d may be traced by its user%s, "
                         "use \"tccbs_core_dump off\"", pid,
                         worker->core ? ", and writes a core when it crashes"
                                      : "");
    }

    if (audit && !worker->opens) {
        tccbs_doctor_say(doctor, 1, "worker", "%d does not write to %s, reopen "
                         "it with the signal USR1", pid, doctor->setup.audit);
    }

    if (worker->locked == 0) {
        tccbs_doctor_say(doctor, 1, "worker", "%d has its keys not locked in "
                         "memory, raise RLIMIT_MEMLOCK", pid);
    }

    if (worker->threads < 2) {
        tccbs_doctor_say(doctor, 1, "worker", "%d has no thread for the audit "
                         "log", pid);
    }

    if (doctor->findings == before) {
        tccbs_doctor_say(doctor, 0, "worker", "%d: uid %u, not to be traced, "
                         "no core, %u kB locked, has the audit log open", pid,
                         (unsigned) worker->uid, (unsigned) worker->locked);
    }
}
