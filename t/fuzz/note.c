
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "fuzz.h"
#include "note.h"


/*
 * "K...": the text of a key; "N...": the text of a note; otherwise a
 * checkpoint is made of the input, signed and read, and no more read after a
 * change to what is signed.
 */

#define SEED  "note-seed-of-the-fuzz-target-000"


static char *text_of(fuzz_t *f, ngx_pool_t *pool);
static void made(fuzz_t *f);


static tccbs_note_key_t  key;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    /* the public key and the id of that seed, as "tccbs audit key" has them */

    static const char  text[] =
                                "PRIVATE+KEY+fuzz.example+%s+"
                                "AW5vdGUtc2VlZC1vZi10aGUtZnV6ei10YXJnZXQtMDAw";
    char  line[128], id[9];

    must(ngx_tccbs_crypto_init() == NGX_OK);

    /* the id is a hash of the public key, which is known after one attempt */

    snprintf(line, sizeof(line), text, "00000000");
    must(tccbs_note_key(line, &key) == NGX_DECLINED);

    snprintf(id, sizeof(id), "%02x%02x%02x%02x", key.id[0], key.id[1],
             key.id[2], key.id[3]);
    snprintf(line, sizeof(line), text, id);

    must(tccbs_note_key(line, &key) == NGX_OK);
    must(memcmp(key.seed, SEED, sizeof(key.seed)) == 0);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                *text;
    fuzz_t               f = { data, size };
    ngx_uint_t           how;
    ngx_pool_t          *pool;
    tccbs_note_key_t     other;
    tccbs_checkpoint_t   checkpoint;

    pool = ngx_create_pool(1024, NULL);
    must(pool != NULL);

    how = fuzz_byte(&f);

    if (how == 'K') {
        text = text_of(&f, pool);

        if (tccbs_note_key(text, &other) == NGX_OK) {
            must(strlen(other.name) > 0);
            must(strlen(other.name) <= TCCBS_NOTE_NAME);
        }

    } else if (how == 'N') {
        text = text_of(&f, pool);

        if (tccbs_note_read(&key, text, &checkpoint) == NGX_OK) {
            must(strlen(checkpoint.segment) == TCCBS_LOG_ID);
        }

    } else {
        made(&f);
    }

    ngx_destroy_pool(pool);

    return 0;
}


static char *
text_of(fuzz_t *f, ngx_pool_t *pool)
{
    char  *text;

    text = ngx_pnalloc(pool, f->len + 1);
    must(text != NULL);

    if (f->len) {
        ngx_memcpy(text, f->p, f->len);
    }

    text[f->len] = '\0';

    return text;
}


static void
made(fuzz_t *f)
{
    char                *end;
    size_t               i, at, text;
    ngx_uint_t           bit;
    tccbs_checkpoint_t   checkpoint, again;
    char                 note[512];

    ngx_memzero(&checkpoint, sizeof(checkpoint));

    for (i = 0; i < TCCBS_LOG_ID; i++) {
        checkpoint.segment[i] = "0123456789abcdef"[fuzz_byte(f) % 16];
    }

    for (i = 0; i < 8; i++) {
        checkpoint.size = checkpoint.size << 8 | fuzz_byte(f);
    }

    for (i = 0; i < sizeof(checkpoint.root); i++) {
        checkpoint.root[i] = fuzz_byte(f);
    }

    must(tccbs_note_write(&key, &checkpoint, note, sizeof(note)) == NGX_OK);

    ngx_memzero(&again, sizeof(again));
    must(tccbs_note_read(&key, note, &again) == NGX_OK);
    must(memcmp(&again, &checkpoint, sizeof(again)) == 0);

    end = strstr(note, "\n\n");
    must(end != NULL);

    text = end + 1 - note;
    at = fuzz_byte(f) % text;
    bit = fuzz_byte(f) % 8;

    note[at] ^= 1 << bit;
    must(tccbs_note_read(&key, note, &again) == NGX_DECLINED);
}
