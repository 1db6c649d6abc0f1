
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "conf.h"
#include "setup.h"
#include "ngx_tccbs_key.h"
#include "ngx_tccbs_text.h"


typedef ngx_int_t (*tccbs_setup_pt)(tccbs_setup_t *setup,
    tccbs_directive_t *d);

typedef struct {
    const char       *block;                /* NULL: in any block */
    const char       *name;
    ngx_uint_t        min;                  /* arguments */
    tccbs_setup_pt    handler;
} tccbs_setup_directive_t;


static ngx_int_t tccbs_setup_directive(void *data, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_open(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_credential(tccbs_setup_t *setup,
    tccbs_directive_t *d);
static ngx_int_t tccbs_setup_key(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_master(tccbs_setup_t *setup,
    tccbs_directive_t *d);
static ngx_int_t tccbs_setup_audit(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_pass(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_server(tccbs_setup_t *setup,
    tccbs_directive_t *d);
static ngx_int_t tccbs_setup_pid(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_log(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_connection(tccbs_setup_t *setup,
    tccbs_directive_t *d);
static ngx_int_t tccbs_setup_ssl(tccbs_setup_t *setup, tccbs_directive_t *d);
static ngx_int_t tccbs_setup_file(tccbs_setup_t *setup, const char *what,
    ngx_str_t *path);
static char *tccbs_setup_path(tccbs_setup_t *setup, ngx_str_t *path,
    ngx_uint_t conf);
static void tccbs_setup_address(ngx_str_t *text, ngx_str_t *host,
    ngx_str_t *port, const char *port_default);


static tccbs_setup_directive_t  tccbs_setup_directives[] = {
    { "tccbs_credential", "file", 1, tccbs_setup_credential },
    { "tccbs_account", "key", 2, tccbs_setup_key },
    { "upstream", "server", 1, tccbs_setup_server },
    { NULL, "tccbs_key_master", 1, tccbs_setup_master },
    { NULL, "tccbs_audit", 1, tccbs_setup_audit },
    { NULL, "tccbs_pass", 1, tccbs_setup_pass },
    { NULL, "pid", 1, tccbs_setup_pid },
    { NULL, "error_log", 2, tccbs_setup_log },
    { NULL, "debug_connection", 1, tccbs_setup_connection },
    { NULL, "tccbs_ssl_trusted_certificate", 1, tccbs_setup_ssl },
    { NULL, "tccbs_ssl_crl", 1, tccbs_setup_ssl },
    { NULL, "tccbs_ssl_name", 1, tccbs_setup_ssl },
    { NULL, "tccbs_ssl_verify_depth", 1, tccbs_setup_ssl },
    { NULL, "tccbs_ssl_ciphers", 1, tccbs_setup_ssl },
    { NULL, NULL, 0, NULL }
};


ngx_int_t
tccbs_setup_read(tccbs_setup_t *setup)
{
    ngx_uint_t   i;

    struct {
        ngx_array_t  *array;
        size_t        size;
    } arrays[] = {
        { &setup->files, sizeof(tccbs_setup_file_t) },
        { &setup->keys, sizeof(tccbs_setup_key_t) },
        { &setup->passes, sizeof(tccbs_setup_pass_t) },
        { &setup->servers, sizeof(tccbs_setup_server_t) },
        { &setup->debug, sizeof(tccbs_setup_place_t) }
    };

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (ngx_array_init(arrays[i].array, setup->pool, 8, arrays[i].size)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    setup->block = ngx_pcalloc(setup->pool, sizeof(tccbs_block_t));
    if (setup->block == NULL) {
        return NGX_ERROR;
    }

    return tccbs_conf(setup->pool, setup->conf, tccbs_setup_directive, setup);
}


char *
tccbs_setup_value(tccbs_block_t *block, tccbs_setup_e value)
{
    for ( /* void */ ; block; block = block->parent) {
        if (block->values[value]) {
            return block->values[value];
        }
    }

    return NULL;
}


static ngx_int_t
tccbs_setup_directive(void *data, tccbs_directive_t *d)
{
    tccbs_setup_t *setup = data;

    tccbs_setup_directive_t  *known;

    if (d->end == '{') {
        return tccbs_setup_open(setup, d);
    }

    if (d->end == '}') {
        if (setup->block->parent) {
            setup->block = setup->block->parent;
        }

        return NGX_OK;
    }

    for (known = tccbs_setup_directives; known->name; known++) {
        if (d->n > known->min && ngx_tccbs_is(&d->words[0], known->name)
            && (known->block == NULL
                || ngx_tccbs_is(&setup->block->kind, known->block)))
        {
            return known->handler(setup, d);
        }
    }

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_open(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    tccbs_block_t  *block;

    block = ngx_pcalloc(setup->pool, sizeof(tccbs_block_t));
    if (block == NULL) {
        return NGX_ERROR;
    }

    block->parent = setup->block;
    block->kind = d->words[0];

    if (d->n > 1) {
        block->name = d->words[1];
    }

    setup->block = block;

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_credential(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    return tccbs_setup_file(setup, "credential", &d->words[1]);
}


static ngx_int_t
tccbs_setup_key(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    ngx_str_t           s;
    ngx_uint_t          i;
    tccbs_setup_key_t  *key;

    key = ngx_array_push(&setup->keys);
    if (key == NULL) {
        return NGX_ERROR;
    }

    key->id = d->words[1];
    key->expires = 0;

    for (i = 3; i < d->n; i++) {
        if (d->words[i].len > 8
            && ngx_strncmp(d->words[i].data, "expires=", 8) == 0)
        {
            s.data = d->words[i].data + 8;
            s.len = d->words[i].len - 8;
            key->expires = ngx_tccbs_key_expires(&s);
        }
    }

    if (d->words[2].len <= 5 || ngx_strncmp(d->words[2].data, "file:", 5) != 0)
    {
        return NGX_OK;
    }

    s.data = d->words[2].data + 5;
    s.len = d->words[2].len - 5;

    return tccbs_setup_file(setup, "key", &s);
}


static ngx_int_t
tccbs_setup_master(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    return tccbs_setup_file(setup, "master key", &d->words[1]);
}


static ngx_int_t
tccbs_setup_audit(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    ngx_str_t   s;
    ngx_uint_t  i;

    setup->audit = tccbs_setup_path(setup, &d->words[1], 0);

    for (i = 2; i < d->n; i++) {
        if (ngx_strncmp(d->words[i].data, "key=", 4) == 0) {
            s.data = d->words[i].data + 4;
            s.len = d->words[i].len - 4;

            return tccbs_setup_file(setup, "audit key", &s);
        }
    }

    return setup->audit ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
tccbs_setup_pass(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    size_t               skip;
    ngx_str_t            s;
    tccbs_setup_pass_t  *pass;

    pass = ngx_array_push(&setup->passes);
    if (pass == NULL) {
        return NGX_ERROR;
    }

    pass->block = setup->block;
    pass->ssl = (strncasecmp((char *) d->words[1].data, "https://", 8) == 0);

    skip = pass->ssl ? 8 : 7;

    s.data = d->words[1].data + ngx_min(skip, d->words[1].len);
    s.len = d->words[1].len - ngx_min(skip, d->words[1].len);

    if (s.len && s.data[s.len - 1] == '/') {
        s.len--;
    }

    tccbs_setup_address(&s, &pass->host, &pass->port, pass->ssl ? "443" : "80");

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_server(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    ngx_uint_t             i;
    tccbs_setup_server_t  *server;

    for (i = 2; i < d->n; i++) {
        if (ngx_tccbs_is(&d->words[i], "down")) {
            return NGX_OK;
        }
    }

    server = ngx_array_push(&setup->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }

    server->upstream = setup->block->name;
    tccbs_setup_address(&d->words[1], &server->host, &server->port, "80");

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_pid(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    if (setup->pid == NULL) {
        setup->pid = tccbs_setup_path(setup, &d->words[1], 0);
    }

    return setup->pid ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
tccbs_setup_log(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    ngx_uint_t  i;

    for (i = 2; i < d->n; i++) {
        if (ngx_tccbs_is(&d->words[i], "debug")
            || ngx_tccbs_is(&d->words[i], "debug_http"))
        {
            return tccbs_setup_connection(setup, d);
        }
    }

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_connection(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    tccbs_setup_place_t  *place;

    place = ngx_array_push(&setup->debug);
    if (place == NULL) {
        return NGX_ERROR;
    }

    place->file = d->file;
    place->line = d->line;

    return NGX_OK;
}


static ngx_int_t
tccbs_setup_ssl(tccbs_setup_t *setup, tccbs_directive_t *d)
{
    char        *value;
    ngx_uint_t   i;

    static const char  *names[TCCBS_SETUP_VALUES] = {
        "tccbs_ssl_trusted_certificate", "tccbs_ssl_crl", "tccbs_ssl_name",
        "tccbs_ssl_verify_depth", "tccbs_ssl_ciphers"
    };

    for (i = 0; !ngx_tccbs_is(&d->words[0], names[i]); i++) { /* void */ }

    /* the first two are files; an empty one stands for none */

    value = (char *) d->words[1].data;

    if (i <= TCCBS_SETUP_CRL && d->words[1].len) {
        value = tccbs_setup_path(setup, &d->words[1], 1);
    }

    setup->block->values[i] = value;

    return value ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
tccbs_setup_file(tccbs_setup_t *setup, const char *what, ngx_str_t *path)
{
    char                *full;
    ngx_uint_t           i;
    tccbs_setup_file_t  *file;

    full = tccbs_setup_path(setup, path, 1);
    if (full == NULL) {
        return NGX_ERROR;
    }

    file = setup->files.elts;

    for (i = 0; i < setup->files.nelts; i++) {
        if (strcmp(file[i].path, full) == 0) {
            return NGX_OK;
        }
    }

    file = ngx_array_push(&setup->files);
    if (file == NULL) {
        return NGX_ERROR;
    }

    file->what = what;
    file->path = full;

    return NGX_OK;
}


/* Relative to the directory of the configuration, or to nginx's prefix. */

static char *
tccbs_setup_path(tccbs_setup_t *setup, ngx_str_t *path, ngx_uint_t conf)
{
    char        *full;
    size_t       len;
    const char  *dir, *slash;

    dir = "";
    len = 0;

    if (path->len == 0 || path->data[0] != '/') {

        dir = conf ? setup->conf : setup->prefix;
        slash = strrchr(dir, '/');
        len = slash ? (size_t) (slash + 1 - dir) : 0;
    }

    full = ngx_pnalloc(setup->pool, len + path->len + 1);

    if (full) {
        (void) snprintf(full, len + path->len + 1, "%.*s%.*s", (int) len, dir,
                        (int) path->len, path->data);
    }

    return full;
}


/* "host", "host:port", "[::1]:port"; of the former the brackets stay out. */

static void
tccbs_setup_address(ngx_str_t *text, ngx_str_t *host, ngx_str_t *port,
    const char *port_default)
{
    u_char  *p, *last;

    last = text->data + text->len;

    host->data = text->data;
    host->len = text->len;

    port->data = (u_char *) port_default;
    port->len = strlen(port_default);

    for (p = last; p > text->data && p[-1] != ':' && p[-1] != ']'; p--) {
        /* void */
    }

    if (p > text->data && p[-1] == ':') {
        port->data = p;
        port->len = last - p;
        host->len = p - 1 - text->data;
    }

    if (host->len > 2 && host->data[0] == '[') {
        host->data++;
        host->len -= 2;
    }
}
