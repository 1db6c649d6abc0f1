
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_call.h"
#include "ngx_tccbs_text.h"
#include "ngx_tccbs_value.h"


#define NGX_TCCBS_CALL_DEPTH         4
#define NGX_TCCBS_CALL_NODES         2048
#define NGX_TCCBS_CALL_ECHO          64       /* of a name in a message */
#define NGX_TCCBS_CALL_IDS           100
#define NGX_TCCBS_CALL_FILTERS       10
#define NGX_TCCBS_CALL_VALUES        100
#define NGX_TCCBS_CALL_DISKS         10
#define NGX_TCCBS_CALL_VALUE         255
#define NGX_TCCBS_CALL_LIMIT         100
#define NGX_TCCBS_CALL_OFFSET        2147483647


/* A member of a request: how its value is checked. */

typedef ngx_int_t (*ngx_tccbs_member_pt)(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);

typedef struct {
    ngx_str_t                name;
    ngx_tccbs_json_type_e    type;
    ngx_tccbs_member_pt      check;
    ngx_uint_t               required;
} ngx_tccbs_member_t;


static ngx_int_t ngx_tccbs_call_members(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *object, ngx_tccbs_member_t *members,
    ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_regions(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_snapshot(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_name(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_ids(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_filters(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_filter_name(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_filter_values(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_limit(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_offset(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_order_field(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_order(ngx_tccbs_call_t *call,
    ngx_pool_t *pool, ngx_tccbs_json_t *node, ngx_tccbs_error_t *error);
static ngx_int_t ngx_tccbs_call_refuse(ngx_tccbs_error_t *error,
    ngx_pool_t *pool, const char *code, const char *before,
    const ngx_str_t *name, const char *after);


#define ngx_tccbs_call_value(error, pool, text)                               \
    ngx_tccbs_call_refuse(error, pool, "InvalidParameterValue", text, NULL,   \
                          NULL)


ngx_str_t  ngx_tccbs_actions[] = {
    ngx_string("CopySnapshotCrossRegions"),
    ngx_string("DescribeSnapshots"),
    ngx_null_string
};

ngx_str_t  ngx_tccbs_outcomes[] = {
    ngx_null_string,
    ngx_string("success"),
    ngx_string("partial"),
    ngx_string("rejected"),
    ngx_string("not-sent"),
    ngx_string("unknown")
};


static ngx_tccbs_member_t  ngx_tccbs_copy_members[] = {
    { ngx_string("DestinationRegions"), NGX_TCCBS_JSON_ARRAY,
      ngx_tccbs_call_regions, 1 },
    { ngx_string("SnapshotId"), NGX_TCCBS_JSON_STRING,
      ngx_tccbs_call_snapshot, 1 },
    { ngx_string("SnapshotName"), NGX_TCCBS_JSON_STRING,
      ngx_tccbs_call_name, 0 },
    { ngx_null_string, NGX_TCCBS_JSON_NULL, NULL, 0 }
};

static ngx_tccbs_member_t  ngx_tccbs_describe_members[] = {
    { ngx_string("SnapshotIds"), NGX_TCCBS_JSON_ARRAY,
      ngx_tccbs_call_ids, 0 },
    { ngx_string("Filters"), NGX_TCCBS_JSON_ARRAY,
      ngx_tccbs_call_filters, 0 },
    { ngx_string("Limit"), NGX_TCCBS_JSON_NUMBER,
      ngx_tccbs_call_limit, 0 },
    { ngx_string("Offset"), NGX_TCCBS_JSON_NUMBER,
      ngx_tccbs_call_offset, 0 },
    { ngx_string("OrderField"), NGX_TCCBS_JSON_STRING,
      ngx_tccbs_call_order_field, 0 },
    { ngx_string("Order"), NGX_TCCBS_JSON_STRING,
      ngx_tccbs_call_order, 0 },
    { ngx_null_string, NGX_TCCBS_JSON_NULL, NULL, 0 }
};

static ngx_tccbs_member_t  ngx_tccbs_filter_members[] = {
    { ngx_string("Name"), NGX_TCCBS_JSON_STRING,
      ngx_tccbs_call_filter_name, 1 },
    { ngx_string("Values"), NGX_TCCBS_JSON_ARRAY,
      ngx_tccbs_call_filter_values, 1 },
    { ngx_null_string, NGX_TCCBS_JSON_NULL, NULL, 0 }
};

static ngx_str_t  ngx_tccbs_filter_names[] = {
    ngx_string("snapshot-id"),
    ngx_string("snapshot-name"),
    ngx_string("snapshot-state"),
    ngx_string("disk-usage"),
    ngx_string("project-id"),
    ngx_string("disk-id"),
    ngx_string("zone"),
    ngx_string("encrypt"),
    ngx_string("snapshot-type"),
    ngx_null_string
};


ngx_int_t
ngx_tccbs_action(const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TCCBS_NACTIONS; i++) {
        if (ngx_tccbs_same(&ngx_tccbs_actions[i], name)) {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_tccbs_call_parse(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    const ngx_str_t *body, ngx_tccbs_error_t *error)
{
    ngx_int_t                rc;
    ngx_str_t                why;
    ngx_tccbs_json_t        *root;
    ngx_tccbs_json_limits_t  limits;

    limits.depth = NGX_TCCBS_CALL_DEPTH;
    limits.nodes = NGX_TCCBS_CALL_NODES;

    rc = ngx_tccbs_json_parse(pool, body, &limits, &root, &why);

    if (rc == NGX_DECLINED) {
        return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                     "The body is no valid JSON: ", &why,
                                     ".");
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (root->type != NGX_TCCBS_JSON_OBJECT) {
        return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                     "The body must be a JSON object.", NULL,
                                     NULL);
    }

    if (call->action == NGX_TCCBS_COPY) {
        return ngx_tccbs_call_members(call, pool, root,
                                      ngx_tccbs_copy_members, error);
    }

    rc = ngx_tccbs_call_members(call, pool, root, ngx_tccbs_describe_members,
                                error);

    if (rc == NGX_OK && ngx_tccbs_json_get(root, "SnapshotIds")
        && ngx_tccbs_json_get(root, "Filters"))
    {
        return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                     "`SnapshotIds` and `Filters` cannot be "
                                     "given together.", NULL, NULL);
    }

    call->tree = root;

    return rc;
}


static ngx_int_t
ngx_tccbs_call_members(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *object, ngx_tccbs_member_t *members,
    ngx_tccbs_error_t *error)
{
    ngx_int_t            rc;
    ngx_tccbs_json_t    *node;
    ngx_tccbs_member_t  *member;

    for (node = object->child; node; node = node->next) {

        for (member = members; member->name.len; member++) {
            if (ngx_tccbs_same(&member->name, &node->name)) {
                break;
            }
        }

        if (member->name.len == 0) {
            return ngx_tccbs_call_refuse(error, pool, "UnknownParameter",
                                         "The parameter `", &node->name,
                                         "` is not recognized.");
        }

        if (node->type != member->type) {
            return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                         "The parameter `", &node->name,
                                         "` has a wrong type.");
        }

        rc = member->check(call, pool, node, error);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (member = members; member->name.len; member++) {
        if (member->required
            && ngx_tccbs_json_get(object, (char *) member->name.data) == NULL)
        {
            return ngx_tccbs_call_refuse(error, pool, "MissingParameter",
                                         "The request is missing a required "
                                         "parameter `", &member->name, "`.");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_regions(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    ngx_uint_t         i;
    ngx_tccbs_json_t  *item;

    if (node->n == 0 || node->n > NGX_TCCBS_CALL_REGIONS) {
        return ngx_tccbs_call_value(error, pool,
                                    "`DestinationRegions` must have 1 to 32 "
                                    "regions.");
    }

    call->nto = 0;
    call->to = ngx_palloc(pool, node->n * sizeof(ngx_str_t));
    if (call->to == NULL) {
        return NGX_ERROR;
    }

    for (item = node->child; item; item = item->next) {

        if (item->type != NGX_TCCBS_JSON_STRING) {
            return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                         "`DestinationRegions` must be an "
                                         "array of strings.", NULL, NULL);
        }

        if (!ngx_tccbs_region_valid(&item->value)) {
            return ngx_tccbs_call_value(error, pool,
                                        "`DestinationRegions` has an item "
                                        "that is not a region code.");
        }

        if (ngx_tccbs_same(&item->value, &call->from)) {
            return ngx_tccbs_call_value(error, pool,
                                        "A destination region must not be the "
                                        "source region.");
        }

        for (i = 0; i < call->nto; i++) {
            if (ngx_tccbs_same(&call->to[i], &item->value)) {
                return ngx_tccbs_call_value(error, pool,
                                            "`DestinationRegions` has a "
                                            "region twice.");
            }
        }

        call->to[call->nto++] = item->value;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_snapshot(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    if (!ngx_tccbs_snapshot_valid(&node->value)) {
        return ngx_tccbs_call_value(error, pool,
                                    "`SnapshotId` must be a snapshot id such "
                                    "as `snap-ckgjwkqh`.");
    }

    call->snapshot = node->value;

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_name(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    if (node->value.len == 0
        || !ngx_tccbs_value_text(&node->value, NGX_TCCBS_NAME_MAX))
    {
        return ngx_tccbs_call_value(error, pool,
                                    "`SnapshotName` must have 1 to 60 "
                                    "characters and no control or direction "
                                    "characters.");
    }

    call->name = node->value;

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_ids(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    ngx_tccbs_json_t  *item;

    if (node->n > NGX_TCCBS_CALL_IDS) {
        return ngx_tccbs_call_value(error, pool,
                                    "`SnapshotIds` must have at most 100 "
                                    "ids.");
    }

    for (item = node->child; item; item = item->next) {
        if (item->type != NGX_TCCBS_JSON_STRING) {
            return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                         "`SnapshotIds` must be an array of "
                                         "strings.", NULL, NULL);
        }

        if (!ngx_tccbs_snapshot_valid(&item->value)) {
            return ngx_tccbs_call_value(error, pool,
                                        "`SnapshotIds` has an item that is "
                                        "not a snapshot id.");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_filters(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    ngx_int_t          rc;
    ngx_tccbs_json_t  *item, *name, *values;

    if (node->n > NGX_TCCBS_CALL_FILTERS) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Filters` must have at most 10 items.");
    }

    for (item = node->child; item; item = item->next) {

        if (item->type != NGX_TCCBS_JSON_OBJECT) {
            return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                         "`Filters` must be an array of "
                                         "objects.", NULL, NULL);
        }

        rc = ngx_tccbs_call_members(call, pool, item, ngx_tccbs_filter_members,
                                    error);
        if (rc != NGX_OK) {
            return rc;
        }

        name = ngx_tccbs_json_get(item, "Name");
        values = ngx_tccbs_json_get(item, "Values");

        if (ngx_tccbs_is(&name->value, "disk-id")
            && values->n > NGX_TCCBS_CALL_DISKS)
        {
            return ngx_tccbs_call_value(error, pool,
                                        "The filter `disk-id` must have at "
                                        "most 10 values.");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_filter_name(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    if (!ngx_tccbs_value_one_of(&node->value, ngx_tccbs_filter_names)) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Filters` has an unknown `Name`.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_filter_values(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    ngx_tccbs_json_t  *item;

    if (node->n == 0 || node->n > NGX_TCCBS_CALL_VALUES) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Values` of a filter must have 1 to 100 "
                                    "items.");
    }

    for (item = node->child; item; item = item->next) {
        if (item->type != NGX_TCCBS_JSON_STRING) {
            return ngx_tccbs_call_refuse(error, pool, "InvalidParameter",
                                         "`Values` of a filter must be an "
                                         "array of strings.", NULL, NULL);
        }

        if (!ngx_tccbs_value_text(&item->value, NGX_TCCBS_CALL_VALUE)) {
            return ngx_tccbs_call_value(error, pool,
                                        "`Values` of a filter has an item "
                                        "that is too long or has control "
                                        "characters.");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_limit(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    if (ngx_tccbs_value_uint(&node->value, NGX_TCCBS_CALL_LIMIT) < 1) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Limit` must be an integer from 1 to "
                                    "100.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_offset(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    if (ngx_tccbs_value_uint(&node->value, NGX_TCCBS_CALL_OFFSET) < 0) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Offset` must be an integer that is not "
                                    "negative.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_order_field(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    static const ngx_str_t  fields[] = {
        ngx_string("CREATE_TIME"), ngx_null_string
    };

    if (!ngx_tccbs_value_one_of(&node->value, fields)) {
        return ngx_tccbs_call_value(error, pool,
                                    "`OrderField` must be `CREATE_TIME`.");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tccbs_call_order(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    ngx_tccbs_json_t *node, ngx_tccbs_error_t *error)
{
    static const ngx_str_t  orders[] = {
        ngx_string("ASC"), ngx_string("DESC"), ngx_null_string
    };

    if (!ngx_tccbs_value_one_of(&node->value, orders)) {
        return ngx_tccbs_call_value(error, pool,
                                    "`Order` must be `ASC` or `DESC`.");
    }

    return NGX_OK;
}


/* "name" may be the caller's text: it is cut, and only plain ASCII is kept. */

static ngx_int_t
ngx_tccbs_call_refuse(ngx_tccbs_error_t *error, ngx_pool_t *pool,
    const char *code, const char *before, const ngx_str_t *name,
    const char *after)
{
    u_char  *p;
    size_t   i, len;

    error->code.data = (u_char *) code;
    error->code.len = ngx_strlen(code);

    if (name == NULL) {
        error->message.data = (u_char *) before;
        error->message.len = ngx_strlen(before);
        return NGX_DECLINED;
    }

    len = ngx_min(name->len, NGX_TCCBS_CALL_ECHO);

    p = ngx_pnalloc(pool, ngx_strlen(before) + len + ngx_strlen(after));
    if (p == NULL) {
        return NGX_ERROR;
    }

    error->message.data = p;

    p = ngx_cpymem(p, before, ngx_strlen(before));

    for (i = 0; i < len; i++) {
        *p++ = (name->data[i] > ' ' && name->data[i] < 0x7f)
               ? name->data[i] : ((name->data[i] == ' ') ? ' ' : '?');
    }

    p = ngx_cpymem(p, after, ngx_strlen(after));

    error->message.len = p - error->message.data;

    return NGX_DECLINED;
}


void
ngx_tccbs_call_write(const ngx_tccbs_call_t *call, ngx_tccbs_out_t *out)
{
    ngx_uint_t        i;
    const ngx_str_t  *name;

    if (call->action != NGX_TCCBS_COPY) {
        ngx_tccbs_out_json(out, call->tree);
        return;
    }

    ngx_tccbs_out_lit(out, "{\"DestinationRegions\":[");

    for (i = 0; i < call->nto; i++) {
        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_string(out, &call->to[i]);
    }

    ngx_tccbs_out_lit(out, "],\"SnapshotId\":");
    ngx_tccbs_out_string(out, &call->snapshot);

    name = call->label.len ? &call->label : &call->name;

    if (name->len) {
        ngx_tccbs_out_lit(out, ",\"SnapshotName\":");
        ngx_tccbs_out_string(out, name);
    }

    ngx_tccbs_out_lit(out, "}");
}


ngx_int_t
ngx_tccbs_call_tag(ngx_tccbs_call_t *call, ngx_pool_t *pool,
    const ngx_str_t *id)
{
    u_char           *p;
    size_t            i;
    const ngx_str_t  *name;

    name = call->name.len ? &call->name : &call->snapshot;

    if (!ngx_tccbs_value_text(name, NGX_TCCBS_NAME_MAX - NGX_TCCBS_TAG_LEN - 2))
    {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, name->len + 2 + NGX_TCCBS_TAG_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    call->label.data = p;
    call->label.len = name->len + 2 + NGX_TCCBS_TAG_LEN;

    p = ngx_cpymem(p, name->data, name->len);
    *p++ = ' ';
    *p++ = '#';

    call->tag.data = p;
    call->tag.len = NGX_TCCBS_TAG_LEN;

    for (i = 0; p < call->label.data + call->label.len; i++) {
        if (id->data[i] != '-') {
            *p++ = id->data[i];
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_tccbs_name_tag(const ngx_str_t *name, ngx_str_t *tag)
{
    u_char  c;
    size_t  i;

    if (name->len < NGX_TCCBS_TAG_LEN + 2) {
        return 0;
    }

    tag->len = NGX_TCCBS_TAG_LEN;
    tag->data = name->data + name->len - NGX_TCCBS_TAG_LEN;

    for (i = 0; i < NGX_TCCBS_TAG_LEN; i++) {
        c = tag->data[i];

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return 0;
        }
    }

    return tag->data[-1] == '#' && tag->data[-2] == ' ';
}
