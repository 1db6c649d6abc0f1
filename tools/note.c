
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "note.h"

#include <openssl/evp.h>


#define TCCBS_NOTE_ORIGIN   "tccbs-audit/"
#define TCCBS_NOTE_PRIVATE  "PRIVATE+KEY+"
#define TCCBS_NOTE_ED25519  0x01


static ngx_int_t tccbs_note_public(tccbs_note_key_t *key);
static void tccbs_note_id(tccbs_note_key_t *key);
static ngx_int_t tccbs_note_decode(const char *text, size_t len, u_char *dst,
    size_t size);


ngx_int_t
tccbs_note_generate(const char *name, char *signer, char *verifier,
    size_t size)
{
    tccbs_note_key_t  key;
    u_char            raw[33];
    char              text[64];

    ngx_memzero(&key, sizeof(key));

    if (strlen(name) > TCCBS_NOTE_NAME || strpbrk(name, " +\n\t")
        || name[0] == '\0')
    {
        return NGX_DECLINED;
    }

    strcpy(key.name, name);

    if (ngx_tccbs_random(key.seed, sizeof(key.seed)) != NGX_OK
        || tccbs_note_public(&key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    tccbs_note_id(&key);

    raw[0] = TCCBS_NOTE_ED25519;
    ngx_memcpy(raw + 1, key.pub, 32);
    (void) EVP_EncodeBlock((u_char *) text, raw, sizeof(raw));

    snprintf(verifier, size, "%s+%02x%02x%02x%02x+%s", name, key.id[0],
             key.id[1], key.id[2], key.id[3], text);

    ngx_memcpy(raw + 1, key.seed, 32);
    (void) EVP_EncodeBlock((u_char *) text, raw, sizeof(raw));

    snprintf(signer, size, TCCBS_NOTE_PRIVATE "%s+%02x%02x%02x%02x+%s", name,
             key.id[0], key.id[1], key.id[2], key.id[3], text);

    ngx_tccbs_wipe(raw, sizeof(raw));
    ngx_tccbs_wipe(text, sizeof(text));
    ngx_tccbs_wipe(&key, sizeof(key));

    return NGX_OK;
}


static ngx_int_t
tccbs_note_public(tccbs_note_key_t *key)
{
    size_t     len;
    ngx_int_t  rc;
    EVP_PKEY  *pkey;

    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed,
                                        sizeof(key->seed));
    len = sizeof(key->pub);

    rc = (pkey && EVP_PKEY_get_raw_public_key(pkey, key->pub, &len) == 1)
         ? NGX_OK : NGX_ERROR;

    EVP_PKEY_free(pkey);

    return rc;
}


/* The first four bytes of SHA-256 of the name, a newline and the key. */

static void
tccbs_note_id(tccbs_note_key_t *key)
{
    ngx_str_t  pieces[3];
    u_char     type = TCCBS_NOTE_ED25519;
    u_char     hash[NGX_TCCBS_SHA256_LEN];
    char       name[TCCBS_NOTE_NAME + 2];

    pieces[0].len = snprintf(name, sizeof(name), "%s\n", key->name);
    pieces[0].data = (u_char *) name;
    pieces[1].data = &type;
    pieces[1].len = 1;
    pieces[2].data = key->pub;
    pieces[2].len = sizeof(key->pub);

    (void) ngx_tccbs_sha256(hash, pieces, 3);

    ngx_memcpy(key->id, hash, sizeof(key->id));
}


static ngx_int_t
tccbs_note_decode(const char *text, size_t len, u_char *dst, size_t size)
{
    int      n, pad;
    u_char   raw[256];

    if (len % 4 || len == 0 || len > 4 * sizeof(raw) / 3) {
        return NGX_DECLINED;
    }

    n = EVP_DecodeBlock(raw, (const u_char *) text, len);
    pad = (text[len - 1] == '=') + (text[len - 2] == '=');

    if (n == -1 || (size_t) (n - pad) != size) {
        return NGX_DECLINED;
    }

    ngx_memcpy(dst, raw, size);
    ngx_tccbs_wipe(raw, sizeof(raw));

    return NGX_OK;
}


ngx_int_t
tccbs_note_key(const char *text, tccbs_note_key_t *key)
{
    size_t       len, private;
    const char  *id, *end;
    u_char       raw[33];
    u_char       said[4], hex[8];

    ngx_memzero(key, sizeof(tccbs_note_key_t));

    private = sizeof(TCCBS_NOTE_PRIVATE) - 1;

    if (strncmp(text, TCCBS_NOTE_PRIVATE, private) == 0) {
        text += private;

    } else {
        private = 0;
    }

    id = strchr(text, '+');

    if (id == NULL || id == text || id - text > TCCBS_NOTE_NAME) {
        return NGX_DECLINED;
    }

    ngx_memcpy(key->name, text, id - text);

    for (end = ++id; *end && *end != '\n' && *end != '\r'; end++) { /* void */ }

    len = end - id;

    if (len < 10 || id[8] != '+') {
        return NGX_DECLINED;
    }

    ngx_memcpy(hex, id, 8);

    if (ngx_tccbs_unhex(said, hex, 4) != NGX_OK
        || tccbs_note_decode(id + 9, len - 9, raw, sizeof(raw)) != NGX_OK
        || raw[0] != TCCBS_NOTE_ED25519)
    {
        return NGX_DECLINED;
    }

    if (private) {
        ngx_memcpy(key->seed, raw + 1, sizeof(key->seed));

        if (tccbs_note_public(key) != NGX_OK) {
            return NGX_DECLINED;
        }

    } else {
        ngx_memcpy(key->pub, raw + 1, sizeof(key->pub));
    }

    tccbs_note_id(key);

    return ngx_memcmp(said, key->id, 4) == 0 ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
tccbs_note_write(const tccbs_note_key_t *key,
    const tccbs_checkpoint_t *checkpoint, char *note, size_t size)
{
    size_t       len, text, n;
    ngx_int_t    rc;
    EVP_PKEY    *pkey;
    EVP_MD_CTX  *md;
    u_char       sig[4 + TCCBS_NOTE_SIG];
    char         root[64], code[128];

    (void) EVP_EncodeBlock((u_char *) root, checkpoint->root,
                           sizeof(checkpoint->root));

    text = snprintf(note, size, TCCBS_NOTE_ORIGIN "%s\n%llu\n%s\n",
                    checkpoint->segment, (unsigned long long) checkpoint->size,
                    root);

    ngx_memcpy(sig, key->id, 4);
    n = TCCBS_NOTE_SIG;

    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->seed,
                                        sizeof(key->seed));
    md = EVP_MD_CTX_new();

    rc = (pkey && md && EVP_DigestSignInit(md, NULL, NULL, NULL, pkey) == 1
          && EVP_DigestSign(md, sig + 4, &n, (u_char *) note, text) == 1)
         ? NGX_OK : NGX_ERROR;

    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pkey);

    if (rc != NGX_OK) {
        return rc;
    }

    (void) EVP_EncodeBlock((u_char *) code, sig, sizeof(sig));

    len = snprintf(note + text, size - text, "\n\xe2\x80\x94 %s %s\n",
                   key->name, code);

    return (text + len < size) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
tccbs_note_read(const tccbs_note_key_t *key, const char *note,
    tccbs_checkpoint_t *checkpoint)
{
    int                  end;
    size_t               text;
    ngx_int_t            rc;
    const char          *p;
    EVP_PKEY            *pkey;
    EVP_MD_CTX          *md;
    unsigned long long   n;
    u_char               sig[4 + TCCBS_NOTE_SIG];
    char                 root[64], code[128], name[TCCBS_NOTE_NAME + 1];

    p = strstr(note, "\n\n");
    if (p == NULL) {
        return NGX_DECLINED;
    }

    text = p + 1 - note;
    end = 0;

    if (sscanf(note, TCCBS_NOTE_ORIGIN "%16[0-9a-f]\n%llu\n%63s%n",
               checkpoint->segment, &n, root, &end)
        != 3
        || (size_t) end + 1 != text
        || tccbs_note_decode(root, strlen(root), checkpoint->root,
                             sizeof(checkpoint->root))
           != NGX_OK
        || sscanf(p + 2, "\xe2\x80\x94 %64s %127s", name, code) != 2
        || strcmp(name, key->name) != 0
        || tccbs_note_decode(code, strlen(code), sig, sizeof(sig)) != NGX_OK
        || ngx_memcmp(sig, key->id, 4) != 0)
    {
        return NGX_DECLINED;
    }

    checkpoint->size = n;

    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->pub,
                                       sizeof(key->pub));
    md = EVP_MD_CTX_new();

    rc = (pkey && md && EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) == 1
          && EVP_DigestVerify(md, sig + 4, TCCBS_NOTE_SIG,
                              (const u_char *) note, text)
             == 1)
         ? NGX_OK : NGX_DECLINED;

    EVP_MD_CTX_free(md);
    EVP_PKEY_free(pkey);

    return rc;
}


