
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <yajl/yajl_parse.h>

#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_json.h"
#include "ngx_tccbs_text.h"


/* from this many members on, duplicates are looked for by hash */

#define NGX_TCCBS_JSON_FEW      8
#define NGX_TCCBS_JSON_DEPTH    32

/*
 * yajl does not look whether it got memory, so what it can ask for is there
 * before it begins: its fixed parts, and two buffers, each of which doubles
 * until it has room for the longest string.
 */

#define NGX_TCCBS_JSON_HEAP(len)  (16384 + 8 * (len))
#define NGX_TCCBS_JSON_ALIGN      16


typedef struct ngx_tccbs_json_set_s  ngx_tccbs_json_set_t;

/* The names of one object: open addressing over its members. */

struct ngx_tccbs_json_set_s {
    ngx_tccbs_json_t              **slots;
    ngx_uint_t                      size;      /* a power of two */
};


typedef struct {
    ngx_tccbs_json_t               *node;
    ngx_tccbs_json_t               *last;      /* child */
    ngx_tccbs_json_set_t            set;
} ngx_tccbs_json_level_t;


typedef struct {
    ngx_pool_t                     *pool;
    const ngx_tccbs_json_limits_t  *limits;
    ngx_uint_t                      nodes;
    ngx_uint_t                      depth;
    ngx_tccbs_json_level_t          levels[NGX_TCCBS_JSON_DEPTH];
    ngx_tccbs_json_t               *root;
    ngx_str_t                       name;
    u_char                         *free;      /* of what yajl gets */
    u_char                         *end;
    const char                     *why;
    unsigned                        failed:1;
} ngx_tccbs_json_parser_t;


static const char *ngx_tccbs_json_scan(const ngx_str_t *text);
static const u_char *ngx_tccbs_json_scan_escape(const u_char *p,
    const u_char *last, const char **why);
static ngx_int_t ngx_tccbs_json_unit(const u_char *p, const u_char *last);
static ngx_tccbs_json_t *ngx_tccbs_json_add(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_type_e type, const u_char *data, size_t len);
static int ngx_tccbs_json_open(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_type_e type);
static ngx_int_t ngx_tccbs_json_unique(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_level_t *level, ngx_tccbs_json_t *node);
static ngx_int_t ngx_tccbs_json_grow(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_level_t *level);
static int ngx_tccbs_json_null(void *data);
static int ngx_tccbs_json_bool(void *data, int value);
static int ngx_tccbs_json_number(void *data, const char *text, size_t len);
static int ngx_tccbs_json_string(void *data, const unsigned char *text,
    size_t len);
static int ngx_tccbs_json_start_map(void *data);
static int ngx_tccbs_json_key(void *data, const unsigned char *text,
    size_t len);
static int ngx_tccbs_json_start_array(void *data);
static int ngx_tccbs_json_end(void *data);
static void *ngx_tccbs_json_malloc(void *data, size_t size);
static void *ngx_tccbs_json_realloc(void *data, void *p, size_t size);
static void ngx_tccbs_json_free(void *data, void *p);


static yajl_callbacks  ngx_tccbs_json_callbacks = {
    ngx_tccbs_json_null,
    ngx_tccbs_json_bool,
    NULL,                                  /* integer */
    NULL,                                  /* double */
    ngx_tccbs_json_number,
    ngx_tccbs_json_string,
    ngx_tccbs_json_start_map,
    ngx_tccbs_json_key,
    ngx_tccbs_json_end,
    ngx_tccbs_json_start_array,
    ngx_tccbs_json_end
};


