
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_status.h"
#include "ngx_tccbs_text.h"


/* The text format of Prometheus, version 0.0.4. */

typedef struct {
    ngx_tccbs_out_t          *out;
    ngx_http_tccbs_family_t  *family;
    ngx_uint_t                headed;         /* its HELP and TYPE */
    ngx_http_tccbs_owner_t   *owner;
    ngx_uint_t                one;
    ngx_uint_t                two;
} ngx_http_tccbs_sample_t;


static void ngx_http_tccbs_prometheus_family(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s, ngx_http_tccbs_metric_e metric);
static void ngx_http_tccbs_prometheus_head(ngx_tccbs_out_t *out,
    ngx_http_tccbs_family_t *f);
static void ngx_http_tccbs_prometheus_histogram(
    ngx_http_tccbs_sample_t *sample, ngx_atomic_int_t *cells);
static void ngx_http_tccbs_prometheus_sample(ngx_http_tccbs_sample_t *sample,
    const char *suffix, const char *le, size_t len);
static void ngx_http_tccbs_prometheus_label(ngx_tccbs_out_t *out,
    ngx_uint_t *n, const char *name, const ngx_str_t *value);
static void ngx_http_tccbs_prometheus_info(ngx_tccbs_out_t *out,
    const char *name, const char *help, const char *label,
    const ngx_str_t *value);
static void ngx_http_tccbs_prometheus_text(ngx_tccbs_out_t *out,
    const char *text);


void
ngx_http_tccbs_status_prometheus(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s)
{
    ngx_str_t   policy, version;
    ngx_uint_t  i;

    ngx_str_set(&version, NGX_HTTP_TCCBS_VERSION);

    policy.data = s->mcf->policy;
    policy.len = sizeof(s->mcf->policy);

    ngx_http_tccbs_prometheus_info(out, "build_info",
                                   "The module that runs.", "version",
                                   &version);
    ngx_http_tccbs_prometheus_info(out, "policy_info",
                                   "The rules of the accounts that are in use.",
                                   "digest", &policy);

    for (i = 0; i < NGX_HTTP_TCCBS_NMETRICS; i++) {
        ngx_http_tccbs_prometheus_family(out, s, i);
    }
}


static void
ngx_http_tccbs_prometheus_family(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s, ngx_http_tccbs_metric_e metric)
{
    ngx_uint_t                n;
    ngx_atomic_int_t         *cells;
    ngx_http_tccbs_family_t  *f;
    ngx_http_tccbs_sample_t   sample;

    f = &ngx_http_tccbs_families[metric];

    sample.out = out;
    sample.family = f;
    sample.headed = 0;
    sample.owner = s->owners[f->scope].elts;

    for (n = 0; n < s->owners[f->scope].nelts; n++, sample.owner++) {

        cells = sample.owner->cells + ngx_http_tccbs_metrics_first(metric);

        for (sample.one = 0; sample.one < f->labels[0].n; sample.one++) {

            if (f->kind == NGX_HTTP_TCCBS_HISTOGRAM) {
                sample.two = 0;
                ngx_http_tccbs_prometheus_histogram(&sample, cells);
                cells += NGX_HTTP_TCCBS_NBUCKET;
                continue;
            }

            for (sample.two = 0; sample.two < f->labels[1].n; sample.two++) {

                if (ngx_http_tccbs_status_shown(f, f->labels[1].name
                                                   ? sample.two : sample.one,
                                                *cells))
                {
                    ngx_http_tccbs_prometheus_sample(&sample, "", NULL, 0);
                    ngx_http_tccbs_status_value(out, f, *cells);
                    ngx_tccbs_out_lit(out, "\n");
                }

                cells++;
            }
        }
    }
}


static void
ngx_http_tccbs_prometheus_head(ngx_tccbs_out_t *out,
    ngx_http_tccbs_family_t *f)
{
    static const char  *kinds[] = { "counter", "gauge", "histogram" };

    ngx_tccbs_out_lit(out, "# HELP tccbs_");
    ngx_http_tccbs_prometheus_text(out, f->name);
    ngx_tccbs_out_lit(out, " ");
    ngx_http_tccbs_prometheus_text(out, f->help);
    ngx_tccbs_out_lit(out, "\n# TYPE tccbs_");
    ngx_http_tccbs_prometheus_text(out, f->name);
    ngx_tccbs_out_lit(out, " ");
    ngx_http_tccbs_prometheus_text(out, kinds[f->kind]);
    ngx_tccbs_out_lit(out, "\n");
}


