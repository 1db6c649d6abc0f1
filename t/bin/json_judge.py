#!/usr/bin/env python3

"""What is JSON and what it says, for t/json_differential.t: the reader of
Python, made strict where it is lenient.

json_judge.py judge DEPTH   Each line of the input is a text in hexadecimal;
                            each line of the output is "0" and a reason, or "1".
json_judge.py compare DEPTH The same, but a line is a text, a blank and what
                            another parser made of it, both in hexadecimal: the
                            output is "1" when both texts mean the same.
json_judge.py make SEED N   Prints N texts in hexadecimal."""

import json
import random
import re
import sys

NUMBER = re.compile(r'-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')


class Refused(Exception):
    pass


class Number(str):
    """A number as it was written, so that none is rounded."""


def pairs(members):
    found = {}

    for name, value in members:
        text(name)

        if name in found:
            raise Refused('repeated name')

        found[name] = value

    return list(found.items())


def text(value):
    for c in value:
        if c == '\0' or '\ud800' <= c <= '\udfff':
            raise Refused('character')


def number(value):
    if not NUMBER.fullmatch(value):
        raise Refused('number')

    return Number(value)


def constant(value):
    raise Refused('constant')


def walk(value, depth):
    """The depth of a tree, and its strings looked at."""

    if isinstance(value, str) and not isinstance(value, Number):
        text(value)

    if not isinstance(value, (list, tuple)):
        return

    if depth == 0:
        raise Refused('depth')

    for item in value:
        if isinstance(item, tuple):
            text(item[0])
            item = item[1]

        walk(item, depth - 1)


def read(data, depth):
    try:
        source = data.decode('utf-8')

    except UnicodeDecodeError as error:
        raise Refused('UTF-8') from error

    if source.startswith('\ufeff'):
        raise Refused('byte order mark')

    # an array keeps being one, an object becomes a list of tuples

    try:
        tree = json.loads(source, object_pairs_hook=pairs, parse_int=number,
                          parse_float=number, parse_constant=constant)

    except (ValueError, RecursionError) as error:
        raise Refused('syntax') from error

    walk(tree, depth)

    return tree


def kind(tree):
    """Two trees are equal when this is: Python says 1 == True."""

    return json.dumps([type(tree).__name__, tree], default=str)


CHARS = ('a', 'B', '0', '\\n', '\\"', '\\\\', '\\/', '\\u0041', '\\u00e9',
         '\\ud83d\\ude00', '\u00e9', '\U0001f600', '\u2028', '\x7f')

BAD = ('\\u0000', '\\ud800', '\\udc00', '\\x', '\\u12', '\n', '\t', '\x00',
       '\x1f', '\\', '"', '\\ud800\\u0041', '\\uDBFF\\uDBFF', "\\'")

VALUES = ('null', 'true', 'false', '0', '-0', '1', '-1.5', '1e5', '1E+10',
          '0.0', '12345678901234567890', '1.5e-7')

ODD = ('NaN', 'Infinity', '-Infinity', '01', '+1', '.5', '1.', '1e', '-',
       'True', 'nul', '0x1', '1_0', "'a'", '//', '/**/', '\ufeff', '--1',
       '1e+', '00', '-01', 'undefined', '1.e5', '\u0661')

SPACE = ('', '', '', ' ', '\n', '\t', '\r\n', '  ')


class Maker:

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.odd = 0

    def rare(self):
        return self.random.random() < self.odd

    def space(self):
        if self.rare():
            return self.random.choice(('\v', '\f', '\x00', '\x08', '\x1c',
                                       '\u00a0', '\u2003', '\x85', '#', ','))

        return self.random.choice(SPACE)

    def string(self):
        r = self.random
        inner = ''.join(r.choice(CHARS) for _ in range(r.randrange(4)))

        if self.rare():
            inner += r.choice(BAD)

        return '"%s"' % inner

    def value(self, depth):
        r = self.random

        if self.rare():
            return r.choice(ODD)

        what = r.randrange(6)

        if what < 2 or depth == 0:
            return self.string() if r.random() < .5 else r.choice(VALUES)

        if what < 4:
            items = [self.space() + self.value(depth - 1) + self.space()
                     for _ in range(r.choice((0, 1, 2, 3, 12)))]
            return '[' + (','.join(items) or self.space()) \
                + (',' if self.rare() else '') + ']'

        names = [self.string() if r.random() < .5 else '"k%d"' % i
                 for i in range(r.choice((0, 1, 2, 3, 14)))]

        if names and self.rare():
            name = r.choice(names)
            names.insert(r.randrange(len(names) + 1), r.choice(
                (name, name.replace('k', '\\u006b'))))

        return '{' + ','.join(
            self.space() + name + self.space() + ':' + self.space()
            + self.value(depth - 1) + self.space() for name in names) + '}'

    def document(self):
        r = self.random
        self.odd = r.choice((0, 0, .02, .1))
        data = self.space() + self.value(r.choice((1, 2, 4, 5))) + self.space()
        data = bytearray(data.encode('utf-8', 'surrogatepass'))

        for _ in range(r.choice((0, 0, 0, 1, 1, 2))):
            at = r.randrange(len(data) + 1)
            how = r.randrange(5)

            if how == 0:
                data[at:at] = bytes((r.randrange(256),))
            elif how == 1:
                del data[at:at + 1]
            elif how == 2:
                data[at:at + 1] = bytes((r.randrange(256),))
            elif how == 3:
                del data[at:]
            else:
                data[at:at] = data[at:at + r.randrange(8)]

        return bytes(data)


def main():
    if sys.argv[1] == 'make':
        maker = Maker(int(sys.argv[2]))

        for _ in range(int(sys.argv[3])):
            print(maker.document().hex())

        return

    depth = int(sys.argv[2])
    out = []

    for line in sys.stdin:
        try:
            if sys.argv[1] == 'judge':
                read(bytes.fromhex(line), depth)
                out.append('1')
                continue

            one, two = (read(bytes.fromhex(part), depth)
                        for part in line.rstrip('\n').split(' '))
            out.append('1' if kind(one) == kind(two) else '0 another value')

        except Refused as why:
            out.append('0 %s' % why)

    sys.stdout.writelines(line + '\n' for line in out)


main()
