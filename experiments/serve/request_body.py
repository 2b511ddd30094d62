"""Body of a request: its JSON and its rows; no text in a body is ever opened as a path."""

import json
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

from datamodules.preprocessing.inputs import JSON, Inputs
from datamodules.preprocessing.json_rows import KINDS, Source, reason_of
from datamodules.tables.parquet_file import MAGIC
from experiments.serve.server_settings import OTHER_KIND, TOO_LARGE, UNFIT, WRONG, Body, Refused

EXAMPLE = '{"rows": [...]}'


def parse_json(content: bytes) -> Any:
    """Parses a JSON text by RFC 8259; refuses NaN, Infinity, a name that occurs twice and half a surrogate pair."""
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
        if "\\ud" in text.lower():  # an escape may be half of a pair, which is no text
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise Refused(WRONG, f"the body is not UTF-8 text, byte {error.start} is not; send it as UTF-8") from error
    except UnicodeEncodeError as error:
        raise Refused(WRONG, "the body has half of a surrogate pair in a text; correct it") from error
    except RecursionError as error:
        raise Refused(WRONG, "the body is JSON that is nested too deep; send rows") from error
    except ValueError as error:
        wrong = f"no JSON: {reason_of(error)}; correct it" if text.strip() else f"empty; send {EXAMPLE}"
        raise Refused(WRONG, f"the body is {wrong}") from error
    return value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number there, and null stands for a missing one")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        ((again, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has {again[:40]!r} twice")
    return unique


def read_body(body: Body, inputs: Inputs, max_rows: int) -> Source:
    """Reads the rows of a request; raises ``DataError`` for rows that do not fit the model."""
    if body.kind != JSON:
        source = _body_reader(body, inputs)(body.content)
        _check_count(source.rows, max_rows)
        return source
    rows = _rows_of(parse_json(body.content))
    _check_count(len(rows), max_rows)
    kind, readers = _kind_of(rows), inputs.row_readers()
    if kind not in readers:
        raise Refused(UNFIT, f"the rows are {kind}, and this model takes {' or '.join(map(_example, readers))}")
    return readers[kind](rows)


def _rows_of(value: Any) -> list[Any]:
    """Returns the rows of a JSON body, an object of rows alone."""
    if not isinstance(value, dict) or "rows" not in value:
        raise Refused(UNFIT, f"the body is to be {EXAMPLE}, an object with the rows")
    if others := [name[:40] for name in value if name != "rows"]:
        raise Refused(UNFIT, f"the body has {', '.join(others[:5])} beside rows; send {EXAMPLE} alone")
    rows = value["rows"]
    if not isinstance(rows, list):
        raise Refused(UNFIT, f"the rows are no array; send {EXAMPLE}")
    return rows


def _body_reader(body: Body, inputs: Inputs) -> Callable[[bytes], Source]:
    """Returns the reader of a body that is no JSON."""
    readers = inputs.body_readers()
    reader = next((reader for content_type, reader in readers.items() if fnmatch(body.kind, content_type)), None)
    if reader is None:
        found = f"is {body.kind!r:.60}" if body.kind else "is missing"
        raise Refused(OTHER_KIND, f"the Content-Type {found}; this model takes {' or '.join([JSON, *readers])}")
    if body.content.startswith(MAGIC):
        raise Refused(WRONG, f"the body is Parquet, and its Content-Type {body.kind}; send CSV or JSON")
    if not body.content:
        raise Refused(WRONG, f"the body is empty; send {' or '.join(readers)}")
    return reader


def _kind_of(rows: list[Any]) -> str:
    """Returns the kind of rows: objects, texts or arrays."""
    first = type(rows[0])
    for index, row in enumerate(rows):
        if type(row) not in KINDS:
            raise Refused(UNFIT, f"row {index} is {json.dumps(row)[:40]}; a row is an object, an array or a text")
        if type(row) is not first:
            raise Refused(UNFIT, f"row {index} is of another kind than row 0; send rows of one kind")
    return KINDS[first]


def _example(kind: str) -> str:
    return {"objects": 'objects such as {"column": value}', "arrays": "arrays of numbers"}.get(kind, kind)


def _check_count(rows: int, most: int) -> None:
    if not rows:
        raise Refused(UNFIT, "there is no row to predict")
    if rows > most:
        raise Refused(TOO_LARGE, f"there are {rows:,} rows and at most {most:,} are taken; send them in parts")
