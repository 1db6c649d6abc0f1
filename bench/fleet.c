
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


/*
 * fleet [name=value ...]
 *
 * Simulates a fleet, see fleet.h, and prints its figures as "name=value".
 * Times are in milliseconds; "fault" is a word of fleet_faults.
 */

#include "fleet.h"

#include <stdio.h>


int
main(int argc, char **argv)
{
    int             i, k;
    char           *v;
    fleet_param_t   p;
    fleet_result_t  r;

    double          period = 100, timeout = 50, latency = 0.5, jitter = 0.25;
    double          nodes = 10, rate = 20, late = 2, way = 3, seed = 1;

    struct {
        const char  *name;
        double      *value;
    } names[] = {
        { "nodes", &nodes }, { "rate", &rate }, { "period", &period },
        { "timeout", &timeout }, { "latency", &latency },
        { "jitter", &jitter }, { "late", &late }, { "way", &way },
        { "seed", &seed }, { "loss", &p.loss }, { "skew", &p.skew },
        { "load", &p.load }, { "seconds", &p.seconds }, { NULL, NULL }
    };

    ngx_memzero(&p, sizeof(p));
    p.skew = 100e-6;
    p.seconds = 60;

    for (i = 1; i < argc; i++) {

        v = strchr(argv[i], '=');

        for (k = 0; v && names[k].name; k++) {
            if (strncmp(argv[i], names[k].name, v - argv[i]) == 0
                && names[k].name[v - argv[i]] == '\0')
            {
                *names[k].value = atof(v + 1);
                break;
            }
        }

        if (v && names[k].name) {
            continue;
        }

        for (k = 0; v && k < FLEET_FAULTS; k++) {
            if (strncmp(argv[i], "fault=", 6) == 0
                && strcmp(v + 1, fleet_faults[k]) == 0)
            {
                p.fault = k;
                break;
            }
        }

        if (v == NULL || k == FLEET_FAULTS) {
            fprintf(stderr, "fleet: \"%s\" is no parameter\n", argv[i]);
            return 2;
        }
    }

    if (nodes < 1 || nodes > GRANT_NODES || rate < 1 || period < 10
        || timeout > 2 * period || p.seconds < 1)
    {
        fprintf(stderr, "fleet: a parameter is out of its bounds\n");
        return 2;
    }

    p.nodes = nodes;
    p.rate = rate;
    p.period = period * 1000;
    p.timeout = timeout * 1000;
    p.latency = latency * 1000;
    p.jitter = jitter * 1000;
    p.late = late * 1000;
    p.way = way * 1000;
    p.seed = seed;

    r = fleet_run(&p);

    printf("fault=%s nodes=%g rate=%g period=%g latency=%g load=%g seed=%g "
           "used=%.4f busiest=%g jain=%.4f calls=%.1f outstanding=%g "
           "wait=%.1f wait99=%.1f lost=%.4f\n",
           fleet_faults[p.fault], nodes, rate, period, latency, p.load, seed,
           r.used, r.busiest, r.jain, r.calls, r.outstanding, r.wait, r.wait99,
           r.lost);

    return 0;
}
