
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_conf.h"
#include "ngx_tccbs_secret.h"
#include "ngx_tccbs_text.h"


typedef struct ngx_tccbs_index_node_s  ngx_tccbs_index_node_t;

struct ngx_tccbs_index_node_s {
    ngx_tccbs_index_node_t     *next;
    ngx_str_t                   name;
    void                       *value;
};


struct ngx_tccbs_index_s {
    ngx_pool_t                 *pool;
    ngx_uint_t                  mask;
    ngx_tccbs_index_node_t    **buckets;
};


typedef struct {
    ngx_tccbs_block_command_t  *commands;
    void                       *object;
} ngx_tccbs_block_t;


static char *ngx_tccbs_conf_handler(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);


char *
ngx_tccbs_conf_block(ngx_conf_t *cf, ngx_tccbs_block_command_t *commands,
    void *object)
{
    char               *rv;
    ngx_conf_t          save;
    ngx_tccbs_block_t   block;

    block.commands = commands;
    block.object = object;

    save = *cf;

    cf->handler = ngx_tccbs_conf_handler;
    cf->handler_conf = (void *) &block;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


static char *
ngx_tccbs_conf_handler(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_tccbs_block_t *block = conf;

    ngx_str_t                  *value;
    ngx_uint_t                  n;
    ngx_tccbs_block_command_t  *cmd;

    value = cf->args->elts;
    n = cf->args->nelts - 1;

    if (value[0].len == 7 && ngx_strncmp(value[0].data, "include", 7) == 0) {
        if (n != 1) {
            return "needs one file name in \"include\"";
        }

        return ngx_conf_include(cf, dummy, conf);
    }

    for (cmd = block->commands; cmd->name.len; cmd++) {

        if (cmd->name.len != value[0].len
            || ngx_strncmp(cmd->name.data, value[0].data, value[0].len) != 0)
        {
            continue;
        }

        if (n < cmd->min || n > cmd->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\"",
                               &value[0]);
            return NGX_CONF_ERROR;
        }

        return cmd->set(cf, block->object);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown directive \"%V\"",
                       &value[0]);

    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_tccbs_conf_secret(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, size_t max, ngx_str_t *secret)
{
    u_char                    *buf;
    ngx_int_t                  rc;
    ngx_tccbs_secret_error_t   error;
    ngx_tccbs_secret_state_t   state;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    buf = ngx_tccbs_arena_alloc(arena, max + 1);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_tccbs_secret_read(path, geteuid(), buf, max, secret, &state,
                               &error);

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, error.err, "%s", error.why);
        return NGX_ERROR;
    }

    buf[secret->len] = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_conf_secret_line(ngx_conf_t *cf, ngx_tccbs_arena_t *arena,
    ngx_str_t *path, size_t max, ngx_str_t *secret)
{
    if (ngx_tccbs_conf_secret(cf, arena, path, max + 2, secret) != NGX_OK) {
        return NGX_ERROR;
    }

    while (secret->len && (secret->data[secret->len - 1] == LF
                           || secret->data[secret->len - 1] == CR))
    {
        secret->len--;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_tccbs_loopback(ngx_str_t *host)
{
    return ngx_tccbs_is(host, "127.0.0.1") || ngx_tccbs_is(host, "[::1]")
           || ngx_tccbs_is(host, "localhost");
}


ngx_tccbs_index_t *
ngx_tccbs_index_create(ngx_pool_t *pool, ngx_uint_t n)
{
    ngx_uint_t          size;
    ngx_tccbs_index_t  *index;

    for (size = 16; size < n * 2; size *= 2) { /* void */ }

    index = ngx_palloc(pool, sizeof(ngx_tccbs_index_t));
    if (index == NULL) {
        return NULL;
    }

    index->pool = pool;
    index->mask = size - 1;
    index->buckets = ngx_pcalloc(pool,
                                 size * sizeof(ngx_tccbs_index_node_t *));

    return (index->buckets == NULL) ? NULL : index;
}


ngx_int_t
ngx_tccbs_index_add(ngx_tccbs_index_t *index, ngx_str_t *name, void *value)
{
    ngx_uint_t               i;
    ngx_tccbs_index_node_t  *node;

    if (ngx_tccbs_index_find(index, name) != NULL) {
        return NGX_BUSY;
    }

    node = ngx_palloc(index->pool, sizeof(ngx_tccbs_index_node_t));
    if (node == NULL) {
        return NGX_ERROR;
    }

    i = ngx_murmur_hash2(name->data, name->len) & index->mask;

    node->name = *name;
    node->value = value;
    node->next = index->buckets[i];

    index->buckets[i] = node;

    return NGX_OK;
}


void *
ngx_tccbs_index_find(ngx_tccbs_index_t *index, ngx_str_t *name)
{
    ngx_uint_t               i;
    ngx_tccbs_index_node_t  *node;

    i = ngx_murmur_hash2(name->data, name->len) & index->mask;

    for (node = index->buckets[i]; node; node = node->next) {

        if (node->name.len == name->len
            && ngx_memcmp(node->name.data, name->data, name->len) == 0)
        {
            return node->value;
        }
    }

    return NULL;
}
