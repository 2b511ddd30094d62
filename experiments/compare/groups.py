"""Groups of runs that differ only in their seeds, their labels, and blocks of comparable groups."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.compare.load_runs import Run
from experiments.run.record.hyperparameters import Setting, spelled
from lit_models.metrics.task_metrics import MEASURES


@dataclass
class Group:
    """Runs with all options in common but the seeds, and those that change no metric.

    Args:
        runs: At least one.
        label: The model, and the options in which it differs from similar groups; set by ``name_groups``.
    """

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
    """Comparable groups: the same data, splits, task and metric.

    Args:
        data: Name of the data.
        task: Name of the task in a configuration.
        metric: Metric by which the groups are compared, without ``test/``.
        splits: Fingerprints of the splits; each group has a run on each of them.
        groups: At least one.
    """

    data: str
    task: str
    metric: str
    splits: tuple[str, ...]
    groups: list[Group]

    @property
    def sign(self) -> int:
        """1 where a higher metric is better, else -1."""
        return -1 if MEASURES[self.task][self.metric].lower_is_better else 1


def blocks_of(runs: Iterable[Run], metric: str | None) -> list[Block]:
    """Sorts runs into groups and comparable groups into blocks, the largest block first; labels the groups.

    Args:
        runs: Finished runs.
        metric: Metric by which all are compared; None for the metric that ranks each task.
    """
    groups: dict[tuple[object, ...], Group] = {}
    for run in runs:
        key = (run.task, run.fingerprints[0], run.rank_by, *sorted(run.configuration.items()))
        groups.setdefault(key, Group([])).runs.append(run)
    comparable: dict[tuple[object, ...], list[Group]] = defaultdict(list)
    for group in groups.values():
        run = group.runs[0]
        comparable[(run.fingerprints[0], run.task, metric or run.rank_by, *group.splits)].append(group)
    blocks = []
    for members in comparable.values():
        run = members[0].runs[0]
        name_groups(members)
        blocks.append(Block(run.data, run.task, metric or run.rank_by, tuple(members[0].splits), members))
    return sorted(blocks, key=lambda block: -len(block.groups))


def unlike(first: Block, other: Block) -> str:
    """Returns why two blocks are not compared."""
    ours, theirs = (block.groups[0].runs[0] for block in (first, other))
    if ours.task != theirs.task:
        return f"the task is {theirs.task}, and {ours.task} in the first"
    if ours.fingerprints[0] != theirs.fingerprints[0]:
        data = f"the rows of {theirs.data} are not the rows of {ours.data} in the first"
        return f"{data} (fingerprints of the data differ)"
    if first.metric != other.metric:
        return f"ranked by {other.metric}, and by {first.metric} in the first"
    shared = len({*first.splits} & {*other.splits})
    return f"{shared} of the first's {_splits(len(first.splits))} among its {_splits(len(other.splits))}"


def name_groups(groups: Sequence[Group]) -> None:
    """Sets labels that distinguish groups: the model, and the options that differ between groups of that model.

    An option of a class is compared between groups that share the class. An option that some groups lack is shown only
    where nothing else distinguishes two groups.
    """
    settings = [group.settings for group in groups]
    varied = _varied(settings)
    shown = [[name for name in options if (name, _owners(name, options)) in varied] for options in settings]
    for name in dict.fromkeys(name for options in settings for name in options):
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


def differing(groups: Sequence[Group]) -> list[str]:
    """Returns the options in which any groups differ, seeds excluded."""
    settings = [group.settings for group in groups]
    names = dict.fromkeys(name for options in settings for name in options)
    return [name for name in names if len({spelled(name, options.get(name)) for options in settings}) > 1]


def _varied(settings: Sequence[dict[str, Setting]]) -> set[tuple[str, tuple[str, ...]]]:
    """Returns the options, with their owners' values, that have several values among groups with the same owners."""
    values = defaultdict(set)
    for options in settings:
        for name, value in options.items():
            values[(name, _owners(name, options))].add(spelled(name, value))
    return {key for key, distinct in values.items() if len(distinct) > 1 and key[0] != "model"}


def _owners(name: str, options: dict[str, Setting]) -> tuple[str, ...]:
    """Returns the model and the values of an option's prefixes: ``model.optimizer`` owns ``model.optimizer.lr``."""
    words = name.split(".")
    prefixes = (".".join(words[:end]) for end in range(1, len(words)))
    return tuple(spelled(owner, options.get(owner)) for owner in ("model", *prefixes))


def _label(settings: dict[str, Setting], names: Sequence[str]) -> str:
    options = [f"{_short(name, settings)}={_plain(settings[name])}" for name in names]
    return " ".join([str(settings["model"]), *options])


def _short(name: str, settings: Iterable[str]) -> str:
    """Returns the shortest suffix of an option's name that no other option has."""
    words = name.split(".")
    for length in range(1, len(words)):
        suffix = ".".join(words[-length:])
        if sum(other == suffix or other.endswith(f".{suffix}") for other in settings) == 1:
            return suffix
    return name


def _plain(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(", ", ",")


def _splits(count: int) -> str:
    return f"{count} split" + ("s" if count != 1 else "")
