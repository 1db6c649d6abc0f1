
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "nginx.c"

#include <ngx_event.h>
#include <ngx_http.h>

#include "fuzz.h"
#include "ngx_tccbs_call.h"
#include "ngx_tccbs_tc3.h"

#include <ftw.h>
#include <sys/socket.h>
#include <sys/un.h>


/*
 * nginx with the module, in this process, without a worker: each input is what
 * a client sends, "\0", and what the upstream answers.  "@id", "@date", "@now",
 * "@sign", "@who" and "@snap" in what the client sends stand for a key, the
 * date and time, the signature, an identity and a snapshot of its own.
 *
 * Whatever comes: each answer has the status, the type and the form that
 * clients rely on; what is forwarded is a canonical call signed with the
 * central credential; the log has an intent and an outcome for each.
 */

#define BUF       65536
#define AUDIT     (16 << 20)
#define ROUNDS    100000
#define SECRET    "fuzz-central-secret-000000000000"
#define KEY       "fuzz-gateway-secret-000000000000"


typedef struct {
    char    data[BUF];
    size_t  len;
} text_t;


static void leave(void);
static int leave_file(const char *path, const struct stat *st, int type,
    struct FTW *ftw);
static void listen_at(const char *path);
static void start(const char *dir);
static void spill(const char *dir, const char *name, const char *text);
static void request(fuzz_t *f, text_t *out);
static void put(text_t *out, const void *data, size_t len);
static void sign(text_t *out, size_t from);
static void turn(ngx_uint_t round);
static void upstream(const ngx_str_t *answer);
static void forwarded(text_t *in);
static void answers(text_t *in);
static ngx_uint_t answer(text_t *in, size_t *at);
static void recorded(ngx_uint_t sent);

int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);


static int               upstream_fd, upstream_conn, audit_fd;
static ngx_uint_t        connecting;
static ngx_uint_t        idle, sent, serial;
static time_t            start_time;
static uint64_t          passed;
static struct sockaddr_un  client_addr, upstream_addr;
static char              dir[] = "/dev/shm/tccbs-fuzz-XXXXXX";
static char              date[11], now[16];
static text_t            client_in, client_out, upstream_in;


/* The time is that of the start, and what the rounds of the loop take. */

int
__wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    ts->tv_sec = start_time + passed / 1000;
    ts->tv_nsec = passed % 1000 * 1000000;

    return 0;
}


int
__wrap_gettimeofday(struct timeval *tv, void *zone)
{
    tv->tv_sec = start_time + passed / 1000;
    tv->tv_usec = passed % 1000 * 1000;

    return 0;
}


/* To ask whether a connection has come costs as much as to take one. */

int
__wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int  rc;

    rc = __real_connect(fd, addr, len);

    if (rc == 0 && memcmp(addr, &upstream_addr, len) == 0) {
        connecting++;
    }

    return rc;
}


/* What a thread would do is done at once, so that each input is the same. */

ngx_int_t
__wrap_ngx_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    task->handler(task->ctx, ngx_cycle->log);
    task->event.complete = 1;
    ngx_post_event(&task->event, &ngx_posted_events);

    return NGX_OK;
}


/* Called in place of the loop of the process. */

void
__wrap_ngx_single_process_cycle(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    for (i = 0; cycle->modules[i]; i++) {
        must(cycle->modules[i]->init_process == NULL
             || cycle->modules[i]->init_process(cycle) == NGX_OK);
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char  path[128];

    start_time = time(NULL);

    must(mkdtemp(dir) != NULL);
    must(atexit(leave) == 0);

    snprintf(path, sizeof(path), "%s/upstream", dir);
    listen_at(path);

    start(dir);

    client_addr.sun_family = AF_UNIX;
    snprintf(client_addr.sun_path, sizeof(client_addr.sun_path), "%s/gateway",
             dir);

    snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
    audit_fd = open(path, O_RDWR);
    must(audit_fd != -1);
    (void) lseek(audit_fd, 0, SEEK_END);

    upstream_conn = -1;

    for (idle = 0; idle < 10; idle++) {
        turn(0);
    }

    idle = ngx_cycle->free_connection_n;

    return 0;
}


/* After a failure all stays as it is. */

static void
leave(void)
{
    (void) nftw(dir, leave_file, 8, FTW_DEPTH|FTW_PHYS);
}


static int
leave_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}


