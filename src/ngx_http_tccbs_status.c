
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_status.h"
#include "ngx_tccbs_text.h"

#include "ngx_http_tccbs_page.h"


typedef void (*ngx_http_tccbs_form_pt)(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);

typedef struct {
    ngx_str_t                name;
    ngx_str_t                type;
    ngx_http_tccbs_form_pt   write;           /* NULL: the page */
    ngx_uint_t               unready;         /* status when not ready */
} ngx_http_tccbs_form_t;


static ngx_int_t ngx_http_tccbs_status_handler(ngx_http_request_t *r);
static ngx_http_tccbs_form_t *ngx_http_tccbs_status_form(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_tccbs_status_local(ngx_http_request_t *r);
static ngx_int_t ngx_http_tccbs_status_body(ngx_http_request_t *r,
    ngx_http_tccbs_form_t *form, ngx_buf_t *b);
static void ngx_http_tccbs_status_ready(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static ngx_int_t ngx_http_tccbs_status_headers(ngx_http_request_t *r);


/* The first one is what a request without "format" gets. */

static ngx_http_tccbs_form_t  ngx_http_tccbs_forms[] = {

    { ngx_string("html"), ngx_string("text/html; charset=utf-8"), NULL,
      NGX_HTTP_OK },

    { ngx_string("json"), ngx_string("application/json"),
      ngx_http_tccbs_status_json, NGX_HTTP_OK },

    { ngx_string("prometheus"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      ngx_http_tccbs_status_prometheus, NGX_HTTP_OK },

    /* for a load balancer: whether calls would be forwarded */

    { ngx_string("ready"), ngx_string("text/plain"),
      ngx_http_tccbs_status_ready, NGX_HTTP_SERVICE_UNAVAILABLE },

    { ngx_null_string, ngx_null_string, NULL, 0 }
};


static ngx_int_t
ngx_http_tccbs_status_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_chain_t             out;
    ngx_http_tccbs_form_t  *form;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (!ngx_http_tccbs_status_local(r)) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "access forbidden: \"tccbs_status\" without access "
                      "rules is for this host only");
        return NGX_HTTP_FORBIDDEN;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    form = ngx_http_tccbs_status_form(r);

    if (form == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_http_tccbs_status_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = form->type;
    r->headers_out.content_type_len = form->type.len;

    if (ngx_http_tccbs_status_body(r, form, b) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_http_tccbs_form_t *
ngx_http_tccbs_status_form(ngx_http_request_t *r)
{
    ngx_str_t               name;
    ngx_http_tccbs_form_t  *form;

    if (ngx_http_arg(r, (u_char *) "format", 6, &name) != NGX_OK) {
        return ngx_http_tccbs_forms;
    }

    for (form = ngx_http_tccbs_forms; form->name.len; form++) {
        if (ngx_tccbs_same(&form->name, &name)) {
            return form;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_tccbs_status_local(ngx_http_request_t *r)
{
    struct sockaddr_in         *sin;
    ngx_http_tccbs_loc_conf_t  *lcf;
#if (NGX_HAVE_INET6)
    struct in6_addr            *addr;
#endif

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_tccbs_module);

    if (!lcf->local) {
        return 1;
    }

    switch (r->connection->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) r->connection->sockaddr;
        return ntohl(sin->sin_addr.s_addr) >> 24 == 127;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        addr = &((struct sockaddr_in6 *) r->connection->sockaddr)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(addr)
               || (IN6_IS_ADDR_V4MAPPED(addr) && addr->s6_addr[12] == 127);
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        return 1;
#endif

    default:
        return 0;
    }
}


static ngx_int_t
ngx_http_tccbs_status_body(ngx_http_request_t *r, ngx_http_tccbs_form_t *form,
    ngx_buf_t *b)
{
    ngx_str_t                   text;
    ngx_tccbs_out_t             out;
    ngx_http_tccbs_snapshot_t  *s;

    if (form->write == NULL) {

        /* the page asks for the JSON form, it needs no snapshot of its own */

        b->pos = ngx_http_tccbs_page;
        b->last = ngx_http_tccbs_page + sizeof(ngx_http_tccbs_page) - 1;

        return NGX_OK;
    }

    s = ngx_http_tccbs_snapshot(ngx_http_get_module_main_conf(r,
                                                      ngx_http_tccbs_module),
                                r->pool);
    if (s == NULL) {
        return NGX_ERROR;
    }

    if (s->unready) {
        r->headers_out.status = form->unready;
    }

    ngx_tccbs_out_init(&out, r->pool, 16384);
    form->write(&out, s);

    if (out.failed) {
        return NGX_ERROR;
    }

    text = ngx_tccbs_out_str(&out);

    b->pos = text.data;
    b->last = text.data + text.len;

    return NGX_OK;
}


static void
ngx_http_tccbs_status_ready(ngx_tccbs_out_t *out, ngx_http_tccbs_snapshot_t *s)
{
    if (s->unready) {
        ngx_tccbs_out_lit(out, "not ready: ");
        ngx_tccbs_out_raw(out, (u_char *) s->unready, ngx_strlen(s->unready));

    } else {
        ngx_tccbs_out_lit(out, "ready");
    }

    ngx_tccbs_out_lit(out, "\n");
}


static ngx_int_t
ngx_http_tccbs_status_headers(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    static ngx_str_t  headers[][2] = {
        { ngx_string("Cache-Control"), ngx_string("no-store") },
        { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") },
        { ngx_string("Referrer-Policy"), ngx_string("no-referrer") },
        { ngx_string("Content-Security-Policy"),
          { sizeof(ngx_http_tccbs_page_policy) - 1,
            ngx_http_tccbs_page_policy } }
    };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        h->key = headers[i][0];
        h->value = headers[i][1];
    }

    return NGX_OK;
}


void
ngx_http_tccbs_status_value(ngx_tccbs_out_t *out, ngx_http_tccbs_family_t *f,
    ngx_atomic_int_t value)
{
    u_char  *p, buf[NGX_INT64_LEN + 8];

    if (!f->micro) {
        p = ngx_sprintf(buf, "%L", (int64_t) value);

    } else {
        p = ngx_sprintf(buf, "%L.%06L", (int64_t) value / 1000000,
                        (int64_t) value % 1000000);

        while (p[-1] == '0') {
            p--;
        }

        if (p[-1] == '.') {
            p--;
        }
    }

    ngx_tccbs_out_raw(out, buf, p - buf);
}


ngx_uint_t
ngx_http_tccbs_status_shown(ngx_http_tccbs_family_t *f, ngx_uint_t i,
    ngx_atomic_int_t value)
{
    if (value == NGX_HTTP_TCCBS_UNKNOWN) {
        return 0;
    }

    return value || i == 0 || !f->sparse;
}


char *
ngx_http_tccbs_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tccbs_loc_conf_t *lcf = conf;

    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_tccbs_main_conf_t  *mcf;

    if (lcf->status) {
        return "is duplicate";
    }

    if (lcf->pass) {
        return "cannot be used where \"tccbs_pass\" is";
    }

    lcf->status = cf->conf_file->line;
    lcf->status_file = cf->conf_file->file.name.data;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_tccbs_status_handler;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tccbs_module);
    mcf->status = 1;

    return NGX_CONF_OK;
}


void
ngx_http_tccbs_status_merge(ngx_conf_t *cf, ngx_http_tccbs_loc_conf_t *conf)
{
    if (ngx_http_tccbs_access_rules(cf)) {
        return;
    }

    conf->local = 1;

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"tccbs_status\" has no \"allow\" or \"deny\" and answers "
                  "this host only, in %s:%ui",
                  conf->status_file, conf->status);
}
