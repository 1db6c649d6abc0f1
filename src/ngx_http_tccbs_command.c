
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_command.h"
#include "ngx_tccbs_crypto.h"
#include "ngx_tccbs_resp.h"


static ngx_http_tccbs_command_t *ngx_http_tccbs_command(
    ngx_http_tccbs_command_e kind, ngx_str_t *argv, ngx_uint_t argc);


ngx_http_tccbs_command_t *
ngx_http_tccbs_command_eval(ngx_http_tccbs_command_e kind,
    ngx_http_tccbs_script_e script, ngx_str_t *argv, ngx_uint_t argc,
    ngx_uint_t nkeys)
{
    u_char                     n[NGX_INT_T_LEN];
    ngx_str_t                  args[3 + NGX_HTTP_TCCBS_COMMAND_ARGS];
    ngx_http_tccbs_command_t  *command;

    if (argc > NGX_HTTP_TCCBS_COMMAND_ARGS) {
        return NULL;
    }

    ngx_str_set(&args[0], "EVALSHA");

    args[1].data = ngx_http_tccbs_scripts[script].sha;
    args[1].len = NGX_HTTP_TCCBS_SCRIPT_SHA;

    args[2].data = n;
    args[2].len = ngx_sprintf(n, "%ui", nkeys) - n;

    ngx_memcpy(&args[3], argv, argc * sizeof(ngx_str_t));

    command = ngx_http_tccbs_command(kind, args, 3 + argc);

    if (command) {
        command->script = script;
    }

    return command;
}


ngx_http_tccbs_command_t *
ngx_http_tccbs_command_load(ngx_http_tccbs_script_e script)
{
    ngx_str_t  argv[3];

    ngx_str_set(&argv[0], "SCRIPT");
    ngx_str_set(&argv[1], "LOAD");
    argv[2] = ngx_http_tccbs_scripts[script].text;

    return ngx_http_tccbs_command(NGX_HTTP_TCCBS_COMMAND_LOAD, argv, 3);
}


ngx_http_tccbs_command_t *
ngx_http_tccbs_command_auth(ngx_str_t *user, ngx_str_t *password)
{
    ngx_str_t   argv[3];
    ngx_uint_t  n;

    ngx_str_set(&argv[0], "AUTH");
    n = 1;

    if (user->len) {
        argv[n++] = *user;
    }

    argv[n++] = *password;

    return ngx_http_tccbs_command(NGX_HTTP_TCCBS_COMMAND_LOGIN, argv, n);
}


ngx_http_tccbs_command_t *
ngx_http_tccbs_command_select(ngx_uint_t db)
{
    u_char     n[NGX_INT_T_LEN];
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "SELECT");

    argv[1].data = n;
    argv[1].len = ngx_sprintf(n, "%ui", db) - n;

    return ngx_http_tccbs_command(NGX_HTTP_TCCBS_COMMAND_LOGIN, argv, 2);
}


static ngx_http_tccbs_command_t *
ngx_http_tccbs_command(ngx_http_tccbs_command_e kind, ngx_str_t *argv,
    ngx_uint_t argc)
{
    ngx_http_tccbs_command_t  *command;

    command = ngx_calloc(sizeof(ngx_http_tccbs_command_t), ngx_cycle->log);
    if (command == NULL) {
        return NULL;
    }

    command->kind = kind;

    if (ngx_tccbs_resp_command(argv, argc, &command->bytes) != NGX_OK) {
        ngx_free(command);
        return NULL;
    }

    return command;
}


/* "*N", then "$LENGTH" and so many bytes: EVALSHA, digest, keys, and these. */

void
ngx_http_tccbs_command_argv(ngx_http_tccbs_command_t *command, ngx_str_t *argv,
    ngx_uint_t argc)
{
    u_char     *p;
    ngx_str_t   arg;
    ngx_uint_t  i;

    p = (u_char *) ngx_strchr(command->bytes.data, LF) + 1;

    for (i = 0; i < 3 + argc; i++) {

        for (p++, arg.len = 0; *p != CR; p++) {
            arg.len = arg.len * 10 + (*p - '0');
        }

        arg.data = p + 2;
        p = arg.data + arg.len + 2;

        if (i >= 3) {
            argv[i - 3] = arg;
        }
    }
}


ngx_http_tccbs_command_t *
ngx_http_tccbs_command_shift(ngx_queue_t *queue)
{
    ngx_queue_t  *q;

    q = ngx_queue_head(queue);
    ngx_queue_remove(q);

    return ngx_queue_data(q, ngx_http_tccbs_command_t, queue);
}


void
ngx_http_tccbs_command_free(ngx_http_tccbs_command_t *command)
{
    ngx_tccbs_wipe(command->bytes.data, command->bytes.len);
    ngx_tccbs_resp_free(&command->bytes);
    ngx_free(command);
}
