"""``evenhand inspect`` of each modality: copies with another label, groups, gaps, dates, figures, broken columns."""

from collections.abc import Callable
from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from digit_images import digits, write_npz
from opinion_texts import opinions
from PIL import Image
from tiny_data import small_data
from wave_series import as_long, waves

from datamodules.inspection.inspection import inspect
from datamodules.inspection.near_copies import near_copies
from experiments.__main__ import main

ROWS = 300
Look = Callable[..., str]


@pytest.fixture
def look(capfd: pytest.CaptureFixture[str]) -> Look:
    """Runs ``evenhand inspect``; returns its output, of which no line is folded."""

    def run(*words: object) -> str:
        capfd.readouterr()
        assert main(["inspect", *map(str, words)]) == 0
        return capfd.readouterr().out

    return run


def table(seed: int = 0) -> polars.DataFrame:
    """Innocent columns, and a class that says nothing about them."""
    draw = numpy.random.default_rng(seed)
    colours = numpy.array(["Dark red", "green", "blue"])[draw.integers(0, 3, ROWS)]
    columns = {"height": draw.normal(170, 9, ROWS), "weight": draw.normal(70, 9, ROWS), "colour": colours}
    return polars.DataFrame({**columns, "y": numpy.array(["no", "yes"])[draw.integers(0, 2, ROWS)]})


def flipped(frame: polars.DataFrame) -> polars.DataFrame:
    return frame.with_columns(polars.col("y").replace({"no": "yes", "yes": "no"}))


def words_of(path: Path, frame: polars.DataFrame, target: str = "y") -> list[str]:
    frame.write_csv(path)
    return ["--data", "TableData", "--data.path", str(path), "--data.target", target]


def test_rows_of_a_table_that_differ_by_rounding_and_spelling_and_have_another_label(
    tmp_path: Path, look: Look
) -> None:
    rows = table()
    copies = flipped(rows[:3]).with_columns(
        polars.col("height").round(4), colour=polars.format(" {} !", polars.col("colour").str.to_uppercase())
    )
    printed = look(*words_of(tmp_path / "t.csv", polars.concat([rows, copies])))
    assert "look: 6 of all 303 rows are nearly equal to a row with another label, such as rows 0 and 300" in printed
    assert "of all 300 rows, none is nearly equal" in look(*words_of(tmp_path / "t.csv", rows))


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_are_equal_by_chance_are_counted_and_not_suspicious(tmp_path: Path, look: Look, seed: int) -> None:
    rows = table(seed).with_columns(polars.col("height", "weight").cast(polars.Int64) // 20)
    printed = look(*words_of(tmp_path / "t.csv", rows))
    counts = rows.group_by("height", "weight", "colour").agg(polars.len(), polars.col("y").n_unique())
    wanted = counts.filter(polars.col("y") > 1)["len"].sum()
    assert f"\n{wanted} of all 300 rows are nearly equal to a row with another label" in printed
    assert "nothing looks like a leak" in printed


def test_values_of_regression_are_other_labels_if_a_standard_deviation_apart(tmp_path: Path, look: Look) -> None:
    rows = table().with_columns(y=polars.col("weight") * 2 + polars.int_range(ROWS) / ROWS)
    apart, near = (rows[:2].with_columns(polars.col("y") + more) for more in (25.0, 1.0))
    assert "look: 4 of all 302 rows" in look(*words_of(tmp_path / "t.csv", polars.concat([rows, apart])))
    assert "of all 302 rows, none is nearly" in look(*words_of(tmp_path / "t.csv", polars.concat([rows, near])))


def test_texts_with_another_label(tmp_path: Path, look: Look) -> None:
    rows = opinions(60).select("text", "label")
    copies = rows[:2].with_columns(
        text=polars.format("{}!! ", polars.col("text").str.to_uppercase()), label=1 - polars.col("label")
    )
    polars.concat([rows, copies]).write_csv(tmp_path / "t.csv")
    words = ("--data", "TextData", "--data.path", tmp_path / "t.csv", "--data.text", "text", "--data.target", "label")
    assert "look: 4 of all 62 rows are nearly equal to a row with another label, such as rows 0 and 60" in look(*words)


def test_images_with_another_label(tmp_path: Path, look: Look) -> None:
    draw = numpy.random.default_rng(0)
    x, y = digits(80)
    large = numpy.stack([numpy.asarray(Image.fromarray(image).resize((24, 24))) for image in x])
    noisy = (large[:4] + draw.normal(0, 2, (4, 24, 24))).clip(0, 255).astype(numpy.uint8)
    path = write_npz(tmp_path / "x.npz", numpy.concatenate([large, noisy]), numpy.concatenate([y, (y[:4] + 1) % 4]))
    printed = look("--data", "ImageData", "--data.path", path)
    assert "look: 8 of all 84 rows are nearly equal to a row with another label, such as rows 0 and 80" in printed
    path = write_npz(tmp_path / "x.npz", large, y)
    assert "of all 80 rows, none is nearly equal" in look("--data", "ImageData", "--data.path", path)


def test_series_with_another_label_are_found_and_others_are_not() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, 40, generator=draw).cumsum(dim=2)
    copies = x[:3] + 0.01 * torch.randn(3, 2, 40, generator=draw)
    data = small_data(torch.cat([x, copies]), torch.cat([torch.arange(50) % 2, torch.tensor([1, 0, 1])]))
    found = near_copies(data.inspection_sample(), is_regression=False)
    assert (found.rows, found.example, found.suspicious) == (6, (0, 50), True)
    assert near_copies(small_data(x, torch.arange(50) % 2).inspection_sample(), is_regression=False).rows == 0


