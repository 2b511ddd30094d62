"""Schema of ``signature.json``, which is checked right after the digest, before anything else reads the file.

The reader is ours: a graph loads without jsonargparse, and jsonschema or pydantic would bring compiled packages.
"""

import sys
from typing import Any

from datamodules.tables.cell_types import NUMBERS

SIZE, COUNT = range(1, 2**31), range(2**31)
FREE = object
"""Any JSON value: what is printed and never computed with."""

NAMES = [str]
STORED = {*NUMBERS, "Boolean", "Date", "Time", "Datetime", "String"}
"""Types of columns in the train rows' file."""
METRICS = {str: (float, None)}

SIGNATURE: dict[str, Any] = {
    "format": str,
    "task": {"binary", "multiclass", "multilabel", "regression"},
    "inputs": [dict],  # compared with the tensors of ``raw``
    "output": {"name": str, "dtype": str, "shape": NAMES, "sizes": [SIZE], "meaning": str},
    "classes": NAMES,
    "targets": NAMES,
    "decisions": {
        "temperature": float,
        "threshold": float,
        "coverage": float,
        "least_probability": float,
        "margins": [float],
    },
    "versions": {str: (str, None)},
    "model": {"class_path": str, "hyper_parameters": {str: FREE}},
    "raw": dict,  # see RAW
    "notes": NAMES,
    "checked": {
        "rows": SIZE,
        "test_rows": COUNT,
        "scale": [float],
        "differences": {str: float},
        "metrics": METRICS,
        "metrics_of_run": METRICS,
    },
    "run": {str: FREE},
    "files": {str: str},
}
"""Types by name. A list of one type has any length; ``{str: type}`` has any names; a tuple holds alternatives."""

RAW: dict[str, Any] = {
    "array": {"inputs": {"kind": str, "shape": [SIZE]}},
    "image": {
        "inputs": {
            "kind": str,
            "channels": {1, 3},
            "size": [SIZE, SIZE],
            "resize": bool,
            "column": str,
            "folders": NAMES,
            "id_column": str,
        }
    },
    "series": {
        "inputs": {
            "kind": str,
            "channels": NAMES,
            "window": (SIZE, None),
            "stride": SIZE,
            "id": (str, None),
            "step": (str, None),
        },
        "steps": SIZE,
    },
    "table": {
        "inputs": {
            "kind": str,
            "columns": {str: [{"numeric", "date", "categorical"}, STORED]},
            "missing": NAMES,
            "id_column": str,
        },
        "encoding": {"medians": NAMES, "categories": {str: NAMES}, "sometimes_missing": NAMES},
    },
    "text": {
        "inputs": {
            "kind": str,
            "columns": NAMES,
            "missing": NAMES,
            "folders": NAMES,
            "txt_table": bool,
            "id_column": str,
        },
        "input_shape": [SIZE],
    },
}
"""Schema of ``raw`` by kind; the class of another kind, a user's, checks its own."""

OPTIONAL = {
    *("folders", "txt_table", "id_column", "sometimes_missing"),
    *("decisions", "temperature", "threshold", "coverage", "least_probability", "margins"),
}
"""Names that older exports, or those of a run without the option, lack."""


def signature_fault(content: Any) -> str | None:
    """Returns which value of a signature no export writes, or None."""
    if found := fault(content, SIGNATURE, "the signature"):
        return found
    inputs = content["raw"].get("inputs")
    kind = inputs.get("kind") if isinstance(inputs, dict) else None
    if not isinstance(kind, str):
        return "the signature has no value 'raw.inputs.kind'"
    return fault(content["raw"], RAW.get(kind, dict), "raw")


def fault(value: Any, schema: Any, name: str) -> str | None:
    """Returns which value does not fit a schema, or None."""
    if isinstance(schema, dict) and isinstance(value, dict):
        if str not in schema and (others := (value.keys() ^ schema.keys()) - (OPTIONAL & schema.keys())):
            other = min(others)
            return f"{name} has {'no' if other in schema else 'another'} value {other[:40]!r}"
        items = [(f"{name}.{key[:40]}", item, schema.get(key, schema.get(str))) for key, item in value.items()]
    elif isinstance(schema, list) and isinstance(value, list) and len(schema) in (1, len(value)):
        types = schema * len(value) if len(schema) == 1 else schema
        items = [(f"{name}[{index}]", item, types[index]) for index, item in enumerate(value)]
    else:
        alternatives = schema if isinstance(schema, tuple) else (schema,)
        fits = any(_is_of(value, alternative) for alternative in alternatives)
        return None if fits else f"{name} is {str(value)[:40]!r}"
    return next((found for key, item, each in items if (found := fault(item, each, key))), None)


def _is_of(value: Any, schema: Any) -> bool:
    if isinstance(schema, range):
        return type(value) is int and value in schema
    if isinstance(schema, set):
        return type(value) in (str, int) and value in schema
    if schema is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    return schema is FREE or (value is None if schema is None else type(value) is schema)
