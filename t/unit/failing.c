
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "calls.h"
#include "ngx_tccbs_call.h"
#include "ngx_tccbs_key.h"
#include "ngx_tccbs_tc3.h"
#include "tap.h"


/*
 * Each use of OpenSSL and each allocation fails, one after the other, and then
 * all from it on: nothing is taken for good of which that is not known.
 */

static int  armed, at, more, count;


static int
fails(void)
{
    int  n;

    if (!armed) {
        return 0;
    }

    n = count++;

    return n == at || (more && n > at);
}


failing(void *, ngx_palloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
failing(void *, ngx_pnalloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
failing(void *, ngx_pcalloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
failing(EVP_MD *, EVP_MD_fetch,
        (OSSL_LIB_CTX *c, const char *n, const char *p), (c, n, p), NULL)
failing(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)
failing(void *, mmap64, (void *p, size_t n, int prot, int how, int fd,
        off_t at), (p, n, prot, how, fd, at), MAP_FAILED)
failing(int, mprotect, (void *p, size_t n, int prot), (p, n, prot), -1)
openssl_calls(failing)


static ngx_pool_t               *pool;
static ngx_tccbs_mac_t           mac;
static ngx_tccbs_tc3_auth_t      auth;
static ngx_tccbs_tc3_header_t    headers[2];
static ngx_tccbs_tc3_request_t   req;
static ngx_str_t                 date, service, secret, id;
static ngx_str_t                 names[2], alias[1];


/* What gives "want" gives NGX_ERROR when something fails, and nothing else. */

static void
torture(const char *name, ngx_int_t (*run)(void), ngx_int_t want)
{
    int        bad, tried;
    ngx_int_t  rc;

    bad = 0;
    tried = 0;

    for (more = 0; more < 2; more++) {
        for (at = 0; /* void */ ; at++) {

            count = 0;
            armed = 1;
            rc = run();
            armed = 0;

            if (count <= at) {
                break;
            }

            tried++;
            bad += (rc != NGX_ERROR);
        }

        bad += (rc != want);
    }

    ok(bad == 0 && tried > 1, "%s: %d failures", name, tried);
    ok(run() == want, "%s: and then it goes on", name);
}


static ngx_int_t
init(void)
{
    ngx_tccbs_crypto_done();

    return ngx_tccbs_crypto_init();
}


/* memory for secrets, its second piece as well */

static ngx_int_t
arena(void)
{
    size_t              i;
    u_char             *p;
    ngx_int_t           rc;
    ngx_pool_t         *own;
    ngx_tccbs_arena_t  *a;

    own = ngx_create_pool(1024, NULL);
    a = ngx_tccbs_arena_create(own);
    rc = a ? NGX_OK : NGX_ERROR;

    for (i = 0; rc == NGX_OK && i < 2; i++) {
        p = ngx_tccbs_arena_alloc(a, 100000);

        if (p) {
            memset(p, 'x', 100000);

        } else {
            rc = NGX_ERROR;
        }
    }

    ngx_destroy_pool(own);

    return rc;
}


/* Of the whole process, see proc(5). */

static long
pages(void)
{
    long   n;
    FILE  *fp;

    fp = fopen("/proc/self/statm", "r");

    if (fp == NULL || fscanf(fp, "%ld", &n) != 1) {
        n = -1;
    }

    if (fp) {
        fclose(fp);
    }

    return n;
}


static void
test_arena(void)
{
    long  before;

    (void) arena();

    before = pages();
    torture("memory for secrets", arena, NGX_OK);

#if (__SANITIZE_ADDRESS__)

    printf("# AddressSanitizer keeps memory for itself, %ld pages\n",
           pages() - before);

#else

    ok(pages() == before, "of which nothing stays");

#endif
}


static ngx_int_t
day_key(void)
{
    u_char  key[NGX_TCCBS_SHA256_LEN];

    return ngx_tccbs_tc3_day_key(key, &secret, &date, &service);
}


static ngx_int_t
mac_key(void)
{
    ngx_int_t        rc;
    ngx_tccbs_mac_t  m;

    memset(&m, 0, sizeof(ngx_tccbs_mac_t));

    rc = ngx_tccbs_mac_key(&m, secret.data, secret.len);

    ngx_tccbs_mac_free(&m);

    return rc;
}


/* more than a block, of which the hash is taken */

static ngx_int_t
long_key(void)
{
    u_char  key[100], digest[NGX_TCCBS_SHA256_LEN];

    memset(key, 'x', sizeof(key));

    return ngx_tccbs_hmac(digest, key, sizeof(key), key, 1);
}


static ngx_int_t
derive(void)
{
    size_t     i, written;
    ngx_int_t  rc;
    u_char     key[NGX_TCCBS_KEY_DERIVED];

    memset(key, '-', sizeof(key));

    rc = ngx_tccbs_key_derive(key, &secret, &id);

    for (i = 0, written = 0; i < sizeof(key); i++) {
        written += (key[i] != '-');
    }

    /* half a secret would be one that can be guessed */

    return (written == ((rc == NGX_OK) ? sizeof(key) : 0)) ? rc : NGX_ABORT;
}


static ngx_int_t
sign(void)
{
    u_char  signature[NGX_TCCBS_SHA256_LEN];

    return ngx_tccbs_tc3_sign(&mac, signature, &req, &date, &service, names, 2,
                              pool);
}


static ngx_int_t
verify(void)
{
    return ngx_tccbs_tc3_verify(&mac, &auth, &req, alias, 1, pool);
}


static ngx_int_t
authorize(void)
{
    ngx_str_t             authorization;
    ngx_tccbs_tc3_post_t  post;

    post.key_id = id;
    post.date = date;
    post.service = service;
    post.timestamp = req.timestamp;
    post.host = headers[1].value;
    post.action = str("CopySnapshotCrossRegions");
    post.body = str("{}");

    return ngx_tccbs_tc3_authorize(&mac, &post, &authorization, pool);
}


/* the stock of random bytes is empty in a new process */

static ngx_int_t
uuid(void)
{
    u_char  text[NGX_TCCBS_UUID_LEN];

    ngx_pid++;

    return ngx_tccbs_uuid(text);
}


static ngx_int_t
parse(ngx_tccbs_action_e action, const char *text)
{
    ngx_int_t          rc;
    ngx_str_t          body, tag;
    ngx_tccbs_call_t   call;
    ngx_tccbs_error_t  error;

    memset(&call, 0, sizeof(ngx_tccbs_call_t));

    call.action = action;
    call.from = str("ap-guangzhou");
    body = str(text);
    tag = str("01234567-89ab-4def-8000-000000000000");

    rc = ngx_tccbs_call_parse(&call, pool, &body, &error);

    return (rc == NGX_OK && action == NGX_TCCBS_COPY)
           ? ngx_tccbs_call_tag(&call, pool, &tag) : rc;
}


static ngx_int_t
copy(void)
{
    return parse(NGX_TCCBS_COPY, "{\"SnapshotId\":\"snap-abcd\","
                 "\"DestinationRegions\":[\"ap-beijing\"]}");
}


static ngx_int_t
look(void)
{
    return parse(NGX_TCCBS_DESCRIBE, "{\"Filters\":[{\"Name\":\"zone\","
                 "\"Values\":[\"a\"]}],\"Limit\":1}");
}


static ngx_int_t
unknown(void)
{
    return parse(NGX_TCCBS_COPY, "{\"Other\":1}");
}


static ngx_int_t
reply(void)
{
    ngx_str_t          body, to;
    ngx_tccbs_call_t   call;
    ngx_tccbs_reply_t  r;

    memset(&call, 0, sizeof(ngx_tccbs_call_t));

    to = str("ap-beijing");
    call.to = &to;
    call.nto = 1;

    body = str("{\"Response\":{\"RequestId\":\"r\",\"SnapshotCopyResultSet\":["
               "{\"Code\":\"Success\",\"DestinationRegion\":\"ap-beijing\","
               "\"SnapshotId\":\"snap-new1\"}]}}");

    return ngx_tccbs_reply_parse(&r, pool, &call, 200, &body);
}


static void
set_up(void)
{
    u_char  key[NGX_TCCBS_SHA256_LEN];

    date = str("2026-01-01");
    service = str("cbs");
    secret = str("0123456789abcdef0123456789abcdef");
    id = str("AKIDgwfailing");
    names[0] = str("content-type");
    names[1] = str("host");
    alias[0] = str("alias.example");

    headers[0].name = names[0];
    headers[0].value = str("application/JSON");
    headers[1].name = names[1];
    headers[1].value = str("Cbs.example:443");

    req.method = str("POST");
    req.uri = str("/");
    req.headers = headers;
    req.nheaders = 2;
    req.timestamp = str("1767225600");
    req.payload = str("{}");

    auth.date = date;
    auth.service = service;
    auth.names[0] = names[0];
    auth.names[1] = names[1];
    auth.nnames = 2;

    (void) ngx_tccbs_tc3_day_key(key, &secret, &date, &service);
    (void) ngx_tccbs_mac_key(&mac, key, sizeof(key));
}


static void
test_signatures(void)
{
    ngx_str_t  sent;

    torture("signing", sign, NGX_OK);

    (void) ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &date, &service,
                              names, 2, pool);
    torture("a good signature", verify, NGX_OK);

    /* the last one that is tried */

    sent = headers[1].value;
    headers[1].value = alias[0];
    (void) ngx_tccbs_tc3_sign(&mac, auth.signature, &req, &date, &service,
                              names, 2, pool);
    headers[1].value = sent;
    torture("one of another host", verify, NGX_OK);

    auth.signature[0] ^= 1;
    torture("a bad signature", verify, NGX_DECLINED);
}


int
main(void)
{
    pool = ngx_create_pool(1024, NULL);

    torture("the handles", init, NGX_OK);

    set_up();

    test_arena();

    torture("a day key", day_key, NGX_OK);
    torture("the key of a MAC", mac_key, NGX_OK);
    torture("a long key", long_key, NGX_OK);
    torture("a derived key", derive, NGX_OK);
    torture("an id", uuid, NGX_OK);
    test_signatures();
    torture("what is sent", authorize, NGX_OK);
    torture("a copy", copy, NGX_OK);
    torture("a look", look, NGX_OK);
    torture("what is not known", unknown, NGX_DECLINED);
    torture("an answer", reply, NGX_OK);

    ngx_tccbs_mac_free(&mac);
    ngx_tccbs_crypto_done();
    ngx_destroy_pool(pool);

    return tap_done();
}
