
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#if (NGX_HAVE_PR_SET_DUMPABLE)
#include <sys/prctl.h>
#endif

#include "ngx_http_tccbs_keeper.h"


#define NGX_HTTP_TCCBS_KEEPER_TICK   250      /* milliseconds */
#define NGX_HTTP_TCCBS_KEEPER_HELPER 1000

/* a temporary credential is fetched again 300 to 600 seconds before its end */

#define NGX_HTTP_TCCBS_KEEPER_LEAD   300
#define NGX_HTTP_TCCBS_KEEPER_PAUSE  5000     /* after a success, at least */
#define NGX_HTTP_TCCBS_KEEPER_FIRST  500      /* after a failure, doubled */
#define NGX_HTTP_TCCBS_KEEPER_LAST   60000


/* What the keeper remembers of a credential beside its source. */

typedef struct {
    ngx_http_tccbs_keeper_conf_t   *conf;
    ngx_http_tccbs_credential_t    *credential;

    ngx_tccbs_secret_state_t        seen;     /* the file at the last tick */
    ngx_tccbs_secret_state_t        failed;   /* could not be used so */
    u_char                          date[NGX_TCCBS_TC3_DATE_LEN];

    ngx_msec_t                      next;     /* not fetched before */
    time_t                          lead;
    ngx_uint_t                      failures;
    ngx_uint_t                      busy;
} ngx_http_tccbs_keep_t;


static ngx_msec_t ngx_http_tccbs_keeper_manager(void *data);
static void ngx_http_tccbs_keeper_timer(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf, ngx_event_handler_pt handler,
    ngx_msec_t timeout);
static void ngx_http_tccbs_keeper_start(ngx_http_tccbs_keeper_conf_t *conf);
static void ngx_http_tccbs_keeper_loader(ngx_event_t *ev);
static void ngx_http_tccbs_keeper_inherit(
    ngx_http_tccbs_credential_t *credential, ngx_http_tccbs_keep_t *keep);
static void ngx_http_tccbs_keeper_tick(ngx_event_t *ev);
static ngx_uint_t ngx_http_tccbs_keeper_reread(
    ngx_http_tccbs_credential_t *credential, ngx_http_tccbs_keep_t *keep,
    ngx_log_t *log);
static void ngx_http_tccbs_keeper_publish(ngx_http_tccbs_keep_t *keep,
    ngx_log_t *log);
static void ngx_http_tccbs_keeper_fetch(ngx_http_tccbs_keep_t *keep,
    ngx_log_t *log);
static void ngx_http_tccbs_keeper_fetched(void *data,
    ngx_http_tccbs_grant_result_e result, ngx_str_t *why);
static void ngx_http_tccbs_keeper_tried(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_grant_result_e result);
static void ngx_http_tccbs_keeper_expire(ngx_http_tccbs_keep_t *keep,
    ngx_log_t *log);


static ngx_uint_t        ngx_http_tccbs_generation;   /* the master's count */

static ngx_http_tccbs_keep_t  *ngx_http_tccbs_keeps;
static ngx_event_t             ngx_http_tccbs_keeper_event;
static ngx_connection_t        ngx_http_tccbs_keeper_dumb;


