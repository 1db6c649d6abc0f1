
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "ngx_tccbs_lease.h"
#include "grant.h"
#include "draw.h"
#include "tap.h"


#define NODES     5
#define ACCOUNTS  6
#define STEPS     9000
#define PARTS     6


static ngx_tccbs_lease_conf_t   conf;
static ngx_tccbs_lease_ask_t    ask;
static ngx_tccbs_lease_t        lease;


/* a real Redis, which ends with this program */

static char   dir[] = "/tmp/tccbs-lease.XXXXXX";
static pid_t  server;


static void
redis_end(void)
{
    char  path[64];

    if (server > 0) {
        (void) kill(server, SIGKILL);
        (void) waitpid(server, NULL, 0);
    }

    snprintf(path, sizeof(path), "%s/s", dir);
    (void) unlink(path);
    (void) rmdir(dir);
}


static int
redis_start(void)
{
    int                 i, fd;
    struct sockaddr_un  sun;

    if (mkdtemp(dir) == NULL) {
        return -1;
    }

    (void) atexit(redis_end);

    ngx_memzero(&sun, sizeof(sun));
    sun.sun_family = AF_UNIX;
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);

    (void) fflush(stdout);
    server = fork();

    if (server == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) !freopen("/dev/null", "w", stdout);

        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket",
               sun.sun_path, "--save", "", "--dir", dir, NULL);
        _exit(1);
    }

    for (i = 0; i < 1000; i++) {

        fd = socket(AF_UNIX, SOCK_STREAM, 0);

        if (fd == -1) {
            return -1;
        }

        if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == 0) {
            return fd;
        }

        (void) close(fd);
        usleep(10000);
    }

    return -1;
}


/* A call with up to "n" arguments; the reply's text without its frame. */

