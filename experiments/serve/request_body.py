"""From the body of a request to what ``Inputs.chunks`` takes in Python; nothing in a body is ever taken for a path."""

import json
from typing import Any

from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import Inputs
from datamodules.tables.read_table import MISSING, parse
from experiments.serve.request_rows import Source, kind_of, meant, of_frame, takes
from experiments.serve.server_settings import CSV, IMAGE, JSON, OTHER_KIND, TOO_LARGE, UNFIT, WRONG, Body, Refused

EXAMPLE = '{"rows": [...]}'


def parse_json(content: bytes) -> Any:
    """The value of a JSON text, as RFC 8259 has it.

    Raises:
        Refused: For what is none: NaN and Infinity, a name that comes twice and half a surrogate pair included.
    """
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
        reason = " ".join(str(error).split())[:200]
        raise Refused(WRONG, f"the body is empty; send {EXAMPLE}" if not text.strip() else
                      f"the body is no JSON: {reason}; correct it") from error  # fmt: skip
    return value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number there, and null stands for a missing one")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"an object has {again[:40]!r} twice")
    return made


def rows_of(value: Any) -> list[Any]:
    """The rows of a body's value.

    Raises:
        Refused: For a value that is no object of rows and nothing else.
    """
    if not isinstance(value, dict) or "rows" not in value:
        raise Refused(UNFIT, f"the body is to be {EXAMPLE}, an object with the rows")
    others = [name[:40] for name in value if name != "rows"]
    if others:
        raise Refused(UNFIT, f"the body has {', '.join(others[:5])} beside rows; send {EXAMPLE} alone")
    if not isinstance(value["rows"], list):
        raise Refused(UNFIT, f"the rows are no array; send {EXAMPLE}")
    rows: list[Any] = value["rows"]
    return rows


def read_body(body: Body, inputs: Inputs, max_rows: int) -> Source:
    """What is to be predicted.

    Args:
        body: Of a request.
        inputs: Of the model.
        max_rows: Rows of a request at most.

    Raises:
        Refused: For a body that is no such thing.
        DataError: For rows that do not fit the model.
    """
    if body.kind == JSON:
        rows = rows_of(parse_json(body.content))
    elif body.kind == CSV and "objects" in takes(inputs):
        if body.content.startswith(b"PAR1"):
            raise Refused(WRONG, "the body is Parquet, and text/csv was said; send CSV or JSON")
        frame = parse(body.content, "the body", getattr(inputs, "missing", MISSING))
        _check_count(len(frame), max_rows)
        return of_frame(frame, inputs)
    elif body.kind.startswith(IMAGE) and isinstance(inputs, ImageInputs):
        if not body.content:
            raise Refused(WRONG, "the body is empty; send an image")
        return Source([body.content], 1, ("list",))
    else:
        known = [
            JSON,
            *([CSV] if "objects" in takes(inputs) else []),
            *(["image/png"] * isinstance(inputs, ImageInputs)),
        ]
        said = f"is {body.kind!r:.60}" if body.kind else "is not said"
        raise Refused(OTHER_KIND, f"the Content-Type {said}; this model takes {' or '.join(known)}")
    _check_count(len(rows), max_rows)
    kind = kind_of(rows)
    read = takes(inputs).get(kind)
    if read is None:
        raise Refused(UNFIT, f"the rows are {kind}, and this model takes {' or '.join(map(meant, takes(inputs)))}")
    return read(rows, inputs)


def _check_count(rows: int, most: int) -> None:
    if not rows:
        raise Refused(UNFIT, "there is no row to predict")
    if rows > most:
        raise Refused(TOO_LARGE, f"there are {rows:,} rows and at most {most:,} are taken; send them in parts")
