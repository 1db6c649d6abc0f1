
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "journal.h"
#include "tap.h"


#define SEAL    NGX_HTTP_TCCBS_JOURNAL_SEAL
#define REOPEN  NGX_HTTP_TCCBS_JOURNAL_REOPEN
#define FULL    NGX_HTTP_TCCBS_JOURNAL_FULL
#define MOVED   NGX_HTTP_TCCBS_JOURNAL_REPLACED
#define NOBODY  1234
#define ANY     1000                          /* memory without an end */

#define OPENED  "open(audit.log append cloexec)"
#define PUT(n)  "fstat stat(audit.log) write(" #n ") fdatasync"
#define DIR     "open(. cloexec directory) fsync close"


static char                            name[128];
static ngx_log_t                       log_;
static ngx_pool_t                     *pool;
static ngx_open_file_t                 file;
static ngx_http_tccbs_journal_conf_t   conf;

static ngx_thread_task_t              *posted;
static ngx_thread_pool_t              *posted_to;
static int                             refused;      /* no thread takes it */

static int                             handled, reopened;
static ngx_int_t                       result;
static ngx_uint_t                      found;
static ngx_uint_t                      failing, full;
static uint64_t                        observed;


void
ngx_http_tccbs_metrics_journal(ngx_uint_t f, ngx_uint_t no_room)
{
    failing = f;
    full = no_room;
}


void
ngx_http_tccbs_metrics_observe(ngx_atomic_t *area,
    ngx_http_tccbs_metric_e metric, ngx_uint_t one, uint64_t microseconds)
{
    observed = (area == NULL && metric == NGX_HTTP_TCCBS_M_SYNC && one == 0)
               ? microseconds : 0;
}


static void
handler(ngx_int_t rc, ngx_uint_t f)
{
    handled++;
    result = rc;
    found = f;
}


static void
reopen(void)
{
    reopened++;
}


/* A thread that does what it is told to, when it is told to. */

ngx_thread_task_t *
ngx_thread_task_alloc(ngx_pool_t *p, size_t size)
{
    u_char             *ctx;
    ngx_thread_task_t  *task;

    if (memory-- <= 0) {
        return NULL;
    }

    task = ngx_pcalloc(p, sizeof(ngx_thread_task_t) + size);

    ctx = (u_char *) (task + 1);
    ngx_memset(ctx, 0x5a, size);
    task->ctx = ctx;

    return task;
}


ngx_int_t
ngx_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    if (posted) {
        abort();
    }

    posted = task;
    posted_to = tp;

    return refused ? NGX_ERROR : NGX_OK;
}


static void
run(void)
{
    posted->handler(posted->ctx, &log_);
}


static void
finish(void)
{
    ngx_event_t  *ev;

    ev = &posted->event;
    posted = NULL;

    ev->complete = 1;
    ev->handler(ev);
}


/* What the handler was given, by a thread or at once. */

static ngx_int_t
put(const char *text, ngx_uint_t flags)
{
    handled = 0;
    logged[0] = '\0';

    ngx_http_tccbs_journal_write((u_char *) text, strlen(text), flags);
    run();
    finish();

    return (handled == 1) ? result : NGX_ABORT;
}


/* Whether this was the last thing to be logged. */

static int
said(ngx_uint_t at, ngx_err_t err, const char *before, const char *after)
{
    char  text[512];

    (void) snprintf(text, sizeof(text), "%s\"%s\"%s", before, name, after);

    return strcmp(text, logged) == 0 && level == at && logged_err == err;
}


static int
failed(const char *what, ngx_err_t err)
{
    char  text[64];

    (void) snprintf(text, sizeof(text), "%s ", what);

    return said(NGX_LOG_ERR, err, text, " failed") && failing == 1;
}


static const char *
path(const char *suffix)
{
    static char  text[256];

    (void) snprintf(text, sizeof(text), "%s%s", name, suffix);

    return text;
}


