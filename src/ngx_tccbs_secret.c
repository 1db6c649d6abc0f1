
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_secret.h"


static ngx_int_t ngx_tccbs_secret_check(ngx_fd_t fd, ngx_str_t *path,
    ngx_uid_t user, size_t max, ngx_tccbs_secret_state_t *state,
    ngx_tccbs_secret_error_t *error);
static void ngx_tccbs_secret_set(ngx_tccbs_secret_state_t *state,
    ngx_file_info_t *fi);
static void ngx_tccbs_secret_fail(ngx_tccbs_secret_error_t *error,
    ngx_err_t err, const char *fmt, ...);


ngx_int_t
ngx_tccbs_secret_read(ngx_str_t *path, ngx_uid_t user, u_char *buf, size_t max,
    ngx_str_t *text, ngx_tccbs_secret_state_t *state,
    ngx_tccbs_secret_error_t *error)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  rc;

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_tccbs_secret_fail(error, ngx_errno,
                              ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = ngx_tccbs_secret_check(fd, path, user, max, state, error);

    if (rc == NGX_OK) {
        n = ngx_read_fd(fd, buf, (size_t) state->size);

        text->data = buf;
        text->len = (size_t) n;

        if (n != (ssize_t) state->size) {
            ngx_tccbs_secret_fail(error, (n < 0) ? ngx_errno : 0,
                                  ngx_read_fd_n " \"%V\" failed", path);
            rc = NGX_ERROR;
        }
    }

    (void) ngx_close_file(fd);

    return rc;
}


static ngx_int_t
ngx_tccbs_secret_check(ngx_fd_t fd, ngx_str_t *path, ngx_uid_t user,
    size_t max, ngx_tccbs_secret_state_t *state,
    ngx_tccbs_secret_error_t *error)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_tccbs_secret_fail(error, ngx_errno,
                              ngx_fd_info_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_tccbs_secret_fail(error, 0, "\"%V\" is not a regular file", path);
        return NGX_ERROR;
    }

    if (fi.st_mode & (S_IRWXG|S_IRWXO)) {
        ngx_tccbs_secret_fail(error, 0,
                              "\"%V\" holds a secret and is accessible to "
                              "others than its owner (mode %03uo), "
                              "use \"chmod 0400\"",
                              path, (ngx_uint_t) (fi.st_mode & 0777));
        return NGX_ERROR;
    }

    if (fi.st_uid != 0 && fi.st_uid != geteuid() && fi.st_uid != user) {
        ngx_tccbs_secret_fail(error, 0,
                              "\"%V\" holds a secret and belongs to uid %ui, "
                              "it must belong to root or to the user "
                              "that starts nginx",
                              path, (ngx_uint_t) fi.st_uid);
        return NGX_ERROR;
    }

    if (ngx_file_size(&fi) == 0 || ngx_file_size(&fi) > (off_t) max) {
        ngx_tccbs_secret_fail(error, 0,
                              "\"%V\" has %O bytes, between 1 and %uz "
                              "are expected", path, ngx_file_size(&fi), max);
        return NGX_ERROR;
    }

    ngx_tccbs_secret_set(state, &fi);

    return NGX_OK;
}


ngx_int_t
ngx_tccbs_secret_stat(ngx_str_t *path, ngx_tccbs_secret_state_t *state)
{
    ngx_file_info_t  fi;

    /* what is between the fields is compared as well */

    ngx_memzero(state, sizeof(ngx_tccbs_secret_state_t));

    if (ngx_file_info(path->data, &fi) == NGX_FILE_ERROR) {
        return NGX_ERROR;
    }

    ngx_tccbs_secret_set(state, &fi);

    return NGX_OK;
}


static void
ngx_tccbs_secret_set(ngx_tccbs_secret_state_t *state, ngx_file_info_t *fi)
{
    ngx_memzero(state, sizeof(ngx_tccbs_secret_state_t));

    state->dev = fi->st_dev;
    state->ino = fi->st_ino;
    state->size = fi->st_size;
    state->mtime = (uint64_t) fi->st_mtim.tv_sec * 1000000000
                   + fi->st_mtim.tv_nsec;
    state->ctime = (uint64_t) fi->st_ctim.tv_sec * 1000000000
                   + fi->st_ctim.tv_nsec;
}


static void
ngx_tccbs_secret_fail(ngx_tccbs_secret_error_t *error, ngx_err_t err,
    const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(error->why, error->why + sizeof(error->why) - 1, fmt,
                      args);
    va_end(args);

    *p = '\0';
    error->err = err;
}
