"""A user's table that does not fit into memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.cache import cache_folder
from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.streaming.hash_split import HashSplit, SplitFiles
from datamodules.streaming.parquet_cache import CachedArrays, ColumnSelection, convert
from datamodules.streaming.parquet_files import ParquetFiles
from datamodules.streaming.stream_data import StreamData
from datamodules.streaming.streaming_statistics import RunningStatistics, normalizer
from datamodules.tables.cell_types import stored
from datamodules.tables.columns import Columns, ColumnType
from datamodules.tables.encoded_table import EncodedTable
from datamodules.tables.encoding import Encoding, check_any_value
from datamodules.tables.input_columns import inputs_among
from datamodules.tables.read_table import MISSING
from datamodules.types import TaskName


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
        drop: Column or columns that are no inputs, such as ids.
        missing: Texts that stand for a missing value.
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
        missing: list[str] = list(MISSING),  # noqa: B006, it is only read
        cache: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        files, split_files = _open_files(path, val_path, test_path, missing)
        self.notes = tuple(each.note for each in files if each.note)
        targets = [target] if isinstance(target, str) else target
        dropped = [drop] if isinstance(drop, str) else drop or []
        settings, types, schema = self.split_settings, types or {}, files[0].schema
        inputs = inputs_among(schema.names(), targets, dropped, types, settings)
        selection = ColumnSelection(
            tuple(inputs), tuple(targets), task, types, tuple(missing), settings.group, settings.split_column
        )
        cached = convert(files, selection, Path(cache) if cache else cache_folder() / "streamed")
        self._set_attributes(cached)
        self.target_names, self.missing = tuple(targets), missing
        self.kinds = {name: (kind, stored(schema[name])) for name, kind in selection.kinds(schema).items()}
        keys = cached.arrays.pop("keys", None)
        has_val = bool(cached.about["has_val"]) or val_path is not None
        split = HashSplit(len(cached.arrays["y"]), settings, split_files, keys, has_val)
        self.take(cached.arrays, split, cached.about["digest"])
        self.encoding = Encoding({}, {})
        if self.sizes:
            self._learn_statistics()  # the number of categories is an argument of the model

    def unprepared(self, index: Tensor) -> Batch:
        """Returns the input tensors of rows, by their ids: numbers, NaN where missing, and category indices."""
        return self.inputs.unprepared().tensors(self._columns(self.partitioned.at(index)), torch.arange(len(index)))

    def encode(self, rows: Batch) -> Batch:
        """Returns a batch of numbers, the median where missing, and ``categories`` (n, C) if there are any."""
        every = torch.arange(len(rows["row"]))
        columns = self._columns(rows)
        batch = {"x": self.encoding.numbers(columns, every), "y": rows["y"], "row": rows["row"]}
        return {**batch, "categories": self.encoding.indices(columns, every)} if self.sizes else batch

    def set_statistics(self, learned: RunningStatistics) -> None:
        """Sets medians, categories and statistics; a missing number counts as its column's median."""
        moments, numbers = learned.inputs, learned.sample["x"]
        names = [*self.number_names, *self.levels]
        for name, count in zip(names, [*moments.count, *(seen.sum() for seen in learned.seen)], strict=True):
            check_any_value(name, int(count), learned.rows)
        medians = moments.mean.clone()  # of a column without a value in the sample
        for index, values in enumerate(numbers.T):
            present = values[~values.isnan()].double().numpy()
            if len(present):
                medians[index] = float(numpy.median(present))
        moments.merge(learned.rows - moments.count, medians, torch.zeros_like(medians), medians, medians)
        categories = {
            name: sorted(level for level, occurs in zip(levels, seen.tolist(), strict=True) if occurs)
            for (name, levels), seen in zip(self.levels.items(), learned.seen, strict=True)
        }
        self._set_encoding(Encoding(dict(zip(self.number_names, medians.tolist(), strict=True)), categories))
        self.statistics = normalizer(moments, lambda: torch.where(numbers.isnan(), medians, numbers), self.normalize)

    def frame(self, rows: Batch) -> polars.DataFrame:
        """Returns the columns as they are in the file, missing values as null."""
        columns = self._columns(rows)
        numbers = {
            name: polars.Series(values.numpy()).fill_nan(None)
            for name, values in zip(self.number_names, columns.numbers[:].T, strict=True)
        }
        texts = {
            name: [levels[code] if code >= 0 else None for code in codes.tolist()]
            for (name, levels), codes in zip(self.levels.items(), columns.codes.T, strict=True)
        }
        return polars.DataFrame({**numbers, **texts}, schema_overrides=dict.fromkeys(texts, polars.String))

    def _set_attributes(self, cached: CachedArrays) -> None:
        self.number_names: list[str] = cached.about["numbers"]
        self.levels: dict[str, list[str]] = cached.about["levels"]
        self.sizes = [len(levels) for levels in self.levels.values()]
        target = cached.target
        self.task, self.num_outputs, self.class_names = target.task, target.num_outputs, tuple(target.class_names)
        self.input_shape = (len(self.number_names),)
        cached.arrays["x"] = cached.arrays.pop("numbers")

    def _columns(self, rows: Batch) -> Columns:
        codes = rows["codes"].long() if self.sizes else torch.empty(len(rows["row"]), 0, dtype=torch.int64)
        return Columns(
            rows["x"].double(), codes, self.number_names, list(self.levels), list(self.levels.values()), self.kinds
        )


def _open_files(
    path: str, val_path: str | None, test_path: str | None, missing: Sequence[str]
) -> tuple[list[ParquetFiles], SplitFiles | None]:
    """Returns the files of train, val and test, as far as there are any, and the first rows of val and test."""
    if val_path is not None and test_path is None:
        raise DataError("--data.val_path alone is no split; add the test part's files with --data.test_path")
    files = [ParquetFiles(path, missing)]
    for option, other in (("val_path", val_path), ("test_path", test_path)):
        if other is not None:
            files.append(ParquetFiles(other, missing, option))
            files[-1].check_columns(files[0].schema, path)
    if test_path is None:
        return files, None
    train, *val, _ = (one.rows for one in files)
    return files, SplitFiles(train, train + sum(val))
