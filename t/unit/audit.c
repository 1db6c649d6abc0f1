
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include "audit.h"


/*
 * The audit log of one worker: what it was given and has written is the file,
 * whose records are in order and there once, whatever fails meanwhile.
 */

static void
test_write(void)
{
    uint64_t                      pos, other;
    ngx_http_tccbs_audit_wait_t  *wait, *gone;

    /* the process has no log yet */

    ngx_memzero(&journal, sizeof(journal));
    ok(!ngx_http_tccbs_audit_ready(), "without a log nothing is ready");
    ngx_http_tccbs_audit_stop();
    ngx_http_tccbs_audit_exit(&cycle);
    ok(journal.writes == 0, "and nothing is written at the end");

    ok(start() == NGX_OK && ngx_http_tccbs_audit_ready(), "it is");
    ok(conf.journal.reserve == 1048576, "with the least of room reserved");
    copies = 0;
    turns();
    ok(journal.writes == 0 && timer(LAZY) == 0,
       "who records nothing writes nothing");

    ok(append(1, NULL, &pos) == NGX_OK && append(2, &flights[2], &other)
       == NGX_OK, "an intent and an outcome");

    wait = waiting(pos);
    gone = waiting(other);

    ok(ngx_http_tccbs_audit_wait(wait) == NGX_AGAIN && wait->active
       && ngx_http_tccbs_audit_wait(gone) == NGX_AGAIN, "have to wait");
    ngx_http_tccbs_audit_cancel(gone);
    ngx_http_tccbs_audit_cancel(gone);
    ok(!gone->active, "unless they do not want to");

    turns();
    ok(journal.writes == 1 && journal.flags == 0 && ntold == 0 && nfreed == 0,
       "one write, and nobody knows yet");

    ends(NGX_OK, 0);
    ok(ntold == 1 && told == NGX_OK && !wait->active, "who waits is told");
    ok(nfreed == 1 && freed[0] == &flights[2] && flights[2].closing,
       "the flight is over");
    ok(chained() && has_record(1) == 1 && has_record(2) == 1
       && has("\"why\":\"start\"") == 1, "all is in the file");
    ok(ngx_http_tccbs_audit_wait(wait) == NGX_OK, "what is there is there");

    /* while one write is under way the next one gathers */

    (void) append(3, NULL, &pos);
    turns();
    (void) append(4, NULL, &pos);
    (void) note(5);
    wait = waiting(pos);
    (void) ngx_http_tccbs_audit_wait(wait);
    turns();
    ok(journal.writes == 2 && timer(LAZY) == 0, "one write at a time");
    ends(NGX_OK, 0);
    turns();
    ok(journal.writes == 3 && ntold == 1, "then the next");
    ends(NGX_OK, 0);
    turns();
    ok(ntold == 2, "who waits for that is told with it");
    ok(journal.writes == 3 && chained() && has_record(3) == 1
       && has_record(4) == 1 && has_record(5) == 1, "with all that came");

    ok(alerts == 0 && copies == 0, "nothing to alert of, or to copy");

    nopen = 4096;
    (void) start();
    nopen = 0;
    ok(conf.journal.reserve == 4096 * 2048, "room for what can be open");
}


/* What a caller can prove by: the place of its record, and the hash of that. */

static void
test_receipt(void)
{
    u_char      *p, *lf;
    uint64_t     pos;
    char         want[256];
    ngx_str_t    line;
    u_char       text[256], hash[NGX_TCCBS_SHA256_LEN];
    u_char       hex[NGX_TCCBS_HEX_LEN + 1];

    (void) start();
    (void) append(1, NULL, &pos);

    *ngx_http_tccbs_chain_receipt(text) = '\0';

    turns();
    ends(NGX_OK, 0);

    lf = memchr(file, '\n', size);
    line.data = lf + 1;
    line.len = file + size - 1 - line.data;

    (void) ngx_tccbs_sha256(hash, &line, 1);
    *ngx_tccbs_hex(hex, hash, sizeof(hash)) = '\0';

    p = memmem(line.data, line.len, "\"chain\":\"", 9);
    sprintf(want, "%.16s.1.%s", (char *) p + 9, (char *) hex);

    ok(strcmp((char *) text, want) == 0, "the receipt is of the record");
}


