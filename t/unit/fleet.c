
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "../../bench/fleet.h"
#include "tap.h"


static fleet_param_t
fleet(ngx_uint_t nodes, fleet_fault_e fault, uint32_t seed)
{
    fleet_param_t  p;

    ngx_memzero(&p, sizeof(p));

    p.nodes = nodes;
    p.rate = 20;
    p.period = 100000;
    p.timeout = 50000;
    p.latency = 500;
    p.jitter = 500;
    p.skew = 200e-6;
    p.late = 2000;
    p.way = 3000;
    p.seconds = 30;
    p.fault = fault;
    p.seed = seed;

    return p;
}


/* At most, and at least, whatever is wrong; a third of the time it is. */

static void
faults(void)
{
    double          busiest, used, jain, outstanding;
    ngx_uint_t      i, k, fault;
    fleet_param_t   p;
    fleet_result_t  r;

    static ngx_uint_t  nodes[] = { 3, 5, 10 };

    /*
     * Without Redis a fleet of three has 18 calls a second and nobody asks how
     * many wait; a third that is dead leaves its share, as it may be alive.
     */

    static double      least[FLEET_FAULTS] = {
        0.97, 0.94, 0.83, 0.90, 0.88, 0.88, 0.97, 0.90
    };

    for (fault = 0; fault < FLEET_FAULTS; fault++) {

        busiest = 0;
        outstanding = 0;
        used = 1;
        jain = 1;

        for (i = 0; i < 3; i++) {
            for (k = 1; k <= 3; k++) {
                p = fleet(nodes[i], fault, k);
                r = fleet_run(&p);

                busiest = ngx_max(busiest, r.busiest);
                outstanding = ngx_max(outstanding, r.outstanding);
                used = ngx_min(used, r.used);
                jain = ngx_min(jain, r.jain);
            }
        }

        /* Redis cannot know that its clock was set forward */

        ok(busiest <= 20 + (fault == FLEET_STEP ? outstanding : 0),
           "%s: %g calls in the busiest second, %g slots were outstanding",
           fleet_faults[fault], busiest, outstanding);

        ok(used >= least[fault], "%s: %.4f of the limit used",
           fleet_faults[fault], used);

        if (fault == FLEET_HEALTHY) {
            ok(jain >= 0.99, "%s: Jain %.4f", fleet_faults[fault], jain);
        }
    }
}


static void
figures(const char *what, fleet_param_t *p, double used, double calls)
{
    fleet_result_t  r;

    r = fleet_run(p);

    ok(r.busiest <= p->rate, "%s: %g in the busiest second", what, r.busiest);
    ok(r.used >= used, "%s: %.4f used", what, r.used);
    ok(r.jain >= 0.99, "%s: Jain %.4f", what, r.jain);
    ok(r.calls <= calls, "%s: %.1f calls of Redis a second", what, r.calls);
}


int
main(void)
{
    fleet_param_t   p;
    fleet_result_t  a, b;

    faults();

    p = fleet(5, FLEET_HEALTHY, 1);
    p.loss = 0.02;
    figures("one message of 50 lost", &p, 0.95, 60);

    p = fleet(5, FLEET_HEALTHY, 1);
    p.latency = 16000;
    p.jitter = 2000;
    p.seconds = 60;
    figures("Redis 16 ms away", &p, 0.96, 50);

    p = fleet(1, FLEET_HEALTHY, 1);
    figures("one node", &p, 0.97, 10);

    p = fleet(200, FLEET_HEALTHY, 1);
    p.seconds = 60;
    figures("200 nodes", &p, 0.97, 2000);

    p = fleet(5, FLEET_HEALTHY, 1);
    p.rate = 200;
    figures("200 calls a second", &p, 0.97, 50);

    /* what it costs to wait, at half of the limit */

    p = fleet(5, FLEET_HEALTHY, 1);
    p.load = 0.2;
    a = fleet_run(&p);
    ok(a.wait < 30, "a call waits %.1f ms at 20%% of the limit", a.wait);

    /* the figures can be bad, and are always the same */

    p = fleet(5, FLEET_HEALTHY, 1);
    p.way = 60000;
    a = fleet_run(&p);
    ok(a.busiest > 20, "ways that differ by 60 ms: %g in a second", a.busiest);

    b = fleet_run(&p);
    ok(memcmp(&a, &b, sizeof(a)) == 0, "the same seed, the same figures");

    p.seed++;
    b = fleet_run(&p);
    ok(memcmp(&a, &b, sizeof(a)) != 0, "another seed, other figures");

    return tap_done();
}
