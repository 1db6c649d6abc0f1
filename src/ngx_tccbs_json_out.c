
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_json.h"


void
ngx_tccbs_out_json(ngx_tccbs_out_t *out, const ngx_tccbs_json_t *node)
{
    ngx_uint_t               object;
    const ngx_tccbs_json_t  *child;

    switch (node->type) {

    case NGX_TCCBS_JSON_STRING:
        ngx_tccbs_out_string(out, &node->value);
        return;

    case NGX_TCCBS_JSON_ARRAY:
    case NGX_TCCBS_JSON_OBJECT:
        break;

    default:
        ngx_tccbs_out_raw(out, node->value.data, node->value.len);
        return;
    }

    object = (node->type == NGX_TCCBS_JSON_OBJECT);

    ngx_tccbs_out_raw(out, (u_char *) (object ? "{" : "["), 1);

    for (child = node->child; child; child = child->next) {

        if (object) {
            ngx_tccbs_out_string(out, &child->name);
            ngx_tccbs_out_lit(out, ":");
        }

        ngx_tccbs_out_json(out, child);

        if (child->next) {
            ngx_tccbs_out_lit(out, ",");
        }
    }

    ngx_tccbs_out_raw(out, (u_char *) (object ? "}" : "]"), 1);
}
