
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "conf.h"
#include "ngx_tccbs_text.h"

#include <glob.h>


#define TCCBS_CONF_SIZE   (64 * 1024 * 1024)
#define TCCBS_CONF_DEPTH  16


typedef struct {
    ngx_pool_t       *pool;
    const char       *main;
    tccbs_conf_pt     handler;
    void             *data;
    ngx_uint_t        depth;              /* of files */
} tccbs_conf_t;

typedef struct {
    u_char           *p;
    u_char           *last;
    ngx_uint_t        line;
} tccbs_conf_text_t;


static ngx_int_t tccbs_conf_file(tccbs_conf_t *conf, const char *file);
static ngx_int_t tccbs_conf_include(tccbs_conf_t *conf, ngx_str_t *pattern);
static ngx_int_t tccbs_conf_word(ngx_pool_t *pool, tccbs_conf_text_t *t,
    ngx_str_t *word);
static ngx_uint_t tccbs_conf_escape(u_char *p, u_char *last);


ngx_int_t
tccbs_conf(ngx_pool_t *pool, const char *file, tccbs_conf_pt handler,
    void *data)
{
    tccbs_conf_t  conf;

    conf.pool = pool;
    conf.main = file;
    conf.handler = handler;
    conf.data = data;
    conf.depth = 0;

    return tccbs_conf_file(&conf, file);
}


static ngx_int_t
tccbs_conf_file(tccbs_conf_t *conf, const char *file)
{
    ngx_int_t           rc;
    ngx_str_t           text, *words;
    tccbs_conf_text_t   t;
    tccbs_directive_t   d;

    if (tccbs_read_file(file, conf->pool, TCCBS_CONF_SIZE, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    words = ngx_palloc(conf->pool, TCCBS_CONF_WORDS * sizeof(ngx_str_t));

    if (words == NULL || ++conf->depth > TCCBS_CONF_DEPTH) {
        fprintf(stderr, "tccbs: too many files in each other at \"%s\"\n",
                file);
        return NGX_ERROR;
    }

    t.p = text.data;
    t.last = text.data + text.len;
    t.line = 1;

    d.file = file;
    d.words = words;
    d.n = 0;

    for ( ;; ) {

        rc = tccbs_conf_word(conf->pool, &t, &words[d.n]);

        if (rc == NGX_DONE) {
            break;
        }

        if (d.n == 0) {
            d.line = t.line;
        }

        if (rc == NGX_OK && ++d.n < TCCBS_CONF_WORDS) {
            continue;
        }

        if (rc <= NGX_OK) {
            fprintf(stderr, "tccbs: cannot read \"%s\", line %u\n", file,
                    (unsigned) t.line);
            return NGX_ERROR;
        }

        d.end = (u_char) rc;

        if (d.n == 2 && rc == ';' && ngx_tccbs_is(&words[0], "include")) {
            rc = tccbs_conf_include(conf, &words[1]);

        } else {
            rc = (d.n || d.end == '}') ? conf->handler(conf->data, &d)
                                       : NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        d.n = 0;
    }

    conf->depth--;

    return NGX_OK;
}


static ngx_int_t
tccbs_conf_include(tccbs_conf_t *conf, ngx_str_t *pattern)
{
    int          rc;
    char         path[4096], *file;
    size_t       i;
    glob_t       gl;
    ngx_int_t    result;
    const char  *slash;

    slash = strrchr(conf->main, '/');

    snprintf(path, sizeof(path), "%.*s%.*s",
             (pattern->data[0] == '/' || slash == NULL)
             ? 0 : (int) (slash + 1 - conf->main), conf->main,
             (int) pattern->len, pattern->data);

    if (strpbrk(path, "*?[") == NULL) {
        file = (char *) ngx_pnalloc(conf->pool, strlen(path) + 1);
        if (file == NULL) {
            return NGX_ERROR;
        }

        return tccbs_conf_file(conf, strcpy(file, path));
    }

    rc = glob(path, 0, NULL, &gl);

    if (rc == GLOB_NOMATCH) {
        return NGX_OK;
    }

    if (rc != 0) {
        fprintf(stderr, "tccbs: cannot read \"%s\"\n", path);
        return NGX_ERROR;
    }

    result = NGX_OK;

    for (i = 0; i < gl.gl_pathc && result == NGX_OK; i++) {
        file = (char *) ngx_pnalloc(conf->pool, strlen(gl.gl_pathv[i]) + 1);
        result = file ? tccbs_conf_file(conf, strcpy(file, gl.gl_pathv[i]))
                      : NGX_ERROR;
    }

    globfree(&gl);

    return result;
}


/* NGX_OK: a word; ";", "{" or "}"; NGX_DONE: the end; NGX_ERROR. */

static ngx_int_t
tccbs_conf_word(ngx_pool_t *pool, tccbs_conf_text_t *t, ngx_str_t *word)
{
    u_char  c, quote, *dst, *end;

    for ( ;; ) {

        if (t->p == t->last) {
            return NGX_DONE;
        }

        c = *t->p;

        if (c == LF) {
            t->line++;

        } else if (c == '#') {
            while (t->p < t->last && *t->p != LF) {
                t->p++;
            }

            continue;

        } else if (c != ' ' && c != '\t' && c != CR) {
            break;
        }

        t->p++;
    }

    if (c == ';' || c == '{' || c == '}') {
        t->p++;
        return c;
    }

    quote = (c == '"' || c == '\'') ? c : 0;

    if (quote) {
        t->p++;
    }

    for (end = t->p; end < t->last; end++) {
        c = *end;

        if (quote ? (c == quote)
                  : (c == ' ' || c == '\t' || c == CR || c == LF || c == ';'
                     || (c == '{' && (end == t->p || end[-1] != '$'))))
        {
            break;
        }

        if (tccbs_conf_escape(end, t->last)) {
            end++;
        }
    }

    if (quote && end >= t->last) {
        return NGX_ERROR;
    }

    dst = ngx_pnalloc(pool, end - t->p + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    word->data = dst;

    for ( /* void */ ; t->p < end; t->p++) {

        if (tccbs_conf_escape(t->p, end)) {
            t->p++;
        }

        t->line += (*t->p == LF);
        *dst++ = *t->p;
    }

    word->len = dst - word->data;
    *dst = '\0';

    if (quote) {
        t->p++;
    }

    return NGX_OK;
}


static ngx_uint_t
tccbs_conf_escape(u_char *p, u_char *last)
{
    return *p == '\\' && p + 1 < last
           && (p[1] == '"' || p[1] == '\'' || p[1] == '\\');
}
