
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "ngx_http_tccbs_script.h"
#include "ngx_tccbs_lease.h"


/* Whether it can be written to: the time in seconds. */

#define NGX_HTTP_TCCBS_SCRIPT_PROBE_TEXT                                      \
    "redis.call('SET', KEYS[1], 1, 'PX', 10000)\n"                            \
    "return tonumber(redis.call('TIME')[1])\n"


/*
 * The limits of an account, all or none; see ngx_tccbs_gcra.h.
 *
 * KEYS: rate, quota.  ARGV: cost and tolerance in microseconds, cost 0: no
 * rate; copies and how many a day, 0: no quota; what a gateway knew last, as
 * day and copies, in case that this Redis does not know; copies that day which
 * were let through without it.
 *
 * Replies {0, wait, used, day}, {1, wait}: over the rate, or {2, seconds to
 * midnight, used, day}: over the quota.
 *
 * A time ahead of what the limits can make is of a clock that was set back.
 */

#define NGX_HTTP_TCCBS_SCRIPT_LIMIT_TEXT                                      \
    "local t = redis.call('TIME')\n"                                          \
    "local now = t[1] * 1000000 + t[2]\n"                                     \
    "local cost, most = tonumber(ARGV[1]), tonumber(ARGV[2])\n"               \
    "local n, limit = tonumber(ARGV[3]), tonumber(ARGV[4])\n"                 \
    "local day, used, tat = math.floor(t[1] / 86400), 0, now\n"               \
    "if cost > 0 then\n"                                                      \
    "  tat = tonumber(redis.call('GET', KEYS[1]) or 0)\n"                     \
    "  tat = math.min(math.max(tat, now), now + most + cost)\n"               \
    "end\n"                                                                   \
    "if limit > 0 then\n"                                                     \
    "  local s = redis.call('GET', KEYS[2])\n"                                \
    "  local d, u\n"                                                          \
    "  if s then\n"                                                           \
    "    d, u = string.match(s, '^(%d+) (%d+)$')\n"                           \
    "  else\n"                                                                \
    "    d, u = ARGV[5], ARGV[6]\n"                                           \
    "  end\n"                                                                 \
    "  if tonumber(d) >= day then\n"                                          \
    "    day, used = tonumber(d), tonumber(u)\n"                              \
    "  end\n"                                                                 \
    "  if tonumber(ARGV[5]) == day then\n"                                    \
    "    used = used + tonumber(ARGV[7])\n"                                   \
    "  end\n"                                                                 \
    "end\n"                                                                   \
    "local rc = {0, tat - now, used + n, day}\n"                              \
    "if cost > 0 and tat - now > most then\n"                                 \
    "  rc = {1, tat - now - most, used, day}\n"                               \
    "elseif limit > 0 and used + n > limit then\n"                            \
    "  rc = {2, 86400 - t[1] % 86400, used, day}\n"                           \
    "end\n"                                                                   \
    "if limit > 0 then\n"                                                     \
    "  redis.call('SET', KEYS[2], string.format('%d %d', day, rc[3]),\n"      \
    "    'EX', 172800)\n"                                                     \
    "end\n"                                                                   \
    "if cost > 0 and rc[1] == 0 then\n"                                       \
    "  redis.call('SET', KEYS[1], string.format('%.0f', tat + cost),\n"       \
    "    'PX', math.ceil((tat + cost - now) / 1000) + 1)\n"                   \
    "end\n"                                                                   \
    "return rc\n"


/* Gives back.  KEYS: rate, quota.  ARGV: cost or 0, copies or 0, day. */

