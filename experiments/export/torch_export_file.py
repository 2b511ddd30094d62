"""Export format torch-export: a graph by ``torch.export.save``, read without running any code in the file.

``torch.export.load`` unpickles the example inputs and every tensor that says it is pickled, evaluates the sizes of
dynamic dimensions as Python, and looks operators up by any dotted name under ``torch``. A file of ours has no pickle,
sizes that are plain sums and products, and operators of ATen; every other file is refused ahead of loading. torch gets
no file, only an archive that is written anew in memory from the checked members.
"""

import io
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from typing_extensions import override

from datamodules.errors import DataError, raise_shortage
from datamodules.preprocessing.json_rows import reason_of
from experiments.checked_zip import pieces, rewritten
from experiments.export.formats import ExportFormat, Graph

if TYPE_CHECKING:
    from experiments.inference.predictor import Predictor

MEMBERS = re.compile(
    r"(archive_format|archive_version|byteorder|\.data/(serialization_id|version)|models/model\.json|"
    r"data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_[0-9]+)|"
    r"data/sample_inputs/model\.pt)"  # empty
)
"""Members of a file of ours, without the archive's folder."""
SIZE = re.compile(
    r"(?:'[su][0-9]+'|\b(?:Symbol|Integer|Add|Mul|Pow|Max|Min|Mod|FloorDiv|CeilToInt|TruncToInt|PythonMod|CleanDiv|"
    r"positive|nonnegative|integer|True)\b|\b[su]?[0-9]+\b|[\s+*/(),<>=-])*"
)
"""Expression of sizes: symbols, whole numbers, and their sums and products."""
OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!from_file\b)\w+\.\w+|_operator\.(add|sub|mul|floordiv|mod|neg|eq|ne|ge|gt|le|lt|getitem)|"
    r"torch\.sym_(max|min|not)",
    re.ASCII,
)
FILE = "model.pt2"


class TorchExport(ExportFormat):
    """Graph for ``torch.export.load``."""

    @override
    def save(self, predictor: "Predictor", raw: dict[str, Tensor], folder: Path) -> bool:
        from experiments.export.graph import trace  # needs the training code, and reading does not

        traced = trace(predictor, raw)
        save(traced.program, folder / FILE)
        return traced.any_steps

    @override
    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        module = load(folder / FILE).module()
        return lambda raw: module(**raw)


def save(program: ExportedProgram, path: Path) -> None:
    """Writes a program without its example inputs, which would be pickled, and without the paths of its source."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    program._example_inputs = None
    buffer = io.BytesIO()  # on a full disk torch's own writer ends the process
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getbuffer())


def load(path: Path) -> ExportedProgram:
    """Loads a program that ``save`` wrote; raises ``DataError`` for any other file, of which nothing is loaded."""
    try:
        with _logged_errors_raised():
            return torch.export.load(rewritten(path, "model", lambda name, member: _checked(name, member, path)))
    except DataError:
        raise
    except Exception as error:  # torch's reader raises errors of every kind
        raise_shortage(error)
        raise DataError(
            f"{path} cannot be loaded: {reason_of(error)}; export the run again with this version of torch"
        ) from error


@contextmanager
def _logged_errors_raised() -> Iterator[None]:
    """Raises the error that ``torch.export.load`` prints as a traceback, in place of the later one without a reason."""

    def raise_error(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]
        return True

    logger = logging.getLogger("torch.export")
    logger.addFilter(raise_error)
    try:
        yield
    finally:
        logger.removeFilter(raise_error)


def _checked(name: str, member: IO[bytes], path: Path) -> Iterable[bytes]:
    """Returns the content of a member to write into the archive that torch reads."""

    def check(entry: dict[str, Any]) -> dict[str, Any]:
        size, operator = entry.get("expr_str", ""), "torch.sym_max"
        if {"target", "outputs"} <= entry.keys():
            operator = entry["target"]
        if entry.get("use_pickle", False) is not False:
            raise DataError(f"{path} holds pickled values, which may run code; nothing of it was loaded")
        if not (isinstance(size, str) and SIZE.fullmatch(size)):
            raise DataError(f"{path} has {str(size)[:60]!r} for a size; nothing of it was loaded")
        if not (isinstance(operator, str) and OPERATOR.fullmatch(operator)):
            raise DataError(f"{path} calls {str(operator)[:60]!r}, no operator of a network; nothing of it was loaded")
        return entry

    if not MEMBERS.fullmatch(name) or (name.endswith(".pt") and member.read(1)):
        raise DataError(f"{path} holds {name}, which evenhand export does not write; nothing of it was loaded")
    if not name.endswith(".json"):
        return pieces(member)
    value = json.loads(member.read(), object_hook=check)
    return [json.dumps(value).encode()]  # the text of what was checked, whatever the encoding of the file's was
