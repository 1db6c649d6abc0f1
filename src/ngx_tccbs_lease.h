
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_TCCBS_LEASE_H_INCLUDED_
#define _NGX_TCCBS_LEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * One upstream budget for a fleet of nodes.
 *
 * The budget is a line of slots in the time of the Redis clock, no two of them
 * nearer than "cost"; a call may leave within "use" after the start of its
 * slot.  So rate + 1 calls, wherever they leave, are spread over at least
 * rate * cost - use > 1 s, and no second of the upstream's clock, on whatever
 * boundary, has more than "rate" of them: what is left of the difference,
 * "rate * cost - use - 1 s" or 10 ms, is for what the ways to the upstream
 * differ.  A node that is so far from Redis that it knows its time badly, or so
 * busy that it is late, needs a longer "use", and makes "cost" longer for all.
 *
 * A lease is a slot.  A node asks the script (ngx_tccbs_lease_script) every
 * "period", says how many calls of which accounts wait, and gets slots that
 * start within "horizon"; each is for an account.  The script keeps the queue
 * of the fleet: start-time fair queueing of accounts, with one waiting call of
 * each node and account in it.  The tags are those of the account, so one that
 * waits at several nodes has one share.
 *
 * A slot that is not used in time is gone, and so is that of a node that died.
 * A node counts the time from before its request was sent, in its own monotonic
 * clock, so it is never late, whatever the network does.
 *
 * A node that has not asked for "hold" is silent: it may live and spend its
 * share, rate / nodes rounded down, without Redis.  It begins with that not
 * before the script has begun to withhold as much from the others: "hold" and
 * "horizon" after the last request that can have reached Redis.  For the same
 * reason a node that comes back counts as silent for another second, or "hold"
 * when that is longer.  The script takes an empty Redis, and one whose state is
 * older than "hold", for one that has lost its state: the first slot is behind
 * all slots that the nodes may still have, and all are silent.
 *
 * With more nodes than calls a second no share is left: a second could have one
 * call of each node.  Nothing is sent without Redis then.
 *
 * All times here are microseconds; "now" is any monotonic clock of the node
 * that all its processes share.  Nothing here locks, waits, or reads a clock:
 * the caller has the lock of the memory where ngx_tccbs_lease_t is.
 */

#define NGX_TCCBS_LEASE_SLOTS     64          /* that a node has at once */
#define NGX_TCCBS_LEASE_ACCOUNTS  32          /* that a request tells of */
#define NGX_TCCBS_LEASE_KEYS      5
#define NGX_TCCBS_LEASE_ARGS      (10 + 3 * NGX_TCCBS_LEASE_ACCOUNTS)
#define NGX_TCCBS_LEASE_BUFFER    (NGX_TCCBS_LEASE_ARGS * NGX_INT64_LEN)
#define NGX_TCCBS_LEASE_ID_LEN    16          /* hexadecimal digits */


/*
 * The same on all nodes of a fleet.  "period" is 10 ms to 1 s, 100 ms is good;
 * "timeout" is how long the caller waits for an answer; what is over twice the
 * period is cut off.  An answer has to take less than half of it.
 */

typedef struct {
    ngx_uint_t                rate;           /* calls a second, 1 to 10000 */
    ngx_uint_t                nodes;          /* 0: no share without Redis */
    uint64_t                  period;         /* between two requests */
    uint64_t                  timeout;

    uint64_t                  cost;           /* from slot to slot */
    uint64_t                  use;            /* how long after its start */
    uint64_t                  horizon;        /* how far slots are ahead */
    uint64_t                  fresh;          /* asked recently enough */
    uint64_t                  hold;           /* silent after that */
    uint64_t                  alone;          /* from request to share */
} ngx_tccbs_lease_conf_t;


typedef struct {
    uint64_t                  account;
    uint64_t                  begin;          /* local time */
    uint64_t                  end;
} ngx_tccbs_lease_slot_t;


/* What a node knows of a budget; zeroes are not enough, see _init(). */

typedef struct {
    uint64_t                  token;          /* of the last request */
    uint64_t                  sent;
    ngx_uint_t                asking;         /* an answer is awaited */
    ngx_uint_t                known;          /* Redis answered last time */
    ngx_uint_t                uncovered;      /* calls that wait for slots */

    int64_t                   low;            /* Redis clock - local clock */
    int64_t                   high;
    uint64_t                  measured;       /* 0: never */
    uint64_t                  rtt;
    uint64_t                  slow;           /* how late slots are used */
    uint64_t                  use;            /* conf->use or more */

    uint64_t                  alone;          /* share may be used from then */
    uint64_t                  alone_before;
    uint64_t                  share;          /* its next call */

    uint64_t                  lent;           /* slots that Redis granted */
    uint64_t                  lapsed;         /* that nobody used */

    ngx_uint_t                nslots;
    ngx_tccbs_lease_slot_t    slots[NGX_TCCBS_LEASE_SLOTS];
} ngx_tccbs_lease_t;


