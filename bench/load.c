
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


/*
 * A client for measurements: signed copies, each of a snapshot of its own, over
 * kept connections; as fast as they are answered, or at a fixed rate, where
 * the time of a call counts from when it was due.  Prints one line of JSON.
 * Every answer is read to its end and must contain the expected text.
 */

#define _GNU_SOURCE

#include <ngx_config.h>
#include <ngx_core.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_tc3.h"


#define CONNECTIONS  1024
#define REQUEST      20480
#define ANSWER       65536


typedef struct {
    int        fd;
    int        busy;
    uint64_t   since;                         /* sent, or due */
    size_t     len;
    char       buf[ANSWER + 1];
} conn_t;


static int              port;
static int              nconns = 32;
static double           seconds = 3;
static double           rate;
static uint64_t         calls = (uint64_t) -1;
static size_t           pad;
static const char      *host = "cbs.gw.test";
static const char      *key_id = "none";
static const char      *expect = "SnapshotCopyResultSet";
static const char      *from = "ap-guangzhou";
static const char      *to = "ap-beijing";

static u_char           secret[1024];
static ngx_str_t        secret_key = { 0, secret };
static ngx_tccbs_mac_t  mac;
static char             mac_date[NGX_TCCBS_TC3_DATE_LEN];
static ngx_pool_t      *pool;
static uint32_t         tag;
static uint64_t         serial;

static conn_t          *conns;
static uint32_t        *times;                /* of answers, microseconds */
static size_t           ntimes, room;
static size_t           errors;
static char             first[256];


static uint64_t
now_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void
die(const char *what)
{
    perror(what);
    exit(2);
}


static void
wrong(const char *fmt, ...)
{
    va_list  args;

    if (errors++ == 0) {
        va_start(args, fmt);
        (void) vsnprintf(first, sizeof(first), fmt, args);
        va_end(args);
    }
}


static ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = strlen(s);

    return v;
}


static void
sign(ngx_str_t *stamp, ngx_str_t *body, char hex[NGX_TCCBS_HEX_LEN + 1])
{
    ngx_str_t                date, service, names[2];
    ngx_tccbs_tc3_header_t   headers[2];
    ngx_tccbs_tc3_request_t  req;
    u_char                   day[NGX_TCCBS_TC3_DATE_LEN];
    u_char                   key[NGX_TCCBS_SHA256_LEN];
    u_char                   signature[NGX_TCCBS_SHA256_LEN];

    ngx_tccbs_tc3_date(ngx_tccbs_tc3_timestamp(stamp), day);

    date.data = day;
    date.len = sizeof(day);
    service = str("cbs");

    if (memcmp(mac_date, day, sizeof(day)) != 0) {
        (void) ngx_tccbs_tc3_day_key(key, &secret_key, &date, &service);
        (void) ngx_tccbs_mac_key(&mac, key, sizeof(key));
        memcpy(mac_date, day, sizeof(day));
    }

    names[0] = headers[0].name = str("content-type");
    names[1] = headers[1].name = str("host");
    headers[0].value = str("application/json");
    headers[1].value = str(host);

    req.method = str("POST");
    req.uri = str("/");
    req.query = str("");
    req.headers = headers;
    req.nheaders = 2;
    req.timestamp = *stamp;
    req.payload = *body;

    if (ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, names, 2,
                           pool)
        != NGX_OK)
    {
        die("sign");
    }

    *ngx_tccbs_hex((u_char *) hex, signature, sizeof(signature)) = '\0';

    /* what the signature took is needed no longer */

    ngx_destroy_pool(pool);
    pool = ngx_create_pool(4096, NULL);
}


