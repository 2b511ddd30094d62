"""``evenhand predict`` of rows and files that cannot be predicted."""

from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import digits, write_folder
from moved_runs import QUICKLY, Moved, failing, predicting  # noqa: F401  # fixtures
from people_table import people
from PIL import Image


@pytest.fixture
def table(fit: Fit, tmp_path: Path) -> Moved:
    path = tmp_path / "my.csv"
    people().write_csv(path)
    words = ("--data", "TableData", "--data.path", str(path), "--data.target", "label", "--data.drop", "id")
    return Moved(fit(*words, *QUICKLY), [path], tmp_path)


def test_bad_rows_go_beside_with_the_reason(table: Moved, tmp_path: Path, predicted: Any, fails: Any) -> None:
    good = "30,Rome,true,2020-05-05,30000.5"
    lines = [
        "age,city,member,joined,income",
        good,
        "old,Rome,true,2020-05-05,1",
        "30,Paris,maybe,2020-05-05,inf",
        "30,Rome,true,2020-05-05",
        '30,"Ro,me",True, 2020-05-05 , 30000.5 ',
        "30,Rome,true,soon,1",
        "",
        good,
    ]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    got = predicted(table, tmp_path / "new.csv")
    assert got["row"].to_list() == [0, 4, 6]  # a blank line is no row
    assert got["probability_yes"][0] == got["probability_yes"][2]
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad.rows() == [
        (1, "column age is 'old', which is not a number"),
        (2, "column income is 'inf', which is not finite"),
        (3, "4 fields, and there are 5 columns"),
        (5, "column joined is 'soon', which is not a date"),
    ]
    assert "categories of city that no train row has: 1 of 3 rows" in predicted.message
    assert "3 rows predicted" in predicted.message
    assert "4 more could not be" in predicted.message
    (tmp_path / "new.csv").write_text("\n".join(lines[:2]))
    predicted(table, tmp_path / "new.csv")
    assert not (tmp_path / "out.bad.parquet").exists()
    (tmp_path / "new.csv").write_text("\n".join(lines[::2][:1] + lines[2:4]))
    message = fails("--ckpt_path", str(table.path), "--input", str(tmp_path / "new.csv"))
    assert "none of the 2 rows" in message
    assert (tmp_path / "none.bad.parquet").exists()


def test_a_row_far_down_is_as_good_as_the_first(
    table: Moved, tmp_path: Path, predicted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people(500, seed=1).drop("label")
    frame.write_csv(tmp_path / "new.csv")
    whole = predicted(table, tmp_path / "new.csv")
    monkeypatch.setattr("datamodules.tables.csv_file.BLOCK", 300)
    monkeypatch.setattr("experiments.inference.predict_file.PART", 200)
    again = predicted(table, tmp_path / "new.csv")
    assert again.drop("prediction").columns == whole.drop("prediction").columns
    assert numpy.allclose(again["probability_yes"], whole["probability_yes"], atol=1e-6)
    assert again["row"].equals(whole["row"])
    monkeypatch.setattr("datamodules.tables.table_source.CELLS", 250)
    frame.write_parquet(tmp_path / "new.parquet")
    assert numpy.allclose(predicted(table, tmp_path / "new.parquet")["probability_yes"], whole["probability_yes"])
    as_csv = predicted(table, tmp_path / "new.parquet", "out.csv")
    assert numpy.allclose(as_csv["probability_yes"], whole["probability_yes"])


def test_what_does_not_fit_is_one_sentence(table: Moved, tmp_path: Path, fails: Any) -> None:
    run, new = ("--ckpt_path", str(table.path)), tmp_path / "new.csv"
    assert "cannot be read: No such file" in fails(*run, "--input", str(new))
    people(5).drop("age", "city").write_csv(new)
    assert "lacks the columns age, city" in fails(*run, "--input", str(new))
    new.write_text("")
    assert "is empty" in fails(*run, "--input", str(new))
    new.write_text("age,city,member,joined,income\n")
    assert "has no rows" in fails(*run, "--input", str(new))
    new.write_text("age,city,member,joined,income,age\n1,2,3,4,5,6\n")
    assert "two columns of the name 'age'" in fails(*run, "--input", str(new))
    new.write_bytes(b"PAR1 and then nothing")
    assert "cannot be read as Parquet" in fails(*run, "--input", str(new))
    people(5).write_csv(new)
    assert "no folder" in fails(*run, "--input", str(new), "--output", str(tmp_path / "not" / "there.csv"))
    assert "is the input" in fails(*run, "--input", str(new), "--output", str(new))
    assert ".parquet nor .csv" in fails(*run, "--input", str(new), "--output", str(tmp_path / "out.xlsx"))
    assert "without checkpoints/best.ckpt" in fails("--ckpt_path", str(tmp_path), "--input", str(new))


def test_images_that_cannot_be_read_go_beside(fit: Fit, tmp_path: Path, predicted: Any) -> None:
    x, y = digits()
    folder = write_folder(tmp_path / "my", x, y)
    words = ("--data", "ImageData", "--data.path", folder, *QUICKLY)
    moved = Moved(fit(*words), [Path(folder)], tmp_path)
    new = tmp_path / "new"
    (new / "deep").mkdir(parents=True)
    Image.fromarray(x[0]).save(new / "b.png")
    Image.fromarray(x[0]).resize((9, 9)).save(new / "deep" / "c.png")
    (new / "a.png").write_bytes(b"no image")
    got = predicted(moved, new)
    assert got.select("row", "file").rows() == [(1, "b.png")]
    bad = polars.read_parquet(tmp_path / "out.bad.parquet")
    assert bad["file"].to_list() == ["a.png", "deep/c.png"]
    assert "is no image" in bad["reason"][0]
    assert bad["reason"][1].endswith("9 x 9 (height x width), and the model was trained on 8 x 8 without resizing")
    x = numpy.stack([x[0], x[1]]) / 255.0
    x[0, 0, 0] = numpy.nan
    numpy.save(tmp_path / "x.npy", x)
    assert predicted(moved, tmp_path / "x.npy")["row"].to_list() == [1]
