
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <openssl/x509.h>
#include <sys/mman.h>

#include "../unit/calls.h"


/*
 * Linked into the module with --wrap, so that each of its allocations can fail
 * once: t/torture*.t say which one, in a file that all processes share, and
 * learn from it which places in the code have asked for memory.
 */

#define SITES   1024
#define MODULE  (64 * 1024 * 1024)            /* it has not more code */

#define MEMORY  0
#define OTHER   4

typedef struct {
    uint64_t  armed;                          /* 1: all, 2: workers only;
                                                 and OTHER */
    uint64_t  at;                             /* the one that fails */
    uint64_t  more;                           /* and all after it */
    uint64_t  only;                           /* those of this place, or 0 */
    uint64_t  count;
    uint64_t  failed;
    uint64_t  nsites;
    struct {
        uint64_t  at;                         /* from tccbs_torture_base on */
        uint64_t  failed;
    } sites[SITES];
} torture_t;


static torture_t  *torture;


/* Its address is where the offsets begin. */

void tccbs_torture_base(void);

__attribute__((constructor)) static void
torture_start(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("TCCBS_TORTURE");

    if (path == NULL || (fd = open(path, O_RDWR)) == -1) {
        return;
    }

    p = mmap(NULL, sizeof(torture_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) {
        torture = p;
    }

    (void) close(fd);
}


void
tccbs_torture_base(void)
{
}


static ngx_uint_t
fails(void *from, uint64_t kind)
{
    uint64_t  i, at, n;

    if (torture == NULL || !torture->armed
        || (torture->armed & OTHER) != kind
        || ((torture->armed & 2) && ngx_process != NGX_PROCESS_WORKER))
    {
        return 0;
    }

    /* who has jumped here comes from his caller, which may be elsewhere */

    at = (uintptr_t) from - (uintptr_t) tccbs_torture_base;
    at = ngx_min(at, MODULE);

    for (i = 0; i < torture->nsites; i++) {
        if (torture->sites[i].at == at) {
            break;
        }
    }

    if (i == torture->nsites && i < SITES) {
        torture->sites[i].at = at;
        torture->nsites++;
    }

    if (torture->only && torture->only != at) {
        return 0;
    }

    n = torture->count++;

    if (n < torture->at || (n > torture->at && !torture->more)) {
        return 0;
    }

    torture->sites[i].failed++;
    torture->failed++;

    return 1;
}


#define wrap(type, name, params, args, failure)                               \
    wrapped(type, name, params, args, failure, MEMORY)

#define wrapped(type, name, params, args, failure, kind)                      \
    __typeof__(name) __real_##name;                                           \
    __attribute__((visibility("hidden"))) __typeof__(name) __wrap_##name;     \
                                                                              \
    type __wrap_##name params                                                 \
    {                                                                         \
        if (fails(__builtin_return_address(0), kind)) {                       \
            return failure;                                                   \
        }                                                                     \
                                                                              \
        return __real_##name args;                                            \
    }

wrap(void *, ngx_palloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
wrap(void *, ngx_pnalloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
wrap(void *, ngx_pcalloc, (ngx_pool_t *p, size_t n), (p, n), NULL)
wrap(void *, ngx_alloc, (size_t n, ngx_log_t *l), (n, l), NULL)
wrap(void *, ngx_calloc, (size_t n, ngx_log_t *l), (n, l), NULL)
wrap(void *, malloc, (size_t n), (n), NULL)
wrap(void *, calloc, (size_t k, size_t n), (k, n), NULL)
wrap(void *, realloc, (void *p, size_t n), (p, n), NULL)
wrap(void *, ngx_slab_alloc, (ngx_slab_pool_t *p, size_t n), (p, n), NULL)
wrap(void *, ngx_slab_calloc, (ngx_slab_pool_t *p, size_t n), (p, n), NULL)
wrap(void *, ngx_slab_alloc_locked, (ngx_slab_pool_t *p, size_t n), (p, n),
     NULL)
wrap(void *, ngx_slab_calloc_locked, (ngx_slab_pool_t *p, size_t n), (p, n),
     NULL)
wrap(void *, ngx_array_push, (ngx_array_t *a), (a), NULL)
wrap(void *, ngx_list_push, (ngx_list_t *l), (l), NULL)
wrap(ngx_array_t *, ngx_array_create, (ngx_pool_t *p, ngx_uint_t k, size_t n),
     (p, k, n), NULL)
wrap(ngx_pool_t *, ngx_create_pool, (size_t n, ngx_log_t *l), (n, l), NULL)
wrap(ngx_chain_t *, ngx_alloc_chain_link, (ngx_pool_t *p), (p), NULL)
wrap(ngx_buf_t *, ngx_create_temp_buf, (ngx_pool_t *p, size_t n), (p, n), NULL)
wrap(ngx_pool_cleanup_t *, ngx_pool_cleanup_add, (ngx_pool_t *p, size_t n),
     (p, n), NULL)
wrap(ngx_http_cleanup_t *, ngx_http_cleanup_add,
     (ngx_http_request_t *r, size_t n), (r, n), NULL)
wrap(ngx_int_t, ngx_http_upstream_create, (ngx_http_request_t *r), (r),
     NGX_ERROR)
wrap(ngx_int_t, ngx_http_subrequest,
     (ngx_http_request_t *r, ngx_str_t *u, ngx_str_t *a,
      ngx_http_request_t **sr, ngx_http_post_subrequest_t *ps, ngx_uint_t f),
     (r, u, a, sr, ps, f), NGX_ERROR)
wrap(ngx_thread_task_t *, ngx_thread_task_alloc, (ngx_pool_t *p, size_t n),
     (p, n), NULL)
wrap(ngx_int_t, ngx_thread_task_post,
     (ngx_thread_pool_t *p, ngx_thread_task_t *t), (p, t), NGX_ERROR)
wrap(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)

#define other(type, name, params, args, failure)                              \
    wrapped(type, name, params, args, failure, OTHER)

openssl_calls(other)
other(int, X509_digest,
      (const X509 *x, const EVP_MD *m, u_char *d, unsigned int *n),
      (x, m, d, n), 0)
other(ngx_int_t, ngx_ssl_get_subject_dn,
      (ngx_connection_t *c, ngx_pool_t *p, ngx_str_t *s), (c, p, s), NGX_ERROR)
other(ngx_int_t, ngx_http_complex_value,
      (ngx_http_request_t *r, ngx_http_complex_value_t *v, ngx_str_t *s),
      (r, v, s), NGX_ERROR)
other(ssize_t, ngx_read_file,
      (ngx_file_t *f, u_char *p, size_t n, off_t at), (f, p, n, at), NGX_ERROR)