static void
listen_at(const char *path)
{
    upstream_addr.sun_family = AF_UNIX;
    strcpy(upstream_addr.sun_path, path);

    upstream_fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0);

    must(upstream_fd != -1
         && bind(upstream_fd, (struct sockaddr *) &upstream_addr,
                 sizeof(upstream_addr))
            == 0
         && listen(upstream_fd, 16) == 0);
}


static void
spill(const char *where, const char *name, const char *text)
{
    int   fd;
    char  path[128];

    snprintf(path, sizeof(path), "%s/%s", where, name);

    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
    must(fd != -1);
    must(write(fd, text, strlen(text)) == (ssize_t) strlen(text));
    close(fd);
}


static void
start(const char *where)
{
    int    fd;
    char   conf[4096], path[128], prefix[128];
    char  *args[] = { "nginx", "-p", prefix, "-c", path, NULL };

    spill(where, "key", KEY "\n");
    spill(where, "prod.json", "{\"secret_id\":\"AKIDfuzzcentral\","
                              "\"secret_key\":\"" SECRET "\"}");

    snprintf(path, sizeof(path), "%s/logs", where);
    must(mkdir(path, 0700) == 0);

    snprintf(conf, sizeof(conf),
        "daemon off; master_process off; pid %s/pid;\n"
        "error_log %s/logs/error.log alert;\n"
        "events { worker_connections 64; accept_mutex off; }\n"
        "http {\n"
        "    access_log off; lingering_close off;\n"
        "    tccbs_zone z:64m;\n"
        "    tccbs_credential prod { file %s/prod.json; limit 10000r/s; }\n"
        "    tccbs_audit %s/audit.jsonl buffered;\n"
        "    tccbs_replay_window 1s; tccbs_hold 1s;\n"
        "    tccbs_account fuzz {\n"
        "        key AKIDfuzzkey file:%s/key;\n"
        "        credential prod; from *; to *;\n"
        "        actions CopySnapshotCrossRegions DescribeSnapshots;\n"
        "    }\n"
        "    tccbs_account mapped {\n"
        "        identity fuzz-who;\n"
        "        credential prod; from ap-guangzhou; to ap-beijing;\n"
        "        actions CopySnapshotCrossRegions; snapshots snap-*;\n"
        "    }\n"
        "    upstream localhost { server unix:%s/upstream; }\n"
        "    server {\n"
        "        listen unix:%s/gateway;\n"
        "        server_name cbs.gw.test;\n"
        "        location / {\n"
        "            tccbs_pass http://localhost;\n"
        "        }\n"
        "    }\n"
        "    server {\n"
        "        listen unix:%s/gateway;\n"
        "        server_name mapped.gw.test;\n"
        "        location / {\n"
        "            tccbs_identity $http_x_who trusted;\n"
        "            tccbs_pass http://localhost;\n"
        "        }\n"
        "    }\n"
        "}\n", where, where, where, where, where, where, where, where);

    spill(where, "nginx.conf", conf);

    snprintf(path, sizeof(path), "%s/nginx.conf", where);
    snprintf(prefix, sizeof(prefix), "%s/", where);

    /* nginx takes stderr for its log, and libFuzzer says there what it found */

    fd = dup(STDERR_FILENO);
    must(ngx_main(5, args) == 0);
    must(dup2(fd, STDERR_FILENO) != -1);
    close(fd);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int         fd;
    fuzz_t      f = { data, size };
    size_t      at;
    ssize_t     n;
    ngx_str_t   reply;
    ngx_uint_t  i, closed;

    if (size > BUF / 4) {
        return 0;
    }

    snprintf(now, sizeof(now), "%lld", (long long) ngx_time());
    ngx_tccbs_tc3_date(ngx_time(), (u_char *) date);

    client_out.len = 0;
    client_in.len = 0;
    upstream_in.len = 0;
    sent = 0;

    request(&f, &client_out);

    reply.data = (u_char *) f.p;
    reply.len = f.len;

    if (client_out.len == 0) {
        return 0;
    }

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0);

    must(fd != -1 && connect(fd, (struct sockaddr *) &client_addr,
                             sizeof(client_addr))
                     == 0);

    at = 0;
    closed = 0;

    for (i = 0; !closed || ngx_cycle->free_connection_n != idle; i++) {

        must(i < ROUNDS);

        if (at < client_out.len) {
            n = send(fd, client_out.data + at, client_out.len - at,
                     MSG_NOSIGNAL);

            if (n > 0) {
                at += n;

            } else if (n == -1 && errno != EAGAIN) {
                at = client_out.len;
            }

            if (at == client_out.len) {
                (void) shutdown(fd, SHUT_WR);
            }
        }

        if (!closed) {
            n = recv(fd, client_in.data + client_in.len,
                     sizeof(client_in.data) - client_in.len, 0);

            if (n > 0) {
                client_in.len += n;
                must(client_in.len < sizeof(client_in.data));

            } else if (n == 0 || errno != EAGAIN) {
                closed = 1;
            }
        }

        turn(i);
        upstream(&reply);
    }

    close(fd);

    /* what was sent to an upstream that nobody waited for is of this input */

    while (connecting || upstream_conn != -1) {
        upstream(&reply);
    }

    answers(&client_in);
    recorded(sent);

    return 0;
}


