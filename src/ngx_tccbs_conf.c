
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_conf.h"


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
static ngx_int_t ngx_tccbs_conf_secret_read(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_tccbs_arena_t *arena, ngx_str_t *path, size_t max, ngx_str_t *secret);


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
    ngx_fd_t   fd;
    ngx_int_t  rc;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = ngx_tccbs_conf_secret_read(cf, fd, arena, path, max, secret);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    return rc;
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


static ngx_int_t
ngx_tccbs_conf_secret_read(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_tccbs_arena_t *arena, ngx_str_t *path, size_t max, ngx_str_t *secret)
{
    size_t           size;
    ssize_t          n;
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a regular file", path);
        return NGX_ERROR;
    }

    if (fi.st_mode & (S_IRWXG|S_IRWXO)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" holds a secret and is accessible to others "
                           "than its owner (mode %03uo), "
                           "use \"chmod 0400\"",
                           path, (ngx_uint_t) (fi.st_mode & 0777));
        return NGX_ERROR;
    }

    if (fi.st_uid != 0 && fi.st_uid != geteuid()) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" holds a secret and belongs to uid %ui, "
                           "it must belong to root or to the user "
                           "that starts nginx",
                           path, (ngx_uint_t) fi.st_uid);
        return NGX_ERROR;
    }

    size = ngx_file_size(&fi);

    if (size == 0 || size > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has %uz bytes, between 1 and %uz "
                           "are expected", path, size, max);
        return NGX_ERROR;
    }

    secret->data = ngx_tccbs_arena_alloc(arena, size + 1);
    if (secret->data == NULL) {
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, secret->data, size);

    if (n != (ssize_t) size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, (n < 0) ? ngx_errno : 0,
                           ngx_read_fd_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    secret->data[size] = '\0';
    secret->len = size;

    return NGX_OK;
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
