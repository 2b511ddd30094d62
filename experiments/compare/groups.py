"""Runs that differ only in their seeds, what such a group is called, and which groups can be compared."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from experiments.compare.load_runs import REPEATS, Run, Setting


@dataclass
class Group:
    """Runs with all settings in common but the seeds.

    Args:
        runs: At least one.
        label: The model, and the settings in which it differs from its like; set by ``name_groups``.
    """

    runs: list[Run]
    label: str = field(default="")

    @property
    def settings(self) -> dict[str, Setting]:
        """What the runs have in common."""
        return {name: value for name, value in self.runs[0].settings.items() if name not in REPEATS}

    @property
    def splits(self) -> list[str]:
        """Fingerprints, in order."""
        return sorted({run.split for run in self.runs})


@dataclass(frozen=True)
class Block:
    """Groups of the same data, splits, task and metric: like with like.

    Args:
        data: What the data are called.
        task: As a configuration names it.
        metric: What the groups are compared by, without ``test/``.
        splits: Fingerprints of the splits, on each of which every group has a run.
        groups: At least one.
    """

    data: str
    task: str
    metric: str
    splits: tuple[str, ...]
    groups: list[Group]


def blocks_of(runs: Iterable[Run], metric: str | None) -> list[Block]:
    """Group runs, and put together the groups that can be compared; named, the largest block first.

    Args:
        runs: Finished ones.
        metric: What all are compared by; the metric that ranks each task where it is None.
    """
    groups: dict[tuple[object, ...], Group] = {}
    for run in runs:
        settings = sorted((name, str(value)) for name, value in run.settings.items() if name not in REPEATS)
        key = (run.task, run.fingerprints[0], run.rank_by, *settings)
        groups.setdefault(key, Group([])).runs.append(run)
    alike: dict[tuple[object, ...], list[Group]] = defaultdict(list)
    for group in groups.values():
        one = group.runs[0]
        alike[(one.fingerprints[0], one.task, metric or one.rank_by, *group.splits)].append(group)
    found = []
    for together in alike.values():
        one = together[0].runs[0]
        name_groups(together)
        found.append(Block(one.data, one.task, metric or one.rank_by, tuple(together[0].splits), together))
    return sorted(found, key=lambda block: -len(block.groups))


def unlike(first: Block, other: Block) -> str:
    """Why two blocks are not compared, as in ``other data than the first``."""
    one, two = (block.groups[0].runs[0] for block in (first, other))
    if one.task != two.task:
        return f"the task is {two.task}, and {one.task} in the first"
    if one.fingerprints[0] != two.fingerprints[0]:
        return f"the rows of {two.data} are not the rows of {one.data} in the first (fingerprints of the data differ)"
    if first.metric != other.metric:
        return f"ranked by {other.metric}, and by {first.metric} in the first"
    shared = len({*first.splits} & {*other.splits})
    return f"{shared} of the first's {_splits(len(first.splits))} among its {_splits(len(other.splits))}"


def name_groups(groups: Sequence[Group]) -> None:
    """Set labels that tell groups apart: the model, and only the settings that differ between groups of that model.

    A setting below a class counts between groups that have the class in common; one that some groups lack counts
    only where nothing else tells two groups apart.
    """
    settings = [group.settings for group in groups]
    varied = _varied(settings)
    shown = [[name for name in one if (name, _owners(name, one)) in varied] for one in settings]
    for name in dict.fromkeys(name for one in settings for name in one):
        alike = defaultdict(list)
        for index, pair in enumerate(zip(settings, shown, strict=True)):
            alike[_label(*pair)].append(index)
        for same in alike.values():
            holders = [index for index in same if name in settings[index] and name not in shown[index]]
            for index in holders if len(holders) < len(same) else ():
                shown[index].append(name)
        if len(alike) == len(groups):
            break
    for group, one, names in zip(groups, settings, shown, strict=True):
        group.label = _label(one, names)


def differing(groups: Sequence[Group]) -> list[str]:
    """The settings in which any groups differ, the seeds left out."""
    settings = [group.settings for group in groups]
    names = dict.fromkeys(name for one in settings for name in one)
    return [name for name in names if len({str(one.get(name)) for one in settings}) > 1]


def _varied(settings: Sequence[dict[str, Setting]]) -> set[tuple[str, tuple[str, ...]]]:
    """The settings, each with its owners' values, that take several values among groups which share those."""
    values = defaultdict(set)
    for one in settings:
        for name, value in one.items():
            values[(name, _owners(name, one))].add(str(value))
    return {key for key, found in values.items() if len(found) > 1 and key[0] != "model"}


def _owners(name: str, one: dict[str, Setting]) -> tuple[str, ...]:
    """The values of the model and of what a setting belongs to, as ``model.optimizer`` for ``model.optimizer.lr``."""
    parts = name.split(".")
    return tuple(str(one.get(owner)) for owner in ("model", *(".".join(parts[:end]) for end in range(1, len(parts)))))


def _label(settings: dict[str, Setting], names: Sequence[str]) -> str:
    told = [f"{_short(name, settings)}={_plain(settings[name])}" for name in names]
    return " ".join([str(settings["model"]), *told])


def _short(name: str, settings: Iterable[str]) -> str:
    """The last parts of a setting's name that no other setting ends in."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if sum(other == end or other.endswith(f".{end}") for other in settings) == 1:
            return end
    return name


def _plain(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(", ", ",")


def _splits(count: int) -> str:
    return f"{count} split" + ("s" if count != 1 else "")
