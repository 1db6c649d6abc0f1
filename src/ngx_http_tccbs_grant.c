
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_http_tccbs_grant.h"


#define NGX_HTTP_TCCBS_GRANT_TRIES  1000
#define NGX_HTTP_TCCBS_GRANT_DAY    86400

#define ngx_http_tccbs_generation(version)  ((version) >> 32)
#define ngx_http_tccbs_at(page, version)                                      \
    (&(page)->grants[(ngx_http_tccbs_generation(version) & 1) << 1            \
                     | ((version) & 1)])


typedef struct ngx_http_tccbs_node_s  ngx_http_tccbs_node_t;

struct ngx_http_tccbs_node_s {
    ngx_http_tccbs_node_t    *next;
    ngx_http_tccbs_page_t    *page;
    ngx_uint_t                generation;     /* that has the name */
    ngx_str_t                 name;
};


static ngx_http_tccbs_node_t *ngx_http_tccbs_grant_node(ngx_str_t *name,
    ngx_log_t *log);
static size_t ngx_http_tccbs_grant_size(void);
static void ngx_http_tccbs_grant_turn(ngx_http_tccbs_page_t *page,
    ngx_uint_t generation, ngx_http_tccbs_grant_t *grant);
static ngx_int_t ngx_http_tccbs_grant_derive(ngx_http_tccbs_grant_t *grant,
    const ngx_tccbs_triple_t *triple, time_t now);
static ngx_int_t ngx_http_tccbs_grant_write(ngx_http_tccbs_page_t *page,
    ngx_uint_t generation, ngx_http_tccbs_grant_t *grant);


/* The master's list, older than any configuration: pages are never freed. */

static ngx_http_tccbs_node_t  *ngx_http_tccbs_nodes;

static ngx_str_t               ngx_http_tccbs_service = ngx_string("cbs");


ngx_http_tccbs_page_t *
ngx_http_tccbs_grant_adopt(ngx_str_t *name, uint32_t source,
    ngx_uint_t generation, ngx_log_t *log)
{
    ngx_atomic_uint_t        version;
    ngx_http_tccbs_node_t   *node;
    ngx_http_tccbs_grant_t   grant;

    node = ngx_http_tccbs_grant_node(name, log);
    if (node == NULL) {
        return NULL;
    }

    node->generation = generation;
    version = (ngx_atomic_uint_t) -1;
    grant.id_len = 0;

    if (node->page->source != source
        || ngx_http_tccbs_grant_read(node->page, &version, &grant) != NGX_OK)
    {
        ngx_memzero(&grant, sizeof(ngx_http_tccbs_grant_t));

        node->page->source = source;
        node->page->refreshed = 0;
        node->page->tried = 0;
        node->page->result = 0;
    }

    ngx_http_tccbs_grant_turn(node->page, generation, &grant);

    ngx_tccbs_wipe(&grant, sizeof(ngx_http_tccbs_grant_t));

    return node->page;
}


static ngx_http_tccbs_node_t *
ngx_http_tccbs_grant_node(ngx_str_t *name, ngx_log_t *log)
{
    size_t                  size;
    ngx_http_tccbs_node_t  *node;

    for (node = ngx_http_tccbs_nodes; node; node = node->next) {
        if (node->name.len == name->len
            && ngx_memcmp(node->name.data, name->data, name->len) == 0)
        {
            return node;
        }
    }

    node = ngx_alloc(sizeof(ngx_http_tccbs_node_t) + name->len, log);
    if (node == NULL) {
        return NULL;
    }

    size = ngx_http_tccbs_grant_size();

    node->page = mmap(NULL, size, PROT_READ|PROT_WRITE,
                      MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (node->page == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno, "mmap(%uz) failed", size);
        ngx_free(node);
        return NULL;
    }

    /* as far as the limits of the process allow: nothing depends on these */

    (void) mlock(node->page, size);
    (void) madvise(node->page, size, MADV_DONTDUMP);

    node->name.data = (u_char *) (node + 1);
    node->name.len = name->len;
    ngx_memcpy(node->name.data, name->data, name->len);

    node->next = ngx_http_tccbs_nodes;
    ngx_http_tccbs_nodes = node;

    return node;
}


static size_t
ngx_http_tccbs_grant_size(void)
{
    return ngx_align(sizeof(ngx_http_tccbs_page_t), ngx_pagesize);
}


/* From now on the page is that of this generation. */

