"""Commands start fast: what needs no torch does not import it, and a wrong flag is told before data are read."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from paths import REPOSITORY

from experiments.__main__ import main

HERE = REPOSITORY


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["compare", "--help"], ["sweep", "--help"]])
def test_what_needs_no_torch_does_not_import_it(words: list[str]) -> None:
    code = f"""
import sys
from experiments.__main__ import main
try:
    main({words})
except SystemExit as stopped:
    assert not stopped.code
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=HERE, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--trainer.precision 17-mixed", "'16-mixed', 'bf16-true', 'bf16-mixed'"),
        ("--trainer.strategy dpd", "dpd"),
        ("--trainer.devices 0 --trainer.accelerator cpu", "devices"),
        ("--trainer.devices 3 --trainer.accelerator cpu --data.batch_size 100", "choose 99 or 102, a multiple of 3"),
        ("--trainer.accumulate_grad_batches 3 --data.batch_size 2", "choose 3, a multiple of 3"),
        ("--trainer.max_epoch 3", "max_epoch"),
    ],
)
def test_a_wrong_flag_is_told_before_data_are_read(refused: Callable[..., str], words: str, expected: str) -> None:
    # The file is not there, which nobody has come to notice.
    output = refused(
        "--data", "TableData", "--data.path", "nowhere.csv", "--data.target", "y", "--model", "LitMLP", *words.split()
    )
    assert expected in output
    assert "nowhere" not in output


def test_fit_alone_is_told_what_is_missing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["fit"])
    assert capfd.readouterr().err.startswith("error: --data, --model is missing; for example: evenhand fit --data")


@pytest.mark.parametrize(
    ("word", "advice"),
    [("fitt", "did you mean fit?"), ("swep", "did you mean sweep?"), ("--data", "--help"), ("\n", "")],
)
def test_a_verb_that_does_not_exist(capfd: pytest.CaptureFixture[str], word: str, advice: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([word, "--data", "Digits"])
    message = capfd.readouterr().err
    assert message.startswith(f"error: there is no verb {word!r}; ")
    assert advice in message
    assert len(message.splitlines()) == 1


def fastest(*words: str) -> float:
    """Seconds of the fastest of five starts, the one that least else was in the way of."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, cwd=HERE, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--version"], ["compare", "--help"]])
def test_small_commands_answer_at_once(words: list[str]) -> None:
    assert fastest("-m", "experiments", *words) < 0.4


@pytest.mark.slow
def test_the_help_of_a_fit_takes_little_longer_than_lightnings_own_imports() -> None:
    assert fastest("-m", "experiments", "fit", "--help") < 1.2 * fastest("-c", "import lightning.pytorch.cli")


@pytest.mark.parametrize("words", [["fit", "--data", "Digits"], ["compare", "runs"], ["inspect", "--data", "Digits"]])
def test_ctrl_c_while_a_command_imports_is_no_traceback(words: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "experiments", *words],
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    # -X importtime writes a line for each import; those behind this one are of main.
    imports = (line.split("|")[-1].strip() for line in process.stderr)
    assert "experiments.cli.arguments" in imports
    next(imports)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "Traceback" not in rest
