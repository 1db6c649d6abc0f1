
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "log.h"
#include "ngx_tccbs_json.h"
#include "ngx_tccbs_text.h"


/* A call has a row: its intent with the outcome, or its refusal. */

typedef struct {
    u_char       *id;
    ngx_str_t     outcome;                    /* the record's line */
} tccbs_end_t;

typedef struct {
    ngx_str_t     account;
    ngx_str_t     region;
    ngx_str_t     outcome;
    ngx_str_t     since;
    ngx_str_t     until;
    ngx_uint_t    json;

    tccbs_end_t  *ends;                       /* by id */
    size_t        size;
    size_t        n;
} tccbs_show_t;


static ngx_int_t tccbs_show_file(tccbs_show_t *ctx, tccbs_log_t *log,
    ngx_uint_t rows);
static ngx_int_t tccbs_show_end(tccbs_show_t *ctx, tccbs_record_t *record);
static tccbs_end_t *tccbs_show_find(tccbs_show_t *ctx, u_char *id);
static ngx_int_t tccbs_show_grow(tccbs_show_t *ctx);
static ngx_int_t tccbs_show_row(tccbs_show_t *ctx, tccbs_record_t *record);
static ngx_str_t tccbs_show_string(ngx_tccbs_json_t *node, const char *name);
static ngx_str_t tccbs_show_regions(ngx_tccbs_json_t *record,
    ngx_pool_t *pool);
static ngx_uint_t tccbs_show_in(ngx_tccbs_json_t *record, ngx_str_t *region);


int
tccbs_audit_show(int argc, char **argv)
{
    int                   c, i, n, rc;
    tccbs_log_t          *logs;
    ngx_str_t            *want;
    tccbs_show_t          ctx;
    static struct option  options[] = {
        { "account", required_argument, NULL, 'a' },
        { "region", required_argument, NULL, 'r' },
        { "outcome", required_argument, NULL, 'o' },
        { "since", required_argument, NULL, 's' },
        { "until", required_argument, NULL, 'u' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 }
    };

    ngx_memzero(&ctx, sizeof(ctx));

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {

        want = (c == 'a') ? &ctx.account
               : (c == 'r') ? &ctx.region
               : (c == 'o') ? &ctx.outcome
               : (c == 's') ? &ctx.since
               : (c == 'u') ? &ctx.until : NULL;

        if (c == 'j') {
            ctx.json = 1;

        } else if (want == NULL) {
            return tccbs_usage("audit show");

        } else {
            want->data = (u_char *) optarg;
            want->len = strlen(optarg);
        }
    }

    if (optind == argc) {
        return tccbs_usage("audit show");
    }

    logs = calloc(argc - optind, sizeof(tccbs_log_t));
    if (logs == NULL) {
        return TCCBS_FAILED;
    }

    rc = TCCBS_OK;

    for (n = 0; n < argc - optind && rc == TCCBS_OK; n++) {
        if (tccbs_log_open(&logs[n], argv[optind + n]) != NGX_OK) {
            rc = TCCBS_FAILED;
            break;
        }
    }

    /* outcomes first, so that the rows are in the order of the intents */

    for (i = 0; i < 2 * n && rc == TCCBS_OK; i++) {

        if (i == n && !ctx.json) {
            printf("%-20s  %-16s  %-8s  %-34s  %-14s  %-12s  %s\n", "time",
                   "account", "action", "from -> to", "snapshot", "outcome",
                   "code");
        }

        if (tccbs_show_file(&ctx, &logs[i % n], i >= n) != NGX_OK) {
            fprintf(stderr, "tccbs: no memory\n");
            rc = TCCBS_FAILED;
        }
    }

    for (i = 0; i < n; i++) {
        tccbs_log_close(&logs[i]);
    }

    free(logs);
    free(ctx.ends);

    return rc;
}


