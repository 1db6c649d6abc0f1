
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_json.h"


/*
 * Reads JSON texts with the parser of the module, for t/json_differential.t:
 * each line of the input is one in hexadecimal; each line of the output is "0"
 * when it is refused, or "1" and the tree as JSON, in hexadecimal.
 */

int
main(int argc, char **argv)
{
    int                       rc;
    char                     *line;
    u_char                   *copy, *hex, *p;
    size_t                    size, i;
    ssize_t                   len;
    ngx_str_t                 s, why;
    ngx_pool_t               *pool;
    ngx_tccbs_out_t           out;
    ngx_tccbs_json_t         *root;
    ngx_tccbs_json_limits_t   limits;

    if (argc != 3) {
        return 2;
    }

    limits.depth = atoi(argv[1]);
    limits.nodes = atoi(argv[2]);

    line = NULL;
    size = 0;

    while ((len = getline(&line, &size, stdin)) > 0) {

        /* blocks of exactly that size, so that a sanitizer sees their ends */

        s.len = (len - 1) / 2;
        copy = malloc(s.len ? s.len : 1);
        s.data = copy;

        if (copy == NULL
            || ngx_tccbs_unhex(copy, (u_char *) line, s.len) != NGX_OK)
        {
            return 2;
        }

        pool = ngx_create_pool(1024, NULL);
        rc = ngx_tccbs_json_parse(pool, &s, &limits, &root, &why);

        free(copy);

        if (rc == NGX_OK) {
            ngx_tccbs_out_init(&out, pool, 64);
            ngx_tccbs_out_json(&out, root);

            if (out.failed) {
                return 2;
            }

            s = ngx_tccbs_out_str(&out);
            hex = ngx_pnalloc(pool, 2 * s.len + 1);
            p = ngx_tccbs_hex(hex, s.data, s.len);

            printf("1 ");

            for (i = 0; hex + i < p; i++) {
                putchar(hex[i]);
            }

            putchar('\n');

        } else if (rc == NGX_DECLINED) {
            printf("0 %.*s\n", (int) why.len, why.data);

        } else {
            return 2;
        }

        ngx_destroy_pool(pool);
    }

    free(line);

    return 0;
}
