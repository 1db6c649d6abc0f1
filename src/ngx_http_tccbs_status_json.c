
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tccbs_status.h"


static void ngx_http_tccbs_json_accounts(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_json_credentials(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_json_health(ngx_tccbs_out_t *out,
    ngx_http_tccbs_owner_t *owner);
static void ngx_http_tccbs_json_redis(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_json_pace(ngx_tccbs_out_t *out,
    ngx_http_tccbs_pace_t *pace, time_t now);
static void ngx_http_tccbs_json_held(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_json_decisions(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s);
static void ngx_http_tccbs_json_metrics(ngx_tccbs_out_t *out,
    ngx_http_tccbs_owner_t *owner, ngx_http_tccbs_scope_e scope);
static void ngx_http_tccbs_json_family(ngx_tccbs_out_t *out,
    ngx_http_tccbs_family_t *f, ngx_atomic_int_t *cells);
static void ngx_http_tccbs_json_histogram(ngx_tccbs_out_t *out,
    ngx_http_tccbs_family_t *f, ngx_atomic_int_t *cells);
static ngx_uint_t ngx_http_tccbs_json_known(ngx_atomic_int_t *cells,
    ngx_uint_t n);
static void ngx_http_tccbs_json_name(ngx_tccbs_out_t *out, ngx_uint_t *n,
    const char *name);
static void ngx_http_tccbs_json_text(ngx_tccbs_out_t *out, ngx_uint_t *n,
    const char *name, const char *text);
static void ngx_http_tccbs_json_time(ngx_tccbs_out_t *out, uint64_t msec);


void
ngx_http_tccbs_status_json(ngx_tccbs_out_t *out, ngx_http_tccbs_snapshot_t *s)
{
    ngx_str_t  policy;

    policy.data = s->mcf->policy;
    policy.len = sizeof(s->mcf->policy);

    ngx_tccbs_out_lit(out, "{\"v\":1,\"time\":");
    ngx_http_tccbs_json_time(out, (uint64_t) s->now * 1000 + s->msec);
    ngx_tccbs_out_lit(out, ",\"version\":\"" NGX_HTTP_TCCBS_VERSION "\","
                           "\"nginx\":\"" NGINX_VERSION "\",\"policy\":");
    ngx_tccbs_out_string(out, &policy);

    if (s->unready) {
        ngx_tccbs_out_lit(out, ",\"ready\":false,\"unready\":\"");
        ngx_tccbs_out_raw(out, (u_char *) s->unready, ngx_strlen(s->unready));
        ngx_tccbs_out_lit(out, "\"");

    } else {
        ngx_tccbs_out_lit(out, ",\"ready\":true");
    }

    ngx_tccbs_out_lit(out, ",\"node\":");
    ngx_http_tccbs_json_metrics(out, s->owners[NGX_HTTP_TCCBS_OF_NODE].elts,
                                NGX_HTTP_TCCBS_OF_NODE);

    ngx_http_tccbs_json_accounts(out, s);
    ngx_http_tccbs_json_credentials(out, s);
    ngx_http_tccbs_json_redis(out, s);
    ngx_http_tccbs_json_held(out, s);
    ngx_http_tccbs_json_decisions(out, s);

    ngx_tccbs_out_lit(out, "}\n");
}


static void
ngx_http_tccbs_json_accounts(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s)
{
    ngx_uint_t               i;
    ngx_http_tccbs_owner_t  *owner;

    owner = s->owners[NGX_HTTP_TCCBS_OF_ACCOUNT].elts;

    ngx_tccbs_out_lit(out, ",\"accounts\":[");

    for (i = 0; i < s->owners[NGX_HTTP_TCCBS_OF_ACCOUNT].nelts; i++, owner++) {

        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_lit(out, "{\"name\":");
        ngx_tccbs_out_string(out, owner->name);

        if (owner->account) {
            ngx_tccbs_out_lit(out, ",\"credential\":");
            ngx_tccbs_out_string(out, &owner->account->credential->name);

            if (owner->account->rate_cost) {
                ngx_tccbs_out_lit(out, ",\"rate\":");
                ngx_tccbs_out_string(out, &owner->account->rate);
                ngx_tccbs_out_lit(out, ",\"burst\":");
                ngx_tccbs_out_uint(out, owner->account->rate_burst);
            }

            ngx_tccbs_out_lit(out, ",\"weight\":");
            ngx_tccbs_out_uint(out, owner->account->weight);
        }

        ngx_tccbs_out_lit(out, ",\"metrics\":");
        ngx_http_tccbs_json_metrics(out, owner, NGX_HTTP_TCCBS_OF_ACCOUNT);
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]");
}


static void
ngx_http_tccbs_json_credentials(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s)
{
    ngx_uint_t               i, n;
    ngx_http_tccbs_owner_t  *owner;

    owner = s->owners[NGX_HTTP_TCCBS_OF_CREDENTIAL].elts;

    ngx_tccbs_out_lit(out, ",\"credentials\":[");

    for (i = 0;
         i < s->owners[NGX_HTTP_TCCBS_OF_CREDENTIAL].nelts;
         i++, owner++)
    {
        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_lit(out, "{\"name\":");
        ngx_tccbs_out_string(out, owner->name);
        ngx_http_tccbs_json_health(out, owner);
        ngx_tccbs_out_lit(out, ",\"seconds\":{");

        for (n = 0; n < NGX_TCCBS_NACTIONS; n++) {

            if (n) {
                ngx_tccbs_out_lit(out, ",");
            }

            ngx_tccbs_out_string(out, &ngx_tccbs_actions[n]);
            ngx_tccbs_out_lit(out, ":");
            ngx_http_tccbs_json_pace(out, owner->credential->pace[n], s->now);
        }

        ngx_tccbs_out_lit(out, "},\"metrics\":");
        ngx_http_tccbs_json_metrics(out, owner, NGX_HTTP_TCCBS_OF_CREDENTIAL);
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]");
}


static void
ngx_http_tccbs_json_health(ngx_tccbs_out_t *out, ngx_http_tccbs_owner_t *owner)
{
    ngx_str_t                            key;
    ngx_http_tccbs_family_t             *f;
    ngx_http_tccbs_credential_status_t  *status;

    status = &owner->status;

    f = &ngx_http_tccbs_families[NGX_HTTP_TCCBS_M_SOURCE];

    ngx_tccbs_out_lit(out, ",\"source\":");
    ngx_tccbs_out_string(out,
                        &f->labels[0].values[owner->credential->source.kind]);

    if (status->key_len) {
        key.data = status->key;
        key.len = status->key_len;

        ngx_tccbs_out_lit(out, ",\"key\":");
        ngx_tccbs_out_string(out, &key);
    }

    if (status->tried) {
        f = &ngx_http_tccbs_families[NGX_HTTP_TCCBS_M_REFRESH_RESULT];

        ngx_tccbs_out_lit(out, ",\"tried\":");
        ngx_tccbs_out_uint(out, status->tried);
        ngx_tccbs_out_lit(out, ",\"result\":");
        ngx_tccbs_out_string(out, &f->labels[0].values[status->result]);
    }
}


static void
ngx_http_tccbs_json_redis(ngx_tccbs_out_t *out, ngx_http_tccbs_snapshot_t *s)
{
    ngx_http_tccbs_owner_t  *owner;

    if (s->owners[NGX_HTTP_TCCBS_OF_REDIS].nelts == 0) {
        return;
    }

    owner = s->owners[NGX_HTTP_TCCBS_OF_REDIS].elts;

    ngx_tccbs_out_lit(out, ",\"redis\":{\"name\":");
    ngx_tccbs_out_string(out, owner->name);
    ngx_tccbs_out_lit(out, ",\"metrics\":");
    ngx_http_tccbs_json_metrics(out, owner, NGX_HTTP_TCCBS_OF_REDIS);
    ngx_tccbs_out_lit(out, "}");
}


/* Attempts in each of the last seconds that are over, oldest first. */

static void
ngx_http_tccbs_json_pace(ngx_tccbs_out_t *out, ngx_http_tccbs_pace_t *pace,
    time_t now)
{
    time_t  t;

    ngx_tccbs_out_lit(out, "[");

    for (t = now - NGX_HTTP_TCCBS_SECONDS + 8; t < now; t++) {
        ngx_tccbs_out_uint(out, ngx_http_tccbs_pace_at(pace, t));

        if (t < now - 1) {
            ngx_tccbs_out_lit(out, ",");
        }
    }

    ngx_tccbs_out_lit(out, "]");
}


static void
ngx_http_tccbs_json_held(ngx_tccbs_out_t *out, ngx_http_tccbs_snapshot_t *s)
{
    ngx_str_t               id;
    ngx_uint_t              i;
    ngx_http_tccbs_held_t  *held;

    held = s->held;

    ngx_tccbs_out_lit(out, ",\"holds\":[");

    for (i = 0; i < s->nheld; i++) {

        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        id.data = held[i].id;
        id.len = sizeof(held[i].id);

        ngx_tccbs_out_lit(out, "{\"id\":");
        ngx_tccbs_out_string(out, &id);

        /* members that ngx_http_tccbs_hold.c has written */

        if (held[i].len) {
            ngx_tccbs_out_lit(out, ",");
            ngx_tccbs_out_raw(out, held[i].about, held[i].len);
        }

        ngx_tccbs_out_lit(out, ",\"age\":");
        ngx_tccbs_out_uint(out, held[i].age);
        ngx_tccbs_out_lit(out, ",\"left\":");
        ngx_tccbs_out_uint(out, held[i].left);
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]");
}


static void
ngx_http_tccbs_json_decisions(ngx_tccbs_out_t *out,
    ngx_http_tccbs_snapshot_t *s)
{
    ngx_str_t                   id;
    ngx_uint_t                  i, n;
    ngx_http_tccbs_family_t    *f;
    ngx_http_tccbs_decision_t  *d;

    ngx_tccbs_out_lit(out, ",\"decisions\":[");

    for (i = 0; i < s->ndecisions; i++) {

        d = &s->decisions[i];
        n = 0;

        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        id.data = (u_char *) d->id;
        id.len = sizeof(d->id);

        ngx_tccbs_out_lit(out, "{");
        ngx_http_tccbs_json_name(out, &n, "time");
        ngx_http_tccbs_json_time(out, d->time);
        ngx_http_tccbs_json_name(out, &n, "id");
        ngx_tccbs_out_string(out, &id);
        ngx_http_tccbs_json_text(out, &n, "account", d->account);

        f = &ngx_http_tccbs_families[NGX_HTTP_TCCBS_M_REQUESTS];

        ngx_http_tccbs_json_name(out, &n, "action");
        ngx_tccbs_out_string(out, &f->labels[0].values[d->action]);

        ngx_http_tccbs_json_text(out, &n, "from", d->from);
        ngx_http_tccbs_json_text(out, &n, "to", d->to);

        if (d->nto > 1) {
            ngx_http_tccbs_json_name(out, &n, "regions");
            ngx_tccbs_out_uint(out, d->nto);
        }

        ngx_http_tccbs_json_text(out, &n, "snapshot", d->snapshot);

        ngx_http_tccbs_json_name(out, &n, "code");
        ngx_tccbs_out_string(out, &f->labels[1].values[d->code]);

        f = &ngx_http_tccbs_families[NGX_HTTP_TCCBS_M_DECISIONS];

        ngx_http_tccbs_json_name(out, &n, "decision");
        ngx_tccbs_out_string(out, &f->labels[0].values[d->decision]);

        ngx_http_tccbs_json_text(out, &n, "rule", d->rule);

        if (d->outcome != NGX_TCCBS_NONE) {
            ngx_http_tccbs_json_name(out, &n, "outcome");
            ngx_tccbs_out_string(out, &ngx_tccbs_outcomes[d->outcome]);
        }

        ngx_http_tccbs_json_name(out, &n, "ms");
        ngx_tccbs_out_uint(out, d->ms);
        ngx_tccbs_out_lit(out, "}");
    }

    ngx_tccbs_out_lit(out, "]");
}


/* An object with the families of an owner, by their names without "tccbs_". */

static void
ngx_http_tccbs_json_metrics(ngx_tccbs_out_t *out,
    ngx_http_tccbs_owner_t *owner, ngx_http_tccbs_scope_e scope)
{
    ngx_uint_t                i, n;
    ngx_atomic_int_t         *cells;
    ngx_http_tccbs_family_t  *f;

    n = 0;

    ngx_tccbs_out_lit(out, "{");

    for (i = 0; i < NGX_HTTP_TCCBS_NMETRICS; i++) {

        f = &ngx_http_tccbs_families[i];
        cells = owner->cells + ngx_http_tccbs_metrics_first(i);

        if (f->scope == scope
            && ngx_http_tccbs_json_known(cells, f->labels[0].n
                                                * f->labels[1].n))
        {
            ngx_http_tccbs_json_name(out, &n, f->name);
            ngx_http_tccbs_json_family(out, f, cells);
        }
    }

    ngx_tccbs_out_lit(out, "}");
}


static ngx_uint_t
ngx_http_tccbs_json_known(ngx_atomic_int_t *cells, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (cells[i] != NGX_HTTP_TCCBS_UNKNOWN) {
            return 1;
        }
    }

    return 0;
}


/* A label is an object with a member for each of its values. */

static void
ngx_http_tccbs_json_family(ngx_tccbs_out_t *out, ngx_http_tccbs_family_t *f,
    ngx_atomic_int_t *cells)
{
    ngx_uint_t  i, k, n, m;

    n = 0;

    if (f->labels[0].name) {
        ngx_tccbs_out_lit(out, "{");
    }

    for (i = 0; i < f->labels[0].n; i++, cells += f->labels[1].n) {

        if (f->kind == NGX_HTTP_TCCBS_HISTOGRAM) {

            if (f->labels[0].name) {
                ngx_http_tccbs_json_name(out, &n,
                                  (char *) f->labels[0].values[i].data);
            }

            ngx_http_tccbs_json_histogram(out, f, cells);
            cells += NGX_HTTP_TCCBS_NBUCKET - 1;
            continue;
        }

        if (f->labels[0].name) {

            if (f->labels[1].name
                ? !ngx_http_tccbs_json_known(cells, f->labels[1].n)
                : !ngx_http_tccbs_status_shown(f, i, *cells))
            {
                continue;
            }

            ngx_http_tccbs_json_name(out, &n,
                                     (char *) f->labels[0].values[i].data);
        }

        if (f->labels[1].name == NULL) {
            ngx_http_tccbs_status_value(out, f, *cells);
            continue;
        }

        ngx_tccbs_out_lit(out, "{");

        for (k = 0, m = 0; k < f->labels[1].n; k++) {

            if (ngx_http_tccbs_status_shown(f, k, cells[k])) {
                ngx_http_tccbs_json_name(out, &m,
                                  (char *) f->labels[1].values[k].data);
                ngx_http_tccbs_status_value(out, f, cells[k]);
            }
        }

        ngx_tccbs_out_lit(out, "}");
    }

    if (f->labels[0].name) {
        ngx_tccbs_out_lit(out, "}");
    }
}


static void
ngx_http_tccbs_json_histogram(ngx_tccbs_out_t *out, ngx_http_tccbs_family_t *f,
    ngx_atomic_int_t *cells)
{
    ngx_uint_t        i;
    ngx_atomic_int_t  count;

    count = 0;

    ngx_tccbs_out_lit(out, "{\"buckets\":[");

    for (i = 0; i < NGX_HTTP_TCCBS_NBOUNDS; i++) {

        count += cells[i];

        if (i) {
            ngx_tccbs_out_lit(out, ",");
        }

        ngx_tccbs_out_lit(out, "[");
        ngx_http_tccbs_status_value(out, f, ngx_http_tccbs_bounds[i]);
        ngx_tccbs_out_lit(out, ",");
        ngx_tccbs_out_uint(out, count);
        ngx_tccbs_out_lit(out, "]");
    }

    count += cells[NGX_HTTP_TCCBS_NBOUNDS];

    ngx_tccbs_out_lit(out, "],\"sum\":");
    ngx_http_tccbs_status_value(out, f, cells[NGX_HTTP_TCCBS_NBOUNDS + 1]);
    ngx_tccbs_out_lit(out, ",\"count\":");
    ngx_tccbs_out_uint(out, count);
    ngx_tccbs_out_lit(out, "}");
}


/* "n" counts the members of an object. */

static void
ngx_http_tccbs_json_name(ngx_tccbs_out_t *out, ngx_uint_t *n,
    const char *name)
{
    if ((*n)++) {
        ngx_tccbs_out_lit(out, ",");
    }

    ngx_tccbs_out_lit(out, "\"");
    ngx_tccbs_out_raw(out, (const u_char *) name, ngx_strlen(name));
    ngx_tccbs_out_lit(out, "\":");
}


static void
ngx_http_tccbs_json_text(ngx_tccbs_out_t *out, ngx_uint_t *n,
    const char *name, const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    if (s.len) {
        ngx_http_tccbs_json_name(out, n, name);
        ngx_tccbs_out_string(out, &s);
    }
}


/* Seconds since the epoch, with milliseconds. */

static void
ngx_http_tccbs_json_time(ngx_tccbs_out_t *out, uint64_t msec)
{
    u_char  *p, buf[NGX_INT64_LEN + 4];

    p = ngx_sprintf(buf, "%uL.%03uL", msec / 1000, msec % 1000);

    ngx_tccbs_out_raw(out, buf, p - buf);
}