static size_t
request(char *p)
{
    int          n;
    ngx_str_t    stamp, body;
    char         text[NGX_TIME_T_LEN + 1], hex[NGX_TCCBS_HEX_LEN + 1];
    static char  json[REQUEST];

    stamp.data = (u_char *) text;
    stamp.len = snprintf(text, sizeof(text), "%ld", (long) time(NULL));

    n = snprintf(json, sizeof(json), "{\"SnapshotId\":\"snap-%08x%08lx\","
                 "\"DestinationRegions\":[\"%s\"]%*s}", tag,
                 (unsigned long) serial++, to, (int) pad, "");

    body.data = (u_char *) json;
    body.len = n;

    sign(&stamp, &body, hex);

    return snprintf(p, REQUEST, "POST / HTTP/1.1\r\n"
                    "Host: %s\r\n"
                    "Content-Type: application/json\r\n"
                    "Content-Length: %d\r\n"
                    "X-TC-Action: CopySnapshotCrossRegions\r\n"
                    "X-TC-Version: 2017-03-12\r\n"
                    "X-TC-Region: %s\r\n"
                    "X-TC-Timestamp: %s\r\n"
                    "Authorization: TC3-HMAC-SHA256 Credential=%s/%.10s/cbs"
                    "/tc3_request, SignedHeaders=content-type;host, "
                    "Signature=%s\r\n\r\n%s",
                    host, n, from, text, key_id, mac_date, hex, json);
}


static void
connect_to(conn_t *c, int ep)
{
    int                 one = 1;
    struct epoll_event  ee;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1)
    {
        die("connect");
    }

    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    c->busy = 0;
    c->len = 0;

    ee.events = EPOLLIN;
    ee.data.ptr = c;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
        die("epoll_ctl");
    }
}


static void
begin(conn_t *c, uint64_t since, int ep)
{
    char    buf[REQUEST + REQUEST];
    size_t  n;

    n = request(buf);

    c->since = since;
    c->len = 0;
    c->busy = 1;

    if (send(c->fd, buf, n, MSG_NOSIGNAL) != (ssize_t) n) {
        wrong("send: %s", strerror(errno));
        close(c->fd);
        connect_to(c, ep);
    }
}


/* 1 when an answer is complete, and then the connection is free */

static int
answer(conn_t *c, int ep)
{
    char     *body, *p;
    size_t    len;
    ssize_t   n;

    n = recv(c->fd, c->buf + c->len, ANSWER - c->len, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return 0;
    }

    if (n <= 0) {
        if (c->busy) {
            wrong("closed without an answer");
        }

        close(c->fd);
        connect_to(c, ep);
        return 1;
    }

    c->len += n;
    c->buf[c->len] = '\0';

    body = strstr(c->buf, "\r\n\r\n");

    if (body == NULL) {
        return 0;
    }

    body += 4;
    p = strcasestr(c->buf, "\r\ncontent-length:");

    if (p == NULL || p > body) {
        wrong("no length: %.100s", c->buf);
        close(c->fd);
        connect_to(c, ep);
        return 1;
    }

    len = strtoul(p + 17, NULL, 10);

    if (c->len < (size_t) (body - c->buf) + len) {
        return 0;
    }

    if (strstr(body, expect) == NULL) {
        wrong("%.200s", body);
    }

    if (ntimes == room) {
        room = room ? 2 * room : 65536;
        times = realloc(times, room * sizeof(uint32_t));
        if (times == NULL) {
            die("realloc");
        }
    }

    times[ntimes++] = (now_ns() - c->since) / 1000;

    c->busy = 0;
    c->len = 0;

    p = strcasestr(c->buf, "\r\nconnection: close");

    if (p && p < body) {
        close(c->fd);
        connect_to(c, ep);
    }

    return 1;
}


static int
order(const void *one, const void *two)
{
    uint32_t  a = *(const uint32_t *) one, b = *(const uint32_t *) two;

    return (a > b) - (a < b);
}