/* Whether the file, "" for the one of the journal, has this text. */

static int
holds(const char *suffix, const char *text)
{
    char    got[1024];
    FILE   *f;
    size_t  n;

    f = fopen(path(suffix), "r");

    if (f == NULL) {
        return text == NULL;
    }

    n = fread(got, 1, sizeof(got) - 1, f);
    got[n] = '\0';

    (void) fclose(f);

    if (text == NULL || strcmp(got, text) != 0) {
        fprintf(stderr, "# \"%s\" has: %s\n", path(suffix), got);
        return 0;
    }

    return 1;
}


static void
create(const char *suffix)
{
    (void) __real_close(__real_open64(path(suffix), O_WRONLY|O_CREAT, 0600));
}


static void
rotate(const char *suffix)
{
    char  from[256];

    (void) strcpy(from, path(""));

    if (rename(from, path(suffix)) == -1) {
        abort();
    }
}


static void
forget(void)
{
    ngx_memzero(plans, sizeof(plans));

    most = 0;
    device = 0;
    slow = 0;
    files = 0;
    refused = 0;
    handled = 0;
    reopened = 0;
    observed = 0;
    calls[0] = '\0';
    logged[0] = '\0';
    memory = ANY;
    euid = NOBODY;
    ngx_process = NGX_PROCESS_WORKER;
}


/* An empty directory. */

static void
clean(void)
{
    (void) remove(path(""));
    (void) remove(path(".1"));
    (void) remove(path(".new"));

    forget();
}


static ngx_int_t
init(void)
{
    return ngx_http_tccbs_journal_init(&cycle, &conf, handler, reopen);
}


/* A journal of a worker, that is empty. */

static void
begin(size_t reserve, ngx_uint_t buffered)
{
    clean();

    if (file.fd) {
        (void) __real_close(file.fd);
    }

    file.fd = __real_open64(name, O_WRONLY|O_APPEND|O_CREAT, 0640);

    conf.path = str(name);
    conf.file = &file;
    conf.reserve = reserve;
    conf.buffered = buffered;

    if (init() != NGX_OK) {
        abort();
    }

    forget();
}


static void
test_init(void)
{
    char       proc[128];
    ngx_str_t  top;

    clean();
    begin(0, 0);

    ok(init() == NGX_OK && called(OPENED), "a worker opens the file itself");
    ok(files == 1, "and nothing else");

    memory = 0;
    ok(init() == NGX_ERROR && called(""), "no memory for the directory");

    memory = 1;
    ok(init() == NGX_ERROR && called(""), "no memory for the task");

    /* the directory may be closed to the user of the workers */

    forget();
    plan(OPEN, EACCES, 0, 1);
    (void) sprintf(proc, OPENED " open(/proc/self/fd/%d append cloexec)",
                   file.fd);
    ok(init() == NGX_OK && called(proc), "the master's file is opened anew");
    ok(put("a\n", 0) == NGX_OK && holds("", "a\n"), "and written");

    plan(OPEN, EACCES, 0, 2);
    ok(init() == NGX_ERROR, "no file can be opened");
    ok(said(NGX_LOG_EMERG, EACCES, "open() ", " failed"), "this is said");

    /* right below the root */

    forget();
    top = str("/none-such.log");
    conf.path = top;
    plan(OPEN, ENOENT, 0, 1);
    ok(init() == NGX_OK, "a file in the root");
    calls[0] = '\0';
    ok(put("b\n", 0) == NGX_OK
       && called("fstat stat(/none-such.log) write(2) fdatasync"
                 " open(/ cloexec directory) fsync close"),
       "of which the root is the directory");
}


