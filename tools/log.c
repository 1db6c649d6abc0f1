
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "log.h"

#include <sys/mman.h>
#include <zlib.h>


/* "#" stands for a digit, "x" for a hexadecimal one, "-" also for itself. */

#define TCCBS_LOG_TIME    "####-##-##T##:##:##.######Z"
#define TCCBS_LOG_UUID    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
#define TCCBS_LOG_HEX16   "xxxxxxxxxxxxxxxx"
#define TCCBS_LOG_BEGIN   "{\"v\":1,\"time\":\""
#define TCCBS_LOG_MAC     ",\"mac\":\""

static const char  tccbs_log_head[] = TCCBS_LOG_BEGIN TCCBS_LOG_TIME
                                      "\",\"id\":\"" TCCBS_LOG_UUID
                                      "\",\"chain\":\"" TCCBS_LOG_HEX16
                                      "\",\"seq\":";

#define TCCBS_LOG_HEAD    (sizeof(tccbs_log_head) - 1)

/* where the members are, counted from the end of the head */

#define TCCBS_LOG_CHAIN_AT  (TCCBS_LOG_HEAD - 8 - TCCBS_LOG_CHAIN)
#define TCCBS_LOG_ID_AT     (TCCBS_LOG_CHAIN_AT - 11 - 36)
#define TCCBS_LOG_TIME_AT   (sizeof(TCCBS_LOG_BEGIN) - 1)


static int tccbs_log_inflate(int fd);
static size_t tccbs_log_fits(const u_char *p, size_t len, const char *form,
    size_t n);


