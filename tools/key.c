
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "ngx_tccbs_crypto.h"


#define TCCBS_ID        26
#define TCCBS_SECRET    40
#define TCCBS_KEY_DIR   "/etc/nginx/tccbs/keys/"


static ngx_int_t tccbs_letters(u_char *dst, size_t n);


int
tccbs_key_new(int argc, char **argv)
{
    int                  rc;
    char                *name, *out;
    size_t               i;
    u_char               id[TCCBS_ID + 1], secret[TCCBS_SECRET + 1];
    static struct option options[] = {
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 }
    };

    out = NULL;

    while ((rc = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (rc != 'o') {
            return tccbs_usage("key new");
        }

        out = optarg;
    }

    if (optind != argc - 1) {
        return tccbs_usage("key new");
    }

    name = argv[optind];

    for (i = 0; name[i]; i++) {
        if ((name[i] < 'a' || name[i] > 'z') && (name[i] < '0' || name[i] > '9')
            && name[i] != '-')
        {
            break;
        }
    }

    if (i == 0 || i > 64 || name[i]) {
        fprintf(stderr, "tccbs: a name has 1 to 64 of a-z, 0-9 and \"-\"\n");
        return TCCBS_USAGE;
    }

    if (tccbs_letters(id, TCCBS_ID) != NGX_OK
        || tccbs_letters(secret, TCCBS_SECRET) != NGX_OK)
    {
        fprintf(stderr, "tccbs: no random numbers\n");
        return TCCBS_FAILED;
    }

    rc = TCCBS_OK;

    if (out) {
        secret[TCCBS_SECRET] = LF;
        rc = tccbs_write_secret(out, (char *) secret, TCCBS_SECRET + 1);
    }

    if (rc == TCCBS_OK) {
        printf("SecretId:  AKIDgw%s\n", id);

        if (out) {
            printf("SecretKey: in %s\n", out);

        } else {
            printf("SecretKey: %s\n", secret);
            printf("\nIt is shown this once.  Put it into a file of mode 0400:\n"
                   "    (umask 377; cat > " TCCBS_KEY_DIR "%s)\n", name);
        }

        printf("\nThe line for tccbs_account:\n"
               "    key AKIDgw%s file:%s%s;\n", id, out ? "" : TCCBS_KEY_DIR,
               out ? out : name);
    }

    ngx_tccbs_wipe(secret, sizeof(secret));

    return rc;
}


/* Letters and digits, each as likely as the others. */

static ngx_int_t
tccbs_letters(u_char *dst, size_t n)
{
    u_char  c;
    size_t  i;

    static const char  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789";

    for (i = 0; i < n; /* void */ ) {

        if (ngx_tccbs_random(&c, 1) != NGX_OK) {
            return NGX_ERROR;
        }

        if (c < 4 * (sizeof(letters) - 1)) {
            dst[i++] = letters[c % (sizeof(letters) - 1)];
        }
    }

    dst[n] = '\0';

    return NGX_OK;
}