#define NGX_HTTP_TCCBS_SCRIPT_GIVE_TEXT                                       \
    "local cost, n = tonumber(ARGV[1]), tonumber(ARGV[2])\n"                  \
    "local tat = cost > 0 and redis.call('GET', KEYS[1])\n"                   \
    "local ends = tat and redis.call('PTTL', KEYS[1]) or 0\n"                 \
    "if ends > 0 then\n"                                                      \
    "  redis.call('SET', KEYS[1], string.format('%.0f', tat - cost),\n"       \
    "    'PX', ends)\n"                                                       \
    "end\n"                                                                   \
    "local s = n > 0 and redis.call('GET', KEYS[2])\n"                        \
    "if s then\n"                                                             \
    "  local d, u = string.match(s, '^(%d+) (%d+)$')\n"                       \
    "  if d == ARGV[3] and tonumber(u) >= n then\n"                           \
    "    redis.call('SET', KEYS[2],\n"                                        \
    "      string.format('%d %d', d, u - n), 'EX', 172800)\n"                 \
    "  end\n"                                                                 \
    "end\n"                                                                   \
    "return 0\n"


/*
 * A signature, see ngx_http_tccbs_replay.h.  KEYS: it.  ARGV: what it came
 * with, milliseconds to remember it, seconds in which it may come again.
 * Replies {0}, {1}: came with something else, or {2}: too late.
 */

#define NGX_HTTP_TCCBS_SCRIPT_SPEND_TEXT                                      \
    "local t = redis.call('TIME')\n"                                          \
    "local s = redis.call('GET', KEYS[1])\n"                                  \
    "if not s then\n"                                                         \
    "  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. t[1], 'PX', ARGV[2])\n"   \
    "  return {0}\n"                                                          \
    "end\n"                                                                   \
    "local with, at = string.match(s, '^(%d+) (%d+)$')\n"                     \
    "if with ~= ARGV[1] then return {1} end\n"                                \
    "if t[1] - at >= tonumber(ARGV[3]) then return {2} end\n"                 \
    "return {0}\n"


/*
 * Claims a call, see ngx_http_tccbs_store.h; the id of its first attempt is
 * the token without which nobody can end the claim.
 *
 * KEYS: the call, its regions.  ARGV: id, milliseconds of the claim, 1 when it
 * was seen flying before, digest of the call.
 *
 * Replies {0}: claimed, {1, id}: flies, {2, id, outcome, answer}: answered,
 * {3, id, milliseconds}: it or a region is held, or {4, {region, id, new
 * snapshot}, ...}: this very call was found to have made these.
 *
 * A call is a hash: "s" is "f" flying, "a" answered, "r" answered for those who
 * waited, "h" held; "id"; "o", the outcome, and "a", the answer.  A region is
 * one, too: "s" is "h" or "m", made; "id" and "c", the call; "a", the snapshot.
 */

#define NGX_HTTP_TCCBS_SCRIPT_CLAIM_TEXT                                      \
    "local v = redis.call('HMGET', KEYS[1], 's', 'id', 'o', 'a')\n"           \
    "local s = v[1]\n"                                                        \
    "if s == 'f' and v[2] ~= ARGV[1] then return {1, v[2]} end\n"             \
    "if s == 'a' or s == 'r' and ARGV[3] == '1' then\n"                       \
    "  return {2, v[2], tonumber(v[3]), v[4]}\n"                              \
    "end\n"                                                                   \
    "if s == 'h' then\n"                                                      \
    "  return {3, v[2], redis.call('PTTL', KEYS[1])}\n"                       \
    "end\n"                                                                   \
    "local made = {4}\n"                                                      \
    "for i = 2, #KEYS do\n"                                                   \
    "  local h = redis.call('HMGET', KEYS[i], 's', 'id', 'c', 'a')\n"         \
    "  if h[1] == 'h' then\n"                                                 \
    "    return {3, h[2], redis.call('PTTL', KEYS[i])}\n"                     \
    "  end\n"                                                                 \
    "  if h[1] == 'm' and h[3] == ARGV[4] then\n"                             \
    "    made[#made + 1] = {i - 2, h[2], h[4] or ''}\n"                       \
    "  end\n"                                                                 \
    "end\n"                                                                   \
    "if #made > 1 then return made end\n"                                     \
    "redis.call('DEL', KEYS[1])\n"                                            \
    "redis.call('HSET', KEYS[1], 's', 'f', 'id', ARGV[1])\n"                  \
    "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"                               \
    "return {0}\n"


