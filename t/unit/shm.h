
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _SHM_H_INCLUDED_
#define _SHM_H_INCLUDED_


/*
 * Stands in for nginx's slab, mutex and tree in programs that share memory
 * between processes without nginx: blocks of one size, a spin lock and a tree
 * that is not balanced.
 */

#include <ngx_config.h>
#include <ngx_core.h>

#include <sched.h>
#include <sys/mman.h>


#define SHM_BLOCK  256


typedef struct {
    ngx_slab_pool_t   pool;
    ngx_atomic_t      lock;
    size_t            used;
    size_t            size;
    void             *free;
    ngx_uint_t        n;              /* blocks in use */
    u_char            blocks[];
} shm_t;




static void
shm_zone(ngx_shm_zone_t *zone, size_t size)
{
    shm_t  *shm;

    shm = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
               0);

    if (shm == MAP_FAILED) {
        abort();
    }

    shm->size = (size - sizeof(shm_t)) / SHM_BLOCK;

    ngx_memzero(zone, sizeof(ngx_shm_zone_t));

    zone->shm.addr = (u_char *) shm;
    zone->shm.size = size;
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
    shm_t  *shm = (shm_t *) ((u_char *) mtx - offsetof(ngx_slab_pool_t, mutex));

    while (!__sync_bool_compare_and_swap(&shm->lock, 0, 1)) {
        sched_yield();
    }
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
    shm_t  *shm = (shm_t *) ((u_char *) mtx - offsetof(ngx_slab_pool_t, mutex));

    __sync_lock_release(&shm->lock);
}


void *
ngx_slab_calloc_locked(ngx_slab_pool_t *pool, size_t size)
{
    void   *p;
    shm_t  *shm = (shm_t *) pool;

    if (size > SHM_BLOCK) {
        abort();
    }

    if (shm->free) {
        p = shm->free;
        shm->free = *(void **) p;

    } else if (shm->used < shm->size) {
        p = shm->blocks + SHM_BLOCK * shm->used++;

    } else {
        return NULL;
    }

    shm->n++;
    ngx_memzero(p, size);

    return p;
}


void *
ngx_slab_alloc_locked(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_slab_calloc_locked(pool, size);
}


void
ngx_slab_free_locked(ngx_slab_pool_t *pool, void *p)
{
    shm_t  *shm = (shm_t *) pool;

    ngx_memset(p, 0x5a, SHM_BLOCK);

    *(void **) p = shm->free;
    shm->free = p;
    shm->n--;
}


void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    if (tree->root == tree->sentinel) {
        node->parent = NULL;
        node->left = tree->sentinel;
        node->right = tree->sentinel;
        tree->root = node;
        return;
    }

    tree->insert(tree->root, node, tree->sentinel);
}


static void
shm_tree_replace(ngx_rbtree_t *tree, ngx_rbtree_node_t *old,
    ngx_rbtree_node_t *node)
{
    if (old->parent == NULL) {
        tree->root = node;

    } else if (old->parent->left == old) {
        old->parent->left = node;

    } else {
        old->parent->right = node;
    }

    if (node != tree->sentinel) {
        node->parent = old->parent;
    }
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_rbtree_node_t  *next;

    if (node->left == tree->sentinel) {
        shm_tree_replace(tree, node, node->right);
        return;
    }

    if (node->right == tree->sentinel) {
        shm_tree_replace(tree, node, node->left);
        return;
    }

    next = ngx_rbtree_min(node->right, tree->sentinel);

    if (next->parent != node) {
        shm_tree_replace(tree, next, next->right);
        next->right = node->right;
        next->right->parent = next;
    }

    shm_tree_replace(tree, node, next);
    next->left = node->left;
    next->left->parent = next;
}


ngx_rbtree_node_t *
ngx_rbtree_next(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    if (node->right != tree->sentinel) {
        return ngx_rbtree_min(node->right, tree->sentinel);
    }

    while (node->parent && node->parent->right == node) {
        node = node->parent;
    }

    return node->parent;
}


#endif /* _SHM_H_INCLUDED_ */
