"""From the body of a request to what ``Inputs.chunks`` takes in Python; nothing in a body is ever taken for a path."""

from datamodules.imaging.inputs import ImageInputs
from datamodules.inputs import Inputs
from datamodules.tables.frames import MISSING, parse
from experiments.serve.frames import Source, of_frame
from experiments.serve.json_body import parse_json, rows_of
from experiments.serve.messages import CSV, IMAGE, JSON, Body
from experiments.serve.refused import OTHER_KIND, TOO_LARGE, UNFIT, WRONG, Refused
from experiments.serve.sources import kind_of, meant, takes


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
