
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>


/*
 * Runs a fuzz target where there is no libFuzzer: "target [-t SECONDS]
 * [-s SEED] DIR" gives it the files of the directory, then changes of them,
 * blindly.  A property that does not hold leaves the input in "crash-SEED".
 */

#define INPUTS   4096
#define LONGEST  8192


static void load(const char *dir);
static size_t change(uint8_t *buf, size_t len);
static uint64_t below(uint64_t n);
static void save(int sig);


static struct {
    uint8_t   *data;
    size_t     len;
} inputs[INPUTS];

static size_t     n;
static uint64_t   state, seed;
static uint8_t   *current;
static size_t     current_len;


int
main(int argc, char **argv)
{
    int        opt;
    size_t     i;
    time_t     end;
    uint8_t    buf[LONGEST];
    uint64_t   runs;
    unsigned   seconds;

    seconds = 0;
    seed = time(NULL);

    while ((opt = getopt(argc, argv, "t:s:")) != -1) {

        if (opt == 't') {
            seconds = atoi(optarg);

        } else if (opt == 's') {
            seed = strtoull(optarg, NULL, 10);

        } else {
            return 2;
        }
    }

    if (optind + 1 != argc) {
        fprintf(stderr, "usage: %s [-t seconds] [-s seed] dir\n", argv[0]);
        return 2;
    }

    LLVMFuzzerInitialize(&argc, &argv);
    load(argv[optind]);

    if (n == 0) {
        fprintf(stderr, "%s: no inputs\n", argv[optind]);
        return 1;
    }

    signal(SIGABRT, save);

    for (i = 0; i < n; i++) {
        current = inputs[i].data;
        current_len = inputs[i].len;
        (void) LLVMFuzzerTestOneInput(current, current_len);
    }

    state = seed * 6364136223846793005ull + 1442695040888963407ull;
    runs = n;
    end = time(NULL) + seconds;
    current = buf;

    while (time(NULL) < end) {
        for (i = 0; i < 64; i++) {
            current_len = change(buf, 0);
            (void) LLVMFuzzerTestOneInput(buf, current_len);
        }

        runs += i;
    }

    printf("%llu runs, %zu inputs, seed %llu\n", (unsigned long long) runs, n,
           (unsigned long long) seed);

    return 0;
}


static void
load(const char *dir)
{
    FILE           *f;
    DIR            *d;
    char            path[4096];
    struct stat     st;
    struct dirent  *e;

    d = opendir(dir);

    while (d && n < INPUTS && (e = readdir(d)) != NULL) {

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);

        if (stat(path, &st) == -1 || !S_ISREG(st.st_mode)
            || (f = fopen(path, "r")) == NULL)
        {
            continue;
        }

        inputs[n].data = malloc(st.st_size + 1);
        must(inputs[n].data != NULL);
        inputs[n].len = fread(inputs[n].data, 1, st.st_size, f);
        n++;

        fclose(f);
    }

    if (d) {
        closedir(d);
    }
}


static uint64_t
below(uint64_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return limit ? state % limit : 0;
}


/* One input with a few changes: bits, bytes, pieces of it or of another. */

static size_t
change(uint8_t *buf, size_t len)
{
    size_t    i, at, from, count, changes;

    i = below(n);
    len = ngx_min(inputs[i].len, LONGEST / 2);
    ngx_memcpy(buf, inputs[i].data, len);

    for (changes = 1 + below(4); changes; changes--) {

        at = below(len + 1);

        switch (below(5)) {

        case 0:
            if (at < len) {
                buf[at] ^= 1 << below(8);
            }
            break;

        case 1:
            if (at < len) {
                buf[at] = below(256);
            }
            break;

        case 2:
            count = below(ngx_min(len - at, 16) + 1);
            memmove(buf + at, buf + at + count, len - at - count);
            len -= count;
            break;

        case 3:
            if (len < LONGEST - 1) {
                memmove(buf + at + 1, buf + at, len - at);
                buf[at] = below(256);
                len++;
            }
            break;

        default:
            i = below(n);
            from = below(inputs[i].len + 1);
            count = ngx_min(inputs[i].len - from, LONGEST - at);
            count = below(count + 1);
            ngx_memcpy(buf + at, inputs[i].data + from, count);
            len = ngx_max(len, at + count);
        }
    }

    return len;
}


static void
save(int sig)
{
    FILE  *f;
    char   name[64];

    snprintf(name, sizeof(name), "crash-%llu", (unsigned long long) seed);
    f = fopen(name, "w");

    if (f) {
        fwrite(current, 1, current_len, f);
        fclose(f);
        fprintf(stderr, "the input is in %s\n", name);
    }

    signal(SIGABRT, SIG_DFL);
    abort();
}
