#!/usr/bin/env python3
# verify-audit.py MAC-KEY-FILE|- CHECKPOINT-DIR|- SEGMENT...
# A second verifier, from docs/audit.md alone.  It does not check signatures.
import base64, glob, hashlib, hmac, json, sys

sha, broken, chains, again, segments = hashlib.sha256, [], {}, {}, {}
key = b'' if sys.argv[1] == '-' else open(sys.argv[1], 'rb').read().strip(b'\r\n')

def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b'\1' + root(leaves[:k]) + root(leaves[k:])).digest()

for name in sys.argv[3:]:
    lines = open(name, 'rb').read().split(b'\n')[:-1]
    segments[sha(lines[0]).hexdigest()[:16] if lines else ''] = lines
    last = {}
    for n, line in enumerate(lines, 1):
        cut = max(line.rfind(b'{"v":1,"time":"'), 0)
        line = line[cut:]
        try:
            r = json.loads(line)
            chain, seq = r['chain'], r['seq']
        except (ValueError, KeyError, TypeError):
            if not b'{"v":1,"time":"'.startswith(line[:15]):
                broken.append(f'{name}:{n}: no record')
            continue
        known = chains.setdefault(chain, {})
        if seq in known:
            again.setdefault(chain, set()).add(seq)
        elif seq < last.get(chain, 0):
            broken.append(f'{name}:{n}: out of order')
        if known.setdefault(seq, (line, r))[0] != line:
            broken.append(f'{name}:{n}: two records {seq}')
        last[chain] = max(seq, last.get(chain, 0))
        covered = line[:line.rfind(b',"mac":"')]
        if key and r.get('mac') != hmac.new(key, covered, sha).hexdigest():
            broken.append(f'{name}:{n}: mac')

for chain, known in chains.items():
    seqs, rewritten = sorted(known), set()
    first = known[seqs[0]][1]
    if first.get('why') != ('segment' if seqs[0] else 'start'):
        broken.append(f'{chain}: begins at {seqs[0]}')
    for a, b in zip(seqs, seqs[1:]):
        if b != a + 1 or known[b][1]['prev'] != sha(known[a][0]).hexdigest():
            broken.append(f'{chain}: {b} does not follow {a}')
    for line, r in known.values():
        if r.get('why') == 'rewritten':
            rewritten.update(range(r['first'], r['last'] + 1))
        for head in r.get('heads', []):
            other = chains.get(head['chain'], {})
            if other and head['seq'] >= min(other) and (head['seq'] not in other
                    or sha(other[head['seq']][0]).hexdigest() != head['hash']):
                broken.append(f'{chain}: names {head["chain"]} {head["seq"]}')
    if again.get(chain, set()) - rewritten:
        broken.append(f'{chain}: records are there twice')

for name in [] if sys.argv[2] == '-' else glob.glob(sys.argv[2] + '/*.checkpoint'):
    origin, size, said = open(name, encoding='utf-8').read().split('\n')[:3]
    lines = segments.get(origin.split('/')[1], [])[:int(size)]
    if len(lines) < int(size) or base64.b64encode(root(
            [sha(b'\0' + line).digest() for line in lines])).decode() != said:
        broken.append(f'{name}: not what was sealed')

print('\n'.join(broken[:1]) or 'intact')
sys.exit(1 if broken else 0)
