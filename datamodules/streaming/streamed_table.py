"""A person's own table that does not fit into memory."""

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
from datamodules.streaming.parquet_cache import Converted, Wanted, convert, types_of
from datamodules.streaming.parquet_files import ParquetFiles
from datamodules.streaming.stream_data import StreamData
from datamodules.streaming.streaming_statistics import RunningStatistics, normalizer
from datamodules.tables.cell_types import stored
from datamodules.tables.columns import Columns, ColumnType
from datamodules.tables.encoding import Encoding
from datamodules.tables.input_columns import inputs_among
from datamodules.tables.inputs import TableInputs
from datamodules.tables.read_table import MISSING
from datamodules.types import TaskName


class StreamedTable(StreamData):
    """A folder of Parquet files, or one, with a row for each example, trained on from the disk.

    The first time the rows are converted to arrays in the cache folder, of which any block is read without the others:
    4 bytes a number (8 if a column has more digits than float32 holds), 4 a category, 8 a target. Later runs on these
    files take them from there. Columns are read as ``TableData`` reads them.

    Args:
        path: The folder, or the file. Rows are numbered in the order of the files' names.
        target: Column to predict, or several: labels of 0 and 1, or numbers.
        val_path: Folder or file of the validation part; dealt out of the train rows where only test has one.
        test_path: Folder or file of the test part; ``path`` is then that of train.
        task: What is asked; what the target looks like where it is left out, as with ``TableData``.
        types: What columns are, where it is not what they look like: numeric, categorical or date.
        drop: Column or columns that are no inputs, such as ids.
        missing: Texts that stand for a missing value.
        cache: Folder for the arrays; ``streamed`` in ``$EVENHAND_CACHE`` or ``~/.cache/evenhand`` where it is left out.
        kwargs: What every stream takes, see ``StreamData``.

    Raises:
        DataError: For files, columns or settings that cannot be used.
    """

    modality = "table"

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
        files, given = _files(path, val_path, test_path)
        targets = [target] if isinstance(target, str) else target
        dropped = [drop] if isinstance(drop, str) else drop or []
        settings = self.split_settings
        inputs = inputs_among(files[0].schema.names(), targets, dropped, types or {}, settings)
        if not inputs:
            raise DataError("the table has no input column; drop fewer columns")
        wanted = Wanted(
            tuple(inputs), tuple(targets), task, types or {}, tuple(missing), settings.group, settings.split_column
        )
        made = convert(files, wanted, Path(cache) if cache else cache_folder() / "streamed")
        self._set_facts(made)
        self.target_names, self.missing = tuple(targets), missing
        self.kinds = {name: (kind, stored(files[0].schema[name])) for name, kind in types_of(wanted, files[0]).items()}
        keys = made.arrays.pop("keys", None)
        rows = len(made.arrays["y"])
        has_val = bool(made.about["has_val"]) or val_path is not None
        self.take(made.arrays, HashSplit(rows, settings, given, keys, has_val), made.about["digest"])
        self.encoding = Encoding({}, {})
        if self.sizes:
            self._learn_statistics()  # how many categories there are is a fact

    def unprepared(self, index: Tensor) -> Batch:
        """Numbers, NaN where missing, and category indices."""
        return self.inputs.unprepared().tensors(self._columns(self.partitioned.at(index)), torch.arange(len(index)))

    @property
    def inputs(self) -> TableInputs:
        """The columns, medians, categories and statistics."""
        assert self.statistics is not None
        return TableInputs(self.statistics, self.encoding, self.kinds, self.missing)

    def encode(self, rows: Batch) -> Batch:
        """The numbers, the median where missing, and ``categories`` (n, C) where there are any."""
        every = torch.arange(len(rows["row"]))
        columns = self._columns(rows)
        batch = {"x": self.encoding.numbers(columns, every), "y": rows["y"], "row": rows["row"]}
        return {**batch, "categories": self.encoding.indices(columns, every)} if self.sizes else batch

    def set_statistics(self, learned: RunningStatistics) -> None:
        """Medians, categories and statistics; a missing number counts as its column's median."""
        moments, numbers = learned.inputs, learned.sample["x"]
        names = [*self.number_names, *self.levels]
        there = [*(moments.count > 0).tolist(), *(bool(seen.any()) for seen in learned.seen)]
        for name, any_value in zip(names, there, strict=True):
            if not any_value:
                raise DataError(
                    f"column {name} has no value in the {learned.rows:,} train rows; drop it with --data.drop"
                )
        medians = moments.mean.clone()  # of a column with so few values that the sample has none
        for index, values in enumerate(numbers.T):
            there_values = values[~values.isnan()].double().numpy()
            if len(there_values):
                medians[index] = float(numpy.median(there_values))
        moments.merge(learned.rows - moments.count, medians, torch.zeros_like(medians), medians, medians)
        categories = {
            name: sorted(level for level, there in zip(levels, seen.tolist(), strict=True) if there)
            for (name, levels), seen in zip(self.levels.items(), learned.seen, strict=True)
        }
        self._set_encoding(Encoding(dict(zip(self.number_names, medians.tolist(), strict=True)), categories))
        self.statistics = normalizer(moments, lambda: torch.where(numbers.isnan(), medians, numbers), self.normalize)

    def frame(self, rows: Batch) -> polars.DataFrame:
        """The columns as they are in the file, missing values as null."""
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

    def state_dict(self) -> dict[str, Any]:
        """The statistics, the encoding, and fingerprints."""
        state = super().state_dict()
        return {**state, "encoding": self.encoding.state_dict()} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a checkpoint's statistics and encoding instead of one's own."""
        super().load_state_dict(state_dict)
        if state_dict:
            self._set_encoding(Encoding(**state_dict["encoding"]))

    def _set_facts(self, made: Converted) -> None:
        self.number_names: list[str] = made.about["numbers"]
        self.levels: dict[str, list[str]] = made.about["levels"]
        self.sizes = [len(levels) for levels in self.levels.values()]
        labelling = made.labelling
        self.task, self.num_outputs, self.class_names = (
            labelling.task,
            labelling.num_outputs,
            tuple(labelling.class_names),
        )
        self.input_shape = (len(self.number_names),)
        made.arrays["x"] = made.arrays.pop("numbers")

    def _set_encoding(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.cardinalities = encoding.cardinalities

    def _columns(self, rows: Batch) -> Columns:
        codes = rows["codes"].long() if self.sizes else torch.empty(len(rows["row"]), 0, dtype=torch.int64)
        return Columns(
            rows["x"].double(), codes, self.number_names, list(self.levels), list(self.levels.values()), self.kinds
        )


def _files(path: str, val_path: str | None, test_path: str | None) -> tuple[list[ParquetFiles], SplitFiles | None]:
    """The files of train, val and test, as far as there are, and where the rows of the last two begin."""
    if val_path is not None and test_path is None:
        raise DataError("--data.val_path alone is no split; add the test part's files with --data.test_path")
    files = [ParquetFiles(path)]
    for setting, other in (("val_path", val_path), ("test_path", test_path)):
        if other is not None:
            files.append(ParquetFiles(other, setting))
            files[-1].check_like(files[0].schema, path)
    if test_path is None:
        return files, None
    train, *val, _ = (sum(one.rows) for one in files)
    return files, SplitFiles(train, train + sum(val))
