
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "conf.h"
#include "ngx_tccbs_policy.h"
#include "ngx_tccbs_text.h"


#define TCCBS_EXPLAIN_CONF  "/etc/nginx/nginx.conf"
#define TCCBS_EXPLAIN_MAX   TCCBS_CONF_WORDS


/* The rules of an account that judge, and those that limit after them. */

static const char  *tccbs_judging[] = { "actions", "from", "to", "snapshots",
                                        NULL };
static const char  *tccbs_limiting[] = { "rate", "quota", "weight",
                                         "credential", NULL };


typedef struct {
    const char          *file;
    ngx_uint_t           line;
    ngx_str_t            text;
    const char          *name;
} tccbs_rule_t;

typedef struct {
    ngx_pool_t          *pool;
    ngx_str_t            account;
    ngx_uint_t           found;
    ngx_uint_t           inside;
    const char          *file;
    ngx_uint_t           line;
    ngx_tccbs_policy_t   policy;
    ngx_str_t            values[4][TCCBS_EXPLAIN_MAX];
    tccbs_rule_t         rules[TCCBS_EXPLAIN_MAX];
    ngx_uint_t           n;
} tccbs_explain_t;


static ngx_int_t tccbs_explain_directive(void *data, tccbs_directive_t *d);
static ngx_int_t tccbs_explain_rule(tccbs_explain_t *ctx,
    tccbs_directive_t *d);
static int tccbs_explain_call(tccbs_explain_t *ctx, ngx_tccbs_call_t *call);
static ngx_uint_t tccbs_explain_show(tccbs_explain_t *ctx, const char *name);
static int tccbs_explain_value(ngx_uint_t good, const char *what,
    const ngx_str_t *value);


int
tccbs_explain(int argc, char **argv)
{
    int                   c, rc;
    char                 *conf;
    ngx_str_t             text[TCCBS_EXPLAIN_MAX];
    ngx_int_t             action;
    ngx_uint_t            i;
    tccbs_explain_t      *ctx;
    ngx_tccbs_call_t      call;
    static struct option  options[] = {
        { "conf", required_argument, NULL, 'c' },
        { "snapshot", required_argument, NULL, 's' },
        { NULL, 0, NULL, 0 }
    };

    conf = TCCBS_EXPLAIN_CONF;
    ngx_memzero(&call, sizeof(ngx_tccbs_call_t));

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {

        switch (c) {

        case 'c':
            conf = optarg;
            break;

        case 's':
            call.snapshot.data = (u_char *) optarg;
            call.snapshot.len = strlen(optarg);
            break;

        default:
            return tccbs_usage("explain");
        }
    }

    argc -= optind;
    argv += optind;

    if (argc < 3 || argc > TCCBS_EXPLAIN_MAX) {
        return tccbs_usage("explain");
    }

    for (i = 0; i < (ngx_uint_t) argc; i++) {
        text[i].data = (u_char *) argv[i];
        text[i].len = strlen(argv[i]);

        if (i >= 2
            && tccbs_explain_value(ngx_tccbs_region_valid(&text[i]), "region",
                                   &text[i])
               != TCCBS_OK)
        {
            return TCCBS_USAGE;
        }
    }

    action = ngx_tccbs_action(&text[1]);

    if (tccbs_explain_value(action != NGX_ERROR, "action", &text[1])
        != TCCBS_OK
        || tccbs_explain_value(call.snapshot.len == 0
                               || ngx_tccbs_snapshot_valid(&call.snapshot),
                               "snapshot", &call.snapshot)
           != TCCBS_OK)
    {
        return TCCBS_USAGE;
    }

    if ((action == NGX_TCCBS_COPY) != (argc > 3)) {
        fprintf(stderr, "tccbs: a copy has destination regions, \"%s\" has "
                "none\n", ngx_tccbs_actions[NGX_TCCBS_DESCRIBE].data);
        return TCCBS_USAGE;
    }

    call.action = action;
    call.from = text[2];
    call.to = &text[3];
    call.nto = argc - 3;

    ctx = calloc(1, sizeof(tccbs_explain_t));
    if (ctx == NULL) {
        return TCCBS_FAILED;
    }

    ctx->account = text[0];
    ctx->pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
    ctx->policy.from.elts = ctx->values[1];
    ctx->policy.to.elts = ctx->values[2];
    ctx->policy.snapshots.elts = ctx->values[3];

    if (ctx->pool == NULL
        || tccbs_conf(ctx->pool, conf, tccbs_explain_directive, ctx) != NGX_OK)
    {
        rc = TCCBS_FAILED;

    } else if (!ctx->found) {
        printf("refused: there is no tccbs_account \"%s\" in %s\n",
               ctx->account.data, conf);
        rc = TCCBS_FAILED;

    } else {
        rc = tccbs_explain_call(ctx, &call);
    }

    if (ctx->pool) {
        ngx_destroy_pool(ctx->pool);
    }

    free(ctx);

    return rc;
}


