"""Groups of runs that differ only in their seeds, their labels, and blocks of comparable groups."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from experiments.compare.configuration_identity import spelled
from experiments.compare.load_runs import Run
from experiments.compare.same_rows import INPUTS, differing_cells
from experiments.run.record.hyperparameters import Setting
from lit_models.metrics.task_metrics import MEASURES

NETWORK = "model.network"

Item = TypeVar("Item")


@dataclass
class Group:
    """Runs with all options in common but the seeds, and those that change no metric; labelled by ``name_groups``."""

    runs: list[Run]
    label: str = ""

    @property
    def settings(self) -> dict[str, Setting]:
        """Options that the runs have in common."""
        run = self.runs[0]
        return {name: run.settings[name] for name in run.configuration}

    @property
    def splits(self) -> list[str]:
        """Fingerprints of the splits, sorted."""
        return sorted({run.split for run in self.runs})


@dataclass(frozen=True)
class Block:
    """Comparable groups: the same rows, splits, task and metric."""

    data: str
    task: str
    metric: str  # without test/
    splits: tuple[str, ...]  # fingerprints; each group has a run on each of them
    groups: list[Group]

    @property
    def sign(self) -> int:
        """1 where a higher metric is better, else -1."""
        return -1 if MEASURES[self.task][self.metric].lower_is_better else 1


def blocks_of(runs: Iterable[Run], metric: str | None) -> list[Block]:
    """Sorts runs into groups and comparable groups into blocks, the largest block first; labels the groups.

    They are compared by ``metric``, or by the metric that ranks each task.
    """
    alike = grouped(runs, lambda run: (run.task, run.fingerprints[0], run.rank_by, *sorted(run.configuration.items())))
    blocks = comparable([Group(same) for same in alike], metric)
    for block in blocks:
        name_groups(block.groups)
    return blocks


def comparable(groups: Iterable[Group], metric: str | None = None) -> list[Block]:
    """Sorts groups into blocks by their rows, splits, task and metric, the largest block first."""
    blocks: dict[tuple[object, ...], Block] = {}
    for group in groups:
        run = group.runs[0]
        block = Block(run.data, run.task, metric or run.rank_by, tuple(group.splits), [])
        key = run.rows_fingerprint, block.task, block.metric, block.splits
        blocks.setdefault(key, block).groups.append(group)
    return sorted(blocks.values(), key=lambda block: -len(block.groups))


def unlike(first: Block, other: Block) -> str:
    """Returns why two blocks are not compared."""
    ours, theirs = (block.groups[0].runs[0] for block in (first, other))
    if ours.task != theirs.task:
        return f"the task is {theirs.task}, and {ours.task} in the first"
    if ours.rows_fingerprint != theirs.rows_fingerprint:
        data = f"the rows of {theirs.data} are not the rows of {ours.data} in the first"
        column = differing_cells(ours, theirs)
        return f"{data} ({f'column {column} has other values' if column else 'fingerprints of the data differ'})"
    if first.metric != other.metric:
        return f"ranked by {other.metric}, and by {first.metric} in the first"
    shared = len({*first.splits} & {*other.splits})
    reason = f"{shared} of the first's {count_splits(first)} among its {count_splits(other)}"
    if ours.fingerprints[0] != theirs.fingerprints[0]:
        reason += "; with other columns other rows are copies, and --data.duplicates ignore gives all runs one split"
    return reason


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Returns the items of each key, in the order of their first items."""
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return [*groups.values()]


def name_groups(groups: Sequence[Group]) -> None:
    """Sets labels that distinguish groups: the model, and the options that differ between groups of that model.

    A network of another package is named too, with its options that are names, such as ``model_name``.

    An option of a class is compared between groups that share the class. An option that some groups lack is shown only
    where nothing else distinguishes two groups.
    """
    settings = [group.settings for group in groups]
    values = defaultdict(set)
    for options in settings:
        for name, value in options.items():
            values[(name, _owners(name, options))].add(spelled(name, value))
    shown = [
        [
            name
            for name in _named(options)
            if len(values[(name, _owners(name, options))]) > 1 or _names_network(name, options[name])
        ]
        for options in settings
    ]
    for name in dict.fromkeys(name for options in settings for name in _named(options)):
        by_label = defaultdict(list)
        for index, pair in enumerate(zip(settings, shown, strict=True)):
            by_label[_label(*pair)].append(index)
        for same in by_label.values():
            holders = [index for index in same if name in settings[index] and name not in shown[index]]
            for index in holders if len(holders) < len(same) else ():
                shown[index].append(name)
        if len(by_label) == len(groups):
            break
    for group, options, names in zip(groups, settings, shown, strict=True):
        group.label = _label(options, names)


def distinguish(groups: Iterable[Group]) -> None:
    """Adds the input columns to labels that several groups have, whose rows are the same and whose inputs differ."""
    for same in grouped(groups, lambda group: group.label):
        for group in same if len(same) > 1 else ():
            run = group.runs[0]
            group.label += f" inputs={run.settings.get(INPUTS, run.fingerprints[0][:6])}"


def differing(groups: Sequence[Group]) -> list[str]:
    """Returns the options in which any groups differ, seeds excluded."""
    settings = [group.settings for group in groups]
    names = dict.fromkeys(name for options in settings for name in ("model", *_named(options)))
    return [name for name in names if len({spelled(name, options.get(name)) for options in settings}) > 1]


def _named(options: dict[str, Setting]) -> list[str]:
    """Returns the options that may distinguish groups of a model; dropped columns are those that are no inputs."""
    return [name for name in options if name != "model" and (name != "data.drop" or INPUTS not in options)]


def _names_network(name: str, value: Setting) -> bool:
    """Returns True for a network of another package, and for an option of it that is a text, not a list or a path."""
    is_name = isinstance(value, str) and not value.startswith(("[", "(", "{")) and not name.endswith(".class_path")
    return is_name and (name == NETWORK or (name.startswith(f"{NETWORK}.") and name.count(".") == 2))


def _owners(name: str, options: dict[str, Setting]) -> tuple[str, ...]:
    """Returns the model and the values of an option's prefixes: ``model.optimizer`` owns ``model.optimizer.lr``."""
    words = name.split(".")
    prefixes = (".".join(words[:end]) for end in range(1, len(words)))
    return tuple(spelled(owner, options.get(owner)) for owner in ("model", *prefixes))


def _label(settings: dict[str, Setting], names: Sequence[str]) -> str:
    options = [f"{short_name(name, settings)}={_plain(settings[name])}" for name in names]
    return " ".join([str(settings["model"]), *options])


def short_name(name: str, names: Iterable[str]) -> str:
    """Returns the shortest suffix of an option's name that no other name has."""
    dotted = [f".{other}" for other in names]
    words = name.split(".")
    suffixes = (".".join(words[start:]) for start in reversed(range(len(words))))
    return next((suffix for suffix in suffixes if sum(other.endswith(f".{suffix}") for other in dotted) == 1), name)


def _plain(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(", ", ",")


def count_splits(block: Block) -> str:
    """Returns ``1 split`` or ``5 splits``."""
    return f"{len(block.splits)} split" + ("s" if len(block.splits) != 1 else "")
