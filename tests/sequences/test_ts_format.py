"""The .ts reader: what the format's description says, and a sentence for everything else."""

import contextlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import DataError
from datamodules.sequences.ts_format import parse

HEAD = "@problemName made\n@timeStamps false\n@univariate false\n@classLabel true a b\n"
GOOD = HEAD + "@data\n1,2,3:4,5,6:a\n7,8:9,10:b\n"


def test_dimensions_lengths_and_labels() -> None:
    series = parse(GOOD.encode(), "made.ts")
    assert series.x.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 0], [9, 10, 0]]]
    assert series.lengths.tolist() == [3, 2]
    assert series.targets["target"].to_list() == ["a", "b"]
    assert series.channels == ("0", "1")


def test_everything_that_the_description_leaves_open() -> None:
    text = (
        "\ufeff# a description: with, signs\r\n%  another\r\n\r\n@PROBLEMNAME made up\r\n@Missing true\r\n"
        "@targetlabel TRUE\r\n@dimension 2\r\n@Data\r\n 1E-3 , ? : 2,NaN : -4.5 \r\n\r\n?,3,?:?,?,?:1e2\r\n"
    )
    series = parse(text.encode(), "made.ts")
    assert series.lengths.tolist() == [1, 2]  # steps at the end that are missing everywhere are padding
    assert series.x.isnan().tolist() == [[[False, False], [False, False]], [[True, False], [True, True]]]
    assert series.x.nan_to_num().tolist() == [[[0.001, 0], [2, 0]], [[0, 3], [0, 0]]]
    assert series.targets["target"].to_list() == [-4.5, 100]
    assert series.task == "regression"


def test_a_series_without_any_value_keeps_one_step() -> None:
    series = parse(GOOD.replace("7,8:9,10", "?,?:?,?").encode(), "made.ts")
    assert series.lengths.tolist() == [3, 1]
    assert series.x[1, :, 0].isnan().all()


def test_whole_numbers_are_classes_in_the_order_of_numbers() -> None:
    lines = "".join(f"{label}:{label}\n" for label in (10, 9, 1))
    series = parse(f"@classLabel true 1 9 10\n@data\n{lines}".encode(), "made.ts")
    assert series.targets["target"].to_list() == [10, 9, 1]
    texts = parse(b"@classLabel true\n@data\n1:01\n2:1\n", "made.ts")
    assert texts.targets["target"].to_list() == ["01", "1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["no line @data"]),
        ("1,2:a\n", ["line 1", "neither @ nor #"]),
        (HEAD, ["no line @data"]),
        (HEAD + "@data\n", ["no series"]),
        (HEAD + "@data\na\nb\n", ["0 dimensions"]),
        (GOOD.replace("@timeStamps false", "@timeStamps true"), ["time stamps", "long form"]),
        (GOOD.replace("@classLabel true a b", "@classLabel false"), ["nothing to predict"]),
        (GOOD.replace("@univariate false", "@dimensions 3"), ["line 6", "2 dimensions", "must be 3"]),
        (GOOD.replace("@univariate false", "@dimensions many"), ["@dimensions many"]),
        (GOOD.replace("7,8:9,10", "7,8"), ["line 7", "1 dimensions", "must be 2"]),
        (GOOD.replace("10:b", "10:"), ["line 7", "no label"]),
        (GOOD.replace("7,8", "7,8,9"), ["line 7", "2 and of 3 steps"]),
        (GOOD.replace("7,8", "7,x"), ["line 7", "'x'"]),
        (GOOD.replace("7,8", "7,"), ["line 7", "''"]),
        (GOOD.replace("7,8", "7,inf"), ["line 7", "infinite"]),
        (GOOD.replace("10:b", "10:c"), ["line 7", "'c'", "@classLabel"]),
        (GOOD.replace("@classLabel true a b", "@targetLabel true"), ["line 6", "'a'", "number"]),
        (GOOD.replace("@classLabel true a b", "@targetLabel true").replace(":a", ":nan"), ["line 6", "finite"]),
    ],
)
def test_what_is_wrong_is_one_sentence(text: str, expected: list[str]) -> None:
    with pytest.raises(DataError) as raised:
        parse(text.encode(), "made.ts")
    assert all(one in str(raised.value) for one in [*expected, "made.ts"]), raised.value
    assert "\n" not in str(raised.value)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"UTF-8 text, line 2 "):
        parse("@problemName made\n# é\n".encode("latin1"), "made.ts")


VALUES = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
SERIES = st.integers(1, 3).flatmap(
    lambda dims: st.lists(
        st.integers(1, 5).flatmap(lambda steps: st.lists(st.lists(VALUES, min_size=steps, max_size=steps),
                                                         min_size=dims, max_size=dims)),
        min_size=1, max_size=5,
    )
)  # fmt: skip


@QUICK
@given(SERIES)
def test_what_is_written_is_read(series: list[list[list[float]]]) -> None:
    lines = [":".join(",".join("?" if v != v else repr(v) for v in dim) for dim in one) for one in series]
    text = "@classLabel true\n@data\n" + "".join(f"{line}:{row % 2}\n" for row, line in enumerate(lines))
    read = parse(text.encode(), "made.ts")
    for x, length, one in zip(read.x, read.lengths.tolist(), series, strict=True):
        wanted = torch.tensor(one, dtype=torch.float64)
        assert torch.equal(x[:, :length].nan_to_num(), wanted[:, :length].nan_to_num())
        assert wanted[:, length:].isnan().all()
        assert not x[:, length:].any()


PIECES = st.lists(
    st.sampled_from(["@data\n", "@classLabel true a\n", "@targetLabel true\n", "1,2", ":", "a", "?", ",", "\n", "#"])
    | st.text(max_size=5)
).map("".join)  # fmt: skip


@QUICK
@given(PIECES.map(str.encode) | PIECES.map(lambda text: (HEAD + "@data\n" + text).encode()) | st.binary(max_size=80))
def test_anything_gives_series_or_a_sentence(content: bytes) -> None:
    with contextlib.suppress(DataError):
        series = parse(content, "made.ts")
        assert len(series.x) == len(series.targets) == len(series.lengths) > 0
        assert not series.x.isinf().any()
