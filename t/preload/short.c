
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


/*
 * A library to preload into nginx: a disk that is full at a certain byte of a
 * record.  The file $TCCBS_SHORT has what is to happen, as seven ints:
 *
 *   armed   1: at the next write of a record; 2: it has happened, and writing
 *           to that file fails; 0: never
 *   skip    writes of records to let pass first
 *   bytes   that the write takes
 *   err     of the writes that follow; 0: there is nothing wrong with them
 *   hits    how often it has happened
 *   len     of the write that was cut
 *   delay   of each fdatasync(), in milliseconds
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>


typedef struct {
    int  armed;
    int  skip;
    int  bytes;
    int  err;
    int  hits;
    int  len;
    int  delay;
} short_t;


static const char         head[] = "{\"v\":1,\"time\":\"";

static volatile short_t  *ctl;
static struct stat        file;


__attribute__((constructor))
static void
short_init(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("TCCBS_SHORT");
    fd = path ? open(path, O_RDWR|O_CLOEXEC) : -1;

    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(short_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    ctl = (p == MAP_FAILED) ? NULL : p;

    (void) close(fd);
}


static int
short_same(int fd)
{
    struct stat  st;

    return fstat(fd, &st) == 0 && st.st_ino == file.st_ino
           && st.st_dev == file.st_dev;
}


ssize_t
write(int fd, const void *buf, size_t n)
{
    if (ctl && ctl->armed == 1 && n >= sizeof(head)
        && memcmp(buf, head, sizeof(head) - 1) == 0
        && (ctl->skip == 0 || ctl->skip-- == 0) && fstat(fd, &file) == 0)
    {
        ctl->armed = ctl->err ? 2 : 0;
        ctl->len = (int) n;
        ctl->hits++;

        if (ctl->bytes && (size_t) ctl->bytes < n) {
            return syscall(SYS_write, fd, buf, (size_t) ctl->bytes);
        }
    }

    if (ctl && ctl->armed == 2 && short_same(fd)) {
        errno = ctl->err;
        return -1;
    }

    return syscall(SYS_write, fd, buf, n);
}


int
fdatasync(int fd)
{
    if (ctl && ctl->delay) {
        (void) usleep(ctl->delay * 1000);
    }

    return syscall(SYS_fdatasync, fd);
}
