"""Damage to a JSON document: what disks, editors and strangers do to it, from a seed."""

import copy
import json
import random

DEPTH = "[" * 3000 + "]" * 3000
HUGE = "9" * 401
# Texts, not values: Python would write some of them otherwise, and JSON does not have all.
LITERALS = (
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "-1",
    "1",
    "3.5",
    "1e308",
    "1e999",
    "-1e999",
    "5e-324",
    "NaN",
    "Infinity",
    "-Infinity",
    HUGE,
    f"-{HUGE}",
    f"{HUGE}.5",
    "9" * 5000,
    "2147483648",
    "18446744073709551616",
    '""',
    '"a"',
    '"\\u0000"',
    '"\\u001b[2J"',
    '"\\ud800"',
    '"../../x"',
    '"' + "x" * 20_000 + '"',
    "[]",
    "{}",
    "[[]]",
    "[null]",
    '{"": {}}',
    '{"#number": "nan"}',
    DEPTH,
    '{"a":' * 100 + "1" + "}" * 100,
)
# A search for the name in all others would take minutes.
_TWICE = json.dumps({i: 0 for i in range(80_000)})[:-1].encode() + b', "79999": 0}'
_MARK = "a place for a literal"


def places(value, at=()):
    """The path of every part of a JSON value."""
    yield at
    parts = value.items() if isinstance(value, dict) else ()
    for name, part in enumerate(value) if isinstance(value, list) else parts:
        yield from places(part, (*at, name))


def damaged(text, rng):
    """The bytes of a document, damaged once in a random way."""
    changed = text
    while changed == text:
        changed = rng.choice((of_bytes, of_bytes, of_values, of_values, of_values))(text, rng)
    return changed


def of_bytes(text, rng):
    """Cut short, bits flipped, bytes gone, put in or there twice."""
    first = rng.randrange(len(text))
    last = min(len(text), first + rng.choice((1, 1, 2, 8, 64, 512)))
    kind = rng.choice(("cut", "flip", "flip", "flip", "gone", "more", "twice", "digit"))
    if kind == "cut":
        return text[:first]
    if kind == "flip":
        changed = bytearray(text)
        for place in [first, *rng.choices(range(len(text)), k=rng.choice((0, 0, 2)))]:
            changed[place] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if kind == "digit":  # still JSON, as a rule
        digits = [place for place, byte in enumerate(text) if chr(byte).isdigit()] or [first]
        place = rng.choice(digits)
        return text[:place] + str(rng.randrange(10)).encode() + text[place + 1 :]
    if kind == "gone":
        return text[:first] + text[last:]
    if kind == "more":
        return text[:first] + rng.randbytes(rng.choice((1, 4))) + text[first:]
    return text[:last] + text[first:last] + text[last:]


def of_values(text, rng):
    """A part of the wrong type, out of range, gone, unknown or there twice."""
    lines = text.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    try:
        document = json.loads(lines[place])
    except ValueError:  # not one document a line
        lines, place, document = [text], 0, json.loads(text)
    lines[place] = _changed(document, rng).encode("utf-8", "surrogatepass") + b"\n"
    return b"".join(lines)


def _changed(document, rng):
    document = copy.deepcopy(document)
    *way, last = rng.choice([at for at in places(document) if at] or [(None,)])
    inside = document
    for name in way:
        inside = inside[name]
    kind = rng.choice((*["literal"] * 4, "gone", "unknown", "twice", "all"))
    if kind == "all" or last is None:
        return rng.choice(LITERALS)
    if kind == "gone":
        del inside[last]
        return json.dumps(document)
    if kind == "unknown" and isinstance(inside, dict):
        return json.dumps(document | {"unknown": 1} if inside is document else document)
    kept = json.dumps(inside[last])
    inside[last] = _MARK
    text, literal = json.dumps(document), rng.choice(LITERALS)
    if kind == "twice" and isinstance(inside, dict):
        pair = f"{kept}, {json.dumps(last)}: {rng.choice((kept, literal))}"
        return text.replace(f'"{_MARK}"', pair, 1)
    return text.replace(f'"{_MARK}"', literal, 1)


def other_files(rng):
    """What is no document at all."""
    return (
        _TWICE,
        b"",
        b"\n",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"PK\x03\x04" + rng.randbytes(64),
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"\xff" * 64,
        bytes(4096),
        b"{} {}",
        b"null",
        b"3",
        b'"a"',
        b"[]",
        b"{}",
        DEPTH.encode(),
        rng.randbytes(512),
    )


def generator(name):
    """A generator of its own for every document."""
    return random.Random(f"fuzz {name}")
