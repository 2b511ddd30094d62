"""Counts the looks that test rows have had: by compared runs, by other runs in the same folder, by deleted ones."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import isclose, isfinite, isnan
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.compare.groups import Block
from experiments.compare.scoring import Score
from experiments.compare.statistics.selection_optimism import selection_optimism
from experiments.compare.table_formats import amount, defined
from experiments.run.record.look_ledger import Look, read_looks, root_of_run
from experiments.run.record.record_io import read_record

Key = tuple[str, ...]


@dataclass(frozen=True)
class LookCount:
    """Looks at the test rows of a block, each checkpoint once."""

    here: int  # by the runs of the block
    beside: int  # by other runs
    gone: int  # by deleted runs, and by checkpoints of no run
    from_records: int  # of these, looks of runs of an earlier version, without a ledger
    damaged: int  # lines of any ledger that cannot be read
    candidates: int  # runs of the block; of several splits its groups
    optimism: float  # of the best candidate's metric, as it is expected from choosing it; NaN where it is unknown

    @property
    def total(self) -> int:
        """All looks."""
        return self.here + self.beside + self.gone

    def plain(self) -> dict[str, Any]:
        """Returns the count for JSON; an unknown optimism is None."""
        return defined({"total": self.total, **asdict(self)})

    def sentence(self, over_splits: bool) -> str:
        """Returns a line on the looks and on what choosing the best of them does."""
        others = [(self.beside, "by other runs beside them"), (self.gone, "by deleted runs or checkpoints of none")]
        shares = [f"{count:,} {by}" for count, by in ((self.here, "by these runs"), *others) if count]
        if self.from_records:
            shares.append(f"{self.from_records:,} of them known from records without a ledger")
        if self.damaged:
            shares.append(f"{self.damaged:,} damaged line{'s' * (self.damaged > 1)} not counted")
        text = f"Looks at these test rows: {self.total:,} ({', '.join(shares)})"
        if isnan(self.optimism):
            return f"{text}."
        kind, more = "groups" if over_splits else "runs", ", and the other looks add to it" * (self.total > self.here)
        worse = f"{amount(self.optimism) if self.optimism else 'no'} worse on new rows"
        return f"{text}. The best of the {self.candidates:,} {kind} is expected to be {worse}, as these chose it{more}."


@dataclass(frozen=True)
class Looks:
    """Looks of runs by their folder, and those that the ledgers of all runs keep."""

    of_runs: dict[Path, list[Look]]
    kept: list[Look]
    damaged: int

    @classmethod
    def read(cls, runs: Iterable[Path]) -> "Looks":
        """Reads the looks of runs, and of all other runs in the folders ``runs/`` that they are in."""
        given = [_resolved(folder) for folder in runs]
        experiments = {folder.parent for folder in given}
        roots = {root for experiment in experiments if (root := root_of_run(experiment / "run")) is not None}
        folders = dict.fromkeys([*given, *(folder for root in roots for folder in _runs_in(root))])
        damaged, of_runs = 0, {}
        for folder in folders:
            of_runs[folder], broken = _looks_of(folder)
            damaged += broken
        kept = []
        for looks, broken in map(read_looks, roots):
            kept += looks
            damaged += broken
        return cls(of_runs, kept, damaged)

    def at(self, block: Block, scores: Sequence[Score]) -> LookCount:
        """Counts the looks at a block's test rows, whatever the columns of the inputs; ``scores`` are its runs'."""
        own = {_resolved(score.run.path) for score in scores}
        data = {score.run.fingerprints[0] for score in scores}
        existing = [look for looks in self.of_runs.values() for look in looks]
        # Another split of the data, as one with fewer train rows, may test the same rows.
        rows = {look.rows for look in (*existing, *self.kept) if look.data in data and look.split in block.splits}
        rows.discard("")

        def keys(looks: Iterable[Look]) -> set[Key]:
            same = (look for look in looks if look.data in data)
            return {look.key for look in same if look.split in block.splits or look.rows in rows}

        here = keys(look for folder in own for look in self.of_runs.get(folder, ()))
        beside = keys(existing) - here
        gone = keys(self.kept) - here - beside
        values = _candidates(block, scores)
        return LookCount(
            len(here),
            len(beside),
            len(gone),
            sum(not rows for *_, rows in here | beside),
            self.damaged,
            len(values),
            selection_optimism(block.sign * values, block.groups[0].runs[0].rows["test"]),
        )


def _resolved(folder: Path) -> Path:
    """Returns a folder by the real path of the one that it is in, which many have in common."""
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    return _real(folder.parent.absolute()) / folder.name


@lru_cache(maxsize=1024)
def _real(folder: Path) -> Path:
    return folder.resolve()


def _candidates(block: Block, scores: Sequence[Score]) -> NDArray[numpy.float64]:
    """Returns what the best is chosen of (C, 1 + RESAMPLES): runs of a single split, means of groups over several."""
    values = {score.run: score.values for score in scores}
    if len(block.splits) == 1:
        return numpy.stack([*values.values()])
    means = []
    for group in block.groups:
        splits = [[values[run] for run in group.runs if run.split == split] for split in block.splits]
        means.append(numpy.mean([numpy.mean(runs, axis=0) for runs in splits], axis=0))
    return numpy.stack(means)


def _runs_in(root: Path) -> Iterator[Path]:
    """Yields the folders of runs, ``EXPERIMENT/RUN``, in a folder of all runs."""
    for experiment in _folders(root):
        yield from _folders(experiment)


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return []


def _looks_of(folder: Path) -> tuple[list[Look], int]:
    """Returns a run's looks and the number of damaged lines; the record of an earlier version counts as a look.

    A test of the same checkpoint in a later version has the metrics of the record, and is the same look.
    """
    looks, damaged = read_looks(folder)
    if any(look.command != "test" for look in looks):
        return looks, damaged
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        content = read_record(folder)
        metrics = {name.removeprefix("test/"): float(value) for name, value in content["metrics"].items()}
        if content["status"] == "finished" and not any(_same(metrics, look.metrics) for look in looks):
            looks = [_look_of(content, metrics), *looks]
    return looks, damaged


def _look_of(content: dict[str, Any], metrics: dict[str, float]) -> Look:
    """Returns the look of a record, which copies of its run share."""
    fingerprints, identity = (
        content["fingerprints"],
        [content[name] for name in ("started", "seconds", "seed", "model")],
    )
    return Look(
        time=str(content.get("ended")),
        command="fit",
        experiment=str(content["experiment"]),
        run=str(content["run"]),
        file="",
        checkpoint=f"{identity} {fingerprints['split']} {metrics}",
        data=str(fingerprints["data"]),
        split=str(fingerprints["split"]),
        rows="",
        count=int(content["rows"]["test"]),
        metrics=dict(metrics),
    )


def _same(ours: dict[str, float], theirs: dict[str, float | None]) -> bool:
    """Returns True if two evaluations have the same metrics, up to the digits that another device changes."""
    common = [(value, theirs[name]) for name, value in ours.items() if name in theirs and isfinite(value)]
    return bool(common) and all(b is not None and isclose(a, b, rel_tol=1e-4, abs_tol=1e-4) for a, b in common)