static void
run(int ep)
{
    int                  i, n, nidle;
    conn_t              *c, **idle;
    uint64_t             start, end, now, due, sent, busy;
    struct timespec      ts;
    struct epoll_event   events[CONNECTIONS];

    idle = calloc(nconns, sizeof(conn_t *));
    if (idle == NULL) {
        die("calloc");
    }

    for (nidle = 0; nidle < nconns; nidle++) {
        idle[nidle] = &conns[nidle];
    }

    start = now_ns();
    end = start + (uint64_t) (seconds * 1e9);
    sent = 0;
    busy = 0;

    for ( ;; ) {

        now = now_ns();
        due = end;

        if (sent == calls) {
            end = ngx_min(end, now);
        }

        while (nidle && now < end && sent < calls) {

            due = rate ? start + (uint64_t) (sent * 1e9 / rate) : now;

            if (due > now) {
                break;
            }

            begin(idle[--nidle], due, ep);
            sent++;
            busy++;
        }

        /* what was sent is waited for, five seconds at the most */

        if (now >= end && (busy == 0 || now > end + 5000000000)) {
            break;
        }

        due = (now >= end || nidle == 0) ? now + 100000000
                                         : ngx_min(due, end);

        ts.tv_sec = 0;
        ts.tv_nsec = ngx_min(due - ngx_min(now, due), 100000000);

        n = epoll_pwait2(ep, events, CONNECTIONS, &ts, NULL);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (c->busy && answer(c, ep)) {
                idle[nidle++] = c;
                busy--;
            }
        }
    }

    if (busy) {
        wrong("%d calls without an answer", (int) busy);
    }

    seconds = (now_ns() - start) / 1e9;
}


static double
at(double part)
{
    return ntimes ? times[(size_t) ((ntimes - 1) * part)] / 1e3 : 0;
}


int
main(int argc, char **argv)
{
    int    c, i, ep;
    FILE  *f;
    char  *p;

    static const struct option  options[] = {
        { "port", 1, NULL, 'p' },
        { "connections", 1, NULL, 'c' },
        { "seconds", 1, NULL, 's' },
        { "rate", 1, NULL, 'r' },
        { "calls", 1, NULL, 'n' },
        { "pad", 1, NULL, 'b' },
        { "host", 1, NULL, 'h' },
        { "key-id", 1, NULL, 'i' },
        { "secret", 1, NULL, 'k' },
        { "expect", 1, NULL, 'e' },
        { "from", 1, NULL, 'f' },
        { "to", 1, NULL, 't' },
        { NULL, 0, NULL, 0 }
    };

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p': port = atoi(optarg); break;
        case 'c': nconns = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'n': calls = atol(optarg); break;
        case 'b': pad = atoi(optarg); break;
        case 'h': host = optarg; break;
        case 'i': key_id = optarg; break;
        case 'e': expect = optarg; break;
        case 'f': from = optarg; break;
        case 't': to = optarg; break;

        case 'k':
            f = fopen(optarg, "r");
            if (f == NULL || fgets((char *) secret, sizeof(secret), f) == NULL)
            {
                die(optarg);
            }

            fclose(f);
            secret_key.len = strcspn((char *) secret, "\r\n");
            break;

        default:
            return 2;
        }
    }

    if (port == 0 || nconns < 1 || nconns > CONNECTIONS || pad > REQUEST - 200
        || seconds <= 0)
    {
        fprintf(stderr, "usage: load --port N --key-id ID --secret FILE "
                "[--connections 1-%d] [--seconds S] [--rate N] [--calls N] "
                "[--pad BYTES] [--host NAME] [--from REGION] [--to REGION] "
                "[--expect TEXT]\n", CONNECTIONS);
        return 2;
    }

    pool = ngx_create_pool(4096, NULL);
    tag = (uint32_t) (now_ns() >> 10) ^ (uint32_t) getpid() << 16;
    conns = calloc(nconns, sizeof(conn_t));
    ep = epoll_create1(0);

    if (ngx_tccbs_crypto_init() != NGX_OK || conns == NULL || ep == -1) {
        die("start");
    }

    for (i = 0; i < nconns; i++) {
        connect_to(&conns[i], ep);
    }

    run(ep);

    qsort(times, ntimes, sizeof(uint32_t), order);

    /* the text goes into JSON */

    for (p = first; *p; p++) {
        if (*p == '"' || *p == '\\' || *p < ' ') {
            *p = '\'';
        }
    }

    printf("{\"calls\":%zu,\"seconds\":%.3f,\"rate\":%.1f,\"p50\":%.3f,"
           "\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"errors\":%zu,"
           "\"error\":\"%s\"}\n", ntimes, seconds, ntimes / seconds, at(0.5),
           at(0.9), at(0.99), at(1), errors, first);

    return 0;
}