ngx_int_t
ngx_tccbs_json_parse(ngx_pool_t *pool, const ngx_str_t *text,
    const ngx_tccbs_json_limits_t *limits, ngx_tccbs_json_t **root,
    ngx_str_t *why)
{
    u_char                   *heap;
    yajl_handle               yajl;
    yajl_status               status;
    yajl_alloc_funcs          alloc;
    ngx_tccbs_json_parser_t   parser;

    *root = NULL;

    ngx_memzero(&parser, sizeof(ngx_tccbs_json_parser_t));

    parser.pool = pool;
    parser.limits = limits;
    parser.why = ngx_tccbs_json_scan(text);

    if (parser.why) {
        goto declined;
    }

    alloc.malloc = ngx_tccbs_json_malloc;
    alloc.realloc = ngx_tccbs_json_realloc;
    alloc.free = ngx_tccbs_json_free;
    alloc.ctx = &parser;

    heap = malloc(NGX_TCCBS_JSON_HEAP(text->len));
    if (heap == NULL) {
        return NGX_ERROR;
    }

    parser.free = heap;
    parser.end = heap + NGX_TCCBS_JSON_HEAP(text->len);

    yajl = yajl_alloc(&ngx_tccbs_json_callbacks, &alloc, &parser);

    status = yajl_parse(yajl, text->data, text->len);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(yajl);
    }

    yajl_free(yajl);

    /* what yajl kept aside may be a secret */

    ngx_tccbs_wipe(heap, parser.free - heap);
    free(heap);

    if (status == yajl_status_ok && parser.root && !parser.failed) {
        *root = parser.root;
        return NGX_OK;
    }

    /* nor does a part of it stay */

    ngx_tccbs_json_wipe(parser.root);
    ngx_tccbs_wipe(parser.name.data, parser.name.len);

    if (parser.failed) {
        return NGX_ERROR;
    }

    if (parser.why == NULL) {
        parser.why = "the text is malformed";
    }

declined:

    why->data = (u_char *) parser.why;
    why->len = ngx_strlen(parser.why);

    return NGX_DECLINED;
}


/*
 * What yajl lets through: bytes that are no UTF-8, the NUL character, half of a
 * surrogate pair, a vertical tab or a form feed as white space, a string
 * without its end behind the value.
 */

static const char *
ngx_tccbs_json_scan(const ngx_str_t *text)
{
    uint32_t       cp;
    uint64_t       word;
    ngx_uint_t     quoted;
    const char    *why;
    const u_char  *p, *last;

    /* C does not define what NULL + 0 is */

    p = text->data;
    last = text->len ? p + text->len : p;
    why = NULL;
    quoted = 0;

    while (p < last) {

        if (last - p >= 8) {
            ngx_memcpy(&word, p, 8);

            if (ngx_tccbs_plain(word)) {
                p += 8;
                continue;
            }
        }

        if (*p == '\0') {
            return "there is a NUL byte in it";
        }

        if (*p < ' ' && *p != '\t' && *p != '\n' && *p != '\r') {
            return "there is a control character in it";
        }

        quoted ^= (*p == '"');

        if (*p == '\\') {
            p = ngx_tccbs_json_scan_escape(p, last, &why);

            if (why) {
                return why;
            }

            continue;
        }

        if (*p < 0x80) {
            p++;
            continue;
        }

        cp = ngx_tccbs_utf8(&p, last);

        if (cp == NGX_TCCBS_UTF8_INVALID) {
            return "the text is no valid UTF-8";
        }
    }

    return quoted ? "a string has no end" : NULL;
}


static const u_char *
ngx_tccbs_json_scan_escape(const u_char *p, const u_char *last,
    const char **why)
{
    ngx_int_t  unit;

    /* an escape outside of a string, or one that is cut, is left to yajl */

    if (last - p < 2 || p[1] != 'u') {
        return (last - p < 2) ? last : p + 2;
    }

    unit = ngx_tccbs_json_unit(p, last);
    p += 6;

    if (unit == NGX_ERROR) {
        *why = "an escape sequence is malformed";
        return last;
    }

    if (unit == 0) {
        *why = "there is a NUL character in it";
        return last;
    }

    if (unit >= 0xdc00 && unit <= 0xdfff) {
        *why = "there is a lone surrogate in it";
        return last;
    }

    if (unit < 0xd800 || unit > 0xdbff) {
        return p;
    }

    unit = ngx_tccbs_json_unit(p, last);

    if (unit < 0xdc00 || unit > 0xdfff) {
        *why = "there is a lone surrogate in it";
        return last;
    }

    return p + 6;
}


static ngx_int_t
ngx_tccbs_json_unit(const u_char *p, const u_char *last)
{
    u_char      c;
    ngx_int_t   unit;
    ngx_uint_t  i;

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return NGX_ERROR;
    }

    unit = 0;

    for (i = 2; i < 6; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            unit = unit << 4 | (c - '0');
            continue;
        }

        c |= 0x20;

        if (c < 'a' || c > 'f') {
            return NGX_ERROR;
        }

        unit = unit << 4 | (c - 'a' + 10);
    }

    return unit;
}