static void
test_write(void)
{
    begin(0, 0);
    slow = 41;

    ngx_http_tccbs_journal_write((u_char *) "one\n", 4, 0);
    ok(posted && posted_to == conf.pool && called(""),
       "a thread of the pool is to write");
    ok(!ngx_http_tccbs_journal_written(), "nothing is written yet");

    run();
    ok(called(PUT(4) " " DIR), "it is written and synced, its directory too");
    ok(handled == 0, "nobody is told by the thread");
    ok(ngx_http_tccbs_journal_written(), "it is known at exit");

    finish();
    ok(handled == 1 && result == NGX_OK && found == 0, "then somebody is");
    ok(observed == 42, "the time that it took is counted");
    ok(failing == 0 && full == 0 && logged[0] == '\0', "nothing is wrong");

    slow = 0;
    ok(put("two\n", 0) == NGX_OK && called(PUT(4)),
       "the directory is synced once");
    ok(observed == 1, "no time is counted as well");
    ok(holds("", "one\ntwo\n"), "both are in the file, once");

    ok(put("", 0) == NGX_OK && called("fstat stat(audit.log)"),
       "nothing is not written");
    ok(put("three\n", SEAL) == NGX_OK
       && called("fstat stat(audit.log) write(1) write(6) fdatasync"),
       "a newline before it");
    ok(holds("", "one\ntwo\n\nthree\n"), "begins a line");
    ok(files == 0, "no file is left open");
}


static void
test_now(void)
{
    begin(0, 0);
    slow = 10;
    handled = 0;

    ok(ngx_http_tccbs_journal_write_now((u_char *) "x\n", 2, 0) == NGX_OK
       && called(PUT(2) " " DIR), "at once");
    ok(handled == 0 && posted == NULL, "without a thread");
    ok(observed == 11 && failing == 0, "counted as any other");
    ok(ngx_http_tccbs_journal_written(), "it was written");

    plan(WRITE, EIO, 0, 1);
    ok(ngx_http_tccbs_journal_write_now((u_char *) "y\n", 2, 0) == NGX_ERROR,
       "a failure at once");
    ok(failed("write()", EIO), "is said");
    ok(!ngx_http_tccbs_journal_written(), "it was not written");
    ok(holds("", "x\n"), "and is not there");
}


static void
test_refused(void)
{
    ngx_queue_t  *q;
    ngx_event_t  *ev;

    begin(0, 0);
    refused = 1;

    ngx_http_tccbs_journal_write((u_char *) "x\n", 2, 0);
    ok(handled == 0 && !ngx_queue_empty(&ngx_posted_events),
       "no thread: this is told later");
    ok(!ngx_http_tccbs_journal_written(), "but known");

    q = ngx_queue_head(&ngx_posted_events);
    ev = ngx_queue_data(q, ngx_event_t, queue);
    ngx_delete_posted_event(ev);

    ok(ev == &posted->event, "by the event of the task");

    finish();
    ok(handled == 1 && result == NGX_ERROR, "as an error");
    ok(failed("ngx_thread_task_post()", 0), "that is said");
    ok(called("") && holds("", ""), "nothing was written");

    refused = 0;
    ok(!ev->complete, "the event is as new");
    ok(put("y\n", 0) == NGX_OK && holds("", "y\n"), "then there is a thread");
}


static void
test_buffered(void)
{
    begin(0, 1);
    slow = 5;

    ok(put("x\n", 0) == NGX_OK && called("fstat stat(audit.log) write(2)"),
       "buffered: written and not synced");
    ok(observed == 0, "no time is counted");
    ok(holds("", "x\n"), "it is there");
}