static int
tccbs_explain_value(ngx_uint_t good, const char *what, const ngx_str_t *value)
{
    if (good) {
        return TCCBS_OK;
    }

    fprintf(stderr, "tccbs: \"%s\" is not a %s\n", value->data, what);

    return TCCBS_USAGE;
}


static ngx_int_t
tccbs_explain_directive(void *data, tccbs_directive_t *d)
{
    tccbs_explain_t *ctx = data;

    if (ctx->inside) {

        if (d->end == '}') {
            ctx->inside = 0;
            return NGX_OK;
        }

        return tccbs_explain_rule(ctx, d);
    }

    if (d->n == 2 && d->end == '{'
        && ngx_tccbs_is(&d->words[0], "tccbs_account")
        && ngx_tccbs_same(&d->words[1], &ctx->account))
    {
        ctx->inside = 1;
        ctx->found = 1;
        ctx->file = d->file;
        ctx->line = d->line;
    }

    return NGX_OK;
}


static ngx_int_t
tccbs_explain_rule(tccbs_explain_t *ctx, tccbs_directive_t *d)
{
    ngx_int_t             action;
    ngx_uint_t            i, rule;
    ngx_array_t          *array;
    ngx_tccbs_out_t       out;
    ngx_array_t          *arrays[] = { NULL, &ctx->policy.from,
                                       &ctx->policy.to,
                                       &ctx->policy.snapshots };

    if (ctx->n == TCCBS_EXPLAIN_MAX) {
        return NGX_ERROR;
    }

    ngx_tccbs_out_init(&out, ctx->pool, 256);

    for (i = 0; i < d->n; i++) {
        ngx_tccbs_out_raw(&out, d->words[i].data, d->words[i].len);
        ngx_tccbs_out_raw(&out, (u_char *) (i + 1 < d->n ? " " : ";"), 1);
    }

    ctx->rules[ctx->n].name = (char *) d->words[0].data;
    ctx->rules[ctx->n].file = d->file;
    ctx->rules[ctx->n].line = d->line;
    ctx->rules[ctx->n++].text = ngx_tccbs_out_str(&out);

    for (rule = 0; tccbs_judging[rule]; rule++) {
        if (ngx_tccbs_is(&d->words[0], tccbs_judging[rule])) {
            break;
        }
    }

    if (tccbs_judging[rule] == NULL) {
        return NGX_OK;
    }

    array = arrays[rule];

    for (i = 1; i < d->n; i++) {

        if (array) {

            if (array->nelts == TCCBS_EXPLAIN_MAX) {
                return NGX_ERROR;
            }

            ((ngx_str_t *) array->elts)[array->nelts++] = d->words[i];
            continue;
        }

        action = ngx_tccbs_action(&d->words[i]);

        if (action != NGX_ERROR) {
            ctx->policy.actions |= 1 << action;
        }
    }

    return NGX_OK;
}


static int
tccbs_explain_call(tccbs_explain_t *ctx, ngx_tccbs_call_t *call)
{
    const char           **rule;
    ngx_tccbs_verdict_t    verdict;

    if (call->snapshot.len == 0) {
        ctx->policy.snapshots.nelts = 0;
    }

    if (ngx_tccbs_policy(&ctx->policy, call, &verdict) != NGX_OK) {

        printf("refused by \"%s\": the %s \"%.*s\" is not allowed\n",
               verdict.rule, verdict.what, (int) verdict.value->len,
               verdict.value->data);

        if (!tccbs_explain_show(ctx, verdict.rule)) {
            printf("    %s:%u: the account has no \"%s\"\n", ctx->file,
                   (unsigned) ctx->line, verdict.rule);
        }

        return TCCBS_FAILED;
    }

    printf("allowed by\n");

    for (rule = tccbs_judging; *rule; rule++) {
        if (call->action == NGX_TCCBS_COPY || strcmp(*rule, "snapshots") != 0) {
            (void) tccbs_explain_show(ctx, *rule);
        }
    }

    printf("within\n");

    for (rule = tccbs_limiting; *rule; rule++) {
        (void) tccbs_explain_show(ctx, *rule);
    }

    return TCCBS_OK;
}


static ngx_uint_t
tccbs_explain_show(tccbs_explain_t *ctx, const char *name)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < ctx->n; i++) {
        if (strcmp(ctx->rules[i].name, name) == 0) {
            printf("    %s:%u: %.*s\n", ctx->rules[i].file,
                   (unsigned) ctx->rules[i].line, (int) ctx->rules[i].text.len,
                   ctx->rules[i].text.data);
            n++;
        }
    }

    return n;
}
