
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _TCCBS_VERIFY_H_INCLUDED_
#define _TCCBS_VERIFY_H_INCLUDED_


#include "log.h"
#include "note.h"


/* The checks of docs/audit.md over a set of segments. */

typedef struct {
    tccbs_log_t         *logs;
    ngx_uint_t           nlogs;
    ngx_str_t            mac_key;             /* empty: macs are not checked */
    tccbs_note_key_t    *key;                 /* NULL: no checkpoints */
    char               **notes;               /* their texts */
    const char         **note_names;
    ngx_uint_t           nnotes;
    char               **receipts;
    ngx_uint_t           nreceipts;

    /* what was found */

    uint64_t             records;
    uint64_t             intents, outcomes, refusals, recoveries, anchors;
    uint64_t             torn;                /* lines cut off by a crash */
    uint64_t             repeated;            /* after a failed write */
    uint64_t             chains;
    uint64_t             pruned;              /* chains begun before */

    /* the first broken record, or where something is missing */

    const char          *class;               /* NULL: none */
    const char          *file;                /* NULL: nowhere */
    uint32_t             at;                  /* its index */
    uint64_t             line;
    char                 why[256];
} tccbs_verify_t;


/* NGX_OK: honest; NGX_DECLINED: broken, see "class"; NGX_ERROR: no memory. */
ngx_int_t tccbs_verify(tccbs_verify_t *v);


#endif /* _TCCBS_VERIFY_H_INCLUDED_ */