static size_t
redis_call(int fd, ngx_str_t *argv, ngx_uint_t n, u_char *out, size_t size)
{
    size_t       len, want;
    ssize_t      rc;
    ngx_uint_t   i;
    u_char      *p, *end;

    static u_char  buf[65536];

    p = buf + sprintf((char *) buf, "*%lu\r\n", (u_long) n);

    for (i = 0; i < n; i++) {
        p += sprintf((char *) p, "$%lu\r\n", (u_long) argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        p = ngx_cpymem(p, "\r\n", 2);
    }

    if (write(fd, buf, p - buf) != p - buf) {
        return 0;
    }

    len = 0;
    want = 0;
    end = NULL;

    do {
        rc = read(fd, buf + len, sizeof(buf) - 1 - len);

        if (rc <= 0) {
            return 0;
        }

        len += rc;
        buf[len] = '\0';

        if (end == NULL) {
            end = (u_char *) strstr((char *) buf, "\r\n");

            if (end) {
                want = end + 2 - buf;
                want += (buf[0] == '$') ? strtoul((char *) buf + 1, NULL, 10)
                                          + 2 : 0;
            }
        }

    } while (end == NULL || len < want);

    p = (buf[0] == '$') ? end + 2 : buf;
    len = buf + want - 2 - p;

    memcpy(out, p, ngx_min(len, size));

    return ngx_min(len, size);
}


/* The script and what the simulator uses instead of it, step by step. */

static void
twins(int fd)
{
    int             i, k, part, reset, wrong, granted, late, shared, loud, seen;
    u_char          buf[NGX_TCCBS_LEASE_BUFFER], x[8192], y[8192];
    size_t          xlen, ylen;
    uint64_t        now, node;
    ngx_str_t       argv[3 + NGX_TCCBS_LEASE_KEYS + NGX_TCCBS_LEASE_ARGS], sha;
    ngx_uint_t      n;

    static grant_t  g;
    static u_char   hash[64];

    argv[0] = str("SCRIPT");
    argv[1] = str("LOAD");
    argv[2] = str(ngx_tccbs_lease_script);

    sha.data = hash;
    sha.len = redis_call(fd, argv, 3, hash, sizeof(hash));

    ok(sha.len == 40, "Redis takes the script: %.*s", (int) sha.len, hash);

    part = 0;
    wrong = 0;
    granted = 0;
    late = 0;
    shared = 0;
    loud = 0;
    seen = 0;
    reset = 0;

    /* a busy machine needs more of them to see it all */

    for (i = 0; i < STEPS || (i < 10 * STEPS && !seen); i++) {

        /* parts with other figures, and one in which nodes are not silent */

        if (i % (STEPS / PARTS) == 0) {
            part = i / (STEPS / PARTS) % PARTS;

            ngx_tccbs_lease_conf(&conf, 20 << part,
                                 (part < 3) ? 0 : NODES, 10000, 10000);

            conf.hold = (part == 4) ? 500000 : 40000 + draw(40000);
            conf.fresh = 4000 + draw(8000);
            conf.horizon += draw(400000);
        }

        if (part == 4) {
            usleep(500);
        }

        ask.lead = draw(3000);
        ask.cost = conf.cost + draw(2) * draw(5000);
        ask.ndemands = draw(4);

        for (k = 0; k < (int) ask.ndemands; k++) {
            ask.demands[k].account = 0x1000 + (k + i) % ACCOUNTS;
            ask.demands[k].weight = 1 + (k + i) % ACCOUNTS;
            ask.demands[k].n = draw(6);
        }

        node = 1 + draw(NODES);

        /* the time that Redis will see is nearly that of here */

        {
            struct timespec  ts;

            (void) clock_gettime(CLOCK_REALTIME, &ts);
            now = (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
        }

        ask.until = (draw(20) == 0) ? now - draw(2) * 1000000 : now + 15000;

        argv[0] = str("EVALSHA");
        argv[1] = sha;
        argv[2] = str("5");
        argv[3] = str("{b}state");
        argv[4] = str("{b}queue");
        argv[5] = str("{b}finish");
        argv[6] = str("{b}seen");
        argv[7] = str("{b}joined");

        n = ngx_tccbs_lease_args(&conf, &ask, node, argv + 8, buf);

        xlen = redis_call(fd, argv, 8 + n, x, sizeof(x));
        x[ngx_min(xlen, sizeof(x) - 1)] = '\0';

        if (g.last && now > g.last + conf.hold) {
            reset++;
        }

        ylen = grant_ask(&g, &conf, &ask, node, strtoull((char *) x, NULL, 10),
                         y);

        if (xlen != ylen || memcmp(x, y, xlen) != 0) {
            if (wrong++ < 3) {
                fprintf(stderr, "# step %d\n# Redis: %.*s\n# twin:  %.*s\n", i,
                        (int) xlen, x, (int) ylen, y);
            }
        }

        late += (x[17] == '0');
        granted += (xlen > 20);
        shared += (xlen > 54);
        loud += (xlen > 20 && conf.nodes > 0);

        seen = granted > 100 && shared > 10 && loud > 50 && late > 100
               && reset > 3;

        switch (draw(400)) {

        case 0:
            usleep((part == 4) ? 100 : 90000);
            break;

        case 1:
            usleep(9000);
            break;
        }
    }

    ok(wrong == 0, "%d steps, %d of them different", i, wrong);
    ok(seen,
       "there were slots %d times, several %d times, of nodes that count %d "
       "times, too late %d, reset %d", granted, shared, loud, late, reset);
}


static ngx_int_t
answer(uint64_t now, const char *text)
{
    ngx_str_t  s;

    s = str(text);

    return ngx_tccbs_lease_answer(&lease, &conf, now, &ask, &s);
}


/* A node whose clock says 10 s when that of Redis says 1000 s. */

static void
contact(void)
{
    ngx_tccbs_lease_conf(&conf, 20, 3, 100000, 50000);
    ngx_tccbs_lease_init(&lease, &conf, 9000000);

    ask.cost = conf.cost;
    ask.ndemands = 0;

    ngx_tccbs_lease_ask(&lease, &conf, 10000000, &ask);
    (void) answer(10001000, "1000000500 0");
}


static void
demand(uint64_t now, ngx_uint_t n)
{
    ask.ndemands = 1;
    ask.demands[0].account = 0xa;
    ask.demands[0].weight = 1;
    ask.demands[0].n = n;

    ngx_tccbs_lease_ask(&lease, &conf, now, &ask);
}


static void
slots(void)
{
    int         i;
    uint64_t    wait, account, now;
    ngx_int_t   rc;

    contact();

    ok(ask.until == 0 && lease.known, "the first request asks for the time");
    ok(ngx_tccbs_lease_due(&lease, &conf, 10001000, 1, &wait) == NGX_OK,
       "and the second one follows at once");

    demand(10001000, 2);

    /* between 990.0 - 0.0005 and + 0.0005 seconds ahead */

    ok(ask.until == 10001000 + 989999500 + 50000,
       "it has an effect for the time-out: %lu", (u_long) ask.until);
    ok(ngx_tccbs_lease_due(&lease, &conf, 10002000, 1, &wait) == NGX_AGAIN
       && wait == 99000, "and no other one is sent meanwhile");

    /* 989.9995 is the least, 990.0002 now the most, that the clocks differ */

    ok(answer(10002800,
              "1000001200 1 1000020000 000000000000000a 1000070750 "
              "000000000000000b") == NGX_OK && lease.nslots == 2,
       "two slots");
    ok(lease.low == 989999500 - 2 && lease.high == 990000200,
       "the clocks are known better: %ld to %ld", (long) lease.low,
       (long) lease.high);

    rc = ngx_tccbs_lease_next(&lease, &conf, 10010000, conf.cost, &account,
                              &wait);
    ok(rc == NGX_AGAIN && account == 0xa && wait == 10502,
       "it begins when it has begun for Redis in any case: in %lu",
       (u_long) wait);

    rc = ngx_tccbs_lease_next(&lease, &conf, 10020502, conf.cost, &account,
                              &wait);
    ok(rc == NGX_OK && account == 0xa, "and may be used from then");

    rc = ngx_tccbs_lease_next(&lease, &conf, 10020000 - 200 + conf.use - 1,
                              conf.cost, &account, &wait);
    ok(rc == NGX_OK && account == 0xa, "until it ends for Redis");

    rc = ngx_tccbs_lease_next(&lease, &conf, 10020000 - 200 + conf.use,
                              conf.cost, &account, &wait);
    ok(rc == NGX_AGAIN && account == 0xb, "and not later");

    ngx_tccbs_lease_take(&lease, &conf, 10070750 + 500, conf.cost, 0);
    ok(ngx_tccbs_lease_next(&lease, &conf, 10070750 + 500, conf.cost, &account,
                            &wait) == NGX_DECLINED, "a slot is for one call");

    /* who is late gets longer slots, which cost as much more */

    contact();
    demand(10001000, 2);
    (void) answer(10002000, "1000001200 1 1000020000 000000000000000a "
                            "1000070750 000000000000000a");

    (void) ngx_tccbs_lease_next(&lease, &conf, 10027000, conf.cost, &account,
                                &wait);
    ngx_tccbs_lease_take(&lease, &conf, 10027000, conf.cost, 0);
    (void) ngx_tccbs_lease_next(&lease, &conf, 10090000, conf.cost, &account,
                                &wait);

    ok(lease.nslots == 0 && lease.slow > 8000 && lease.slow < 9500,
       "one slot used late and one not at all: %lu us", (u_long) lease.slow);

    demand(10101000, 1);
    ok(ask.cost == conf.cost, "the next answer");
    (void) answer(10102000, "1000101200 1");
    ask.cost = conf.cost;
    demand(10201000, 1);
    ok(lease.use > conf.use + 2000
       && ask.cost == conf.cost + (lease.use - conf.use) / 20,
       "longer by %lu us", (u_long) (lease.use - conf.use));

    /* whatever the way there and back takes, no slot is used out of time */

    for (i = 0, now = 11000000; i < 20000; i++) {

        static char     text[128];
        uint64_t        there, back, start, local, least;
        int64_t         skew;

        contact();
        demand(10001000, 1);

        skew = 990000000;
        there = draw(3) ? draw(2000) : draw(60000);
        back = draw(3) ? draw(2000) : draw(60000);
        start = 10001000 + there + skew + draw(60000);

        snprintf(text, sizeof(text), "%lu 1 %lu 000000000000000a",
                 (u_long) (10001000 + there + skew), (u_long) start);

        (void) answer(10001000 + there + back, text);

        least = start - skew;
        local = ngx_max(10001000 + there + back, least - 2000 + draw(14000));

        if (ngx_tccbs_lease_next(&lease, &conf, local, conf.cost, &account,
                                 &wait) == NGX_OK)
        {
            now = 0;

            if (local < least || local >= least + conf.use) {
                break;
            }
        }
    }

    ok(i == 20000 && now == 0, "never early and never late: %d", i);
}


static void
answers(void)
{
    int           i;
    uint64_t      wait;
    ngx_str_t     s;

    static const char  *bad[] = {
        "", " ", "1", "1 ", "x 1", "1000001200 1 5", "1000001200 1 5 ",
        "1000001200 1 5 x", "1000001200 1  5 a", "1000001200 0 5 a",
        "-1 1", "1000001200 1 5 A", "1000001200 1 99999999999999999 a",
        "1000001200 1 5 a ", "12345678901234567 1", "ERR unknown command",
        NULL
    };

    for (i = 0; bad[i]; i++) {
        contact();
        demand(10001000, 1);
        ok(answer(10002000, bad[i]) == NGX_ERROR && lease.known == 0
           && lease.nslots == 0, "no answer: \"%s\"", bad[i]);
    }

    for (i = 0; i < 100000; i++) {
        u_char  text[40];
        size_t  k;

        contact();
        demand(10001000, 1);

        s.len = draw(sizeof(text));
        s.data = text + sizeof(text) - s.len;

        for (k = 0; k < s.len; k++) {
            s.data[k] = draw(3) ? ' ' + draw(3) * draw(20) : draw(256);
        }

        (void) ngx_tccbs_lease_answer(&lease, &conf, 10002000, &ask, &s);
    }

    contact();
    demand(10001000, 1);
    ngx_tccbs_lease_failed(&lease, &ask);
    ok(answer(10002000, "1000001200 1 1000020000 000000000000000a")
       == NGX_DECLINED && lease.nslots == 0, "what comes after the time-out");

    ok(ngx_tccbs_lease_due(&lease, &conf, 10002000, 1, &wait) == NGX_AGAIN
       && wait == 99000, "the next try is a period later");

    demand(10101000, 1);
    ok(ask.until == 0, "and has no effect, as nobody knows of the last one");

    contact();
    demand(10001000, 1);
    ok(ngx_tccbs_lease_due(&lease, &conf, 10101000, 1, &wait) == NGX_OK
       && !lease.asking && !lease.known, "a worker that dies while it asks");

    contact();
    demand(10001000, 1);
    (void) answer(10002000, "1000001200 1 1000020000 000000000000000a");
    demand(10012000, 3);
    ok(ask.demands[0].n == 2, "a call that has a slot is not asked for");
    (void) answer(10013000, "1000012200 1");
    ok(lease.uncovered == 2
       && ngx_tccbs_lease_due(&lease, &conf, 10013000, 3, &wait) == NGX_AGAIN
       && wait == 99000, "what Redis knows of waits for the period");

    contact();
    demand(10001000, 1);
    (void) answer(10002000, "1000001200 1 1000020000 000000000000000a");
    ok(ngx_tccbs_lease_due(&lease, &conf, 10002000, 1, &wait) == NGX_AGAIN
       && wait == 99000
       && ngx_tccbs_lease_due(&lease, &conf, 10006000, 2, &wait) == NGX_OK,
       "another call is told at once");
    ok(ngx_tccbs_lease_due(&lease, &conf, 10006000, 0, &wait) == NGX_AGAIN
       && wait == 195000, "none has time");

    /* Redis after a failover, with a clock of its own */

    contact();
    demand(10001000, 1);
    (void) answer(10002000, "5000000000 1 5000020000 000000000000000a");
    ok(lease.low == 5000000000 - 10002000 && lease.high == 5000000000 - 10001000
       && lease.nslots == 1, "another clock");
}


static void
shares(void)
{
    uint64_t   wait, account, now, last, begin;
    ngx_int_t  rc;

    contact();
    demand(10001000, 1);
    ngx_tccbs_lease_failed(&lease, &ask);

    /* what Redis may still do with it, until it is silent, others' slots */

    begin = 10001000 + conf.hold + conf.horizon + conf.use + 2 * conf.timeout
            + 30000;

    ok(!ngx_tccbs_lease_alone(&lease, &conf, begin - 1)
       && ngx_tccbs_lease_alone(&lease, &conf, begin)
       && ngx_tccbs_lease_next(&lease, &conf, begin - 1, conf.cost, &account,
                               &wait) == NGX_DECLINED,
       "alone after %lu us", (u_long) (begin - 10001000));

    rc = ngx_tccbs_lease_next(&lease, &conf, begin, conf.cost, &account,
                              &wait);
    ok(rc == NGX_AGAIN && account == 0 && wait > 1000000 / 6,
       "a sixth of a second later there is a call of whoever it is");

    /* tries have no effect on it */

    ngx_tccbs_lease_ask(&lease, &conf, begin, &ask);
    ngx_tccbs_lease_failed(&lease, &ask);

    last = 0;

    for (now = begin; now < begin + 10000000; now += 100) {
        rc = ngx_tccbs_lease_next(&lease, &conf, now, conf.cost, &account,
                                  &wait);
        if (rc != NGX_OK) {
            continue;
        }

        ngx_tccbs_lease_take(&lease, &conf, now, conf.cost, 0);

        if (last && now - last < 1000000 / 6) {
            break;
        }

        last = now;
    }

    ok(now >= begin + 10000000 && lease.share > now, "six in any second");

    /* Redis is back: the share ends with the first request */

    ngx_tccbs_lease_ask(&lease, &conf, now, &ask);
    (void) answer(now + 1000, "1020000500 0");
    ok(ngx_tccbs_lease_alone(&lease, &conf, now + 2000), "back, still alone");

    demand(now + 2000, 1);
    ok(!ngx_tccbs_lease_alone(&lease, &conf, now + 2000)
       && ngx_tccbs_lease_next(&lease, &conf, now + 2000, conf.cost, &account,
                               &wait) == NGX_DECLINED, "asked, not alone");

    (void) answer(now + 3000, "1020003500 0");
    ok(ngx_tccbs_lease_alone(&lease, &conf, now + 3000),
       "Redis has done nothing: alone as before");

    ngx_tccbs_lease_conf(&conf, 20, 21, 100000, 50000);
    ok(ngx_tccbs_lease_next(&lease, &conf, now + 10000000, conf.cost, &account,
                            &wait) == NGX_DECLINED
       && !ngx_tccbs_lease_alone(&lease, &conf, now + 10000000),
       "no share with more nodes than calls");

    ngx_tccbs_lease_conf(&conf, 20, 0, 100000, 50000);
    ok(ngx_tccbs_lease_next(&lease, &conf, now + 10000000, conf.cost, &account,
                            &wait) == NGX_DECLINED,
       "nor with none configured");
}


/* What is told of a lease, which must not change it. */

static ngx_uint_t
told(uint64_t now, ngx_tccbs_lease_mode_e mode, ngx_uint_t held,
    ngx_uint_t asked, uint64_t lent, uint64_t lapsed)
{
    ngx_tccbs_lease_t         before;
    ngx_tccbs_lease_status_t  status;

    before = lease;

    ngx_tccbs_lease_status(&lease, &conf, now, &status);

    return ngx_memcmp(&before, &lease, sizeof(lease)) == 0
           && status.mode == mode && status.held == held
           && status.asked == asked && status.lent == lent
           && status.lapsed == lapsed;
}


static void
status(void)
{
    uint64_t  wait, account, now, end;

    contact();
    demand(10001000, 3);
    ok(told(10001500, NGX_TCCBS_LEASE_SHARED, 0, 3, 0, 0), "three are asked");

    (void) answer(10002800,
                  "1000001200 1 1000020000 000000000000000a 1000070750 "
                  "000000000000000a");
    ok(told(10002800, NGX_TCCBS_LEASE_SHARED, 2, 1, 2, 0),
       "two are lent and held, one is still asked");

    now = lease.slots[0].begin;
    (void) ngx_tccbs_lease_next(&lease, &conf, now, conf.cost, &account,
                                &wait);
    ngx_tccbs_lease_take(&lease, &conf, now, conf.cost, 0);
    ok(told(now, NGX_TCCBS_LEASE_SHARED, 1, 1, 2, 0), "one is used");

    end = lease.slots[0].end;
    ok(told(end - 1, NGX_TCCBS_LEASE_SHARED, 1, 1, 2, 0)
       && told(end, NGX_TCCBS_LEASE_SHARED, 0, 1, 2, 1), "the other lapses");

    (void) ngx_tccbs_lease_next(&lease, &conf, end, conf.cost, &account,
                                &wait);
    ok(told(end, NGX_TCCBS_LEASE_SHARED, 0, 1, 2, 1), "once");

    /* slots that come when they are over */

    demand(10101000, 1);
    (void) answer(10149000, "1000149000 1 1000050000 000000000000000a");
    ok(lease.lent == 3 && lease.lapsed == 2, "one that comes too late");

    demand(10201000, 1);
    ngx_tccbs_lease_failed(&lease, &ask);
    ok(told(10202000, NGX_TCCBS_LEASE_CLOSED, 0, 0, 3, 2), "Redis is lost");
    ok(told(lease.alone - 1, NGX_TCCBS_LEASE_CLOSED, 0, 0, 3, 2)
       && told(lease.alone, NGX_TCCBS_LEASE_LOCAL, 0, 0, 3, 2),
       "and then there is the share");
}


int
main(void)
{
    int  fd;

    (void) signal(SIGPIPE, SIG_IGN);

    slots();
    answers();
    shares();
    status();

    fd = redis_start();
    ok(fd != -1, "redis-server has started");

    if (fd != -1) {
        twins(fd);
    }

    return tap_done();
}