static ngx_tccbs_json_t *
ngx_tccbs_json_add(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_type_e type, const u_char *data, size_t len)
{
    ngx_tccbs_json_t        *node;
    ngx_tccbs_json_level_t  *level;

    if (++parser->nodes > parser->limits->nodes) {
        parser->why = "there are too many values";
        return NULL;
    }

    node = ngx_pcalloc(parser->pool, sizeof(ngx_tccbs_json_t));
    if (node == NULL) {
        parser->failed = 1;
        return NULL;
    }

    node->type = type;

    if (data) {
        node->value.len = len;
        node->value.data = ngx_pnalloc(parser->pool, len + 1);

        if (node->value.data == NULL) {
            parser->failed = 1;
            return NULL;
        }

        ngx_memcpy(node->value.data, data, len);
    }

    if (parser->depth == 0) {
        parser->root = node;
        return node;
    }

    level = &parser->levels[parser->depth - 1];

    if (level->node->type == NGX_TCCBS_JSON_OBJECT) {
        node->name = parser->name;

        if (ngx_tccbs_json_unique(parser, level, node) != NGX_OK) {
            ngx_tccbs_wipe(node->value.data, node->value.len);
            return NULL;
        }
    }

    if (level->last) {
        level->last->next = node;

    } else {
        level->node->child = node;
    }

    level->last = node;
    level->node->n++;

    return node;
}


static ngx_int_t
ngx_tccbs_json_unique(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_level_t *level, ngx_tccbs_json_t *node)
{
    uint32_t               hash;
    ngx_tccbs_json_t      *other;
    ngx_tccbs_json_set_t  *set;

    set = &level->set;

    if (level->node->n < NGX_TCCBS_JSON_FEW) {

        for (other = level->node->child; other; other = other->next) {
            if (ngx_tccbs_same(&other->name, &node->name)) {
                goto duplicate;
            }
        }

        return NGX_OK;
    }

    if (set->size < 2 * (level->node->n + 1)
        && ngx_tccbs_json_grow(parser, level) != NGX_OK)
    {
        return NGX_ERROR;
    }

    hash = ngx_tccbs_hash(&node->name);

    for ( ;; ) {
        other = set->slots[hash++ & (set->size - 1)];

        if (other == NULL) {
            set->slots[(hash - 1) & (set->size - 1)] = node;
            return NGX_OK;
        }

        if (ngx_tccbs_same(&other->name, &node->name)) {
            goto duplicate;
        }
    }

duplicate:

    parser->why = "a name is repeated in an object";

    return NGX_ERROR;
}


static ngx_int_t
ngx_tccbs_json_grow(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_level_t *level)
{
    uint32_t               hash;
    ngx_tccbs_json_t      *node;
    ngx_tccbs_json_set_t  *set;

    set = &level->set;

    set->size = 8 * level->node->n;

    while (set->size & (set->size - 1)) {
        set->size &= set->size - 1;
    }

    set->slots = ngx_pcalloc(parser->pool,
                             set->size * sizeof(ngx_tccbs_json_t *));

    if (set->slots == NULL) {
        parser->failed = 1;
        return NGX_ERROR;
    }

    for (node = level->node->child; node; node = node->next) {

        hash = ngx_tccbs_hash(&node->name);

        while (set->slots[hash & (set->size - 1)]) {
            hash++;
        }

        set->slots[hash & (set->size - 1)] = node;
    }

    return NGX_OK;
}


static int
ngx_tccbs_json_open(ngx_tccbs_json_parser_t *parser,
    ngx_tccbs_json_type_e type)
{
    ngx_tccbs_json_t        *node;
    ngx_tccbs_json_level_t  *level;

    if (parser->depth == parser->limits->depth
        || parser->depth == NGX_TCCBS_JSON_DEPTH)
    {
        parser->why = "it is nested too deeply";
        return 0;
    }

    node = ngx_tccbs_json_add(parser, type, NULL, 0);
    if (node == NULL) {
        return 0;
    }

    level = &parser->levels[parser->depth++];

    ngx_memzero(level, sizeof(ngx_tccbs_json_level_t));
    level->node = node;

    return 1;
}