static ngx_int_t
tccbs_show_file(tccbs_show_t *ctx, tccbs_log_t *log, ngx_uint_t rows)
{
    u_char          *p, *inner;
    ngx_int_t        rc;
    ngx_str_t        line;
    tccbs_record_t   record;

    p = log->start;

    while (tccbs_log_line(log, &p, &line) == NGX_OK) {

        inner = tccbs_log_inner(&line);

        if (inner) {
            line.len -= inner - line.data;
            line.data = inner;
        }

        if (tccbs_log_record(&line, &record) != NGX_OK) {
            continue;
        }

        rc = rows ? tccbs_show_row(ctx, &record)
                  : tccbs_show_end(ctx, &record);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
tccbs_show_end(tccbs_show_t *ctx, tccbs_record_t *record)
{
    tccbs_end_t  *end;

    if ((record->kind.data[0] != 'o' && !ngx_tccbs_is(&record->kind,
                                                      "recovery"))
        || tccbs_log_member(&record->line, "of").len)
    {
        return NGX_OK;
    }

    if (ctx->n * 2 >= ctx->size && tccbs_show_grow(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    end = tccbs_show_find(ctx, record->id);

    ctx->n += (end->id == NULL);
    end->id = record->id;
    end->outcome = record->line;

    return NGX_OK;
}


static tccbs_end_t *
tccbs_show_find(tccbs_show_t *ctx, u_char *id)
{
    size_t     i;
    ngx_str_t  text;

    text.data = id;
    text.len = NGX_TCCBS_UUID_LEN;

    for (i = ngx_tccbs_hash(&text) & (ctx->size - 1); ctx->ends[i].id;
         i = (i + 1) & (ctx->size - 1))
    {
        if (ngx_memcmp(ctx->ends[i].id, id, NGX_TCCBS_UUID_LEN) == 0) {
            break;
        }
    }

    return &ctx->ends[i];
}


static ngx_int_t
tccbs_show_grow(tccbs_show_t *ctx)
{
    size_t        i, size;
    tccbs_end_t  *old;

    old = ctx->ends;
    size = ctx->size;

    ctx->size = size ? 2 * size : 4096;
    ctx->ends = calloc(ctx->size, sizeof(tccbs_end_t));

    if (ctx->ends == NULL) {
        free(old);
        return NGX_ERROR;
    }

    for (i = 0; i < size; i++) {
        if (old[i].id) {
            *tccbs_show_find(ctx, old[i].id) = old[i];
        }
    }

    free(old);

    return NGX_OK;
}


static ngx_int_t
tccbs_show_row(tccbs_show_t *ctx, tccbs_record_t *record)
{
    ngx_str_t                 why, name, outcome, code, to, action;
    ngx_pool_t               *pool;
    tccbs_end_t              *end;
    ngx_tccbs_out_t           out;
    ngx_tccbs_json_t         *in, *done, *node;
    ngx_tccbs_json_limits_t   limits;

    if (record->kind.data[0] != 'i'
        && !(ngx_tccbs_is(&record->kind, "refusal")))
    {
        return NGX_OK;
    }

    if ((ctx->since.len
         && ngx_strncmp(record->time, ctx->since.data, ctx->since.len) < 0)
        || (ctx->until.len
            && ngx_strncmp(record->time, ctx->until.data, ctx->until.len) > 0))
    {
        return NGX_OK;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    limits.depth = 4;
    limits.nodes = 4096;
    done = NULL;

    if (ngx_tccbs_json_parse(pool, &record->line, &limits, &in, &why)
        != NGX_OK)
    {
        goto done;
    }

    if (record->kind.data[0] == 'i') {

        end = ctx->size ? tccbs_show_find(ctx, record->id) : NULL;

        if (end && end->id
            && ngx_tccbs_json_parse(pool, &end->outcome, &limits, &done, &why)
               != NGX_OK)
        {
            goto done;
        }

        outcome = tccbs_show_string(done, "outcome");
        code = tccbs_show_string(done, "code");

        if (outcome.len == 0) {
            ngx_str_set(&outcome, "open");
        }

    } else {
        outcome = tccbs_show_string(in, "decision");
        code = tccbs_show_string(in, "code");
    }

    name = tccbs_show_string(in, "account");

    if ((ctx->account.len && !ngx_tccbs_same(&ctx->account, &name))
        || (ctx->outcome.len && !ngx_tccbs_same(&ctx->outcome, &outcome))
        || (ctx->region.len && !tccbs_show_in(in, &ctx->region)))
    {
        goto done;
    }

    if (ctx->json) {
        ngx_tccbs_out_init(&out, pool, 1024);
        ngx_tccbs_out_lit(&out, "{\"call\":");
        ngx_tccbs_out_json(&out, in);

        if (done) {
            ngx_tccbs_out_lit(&out, ",\"outcome\":");
            ngx_tccbs_out_json(&out, done);
        }

        ngx_tccbs_out_lit(&out, "}");
        to = ngx_tccbs_out_str(&out);

        printf("%.*s\n", (int) to.len, to.data);
        goto done;
    }

    to = tccbs_show_regions(in, pool);
    action = tccbs_show_string(in, "action");

    if (action.len > 8) {
        action.len = (action.data[0] == 'C') ? 4 : 8;
    }

    node = ngx_tccbs_json_get(in, "snapshot");

    printf("%.19sZ  %-16.*s  %-8.*s  %-34.*s  %-14.*s  %-12.*s  %.*s\n",
           record->time, (int) name.len, name.data, (int) action.len,
           action.data, (int) to.len, to.data,
           node ? (int) node->value.len : 0,
           node ? (char *) node->value.data : "", (int) outcome.len,
           outcome.data, (int) code.len, code.data);

done:

    ngx_destroy_pool(pool);

    return NGX_OK;
}


static ngx_str_t
tccbs_show_string(ngx_tccbs_json_t *node, const char *name)
{
    ngx_str_t          none = ngx_string("");
    ngx_tccbs_json_t  *member;

    member = ngx_tccbs_json_get(node, name);

    return (member && member->type == NGX_TCCBS_JSON_STRING) ? member->value
                                                             : none;
}


static ngx_str_t
tccbs_show_regions(ngx_tccbs_json_t *record, ngx_pool_t *pool)
{
    ngx_str_t          from;
    ngx_tccbs_out_t    out;
    ngx_tccbs_json_t  *to;

    from = tccbs_show_string(record, "from");
    to = ngx_tccbs_json_get(record, "to");

    ngx_tccbs_out_init(&out, pool, 128);
    ngx_tccbs_out_raw(&out, from.data, from.len);

    for (to = to ? to->child : NULL; to; to = to->next) {
        ngx_tccbs_out_lit(&out, " ");
        ngx_tccbs_out_raw(&out, to->value.data, to->value.len);
    }

    return ngx_tccbs_out_str(&out);
}


static ngx_uint_t
tccbs_show_in(ngx_tccbs_json_t *record, ngx_str_t *region)
{
    ngx_str_t          from;
    ngx_tccbs_json_t  *to;

    from = tccbs_show_string(record, "from");

    if (ngx_tccbs_same(&from, region)) {
        return 1;
    }

    to = ngx_tccbs_json_get(record, "to");

    for (to = to ? to->child : NULL; to; to = to->next) {
        if (ngx_tccbs_same(&to->value, region)) {
            return 1;
        }
    }

    return 0;
}
