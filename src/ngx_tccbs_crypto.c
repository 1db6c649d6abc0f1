
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include "ngx_tccbs_crypto.h"


#define NGX_TCCBS_SHA256_BLOCK  64
#define NGX_TCCBS_UUID_STOCK    64
#define NGX_TCCBS_ARENA_CHUNK   65536
#define NGX_TCCBS_ARENA_PAGE    4096


typedef struct ngx_tccbs_chunk_s  ngx_tccbs_chunk_t;

struct ngx_tccbs_chunk_s {
    ngx_tccbs_chunk_t  *next;
    u_char             *data;                 /* between two guard pages */
    size_t              size;                 /* without them */
    size_t              used;
};

struct ngx_tccbs_arena_s {
    ngx_pool_t         *pool;
    ngx_tccbs_chunk_t  *chunks;
};


static ngx_int_t ngx_tccbs_absorb(EVP_MD_CTX *ctx, const ngx_str_t *pieces,
    ngx_uint_t n);
static ngx_tccbs_chunk_t *ngx_tccbs_arena_chunk(ngx_tccbs_arena_t *arena,
    size_t size);
static void ngx_tccbs_arena_cleanup(void *data);


/* one set per process: the event loop is the only user */

static EVP_MD      *ngx_tccbs_md;
static EVP_MD_CTX  *ngx_tccbs_md_ctx;