static void
test_gather(void)
{
    uint64_t    pos;
    ngx_uint_t  i;

    (void) start();
    (void) append(0, NULL, &pos);
    (void) turn();
    (void) turn();
    ok(journal.writes == 1, "who is alone waits for one round");
    ends(NGX_OK, 0);

    (void) start();
    (void) append(0, NULL, &pos);

    for (i = 1; i <= 3; i++) {
        (void) turn();
        ok(journal.writes == 0, "a batch waits for who comes: %u",
           (unsigned) i);
        (void) append(i, NULL, &pos);
    }

    turns();
    ok(journal.writes == 1, "until nobody does");
    ends(NGX_OK, 0);

    /* or for so long */

    for (i = 0; journal.writes == 1 && i < 100; i++) {
        (void) append(10 + i, NULL, &pos);
        (void) turn();
    }

    ok(i == ROUNDS + 1, "or for %u rounds", (unsigned) i);
    ends(NGX_OK, 0);
    turns();
    ok(chained() && has("\"kind\":\"intent\"") == 4 + i, "none is lost");
}


static void
test_notes(void)
{
    uint64_t    pos;
    ngx_uint_t  i;

    (void) start();
    (void) note(1);
    turns();
    ok(journal.writes == 0 && timer(LAZY) == 1000, "a note has a second");
    ngx_current_msec += 500;
    (void) note(2);
    ok(timer(LAZY) == 500, "which another one does not make longer");
    fire(LAZY);
    ok(journal.writes == 1, "and is written then");

    /* the time ends while a write is under way */

    (void) note(3);
    fire(LAZY);
    ok(journal.writes == 1, "not beside another");
    ends(NGX_OK, 0);
    ok(timer(LAZY) == 1000, "it has another second");
    (void) append(4, NULL, &pos);
    turns();
    ok(journal.writes == 2 && timer(LAZY) == 0, "or goes with who is waited "
       "for");
    ends(NGX_OK, 0);
    turns();
    ok(chained() && has_record(1) == 1 && has_record(3) == 1
       && has_record(4) == 1, "all are there");

    /* very many of them */

    for (i = 0; journal.writes == 2 && i < 4000; i++) {
        (void) note(100 + i);
        turns();
    }

    ok(journal.writes == 3 && journal.len > 262144 && i > 1000,
       "a quarter of a megabyte does not wait");
    ends(NGX_OK, 0);
    ok(chained() && has("\"kind\":\"intent\"") == 4 + i
       && has("\"why\":\"time\"") == 1, "after 1000 comes an anchor");

    /* buffered: nobody waits, and what is there is written soon */

    (void) start();
    conf.journal.buffered = 1;
    (void) append(1, NULL, &pos);
    ok(ngx_http_tccbs_audit_wait(waiting(pos)) == NGX_OK, "buffered is enough");
    turns();
    ok(journal.writes == 0 && timer(LAZY) == 10, "for a moment");
    fire(LAZY);
    ok(journal.writes == 1, "then it is written");
    ends(NGX_OK, 0);
    ok(chained() && has_record(1) == 1, "and is there");
}


static void
test_fails(void)
{
    char                          text[64];
    uint64_t                      pos;
    size_t                        before;
    ngx_http_tccbs_audit_wait_t  *wait;

    (void) start();
    (void) append(1, &flights[1], &pos);
    wait = waiting(pos);
    (void) ngx_http_tccbs_audit_wait(wait);
    turns();
    ends(NGX_ERROR, 0);

    ok(ntold == 1 && told == NGX_ERROR && nfreed == 0,
       "a write that fails is told");
    ok(!ngx_http_tccbs_audit_ready() && timer(RETRY) == 1000,
       "and nothing goes on for a second");

    (void) append(2, NULL, &pos);
    turns();
    ok(journal.writes == 1, "whatever comes");

    before = journal.len;
    fire(RETRY);
    ok(journal.writes == 2 && journal.len == before
       && journal.flags == (NGX_HTTP_TCCBS_JOURNAL_SEAL
                            |NGX_HTTP_TCCBS_JOURNAL_REOPEN),
       "the same is written again, sealed, to a file that is opened again");

    ends(NGX_ERROR, 0);
    ok(!ngx_http_tccbs_audit_ready() && timer(RETRY) == 1000, "and again");
    fire(RETRY);
    ends(NGX_OK, 0);
    ok(ngx_http_tccbs_audit_ready() && nfreed == 1, "until it is there");
    turns();
    ends(NGX_OK, 0);
    ok(chained() && has_record(1) == 1 && has_record(2) == 1
       && has("\"why\":\"rewritten\",\"first\":0,\"last\":1") == 1,
       "what may be there twice is named");

    pos = ngx_http_tccbs_chain_seq();
    (void) append(3, NULL, NULL);
    turns();
    ends(NGX_ERROR, 0);
    fire(RETRY);
    ends(NGX_OK, 0);
    fire(LAZY);
    ends(NGX_OK, 0);

    sprintf(text, "\"why\":\"rewritten\",\"first\":%d,\"last\":%d}", (int) pos,
            (int) pos);
    ok(has(text) == 1 && chained(), "each time that which may be");
}


