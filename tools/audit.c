
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "verify.h"

#include <dirent.h>


#define TCCBS_AUDIT_KEY   256                 /* bytes, at most */
#define TCCBS_AUDIT_NOTE  4096
#define TCCBS_AUDIT_MAX   65536               /* checkpoints, receipts */
#define TCCBS_AUDIT_END   ".checkpoint"


typedef struct {
    tccbs_verify_t     v;
    ngx_pool_t        *pool;
    tccbs_note_key_t   key;
    char              *dir;                   /* of the checkpoints */
} tccbs_audit_t;


static tccbs_audit_t *tccbs_audit_create(void);
static void tccbs_audit_destroy(tccbs_audit_t *a);
static int tccbs_audit_signer(tccbs_audit_t *a, const char *text);
static int tccbs_audit_logs(tccbs_audit_t *a, char **names, int n);
static int tccbs_audit_notes(tccbs_audit_t *a);
static int tccbs_audit_judge(tccbs_audit_t *a);
static int tccbs_audit_sign(tccbs_audit_t *a, tccbs_log_t *log);
static char *tccbs_audit_text(tccbs_audit_t *a, const char *path, size_t max);


int
tccbs_audit_verify(int argc, char **argv)
{
    int                   c, rc;
    tccbs_audit_t        *a;
    static struct option  options[] = {
        { "mac-key", required_argument, NULL, 'm' },
        { "key", required_argument, NULL, 'k' },
        { "checkpoints", required_argument, NULL, 'c' },
        { "receipt", required_argument, NULL, 'r' },
        { NULL, 0, NULL, 0 }
    };

    a = tccbs_audit_create();
    if (a == NULL) {
        return TCCBS_FAILED;
    }

    rc = TCCBS_OK;

    while (rc == TCCBS_OK
           && (c = getopt_long(argc, argv, "", options, NULL)) != -1)
    {
        switch (c) {

        case 'm':
            rc = (tccbs_read_line(optarg, a->pool, TCCBS_AUDIT_KEY,
                                  &a->v.mac_key)
                  == NGX_OK) ? TCCBS_OK : TCCBS_FAILED;
            break;

        case 'k':
            if (tccbs_note_key(optarg, &a->key) != NGX_OK) {
                fprintf(stderr, "tccbs: this is no key of a verifier\n");
                rc = TCCBS_USAGE;
            }

            a->v.key = &a->key;
            break;

        case 'c':
            a->dir = optarg;
            break;

        case 'r':
            if (a->v.nreceipts == TCCBS_AUDIT_MAX) {
                rc = TCCBS_USAGE;
                break;
            }

            a->v.receipts[a->v.nreceipts++] = optarg;
            break;

        default:
            rc = tccbs_usage("audit verify");
        }
    }

    if (rc == TCCBS_OK && (optind == argc || (a->dir && !a->v.key))) {
        rc = tccbs_usage("audit verify");
    }

    if (rc == TCCBS_OK) {
        rc = tccbs_audit_logs(a, argv + optind, argc - optind);
    }

    if (rc == TCCBS_OK && a->dir) {
        rc = tccbs_audit_notes(a);
    }

    if (rc == TCCBS_OK) {
        rc = tccbs_audit_judge(a);
    }

    tccbs_audit_destroy(a);

    return rc;
}


/* Nothing is signed but what was read again, and is whole. */

int
tccbs_audit_seal(int argc, char **argv)
{
    int                   c, rc;
    char                 *signer;
    ngx_uint_t            i;
    tccbs_audit_t        *a;
    static struct option  options[] = {
        { "key", required_argument, NULL, 'k' },
        { "out", required_argument, NULL, 'o' },
        { "mac-key", required_argument, NULL, 'm' },
        { NULL, 0, NULL, 0 }
    };

    a = tccbs_audit_create();
    if (a == NULL) {
        return TCCBS_FAILED;
    }

    rc = TCCBS_OK;
    signer = NULL;

    while (rc == TCCBS_OK
           && (c = getopt_long(argc, argv, "", options, NULL)) != -1)
    {
        switch (c) {

        case 'k':
            signer = tccbs_audit_text(a, optarg, TCCBS_AUDIT_NOTE);
            rc = signer ? tccbs_audit_signer(a, signer) : TCCBS_FAILED;
            break;

        case 'o':
            a->dir = optarg;
            break;

        case 'm':
            rc = (tccbs_read_line(optarg, a->pool, TCCBS_AUDIT_KEY,
                                  &a->v.mac_key)
                  == NGX_OK) ? TCCBS_OK : TCCBS_FAILED;
            break;

        default:
            rc = tccbs_usage("audit seal");
        }
    }

    if (rc == TCCBS_OK && (signer == NULL || a->dir == NULL || optind == argc))
    {
        rc = tccbs_usage("audit seal");
    }

    if (rc == TCCBS_OK) {
        rc = tccbs_audit_logs(a, argv + optind, argc - optind);
    }

    if (rc == TCCBS_OK) {
        rc = tccbs_audit_notes(a);
    }

    if (rc == TCCBS_OK) {
        rc = tccbs_audit_judge(a);
    }

    for (i = 0; i < a->v.nlogs && rc == TCCBS_OK; i++) {
        rc = tccbs_audit_sign(a, &a->v.logs[i]);
    }

    tccbs_audit_destroy(a);

    return rc;
}


