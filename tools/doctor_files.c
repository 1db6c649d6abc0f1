
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "doctor.h"
#include "process.h"


#define TCCBS_DOCTOR_SOON  (14 * 86400)     /* a key expires */


static void tccbs_doctor_secret(tccbs_doctor_t *doctor,
    tccbs_setup_file_t *file, uid_t owner);
static ngx_uint_t tccbs_doctor_directory(tccbs_doctor_t *doctor,
    const char *path);
static void tccbs_doctor_audit(tccbs_doctor_t *doctor);
static uid_t tccbs_doctor_owner(tccbs_doctor_t *doctor);


void
tccbs_doctor_files(tccbs_doctor_t *doctor)
{
    uid_t                 owner;
    time_t                now;
    ngx_uint_t            i;
    tccbs_setup_key_t    *key;
    tccbs_setup_file_t   *file;
    tccbs_setup_place_t  *place;

    owner = tccbs_doctor_owner(doctor);
    file = doctor->setup.files.elts;

    for (i = 0; i < doctor->setup.files.nelts; i++) {
        tccbs_doctor_secret(doctor, &file[i], owner);
    }

    now = time(NULL);
    key = doctor->setup.keys.elts;

    for (i = 0; i < doctor->setup.keys.nelts; i++) {

        if (key[i].expires == 0 || key[i].expires > now + TCCBS_DOCTOR_SOON) {
            continue;
        }

        tccbs_doctor_say(doctor, 1, "key", "%.*s %s", (int) key[i].id.len,
                         key[i].id.data,
                         key[i].expires > now ? "expires within 14 days"
                                              : "has expired, remove it");
    }

    tccbs_doctor_audit(doctor);

    place = doctor->setup.debug.elts;

    for (i = 0; i < doctor->setup.debug.nelts; i++) {
        tccbs_doctor_say(doctor, 1, "log", "%s:%u: a debug log holds the "
                         "headers of callers, their signatures included",
                         place[i].file, (unsigned) place[i].line);
    }
}


static void
tccbs_doctor_secret(tccbs_doctor_t *doctor, tccbs_setup_file_t *file,
    uid_t owner)
{
    time_t       age;
    struct stat  st;

    if (stat(file->path, &st) == -1) {
        tccbs_doctor_say(doctor, 1, "file", "%s %s: %s", file->what,
                         file->path, strerror(errno));
        return;
    }

    if (!S_ISREG(st.st_mode)) {
        tccbs_doctor_say(doctor, 1, "file", "%s %s is no regular file",
                         file->what, file->path);
        return;
    }

    if (st.st_mode & (S_IRWXG|S_IRWXO)) {
        tccbs_doctor_say(doctor, 1, "file", "%s %s has mode %04o, use \"chmod "
                         "0400\"", file->what, file->path,
                         (unsigned) (st.st_mode & 07777));

    } else if (st.st_uid != 0 && st.st_uid != owner) {
        tccbs_doctor_say(doctor, 1, "file", "%s %s belongs to uid %u, not to "
                         "root or who starts nginx", file->what, file->path,
                         (unsigned) st.st_uid);

    } else if (tccbs_doctor_directory(doctor, file->path)) {
        tccbs_doctor_say(doctor, 0, "file", "%s %s: mode %04o, uid %u",
                         file->what, file->path,
                         (unsigned) (st.st_mode & 07777),
                         (unsigned) st.st_uid);
    }

    if (strcmp(file->what, "credential") != 0) {
        return;
    }

    age = time(NULL) - st.st_mtime;

    tccbs_doctor_say(doctor, age > doctor->max_age, "credential",
                     "%s is %ld days old%s", file->path, (long) age / 86400,
                     age > doctor->max_age ? ", replace it" : "");
}


/* Who may write into its directory may replace a file. */

static ngx_uint_t
tccbs_doctor_directory(tccbs_doctor_t *doctor, const char *path)
{
    char         dir[4096], *slash;
    struct stat  st;

    (void) snprintf(dir, sizeof(dir), "%s", path);

    slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir) {
        return 1;
    }

    *slash = '\0';

    if (stat(dir, &st) == -1 || (st.st_mode & (S_IWGRP|S_IWOTH)) == 0
        || (st.st_mode & S_ISVTX))
    {
        return 1;
    }

    tccbs_doctor_say(doctor, 1, "file", "%s has mode %04o, others may replace "
                     "what is in it", dir, (unsigned) (st.st_mode & 07777));

    return 0;
}


static void
tccbs_doctor_audit(tccbs_doctor_t *doctor)
{
    struct stat  st;

    if (doctor->setup.audit == NULL) {
        tccbs_doctor_say(doctor, 1, "audit", "no \"tccbs_audit\" in %s",
                         doctor->setup.conf);
        return;
    }

    if (stat(doctor->setup.audit, &st) == -1) {
        tccbs_doctor_say(doctor, 1, "audit", "%s: %s", doctor->setup.audit,
                         strerror(errno));
        return;
    }

    tccbs_doctor_say(doctor, (st.st_mode & (S_IWGRP|S_IRWXO)) != 0, "audit",
                     "%s: mode %04o%s", doctor->setup.audit,
                     (unsigned) (st.st_mode & 07777),
                     st.st_mode & (S_IWGRP|S_IRWXO) ? ", use \"chmod 0640\""
                                                    : "");
}


/* Who starts nginx: the user of the master, or of this process. */

static uid_t
tccbs_doctor_owner(tccbs_doctor_t *doctor)
{
    char         path[64];
    pid_t        master;
    struct stat  st;

    master = tccbs_process_master(doctor->setup.pid);

    snprintf(path, sizeof(path), "/proc/%d", (int) master);

    return (master && stat(path, &st) == 0) ? st.st_uid : geteuid();
}
