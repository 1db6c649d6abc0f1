
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "tccbs.h"
#include "doctor.h"
#include "probe.h"
#include "ngx_tccbs_text.h"


#define TCCBS_DOCTOR_SKEW   30              /* seconds */
#define TCCBS_DOCTOR_WRONG  "wrong-name.invalid"


static void tccbs_doctor_pass(tccbs_doctor_t *doctor,
    tccbs_setup_pass_t *pass);
static ngx_uint_t tccbs_doctor_ca(tccbs_doctor_t *doctor,
    tccbs_setup_pass_t *pass, tccbs_probe_t *probe);
static void tccbs_doctor_probe(tccbs_doctor_t *doctor, tccbs_probe_t *probe);
static void tccbs_doctor_wrong(tccbs_doctor_t *doctor, tccbs_probe_t *probe);
static char *tccbs_doctor_string(tccbs_doctor_t *doctor, ngx_str_t *s);


void
tccbs_doctor_upstreams(tccbs_doctor_t *doctor)
{
    ngx_uint_t           i;
    tccbs_setup_pass_t  *pass;

    pass = doctor->setup.passes.elts;

    for (i = 0; i < doctor->setup.passes.nelts; i++) {
        tccbs_doctor_pass(doctor, &pass[i]);
    }
}


static void
tccbs_doctor_pass(tccbs_doctor_t *doctor, tccbs_setup_pass_t *pass)
{
    char                  *value;
    ngx_uint_t             i, found;
    tccbs_probe_t          probe;
    tccbs_setup_server_t  *server;

    ngx_memzero(&probe, sizeof(tccbs_probe_t));

    value = tccbs_setup_value(pass->block, TCCBS_SETUP_NAME);

    probe.ssl = pass->ssl;
    probe.name = (value && *value) ? value
                                   : tccbs_doctor_string(doctor, &pass->host);
    probe.ciphers = tccbs_setup_value(pass->block, TCCBS_SETUP_CIPHERS);

    value = tccbs_setup_value(pass->block, TCCBS_SETUP_DEPTH);
    probe.depth = value ? atoi(value) : 4;

    value = tccbs_setup_value(pass->block, TCCBS_SETUP_CRL);
    probe.crl = (value && *value) ? value : NULL;

    if (pass->ssl && !tccbs_doctor_ca(doctor, pass, &probe)) {
        return;
    }

    server = doctor->setup.servers.elts;
    found = 0;

    for (i = 0; i < doctor->setup.servers.nelts; i++) {

        if (!ngx_tccbs_same(&server[i].upstream, &pass->host)) {
            continue;
        }

        probe.host = tccbs_doctor_string(doctor, &server[i].host);
        probe.port = tccbs_doctor_string(doctor, &server[i].port);

        tccbs_doctor_probe(doctor, &probe);
        found = 1;
    }

    if (!found) {
        probe.host = tccbs_doctor_string(doctor, &pass->host);
        probe.port = tccbs_doctor_string(doctor, &pass->port);

        tccbs_doctor_probe(doctor, &probe);
    }
}


static ngx_uint_t
tccbs_doctor_ca(tccbs_doctor_t *doctor, tccbs_setup_pass_t *pass,
    tccbs_probe_t *probe)
{
    char        *ca;
    ngx_uint_t   n;

    ca = tccbs_setup_value(pass->block, TCCBS_SETUP_CA);

    if (ca == NULL || *ca == '\0') {
        tccbs_doctor_say(doctor, 0, "ca", "the certificates of the system");
        return 1;
    }

    n = tccbs_probe_ca(ca);
    probe->ca = ca;

    tccbs_doctor_say(doctor, n == 0, "ca", "%s: %u certificates%s", ca,
                     (unsigned) n, n ? "" : ", it cannot be used");

    return n != 0;
}


static void
tccbs_doctor_probe(tccbs_doctor_t *doctor, tccbs_probe_t *probe)
{
    char         why[TCCBS_PROBE_WHY];
    time_t       ahead;
    ngx_int_t    rc;
    ngx_uint_t   dated;

    if (probe->name == NULL || probe->host == NULL || probe->port == NULL) {
        return;
    }

    why[0] = '\0';
    ahead = 0;

    rc = tccbs_probe(probe, probe->name, &dated, &ahead, why);

    if (rc != NGX_OK) {
        tccbs_doctor_say(doctor, 1, "upstream", "%s:%s as %s: %s%s",
                         probe->host, probe->port, probe->name,
                         rc == NGX_DECLINED ? "certificate refused: " : "",
                         why);
        return;
    }

    if (!probe->ssl) {
        tccbs_doctor_say(doctor, 0, "upstream", "%s:%s: without TLS, on this "
                         "host", probe->host, probe->port);

    } else {
        tccbs_doctor_say(doctor, 0, "upstream", "%s:%s: %s, verified as %s",
                         probe->host, probe->port, why, probe->name);
        tccbs_doctor_wrong(doctor, probe);
    }

    if (!dated) {
        tccbs_doctor_say(doctor, 1, "clock", "%s:%s sends no Date to compare "
                         "with", probe->host, probe->port);

    } else {
        tccbs_doctor_say(doctor, labs((long) ahead) > TCCBS_DOCTOR_SKEW,
                         "clock", "%ld s %s that of %s:%s%s",
                         labs((long) ahead), ahead > 0 ? "behind" : "ahead of",
                         probe->host, probe->port,
                         labs((long) ahead) > TCCBS_DOCTOR_SKEW
                         ? ", calls are refused from 300 s on" : "");
    }
}


/* That a certificate is accepted proves little, unless another one is not. */

static void
tccbs_doctor_wrong(tccbs_doctor_t *doctor, tccbs_probe_t *probe)
{
    char         why[TCCBS_PROBE_WHY];
    time_t       ahead;
    ngx_int_t    rc;
    ngx_uint_t   dated;

    why[0] = '\0';

    rc = tccbs_probe(probe, TCCBS_DOCTOR_WRONG, &dated, &ahead, why);

    tccbs_doctor_say(doctor, rc != NGX_DECLINED, "upstream",
                     "%s:%s as " TCCBS_DOCTOR_WRONG ": %s%s", probe->host,
                     probe->port, rc == NGX_DECLINED ? "refused, "
                                                     : "not refused: ", why);
}


static char *
tccbs_doctor_string(tccbs_doctor_t *doctor, ngx_str_t *s)
{
    char  *text;

    text = ngx_pnalloc(doctor->pool, s->len + 1);

    if (text == NULL) {
        doctor->failed = 1;
        return NULL;
    }

    ngx_memcpy(text, s->data, s->len);
    text[s->len] = '\0';

    return text;
}
