
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "doctor.h"
#include "ngx_tccbs_out.h"


#define TCCBS_DOCTOR_CONF    "/etc/nginx/nginx.conf"
#define TCCBS_DOCTOR_PREFIX  "/usr/share/nginx/"
#define TCCBS_DOCTOR_PID     "/run/nginx.pid"
#define TCCBS_DOCTOR_AGE     90             /* days */
#define TCCBS_DOCTOR_TEXT    1024


static int tccbs_doctor_options(int argc, char **argv, tccbs_doctor_t *doctor,
    ngx_uint_t *json);
static int tccbs_doctor_run(tccbs_doctor_t *doctor, ngx_uint_t json);
static void tccbs_doctor_table(tccbs_doctor_t *doctor);
static ngx_int_t tccbs_doctor_json(tccbs_doctor_t *doctor);


int
tccbs_doctor(int argc, char **argv)
{
    int              rc;
    ngx_uint_t       json;
    tccbs_doctor_t   doctor;

    ngx_memzero(&doctor, sizeof(tccbs_doctor_t));

    doctor.setup.conf = TCCBS_DOCTOR_CONF;
    doctor.setup.prefix = TCCBS_DOCTOR_PREFIX;
    doctor.max_age = TCCBS_DOCTOR_AGE * 86400;

    rc = tccbs_doctor_options(argc, argv, &doctor, &json);

    if (rc != TCCBS_OK) {
        return rc;
    }

    doctor.pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, NULL);
    if (doctor.pool == NULL) {
        return TCCBS_FAILED;
    }

    rc = tccbs_doctor_run(&doctor, json);

    ngx_destroy_pool(doctor.pool);

    return rc;
}


static int
tccbs_doctor_options(int argc, char **argv, tccbs_doctor_t *doctor,
    ngx_uint_t *json)
{
    int                   c;
    long                  days;
    char                 *end;
    static struct option  options[] = {
        { "conf", required_argument, NULL, 'c' },
        { "prefix", required_argument, NULL, 'p' },
        { "pid", required_argument, NULL, 'i' },
        { "max-age", required_argument, NULL, 'a' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 }
    };

    *json = 0;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {

        switch (c) {

        case 'c':
            doctor->setup.conf = optarg;
            break;

        case 'p':
            doctor->setup.prefix = optarg;
            break;

        case 'i':
            doctor->setup.pid = optarg;
            break;

        case 'a':
            days = strtol(optarg, &end, 10);

            if (*end || days < 1 || days > 36500) {
                fprintf(stderr, "tccbs: --max-age is a number of days\n");
                return TCCBS_USAGE;
            }

            doctor->max_age = days * 86400;
            break;

        case 'j':
            *json = 1;
            break;

        default:
            return tccbs_usage("doctor");
        }
    }

    return (optind == argc) ? TCCBS_OK : tccbs_usage("doctor");
}


static int
tccbs_doctor_run(tccbs_doctor_t *doctor, ngx_uint_t json)
{
    doctor->setup.pool = doctor->pool;

    if (ngx_array_init(&doctor->results, doctor->pool, 32,
                       sizeof(tccbs_result_t))
        != NGX_OK
        || tccbs_setup_read(&doctor->setup) != NGX_OK)
    {
        return TCCBS_FAILED;
    }

    if (doctor->setup.pid == NULL) {
        doctor->setup.pid = TCCBS_DOCTOR_PID;
    }

    if (doctor->setup.passes.nelts == 0) {
        tccbs_doctor_say(doctor, 1, "gateway", "no \"tccbs_pass\" in %s",
                         doctor->setup.conf);
    }

    tccbs_doctor_files(doctor);
    tccbs_doctor_processes(doctor);
    tccbs_doctor_upstreams(doctor);

    if (doctor->failed) {
        fprintf(stderr, "tccbs: no memory\n");
        return TCCBS_FAILED;
    }

    if (!json) {
        tccbs_doctor_table(doctor);

    } else if (tccbs_doctor_json(doctor) != NGX_OK) {
        return TCCBS_FAILED;
    }

    return doctor->findings ? TCCBS_FAILED : TCCBS_OK;
}


void
tccbs_doctor_say(tccbs_doctor_t *doctor, ngx_uint_t finding, const char *check,
    const char *fmt, ...)
{
    int              n;
    char             text[TCCBS_DOCTOR_TEXT];
    va_list          args;
    tccbs_result_t  *result;

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    n = ngx_min(n, (int) sizeof(text) - 1);

    result = ngx_array_push(&doctor->results);

    if (result) {
        result->check = check;
        result->finding = finding;
        result->text.len = n;
        result->text.data = ngx_pnalloc(doctor->pool, n);
    }

    if (result == NULL || result->text.data == NULL) {
        doctor->failed = 1;
        return;
    }

    ngx_memcpy(result->text.data, text, n);

    doctor->findings += finding;
}


static void
tccbs_doctor_table(tccbs_doctor_t *doctor)
{
    ngx_uint_t       i;
    tccbs_result_t  *result;

    result = doctor->results.elts;

    for (i = 0; i < doctor->results.nelts; i++) {
        printf("%-8s %-12s %.*s\n", result[i].finding ? "FINDING" : "ok",
               result[i].check, (int) result[i].text.len,
               result[i].text.data);
    }

    printf("%u checks, %u findings\n", (unsigned) doctor->results.nelts,
           (unsigned) doctor->findings);
}


static ngx_int_t
tccbs_doctor_json(tccbs_doctor_t *doctor)
{
    ngx_str_t        s;
    ngx_uint_t       i;
    tccbs_result_t  *result;
    ngx_tccbs_out_t  out;

    ngx_tccbs_out_init(&out, doctor->pool, 4096);

    ngx_tccbs_out_lit(&out, "{\"findings\":");
    ngx_tccbs_out_uint(&out, doctor->findings);
    ngx_tccbs_out_lit(&out, ",\"checks\":[");

    result = doctor->results.elts;

    for (i = 0; i < doctor->results.nelts; i++) {

        if (i) {
            ngx_tccbs_out_lit(&out, ",");
        }

        s.data = (u_char *) result[i].check;
        s.len = strlen(result[i].check);

        ngx_tccbs_out_lit(&out, "{\"check\":");
        ngx_tccbs_out_string(&out, &s);

        if (result[i].finding) {
            ngx_tccbs_out_lit(&out, ",\"finding\":true,\"text\":");

        } else {
            ngx_tccbs_out_lit(&out, ",\"finding\":false,\"text\":");
        }

        ngx_tccbs_out_string(&out, &result[i].text);
        ngx_tccbs_out_lit(&out, "}");
    }

    ngx_tccbs_out_lit(&out, "]}\n");

    if (out.failed) {
        return NGX_ERROR;
    }

    s = ngx_tccbs_out_str(&out);

    return (fwrite(s.data, 1, s.len, stdout) == s.len) ? NGX_OK : NGX_ERROR;
}