static void
test_room(void)
{
    uint64_t                      pos;
    ngx_http_tccbs_audit_wait_t  *wait;

    (void) start();
    (void) append(1, NULL, &pos);
    wait = waiting(pos);
    (void) ngx_http_tccbs_audit_wait(wait);
    turns();
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_FULL);

    ok(told == NGX_ERROR && !ngx_http_tccbs_audit_ready()
       && timer(RETRY) == 1000, "without room an intent is of no use");
    ok(has_record(1) == 1, "though it is written");

    fire(RETRY);
    ok(journal.writes == 2 && journal.len == 0, "room is asked for");
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_FULL);
    ok(!ngx_http_tccbs_audit_ready() && timer(RETRY) == 1000, "and again");

    /* outcomes are written, also when it is time to ask */

    (void) append(2, NULL, &pos);
    turns();
    fire(RETRY);
    ok(journal.writes == 3, "one write at a time");
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_FULL);
    ok(timer(RETRY) == 1000 && has_record(2) == 1, "an outcome is written");
    (void) append(3, NULL, &pos);
    turns();
    ngx_current_msec += 500;
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_FULL);
    ok(timer(RETRY) == 500 && has_record(3) == 1, "and another");

    fire(RETRY);
    ends(NGX_OK, 0);
    turns();
    ok(ngx_http_tccbs_audit_ready() && chained(), "until there is room");
}


static void
test_segments(void)
{
    uint64_t  pos;

    /* nothing to write: the segment has its header at once */

    (void) start();
    (void) append(1, NULL, &pos);
    turns();
    ends(NGX_OK, 0);
    journal.reopen();
    turns();
    ok(journal.writes == 2 && journal.flags == NGX_HTTP_TCCBS_JOURNAL_REOPEN,
       "a new segment");
    ends(NGX_OK, 0);
    ok(has("\"why\":\"segment\"") == 1, "has a header");

    /* what was appended before belongs to the old one */

    (void) append(2, NULL, &pos);
    journal.reopen();
    turns();
    ok(journal.flags == 0, "the old one is ended");
    ends(NGX_OK, 0);
    ok(timer(LAZY) == 1000, "nobody waits for a header");
    fire(LAZY);
    ok(journal.flags == NGX_HTTP_TCCBS_JOURNAL_REOPEN, "before the new one");
    ends(NGX_OK, 0);
    ok(has("\"why\":\"segment\"") == 2 && chained(), "and the chain goes on");

    /* the path is another file: found with a write, used by the next */

    (void) append(3, NULL, &pos);
    turns();
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_REPLACED);
    turns();
    ok(journal.flags == NGX_HTTP_TCCBS_JOURNAL_REOPEN,
       "a file that was replaced is another segment");
    ends(NGX_OK, 0);

    /* while a write is under way */

    (void) append(4, NULL, &pos);
    turns();
    journal.reopen();
    turns();
    ok(journal.flags == 0, "it waits for the write");
    ends(NGX_OK, 0);
    turns();
    ok(journal.flags == NGX_HTTP_TCCBS_JOURNAL_REOPEN, "and follows it");
    ends(NGX_OK, 0);

    /* without memory for the header: the next one */

    fail_at(0);
    journal.reopen();
    turns();
    armed = 0;
    ok(journal.data && count == 1 && has("\"why\":\"segment\"") == 4,
       "without memory there is no header");
    (void) append(5, NULL, &pos);
    turns();
    ends(NGX_OK, 0);
    fire(LAZY);
    ok(journal.flags == NGX_HTTP_TCCBS_JOURNAL_REOPEN, "it comes later");
    ends(NGX_OK, 0);
    ok(has("\"why\":\"segment\"") == 5 && chained() && has_record(5) == 1,
       "and nothing is lost");
}