static void
test_short(void)
{
    begin(0, 0);
    most = 3;

    ok(put("12345678\n", 0) == NGX_OK
       && called("fstat stat(audit.log) write(9) write(6) write(3) fdatasync "
                 DIR), "what was not taken is written again");
    ok(holds("", "12345678\n"), "all of it once");

    plan(WRITE, EINTR, 1, 2);
    ok(put("abcdef\n", 0) == NGX_OK
       && called("fstat stat(audit.log) write(7) write(4) write(4) write(4)"
                 " write(1) fdatasync"), "interrupted");
    ok(holds("", "12345678\nabcdef\n"), "it goes on where it was");

    /* a disk that fills up in a line */

    plan(WRITE, ENOSPC, 1, 1);
    ok(put("ghijkl\n", 0) == NGX_ERROR
       && called("fstat stat(audit.log) write(7) write(4)"),
       "half of it is written, and not synced");
    ok(failed("write()", ENOSPC), "an error");
    ok(holds("", "12345678\nabcdef\nghi"), "half a line is left");

    plan(WRITE, ENOSPC, 0, 1);
    ok(put("mno\n", SEAL|REOPEN) == NGX_ERROR
       && called(OPENED " close fstat write(1)"),
       "without the newline nothing follows");
    ok(holds("", "12345678\nabcdef\nghi"), "nothing is added");

    most = 0;
    ok(put("mno\n", SEAL|REOPEN) == NGX_OK, "then there is room");
    ok(holds("", "12345678\nabcdef\nghi\nmno\n"), "a line of its own");
    ok(failing == 0 && logged[0] == '\0' && files == 0, "all is well again");
}


static void
test_sync(void)
{
    begin(0, 0);

    plan(FDATASYNC, EINTR, 0, 2);
    ok(put("a\n", 0) == NGX_OK
       && called("fstat stat(audit.log) write(2) fdatasync fdatasync fdatasync "
                 DIR), "a sync that is interrupted");

    begin(0, 0);
    slow = 9;

    plan(FDATASYNC, EIO, 0, 1);
    ok(put("a\n", 0) == NGX_ERROR && called(PUT(2)), "one that fails");
    ok(failed("fdatasync()", EIO), "is an error");
    ok(observed == 0, "of which no time is counted");

    ok(put("b\n", 0) == NGX_OK && called(PUT(2) " " DIR),
       "the directory is still to be synced");

    /* of the directory */

    begin(0, 0);

    plan(OPEN, EMFILE, 0, 1);
    ok(put("a\n", 0) == NGX_ERROR
       && called(PUT(2) " open(. cloexec directory)"),
       "a directory that cannot be opened");
    ok(failed("open() of the directory of", EMFILE), "is an error");

    plan(FSYNC, EIO, 0, 1);
    ok(put("b\n", 0) == NGX_ERROR && called(PUT(2) " " DIR),
       "one that cannot be synced");
    ok(failed("fsync() of the directory of", EIO), "is an error");
    ok(files == 0, "and is closed");

    ok(put("c\n", 0) == NGX_OK && called(PUT(2) " " DIR),
       "it is tried until it is");
    ok(put("d\n", 0) == NGX_OK && called(PUT(2)), "and not once more");
    ok(holds("", "a\nb\nc\nd\n"), "all is in the file");

    begin(0, 0);

    plan(OPEN, EACCES, 0, 1);
    ok(put("a\n", 0) == NGX_OK
       && called(PUT(2) " open(. cloexec directory)"),
       "one that is closed to the worker is the master's matter");
    ok(put("b\n", 0) == NGX_OK && called(PUT(2)), "for good");
}


/* Without a word from nginx. */

