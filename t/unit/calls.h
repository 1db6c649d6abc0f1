
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _CALLS_H_INCLUDED_
#define _CALLS_H_INCLUDED_


#include <openssl/evp.h>
#include <openssl/rand.h>


/*
 * Calls of OpenSSL that tests let fail, for a macro that is given type, name,
 * parameters, arguments and what a failure returns.
 */

#define openssl_calls(wrap)                                                   \
    wrap(int, EVP_DigestInit_ex2,                                             \
         (EVP_MD_CTX *c, const EVP_MD *m, const OSSL_PARAM *p), (c, m, p), 0) \
    wrap(int, EVP_DigestUpdate, (EVP_MD_CTX *c, const void *d, size_t n),     \
         (c, d, n), 0)                                                        \
    wrap(int, EVP_DigestFinal_ex,                                             \
         (EVP_MD_CTX *c, u_char *d, unsigned int *n), (c, d, n), 0)           \
    wrap(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX *to, const EVP_MD_CTX *from),   \
         (to, from), 0)                                                       \
    wrap(int, RAND_bytes, (u_char *p, int n), (p, n), 0)



/* Such a macro: with --wrap, a call fails when fails() of the test says so. */

#define failing(type, name, params, args, failure)                            \
    type __real_##name params;                                                \
    type __wrap_##name params;                                                \
                                                                              \
    type __wrap_##name params                                                 \
    {                                                                         \
        return fails() ? failure : __real_##name args;                        \
    }


#endif /* _CALLS_H_INCLUDED_ */