ngx_int_t
ngx_tccbs_crypto_init(void)
{
    if (ngx_tccbs_md) {
        return NGX_OK;
    }

    ngx_tccbs_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    ngx_tccbs_md_ctx = EVP_MD_CTX_new();

    if (ngx_tccbs_md == NULL || ngx_tccbs_md_ctx == NULL) {
        ngx_tccbs_crypto_done();
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_tccbs_crypto_done(void)
{
    EVP_MD_CTX_free(ngx_tccbs_md_ctx);
    EVP_MD_free(ngx_tccbs_md);

    ngx_tccbs_md_ctx = NULL;
    ngx_tccbs_md = NULL;
}


ngx_int_t
ngx_tccbs_sha256(u_char digest[NGX_TCCBS_SHA256_LEN], const ngx_str_t *pieces,
    ngx_uint_t n)
{
    if (EVP_DigestInit_ex2(ngx_tccbs_md_ctx, ngx_tccbs_md, NULL) != 1
        || ngx_tccbs_absorb(ngx_tccbs_md_ctx, pieces, n) != NGX_OK
        || EVP_DigestFinal_ex(ngx_tccbs_md_ctx, digest, NULL) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_absorb(EVP_MD_CTX *ctx, const ngx_str_t *pieces, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (pieces[i].len
            && EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) != 1)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_mac_key(ngx_tccbs_mac_t *mac, const u_char *key, size_t len)
{
    ngx_int_t   rc;
    ngx_str_t   piece;
    ngx_uint_t  i;
    u_char      block[NGX_TCCBS_SHA256_BLOCK];

    if (mac->inner == NULL) {
        mac->inner = EVP_MD_CTX_new();
        mac->outer = EVP_MD_CTX_new();

        if (mac->inner == NULL || mac->outer == NULL) {
            ngx_tccbs_mac_free(mac);
            return NGX_ERROR;
        }
    }

    ngx_memzero(block, sizeof(block));

    if (len > sizeof(block)) {
        piece.data = (u_char *) key;
        piece.len = len;

        if (ngx_tccbs_sha256(block, &piece, 1) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        ngx_memcpy(block, key, len);
    }

    rc = NGX_ERROR;

    for (i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36;
    }

    if (EVP_DigestInit_ex2(mac->inner, ngx_tccbs_md, NULL) != 1
        || EVP_DigestUpdate(mac->inner, block, sizeof(block)) != 1)
    {
        goto done;
    }

    for (i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }

    if (EVP_DigestInit_ex2(mac->outer, ngx_tccbs_md, NULL) != 1
        || EVP_DigestUpdate(mac->outer, block, sizeof(block)) != 1)
    {
        goto done;
    }

    rc = NGX_OK;

done:

    ngx_tccbs_wipe(block, sizeof(block));

    return rc;
}


ngx_int_t
ngx_tccbs_mac_sign(ngx_tccbs_mac_t *mac, u_char digest[NGX_TCCBS_SHA256_LEN],
    const ngx_str_t *pieces, ngx_uint_t n)
{
    u_char  inner[NGX_TCCBS_SHA256_LEN];

    if (EVP_MD_CTX_copy_ex(ngx_tccbs_md_ctx, mac->inner) != 1
        || ngx_tccbs_absorb(ngx_tccbs_md_ctx, pieces, n) != NGX_OK
        || EVP_DigestFinal_ex(ngx_tccbs_md_ctx, inner, NULL) != 1
        || EVP_MD_CTX_copy_ex(ngx_tccbs_md_ctx, mac->outer) != 1
        || EVP_DigestUpdate(ngx_tccbs_md_ctx, inner, sizeof(inner)) != 1
        || EVP_DigestFinal_ex(ngx_tccbs_md_ctx, digest, NULL) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_tccbs_mac_free(ngx_tccbs_mac_t *mac)
{
    EVP_MD_CTX_free(mac->inner);
    EVP_MD_CTX_free(mac->outer);

    mac->inner = NULL;
    mac->outer = NULL;
}


ngx_int_t
ngx_tccbs_hmac(u_char digest[NGX_TCCBS_SHA256_LEN], const u_char *key,
    size_t key_len, const u_char *data, size_t len)
{
    ngx_int_t        rc;
    ngx_str_t        piece;
    ngx_tccbs_mac_t  mac;

    ngx_memzero(&mac, sizeof(ngx_tccbs_mac_t));

    piece.data = (u_char *) data;
    piece.len = len;

    rc = ngx_tccbs_mac_key(&mac, key, key_len);

    if (rc == NGX_OK) {
        rc = ngx_tccbs_mac_sign(&mac, digest, &piece, 1);
    }

    ngx_tccbs_mac_free(&mac);

    return rc;
}


ngx_uint_t
ngx_tccbs_equal(const u_char *a, const u_char *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}


/* A nibble to each byte of a word, then all become digits. */

static ngx_inline uint64_t
ngx_tccbs_hex_digits(uint32_t four)
{
    uint64_t  w, letters;

    w = four;
    w = (w | w << 16) & 0x0000ffff0000ffffULL;
    w = (w | w << 8) & 0x00ff00ff00ff00ffULL;

#if (NGX_HAVE_LITTLE_ENDIAN)
    w = (w >> 4 | w << 8) & 0x0f0f0f0f0f0f0f0fULL;
#else
    w = (w << 4 | w) & 0x0f0f0f0f0f0f0f0fULL;
#endif

    letters = (w + 0x0606060606060606ULL) >> 4 & 0x0101010101010101ULL;

    return w + 0x3030303030303030ULL + letters * ('a' - '0' - 10);
}


u_char *
ngx_tccbs_hex(u_char *dst, const u_char *src, size_t len)
{
    uint32_t  four;
    uint64_t  digits;

    static const u_char  hex[] = "0123456789abcdef";

    /* four bytes at once: most of what is written are digests */

    for ( /* void */ ; len >= 4; len -= 4) {
        ngx_memcpy(&four, src, 4);

        digits = ngx_tccbs_hex_digits(four);
        dst = ngx_cpymem(dst, &digits, 8);
        src += 4;
    }

    while (len--) {
        *dst++ = hex[*src >> 4];
        *dst++ = hex[*src++ & 0xf];
    }

    return dst;
}


ngx_int_t
ngx_tccbs_unhex(u_char *dst, const u_char *src, size_t len)
{
    u_char      c, n;
    ngx_uint_t  i;

    while (len--) {

        n = 0;

        for (i = 0; i < 2; i++) {
            c = *src++;

            if (c >= '0' && c <= '9') {
                n = (u_char) (n << 4 | (c - '0'));

            } else if (c >= 'a' && c <= 'f') {
                n = (u_char) (n << 4 | (c - 'a' + 10));

            } else {
                return NGX_ERROR;
            }
        }

        *dst++ = n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_random(u_char *buf, size_t len)
{
    return (RAND_bytes(buf, (int) len) == 1) ? NGX_OK : NGX_ERROR;
}


/*
 * The generator asks the kernel who it is each time, so that many ids are made
 * of one request to it.  A child must not make those of its parent again.
 */

ngx_int_t
ngx_tccbs_uuid(u_char dst[NGX_TCCBS_UUID_LEN])
{
    u_char           *p, *b;

    static u_char     stock[NGX_TCCBS_UUID_STOCK * 16];
    static size_t     left;
    static ngx_pid_t  owner;

    if (left == 0 || owner != ngx_pid) {

        left = 0;

        if (ngx_tccbs_random(stock, sizeof(stock)) != NGX_OK) {
            return NGX_ERROR;
        }

        left = NGX_TCCBS_UUID_STOCK;
        owner = ngx_pid;
    }

    b = &stock[--left * 16];

    b[6] = (u_char) ((b[6] & 0x0f) | 0x40);
    b[8] = (u_char) ((b[8] & 0x3f) | 0x80);

    p = ngx_tccbs_hex(dst, b, 4);
    *p++ = '-';
    p = ngx_tccbs_hex(p, b + 4, 2);
    *p++ = '-';
    p = ngx_tccbs_hex(p, b + 6, 2);
    *p++ = '-';
    p = ngx_tccbs_hex(p, b + 8, 2);
    *p++ = '-';
    (void) ngx_tccbs_hex(p, b + 10, 6);

    return NGX_OK;
}


void
ngx_tccbs_wipe(void *p, size_t len)
{
    if (len) {
        ngx_explicit_memzero(p, len);
    }
}


ngx_tccbs_arena_t *
ngx_tccbs_arena_create(ngx_pool_t *pool)
{
    ngx_tccbs_arena_t   *arena;
    ngx_pool_cleanup_t  *cln;

    arena = ngx_pcalloc(pool, sizeof(ngx_tccbs_arena_t));
    if (arena == NULL) {
        return NULL;
    }

    arena->pool = pool;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_tccbs_arena_cleanup;
    cln->data = arena;

    return arena;
}


u_char *
ngx_tccbs_arena_alloc(ngx_tccbs_arena_t *arena, size_t size)
{
    u_char             *p;
    ngx_tccbs_chunk_t  *chunk;

    size = (size + 15) & ~(size_t) 15;
    chunk = arena->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        chunk = ngx_tccbs_arena_chunk(arena, size);
        if (chunk == NULL) {
            return NULL;
        }
    }

    p = chunk->data + chunk->used;
    chunk->used += size;

    return p;
}


static ngx_tccbs_chunk_t *
ngx_tccbs_arena_chunk(ngx_tccbs_arena_t *arena, size_t size)
{
    u_char             *map;
    ngx_tccbs_chunk_t  *chunk;

    chunk = ngx_pcalloc(arena->pool, sizeof(ngx_tccbs_chunk_t));
    if (chunk == NULL) {
        return NULL;
    }

    size = (size + NGX_TCCBS_ARENA_PAGE - 1) & ~(size_t) (NGX_TCCBS_ARENA_PAGE
                                                          - 1);
    chunk->size = (size > NGX_TCCBS_ARENA_CHUNK) ? size
                                                 : NGX_TCCBS_ARENA_CHUNK;

    map = mmap(NULL, chunk->size + 2 * NGX_TCCBS_ARENA_PAGE, PROT_NONE,
               MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED) {
        return NULL;
    }

    chunk->data = map + NGX_TCCBS_ARENA_PAGE;

    if (mprotect(chunk->data, chunk->size, PROT_READ|PROT_WRITE) == -1) {
        (void) munmap(map, chunk->size + 2 * NGX_TCCBS_ARENA_PAGE);
        return NULL;
    }

    /* as far as the limits of the process allow: nothing depends on these */

    (void) mlock(chunk->data, chunk->size);
    (void) madvise(chunk->data, chunk->size, MADV_DONTDUMP);

    chunk->next = arena->chunks;
    arena->chunks = chunk;

    return chunk;
}


ngx_int_t
ngx_tccbs_arena_lock(ngx_tccbs_arena_t *arena)
{
    ngx_int_t           rc;
    ngx_tccbs_chunk_t  *chunk;

    rc = NGX_OK;

    for (chunk = arena->chunks; chunk; chunk = chunk->next) {
        if (mlock(chunk->data, chunk->size) == -1) {
            rc = NGX_DECLINED;
        }
    }

    return rc;
}


void
ngx_tccbs_arena_wipe(ngx_tccbs_arena_t *arena)
{
    ngx_tccbs_chunk_t  *chunk;

    for (chunk = arena->chunks; chunk; chunk = chunk->next) {
        ngx_tccbs_wipe(chunk->data, chunk->size);
    }
}


void
ngx_tccbs_arena_drop(ngx_tccbs_arena_t *arena)
{
    ngx_tccbs_chunk_t  *chunk;

    for (chunk = arena->chunks; chunk; chunk = chunk->next) {
        (void) munmap(chunk->data - NGX_TCCBS_ARENA_PAGE,
                      chunk->size + 2 * NGX_TCCBS_ARENA_PAGE);
    }

    arena->chunks = NULL;
}


static void
ngx_tccbs_arena_cleanup(void *data)
{
    ngx_tccbs_arena_t *arena = data;

    ngx_tccbs_arena_wipe(arena);
    ngx_tccbs_arena_drop(arena);
}
