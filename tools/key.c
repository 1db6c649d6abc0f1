
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "ngx_tccbs_key.h"


#define TCCBS_ID        32
#define TCCBS_PREFIX    "AKIDgw"
#define TCCBS_SECRET    40
#define TCCBS_KEY_DIR   "/etc/nginx/tccbs/keys/"


typedef struct {
    char        *name;
    char        *out;                   /* where the secret goes, or NULL */
    char        *master;                /* what it is derived from, or NULL */
    ngx_str_t    expires;
    u_char       id[TCCBS_ID + 1];
    u_char       secret[NGX_TCCBS_KEY_DERIVED + 1];
    size_t       len;
} tccbs_key_t;


static int tccbs_key_options(int argc, char **argv, tccbs_key_t *key);
static int tccbs_key_make(tccbs_key_t *key);
static int tccbs_key_derive(tccbs_key_t *key);
static void tccbs_key_print(tccbs_key_t *key);
static ngx_int_t tccbs_letters(u_char *dst, size_t n);


int
tccbs_key_new(int argc, char **argv)
{
    int          rc;
    tccbs_key_t  key;

    ngx_memzero(&key, sizeof(tccbs_key_t));

    rc = tccbs_key_options(argc, argv, &key);

    if (rc == TCCBS_OK) {
        rc = tccbs_key_make(&key);
    }

    if (rc == TCCBS_OK && key.out) {
        key.secret[key.len] = LF;
        rc = tccbs_write_secret(key.out, (char *) key.secret, key.len + 1);
    }

    if (rc == TCCBS_OK) {
        tccbs_key_print(&key);
    }

    ngx_tccbs_wipe(key.secret, sizeof(key.secret));

    return rc;
}


static int
tccbs_key_options(int argc, char **argv, tccbs_key_t *key)
{
    int                  c;
    size_t               i;
    static struct option options[] = {
        { "out", required_argument, NULL, 'o' },
        { "master", required_argument, NULL, 'm' },
        { "expires", required_argument, NULL, 'e' },
        { NULL, 0, NULL, 0 }
    };

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {

        switch (c) {

        case 'o':
            key->out = optarg;
            break;

        case 'm':
            key->master = optarg;
            break;

        case 'e':
            key->expires.data = (u_char *) optarg;
            key->expires.len = strlen(optarg);

            if (ngx_tccbs_key_expires(&key->expires) == (time_t) NGX_ERROR) {
                fprintf(stderr, "tccbs: \"%s\" is not a date like "
                        "2026-12-31 or 2026-12-31T18:00:00Z\n", optarg);
                return TCCBS_USAGE;
            }

            break;

        default:
            return tccbs_usage("key new");
        }
    }

    if (optind != argc - 1) {
        return tccbs_usage("key new");
    }

    key->name = argv[optind];

    for (i = 0; key->name[i]; i++) {
        if ((key->name[i] < 'a' || key->name[i] > 'z')
            && (key->name[i] < '0' || key->name[i] > '9')
            && key->name[i] != '-')
        {
            break;
        }
    }

    if (i == 0 || i > 64 || key->name[i]) {
        fprintf(stderr, "tccbs: a name has 1 to 64 of a-z, 0-9 and \"-\"\n");
        return TCCBS_USAGE;
    }

    return TCCBS_OK;
}


static int
tccbs_key_make(tccbs_key_t *key)
{
    size_t  n;

    n = sizeof(TCCBS_PREFIX) - 1;
    key->len = TCCBS_SECRET;

    ngx_memcpy(key->id, TCCBS_PREFIX, n);

    if (tccbs_letters(key->id + n, TCCBS_ID - n) != NGX_OK
        || (key->master == NULL
            && tccbs_letters(key->secret, TCCBS_SECRET) != NGX_OK))
    {
        fprintf(stderr, "tccbs: no random numbers\n");
        return TCCBS_FAILED;
    }

    return key->master ? tccbs_key_derive(key) : TCCBS_OK;
}


static int
tccbs_key_derive(tccbs_key_t *key)
{
    int          rc;
    ngx_str_t    master, id;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
    if (pool == NULL) {
        return TCCBS_FAILED;
    }

    rc = TCCBS_FAILED;
    id.data = key->id;
    id.len = TCCBS_ID;

    if (tccbs_read_line(key->master, pool, NGX_TCCBS_KEY_MAX, &master)
        == NGX_OK)
    {
        if (master.len < NGX_TCCBS_KEY_MIN) {
            fprintf(stderr, "tccbs: \"%s\" must hold a key of %d to %d bytes\n",
                    key->master, NGX_TCCBS_KEY_MIN, NGX_TCCBS_KEY_MAX);

        } else if (ngx_tccbs_key_derive(key->secret, &master, &id) == NGX_OK) {
            key->len = NGX_TCCBS_KEY_DERIVED;
            rc = TCCBS_OK;
        }

        ngx_tccbs_wipe(master.data, master.len);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
tccbs_key_print(tccbs_key_t *key)
{
    printf("SecretId:  %s\n", key->id);

    if (key->out) {
        printf("SecretKey: in %s\n", key->out);

    } else {
        printf("SecretKey: %s\n\nIt is shown this once.", key->secret);

        if (key->master == NULL) {
            printf("  Put it into a file of mode 0400:\n"
                   "    (umask 377; cat > " TCCBS_KEY_DIR "%s)", key->name);
        }

        printf("\n");
    }

    printf("\nThe line for tccbs_account:\n    key %s ", key->id);

    if (key->master) {
        printf("derived");

    } else {
        printf("file:%s%s", key->out ? "" : TCCBS_KEY_DIR,
               key->out ? key->out : key->name);
    }

    if (key->expires.len) {
        printf(" expires=%s", key->expires.data);
    }

    printf(";\n");
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
