
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tccbs_lease.h"


/*
 * Numbers in texts are made with "%.0f", as ".." and tostring() have 14 digits.
 *
 * state    next: start of the next slot; index: its number; v: virtual time;
 *          last: time of the last call; cost: the highest of late, told last
 *          at "told"; for a node and account "c": calls that
 *          wait, and weight; for a node "d": its accounts that have a "c", "g":
 *          slots that it has not fetched yet
 * queue    node and account by start tag
 * finish   accounts by finish tag, those behind the virtual time only
 * seen     nodes by the time of their last request
 * joined   nodes by the time from which they are not silent
 */

const char  ngx_tccbs_lease_script[] =
"local state, queue, finish, seen, joined = unpack(KEYS)\n"
"local node = ARGV[1]\n"
"local till, nodes, rate, cost, horizon, hold, fresh, lead, most ="
" tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]),"
" tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]),"
" tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])\n"
"local call = redis.call\n"
"local function text(x) return string.format('%.0f', x) end\n"

"local t = call('TIME')\n"
"local now = t[1] * 1000000 + t[2]\n"
"local s = call('HMGET', state, 'next', 'index', 'v', 'last', 'cost',"
" 'told')\n"
"local slot, index, v, last, high, told ="
" tonumber(s[1]), tonumber(s[2]), tonumber(s[3]), tonumber(s[4]),"
" tonumber(s[5]) or 0, tonumber(s[6]) or 0\n"

/* a clock that is set back a little stands still */

"if last and last > now and last <= now + hold then now = last end\n"

/* whoever asks for the time wants to know whether the rest would work */

"if now > till or till > now + hold then\n"
"  for i = 2, #KEYS do call('ZCARD', KEYS[i]) end\n"
"  call('HSET', state, 'asked', text(now))\n"
"  call('PEXPIRE', state, text(math.ceil(hold / 500)))\n"
"  return text(now) .. ' 0'\n"
"end\n"

"if not last or last > now or now > last + hold then\n"
"  call('DEL', unpack(KEYS))\n"
"  slot, index, v, high = now + horizon + cost, 0, 0, 0\n"
"end\n"

/* one node that needs slots to be wider apart is enough */

"if cost >= high or now > told + hold then high, told = cost, now end\n"
"cost = high\n"

"for _, m in ipairs(call('ZRANGEBYSCORE', seen, '-inf',"
" '(' .. text(now - hold))) do\n"
"  for a in (call('HGET', state, 'd' .. m) or ''):gmatch(('%x'):rep(16)) do\n"
"    call('ZREM', queue, m .. a)\n"
"    call('HDEL', state, 'c' .. m .. a)\n"
"  end\n"
"  call('HDEL', state, 'd' .. m, 'g' .. m)\n"
"  call('ZREM', seen, m)\n"
"  call('ZREM', joined, m)\n"
"end\n"

"call('ZADD', joined, 'NX', text(now + math.max(1000000, hold)),"
" node)\n"
"call('ZADD', seen, text(now), node)\n"

"local function enqueue(m, a, w)\n"
"  local tag = math.max(v, tonumber(call('ZSCORE', finish, a) or 0))\n"
"  call('ZADD', queue, text(tag), m)\n"
"  call('ZADD', finish, text(tag + math.floor(1000000 / w)), a)\n"
"end\n"

/* what was granted while others asked, as far as it is of use */

"local out, n, held = { text(now), '1' }, 0, {}\n"

"local function grant(x, a)\n"
"  out[#out + 1] = x\n"
"  out[#out + 1] = a\n"
"  n = n + 1\n"
"end\n"

"for x, a in (call('HGET', state, 'g' .. node) or ''):gmatch('(%d+) (%x+)')"
" do\n"
"  if tonumber(x) >= now then\n"
"    grant(x, a)\n"
"    held[a] = (held[a] or 0) + 1\n"
"  end\n"
"end\n"
"call('HDEL', state, 'g' .. node)\n"

"local wants, list = {}, {}\n"

"for i = 11, #ARGV, 3 do\n"
"  local a, w, c = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])\n"
"  c = c - (held[a] or 0)\n"
"  if c > 0 then\n"
"    wants[a] = true\n"
"    list[#list + 1] = a\n"
"    call('HSET', state, 'c' .. node .. a, c .. ' ' .. w)\n"
"    if not call('ZSCORE', queue, node .. a) then\n"
"      enqueue(node .. a, a, w)\n"
"    end\n"
"  end\n"
"end\n"

"for a in (call('HGET', state, 'd' .. node) or ''):gmatch(('%x'):rep(16)) do\n"
"  if not wants[a] then\n"
"    call('ZREM', queue, node .. a)\n"
"    call('HDEL', state, 'c' .. node .. a)\n"
"  end\n"
"end\n"

"if #list > 0 then\n"
"  call('HSET', state, 'd' .. node, table.concat(list))\n"
"else\n"
"  call('HDEL', state, 'd' .. node)\n"
"end\n"

/* a silent node may spend its share: so many of any "nodes" slots are left */

"local silent = 0\n"
"if nodes > 0 and nodes <= rate then\n"
"  silent = math.max(0, nodes - call('ZCOUNT', joined, '-inf', text(now)))\n"
"end\n"

"local free, used = slot, index\n"
"slot = math.max(slot, now + lead)\n"

"while slot < now + horizon and n < most do\n"
"  if silent > 0 and index % nodes < silent then\n"
"    slot, index = slot + cost, index + 1\n"
"  else\n"
"    local head = call('ZRANGE', queue, 0, 0, 'WITHSCORES')\n"
"    if #head == 0 then break end\n"
"    local m = head[1]\n"
"    local j, a = m:sub(1, 16), m:sub(17)\n"
"    local c, w = (call('HGET', state, 'c' .. m) or '1 1')"
":match('(%d+) (%d+)')\n"
"    local g = j ~= node and call('HGET', state, 'g' .. j) or ''\n"
"    call('ZREM', queue, m)\n"

/* who does not come to fetch its slots gets no more of them */

"    if tonumber(call('ZSCORE', seen, j) or 0) < now - fresh"
" or #g >= 34 * most then\n"
"      call('HDEL', state, 'c' .. m)\n"
"    else\n"
"      v = tonumber(head[2])\n"
"      if tonumber(c) > 1 then\n"
"        call('HSET', state, 'c' .. m, (c - 1) .. ' ' .. w)\n"
"        enqueue(m, a, tonumber(w))\n"
"      else\n"
"        call('HDEL', state, 'c' .. m)\n"
"      end\n"
"      if j == node then\n"
"        grant(text(slot), a)\n"
"      else\n"
"        call('HSET', state, 'g' .. j, g .. text(slot) .. ' ' .. a .. ' ')\n"
"      end\n"
"      slot, index = slot + cost, index + 1\n"
"    end\n"
"  end\n"
"end\n"

"if index == used then slot = free end\n"

"call('ZREMRANGEBYSCORE', finish, '-inf', text(v))\n"
"call('HSET', state, 'next', text(slot), 'index', text(index), 'v', text(v),"
" 'last', text(now), 'cost', text(cost), 'told', text(told))\n"

"for _, key in ipairs(KEYS) do\n"
"  call('PEXPIRE', key, text(math.ceil(hold / 500)))\n"
"end\n"

"return table.concat(out, ' ')\n";