static void
test_anchors(void)
{
    uint64_t    pos;
    char        text[64];
    ngx_uint_t  i;
    u_char      hash[NGX_TCCBS_SHA256_LEN];

    (void) start();
    ok(timer(ANCHOR) == 60000, "an anchor comes after a minute");
    fire(ANCHOR);
    ok(journal.writes == 0 && timer(ANCHOR) == 0, "unless there is nothing");

    (void) append(1, NULL, &pos);
    turns();
    ends(NGX_OK, 0);
    ok(timer(ANCHOR) == 60000, "it is a minute after the first record");
    ngx_current_msec += 30000;
    (void) note(10);
    ok(timer(ANCHOR) == 30000, "not after the last");

    fail_at(0);
    fire(ANCHOR);
    armed = 0;
    ok(journal.writes == 1 && timer(ANCHOR) == 0, "without memory it is not");

    (void) append(2, NULL, &pos);
    turns();
    ends(NGX_OK, 0);
    fire(ANCHOR);
    ok(journal.writes == 3, "later it is");
    ends(NGX_OK, 0);
    ok(has("\"why\":\"time\"") == 1 && chained(), "there");

    /* the ends of other chains, each time that they are others */

    ngx_memset(hash, 0xab, sizeof(hash));
    ngx_http_tccbs_heads_ended(&zone, (u_char *) "00112233445566aa", 7, hash);
    ngx_http_tccbs_heads_ended(&zone, (u_char *) "00112233445566bb", 8, hash);

    for (i = 0; i < 3; i++) {
        (void) append(3 + i, NULL, &pos);
        turns();
        ends(NGX_OK, 0);

        if (i == 2) {
            ngx_http_tccbs_heads_publish(&zone, &shm.heads[1], 9, hash);
        }

        fire(ANCHOR);
        ends(NGX_OK, 0);
    }

    ok(has("{\"chain\":\"00112233445566aa\",\"seq\":7,\"hash\":\"abab") == 1
       && has("66bb\",\"seq\":8,") == 1, "other chains are named once");
    ok(has("\"seq\":9,\"hash\":\"abab") == 1, "and again when they went on");

    (void) append(9, NULL, &pos);
    turns();
    ends(NGX_OK, 0);
    journal.reopen();
    turns();
    ends(NGX_OK, 0);
    ok(has("66bb\",\"seq\":8,") == 2 && chained(), "a segment names all");

    sprintf(text, "{\"chain\":\"%.16s\"", (char *) shm.heads[0].chain);
    ok(shm.heads[0].used && has(text) == 0, "but not its own");
}


static void
leaves(void)
{
    ngx_http_tccbs_audit_stop();
    ngx_http_tccbs_audit_exit(&cycle);
}


static void
test_exit(void)
{
    uint64_t                      pos;
    ngx_http_tccbs_audit_wait_t  *wait;

    (void) start();
    leaves();
    ok(journal.writes == 0, "a chain that wrote nothing ends as it was");

    /* idle, with records that nobody has written */

    (void) start();
    (void) note(1);
    leaves();
    ok(chained() && has_record(1) == 1 && has("\"why\":\"stop\"") == 1
       && alerts == 0, "what is there is written");

    /* with its first write under way */

    (void) start();
    journal.reopen();
    turns();
    journal.written = 1;
    put();
    leaves();
    ok(chained() && has("\"why\":\"stop\"") == 1, "a chain that began ends");

    (void) start();
    fail_at(0);
    journal.reopen();
    turns();
    armed = 0;
    leaves();
    ok(journal.writes > 1 && chained() && has("\"why\":\"start\"") == 1,
       "also without a header");

    /* a recovery that comes to its end with the process */

    (void) start();
    fire(ANCHOR);
    ngx_http_tccbs_audit_stop();
    (void) append(1, NULL, NULL);
    ngx_http_tccbs_audit_exit(&cycle);
    ok(timer(ANCHOR) == 0 && chained() && has_record(1) == 1,
       "what comes after the stop is written");

    /* with a write that was done, and one that comes behind it */

    (void) start();
    (void) append(1, &flights[1], &pos);
    wait = waiting(pos);
    (void) ngx_http_tccbs_audit_wait(wait);
    turns();
    (void) append(2, NULL, &pos);
    put();
    journal.written = 1;
    leaves();
    ok(ntold == 0, "nobody is woken any more");
    ok(nfreed == 1, "a flight is over all the same");
    ok(chained() && has_record(1) == 1 && has_record(2) == 1,
       "what was written is not written again");
    ok(has("\"why\":\"rewritten\"") == 0, "and nothing says so");

    /* with one that was not */

    (void) start();
    (void) append(1, NULL, &pos);
    turns();
    (void) append(2, NULL, &pos);
    leaves();
    ok(chained() && has_record(1) == 1 && has_record(2) == 1,
       "what was not is written now");
    ok(has("\"why\":\"rewritten\"") == 1, "a part may be there twice");

    /* with one that had failed */

    (void) start();
    (void) append(1, NULL, &pos);
    turns();
    ends(NGX_ERROR, 0);
    leaves();
    ok(chained() && has_record(1) == 1 && sealed > 0, "sealed if it failed");
    ok(has("\"why\":\"rewritten\"") == 1, "and it may be there twice, too");

    /* with one that only asks for room */

    (void) start();
    (void) append(1, NULL, &pos);
    turns();
    ends(NGX_OK, NGX_HTTP_TCCBS_JOURNAL_FULL);
    fire(RETRY);
    leaves();
    ok(chained() && has("\"why\":\"rewritten\"") == 0
       && has("\"why\":\"stop\"") == 1, "nothing is there twice");

    /* and when nothing can be written */

    (void) start();
    (void) append(1, NULL, &pos);
    turns();
    journal.now[0] = NGX_ERROR;
    leaves();
    ok(alerts == 1 && journal.writes == 2 && size == 0,
       "what is lost is told of, once");
}


