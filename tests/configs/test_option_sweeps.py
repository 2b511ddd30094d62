"""The sweeps behind docs/options.md can be run as they stand there, and use every file that is kept for them."""

import re
import shlex
from pathlib import Path
from string import Template

import pytest
from in_process_sweep import Calls
from paths import REPOSITORY

from experiments.sweep.config_check import check
from experiments.sweep.grid import combinations, parse_grid, settings_words

OPTIONS = "experiments/configs/options"
(BLOCK,) = re.findall(r"```\n(O=.*?)```", (REPOSITORY / "docs/options.md").read_text(), re.DOTALL)


def commands() -> list[list[str]]:
    """The words of each sweep, its variables put in as a shell does."""
    variables: dict[str, str] = {}
    found = []
    for line in BLOCK.replace("\\\n", " ").splitlines():
        line = Template(line).substitute(variables)
        if line.startswith("evenhand sweep "):
            found.append(shlex.split(line)[2:])
        else:
            name, _, value = line.partition("=")
            variables[name] = value
    return found


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_combinations_of_the_sweeps_are_configurations(every: bool) -> None:
    """All of them, or each file and the first combination of each sweep."""
    used, lines, expected = set(), [], []
    for words in commands():
        sweep = dict(zip(words[::2], words[1::2], strict=True))
        used |= {sweep["-c"], *(file for files in parse_grid([sweep["--grid"]]).values() for file in files)}
        for number, settings in enumerate(combinations(parse_grid([sweep["--grid"]]))):
            if not every and number > 0 and Path(settings["config"]).stem in expected:
                continue
            lines.append(("fit", "-c", sweep["-c"], *settings_words(settings)))
            expected.append(Path(settings["config"]).stem)
    assert used == {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / OPTIONS).rglob("*.yaml")}
    for name, config in zip(expected, check(lines, Calls().check).configs(), strict=True):
        settings = config["model"]["init_args"]
        found = {
            "mixup": settings["mixup"] > 0,
            "label_smoothing": (settings["loss"] or {}).get("init_args", {}).get("label_smoothing") == 0.1,
            "averaged": "EMAWeightAveraging" in str(config["trainer"]["callbacks"]),
            "cosine": settings["schedule"] is not None,
            "layer_norm": settings.get("norm") == "layer",
            "no_norm": settings.get("norm") == "none",
            "stochastic_depth": settings.get("stochastic_depth", 0) > 0,
        }
        assert {option for option, on in found.items() if on} == {option for option in found if option in name}
