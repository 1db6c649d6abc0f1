
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_COUNT_H_INCLUDED_
#define _NGX_HTTP_TCCBS_COUNT_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* What becomes of a request, in terms of ngx_http_tccbs_families.h. */


/* Once for each request, when nothing more becomes of it. */
void ngx_http_tccbs_count(ngx_http_tccbs_ctx_t *ctx);

/* The same for an answer that nginx itself made, with this code. */
void ngx_http_tccbs_count_answer(ngx_http_tccbs_main_conf_t *mcf,
    ngx_str_t *code);

/* An attempt begins; it ended, and ctx->outcome is set. */
void ngx_http_tccbs_count_attempt(ngx_http_tccbs_ctx_t *ctx);
void ngx_http_tccbs_count_outcome(ngx_http_tccbs_ctx_t *ctx);

/* Tencent has refused one for its rate. */
void ngx_http_tccbs_count_throttled(ngx_http_tccbs_ctx_t *ctx);

/* A call has waited for so long for its turn, and has it. */
void ngx_http_tccbs_count_turn(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_COUNT_H_INCLUDED_ */
