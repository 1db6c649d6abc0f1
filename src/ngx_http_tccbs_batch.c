
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_batch.h"
#include "ngx_http_tccbs_metrics.h"


#define NGX_HTTP_TCCBS_BATCH_BUFFER  65536
#define NGX_HTTP_TCCBS_BATCH_SYSLOG  512       /* what stands before a record */


static ngx_int_t ngx_http_tccbs_batch_reserve(ngx_http_tccbs_batch_t *batch,
    size_t size, ngx_http_tccbs_flight_t *flight, ngx_log_t *log);


ngx_int_t
ngx_http_tccbs_batch_append(ngx_http_tccbs_batch_t *batch, ngx_str_t *id,
    ngx_str_t *rest, ngx_http_tccbs_flight_t *flight, ngx_log_t *log)
{
    u_char  *p;

    if (ngx_http_tccbs_batch_reserve(batch,
                                     ngx_http_tccbs_chain_size(rest->len),
                                     flight, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_tccbs_batch_empty(batch)) {
        batch->first = ngx_http_tccbs_chain_seq();
    }

    p = ngx_http_tccbs_chain_record(batch->pos, id, rest);
    if (p == NULL) {
        return NGX_ERROR;
    }

    batch->kinds[ngx_http_tccbs_families_kind(rest)]++;

    batch->pos = p;
    batch->last = ngx_http_tccbs_chain_seq();

    ngx_memcpy(batch->hash, ngx_http_tccbs_chain_hash(), sizeof(batch->hash));

    if (flight) {
        flight->closing = 1;
        batch->flights[batch->nflights++] = flight;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_tccbs_batch_reserve(ngx_http_tccbs_batch_t *batch, size_t size,
    ngx_http_tccbs_flight_t *flight, ngx_log_t *log)
{
    u_char      *p;
    size_t       used, need;
    ngx_uint_t   n;
    void        *flights;

    used = batch->pos - batch->start;

    if ((size_t) (batch->end - batch->pos) < size) {

        need = ngx_max(2 * used, NGX_HTTP_TCCBS_BATCH_BUFFER) + size;

        p = ngx_alloc(need, log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (batch->start) {
            ngx_memcpy(p, batch->start, used);
            ngx_free(batch->start);
        }

        batch->start = p;
        batch->pos = p + used;
        batch->end = p + need;
    }

    if (flight && batch->nflights == batch->nalloc) {

        n = batch->nalloc ? 2 * batch->nalloc : 64;

        flights = ngx_alloc(n * sizeof(ngx_http_tccbs_flight_t *),
                            log);
        if (flights == NULL) {
            return NGX_ERROR;
        }

        if (batch->flights) {
            ngx_memcpy(flights, batch->flights, batch->nflights
                                          * sizeof(ngx_http_tccbs_flight_t *));
            ngx_free(batch->flights);
        }

        batch->flights = flights;
        batch->nalloc = n;
    }

    return NGX_OK;
}


void
ngx_http_tccbs_batch_done(ngx_http_tccbs_batch_t *batch)
{
    ngx_uint_t  i;

    for (i = 0; i < batch->nflights; i++) {
        ngx_http_tccbs_flight_free(batch->flights[i]);
    }

    for (i = 0; i < NGX_HTTP_TCCBS_NKINDS; i++) {
        ngx_http_tccbs_metrics_add(NULL, NGX_HTTP_TCCBS_M_RECORDS, i, 0,
                                   batch->kinds[i]);
        batch->kinds[i] = 0;
    }

    batch->pos = batch->start;
    batch->nflights = 0;
    batch->reopen = 0;
}


void
ngx_http_tccbs_batch_copy(ngx_http_tccbs_batch_t *batch,
    ngx_syslog_peer_t *peer, ngx_log_t *log)
{
    u_char  *p, *lf, *buf, *last;

    for (p = batch->start; p < batch->pos; p = lf + 1) {

        lf = memchr(p, LF, batch->pos - p);

        buf = ngx_alloc(lf - p + NGX_HTTP_TCCBS_BATCH_SYSLOG, log);
        if (buf == NULL) {
            return;
        }

        last = ngx_cpymem(ngx_syslog_add_header(peer, buf), p, lf - p);

        (void) ngx_syslog_send(peer, buf, last - buf);

        ngx_free(buf);
    }
}
