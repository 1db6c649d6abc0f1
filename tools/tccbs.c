
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "ngx_tccbs_crypto.h"


typedef struct {
    const char   *words;
    const char   *usage;
    int         (*run)(int argc, char **argv);
} tccbs_command_t;


static tccbs_command_t  tccbs_commands[] = {
    { "key new", "key new NAME [--out FILE] [--master FILE] [--expires DATE]",
      tccbs_key_new },
    { "sign", "sign --id ID --secret-file FILE --host HOST --action ACTION\n"
              "             [--service SERVICE] [--timestamp SECONDS] < BODY",
      tccbs_sign },
    { "explain", "explain [--conf FILE] [--snapshot ID] ACCOUNT ACTION FROM "
                 "[TO]...", tccbs_explain },
    { "doctor", "doctor [--conf FILE] [--prefix DIR] [--pid FILE] "
                "[--max-age DAYS] [--json]", tccbs_doctor },
    { "audit verify", "audit verify [--mac-key FILE] [--key VERIFIER "
                      "[--checkpoints DIR]]\n"
                      "             [--receipt RECEIPT]... FILE...",
      tccbs_audit_verify },
    { "audit seal", "audit seal --key FILE --out DIR [--mac-key FILE] FILE...",
      tccbs_audit_seal },
    { "audit key", "audit key NAME --out FILE", tccbs_audit_key },
    { "audit show", "audit show [--account NAME] [--region REGION] "
                    "[--outcome OUTCOME]\n"
                    "             [--since TIME] [--until TIME] [--json] "
                    "FILE...", tccbs_audit_show },
    { NULL, NULL, NULL }
};


int
main(int argc, char **argv)
{
    int               n;
    char              words[64];
    tccbs_command_t  *cmd;

    if (ngx_tccbs_crypto_init() != NGX_OK) {
        fprintf(stderr, "tccbs: OpenSSL has no SHA-256\n");
        return TCCBS_FAILED;
    }

    for (cmd = tccbs_commands; cmd->words; cmd++) {

        n = strchr(cmd->words, ' ') ? 2 : 1;

        if (argc <= n) {
            continue;
        }

        snprintf(words, sizeof(words), "%s%s%s", argv[1], n > 1 ? " " : "",
                 n > 1 ? argv[2] : "");

        if (strcmp(words, cmd->words) == 0) {
            return cmd->run(argc - n, argv + n);
        }
    }

    return tccbs_usage(NULL);
}


int
tccbs_usage(const char *words)
{
    tccbs_command_t  *cmd;

    for (cmd = tccbs_commands; cmd->words; cmd++) {
        if (words == NULL || strcmp(words, cmd->words) == 0) {
            fprintf(stderr, "usage: tccbs %s\n", cmd->usage);
        }
    }

    return TCCBS_USAGE;
}


ngx_int_t
tccbs_read(FILE *f, ngx_pool_t *pool, size_t max, ngx_str_t *text)
{
    text->data = ngx_pnalloc(pool, max + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = fread(text->data, 1, max + 1, f);
    text->data[ngx_min(text->len, max)] = '\0';

    return (ferror(f) || text->len > max) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
tccbs_read_file(const char *path, ngx_pool_t *pool, size_t max,
    ngx_str_t *text)
{
    FILE       *f;
    ngx_int_t   rc;

    f = fopen(path, "r");

    if (f == NULL) {
        fprintf(stderr, "tccbs: cannot read \"%s\": %s\n", path,
                strerror(errno));
        return NGX_ERROR;
    }

    rc = tccbs_read(f, pool, max, text);

    if (rc != NGX_OK) {
        fprintf(stderr, "tccbs: cannot read \"%s\", or it is too large\n",
                path);
    }

    (void) fclose(f);

    return rc;
}


ngx_int_t
tccbs_read_line(const char *path, ngx_pool_t *pool, size_t max,
    ngx_str_t *text)
{
    if (tccbs_read_file(path, pool, max + 2, text) != NGX_OK) {
        return NGX_ERROR;
    }

    while (text->len && (text->data[text->len - 1] == LF
                         || text->data[text->len - 1] == CR))
    {
        text->len--;
    }

    return NGX_OK;
}


int
tccbs_write_secret(const char *path, const char *text, size_t len)
{
    int  fd;

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0400);

    if (fd == -1) {
        fprintf(stderr, "tccbs: cannot create \"%s\": %s\n", path,
                strerror(errno));
        return TCCBS_FAILED;
    }

    if (write(fd, text, len) != (ssize_t) len || fsync(fd) == -1
        || close(fd) == -1)
    {
        fprintf(stderr, "tccbs: cannot write \"%s\": %s\n", path,
                strerror(errno));
        (void) unlink(path);
        return TCCBS_FAILED;
    }

    return TCCBS_OK;
}
