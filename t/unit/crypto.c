
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_crypto.h"
#include "tap.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>


static void
digest(const char *name, const u_char *got, const char *hex)
{
    u_char  text[NGX_TCCBS_HEX_LEN];

    (void) ngx_tccbs_hex(text, got, NGX_TCCBS_SHA256_LEN);

    ok(memcmp(text, hex, sizeof(text)) == 0, "%s", name);
}


/* RFC 4231 */

static void
test_hmac(void)
{
    u_char           key[131], data[50], out[NGX_TCCBS_SHA256_LEN];
    ngx_str_t        pieces[2];
    ngx_tccbs_mac_t  mac;

    memset(key, 0x0b, 20);
    ok(ngx_tccbs_hmac(out, key, 20, (u_char *) "Hi There", 8) == NGX_OK,
       "hmac");
    digest("case 1", out, "b0344c61d8db38535ca8afceaf0bf12b"
                          "881dc200c9833da726e9376c2e32cff7");

    (void) ngx_tccbs_hmac(out, (u_char *) "Jefe", 4,
                          (u_char *) "what do ya want for nothing?", 28);
    digest("case 2", out, "5bdcc146bf60754e6a042426089575c7"
                          "5a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, 20);
    memset(data, 0xdd, 50);
    (void) ngx_tccbs_hmac(out, key, 20, data, 50);
    digest("case 3", out, "773ea91e36800e46854db8ebd09181a7"
                          "2959098b3ef8c122d9635514ced565fe");

    memset(key, 0xaa, 131);
    (void) ngx_tccbs_hmac(out, key, 131, (u_char *) "Test Using Larger Than "
                          "Block-Size Key - Hash Key First", 54);
    digest("case 6, a long key", out, "60e431591ee0b67f0d8a26aacbf5b77f"
                                      "8e0bc6213728c5140546040f0ee37f54");

    /* keyed once, used often, in pieces; then with another key */

    memset(&mac, 0, sizeof(mac));
    pieces[0] = str("what do ya want ");
    pieces[1] = str("for nothing?");

    (void) ngx_tccbs_mac_key(&mac, key, 131);
    (void) ngx_tccbs_mac_key(&mac, (u_char *) "Jefe", 4);
    (void) ngx_tccbs_mac_sign(&mac, out, pieces, 1);
    (void) ngx_tccbs_mac_sign(&mac, out, pieces, 2);
    digest("keyed again, used twice", out, "5bdcc146bf60754e6a042426089575c7"
                                           "5a003f089d2739839dec58b964ec3843");
    ngx_tccbs_mac_free(&mac);
}


static void
test_hex(void)
{
    size_t       i;
    u_char       out[2];
    const char  *bad[] = { "0G", "g0", "A0", "0 ", "-1", "0x" };

    ok(ngx_tccbs_unhex(out, (u_char *) "00ff", 2) == NGX_OK
       && out[0] == 0 && out[1] == 0xff, "unhex");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(ngx_tccbs_unhex(out, (u_char *) bad[i], 1) == NGX_ERROR,
           "unhex refuses %s", bad[i]);
    }

    ok(ngx_tccbs_equal((u_char *) "abc", (u_char *) "abc", 3), "equal");
    ok(!ngx_tccbs_equal((u_char *) "abc", (u_char *) "abd", 3), "not equal");
    ok(!ngx_tccbs_equal((u_char *) "bbc", (u_char *) "abc", 3), "not equal");
}


static void
test_uuid(void)
{
    size_t  i, good;
    u_char  a[NGX_TCCBS_UUID_LEN], b[NGX_TCCBS_UUID_LEN];

    (void) ngx_tccbs_uuid(a);
    (void) ngx_tccbs_uuid(b);

    ok(memcmp(a, b, sizeof(a)) != 0, "two differ");

    for (i = 0, good = 1; i < sizeof(a); i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            good &= (a[i] == '-');

        } else {
            good &= (strchr("0123456789abcdef", a[i]) != NULL);
        }
    }

    ok(good, "shape");
    ok(a[14] == '4' && strchr("89ab", a[19]), "version and variant");
}


/* Whether what is given back to the system holds nothing any more. */

static size_t  unmapped, unwiped;

