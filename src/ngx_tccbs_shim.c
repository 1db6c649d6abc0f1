
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The few functions of nginx that the pure files use, for programs outside of
 * it.  Each allocation is one of malloc(), so that sanitizers see its bounds.
 */

ngx_pid_t  ngx_pid;


typedef struct ngx_tccbs_shim_s  ngx_tccbs_shim_t;

struct ngx_tccbs_shim_s {
    ngx_tccbs_shim_t    *next;
    void                *data;
};


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    return calloc(1, sizeof(ngx_pool_t));
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    ngx_tccbs_shim_t    *a, *next;
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        if (cln->handler) {
            cln->handler(cln->data);
        }
    }

    for (a = (void *) pool->chain; a; a = next) {
        next = a->next;
        free(a->data);
        free(a);
    }

    free(pool);
}


void
ngx_explicit_memzero(void *buf, size_t n)
{
    ngx_memzero(buf, n);
    ngx_memory_barrier();
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    ngx_tccbs_shim_t  *a;

    a = malloc(sizeof(ngx_tccbs_shim_t));
    if (a == NULL) {
        return NULL;
    }

    a->data = malloc(size ? size : 1);

    if (a->data == NULL) {
        free(a);
        return NULL;
    }

    a->next = (void *) pool->chain;
    pool->chain = (void *) a;

    return a->data;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pcalloc(pool, sizeof(ngx_pool_cleanup_t));

    if (cln) {
        cln->data = size ? ngx_pcalloc(pool, size) : NULL;
        cln->next = pool->cleanup;
        pool->cleanup = cln;
    }

    return cln;
}


void *
ngx_array_push(ngx_array_t *a)
{
    void  *elts;

    if (a->nelts == a->nalloc) {

        elts = ngx_palloc(a->pool, 2 * a->nalloc * a->size);
        if (elts == NULL) {
            return NULL;
        }

        ngx_memcpy(elts, a->elts, a->nelts * a->size);

        a->elts = elts;
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->size * a->nelts++;
}