static void
test_look(void)
{
    begin(0, 0);
    (void) put("a\n", 0);
    calls[0] = '\0';

    plan(FSTAT, EIO, 0, 1);
    ok(put("b\n", 0) == NGX_ERROR && called("fstat"), "a file that is broken");
    ok(failed("fstat()", EIO) && holds("", "a\n"), "is an error");

    rotate(".1");
    ok(put("b\n", 0) == NGX_OK && found == 0 && called(PUT(2)),
       "renamed: it is still the file");
    ok(holds(".1", "a\nb\n") && holds("", NULL), "that is written");

    create("");
    ok(put("c\n", 0) == NGX_OK && found == MOVED && called(PUT(2)),
       "and another in its place: this is found");
    ok(holds(".1", "a\nb\nc\n") && holds("", ""), "the first one is written");

    plan(STAT, EACCES, 0, 1);
    ok(put("d\n", 0) == NGX_OK && found == 0, "nothing to be found");
    ok(put("e\n", REOPEN) == NGX_OK && found == 0
       && called(PUT(2) " " OPENED " close fstat write(2) fdatasync " DIR),
       "the other one is opened, and is new");
    ok(holds(".1", "a\nb\nc\nd\n") && holds("", "e\n"), "and written");
    ok(files == 0, "instead of the first one");

    device = 1;
    ok(put("f\n", 0) == NGX_OK && found == MOVED,
       "the same number on another device is another file");
    device = 0;

    /* deleted */

    calls[0] = '\0';
    (void) remove(name);
    ok(put("g\n", 0) == NGX_ERROR && called("fstat " OPENED),
       "deleted: nobody would read it");
    ok(failed("open()", ENOENT), "an error");
    ok(put("g\n", 0) == NGX_ERROR, "as long as there is none");

    create("");
    calls[0] = '\0';
    ok(put("h\n", 0) == NGX_OK && found == 0
       && called("fstat " OPENED " close fstat write(2) fdatasync " DIR),
       "until there is one again");
    ok(holds("", "h\n") && failing == 0 && files == 0, "that is written");
}


static void
test_reopen(void)
{
    begin(0, 0);
    (void) put("a\n", 0);
    calls[0] = '\0';

    /* not made again yet */

    rotate(".1");
    ok(put("b\n", REOPEN) == NGX_OK
       && called(OPENED " fstat write(2) fdatasync"),
       "a new segment without a file: the old one is as good");
    ok(failing == 0 && logged[0] == '\0', "which is no error");

    ok(put("c\n", SEAL|REOPEN) == NGX_ERROR && called(OPENED),
       "after a failure it is not");
    ok(failed("open()", ENOENT), "which is one");
    ok(holds(".1", "a\nb\n"), "and nothing is written");

    plan(FSTAT, ESTALE, 0, 1);
    ok(put("d\n", REOPEN) == NGX_ERROR && called(OPENED " fstat"),
       "nor is one that is broken");
    ok(failed("open()", ENOENT), "an error as well");

    (void) remove(path(".1"));
    ok(put("d\n", REOPEN) == NGX_ERROR && called(OPENED " fstat"),
       "nor one that was deleted");
    ok(failed("open()", ENOENT), "an error as well");

    /* not to be opened */

    begin(0, 0);
    plan(OPEN, EACCES, 0, 1);
    ok(put("a\n", REOPEN) == NGX_ERROR && called(OPENED),
       "one that may not be opened");
    ok(failed("open()", EACCES) && holds("", ""), "is an error");

    plan(FSTAT, EIO, 0, 1);
    ok(put("b\n", REOPEN) == NGX_ERROR && called(OPENED " close fstat"),
       "one that is opened and broken");
    ok(failed("fstat()", EIO) && holds("", ""), "is an error");
    ok(files == 0, "one of the two is open");

    ok(put("c\n", REOPEN) == NGX_OK && holds("", "c\n"), "then it is well");

    /* the open one is gone for good, as on a network */

    calls[0] = '\0';
    plan(FSTAT, ESTALE, 0, ANY);
    ok(put("d\n", 0) == NGX_ERROR && failed("fstat()", ESTALE), "a stale file");
    plan(FSTAT, ESTALE, 1, ANY);
    ok(put("d\n", SEAL|REOPEN) == NGX_OK
       && called("fstat " OPENED " close fstat write(1) write(2) fdatasync "
                 DIR), "is not asked before another is opened");
    ok(holds("", "c\n\nd\n"), "which is written");
}