/*
 * Calls of an account that wait here.  "account" is any number that is the same
 * on all nodes, say the first bytes of a digest of its name, and not 0.
 */

typedef struct {
    uint64_t                  account;
    ngx_uint_t                weight;         /* 1 to 1000000 */
    ngx_uint_t                n;
} ngx_tccbs_lease_demand_t;


typedef struct {
    uint64_t                  token;          /* for the answer */
    uint64_t                  until;          /* Redis time; no effect later */
    uint64_t                  lead;
    uint64_t                  cost;
    ngx_uint_t                ndemands;
    ngx_tccbs_lease_demand_t  demands[NGX_TCCBS_LEASE_ACCOUNTS];
} ngx_tccbs_lease_ask_t;


/*
 * The script, for EVALSHA with NGX_TCCBS_LEASE_KEYS keys: those of the budget
 * with suffixes of the caller's choice, all in one cluster slot.  It answers
 * with one bulk string, which ngx_tccbs_lease_answer() reads.
 */
extern const char  ngx_tccbs_lease_script[];


/* Sets what follows from the first four fields. */
void ngx_tccbs_lease_conf(ngx_tccbs_lease_conf_t *conf, ngx_uint_t rate,
    ngx_uint_t nodes, uint64_t period, uint64_t timeout);

/* For a node that starts; after a reload the old state goes on. */
void ngx_tccbs_lease_init(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now);

/*
 * Whether Redis is to be asked now.  "waiting" is how many calls wait for a
 * slot at all.  NGX_OK: yes; NGX_AGAIN: in *wait, or as soon as a call comes.
 * A node without calls asks as well, so that the others may use its share.
 */
ngx_int_t ngx_tccbs_lease_due(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, ngx_uint_t waiting,
    uint64_t *wait);

/*
 * Begins a request: the caller has set "demands" and "ndemands" of "ask", of
 * the accounts whose turn is next when there are more, and "cost", conf->cost
 * or more while the upstream throttles.  From then on there is an answer, or
 * ngx_tccbs_lease_failed(), or both are too late and change nothing.
 */
void ngx_tccbs_lease_ask(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, ngx_tccbs_lease_ask_t *ask);

/*
 * The arguments of the script in "argv", which point to "buf" of
 * NGX_TCCBS_LEASE_BUFFER bytes; returns how many.  "node" is any number that no
 * other node has; it may be another one after a restart, not after a reload.
 */
ngx_uint_t ngx_tccbs_lease_args(ngx_tccbs_lease_conf_t *conf,
    ngx_tccbs_lease_ask_t *ask, uint64_t node, ngx_str_t *argv, u_char *buf);

/*
 * Takes the bulk string of the answer.  NGX_OK, NGX_DECLINED: it is of another
 * request than the last one, nothing was changed; NGX_ERROR: it is no answer of
 * the script, which is ngx_tccbs_lease_failed().
 */
ngx_int_t ngx_tccbs_lease_answer(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, ngx_tccbs_lease_ask_t *ask,
    ngx_str_t *answer);

/* There will be no answer: an error, a time-out, no connection. */
void ngx_tccbs_lease_failed(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_ask_t *ask);

/*
 * The slot that a call may use now or next.  NGX_OK: now, and it is gone after
 * ngx_tccbs_lease_take(); NGX_AGAIN: in *wait.  *account is whose it is; 0, or
 * an account that has no call here any more: whose turn it is at this node.
 * NGX_DECLINED: there is none, wait for an answer.  "cost" as in a request.
 *
 * After it lease->slots has the slots in their order, without those that are
 * over, and any of them that has begun may be taken instead of the first.
 */
ngx_int_t ngx_tccbs_lease_next(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, uint64_t cost,
    uint64_t *account, uint64_t *wait);
void ngx_tccbs_lease_take(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now, uint64_t cost, ngx_uint_t n);

/* Whether the node lives on its share, for a status. */
ngx_uint_t ngx_tccbs_lease_alone(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now);


/* What may be told of a lease; "lent" is "held", "lapsed" and what was used. */

typedef enum {
    NGX_TCCBS_LEASE_SHARED = 0,               /* Redis answers */
    NGX_TCCBS_LEASE_LOCAL,                    /* the node has its share */
    NGX_TCCBS_LEASE_CLOSED                    /* neither, calls wait */
} ngx_tccbs_lease_mode_e;

typedef struct {
    ngx_tccbs_lease_mode_e    mode;
    ngx_uint_t                held;
    ngx_uint_t                asked;          /* for calls, not yet granted */
    uint64_t                  lent;
    uint64_t                  lapsed;
} ngx_tccbs_lease_status_t;

void ngx_tccbs_lease_status(ngx_tccbs_lease_t *lease,
    ngx_tccbs_lease_conf_t *conf, uint64_t now,
    ngx_tccbs_lease_status_t *status);


#endif /* _NGX_TCCBS_LEASE_H_INCLUDED_ */
