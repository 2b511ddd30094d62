"""``evenhand.explain``: the numbers of the command in a frame."""

from pathlib import Path

import polars
import pytest
from polars.testing import assert_frame_equal

import evenhand
from experiments.__main__ import main
from lit_models import ConfigError

WORDS = ["fit", "--trust", "tiny_package", "--data", "Tiny", "--data.batch_size", "10", "--model", "LitLinear"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    words = ["--trainer.max_epochs", "2", "--figures", "false", "--experiment", "e", "--run", "a"]
    assert main([*WORDS, *words, "--trainer.default_root_dir", str(home)]) == 0
    return home / "runs/e/a"


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_frame_has_what_the_command_writes(run: Path, tmp_path: Path, split: str) -> None:
    words = ["--trust", "tiny_package", "--repeats", "3", "--seed", "5", "--split", split]
    assert main(["explain", "--ckpt_path", str(run), *words, "--output", str(tmp_path)]) == 0
    written = polars.read_csv(tmp_path / "importance.csv", schema_overrides={"feature": polars.String})
    files = {path.name for path in run.iterdir()}
    trusted = evenhand.Run(run, ("tiny_package",))
    found = evenhand.explain(trusted, split=split, repeats=3, seed=5)  # type: ignore[arg-type]
    assert_frame_equal(found, written, check_dtypes=False)
    assert {path.name for path in run.iterdir()} == files
    assert_frame_equal(evenhand.explain([str(run)], split=split, repeats=3, seed=5, trust=["tiny_package"]), found)


def test_misuse_is_one_sentence(run: Path) -> None:
    for runs, options, sentence in (
        ([], {}, "there is nothing to explain; give runs, or their folders"),
        ([run], {"split": "train"}, "split is 'train', and it is val or test"),
        ([run], {"repeats": 0}, "repeats must be at least 1, and it is 0"),
        ([run], {"seed": -1}, "seed must be at least 0, and it is -1"),
        ([run], {}, "tiny_package"),
        ([run / "nowhere"], {}, "nowhere"),
    ):
        with pytest.raises(ConfigError, match=sentence) as raised:
            evenhand.explain(*runs, **options)  # type: ignore[arg-type]
        assert "\n" not in str(raised.value)