/*
 * What became of a call.  KEYS: the call, its regions or none.  ARGV: token,
 * state as above, or "-": none, milliseconds, outcome, answer, digest of the
 * call, id of its last attempt, and for each region "-", "h", or "m" with the
 * snapshot.  What is known of a region is true whoever has the claim by now; if
 * another call was known of it, it is held until the later time, without "c".
 */

#define NGX_HTTP_TCCBS_SCRIPT_TELL_TEXT                                       \
    "for i = 2, #KEYS do\n"                                                   \
    "  local x = ARGV[i + 6]\n"                                               \
    "  if x ~= '-' then\n"                                                    \
    "    local v = redis.call('HMGET', KEYS[i], 's', 'c')\n"                  \
    "    local s, c, a, ms = x, ARGV[6], string.sub(x, 2), ARGV[3]\n"         \
    "    if v[1] and v[2] ~= c then\n"                                        \
    "      s, c, a = 'h', '', ''\n"                                           \
    "      ms = math.max(ms, redis.call('PTTL', KEYS[i]))\n"                  \
    "    end\n"                                                               \
    "    redis.call('DEL', KEYS[i])\n"                                        \
    "    redis.call('HSET', KEYS[i], 's', string.sub(s, 1, 1),\n"             \
    "      'id', ARGV[7], 'c', c, 'a', a)\n"                                  \
    "    redis.call('PEXPIRE', KEYS[i], ms)\n"                                \
    "  end\n"                                                                 \
    "end\n"                                                                   \
    "local id = redis.call('HGET', KEYS[1], 'id')\n"                          \
    "if id and id ~= ARGV[1] then return 1 end\n"                             \
    "redis.call('DEL', KEYS[1])\n"                                            \
    "if ARGV[2] ~= '-' then\n"                                                \
    "  redis.call('HSET', KEYS[1], 's', ARGV[2], 'id', ARGV[7],\n"            \
    "    'o', ARGV[4], 'a', ARGV[5])\n"                                       \
    "  redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"                             \
    "end\n"                                                                   \
    "return 0\n"


/*
 * A copy that was found in a region.  KEYS: it.  ARGV: id of the call, new
 * snapshot or empty, milliseconds.
 */

#define NGX_HTTP_TCCBS_SCRIPT_MADE_TEXT                                       \
    "local v = redis.call('HMGET', KEYS[1], 'id', 'c')\n"                     \
    "if v[1] == ARGV[1] and v[2] ~= '' then\n"                                \
    "  redis.call('HSET', KEYS[1], 's', 'm')\n"                               \
    "  if ARGV[2] ~= '' then\n"                                               \
    "    redis.call('HSET', KEYS[1], 'a', ARGV[2])\n"                         \
    "  end\n"                                                                 \
    "  redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"                             \
    "end\n"                                                                   \
    "return 0\n"


ngx_http_tccbs_script_t  ngx_http_tccbs_scripts[] = {
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_PROBE_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_LIMIT_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_GIVE_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_SPEND_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_CLAIM_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_TELL_TEXT), { 0 } },
    { ngx_string(NGX_HTTP_TCCBS_SCRIPT_MADE_TEXT), { 0 } },
    { ngx_null_string, { 0 } }
};


void
ngx_http_tccbs_script_init(void)
{
    ngx_uint_t                i;
    ngx_sha1_t                sha1;
    u_char                    digest[20];
    ngx_http_tccbs_script_t  *script;

    script = &ngx_http_tccbs_scripts[NGX_HTTP_TCCBS_SCRIPT_LEASE];
    script->text.data = (u_char *) ngx_tccbs_lease_script;
    script->text.len = ngx_strlen(ngx_tccbs_lease_script);

    for (i = 0; i < NGX_HTTP_TCCBS_SCRIPTS; i++) {
        script = &ngx_http_tccbs_scripts[i];

        ngx_sha1_init(&sha1);
        ngx_sha1_update(&sha1, script->text.data, script->text.len);
        ngx_sha1_final(digest, &sha1);

        (void) ngx_hex_dump(script->sha, digest, sizeof(digest));
    }
}
