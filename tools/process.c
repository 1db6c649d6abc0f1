
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "process.h"

#include <dirent.h>
#include <stdio.h>


#define TCCBS_PROCESS_PATH  64


static ngx_uint_t tccbs_process_is_worker(pid_t pid, pid_t master);
static void tccbs_process_look(tccbs_process_t *process,
    const struct stat *file);
static ngx_uint_t tccbs_process_status(tccbs_process_t *process);
static ngx_uint_t tccbs_process_limits(tccbs_process_t *process);
static ngx_uint_t tccbs_process_opens(tccbs_process_t *process,
    const struct stat *file);
static FILE *tccbs_process_open(pid_t pid, const char *name);


pid_t
tccbs_process_master(const char *pidfile)
{
    int     n;
    FILE   *f;
    pid_t   pid;

    f = fopen(pidfile, "r");
    if (f == NULL) {
        return 0;
    }

    n = fscanf(f, "%d", &pid);

    (void) fclose(f);

    if (n != 1 || pid <= 0 || (kill(pid, 0) == -1 && errno == ESRCH)) {
        return 0;
    }

    return pid;
}


ngx_uint_t
tccbs_process_workers(pid_t master, tccbs_process_t *workers,
    const struct stat *file)
{
    DIR            *dir;
    pid_t           pid;
    ngx_uint_t      n;
    struct dirent  *de;

    dir = opendir("/proc");
    if (dir == NULL) {
        return 0;
    }

    n = 0;

    while (n < TCCBS_PROCESSES && (de = readdir(dir)) != NULL) {

        pid = atoi(de->d_name);

        if (pid > 0 && tccbs_process_is_worker(pid, master)) {
            workers[n].pid = pid;
            tccbs_process_look(&workers[n++], file);
        }
    }

    (void) closedir(dir);

    return n;
}


static ngx_uint_t
tccbs_process_is_worker(pid_t pid, pid_t master)
{
    int     parent;
    char    line[1024], *p;
    FILE   *f;
    size_t  n;

    f = tccbs_process_open(pid, "stat");
    if (f == NULL) {
        return 0;
    }

    n = fread(line, 1, sizeof(line) - 1, f);
    line[n] = '\0';
    (void) fclose(f);

    /* the name before may hold anything */

    p = strrchr(line, ')');

    if (p == NULL || sscanf(p + 1, " %*c %d", &parent) != 1
        || parent != master)
    {
        return 0;
    }

    f = tccbs_process_open(pid, "cmdline");
    if (f == NULL) {
        return 0;
    }

    n = fread(line, 1, sizeof(line) - 1, f);
    line[n] = '\0';
    (void) fclose(f);

    return strstr(line, "worker process") != NULL
           && strstr(line, "shutting down") == NULL;
}


static void
tccbs_process_look(tccbs_process_t *process, const struct stat *file)
{
    char         path[TCCBS_PROCESS_PATH];
    struct stat  st;

    /* what belongs to root is of a process that may not be looked into */

    snprintf(path, sizeof(path), "/proc/%d/environ", (int) process->pid);

    process->readable = tccbs_process_status(process)
                        && tccbs_process_limits(process)
                        && stat(path, &st) == 0;

    process->dumpable = process->readable && st.st_uid != 0;
    process->opens = 0;

    if (file && process->readable) {
        process->readable = tccbs_process_opens(process, file);
    }
}


static ngx_uint_t
tccbs_process_status(tccbs_process_t *process)
{
    FILE          *f;
    char           line[256];
    unsigned int   n;

    f = tccbs_process_open(process->pid, "status");
    if (f == NULL) {
        return 0;
    }

    process->threads = 0;
    process->locked = 0;

    while (fgets(line, sizeof(line), f)) {

        if (sscanf(line, "Uid: %u", &n) == 1) {
            process->uid = n;

        } else if (sscanf(line, "Threads: %u", &n) == 1) {
            process->threads = n;

        } else if (sscanf(line, "VmLck: %u kB", &n) == 1) {
            process->locked = n;
        }
    }

    (void) fclose(f);

    return process->threads != 0;
}


static ngx_uint_t
tccbs_process_limits(tccbs_process_t *process)
{
    FILE  *f;
    char   line[256], soft[32];

    f = tccbs_process_open(process->pid, "limits");
    if (f == NULL) {
        return 0;
    }

    soft[0] = '\0';

    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Max core file size %31s", soft) == 1) {
            break;
        }
    }

    (void) fclose(f);

    process->core = (strcmp(soft, "0") != 0);

    return soft[0] != '\0';
}


static ngx_uint_t
tccbs_process_opens(tccbs_process_t *process, const struct stat *file)
{
    DIR            *dir;
    char            path[TCCBS_PROCESS_PATH];
    struct stat     st;
    struct dirent  *de;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int) process->pid);

    dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }

    while ((de = readdir(dir)) != NULL) {
        if (fstatat(dirfd(dir), de->d_name, &st, 0) == 0
            && st.st_dev == file->st_dev && st.st_ino == file->st_ino)
        {
            process->opens = 1;
        }
    }

    (void) closedir(dir);

    return 1;
}


static FILE *
tccbs_process_open(pid_t pid, const char *name)
{
    char  path[TCCBS_PROCESS_PATH];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);

    return fopen(path, "r");
}