static void
test_reserve(void)
{
    char  text[101];

    ngx_memset(text, 'x', 100);
    text[100] = '\0';

    begin(100, 0);

    ok(put("1234\n", 0) == NGX_OK
       && called("fstat stat(audit.log) fallocate(keep 0, 205) write(5)"
                 " fdatasync " DIR), "room is taken before it is written");
    ok(found == 0 && full == 0, "there is some");

    ok(put(text, 0) == NGX_OK && called(PUT(100)), "it is enough for the next");
    ok(put("y", 0) == NGX_OK
       && called("fstat stat(audit.log) fallocate(keep 105, 201) write(1)"
                 " fdatasync"), "and not for one byte more");

    ok(put("z\n", REOPEN) == NGX_OK
       && called(OPENED " close fstat fallocate(keep 106, 202) write(2)"
                 " fdatasync " DIR), "a new file has none");

    /* nothing but the room */

    begin(100, 0);
    ok(put("", SEAL) == NGX_OK
       && called("fstat stat(audit.log) fallocate(keep 0, 200)"),
       "room for nothing");

    begin(100, 0);
    plan(FALLOCATE, ENOSPC, 0, 2);
    ok(put("a\n", 0) == NGX_OK && found == FULL
       && called("fstat stat(audit.log) fallocate(keep 0, 202) write(2)"
                 " fdatasync " DIR), "no room: this is found");
    ok(full && failing == 0 && logged[0] == '\0', "and no error");
    ok(holds("", "a\n"), "what has room is written");

    plan(FALLOCATE, ENOSPC, 0, 1);
    plan(FDATASYNC, EIO, 0, 1);
    ok(put("b\n", 0) == NGX_ERROR && found == FULL && full
       && failed("fdatasync()", EIO), "both can be");

    calls[0] = '\0';
    ok(put("c\n", 0) == NGX_OK && found == 0 && full == 0
       && called("fstat stat(audit.log) fallocate(keep 4, 202) write(2)"
                 " fdatasync"), "then there is room");
}


/* A file system that reserves nothing. */

static void
test_space(void)
{
    begin(100, 0);
    plan(FALLOCATE, EOPNOTSUPP, 0, ANY);

    space.f_frsize = 7;
    space.f_bsize = 1000;
    space.f_bavail = 30;
    space.f_bfree = 1000;

    ok(put("123456789\n", 0) == NGX_OK && found == FULL && full
       && called("fstat stat(audit.log) fallocate(keep 0, 210) fstatvfs"
                 " write(10) fdatasync " DIR), "just as much as is needed");

    space.f_bavail = 31;
    ok(put("123456789\n", 0) == NGX_OK && found == 0 && !full
       && called("fstat stat(audit.log) fallocate(keep 10, 210) fstatvfs"
                 " write(10) fdatasync"), "more than that");
    ok(put("1\n", 0) == NGX_OK && found == 0
       && called("fstat stat(audit.log) fallocate(keep 20, 202) fstatvfs"
                 " write(2) fdatasync"), "it is looked for each time");

    space.f_frsize = 4096;
    space.f_bavail = (fsblkcnt_t) 1 << 40;
    ok(put("1\n", 0) == NGX_OK && found == 0, "a large disk");

    plan(FSTATVFS, EIO, 0, 1);
    ok(put("1\n", 0) == NGX_OK && found == FULL, "it is not known");

    plan(FALLOCATE, EIO, 0, 1);
    calls[0] = '\0';
    ok(put("1\n", 0) == NGX_OK && found == FULL
       && called("fstat stat(audit.log) fallocate(keep 26, 202) write(2)"
                 " fdatasync"), "another error is not asked about");
}


/* In the master, when a configuration is read. */

static int               full_name, opens, declared, sets;
static char             *set_result;
static ngx_array_t      *args, words;


ngx_int_t
ngx_conf_full_name(ngx_cycle_t *c, ngx_str_t *s, ngx_uint_t conf_prefix)
{
    *s = str(name);

    return (full_name && !conf_prefix) ? NGX_OK : NGX_ERROR;
}


ngx_open_file_t *
ngx_conf_open_file(ngx_cycle_t *c, ngx_str_t *s)
{
    file.name = *s;

    return opens ? &file : NULL;
}