static int
ngx_tccbs_json_null(void *data)
{
    return ngx_tccbs_json_add(data, NGX_TCCBS_JSON_NULL,
                              (u_char *) "null", 4) != NULL;
}


static int
ngx_tccbs_json_bool(void *data, int value)
{
    const char  *text;

    text = value ? "true" : "false";

    return ngx_tccbs_json_add(data, NGX_TCCBS_JSON_BOOL, (u_char *) text,
                              ngx_strlen(text)) != NULL;
}


static int
ngx_tccbs_json_number(void *data, const char *text, size_t len)
{
    return ngx_tccbs_json_add(data, NGX_TCCBS_JSON_NUMBER, (u_char *) text,
                              len) != NULL;
}


static int
ngx_tccbs_json_string(void *data, const unsigned char *text, size_t len)
{
    return ngx_tccbs_json_add(data, NGX_TCCBS_JSON_STRING, text, len) != NULL;
}


static int
ngx_tccbs_json_start_map(void *data)
{
    return ngx_tccbs_json_open(data, NGX_TCCBS_JSON_OBJECT);
}


static int
ngx_tccbs_json_key(void *data, const unsigned char *text, size_t len)
{
    ngx_tccbs_json_parser_t *parser = data;

    parser->name.len = 0;
    parser->name.data = ngx_pnalloc(parser->pool, len + 1);

    if (parser->name.data == NULL) {
        parser->failed = 1;
        return 0;
    }

    ngx_memcpy(parser->name.data, text, len);
    parser->name.len = len;

    return 1;
}


static int
ngx_tccbs_json_start_array(void *data)
{
    return ngx_tccbs_json_open(data, NGX_TCCBS_JSON_ARRAY);
}


static int
ngx_tccbs_json_end(void *data)
{
    ngx_tccbs_json_parser_t *parser = data;

    parser->depth--;

    return 1;
}


/* A block has its size in front; the last one can grow where it is. */

static void *
ngx_tccbs_json_malloc(void *data, size_t size)
{
    ngx_tccbs_json_parser_t *parser = data;

    u_char  *p;
    size_t   len;

    len = NGX_TCCBS_JSON_ALIGN + ngx_align(size, NGX_TCCBS_JSON_ALIGN);

    if ((size_t) (parser->end - parser->free) < len) {

        /* never, unless yajl has changed: the text is not accepted then */

        parser->failed = 1;
        p = ngx_palloc(parser->pool, len);

    } else {
        p = parser->free;
        parser->free += len;
    }

    ngx_memcpy(p, &len, sizeof(size_t));

    return p + NGX_TCCBS_JSON_ALIGN;
}


static void *
ngx_tccbs_json_realloc(void *data, void *p, size_t size)
{
    ngx_tccbs_json_parser_t *parser = data;

    u_char  *block;
    void    *new;
    size_t   len;

    if (p == NULL) {
        return ngx_tccbs_json_malloc(data, size);
    }

    block = (u_char *) p - NGX_TCCBS_JSON_ALIGN;
    ngx_memcpy(&len, block, sizeof(size_t));

    if (block + len == parser->free) {
        parser->free = block;
    }

    new = ngx_tccbs_json_malloc(data, size);

    if (new != p) {
        ngx_memcpy(new, p, ngx_min(size, len - NGX_TCCBS_JSON_ALIGN));
    }

    return new;
}


static void
ngx_tccbs_json_free(void *data, void *p)
{
    /* all of it goes at once */
}


ngx_tccbs_json_t *
ngx_tccbs_json_get(ngx_tccbs_json_t *node, const char *name)
{
    ngx_tccbs_json_t  *child;

    if (node == NULL || node->type != NGX_TCCBS_JSON_OBJECT) {
        return NULL;
    }

    for (child = node->child; child; child = child->next) {
        if (ngx_tccbs_is(&child->name, name)) {
            return child;
        }
    }

    return NULL;
}


void
ngx_tccbs_json_wipe(ngx_tccbs_json_t *node)
{
    for ( /* void */ ; node; node = node->next) {
        ngx_tccbs_wipe(node->name.data, node->name.len);
        ngx_tccbs_wipe(node->value.data, node->value.len);
        ngx_tccbs_json_wipe(node->child);
    }
}
