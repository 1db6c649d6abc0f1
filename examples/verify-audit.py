#!/usr/bin/env python3
# verify-audit.py MAC-KEY-FILE|- CHECKPOINT-DIR|- SEGMENT...
# A second verifier, from docs/audit.md alone.  It does not check signatures.
import base64, glob, gzip, hashlib, hmac, json, sys

def check(good, *what):
    if not good:
        print(*what)
        sys.exit(1)

def sha(data):
    return hashlib.sha256(data).digest()

def root(leaves):
    k = 1 << (len(leaves) - 1).bit_length() >> 1
    return leaves[0] if not k else sha(b'\1' + root(leaves[:k]) + root(leaves[k:]))

key = sys.argv[1] != '-' and open(sys.argv[1], 'rb').read().strip(b'\r\n')
chains, segments, begin = {}, {}, b'{"v":1,"time":"'
for name in sys.argv[3:]:
    lines = (gzip.open if name.endswith('.gz') else open)(name, 'rb').read().split(b'\n')[:-1]
    segments[sha(lines[0]).hex()[:16] if lines else ''], last = lines, {}
    for n, line in enumerate(lines, 1):
        line = line[max(line.rfind(begin), 0):]         # what is torn may stand before it
        try:
            record = json.loads(line)
            chain, seq = record['chain'], record['seq']
        except (ValueError, KeyError, TypeError):
            check(begin.startswith(line[:15]), name, n, 'no record')
            continue
        known = chains.setdefault(chain, {}).setdefault(seq, [line, record, 0])
        known[2] += 1
        check(known[0] == line, name, n, 'two records', seq)
        check(known[2] > 1 or seq >= last.get(chain, 0), name, n, 'out of order')
        last[chain] = max(seq, last.get(chain, 0))
        mac = key and hmac.new(key, line[:line.rfind(b',"mac":"')], 'sha256').hexdigest()
        check(not key or record.get('mac') == mac, name, n, 'mac')
for chain, known in chains.items():
    first, again = min(known), {seq for seq in known if known[seq][2] > 1}
    check(known[first][1].get('why') == ('segment' if first else 'start'), chain, 'begins at', first)
    for seq, (line, record, _) in known.items():
        before = known.get(seq - 1)
        check(seq == first or before and record['prev'] == sha(before[0]).hex(), chain, seq, 'follows nothing')
        again -= set(range(record['first'], record['last'] + 1) if record.get('why') == 'rewritten' else ())
        for head in record.get('heads', []):
            other = chains.get(head['chain'], {head['seq'] + 1: 0})
            named = other.get(head['seq'])
            check(head['seq'] < min(other) or named and sha(named[0]).hex() == head['hash'], chain, 'names', head)
    check(not again, chain, 'has twice', again)
for name in glob.glob(sys.argv[2] + '/*.checkpoint'):
    origin, size, said = open(name).read().split('\n')[:3]
    leaves = [sha(b'\0' + line) for line in segments.get(origin.split('/')[1], [])[:int(size)]]
    check(len(leaves) == int(size) and base64.b64encode(root(leaves)).decode() == said, name, 'not sealed so')
print('intact')