static void
ngx_http_tccbs_grant_turn(ngx_http_tccbs_page_t *page, ngx_uint_t generation,
    ngx_http_tccbs_grant_t *grant)
{
    ngx_atomic_uint_t  version, next;

    next = (ngx_atomic_uint_t) generation << 32;

    *ngx_http_tccbs_at(page, next) = *grant;

    do {
        version = page->version;
        ngx_memory_barrier();
    } while (!ngx_atomic_cmp_set(&page->version, version, next));
}


void
ngx_http_tccbs_grant_sweep(ngx_uint_t generation)
{
    ngx_http_tccbs_node_t   *node;
    ngx_http_tccbs_grant_t   grant;

    ngx_memzero(&grant, sizeof(ngx_http_tccbs_grant_t));

    for (node = ngx_http_tccbs_nodes; node; node = node->next) {
        if (node->generation != generation) {
            ngx_http_tccbs_grant_turn(node->page, generation, &grant);
        }
    }
}


void
ngx_http_tccbs_grant_protect(ngx_http_tccbs_page_t *page)
{
    (void) mprotect(page, ngx_http_tccbs_grant_size(), PROT_READ);
    (void) mlock(page, ngx_http_tccbs_grant_size());
}


ngx_int_t
ngx_http_tccbs_grant_publish(ngx_http_tccbs_page_t *page,
    ngx_uint_t generation, const ngx_tccbs_triple_t *triple, time_t now)
{
    ngx_int_t               rc;
    ngx_http_tccbs_grant_t  grant;

    ngx_memzero(&grant, sizeof(ngx_http_tccbs_grant_t));

    rc = NGX_OK;

    if (triple->id_len) {
        rc = ngx_http_tccbs_grant_derive(&grant, triple, now);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_tccbs_grant_write(page, generation, &grant);
    }

    ngx_tccbs_wipe(&grant, sizeof(ngx_http_tccbs_grant_t));

    return rc;
}


static ngx_int_t
ngx_http_tccbs_grant_derive(ngx_http_tccbs_grant_t *grant,
    const ngx_tccbs_triple_t *triple, time_t now)
{
    ngx_str_t              key, date;
    ngx_int_t              i;
    ngx_http_tccbs_day_t  *day;

    key.data = (u_char *) triple->key;
    key.len = triple->key_len;

    for (i = 0; i < NGX_HTTP_TCCBS_GRANT_DAYS; i++) {

        day = &grant->days[i];

        ngx_tccbs_tc3_date(now + (i - 1) * NGX_HTTP_TCCBS_GRANT_DAY,
                           day->date);

        date.data = day->date;
        date.len = sizeof(day->date);

        if (ngx_tccbs_tc3_day_key(day->key, &key, &date,
                                  &ngx_http_tccbs_service)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    grant->expires = triple->expires;

    ngx_memcpy(grant->id, triple->id, triple->id_len);
    grant->id_len = triple->id_len;

    ngx_memcpy(grant->token, triple->token, triple->token_len);
    grant->token_len = triple->token_len;

    return NGX_OK;
}


/* One process writes for a generation, so that the other one is free. */

static ngx_int_t
ngx_http_tccbs_grant_write(ngx_http_tccbs_page_t *page,
    ngx_uint_t generation, ngx_http_tccbs_grant_t *grant)
{
    ngx_atomic_uint_t  version;

    version = page->version;

    if (ngx_http_tccbs_generation(version) != generation) {
        return NGX_DECLINED;
    }

    *ngx_http_tccbs_at(page, version + 1) = *grant;

    ngx_memory_barrier();

    if (!ngx_atomic_cmp_set(&page->version, version, version + 1)) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_tccbs_grant_read(ngx_http_tccbs_page_t *page,
    ngx_atomic_uint_t *version, ngx_http_tccbs_grant_t *grant)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  v;

    for (i = 0; i < NGX_HTTP_TCCBS_GRANT_TRIES; i++) {

        v = page->version;

        if (v == *version) {
            return grant->id_len ? NGX_OK : NGX_DECLINED;
        }

        ngx_memory_barrier();

        *grant = *ngx_http_tccbs_at(page, v);

        ngx_memory_barrier();

        if (page->version == v) {
            *version = v;
            return grant->id_len ? NGX_OK : NGX_DECLINED;
        }
    }

    ngx_tccbs_wipe(grant, sizeof(ngx_http_tccbs_grant_t));
    *version = 0;

    return NGX_DECLINED;
}