static void
ngx_http_tccbs_prometheus_histogram(ngx_http_tccbs_sample_t *sample,
    ngx_atomic_int_t *cells)
{
    u_char           *le;
    ngx_str_t         bound;
    ngx_uint_t        i;
    ngx_tccbs_out_t   text;
    ngx_atomic_int_t  count;

    count = 0;

    for (i = 0; i < NGX_HTTP_TCCBS_NBOUNDS; i++) {

        ngx_tccbs_out_init(&text, sample->out->pool, 32);
        ngx_http_tccbs_status_value(&text, sample->family,
                                    ngx_http_tccbs_bounds[i]);
        bound = ngx_tccbs_out_str(&text);
        le = bound.data;

        count += cells[i];

        ngx_http_tccbs_prometheus_sample(sample, "_bucket", (char *) le,
                                         bound.len);
        ngx_tccbs_out_uint(sample->out, count);
        ngx_tccbs_out_lit(sample->out, "\n");
    }

    count += cells[NGX_HTTP_TCCBS_NBOUNDS];

    ngx_http_tccbs_prometheus_sample(sample, "_bucket", "+Inf", 4);
    ngx_tccbs_out_uint(sample->out, count);
    ngx_tccbs_out_lit(sample->out, "\n");

    ngx_http_tccbs_prometheus_sample(sample, "_sum", NULL, 0);
    ngx_http_tccbs_status_value(sample->out, sample->family,
                                cells[NGX_HTTP_TCCBS_NBOUNDS + 1]);
    ngx_tccbs_out_lit(sample->out, "\n");

    ngx_http_tccbs_prometheus_sample(sample, "_count", NULL, 0);
    ngx_tccbs_out_uint(sample->out, count);
    ngx_tccbs_out_lit(sample->out, "\n");
}


/* All of a line in front of its value. */

static void
ngx_http_tccbs_prometheus_sample(ngx_http_tccbs_sample_t *sample,
    const char *suffix, const char *le, size_t len)
{
    ngx_str_t                 bound;
    ngx_uint_t                n;
    ngx_tccbs_out_t          *out;
    ngx_http_tccbs_family_t  *f;

    static const char  *owners[] = { NULL, "account", "credential", NULL };

    out = sample->out;
    f = sample->family;
    n = 0;

    /* what has no sample is not spoken of */

    if (!sample->headed) {
        sample->headed = 1;
        ngx_http_tccbs_prometheus_head(out, f);
    }

    ngx_tccbs_out_lit(out, "tccbs_");
    ngx_http_tccbs_prometheus_text(out, f->name);
    ngx_http_tccbs_prometheus_text(out, suffix);

    ngx_http_tccbs_prometheus_label(out, &n, owners[f->scope],
                                    sample->owner->name);
    ngx_http_tccbs_prometheus_label(out, &n, f->labels[0].name,
                                    &f->labels[0].values[sample->one]);
    ngx_http_tccbs_prometheus_label(out, &n, f->labels[1].name,
                                    &f->labels[1].values[sample->two]);

    if (le) {
        bound.data = (u_char *) le;
        bound.len = len;
        ngx_http_tccbs_prometheus_label(out, &n, "le", &bound);
    }

    if (n) {
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, " ");
}


static void
ngx_http_tccbs_prometheus_label(ngx_tccbs_out_t *out, ngx_uint_t *n,
    const char *name, const ngx_str_t *value)
{
    uint32_t       cp;
    const u_char  *p, *q, *last;

    if (name == NULL) {
        return;
    }

    if ((*n)++) {
        ngx_tccbs_out_lit(out, ",");

    } else {
        ngx_tccbs_out_lit(out, "{");
    }

    ngx_http_tccbs_prometheus_text(out, name);
    ngx_tccbs_out_lit(out, "=\"");

    last = value->data + value->len;

    for (p = value->data; p < last; /* void */ ) {

        q = p;
        cp = ngx_tccbs_utf8(&q, last);

        /* a name is what the configuration has: it may be anything */

        if (cp == NGX_TCCBS_UTF8_INVALID || cp < ' ') {
            ngx_tccbs_out_lit(out, "?");
            p++;
            continue;
        }

        if (cp == '"' || cp == '\\') {
            ngx_tccbs_out_lit(out, "\\");
        }

        ngx_tccbs_out_raw(out, p, q - p);
        p = q;
    }

    ngx_tccbs_out_lit(out, "\"");
}


static void
ngx_http_tccbs_prometheus_info(ngx_tccbs_out_t *out, const char *name,
    const char *help, const char *label, const ngx_str_t *value)
{
    ngx_uint_t  n;

    n = 0;

    ngx_tccbs_out_lit(out, "# HELP tccbs_");
    ngx_http_tccbs_prometheus_text(out, name);
    ngx_tccbs_out_lit(out, " ");
    ngx_http_tccbs_prometheus_text(out, help);
    ngx_tccbs_out_lit(out, "\n# TYPE tccbs_");
    ngx_http_tccbs_prometheus_text(out, name);
    ngx_tccbs_out_lit(out, " gauge\ntccbs_");
    ngx_http_tccbs_prometheus_text(out, name);
    ngx_http_tccbs_prometheus_label(out, &n, label, value);
    ngx_tccbs_out_lit(out, "} 1\n");
}


static void
ngx_http_tccbs_prometheus_text(ngx_tccbs_out_t *out, const char *text)
{
    ngx_tccbs_out_raw(out, (const u_char *) text, ngx_strlen(text));
}