ngx_int_t
tccbs_note_root(const tccbs_log_t *log, uint64_t n,
    u_char root[NGX_TCCBS_SHA256_LEN])
{
    u_char     *p;
    uint64_t    i, k;
    ngx_str_t   pieces[3], line;
    ngx_uint_t  depth;
    u_char      zero = 0, one = 1;
    u_char      stack[64][NGX_TCCBS_SHA256_LEN];

    p = log->start;
    depth = 0;

    pieces[0].len = 1;
    pieces[1].len = NGX_TCCBS_SHA256_LEN;
    pieces[2].len = NGX_TCCBS_SHA256_LEN;

    for (i = 0; i <= n; i++) {

        if (i < n) {

            if (tccbs_log_line(log, &p, &line) != NGX_OK) {
                return NGX_DECLINED;
            }

            pieces[0].data = &zero;
            pieces[1] = line;

            (void) ngx_tccbs_sha256(stack[depth++], pieces, 2);

            pieces[1].len = NGX_TCCBS_SHA256_LEN;
        }

        pieces[0].data = &one;

        /* whole subtrees at once, what is left of them in the end */

        for (k = i + 1; depth > 1 && (i == n || k % 2 == 0); k /= 2) {
            pieces[1].data = stack[depth - 2];
            pieces[2].data = stack[depth - 1];

            (void) ngx_tccbs_sha256(stack[depth - 2], pieces, 3);
            depth--;
        }
    }

    if (n == 0) {
        pieces[0].len = 0;
        (void) ngx_tccbs_sha256(stack[0], pieces, 1);
    }

    ngx_memcpy(root, stack[0], NGX_TCCBS_SHA256_LEN);

    return NGX_OK;
}


uint64_t
tccbs_note_lines(const tccbs_log_t *log)
{
    u_char     *p;
    uint64_t    n;
    ngx_str_t   line;

    p = log->start;

    for (n = 0; tccbs_log_line(log, &p, &line) == NGX_OK; n++) { /* void */ }

    return n;
}