ngx_int_t
tccbs_log_open(tccbs_log_t *log, const char *name)
{
    int           fd;
    u_char       *p;
    ngx_str_t     line;
    struct stat   st;
    u_char        hash[NGX_TCCBS_SHA256_LEN], magic[2];

    ngx_memzero(log, sizeof(tccbs_log_t));
    log->name = name;

    fd = open(name, O_RDONLY|O_CLOEXEC);

    if (fd != -1 && pread(fd, magic, 2, 0) == 2
        && magic[0] == 0x1f && magic[1] == 0x8b)
    {
        fd = tccbs_log_inflate(fd);
    }

    if (fd == -1 || fstat(fd, &st) == -1) {
        fprintf(stderr, "tccbs: cannot read \"%s\": %s\n", name,
                strerror(errno));
        return NGX_ERROR;
    }

    log->size = st.st_size;

    if (log->size) {
        log->start = mmap(NULL, log->size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (log->start == MAP_FAILED) {
            fprintf(stderr, "tccbs: cannot map \"%s\": %s\n", name,
                    strerror(errno));
            (void) close(fd);
            return NGX_ERROR;
        }

        (void) madvise(log->start, log->size, MADV_SEQUENTIAL);
    }

    (void) close(fd);

    log->end = log->start;

    if (log->size) {
        p = memrchr(log->start, LF, log->size);
        log->end = p ? p + 1 : log->start;
    }

    p = log->start;

    if (tccbs_log_line(log, &p, &line) == NGX_OK) {
        (void) ngx_tccbs_sha256(hash, &line, 1);
        (void) ngx_tccbs_hex(log->id, hash, TCCBS_LOG_ID / 2);
    }

    return NGX_OK;
}


/* What logrotate compressed: a file in memory with the text, or -1. */

static int
tccbs_log_inflate(int fd)
{
    int     n, out;
    gzFile  gz;
    char    buf[65536];

    out = memfd_create("tccbs", MFD_CLOEXEC);
    gz = gzdopen(fd, "rb");

    if (out == -1 || gz == NULL) {
        return -1;
    }

    do {
        n = gzread(gz, buf, sizeof(buf));
    } while (n > 0 && write(out, buf, n) == n);

    /* an end that is missing is told when the file is closed */

    if (gzclose_r(gz) != Z_OK || n != 0) {
        (void) close(out);
        errno = EBADMSG;
        return -1;
    }

    return out;
}


void
tccbs_log_close(tccbs_log_t *log)
{
    if (log->start) {
        (void) munmap(log->start, log->size);
    }
}


ngx_int_t
tccbs_log_line(const tccbs_log_t *log, u_char **p, ngx_str_t *line)
{
    u_char  *lf;

    if (*p == log->end) {
        return NGX_DONE;
    }

    lf = memchr(*p, LF, log->end - *p);

    line->data = *p;
    line->len = lf - *p;

    *p = lf + 1;

    return NGX_OK;
}


/* How many characters of the form the text has; all of them: n. */

static size_t
tccbs_log_fits(const u_char *p, size_t len, const char *form, size_t n)
{
    size_t  i;

    for (i = 0; i < n && i < len; i++) {

        if (form[i] == '#' ? (p[i] < '0' || p[i] > '9')
            : form[i] == 'x' ? ((p[i] < '0' || p[i] > '9')
                                && (p[i] < 'a' || p[i] > 'f'))
                             : p[i] != (u_char) form[i])
        {
            break;
        }
    }

    return i;
}


ngx_int_t
tccbs_log_record(const ngx_str_t *line, tccbs_record_t *record)
{
    u_char  *p, *last;

    p = line->data;
    last = p + line->len;

    if (line->len < TCCBS_LOG_HEAD + 100 || last[-1] != '}'
        || tccbs_log_fits(p, line->len, tccbs_log_head, TCCBS_LOG_HEAD)
           != TCCBS_LOG_HEAD)
    {
        return NGX_DECLINED;
    }

    record->line = *line;
    record->time = p + TCCBS_LOG_TIME_AT;
    record->id = p + TCCBS_LOG_ID_AT;
    record->chain = p + TCCBS_LOG_CHAIN_AT;
    record->seq = 0;
    record->mac = NULL;
    record->covered = 0;

    for (p += TCCBS_LOG_HEAD; *p >= '0' && *p <= '9'; p++) {
        if (record->seq > (uint64_t) 1 << 59) {
            return NGX_DECLINED;
        }

        record->seq = record->seq * 10 + (*p - '0');
    }

    if (last - p < 100 || ngx_strncmp(p, ",\"prev\":\"", 9) != 0) {
        return NGX_DECLINED;
    }

    record->prev = p + 9;

    if (ngx_strncmp(p + 73, "\",\"kind\":\"", 10) != 0) {
        return NGX_DECLINED;
    }

    record->kind.data = p + 83;
    p = memchr(record->kind.data, '"', last - record->kind.data);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    record->kind.len = p - record->kind.data;

    p = last - sizeof(TCCBS_LOG_MAC) + 1 - NGX_TCCBS_HEX_LEN - 2;

    if (p > record->kind.data
        && ngx_memcmp(p, TCCBS_LOG_MAC, sizeof(TCCBS_LOG_MAC) - 1) == 0)
    {
        record->mac = p + sizeof(TCCBS_LOG_MAC) - 1;
        record->covered = p - line->data;
    }

    return NGX_OK;
}


u_char *
tccbs_log_inner(const ngx_str_t *line)
{
    u_char  *p, *last, *found;

    last = line->data + line->len;
    found = NULL;

    /* quotes in values are escaped: this begins nothing but a record */

    for (p = line->data + 1; p < last; p++) {

        p = memmem(p, last - p, TCCBS_LOG_BEGIN, sizeof(TCCBS_LOG_BEGIN) - 1);
        if (p == NULL) {
            break;
        }

        found = p;
    }

    return found;
}


ngx_uint_t
tccbs_log_torn(const ngx_str_t *text, u_char **chain, uint64_t *seq)
{
    size_t   n;
    u_char  *p, *last;

    *chain = NULL;

    n = tccbs_log_fits(text->data, text->len, tccbs_log_head, TCCBS_LOG_HEAD);

    if (n < TCCBS_LOG_HEAD) {
        return n == text->len;
    }

    p = text->data + TCCBS_LOG_HEAD;
    last = text->data + text->len;

    for (*seq = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        *seq = *seq * 10 + (*p - '0');
    }

    /* a number that may go on says nothing */

    if (p < last) {
        *chain = text->data + TCCBS_LOG_CHAIN_AT;
    }

    return 1;
}


ngx_str_t
tccbs_log_member(const ngx_str_t *line, const char *name)
{
    u_char     *p, *last;
    size_t      len;
    ngx_str_t   value;
    char        want[64];

    ngx_str_null(&value);

    len = snprintf(want, sizeof(want), "\"%s\":", name);
    last = line->data + line->len;

    p = memmem(line->data, line->len, want, len);
    if (p == NULL) {
        return value;
    }

    p += len;

    if (*p == '"') {
        value.data = ++p;
        while (p < last && *p != '"') {
            p += (*p == '\\') ? 2 : 1;
        }

    } else {
        value.data = p;
        while (p < last && *p != ',' && *p != '}' && *p != ']') {
            p++;
        }
    }

    value.len = ngx_min(p, last) - value.data;

    return value;
}