static void
put(text_t *out, const void *data, size_t len)
{
    if (len <= sizeof(out->data) - out->len) {
        ngx_memcpy(out->data + out->len, data, len);
        out->len += len;
    }
}


/* What the client sends, with the words that begin with "@" replaced. */

static void
request(fuzz_t *f, text_t *out)
{
    char        snap[16];
    size_t      i, len, from, len_of_date;
    ngx_uint_t  signs;

    struct {
        const char  *word;
        const char  *text;
    } words[] = {
        { "@id", "AKIDfuzzkey" }, { "@date", date }, { "@now", now },
        { "@who", "fuzz-who" }, { "@snap", snap }, { NULL, NULL }
    };

    len_of_date = NGX_TCCBS_TC3_DATE_LEN;
    date[len_of_date] = '\0';

    snprintf(snap, sizeof(snap), "snap-f%07u", (unsigned) (++serial % 10000000));

    signs = 0;
    from = 0;

    while (f->len && *f->p != '\0') {

        for (i = 0; *f->p == '@' && words[i].word; i++) {
            len = strlen(words[i].word);

            if (f->len >= len && memcmp(f->p, words[i].word, len) == 0) {
                put(out, words[i].text, strlen(words[i].text));
                break;
            }
        }

        if (*f->p == '@' && words[i].word) {
            f->p += len;
            f->len -= len;
            continue;
        }

        if (f->len >= 5 && memcmp(f->p, "@sign", 5) == 0) {
            from = out->len;
            signs = 1;
            put(out, "0123456789abcdef0123456789abcdef"
                     "0123456789abcdef0123456789abcdef", 64);
            f->p += 5;
            f->len -= 5;
            continue;
        }

        put(out, f->p, 1);
        f->p++;
        f->len--;
    }

    if (f->len) {
        f->p++;
        f->len--;
    }

    if (signs) {
        sign(out, from);
    }
}


static ngx_uint_t
header(const text_t *in, const char *name, ngx_str_t *value)
{
    const char  *p, *last, *lf;

    last = in->data + in->len;

    for (p = in->data; p < last; p = lf + 1) {

        lf = memchr(p, '\n', last - p);

        if (lf == NULL || lf - p < 2) {
            return 0;
        }

        if ((size_t) (lf - p) > strlen(name)
            && strncasecmp(p, name, strlen(name)) == 0
            && p[strlen(name)] == ':')
        {
            p += strlen(name) + 1;

            while (*p == ' ') {
                p++;
            }

            value->data = (u_char *) p;
            value->len = lf - p - (lf[-1] == '\r');

            return 1;
        }
    }

    return 0;
}


