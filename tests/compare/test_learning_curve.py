"""Learning curves of handmade runs: their points, and the answer to whether more data would help."""

from pathlib import Path

import numpy
import pytest
from handmade_runs import record_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.compare.learning_curve import LearningCurve, learning_curves
from experiments.compare.learning_curve_figure import FOLDER, TAG, write_figures
from experiments.compare.load_runs import read_runs

ROWS = [100, 200, 500, 1000]
TARGET = numpy.arange(30) % 3


def curve(errors: list[list[float]], rows: list[int] = ROWS) -> LearningCurve:
    return LearningCurve("LitMLP", "Blobs", "1 - accuracy", rows[: len(errors)], errors)


def around(means: list[float], noise: float = 0.01) -> list[list[float]]:
    return [[mean * (1 + noise * step) for step in (-1, 0, 1)] for mean in means]


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (around([n**-0.4 for n in ROWS]), "Yes: with twice the 1,000 train rows, 1 - accuracy would fall by 24 %"),
        (around([0.2, 0.2, 0.2, 0.2]), "Hardly: with twice the 1,000 train rows"),
        (around([0.21, 0.204, 0.203, 0.2], 0.1), "Perhaps: with twice the 1,000 train rows"),
        (around([0.9, 0.9, 0.9, 0.1]), "It cannot be told: the points follow no power law"),
        (around([0.3, 0.2, 0.1]), "3 numbers of rows tell no power law; give 4 to data.train_fraction"),
        ([[0.3], [0.2], [0.15], [0.1]], "Single runs do not tell chance from learning; add --seeds 0..2"),
        (around([0.3, 0.2, 0.1, 0.0]), "No: with some of the rows, 1 - accuracy is 0 already"),
    ],
)
def test_the_answer_says_what_the_points_show(errors: list[list[float]], words: str) -> None:
    answer = curve(errors).answer()
    assert answer.startswith(f"would more data help LitMLP? {words}")
    assert "\n" not in answer


def record(folder: Path, fraction: float | None, seed: int, accuracy: float, split: str = "one", **changes) -> None:
    settings = {} if fraction is None else {"data.train_fraction": fraction}
    rows = {"train": round(1000 * (fraction or 1)), "val": 30, "test": 30}
    metrics = {"test/accuracy": accuracy} | changes.pop("metrics", {})
    record_run(
        folder / f"{fraction}-{seed}-{split}-{len(list(folder.glob('*')))}",
        TARGET,
        numpy.eye(3)[TARGET],
        seed=seed,
        split=split,
        settings=settings,
        rows=rows,
        metrics=metrics,
        **changes,
    )


def found(folder: Path) -> list[list[LearningCurve]]:
    return learning_curves(dict.fromkeys(read_runs([folder])[0], "LitMLP"))


def test_runs_of_one_fraction_are_a_point_and_a_run_without_the_setting_has_all_rows(tmp_path: Path) -> None:
    for seed in range(2):
        record(tmp_path, 0.1, seed, 0.5 + seed / 10)
        record(tmp_path, None, seed, 0.8)
    ((one,),) = found(tmp_path)
    assert one.rows == [100, 1000]
    assert [sorted(each) for each in one.errors] == [pytest.approx([0.4, 0.5]), pytest.approx([0.2, 0.2])]
    assert one.error_name == "1 - accuracy"


def test_errors_are_as_they_are_means_over_seeds_of_each_split_and_nothing_undefined(tmp_path: Path) -> None:
    for fraction, error in ((0.1, 4.0), (0.5, 2.0), (1.0, 1.0)):
        for split, seed in (("one", 0), ("one", 1), ("two", 0)):
            rmse = {"test/rmse": error + seed if (fraction, split) != (0.5, "two") else float("nan")}
            record(tmp_path, fraction, seed, 0.0, split, task="regression", rank_by="test/rmse", metrics=rmse)
    ((one,),) = found(tmp_path)
    assert one.rows == [100, 1000]
    assert sorted(one.errors[0]) == pytest.approx([4.0, 4.5])
    assert one.error_name == "rmse"


def test_one_number_of_rows_is_no_curve_and_data_sets_have_figures_of_their_own(tmp_path: Path) -> None:
    record(tmp_path, 0.5, 0, 0.5)
    assert found(tmp_path) == []
    for number, name in enumerate(("a", "b")):
        for fraction in (0.5, 1.0):
            data = {"data": name, "fingerprints": {"data": name, "split": "one"}}
            record(tmp_path, fraction, number, 0.5, name, **data)
    assert [[one.data for one in block] for block in found(tmp_path)] == [["a"], ["b"]]


def test_the_figure_is_a_png_and_an_image_of_tensorboard(tmp_path: Path) -> None:
    curves = [curve(around([n**-0.4 for n in ROWS])), curve(around([0.3, 0.2, 0.1, 0.0]))]
    for _ in range(2):  # a second sweep replaces it
        paths = write_figures(tmp_path, [curves, curves[:1]])
    assert [path.name for path in paths] == ["learning_curve.png", "learning_curve-2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    events = EventAccumulator(str(tmp_path / FOLDER)).Reload()
    assert events.Tags()["images"] == [TAG, f"{TAG}-2"]
    (image,) = events.Images(TAG)
    assert image.encoded_image_string == paths[0].read_bytes()
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
