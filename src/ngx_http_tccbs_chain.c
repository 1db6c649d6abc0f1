
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_chain.h"
#include "ngx_tccbs_crypto.h"


#define NGX_HTTP_TCCBS_CHAIN_TIME  "{\"v\":1,\"time\":\""
#define NGX_HTTP_TCCBS_CHAIN_ID    "\",\"id\":\""
#define NGX_HTTP_TCCBS_CHAIN_NAME  "\",\"chain\":\""
#define NGX_HTTP_TCCBS_CHAIN_MAC   ",\"mac\":\""

/* the common members and the mac */

#define NGX_HTTP_TCCBS_CHAIN_HEAD                                             \
    (sizeof("{\"v\":1,\"time\":\"2026-01-01T00:00:00.000000Z\",\"id\":\"\","  \
            "\"chain\":\"\",\"seq\":,\"prev\":\"\",\"mac\":\"\"}\n")          \
     + NGX_TCCBS_UUID_LEN + NGX_HTTP_TCCBS_CHAIN_LEN + NGX_INT64_LEN          \
     + 2 * NGX_TCCBS_HEX_LEN)

#define NGX_HTTP_TCCBS_CHAIN_END                                              \
    (sizeof("{\"chain\":\"\",\"seq\":,\"hash\":\"\"},")                       \
     + NGX_HTTP_TCCBS_CHAIN_LEN + NGX_INT64_LEN + NGX_TCCBS_HEX_LEN)


typedef struct {
    u_char                  name[NGX_HTTP_TCCBS_CHAIN_LEN];
    u_char                  hash[NGX_TCCBS_SHA256_LEN];
    uint64_t                seq;
    ngx_uint_t              keyed;
    ngx_tccbs_mac_t         mac;
    ngx_shm_zone_t         *zone;
    ngx_log_t              *log;
    ngx_http_tccbs_head_t  *head;             /* its own, shared */
    ngx_http_tccbs_head_t   known[NGX_HTTP_TCCBS_HEADS];
    ngx_uint_t              nknown;           /* named in an anchor */
} ngx_http_tccbs_chain_t;


static u_char *ngx_http_tccbs_chain_time(u_char *p);
static ngx_uint_t ngx_http_tccbs_chain_known(ngx_http_tccbs_head_t *head);


static ngx_http_tccbs_chain_t  ngx_http_tccbs_chain;


