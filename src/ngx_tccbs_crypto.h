
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_CRYPTO_H_INCLUDED_
#define _NGX_TCCBS_CRYPTO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_TCCBS_SHA256_LEN  32
#define NGX_TCCBS_HEX_LEN     64
#define NGX_TCCBS_UUID_LEN    36


/*
 * A keyed HMAC-SHA256: the states after the inner and the outer pad, so that
 * one more message costs two finalisations and no key schedule.
 */

typedef struct {
    void              *inner;
    void              *outer;
} ngx_tccbs_mac_t;


typedef struct ngx_tccbs_arena_s  ngx_tccbs_arena_t;


/*
 * Fetches the OpenSSL algorithms once per process.  To be called before any
 * other function of this file; calling it again is harmless.
 * Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_tccbs_crypto_init(void);
void ngx_tccbs_crypto_done(void);

/* SHA-256 (FIPS 180-4) of "n" consecutive pieces.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_tccbs_sha256(u_char digest[NGX_TCCBS_SHA256_LEN],
    const ngx_str_t *pieces, ngx_uint_t n);

/*
 * HMAC-SHA256 (RFC 2104).  A mac must be zeroed before its first key; a second
 * ngx_tccbs_mac_key() replaces the key and reuses the contexts.
 */
ngx_int_t ngx_tccbs_mac_key(ngx_tccbs_mac_t *mac, const u_char *key,
    size_t len);
ngx_int_t ngx_tccbs_mac_sign(ngx_tccbs_mac_t *mac,
    u_char digest[NGX_TCCBS_SHA256_LEN], const ngx_str_t *pieces,
    ngx_uint_t n);
void ngx_tccbs_mac_free(ngx_tccbs_mac_t *mac);

/* One HMAC-SHA256 with a key that is used once.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_tccbs_hmac(u_char digest[NGX_TCCBS_SHA256_LEN],
    const u_char *key, size_t key_len, const u_char *data, size_t len);

/* Compares in a time that depends on "len" only.  1 when equal. */
ngx_uint_t ngx_tccbs_equal(const u_char *a, const u_char *b, size_t len);

/* Lower-case hexadecimal; "dst" has room for 2 * len bytes, no terminator. */
u_char *ngx_tccbs_hex(u_char *dst, const u_char *src, size_t len);

/* Strict: exactly 2 * len lower-case digits.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_tccbs_unhex(u_char *dst, const u_char *src, size_t len);

ngx_int_t ngx_tccbs_random(u_char *buf, size_t len);

/* A random UUID (RFC 9562 version 4), lower case, no terminator. */
ngx_int_t ngx_tccbs_uuid(u_char dst[NGX_TCCBS_UUID_LEN]);

/* Overwrites memory in a way that the compiler may not remove. */
void ngx_tccbs_wipe(void *p, size_t len);

/*
 * Memory for secrets: whole pages outside of the heap, between two that nobody
 * may touch, locked as far as RLIMIT_MEMLOCK allows, left out of core dumps,
 * wiped when "pool" goes.  ngx_tccbs_arena_alloc() returns NULL when no memory
 * is left.
 */
ngx_tccbs_arena_t *ngx_tccbs_arena_create(ngx_pool_t *pool);
u_char *ngx_tccbs_arena_alloc(ngx_tccbs_arena_t *arena, size_t size);

/*
 * A lock is not inherited: to be called after each fork().  NGX_OK, or
 * NGX_DECLINED with errno when a part of it is not locked.
 */
ngx_int_t ngx_tccbs_arena_lock(ngx_tccbs_arena_t *arena);

/* Overwrites all of it, for a process that needs no secrets. */
void ngx_tccbs_arena_wipe(ngx_tccbs_arena_t *arena);

/* Takes it out of this process, for one that must not know. */
void ngx_tccbs_arena_drop(ngx_tccbs_arena_t *arena);


#endif /* _NGX_TCCBS_CRYPTO_H_INCLUDED_ */