ngx_int_t
ngx_http_tccbs_keeper_module(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf)
{
    ngx_path_t                    *path, **slot;
    ngx_uint_t                     i;
    ngx_http_tccbs_credential_t  **credentials, *credential;

    conf->generation = ++ngx_http_tccbs_generation;

    credentials = conf->credentials->elts;

    for (i = 0; i < conf->credentials->nelts; i++) {

        credential = credentials[i];

        credential->page = ngx_http_tccbs_grant_adopt(&credential->name,
                                  credential->source.hash
                                  ^ credential->source.kind,
                                  conf->generation, cycle->log);
        if (credential->page == NULL) {
            return NGX_ERROR;
        }

        if (credential->source.triple->id_len == 0) {
            continue;
        }

        if (ngx_http_tccbs_grant_publish(credential->page, conf->generation,
                                         credential->source.triple,
                                         ngx_time())
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        credential->page->refreshed = ngx_time();
        credential->page->tried = ngx_time();
        credential->page->result = NGX_HTTP_TCCBS_GRANT_OK;
    }

    ngx_http_tccbs_grant_sweep(conf->generation);

    if (conf->credentials->nelts == 0) {
        return NGX_OK;
    }

    /* after nginx has made the directories of paths: this is none */

    path = ngx_pcalloc(cycle->pool, sizeof(ngx_path_t));
    slot = ngx_array_push(&cycle->paths);

    if (path == NULL || slot == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&path->name, "tccbs");
    path->manager = ngx_http_tccbs_keeper_manager;
    path->data = conf;

    *slot = path;

    return NGX_OK;
}


void
ngx_http_tccbs_keeper_process(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf)
{
    ngx_uint_t                     i;
    ngx_http_tccbs_credential_t  **credentials;

    if (conf->credentials->nelts == 0) {
        return;
    }

    if (ngx_process == NGX_PROCESS_SINGLE) {
        ngx_http_tccbs_keeper_start(conf);
        return;
    }

    ngx_http_tccbs_source_forget();

    if (ngx_process == NGX_PROCESS_WORKER) {

        ngx_tccbs_arena_drop(conf->vault);

        credentials = conf->credentials->elts;

        for (i = 0; i < conf->credentials->nelts; i++) {
            ngx_http_tccbs_grant_protect(credentials[i]->page);
        }

        return;
    }

#if (NGX_HAVE_PR_SET_DUMPABLE)

    /* or each process of the same user, a worker, could read its memory */

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "prctl(PR_SET_DUMPABLE) failed");
    }

#endif

    /* nginx's cache loader is such a process as well, but manages nothing */

    ngx_http_tccbs_keeper_timer(cycle, conf, ngx_http_tccbs_keeper_loader,
                                NGX_HTTP_TCCBS_KEEPER_HELPER);
}


static void
ngx_http_tccbs_keeper_timer(ngx_cycle_t *cycle,
    ngx_http_tccbs_keeper_conf_t *conf, ngx_event_handler_pt handler,
    ngx_msec_t timeout)
{
    ngx_event_t  *ev;

    ev = &ngx_http_tccbs_keeper_event;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    ngx_http_tccbs_keeper_dumb.fd = (ngx_socket_t) -1;
    ngx_http_tccbs_keeper_dumb.data = conf;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = &ngx_http_tccbs_keeper_dumb;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, timeout);
}


static void
ngx_http_tccbs_keeper_loader(ngx_event_t *ev)
{
    ngx_connection_t              *c;
    ngx_http_tccbs_keeper_conf_t  *conf;

    c = ev->data;
    conf = c->data;

    ngx_tccbs_arena_drop(conf->vault);
}


/* Called by nginx in its cache manager process; there is a timer of our own. */

static ngx_msec_t
ngx_http_tccbs_keeper_manager(void *data)
{
    ngx_http_tccbs_keeper_conf_t *conf = data;

    if (ngx_http_tccbs_keeps == NULL) {
        ngx_setproctitle("cache manager process (tccbs keeper)");
        (void) ngx_tccbs_arena_lock(conf->vault);
        ngx_http_tccbs_keeper_start(conf);
    }

    return 3600 * 1000;
}


static void
ngx_http_tccbs_keeper_start(ngx_http_tccbs_keeper_conf_t *conf)
{
    ngx_uint_t                     i;
    ngx_http_tccbs_credential_t  **credentials;

    ngx_http_tccbs_keeps = ngx_pcalloc(ngx_cycle->pool,
                                       conf->credentials->nelts
                                       * sizeof(ngx_http_tccbs_keep_t));

    if (ngx_http_tccbs_keeps == NULL || ngx_tccbs_crypto_init() != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "tccbs cannot keep credentials in this process");
        return;
    }

    credentials = conf->credentials->elts;

    for (i = 0; i < conf->credentials->nelts; i++) {

        ngx_http_tccbs_keeps[i].conf = conf;
        ngx_http_tccbs_keeps[i].credential = credentials[i];
        ngx_http_tccbs_keeps[i].next = ngx_current_msec;

        ngx_http_tccbs_keeper_inherit(credentials[i],
                                      &ngx_http_tccbs_keeps[i]);
    }

    ngx_http_tccbs_keeper_timer((ngx_cycle_t *) ngx_cycle, conf,
                                ngx_http_tccbs_keeper_tick, 1);
}


/*
 * A keeper that was respawned has what the master read.  When the one before it
 * has shown another key since, that is out of date, and not to be shown again.
 */