def test_groups_of_one_class_and_groups_by_name_are_suspicious(tmp_path: Path, look: Look) -> None:
    draw = numpy.random.default_rng(1)
    house = draw.permutation(ROWS) // 5
    of_house = draw.integers(0, 2, 60)[house]
    rows = table().with_columns(
        house=house, patient_id=draw.integers(0, 20, ROWS), age=draw.integers(18, 90, ROWS), y=of_house
    )
    printed = look(*words_of(tmp_path / "t.csv", rows))
    lines = [line for line in printed.splitlines() if "looks like groups" in line]
    assert [line.split()[1] for line in lines] == ["house", "patient_id"]
    assert "60 of them, as 100% of the train rows whose value repeats share it with rows of their own class" in lines[0]
    assert "20 of them, by its name: " in lines[1]
    assert lines[0].endswith("--data.group house")
    assert "looks like groups, 60" not in look(*words_of(tmp_path / "t.csv", rows), "--data.group", "house")


def test_a_target_of_many_classes_does_not_look_like_groups(tmp_path: Path) -> None:
    from datamodules import TableData

    draw = numpy.random.default_rng(0)
    codes = polars.format("c{}", polars.Series(numpy.arange(900) // 15))
    frame = polars.DataFrame({"a": draw.normal(size=900), "b": draw.normal(size=900)}).with_columns(code=codes)
    frame.write_csv(tmp_path / "t.csv")
    assert inspect(TableData(str(tmp_path / "t.csv"), "code")).suspicions == []


def test_gaps_inside_series_are_counted_and_missing_steps_are_suspicious(tmp_path: Path, look: Look, fit: Fit) -> None:
    arrays = waves(30)
    arrays["x"][4, 1, 3:6] = numpy.nan
    arrays["x"][5, 1, 2] = numpy.nan
    frame = as_long(arrays, order=None).with_columns(polars.col("c1").fill_nan(None))
    lost = (polars.col("who") == "s3") & polars.col("at").is_between(2, 3)  # three steps of half a second
    lost |= (polars.col("who") == "s9") & (polars.col("at") == 1)
    frame.filter(~lost).write_parquet(tmp_path / "long.parquet")
    words = ["--data", "SeriesData", "--data.path", str(tmp_path / "long.parquet"), "--data.target", "y"]
    words += ["--data.id", "who", "--data.step", "at", "--data.drop", "[person,day]"]
    printed = look(*words, "--figures", tmp_path / "look")
    gap = "c1 has 4 missing values in 2 of all 30 series, up to 3 in a row, which are interpolated"
    steps = "4 steps are missing inside 2 of all 30 series: at mostly goes up by 0.5, and by up to 2"
    assert f"gaps: {gap}" in printed
    assert f"look: {steps}" in printed
    assert all((tmp_path / "look" / f"{name}.png").is_file() for name in ("columns", "examples"))
    dated = frame.filter(~lost).with_columns(
        at=polars.datetime(2024, 1, 1) + polars.duration(hours=2 * polars.col("at"))
    )
    dated.write_parquet(tmp_path / "long.parquet")
    steps = steps.replace("by 0.5", "by 1 hour").replace("up to 2", "up to 4 hours")
    assert f"look: {steps}" in look(*words)
    fit(*words, "--model", "LitLinear", "--trainer.max_epochs", "1")
    irregular = frame.with_columns(polars.col("at") ** 2)
    irregular.write_parquet(tmp_path / "long.parquet")
    assert "missing inside" not in look(*words)


def test_dates_of_each_split_are_shown_and_broken_columns_are_left_out(tmp_path: Path, look: Look) -> None:
    day = polars.datetime_range(polars.datetime(2024, 1, 1), polars.datetime(2024, 10, 26), "1d", eager=True)
    rows = table().with_columns(
        day=day.dt.date(),
        name=polars.format("n {}", polars.int_range(ROWS)),
        empty=polars.lit(""),
        size=polars.when(polars.int_range(ROWS) == 7).then(polars.lit("XL")).otherwise(polars.lit("3")),
    )
    rows = rows.with_columns(
        y=polars.when(polars.int_range(ROWS).is_between(5, 6)).then(polars.lit("odd")).otherwise(polars.col("y"))
    )
    words = words_of(tmp_path / "t.csv", rows)
    printed = look(*words)
    left_out = [line for line in printed.splitlines() if line.startswith("left out: ")]
    assert {line.split()[3] for line in left_out} >= {"name", "empty"}
    assert "split without regard to classes: class odd has 2 rows, and a stratified split needs 3" in printed
    printed = " ".join(look(*words, "--data.time", "day", "--data.ratios", "[0.7,0.15,0.15]").split())
    assert "day 2024-01-01 to 2024-07-28 2024-07-29 to 2024-09-11 2024-09-12 to 2024-10-26" in printed
    for wrong in (["--data.types.size", "numeric"], ["--data.target", "nothing"]):
        with pytest.raises(SystemExit, match="2"):
            main(["inspect", *words, *wrong])


def test_figures_are_of_train_rows_alone_and_a_class_has_its_line(tmp_path: Path, look: Look) -> None:
    printed = look("--data", "Digits", "--figures", tmp_path / "look")
    assert "figures of train rows: " in printed
    pictures = {path.name: numpy.asarray(Image.open(path)) for path in (tmp_path / "look").glob("*.png")}
    assert pictures.keys() == {"columns.png", "examples.png"}
    assert all(picture[..., :3].std() > 10 for picture in pictures.values())
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", "--data", "Digits", "--figures", str(tmp_path / "look" / "columns.png")])
    words = words_of(tmp_path / "t.csv", table().with_columns(day=polars.date(2024, 1, 1)))
    look(*words, "--figures", tmp_path / "table")
    assert [path.name for path in (tmp_path / "table").iterdir()] == ["columns.png"]
    first = (tmp_path / "table" / "columns.png").read_bytes()
    # Other values of test rows change no byte.
    from datamodules import TableData

    data = TableData(str(tmp_path / "t.csv"), "y")
    is_test = polars.int_range(ROWS).is_in(data.split.test.tolist())
    look(
        *words_of(
            tmp_path / "t.csv",
            table().with_columns(
                polars.when(is_test).then(0.0).otherwise(polars.col("height")).alias("height"),
                day=polars.date(2024, 1, 1),
            ),
        ),
        "--figures",
        tmp_path / "table",
    )
    assert (tmp_path / "table" / "columns.png").read_bytes() == first
