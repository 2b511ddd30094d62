"""A JSON body as its rows, strictly: what one reader would take and another not is refused."""

import json
from typing import Any

from experiments.serve.refused import UNFIT, WRONG, Refused

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