static void
ngx_http_tccbs_keeper_inherit(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_keep_t *keep)
{
    ngx_atomic_uint_t         version;
    ngx_tccbs_triple_t       *triple;
    ngx_http_tccbs_grant_t    grant;
    ngx_http_tccbs_source_t  *source;

    source = &credential->source;
    triple = source->triple;

    keep->seen = source->state;
    version = (ngx_atomic_uint_t) -1;

    if (source->kind == NGX_HTTP_TCCBS_SOURCE_FILE
        && ngx_http_tccbs_grant_read(credential->page, &version, &grant)
           == NGX_OK
        && (grant.id_len != triple->id_len
            || ngx_memcmp(grant.id, triple->id, grant.id_len) != 0))
    {
        ngx_tccbs_wipe(triple, sizeof(ngx_tccbs_triple_t));
        ngx_memzero(&source->state, sizeof(ngx_tccbs_secret_state_t));
    }

    ngx_tccbs_wipe(&grant, sizeof(ngx_http_tccbs_grant_t));
}


static void
ngx_http_tccbs_keeper_tick(ngx_event_t *ev)
{
    ngx_uint_t                      i, publish;
    ngx_connection_t               *c;
    ngx_http_tccbs_keep_t          *keep;
    ngx_http_tccbs_credential_t   **credentials, *credential;
    ngx_http_tccbs_keeper_conf_t   *conf;
    u_char                          date[NGX_TCCBS_TC3_DATE_LEN];

    c = ev->data;
    conf = c->data;

    ngx_tccbs_tc3_date(ngx_time(), date);

    credentials = conf->credentials->elts;

    for (i = 0; i < conf->credentials->nelts; i++) {

        credential = credentials[i];
        keep = &ngx_http_tccbs_keeps[i];

        if (credential->source.kind >= NGX_HTTP_TCCBS_SOURCE_ROLE) {
            ngx_http_tccbs_keeper_fetch(keep, ev->log);
        }

        ngx_http_tccbs_keeper_expire(keep, ev->log);

        publish = ngx_http_tccbs_keeper_reread(credential, keep, ev->log);

        if (ngx_memcmp(keep->date, date, sizeof(date)) != 0) {
            publish = 1;
        }

        if (publish && credential->source.triple->id_len) {
            ngx_memcpy(keep->date, date, sizeof(date));
            ngx_http_tccbs_keeper_publish(keep, ev->log);
        }
    }

    ngx_add_timer(ev, NGX_HTTP_TCCBS_KEEPER_TICK);
}


/*
 * A changed file is read when it has not changed since the last tick, so that
 * it is not half of the new one.
 */

static ngx_uint_t
ngx_http_tccbs_keeper_reread(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_keep_t *keep, ngx_log_t *log)
{
    size_t                     size;
    ngx_uint_t                 same;
    ngx_http_tccbs_source_t   *source;
    ngx_tccbs_secret_error_t   error;
    ngx_tccbs_secret_state_t   state;

    source = &credential->source;

    if (source->kind != NGX_HTTP_TCCBS_SOURCE_FILE
        || ngx_tccbs_secret_stat(&source->path, &state) != NGX_OK)
    {
        return 0;
    }

    size = sizeof(ngx_tccbs_secret_state_t);

    same = (ngx_memcmp(&state, &keep->seen, size) == 0);
    keep->seen = state;

    if (!same || ngx_memcmp(&state, &source->state, size) == 0
        || ngx_memcmp(&state, &keep->failed, size) == 0)
    {
        return 0;
    }

    credential->page->tried = ngx_time();

    if (ngx_http_tccbs_source_read(source, log, &error) != NGX_OK) {

        keep->failed = state;
        ngx_http_tccbs_keeper_tried(credential,
                                    error.err
                                    ? NGX_HTTP_TCCBS_GRANT_UNREADABLE
                                    : NGX_HTTP_TCCBS_GRANT_UNUSABLE);

        ngx_log_error(NGX_LOG_ERR, log, error.err,
                      "tccbs_credential \"%V\" stays as it was, a reload may "
                      "be able to read its file: %s",
                      &credential->name, error.why);
        return 0;
    }

    ngx_http_tccbs_keeper_tried(credential, NGX_HTTP_TCCBS_GRANT_OK);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "tccbs_credential \"%V\" was read again, its file has "
                  "changed", &credential->name);

    return 1;
}


