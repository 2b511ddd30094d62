"""Bodies that nobody should send, the same ones for a seed."""

import json
import random
from collections.abc import Iterator
from typing import Any

ODD = [
    None, True, "", "old", "NaN", "1e999", 0, -1, 1e308, -1e308, 10**30, 10**400, 2**63, [], {}, [[]], [None],
    {"a": []},
    "\u0000", "é" * 50, "2020-99-99", [1, "a"], [[1], [2, 3]], [[[[1]]]], "iVBORw0KGgo=", "data:,", "PAR1",
]  # fmt: skip
KINDS = ["application/json", "text/csv", "image/png", "image/jpeg", "text/plain", "multipart/form-data", "", "a/b; c=d"]
RAW = [
    b"", b"{", b"null", b"[]", b'{"rows"', b'{"rows": [}', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 5000, b'{"a":' * 5000,
    b'{"rows": [NaN]}', b'{"rows": [1e400]}', b'{"rows": ["\\ud800"]}', b'{"rows": [' + b"9" * 6000 + b"]}", b"\0" * 50,
    b'"rows"', b"a,b\n1\n", b'a,b\n"1', b"PAR1PAR1", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"age\n\n\n", b"\n\n",
    b'{"rows": {}}',
]  # fmt: skip


def malformed(count: int, good: Any, seed: int) -> Iterator[tuple[str, bytes]]:
    """Content types and bodies: odd values in the place of good ones, broken JSON, bytes.

    Args:
        count: How many.
        good: A row that can be predicted.
        seed: Of what is drawn.
    """
    draw = random.Random(seed)
    for _ in range(count):
        kind = "application/json" if draw.random() < 0.75 else draw.choice(KINDS)
        match draw.randrange(4):
            case 0:
                rows = [_changed(good, draw) for _ in range(draw.randint(1, 3))]
                body = json.dumps({"rows": rows}).encode()
            case 1:
                rows = [draw.choice([*ODD, good]) for _ in range(draw.randint(0, 4))]
                body = json.dumps({"rows": rows} | ({"more": 1} if draw.random() < 0.1 else {})).encode()
            case 2:
                body = draw.choice(RAW)
            case _:
                whole = bytearray(json.dumps({"rows": [good] * draw.randint(1, 2)}).encode())
                for _ in range(draw.randint(1, 4)):
                    place = draw.randrange(len(whole))
                    whole[place : place + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
                body = bytes(whole)
        yield kind, body


def _changed(good: Any, draw: random.Random) -> Any:
    if isinstance(good, dict):
        changed = dict(good)
        for _ in range(draw.randint(1, 2)):
            changed[draw.choice([*good, "other"])] = draw.choice(ODD)
        if draw.random() < 0.2:
            changed.pop(next(iter(good)))
        return changed
    if isinstance(good, list) and good and draw.random() < 0.9:
        place = draw.randrange(len(good))
        return [_changed(one, draw) if at == place else one for at, one in enumerate(good)]
    return draw.choice(ODD)
