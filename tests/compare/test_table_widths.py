"""Tables of ``evenhand compare`` at every width: each number is whole, whatever has a long name."""

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from compared_groups import Output, group
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from tiny_data import QUICK

from experiments.text_table import NUMBER

FEW = settings(QUICK, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.text("abcXYZ0189 =._-+[]()€日", min_size=1, max_size=70).filter(lambda name: name.strip())
GROUPS = st.lists(st.tuples(NAMES, NAMES, st.integers(1, 4)), min_size=2, max_size=4, unique_by=lambda group: group[0])
WIDTHS = (60, 80, 120)
folders = count()


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": str(width)}.items():
        monkeypatch.setenv(name, value)


def lines_of(output: str) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in output.splitlines()]


@FEW
@given(groups=GROUPS, scale=st.sampled_from([1e-5, 1.0, 123_456_789.0]))
def test_no_number_is_shortened(
    tmp_path: Path, compare_output: Output, groups: list[tuple[str, str, int]], scale: float
) -> None:
    folder = tmp_path / str(next(folders))
    for index, (model, value, seeds) in enumerate(groups):
        options: dict[str, Any] = {"settings": {"model.name": value, "model.rate": scale * 1.25}}
        group(folder / "e", index, seeds, model, name=str(index), parameters=int(1e6 * (index + 1)), **options)
    for words in ([], ["--what-changed"]):
        whole = compare_output(folder, *words)
        numbers = set(re.findall(NUMBER, whole))
        for width in WIDTHS:
            with pytest.MonkeyPatch.context() as patch:
                on_terminal(patch, width)
                lines = lines_of(compare_output(folder, *words))
            longest = max(map(len, numbers))
            assert max(map(cell_len, lines)) <= max(width, longest + 50)
            assert set(re.findall(NUMBER, "\n".join(lines))) <= numbers
            assert "…" not in "".join(lines)


def test_costs_go_first_and_are_named(tmp_path: Path, compare_output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    for model, skill in (("LitTransformer", 0.5), ("LitCNN", 3.0)):
        group(
            tmp_path / "a",
            skill,
            4,
            model,
            name=f"a-long-name-of-a-run-of-{model}",
            parameters=1_234_567,
            flops=98_765_432,
        )
    whole = compare_output(tmp_path)
    assert {"1,234,567", "98.8M", "worse"} <= {*whole.split()}
    assert len([line for line in whole.splitlines() if line.startswith(" group")]) == 1
    on_terminal(monkeypatch, 60)
    lines = lines_of(compare_output(tmp_path))
    good, runs = (table for table in "\n".join(lines).split("\n group")[1:])
    assert max(map(len, lines)) <= 60
    assert "(p = .029)" in good
    assert "left out at this width: parameters, seconds, FLOPs" in runs
    assert "1,234,567" not in runs