static void
ngx_http_tccbs_keeper_publish(ngx_http_tccbs_keep_t *keep, ngx_log_t *log)
{
    ngx_http_tccbs_credential_t  *credential;

    credential = keep->credential;

    if (ngx_http_tccbs_grant_publish(credential->page, keep->conf->generation,
                                     credential->source.triple, ngx_time())
        == NGX_ERROR)
    {
        /* again at the next tick */

        keep->date[0] = '\0';

        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "tccbs_credential \"%V\" cannot be derived",
                      &credential->name);
    }
}


static void
ngx_http_tccbs_keeper_fetch(ngx_http_tccbs_keep_t *keep, ngx_log_t *log)
{
    ngx_str_t                 why;
    ngx_tccbs_triple_t       *triple;
    ngx_http_tccbs_source_t  *source;

    source = &keep->credential->source;
    triple = source->triple;

    if (keep->busy
        || (ngx_msec_int_t) (ngx_current_msec - keep->next) < 0
        || (triple->id_len && triple->expires - ngx_time() > keep->lead)
        || (source->via && source->via->triple->id_len == 0))
    {
        return;
    }

    keep->busy = 1;
    keep->credential->page->tried = ngx_time();

    if (ngx_http_tccbs_refresh(source, keep->conf->ssl, log,
                               ngx_http_tccbs_keeper_fetched, keep)
        != NGX_OK)
    {
        ngx_str_set(&why, "it could not begin");
        ngx_http_tccbs_keeper_fetched(keep, NGX_HTTP_TCCBS_GRANT_UNREADABLE,
                                      &why);
    }
}


/* The time after a failure grows, and has chance in it. */

static void
ngx_http_tccbs_keeper_fetched(void *data, ngx_http_tccbs_grant_result_e result,
    ngx_str_t *why)
{
    ngx_http_tccbs_keep_t *keep = data;

    ngx_msec_t                    pause;
    ngx_http_tccbs_source_t      *source;
    ngx_http_tccbs_credential_t  *credential;

    credential = keep->credential;
    source = &credential->source;

    keep->busy = 0;
    ngx_http_tccbs_keeper_tried(credential, result);

    if (result == NGX_HTTP_TCCBS_GRANT_OK) {

        keep->failures = 0;
        keep->lead = NGX_HTTP_TCCBS_KEEPER_LEAD
                     + ngx_random() % NGX_HTTP_TCCBS_KEEPER_LEAD;
        keep->next = ngx_current_msec + NGX_HTTP_TCCBS_KEEPER_PAUSE;

        ngx_http_tccbs_keeper_publish(keep, ngx_cycle->log);

        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "tccbs_credential \"%V\" was fetched from \"%V\", "
                      "it is valid for %T seconds",
                      &credential->name, &source->endpoint.url,
                      source->triple->expires - ngx_time());
        return;
    }

    pause = NGX_HTTP_TCCBS_KEEPER_LAST;

    if (keep->failures < 7) {
        pause = NGX_HTTP_TCCBS_KEEPER_FIRST << keep->failures;
        pause = ngx_min(pause, NGX_HTTP_TCCBS_KEEPER_LAST);
    }

    keep->failures++;
    keep->next = ngx_current_msec + pause / 2 + ngx_random() % (pause / 2);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "tccbs_credential \"%V\" was not fetched from \"%V\": %V",
                  &credential->name, &source->endpoint.url, why);
}


/* How the try ended that began at page->tried. */

static void
ngx_http_tccbs_keeper_tried(ngx_http_tccbs_credential_t *credential,
    ngx_http_tccbs_grant_result_e result)
{
    credential->page->result = result;

    if (result == NGX_HTTP_TCCBS_GRANT_OK) {
        credential->page->refreshed = ngx_time();
    }

    ngx_http_tccbs_metrics_add(credential->metrics,
                               NGX_HTTP_TCCBS_M_REFRESHES, result, 0, 1);
}


static void
ngx_http_tccbs_keeper_expire(ngx_http_tccbs_keep_t *keep, ngx_log_t *log)
{
    ngx_tccbs_triple_t  *triple;

    triple = keep->credential->source.triple;

    if (triple->id_len == 0 || triple->expires == 0
        || triple->expires > ngx_time())
    {
        return;
    }

    ngx_tccbs_wipe(triple, sizeof(ngx_tccbs_triple_t));

    ngx_http_tccbs_keeper_publish(keep, log);

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "tccbs_credential \"%V\" has expired, nothing is signed "
                  "with it", &keep->credential->name);
}
