
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_CONF_H_INCLUDED_
#define _NGX_HTTP_TCCBS_CONF_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * Configurations with their defaults, and what can be checked only when all of
 * it was read: accounts against each other and against the credentials.
 */

void *ngx_http_tccbs_create_main_conf(ngx_conf_t *cf);
char *ngx_http_tccbs_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_tccbs_create_srv_conf(ngx_conf_t *cf);
void *ngx_http_tccbs_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_tccbs_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* _NGX_HTTP_TCCBS_CONF_H_INCLUDED_ */