ngx_thread_pool_t *
ngx_thread_pool_get(ngx_cycle_t *c, ngx_str_t *s)
{
    return (declared && is(s, "tccbs_audit")) ? (void *) &declared : NULL;
}


static char *
set(ngx_conf_t *cf, ngx_command_t *cmd, void *c)
{
    ngx_str_t  *value = cf->args->elts;

    args = cf->args;

    sets += (args->nelts == 3 && is(&value[0], "thread_pool")
             && is(&value[1], "tccbs_audit") && is(&value[2], "threads=1"));
    declared += (set_result == NULL);

    return set_result;
}


static char *
other(ngx_conf_t *cf, ngx_command_t *cmd, void *c)
{
    sets += 100;

    return NGX_CONF_OK;
}


#define command(text, f)  { ngx_string(text), 0, f, 0, 0, NULL }

static ngx_command_t  commands[] = {
    command("thread_poo1", other),
    command("thread_pools", other),
    command("thread_pool", set),
    command("thread", other),
    ngx_null_command
};

static ngx_command_t  none[] = {
    command("thread_pools", other),
    ngx_null_command
};

ngx_module_t  ngx_thread_pool_module;


static char *
configure(void)
{
    ngx_str_t   given;
    ngx_conf_t  cf;

    ngx_memzero(&cf, sizeof(cf));
    cf.cycle = &cycle;
    cf.log = &log_;
    cf.args = &words;

    given = str("audit.log");
    calls[0] = '\0';
    sets = 0;
    args = NULL;

    ngx_memzero(&conf, sizeof(conf));

    given.data = (u_char *) ngx_http_tccbs_journal_conf(&cf, &conf, &given);

    return (cf.args == &words) ? (char *) given.data : "lost its words";
}


static int
mode(const char *suffix)
{
    struct stat  st;

    return (__real_stat64(path(suffix), &st) == 0) ? (int) st.st_mode & 0777
                                                   : -1;
}


static void
test_conf(void)
{
    char  *rv;

    clean();
    (void) umask(0);

    ngx_thread_pool_module.commands = commands;
    full_name = 1;
    opens = 1;

    ok(configure() == NGX_CONF_OK && called("open(audit.log append creat)"
       " close"), "the file is made");
    ok(mode("") == 0640, "not for everybody");
    ok(conf.file == &file && file.data == &conf && file.flush
       && is(&file.name, name), "nginx is told to open it");
    ok(conf.pool == (void *) &declared && sets == 1, "a thread is declared");

    ok(configure() == NGX_CONF_OK && sets == 0 && args == NULL
       && conf.pool == (void *) &declared, "that of the user is taken");

    declared = 0;
    set_result = "is bad";
    rv = configure();
    ok(rv && strcmp(rv, "is bad") == 0 && args && args != &words,
       "it cannot be declared");

    set_result = NULL;
    ngx_thread_pool_module.commands = none;
    rv = configure();
    ok(rv && strncmp(rv, "found no", 8) == 0 && sets == 0,
       "nginx knows of none");

    opens = 0;
    ok(configure() == NGX_CONF_ERROR && sets == 0, "nginx has no memory");

    plan(OPEN, EACCES, 0, 1);
    ok(configure() == NGX_CONF_ERROR, "the file cannot be made");
    ok(said(NGX_LOG_EMERG, EACCES, "open() ", " failed"), "this is said");

    full_name = 0;
    ok(configure() == NGX_CONF_ERROR && called(""), "it has no name");

    opens = 1;
    full_name = 1;
    ngx_thread_pool_module.commands = commands;
    (void) configure();
}


/* nginx is about to reopen its files. */

static void
flush(void)
{
    calls[0] = '\0';
    logged[0] = '\0';
    reopened = 0;

    file.flush(&file, &log_);
}