int
tccbs_audit_key(int argc, char **argv)
{
    int                   c, rc;
    char                 *out;
    ngx_int_t             made;
    char                  signer[256], verifier[256];
    static struct option  options[] = {
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 }
    };

    out = NULL;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 'o') {
            return tccbs_usage("audit key");
        }

        out = optarg;
    }

    if (out == NULL || optind != argc - 1) {
        return tccbs_usage("audit key");
    }

    made = tccbs_note_generate(argv[optind], signer, verifier, sizeof(signer));

    if (made == NGX_DECLINED) {
        fprintf(stderr, "tccbs: a name has 1 to %d characters, no blank and "
                "no \"+\"\n", TCCBS_NOTE_NAME);
        return TCCBS_USAGE;
    }

    if (made != NGX_OK) {
        return TCCBS_FAILED;
    }

    strcat(signer, "\n");

    rc = tccbs_write_secret(out, signer, strlen(signer));

    ngx_tccbs_wipe(signer, sizeof(signer));

    if (rc == TCCBS_OK) {
        printf("%s\n", verifier);
    }

    return rc;
}


static tccbs_audit_t *
tccbs_audit_create(void)
{
    tccbs_audit_t  *a;

    a = calloc(1, sizeof(tccbs_audit_t));

    if (a) {
        a->pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
        a->v.notes = calloc(TCCBS_AUDIT_MAX, sizeof(char *));
        a->v.note_names = calloc(TCCBS_AUDIT_MAX, sizeof(char *));
        a->v.receipts = calloc(TCCBS_AUDIT_MAX, sizeof(char *));
    }

    if (a == NULL || a->pool == NULL || a->v.notes == NULL
        || a->v.note_names == NULL || a->v.receipts == NULL)
    {
        fprintf(stderr, "tccbs: no memory\n");
        return NULL;
    }

    return a;
}


static void
tccbs_audit_destroy(tccbs_audit_t *a)
{
    ngx_uint_t  i;

    for (i = 0; i < a->v.nlogs; i++) {
        tccbs_log_close(&a->v.logs[i]);
    }

    ngx_tccbs_wipe(a->v.mac_key.data, a->v.mac_key.len);
    ngx_tccbs_wipe(&a->key, sizeof(a->key));
    ngx_destroy_pool(a->pool);

    free(a->v.logs);
    free(a->v.notes);
    free(a->v.note_names);
    free(a->v.receipts);
    free(a);
}


static char *
tccbs_audit_text(tccbs_audit_t *a, const char *path, size_t max)
{
    ngx_str_t  text;

    return (tccbs_read_file(path, a->pool, max, &text) == NGX_OK)
           ? (char *) text.data : NULL;
}


static int
tccbs_audit_signer(tccbs_audit_t *a, const char *text)
{
    if (tccbs_note_key(text, &a->key) != NGX_OK
        || strncmp(text, "PRIVATE+KEY+", 12) != 0)
    {
        fprintf(stderr, "tccbs: this is no key of a signer, "
                "see \"tccbs audit key\"\n");
        return TCCBS_FAILED;
    }

    a->v.key = &a->key;

    return TCCBS_OK;
}


static int
tccbs_audit_logs(tccbs_audit_t *a, char **names, int n)
{
    int  i;

    a->v.logs = calloc(n, sizeof(tccbs_log_t));
    if (a->v.logs == NULL) {
        return TCCBS_FAILED;
    }

    for (i = 0; i < n; i++) {
        if (tccbs_log_open(&a->v.logs[i], names[i]) != NGX_OK) {
            return TCCBS_FAILED;
        }

        a->v.nlogs++;
    }

    return TCCBS_OK;
}