int
munmap(void *p, size_t len)
{
    size_t  i;

    /* without the guard pages */

    for (i = 4096; i + 4096 < len; i++) {
        unwiped += (((u_char *) p)[i] != 0);
    }

    unmapped += len;

    return syscall(SYS_munmap, p, len);
}


/* A flag of the mapping, as /proc shows it: "lo" locked, "dd" no dump. */

static int
has_flag(u_char *p, const char *flag)
{
    int             inside, found;
    FILE           *f;
    char            line[512];
    unsigned long   from, to;

    f = fopen("/proc/self/smaps", "r");
    inside = found = 0;

    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            inside = ((uintptr_t) p >= from && (uintptr_t) p < to);
        }

        if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = (strstr(line, flag) != NULL);
        }
    }

    if (f) {
        fclose(f);
    }

    return found;
}


static int
touches(volatile u_char *p)
{
    int    status;
    pid_t  pid;

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        *p = 1;
        _exit(0);
    }

    waitpid(pid, &status, 0);

    return status == 0;
}


static void
test_arena(void)
{
    int                 status;
    pid_t               pid;
    u_char             *a, *b, *big;
    ngx_pool_t         *pool;
    struct rlimit       limit;
    ngx_tccbs_arena_t  *arena;

    pool = ngx_create_pool(1024, NULL);
    arena = ngx_tccbs_arena_create(pool);

    a = ngx_tccbs_arena_alloc(arena, 5);
    b = ngx_tccbs_arena_alloc(arena, 40);
    big = ngx_tccbs_arena_alloc(arena, 200000);

    ok(a && b && big, "allocated");
    ok((uintptr_t) a % 16 == 0 && (uintptr_t) b % 16 == 0, "aligned");
    ok(b >= a + 5, "apart");

    memset(big, 1, 200000);
    memset(a, 1, 5);

    ok(touches(big), "used");
    ok(!touches(big + 200704), "guarded behind");
    ok(!touches(big - 1), "guarded before");

    ok(has_flag(a, " dd"), "not dumped");

#if (__SANITIZE_ADDRESS__)

    printf("# AddressSanitizer locks no memory\n");
    ngx_destroy_pool(pool);
    return;

#endif

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == -1
        || (geteuid() != 0 && limit.rlim_cur < 1048576))
    {
        printf("# RLIMIT_MEMLOCK is too low to look at locks\n");
        ngx_destroy_pool(pool);
        return;
    }

    ok(has_flag(a, " lo") && has_flag(big, " lo"), "locked");

    /* a child has to lock it again */

    fflush(stdout);
    pid = fork();

    if (pid == 0) {
        status = has_flag(a, " lo") ? 1 : 0;
        status |= (ngx_tccbs_arena_lock(arena) == NGX_OK) ? 0 : 2;
        status |= (has_flag(a, " lo") && has_flag(big, " lo")) ? 0 : 4;
        status |= has_flag(a, " dd") ? 0 : 8;
        _exit(status);
    }

    waitpid(pid, &status, 0);
    ok(status == 0, "locked in a child, status %x", status);

    ngx_tccbs_arena_wipe(arena);
    ok(a[0] == 0 && big[0] == 0 && big[199999] == 0, "wiped");

    memset(big, 1, 200000);
    memset(a, 1, 5);

    unmapped = 0;
    unwiped = 0;

    ngx_destroy_pool(pool);

    ok(unmapped >= 200000 && unwiped == 0, "wiped before it is given back");
}


int
main(void)
{
    u_char     out[NGX_TCCBS_SHA256_LEN];
    ngx_str_t  pieces[3];

    ok(ngx_tccbs_crypto_init() == NGX_OK, "init");
    ok(ngx_tccbs_crypto_init() == NGX_OK, "init again");

    pieces[0] = str("a");
    pieces[1] = str("");
    pieces[2] = str("bc");

    ok(ngx_tccbs_sha256(out, pieces, 3) == NGX_OK, "sha256");
    digest("sha256 of abc", out, "ba7816bf8f01cfea414140de5dae2223"
                                 "b00361a396177a9cb410ff61f20015ad");
    (void) ngx_tccbs_sha256(out, pieces + 1, 1);
    digest("sha256 of nothing", out, "e3b0c44298fc1c149afbf4c8996fb924"
                                     "27ae41e4649b934ca495991b7852b855");

    test_hmac();
    test_hex();
    test_uuid();
    test_arena();

    ngx_tccbs_crypto_done();

    return tap_done();
}
