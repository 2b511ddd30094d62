"""Figures of a comparison, as PNG and SVG. Importing this package imports matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from experiments.compare.comparison import Standing
from experiments.compare.critical_difference import across, within
from experiments.compare.groups import Block
from lit_models.errors import ConfigError

try:
    from matplotlib.figure import Figure

    from experiments.compare.figures import costs, learning_curves, ranking
except ModuleNotFoundError as error:
    raise ConfigError("--figures needs matplotlib; pip install '.[figures]' in the checkout") from error


def draw(compared: Sequence[tuple[Block, list[Standing]]], folder: Path) -> list[Path]:
    """Draws each block's learning curves, costs and ranks, as far as its runs have them.

    Ranks are averaged over several splits, else over seeds. Over several data sets with groups of the same labels, they
    are also averaged over the data sets.

    Args:
        compared: Blocks and their standings, best first.
        folder: Receives ``curves``, ``costs`` and ``ranks`` as PNG and SVG; of a second block ``curves-2`` and so on.

    Returns:
        Paths of the files.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    files = []
    for number, (block, standings) in enumerate(compared, start=1):
        title = f"{block.data}, {block.metric}"
        figures = {
            "curves": learning_curves.figure(block, standings),
            "costs": costs.figure(block, standings),
            "ranks": ranking.figure(within(block, standings), title),
        }
        for name, figure in figures.items():
            files += _save(figure, folder / (name if number == 1 else f"{name}-{number}"))
    if len({block.groups[0].runs[0].fingerprints[0] for block, _ in compared}) == len(compared) > 1:
        files += _save(ranking.figure(across(compared), "All data sets"), folder / "ranks-data-sets")
    return files


def _save(figure: Figure | None, stem: Path) -> list[Path]:
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")] if figure is not None else []
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path in files:
            assert figure is not None
            figure.savefig(path, dpi=150, bbox_inches="tight")
    except OSError as error:
        raise ConfigError(f"--figures {stem.parent} cannot be written: {error.strerror}") from error
    return files