static int
tccbs_audit_notes(tccbs_audit_t *a)
{
    int             rc;
    DIR            *dir;
    char           *path, *text;
    size_t          len, end;
    struct dirent  *d;

    dir = opendir(a->dir);

    if (dir == NULL) {
        fprintf(stderr, "tccbs: cannot read \"%s\": %s\n", a->dir,
                strerror(errno));
        return TCCBS_FAILED;
    }

    rc = TCCBS_OK;
    end = sizeof(TCCBS_AUDIT_END) - 1;

    while (rc == TCCBS_OK && (d = readdir(dir)) != NULL) {

        len = strlen(d->d_name);

        if (len <= end || strcmp(d->d_name + len - end, TCCBS_AUDIT_END) != 0
            || a->v.nnotes == TCCBS_AUDIT_MAX)
        {
            continue;
        }

        len += strlen(a->dir) + 2;
        path = (char *) ngx_pnalloc(a->pool, len);
        text = NULL;

        if (path) {
            snprintf(path, len, "%s/%s", a->dir, d->d_name);
            text = tccbs_audit_text(a, path, TCCBS_AUDIT_NOTE);
        }

        if (text == NULL) {
            rc = TCCBS_FAILED;
            break;
        }

        a->v.note_names[a->v.nnotes] = path;
        a->v.notes[a->v.nnotes++] = text;
    }

    (void) closedir(dir);

    return rc;
}


static int
tccbs_audit_judge(tccbs_audit_t *a)
{
    tccbs_verify_t  *v;

    v = &a->v;

    switch (tccbs_verify(v)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        printf("%s", v->file ? v->file : "");

        if (v->line) {
            printf(":%llu", (unsigned long long) v->line);
        }

        printf("%s%s: %s\n", v->file ? ": " : "", v->class, v->why);

        return TCCBS_FAILED;

    default:
        fprintf(stderr, "tccbs: no memory\n");
        return TCCBS_FAILED;
    }

    printf("intact: %llu records in %llu chains and %lu segments\n",
           (unsigned long long) v->records, (unsigned long long) v->chains,
           (unsigned long) v->nlogs);
    printf("%llu intents, %llu outcomes, %llu recoveries, %llu refusals, "
           "%llu anchors\n", (unsigned long long) v->intents,
           (unsigned long long) v->outcomes,
           (unsigned long long) v->recoveries,
           (unsigned long long) v->refusals, (unsigned long long) v->anchors);
    printf("%llu lines cut off, %llu written twice, %llu chains begun before\n",
           (unsigned long long) v->torn, (unsigned long long) v->repeated,
           (unsigned long long) v->pruned);
    printf("%s, %lu checkpoints, %lu receipts\n",
           v->mac_key.len ? "macs checked" : "macs not checked",
           (unsigned long) v->nnotes, (unsigned long) v->nreceipts);

    return TCCBS_OK;
}


static int
tccbs_audit_sign(tccbs_audit_t *a, tccbs_log_t *log)
{
    int                  fd;
    size_t               len;
    ngx_uint_t           i;
    tccbs_checkpoint_t   c, old;
    char                 path[4096], temp[4096 + 8], note[TCCBS_AUDIT_NOTE];

    c.size = tccbs_note_lines(log);

    if (c.size == 0) {
        return TCCBS_OK;
    }

    strcpy(c.segment, (char *) log->id);

    for (i = 0; i < a->v.nnotes; i++) {
        if (tccbs_note_read(&a->key, a->v.notes[i], &old) == NGX_OK
            && strcmp(old.segment, c.segment) == 0 && old.size == c.size)
        {
            return TCCBS_OK;
        }
    }

    if (tccbs_note_root(log, c.size, c.root) != NGX_OK
        || tccbs_note_write(&a->key, &c, note, sizeof(note)) != NGX_OK)
    {
        fprintf(stderr, "tccbs: cannot sign\n");
        return TCCBS_FAILED;
    }

    snprintf(path, sizeof(path), "%s/%s" TCCBS_AUDIT_END, a->dir, c.segment);
    snprintf(temp, sizeof(temp), "%s.new", path);

    fd = open(temp, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644);
    len = strlen(note);

    if (fd == -1 || write(fd, note, len) != (ssize_t) len || fsync(fd) == -1
        || close(fd) == -1 || rename(temp, path) == -1)
    {
        fprintf(stderr, "tccbs: cannot write \"%s\": %s\n", path,
                strerror(errno));
        return TCCBS_FAILED;
    }

    printf("%s: %llu lines of %s\n", path, (unsigned long long) c.size,
           log->name);

    return TCCBS_OK;
}