/* Whether it failed: the n-th thing that can, with a key or without. */

static ngx_uint_t
failure(ngx_uint_t n)
{
    uint64_t    pos;
    ngx_int_t   rc;
    ngx_uint_t  i, last;

    fail_at(n);

    rc = start();

    for (i = 0; rc == NGX_OK && i < 70; i++) {
        rc = append(i, &flights[i], &pos);
    }

    last = i - (i && rc != NGX_OK);

    if (rc == NGX_OK) {
        rc = note(i);
    }

    armed = 0;
    turns();

    if (journal.writes) {
        ends(NGX_OK, 0);
        turns();
    }

    /* a record is there, or its caller knows that it is not */

    bad += (has("\"kind\":\"intent\"") != last + (i == 70 && rc == NGX_OK)
            || nfreed != last || (size && !chained()));

    for (i = 0; i < nfreed; i++) {
        bad += (freed[i] != &flights[i]);
    }

    return count > at;
}


static void
test_memory(void)
{
    char        key[32];
    ngx_uint_t  i, keyed;

    ngx_memset(key, 'k', sizeof(key));

    for (keyed = 0; keyed < 2; keyed++) {

        conf.key.data = (u_char *) key;
        conf.key.len = keyed ? sizeof(key) : 0;
        bad = 0;

        for (i = 0; i < 10000 && failure(i); i++) { /* void */ }

        ok(i > 150 && i < 10000 && bad == 0, "%u failures%s, %u records lost",
           (unsigned) i, keyed ? " with a key" : "", (unsigned) bad);
    }

    ngx_str_null(&conf.key);

    fail_at(0);
    ok(start() == NGX_ERROR && count == 1, "no chain without its own name");
    armed = 0;

    /* ids are made of random bytes, which are asked for now and then */

    (void) start();

    for (i = 0; i < 70; i++) {
        fail_at(1);
        journal.reopen();
        turns();
        armed = 0;

        if (journal.writes) {
            ends(NGX_OK, 0);
            journal.writes = 0;
        }
    }

    ok(has("\"why\":\"segment\"") == 0 && chained(), "no header without an id");
}


static void
test_copy(void)
{
    uint64_t           pos;
    ngx_syslog_peer_t  peer;

    (void) start();
    ngx_memzero(&peer, sizeof(peer));
    conf.syslog = &peer;
    copies = 0;

    (void) append(1, NULL, &pos);
    (void) append(2, NULL, &pos);
    turns();
    ok(copies == 0, "no copy of what is not durable");
    ends(NGX_OK, 0);
    ok(copies == 3, "a copy of each record");

    (void) append(3, NULL, &pos);
    turns();
    fail_at(0);
    ends(NGX_OK, 0);
    armed = 0;
    ok(copies == 3 && has_record(3) == 1, "without memory there is none");

    /* the journal cannot be had */

    (void) start();
    journal.init = NGX_ERROR;
    ok(ngx_http_tccbs_audit_init(&cycle, &conf) == NGX_ERROR,
       "without a journal there is no log");
    conf.syslog = NULL;
}


int
main(void)
{
    ngx_pid = getpid();
    ngx_current_msec = 1000;

    if (ngx_tccbs_crypto_init() != NGX_OK) {
        return 1;
    }

    shm_zone(&zone, sizeof(shm_t) + SHM_BLOCK);
    ((ngx_slab_pool_t *) zone.shm.addr)->data = &shm;

    test_write();
    test_receipt();
    test_gather();
    test_notes();
    test_fails();
    test_room();
    test_segments();
    test_anchors();
    test_exit();
    test_memory();
    test_copy();

    return tap_done();
}