#define CREATE  "open(audit.log append creat) close"
#define APPEAR  "access(audit.log) unlink(audit.log.new)"                     \
                " open(audit.log.new cloexec creat excl)"
#define GIVEN   " fchown(1234, -1) link(audit.log.new, audit.log)"
#define AWAY    " close unlink(audit.log.new) "


static int
late(ngx_err_t err)
{
    return said(NGX_LOG_NOTICE, err, "", " is not its user's at once")
           && holds(".new", NULL) && holds("", "");
}


/* Before a worker has begun, then in one. */

static void
test_flush(ngx_uint_t begun)
{
    clean();

    flush();
    ok(called("") && reopened == (int) begun, "a worker makes no file");

    ngx_process = NGX_PROCESS_MASTER;
    flush();
    ok(called(CREATE) && mode("") == 0640, "the master does");
    ok(reopened == (int) begun, "who writes is told");

    clean();
    ngx_process = NGX_PROCESS_SINGLE;
    flush();
    ok(called(CREATE) && mode("") == 0640, "and who is master and worker");

    /* as root */

    clean();
    ngx_process = NGX_PROCESS_MASTER;
    euid = 0;
    create(".new");
    flush();
    ok(called(APPEAR GIVEN AWAY CREATE), "it is its user's before it appears");
    ok(mode("") == 0640 && holds(".new", NULL) && logged[0] == '\0'
       && files == 0, "nothing is left over");

    flush();
    ok(called("access(audit.log) " CREATE), "one that is there is kept");

    clean();
    ngx_process = NGX_PROCESS_MASTER;
    euid = 0;
    memory = 0;
    flush();
    ok(called("access(audit.log) " CREATE) && mode("") == 0640,
       "without memory it is made as any other");

    (void) remove(name);
    memory = ANY;
    plan(OPEN, EROFS, 0, 1);
    flush();
    ok(called(APPEAR " " CREATE) && holds("", ""),
       "without another file, too");

    (void) remove(name);
    plan(FCHOWN, EPERM, 0, 1);
    flush();
    ok(called(APPEAR " fchown(1234, -1)" AWAY CREATE) && late(EPERM),
       "and when it cannot be given away");

    (void) remove(name);
    plan(LINK, EMLINK, 0, 1);
    flush();
    ok(called(APPEAR GIVEN AWAY CREATE) && late(EMLINK),
       "or gets no second name");
    ok(files == 0, "no file is left open");
}


static void
test_own(void)
{
    begin(0, 0);
    file.name = str(name);

    ok(ngx_http_tccbs_journal_own(&cycle, &conf) == NGX_OK && called(""),
       "who is not root gives nothing away");

    euid = 0;
    ok(ngx_http_tccbs_journal_own(&cycle, &conf) == NGX_OK
       && called("fchown(1234, -1)"), "root gives the file to its user");

    plan(FCHOWN, EPERM, 0, 1);
    ok(ngx_http_tccbs_journal_own(&cycle, &conf) == NGX_ERROR,
       "unless it cannot");
    ok(said(NGX_LOG_EMERG, EPERM, "fchown(", ", 1234) failed"), "this is said");
}


int
main(void)
{
    if (mkdtemp(root) == NULL) {
        perror(root);
        return 1;
    }

    (void) snprintf(name, sizeof(name), "%s/audit.log", root);

    pool = ngx_create_pool(1024, NULL);
    log_.log_level = NGX_LOG_DEBUG;
    cycle.log = &log_;
    cycle.pool = pool;
    cycle.conf_ctx = (void ****) confs;
    core.user = NOBODY;
    ngx_queue_init(&ngx_posted_events);

    test_conf();
    test_flush(0);
    test_init();
    test_flush(1);
    test_own();
    test_write();
    test_now();
    test_refused();
    test_buffered();
    test_short();
    test_sync();
    test_look();
    test_reopen();
    test_reserve();
    test_space();

    clean();
    (void) rmdir(root);
    ngx_destroy_pool(pool);

    return tap_done();
}