/* The signature of the first request, in place of the digits at "from". */

static void
sign(text_t *out, size_t from)
{
    char                    *body;
    ngx_str_t                secret, day, service;
    ngx_pool_t              *pool;
    ngx_tccbs_mac_t          mac;
    ngx_tccbs_tc3_header_t   headers[2];
    ngx_tccbs_tc3_request_t  req;
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   signature[NGX_TCCBS_SHA256_LEN];
    ngx_str_t                names[2] = { ngx_string("content-type"),
                                          ngx_string("host") };

    ngx_memzero(&req, sizeof(req));
    ngx_memzero(&mac, sizeof(mac));

    ngx_str_set(&secret, KEY);
    ngx_str_set(&service, "cbs");
    ngx_str_set(&req.method, "POST");
    ngx_str_set(&req.uri, "/");

    day.data = (u_char *) date;
    day.len = NGX_TCCBS_TC3_DATE_LEN;
    req.timestamp.data = (u_char *) now;
    req.timestamp.len = strlen(now);
    req.headers = headers;
    req.nheaders = 2;

    headers[0].name = names[0];
    headers[1].name = names[1];

    body = memmem(out->data, out->len, "\r\n\r\n", 4);

    if (body == NULL || !header(out, "Content-Type", &headers[0].value)
        || !header(out, "Host", &headers[1].value))
    {
        return;
    }

    req.payload.data = (u_char *) body + 4;
    req.payload.len = out->data + out->len - body - 4;

    pool = ngx_create_pool(4096, ngx_cycle->log);

    must(pool != NULL
         && ngx_tccbs_tc3_day_key(key, &secret, &day, &service) == NGX_OK
         && ngx_tccbs_mac_key(&mac, key, sizeof(key)) == NGX_OK
         && ngx_tccbs_tc3_sign(&mac, signature, &req, &day, &service, names,
                               2, pool)
            == NGX_OK);

    (void) ngx_tccbs_hex((u_char *) out->data + from, signature,
                         sizeof(signature));

    ngx_tccbs_mac_free(&mac);
    ngx_destroy_pool(pool);
}


/*
 * One round of the event loop, which never waits: it takes a millisecond, and
 * more when an input has taken many.
 */

static void
turn(ngx_uint_t round)
{
    ngx_cycle_t  *cycle = (ngx_cycle_t *) ngx_cycle;

    passed += 1 + round / 64;

    if (!ngx_queue_empty(&ngx_posted_next_events)) {
        ngx_event_move_posted_next(cycle);
    }

    (void) ngx_process_events(cycle, 0, NGX_UPDATE_TIME);
    ngx_event_process_posted(cycle, &ngx_posted_accept_events);
    ngx_event_expire_timers();
    ngx_event_process_posted(cycle, &ngx_posted_events);
}


/* Takes a request, looks at it, answers, and leaves. */

static void
upstream(const ngx_str_t *reply)
{
    ssize_t  n;

    if (upstream_conn == -1) {
        if (connecting == 0) {
            return;
        }

        upstream_conn = accept4(upstream_fd, NULL, NULL, SOCK_NONBLOCK);
        must(upstream_conn != -1);

        connecting--;
        upstream_in.len = 0;
    }

    n = recv(upstream_conn, upstream_in.data + upstream_in.len,
             sizeof(upstream_in.data) - upstream_in.len, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n > 0) {
        upstream_in.len += n;
        must(upstream_in.len < sizeof(upstream_in.data));

        /* the module writes a request at once */

        forwarded(&upstream_in);
        (void) send(upstream_conn, reply->data, reply->len, MSG_NOSIGNAL);
    }

    close(upstream_conn);
    upstream_conn = -1;
}


