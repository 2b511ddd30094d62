"""A user's table that does not fit into memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.cache import cache_folder
from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.preprocessing.id_column import check_id
from datamodules.preprocessing.normalization import is_constant
from datamodules.remote_files import local_files
from datamodules.streaming.hash_split import HashSplit
from datamodules.streaming.parquet_cache import ColumnSelection, convert
from datamodules.streaming.parquet_columns import TargetEncoding
from datamodules.streaming.parquet_files import ParquetFiles
from datamodules.streaming.stream_data import StreamData
from datamodules.streaming.streaming_statistics import RunningStatistics, normalizer
from datamodules.tables.columns import Columns, ColumnType, number_note
from datamodules.tables.encoded_table import EncodedTable
from datamodules.tables.encoding import Encoding, check_any_value
from datamodules.tables.input_columns import index_note, inputs_among
from datamodules.tables.read_table import MISSING
from datamodules.types import TaskName

PIECE_ROWS = 2**18
"""Rows of which the ids are read at a time."""


class StreamedTable(EncodedTable, StreamData):
    """Table in a Parquet file, or in a folder of them, with a row for each example, read from the disk in training.

    The first run converts the rows to arrays in the cache folder, of which any block is read without the others:
    4 bytes a number (8 if a column has more digits than float32), 4 a category, 8 a target. Later runs on these files
    use these arrays. Columns are read as ``TableData`` reads them.

    Args:
        path: The folder, or the file. Rows are numbered in the order of the files' names.
        target: Column to predict, or several: labels of 0 and 1, or numbers.
        val_path: Folder or file of the validation split; by default taken from the train rows.
        test_path: Folder or file of the test split; ``path`` is then that of train.
        task: Task; inferred from the target by default, as with ``TableData``.
        types: Column types that are not inferred: numeric, categorical or date.
        drop: Column or columns that are no inputs.
        id: Column that names rows in predictions; no input.
        missing: Texts that stand for a missing value.
        missing_columns: Give the model a further number, 0 or 1, for each column that has missing values in train rows.
        cache: Folder for the arrays; by default ``streamed`` in ``$EVENHAND_CACHE`` or ``~/.cache/evenhand``.
        kwargs: Options of every stream, see ``StreamData``.

    Raises:
        DataError: For files, columns or options that cannot be used.
    """

    def __init__(
        self,
        path: str,
        target: list[str] | str,
        val_path: str | None = None,
        test_path: str | None = None,
        task: TaskName | None = None,
        types: dict[str, ColumnType] | None = None,
        drop: list[str] | str | None = None,
        id: str | None = None,
        missing: list[str] = list(MISSING),  # noqa: B006, it is only read
        missing_columns: bool = True,
        cache: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        path, val_path, test_path = local_files(path, val_path, test_path)
        self.missing_columns = missing_columns
        files, split_files = _open_files(path, val_path, test_path, missing)
        targets = [target] if isinstance(target, str) else target
        dropped = [drop] if isinstance(drop, str) else drop or []
        settings, types, schema = self.split_settings, types or {}, files[0].schema
        inputs = inputs_among(schema.names(), targets, dropped, types, settings, id)
        self.id_column, self._files = id, files
        if id is not None:
            check_id(id, schema.to_frame())
        selection = ColumnSelection(
            tuple(inputs), tuple(targets), task, types, tuple(missing), settings.group, settings.split_column
        )
        about, arrays = convert(files, selection, Path(cache) if cache else cache_folder() / "streamed")
        self.number_names: list[str] = about["numbers"]
        self.levels: dict[str, list[str]] = about["levels"]
        self.sizes = [len(levels) for levels in self.levels.values()]
        encoding = TargetEncoding(**about["labelling"])
        self.task, self.num_outputs, self.class_names = encoding.task, encoding.num_outputs, tuple(encoding.class_names)
        self.target_names, self.missing = tuple(targets), missing
        self.kinds = {name: (kind, dtype) for name, (kind, dtype) in about["kinds"].items()}
        texts = [name for name in self.levels if name not in types and schema[name] == polars.String]
        notes = [note for each in files for note in each.notes]
        notes += [encoding.note, *(number_note(polars.Series(name, self.levels[name])) for name in texts)]
        notes.append(index_note(schema.names(), [*inputs, *dropped, *targets, *settings.columns, id]))
        self.notes = tuple(filter(None, notes))
        arrays["x"], has_val = arrays.pop("numbers"), about["has_val"] or val_path is not None
        split = HashSplit(len(arrays["y"]), settings, split_files, arrays.pop("keys", None), has_val)
        self.take(arrays, split, about["digest"])
        self._learn_statistics()  # categories and columns with missing values decide arguments of the model

    @override
    def id_columns(self, index: Tensor) -> polars.DataFrame:
        if self.id_column is None:
            return polars.DataFrame()
        found: list[polars.DataFrame] = []
        start, (rows, order) = 0, index.unique(return_inverse=True)
        for piece in (piece for files in self._files for piece in files.pieces([self.id_column], PIECE_ROWS)):
            inside = rows[(rows >= start) & (rows < start + len(piece))]
            found.append(piece[(inside - start).numpy()])
            start += len(piece)
        ids: polars.DataFrame = polars.concat(found)[order.numpy()]
        return ids

    @override
    def unprepared(self, index: Tensor) -> Batch:
        return self.inputs.unprepared().tensors(self._columns(self.partitioned.at(index)), torch.arange(len(index)))

    @override
    def train_numbers(self) -> Tensor:
        return self.inputs.tensors(self._columns(self._drawn), torch.arange(len(self._drawn["row"])))["x"]

    @override
    def finish(self, rows: Batch) -> Batch:
        tensors = self.inputs.tensors(self._columns(rows), torch.arange(len(rows["row"])))
        return {**tensors, "y": rows["y"], "row": rows["row"]}

    def set_statistics(self, learned: RunningStatistics) -> None:
        """Sets medians, categories and statistics; a missing number counts as its column's median."""
        self._drawn = learned.sample
        moments, numbers = learned.inputs, learned.sample["x"]
        names = [*self.number_names, *self.levels]
        for name, count in zip(names, [*moments.count, *(seen.sum() for seen in learned.seen)], strict=True):
            check_any_value(name, int(count), learned.rows)
        one_value = is_constant(moments.low, moments.high)
        constant = [name for name, same in zip(self.number_names, one_value, strict=True) if same]
        if constant and self.normalize != "none":
            note = f"the same in all train rows, and therefore without effect: {', '.join(constant)}"
            self.notes = (*self.notes, note)
        medians = moments.mean.clone()  # of a column without a value in the sample
        for index, values in enumerate(numbers.T):
            if len(present := values[~values.isnan()]):
                medians[index] = float(numpy.median(present.double().numpy()))
        present = moments.count.tolist()
        moments.merge(learned.rows - moments.count, medians, torch.zeros_like(medians), medians, medians)
        categories = {
            name: sorted(level for level, occurs in zip(levels, seen.tolist(), strict=True) if occurs)
            for (name, levels), seen in zip(self.levels.items(), learned.seen, strict=True)
        }
        missing = [name for name, count in zip(self.number_names, present, strict=True) if count < learned.rows]
        of_numbers = dict(zip(self.number_names, medians.tolist(), strict=True))
        self._set_encoding(Encoding(of_numbers, categories, missing if self.missing_columns else None))
        self.statistics = normalizer(moments, lambda: torch.where(numbers.isnan(), medians, numbers), self.normalize)

    @override
    def frame(self, rows: Batch) -> polars.DataFrame:
        columns = self._columns(rows)
        numbers = polars.DataFrame(columns.numbers[:].numpy(), schema=self.number_names, orient="row").fill_nan(None)
        texts = (
            polars.Series(name, [*levels, None], dtype=polars.String)[codes.numpy()]  # the last is that of code -1
            for (name, levels), codes in zip(self.levels.items(), columns.codes.T, strict=True)
        )
        return numbers.with_columns(texts) if self.number_names else polars.DataFrame(texts)

    def _columns(self, rows: Batch) -> Columns:
        codes = rows["codes"].long() if self.sizes else torch.empty(len(rows["row"]), 0, dtype=torch.int64)
        return Columns(
            rows["x"].double(), codes, self.number_names, list(self.levels), list(self.levels.values()), self.kinds
        )


def _open_files(
    path: str, val_path: str | None, test_path: str | None, missing: Sequence[str]
) -> tuple[list[ParquetFiles], tuple[int, int] | None]:
    """Returns the files of train, val and test, as far as there are any, and the first rows of val and test."""
    if val_path is not None and test_path is None:
        raise DataError("--data.val_path alone is no split; add the test part's files with --data.test_path")
    train = ParquetFiles(path, missing)
    train.check_no_splits()
    train.cast_partitions()
    files = [train]
    for other in filter(None, (val_path, test_path)):
        files.append(ParquetFiles(other, missing))
        files[-1].cast_partitions(train.schema)
        files[-1].check_columns(train.schema, path)
    if test_path is None:
        return files, None
    rows = [each.rows for each in files]
    return files, (rows[0], sum(rows[:-1]))
