#!/usr/bin/env python3

"""A verifier of TC3-HMAC-SHA256 requests, written from the description of the
protocol and from nothing else: the second opinion of t/differential.t.

The first line of the input is the configuration, {"keys": {id: secret},
"hosts": [further host names that may be signed]}.  Each line after it is a
request: {"now": UNIX time, "method", "query", "headers": [[name, value], ...],
"body"}, all texts in hexadecimal.  Each line of the output is "1" for a request
that is signed as it should be, or "0" and a reason."""

import datetime
import hashlib
import hmac
import json
import re
import sys

WINDOW = 300

AUTHORIZATION = re.compile(
    rb'TC3-HMAC-SHA256 +'
    rb'Credential=([^/,]+)/([0-9]{4}-[0-9]{2}-[0-9]{2})/([^/,]+)/tc3_request,'
    rb' *SignedHeaders=([^,]+),'
    rb' *Signature=([0-9a-f]{64})')

TIMESTAMP = re.compile(rb'[1-9][0-9]{9,10}')
PORT = re.compile(rb'(.+):[0-9]+', re.S)
EPOCH = datetime.date(1970, 1, 1).toordinal()


class Refused(Exception):
    pass


def once(headers):
    """The headers by lower-case name; none of them may come twice."""

    found = {}

    for name, value in headers:
        name = name.lower()

        if name in found:
            raise Refused('repeated')

        found[name] = value

    return found


def signed_names(text):
    names = text.split(b';')

    if len(names) > 16:
        raise Refused('authorization')

    for name in names:
        if name == b'' or name != name.lower():
            raise Refused('authorization')

    if any(a >= b for a, b in zip(names, names[1:])):
        raise Refused('authorization')

    if b'content-type' not in names or b'host' not in names:
        raise Refused('authorization')

    return names


def service_allowed(service, host):
    # a constant of the SDKs, or what they cut out of the host they were given

    label = host.split(b'.', 1)[0]

    return service == b'cbs' or service.lower() == label.lower()


def host_candidates(host, aliases):
    bare = PORT.fullmatch(host)
    forms = [host, bare.group(1) if bare else host]
    forms += [form.lower() for form in forms] + aliases

    return list(dict.fromkeys(forms))


def day_key(secret, date, service):
    key = b'TC3' + secret

    for part in (date, service, b'tc3_request'):
        key = hmac.digest(key, part, 'sha256')

    return key


def verify(request, keys, aliases):
    method, query, body = request['method'], request['query'], request['body']
    headers = once(request['headers'])

    if method == b'POST':
        payload = body

        if query != b'':
            raise Refused('query')

    elif method == b'GET':
        payload = b''

    else:
        raise Refused('method')

    match = AUTHORIZATION.fullmatch(headers.get(b'authorization', b''))

    if not match:
        raise Refused('authorization')

    key_id, date, service, listed, signature = match.groups()

    if len(key_id) > 1024 or len(service) > 255:
        raise Refused('authorization')

    names = signed_names(listed)

    if b'x-tc-content-sha256' in headers:
        raise Refused('unsigned-payload')

    timestamp = headers.get(b'x-tc-timestamp', b'')

    if not TIMESTAMP.fullmatch(timestamp):
        raise Refused('timestamp')

    secret = keys.get(key_id)

    if secret is None:
        raise Refused('key')

    seconds = int(timestamp)

    if abs(request['now'] - seconds) > WINDOW:
        raise Refused('time')

    day = datetime.date.fromordinal(EPOCH + seconds // 86400)

    if day.isoformat().encode() != date:
        raise Refused('date')

    if b'host' not in headers or b'content-type' not in headers:
        raise Refused('signature')

    if not service_allowed(service, headers[b'host']):
        raise Refused('service')

    kind = headers[b'content-type']
    key = day_key(secret, date, service)
    hashed = hashlib.sha256(payload).hexdigest().encode()
    lines = []

    for name in names:
        if name not in headers:
            raise Refused('signature')

        lines.append(headers[name].strip(b' \t').lower())

    for host in host_candidates(headers[b'host'], aliases):
        for media in dict.fromkeys((kind, kind.lower())):

            values = [host if name == b'host'
                      else media if name == b'content-type' else line
                      for name, line in zip(names, lines)]

            canonical = b'\n'.join((
                method, b'/', query,
                b''.join(b'%s:%s\n' % pair for pair in zip(names, values)),
                listed, hashed))

            text = b'\n'.join((
                b'TC3-HMAC-SHA256', timestamp,
                date + b'/' + service + b'/tc3_request',
                hashlib.sha256(canonical).hexdigest().encode()))

            if hmac.digest(key, text, 'sha256').hex().encode() == signature:
                return

    raise Refused('signature')


def main():
    unhex = bytes.fromhex
    conf = json.loads(sys.stdin.readline())
    keys = {k.encode(): v.encode() for k, v in conf['keys'].items()}
    aliases = [host.encode() for host in conf['hosts']]
    out = []

    for line in sys.stdin:
        raw = json.loads(line)

        request = {
            'now': raw['now'],
            'method': unhex(raw['method']),
            'query': unhex(raw['query']),
            'body': unhex(raw['body']),
            'headers': [(unhex(n), unhex(v)) for n, v in raw['headers']],
        }

        try:
            verify(request, keys, aliases)
            out.append('1\n')

        except Refused as why:
            out.append('0 %s\n' % why)

    sys.stdout.writelines(out)


main()