static void
forwarded(text_t *in)
{
    char                    *body;
    ngx_str_t                value, action, why, text;
    ngx_pool_t              *pool;
    ngx_uint_t               i;
    ngx_tccbs_out_t          out;
    ngx_tccbs_mac_t          mac;
    ngx_tccbs_call_t         call;
    ngx_tccbs_error_t        error;
    ngx_tccbs_tc3_auth_t     auth;
    ngx_tccbs_tc3_header_t   headers[NGX_TCCBS_TC3_NAMES];
    ngx_tccbs_tc3_request_t  req;
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    ngx_str_t                secret = ngx_string(SECRET);

    static const char  *kept[] = {
        "host", "content-type", "content-length", "connection", "user-agent",
        "authorization", "x-tc-action", "x-tc-version", "x-tc-region",
        "x-tc-timestamp", "x-tc-language", "x-tc-requestclient",
        "x-tc-token", "x-tc-traceid", NULL
    };

    char  name[64], *p, *colon;

    sent++;

    body = memmem(in->data, in->len, "\r\n\r\n", 4);

    must(body != NULL);
    must(strncmp(in->data, "POST / HTTP/1.1\r\n", 17) == 0);

    for (p = in->data + 17; p < body; p = strstr(p, "\r\n") + 2) {
        colon = memchr(p, ':', body - p);
        must(colon != NULL && colon - p < (ssize_t) sizeof(name));
        ngx_strlow((u_char *) name, (u_char *) p, colon - p);
        name[colon - p] = '\0';
        value.data = (u_char *) name;
        value.len = colon - p;
        must(fuzz_in(&value, kept));
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    must(pool != NULL);

    ngx_memzero(&req, sizeof(req));
    ngx_memzero(&mac, sizeof(mac));
    ngx_memzero(&call, sizeof(call));

    must(header(in, "Authorization", &value));
    must(ngx_tccbs_tc3_parse(&auth, &value, &why) == NGX_OK);
    must(fuzz_is(&auth.key_id, "AKIDfuzzcentral"));

    ngx_str_set(&req.method, "POST");
    ngx_str_set(&req.uri, "/");
    req.headers = headers;
    req.payload.data = (u_char *) body + 4;
    req.payload.len = in->data + in->len - body - 4;

    must(header(in, "X-TC-Timestamp", &req.timestamp));

    for (i = 0; i < auth.nnames; i++) {
        snprintf(name, sizeof(name), "%.*s", (int) auth.names[i].len,
                 auth.names[i].data);
        must(header(in, name, &headers[i].value));
        headers[i].name = auth.names[i];
        req.nheaders++;
    }

    must(ngx_tccbs_tc3_day_key(key, &secret, &auth.date, &auth.service)
         == NGX_OK
         && ngx_tccbs_mac_key(&mac, key, sizeof(key)) == NGX_OK);
    must(ngx_tccbs_tc3_verify(&mac, &auth, &req, NULL, 0, pool) == NGX_OK);

    /* the body is the canonical form of a call */

    must(header(in, "X-TC-Action", &action));
    must(header(in, "X-TC-Region", &call.from));
    call.action = ngx_tccbs_action(&action);
    must((ngx_int_t) call.action != NGX_ERROR);
    must(ngx_tccbs_call_parse(&call, pool, &req.payload, &error) == NGX_OK);

    ngx_tccbs_out_init(&out, pool, 512);
    ngx_tccbs_call_write(&call, &out);
    text = ngx_tccbs_out_str(&out);
    must(fuzz_same(&text, &req.payload));

    ngx_tccbs_mac_free(&mac);
    ngx_destroy_pool(pool);
}


static void
answers(text_t *in)
{
    size_t  at;

    for (at = 0; at < in->len; /* void */ ) {
        if (!answer(in, &at)) {
            fprintf(stderr, "answers: %.*s\n", (int) in->len, in->data);
            must(0);
        }
    }
}


/* One whole answer: 200, JSON, the envelope with an id. */

static ngx_uint_t
answer(text_t *in, size_t *at)
{
    char                    *body;
    size_t                   rest;
    text_t                  *head;
    ngx_str_t                value, json, why;
    ngx_uint_t               ok;
    ngx_pool_t              *pool;
    ngx_tccbs_json_t        *root, *id;
    ngx_tccbs_json_limits_t  limits = { 16, 65536 };

    static text_t  one;

    /* HTTP/0.9, or a line that is no request: no head, and nothing follows */

    if (in->len - *at > 6 && strncmp(in->data + *at, "{\"Resp", 6) == 0) {
        *at = in->len;
        return 1;
    }

    body = memmem(in->data + *at, in->len - *at, "\r\n\r\n", 4);

    if (body == NULL) {
        return 0;
    }

    head = &one;
    head->len = body + 4 - in->data - *at;
    ngx_memcpy(head->data, in->data + *at, head->len);

    if (head->len >= 25
        && memcmp(head->data, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 0)
    {
        *at += 25;
        return 1;
    }

    if (strncmp(head->data, "HTTP/1.1 200 ", 13) != 0
        || !header(head, "Content-Type", &value)
        || !fuzz_is(&value, "application/json")
        || !header(head, "Content-Length", &value))
    {
        fprintf(stderr, "answer: %.*s\n", (int) head->len, head->data);
        return 0;
    }

    json.data = (u_char *) body + 4;
    json.len = ngx_atoi(value.data, value.len);

    /*
     * HEAD is refused, without the body that was counted; what follows may be
     * the answer to a line that is no request
     */

    rest = in->len - *at - head->len;

    if (memmem(client_out.data, client_out.len, "HEAD ", 5)
        && (rest == 0 || strncmp(body + 4, "HTTP/", 5) == 0
            || (strncmp(body + 4, "{\"Resp", 6) == 0 && rest != json.len
                && memmem(body + 4, rest, "}HTTP/", 6) == NULL)))
    {
        *at += head->len;
        return 1;
    }

    if (json.len == (size_t) NGX_ERROR || json.len > rest) {
        return 0;
    }

    *at += head->len + json.len;

    pool = ngx_create_pool(4096, ngx_cycle->log);

    ok = ngx_tccbs_json_parse(pool, &json, &limits, &root, &why) == NGX_OK;

    if (ok) {
        id = ngx_tccbs_json_get(ngx_tccbs_json_get(root, "Response"),
                                "RequestId");
        ok = id != NULL && id->type == NGX_TCCBS_JSON_STRING
             && id->value.len > 0;
    }

    ngx_destroy_pool(pool);

    return ok;
}


/* An intent for each call that was sent, or less was sent; as many outcomes. */

static void
recorded(ngx_uint_t n)
{
    char           *p, *last;
    ssize_t         len;
    off_t           at;
    ngx_uint_t      i, intents, outcomes;

    /* a line of which a part has been read, the buffer was full */

    static text_t   log;
    static off_t    freed;

    intents = 0;
    outcomes = 0;

    for (i = 0; ; i++) {

        while ((len = read(audit_fd, log.data + log.len,
                           sizeof(log.data) - log.len))
               > 0)
        {
            log.len += len;

            last = memrchr(log.data, '\n', log.len);

            if (last == NULL) {
                must(log.len < sizeof(log.data));
                continue;
            }

            last++;

            for (p = log.data;
                 (p = memmem(p, last - p, "\"kind\":\"", 8)) != NULL;
                 p += 8)
            {
                intents += p[8] == 'i';
                outcomes += p[8] == 'o';
            }

            log.len -= last - log.data;
            memmove(log.data, last, log.len);
        }

        if (intents == outcomes && intents >= n && log.len == 0) {
            break;
        }

        if (i == ROUNDS) {
            fprintf(stderr, "%u intents, %u outcomes, %u sent, and: %.*s\n",
                    (unsigned) intents, (unsigned) outcomes, (unsigned) n,
                    (int) log.len, log.data);
            must(0);
        }

        turn(i);
    }

    /* it is in memory, and a run has a hundred million calls */

    at = lseek(audit_fd, 0, SEEK_CUR);

    if (at - freed > AUDIT) {
        must(fallocate(audit_fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                       freed, at - freed)
             == 0);
        freed = at;
    }
}
