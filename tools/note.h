
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_NOTE_H_INCLUDED_
#define _TCCBS_NOTE_H_INCLUDED_


#include "log.h"


/*
 * Checkpoints: signed notes (C2SP signed-note) with the body of a C2SP
 * tlog-checkpoint: an origin, the number of lines and the root of the Merkle
 * tree (RFC 6962, 2.1) over the lines of one segment.
 */

#define TCCBS_NOTE_NAME  64
#define TCCBS_NOTE_SEED  32
#define TCCBS_NOTE_SIG   64

typedef struct {
    char        name[TCCBS_NOTE_NAME + 1];
    u_char      id[4];
    u_char      pub[32];
    u_char      seed[TCCBS_NOTE_SEED];        /* of a signer */
} tccbs_note_key_t;

typedef struct {
    char        segment[TCCBS_LOG_ID + 1];
    uint64_t    size;
    u_char      root[NGX_TCCBS_SHA256_LEN];
} tccbs_checkpoint_t;


/* A new pair: the files of signer and verifier, as one line each. */
ngx_int_t tccbs_note_generate(const char *name, char *signer, char *verifier,
    size_t size);

/* "name+id+key" or "PRIVATE+KEY+name+id+key"; NGX_OK or NGX_DECLINED. */
ngx_int_t tccbs_note_key(const char *text, tccbs_note_key_t *key);

/* The note of a checkpoint, ended by NUL; NGX_OK or NGX_ERROR. */
ngx_int_t tccbs_note_write(const tccbs_note_key_t *key,
    const tccbs_checkpoint_t *checkpoint, char *note, size_t size);

/* NGX_OK; NGX_DECLINED: not such a note, or not signed by the key. */
ngx_int_t tccbs_note_read(const tccbs_note_key_t *key, const char *note,
    tccbs_checkpoint_t *checkpoint);

/* The root over the first "n" lines, or NGX_DECLINED when there are less. */
ngx_int_t tccbs_note_root(const tccbs_log_t *log, uint64_t n,
    u_char root[NGX_TCCBS_SHA256_LEN]);

uint64_t tccbs_note_lines(const tccbs_log_t *log);


#endif /* _TCCBS_NOTE_H_INCLUDED_ */