ngx_int_t
ngx_http_tccbs_chain_init(ngx_shm_zone_t *zone, ngx_str_t *key, ngx_log_t *log)
{
    ngx_http_tccbs_chain_t  *chain;
    u_char                   name[NGX_HTTP_TCCBS_CHAIN_LEN / 2];

    chain = &ngx_http_tccbs_chain;

    ngx_memzero(chain, sizeof(ngx_http_tccbs_chain_t));

    chain->zone = zone;
    chain->log = log;
    chain->keyed = (key->len != 0);

    if (ngx_tccbs_random(name, sizeof(name)) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_tccbs_hex(chain->name, name, sizeof(name));

    chain->head = ngx_http_tccbs_heads_take(zone, chain->name);

    return chain->keyed ? ngx_tccbs_mac_key(&chain->mac, key->data, key->len)
                        : NGX_OK;
}


uint64_t
ngx_http_tccbs_chain_seq(void)
{
    return ngx_http_tccbs_chain.seq;
}


u_char *
ngx_http_tccbs_chain_hash(void)
{
    return ngx_http_tccbs_chain.hash;
}


size_t
ngx_http_tccbs_chain_size(size_t rest)
{
    return NGX_HTTP_TCCBS_CHAIN_HEAD + rest;
}


u_char *
ngx_http_tccbs_chain_record(u_char *p, ngx_str_t *id, ngx_str_t *rest)
{
    ngx_str_t                line;
    ngx_http_tccbs_chain_t  *chain;
    u_char                   mac[NGX_TCCBS_SHA256_LEN];

    chain = &ngx_http_tccbs_chain;

    line.data = p;

    p = ngx_cpymem(p, NGX_HTTP_TCCBS_CHAIN_TIME,
                   sizeof(NGX_HTTP_TCCBS_CHAIN_TIME) - 1);
    p = ngx_http_tccbs_chain_time(p);
    p = ngx_cpymem(p, NGX_HTTP_TCCBS_CHAIN_ID,
                   sizeof(NGX_HTTP_TCCBS_CHAIN_ID) - 1);
    p = ngx_cpymem(p, id->data, id->len);
    p = ngx_cpymem(p, NGX_HTTP_TCCBS_CHAIN_NAME,
                   sizeof(NGX_HTTP_TCCBS_CHAIN_NAME) - 1);
    p = ngx_cpymem(p, chain->name, sizeof(chain->name));
    p = ngx_sprintf(p, "\",\"seq\":%uL,\"prev\":\"", chain->seq);
    p = ngx_tccbs_hex(p, chain->hash, sizeof(chain->hash));
    p = ngx_cpymem(p, "\",", 2);
    p = ngx_cpymem(p, rest->data, rest->len);

    if (chain->keyed) {
        line.len = p - line.data;

        if (ngx_tccbs_mac_sign(&chain->mac, mac, &line, 1) != NGX_OK) {
            return NULL;
        }

        p = ngx_cpymem(p, NGX_HTTP_TCCBS_CHAIN_MAC,
                       sizeof(NGX_HTTP_TCCBS_CHAIN_MAC) - 1);
        p = ngx_tccbs_hex(p, mac, sizeof(mac));
        *p++ = '"';
    }

    *p++ = '}';

    /* the chain links lines without their newline */

    line.len = p - line.data;

    if (ngx_tccbs_sha256(chain->hash, &line, 1) != NGX_OK) {
        return NULL;
    }

    chain->seq++;

    *p++ = LF;

    return p;
}


/* "2026-01-01T00:00:00.000000Z"; most records share their second. */

static u_char *
ngx_http_tccbs_chain_time(u_char *p)
{
    long             us, unit;
    ngx_tm_t         tm;
    struct timespec  ts;

    static time_t    second = -1;
    static u_char    text[sizeof("2026-01-01T00:00:00.") - 1];

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (ts.tv_sec != second) {
        second = ts.tv_sec;
        ngx_gmtime(second, &tm);

        (void) ngx_sprintf(text, "%04d-%02d-%02dT%02d:%02d:%02d.",
                           tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                           tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
    }

    p = ngx_cpymem(p, text, sizeof(text));
    us = ts.tv_nsec / 1000;

    for (unit = 100000; unit; unit /= 10) {
        *p++ = (u_char) ('0' + us / unit % 10);
    }

    *p++ = 'Z';

    return p;
}


ngx_int_t
ngx_http_tccbs_chain_anchor(const char *why, ngx_uint_t all, ngx_str_t *rest)
{
    u_char                  *p;
    ngx_uint_t               i, n;
    ngx_http_tccbs_head_t   *head;
    ngx_http_tccbs_chain_t  *chain;
    ngx_http_tccbs_head_t    heads[NGX_HTTP_TCCBS_HEADS];

    chain = &ngx_http_tccbs_chain;

    n = ngx_http_tccbs_heads_copy(chain->zone, heads);

    rest->data = ngx_alloc(128 + n * NGX_HTTP_TCCBS_CHAIN_END, chain->log);
    if (rest->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(rest->data, "\"kind\":\"anchor\",\"why\":\"%s\","
                                "\"heads\":[", why);

    for (i = 0; i < n; i++) {

        head = &heads[i];

        if (ngx_memcmp(head->chain, chain->name, sizeof(head->chain)) == 0
            || (!all && ngx_http_tccbs_chain_known(head)))
        {
            continue;
        }

        p = ngx_sprintf(p, "%s{\"chain\":\"%*s\",\"seq\":%uL,\"hash\":\"",
                        (p[-1] == '[') ? "" : ",", sizeof(head->chain),
                        head->chain, head->seq);
        p = ngx_tccbs_hex(p, head->hash, sizeof(head->hash));
        p = ngx_cpymem(p, "\"}", 2);
    }

    *p++ = ']';

    rest->len = p - rest->data;

    ngx_memcpy(chain->known, heads, n * sizeof(ngx_http_tccbs_head_t));
    chain->nknown = n;

    return NGX_OK;
}


/* Whether the last anchor named this end. */

static ngx_uint_t
ngx_http_tccbs_chain_known(ngx_http_tccbs_head_t *head)
{
    ngx_uint_t               i;
    ngx_http_tccbs_chain_t  *chain;

    chain = &ngx_http_tccbs_chain;

    for (i = 0; i < chain->nknown; i++) {
        if (ngx_memcmp(head->chain, chain->known[i].chain, sizeof(head->chain))
            == 0)
        {
            return chain->known[i].seq == head->seq;
        }
    }

    return 0;
}


void
ngx_http_tccbs_chain_durable(uint64_t seq,
    const u_char hash[NGX_TCCBS_SHA256_LEN])
{
    ngx_http_tccbs_heads_publish(ngx_http_tccbs_chain.zone,
                                 ngx_http_tccbs_chain.head, seq, hash);
}


u_char *
ngx_http_tccbs_chain_receipt(u_char *p)
{
    ngx_http_tccbs_chain_t  *chain;

    chain = &ngx_http_tccbs_chain;

    p = ngx_sprintf(p, "%*s.%uL.", sizeof(chain->name), chain->name,
                    chain->seq - 1);

    return ngx_tccbs_hex(p, chain->hash, sizeof(chain->hash));
}
