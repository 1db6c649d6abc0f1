
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "chain.h"


#define TCCBS_CHAINS  64                      /* a power of two, at first */


static ngx_int_t tccbs_chains_grow(tccbs_chains_t *chains);
static size_t tccbs_chain_hash(const u_char *name);
static int tccbs_chain_order(const void *one, const void *two);


tccbs_chain_t *
tccbs_chains_get(tccbs_chains_t *chains, const u_char *name,
    ngx_uint_t create)
{
    size_t          i;
    tccbs_chain_t  *chain;

    if (chains->recent
        && ngx_memcmp(chains->recent->name, name, TCCBS_LOG_CHAIN) == 0)
    {
        return chains->recent;
    }

    if (create && chains->n * 2 >= chains->size
        && tccbs_chains_grow(chains) != NGX_OK)
    {
        return NULL;
    }

    if (chains->size == 0) {
        return NULL;
    }

    for (i = tccbs_chain_hash(name) & (chains->size - 1); chains->table[i];
         i = (i + 1) & (chains->size - 1))
    {
        chain = &chains->elts[chains->table[i] - 1];

        if (ngx_memcmp(chain->name, name, TCCBS_LOG_CHAIN) == 0) {
            chains->recent = chain;
            return chain;
        }
    }

    if (!create) {
        return NULL;
    }

    chain = &chains->elts[chains->n++];
    chains->table[i] = chains->n;

    ngx_memzero(chain, sizeof(tccbs_chain_t));
    ngx_memcpy(chain->name, name, TCCBS_LOG_CHAIN);
    chain->sorted = 1;
    chain->first_again = (uint64_t) -1;

    chains->recent = chain;

    return chain;
}


static ngx_int_t
tccbs_chains_grow(tccbs_chains_t *chains)
{
    size_t          i, k, size;
    uint32_t       *table;
    tccbs_chain_t  *elts;

    size = chains->size ? 2 * chains->size : TCCBS_CHAINS;

    table = calloc(size, sizeof(uint32_t));
    elts = realloc(chains->elts, size * sizeof(tccbs_chain_t));

    if (elts) {
        chains->elts = elts;
    }

    if (table == NULL || elts == NULL) {
        free(table);
        return NGX_ERROR;
    }

    for (i = 0; i < chains->n; i++) {
        for (k = tccbs_chain_hash(elts[i].name) & (size - 1); table[k];
             k = (k + 1) & (size - 1))
        { /* void */ }

        table[k] = i + 1;
    }

    free(chains->table);

    chains->table = table;
    chains->size = size;
    chains->recent = NULL;

    return NGX_OK;
}


static size_t
tccbs_chain_hash(const u_char *name)
{
    uint32_t  n;

    ngx_memcpy(&n, name, sizeof(uint32_t));

    return n * (size_t) 2654435761u;
}


void
tccbs_chains_free(tccbs_chains_t *chains)
{
    size_t  i;

    for (i = 0; i < chains->n; i++) {
        free(chains->elts[i].entries);
    }

    free(chains->elts);
    free(chains->table);
}


tccbs_entry_t *
tccbs_chain_next(tccbs_chain_t *chain)
{
    size_t          n;
    tccbs_entry_t  *e;

    if (chain->n == chain->nalloc) {
        n = chain->nalloc ? 2 * chain->nalloc : 64;
        e = realloc(chain->entries, n * sizeof(tccbs_entry_t));

        if (e == NULL) {
            return NULL;
        }

        chain->entries = e;
        chain->nalloc = n;
    }

    return &chain->entries[chain->n];
}


void
tccbs_chain_sort(tccbs_chain_t *chain)
{
    if (!chain->sorted) {
        qsort(chain->entries, chain->n, sizeof(tccbs_entry_t),
              tccbs_chain_order);
    }
}


static int
tccbs_chain_order(const void *one, const void *two)
{
    const tccbs_entry_t *a = one, *b = two;

    if (a->seq != b->seq) {
        return (a->seq > b->seq) ? 1 : -1;
    }

    if (a->file != b->file) {
        return (a->file > b->file) ? 1 : -1;
    }

    return (a->line > b->line) - (a->line < b->line);
}


tccbs_entry_t *
tccbs_chain_find(tccbs_chain_t *chain, uint64_t seq)
{
    size_t  low, high, mid;

    for (low = 0, high = chain->n; low < high; /* void */ ) {
        mid = (low + high) / 2;

        if (chain->entries[mid].seq < seq) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return (low < chain->n && chain->entries[low].seq == seq)
           ? &chain->entries[low] : NULL;
}
