
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_SET_H_INCLUDED_
#define _NGX_HTTP_TCCBS_SET_H_INCLUDED_


#include "ngx_http_tccbs.h"


/* Setters of the directives that are more than a value in a slot. */

char *ngx_http_tccbs_set_signed_host(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tccbs_set_key_master(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_tccbs_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* A post handler: the file must exist, an empty name is none. */
char *ngx_http_tccbs_check_file(ngx_conf_t *cf, void *post, void *data);

/* Parameters of "tccbs_audit": "key=path" and "syslog:...". */
char *ngx_http_tccbs_set_audit_key(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf, ngx_str_t *value);
char *ngx_http_tccbs_set_audit_syslog(ngx_conf_t *cf,
    ngx_http_tccbs_main_conf_t *mcf, ngx_str_t *value);


#endif /* _NGX_HTTP_TCCBS_SET_H_INCLUDED_ */
