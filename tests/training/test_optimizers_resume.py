"""Every kind of optimizer goes on bit for bit after SIGKILL, within an epoch and at a validation."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from fork_server import Server, server
from resumed_runs import assert_equal, state

OPTIMIZERS = {
    "muon": "--model.optimizer Muon --model.lr_decay_by_layer 0.5 --trainer.gradient_clip_val 1",
    "lbfgs": "--model.optimizer LBFGS --model.optimizer.lr 0.1 --model.optimizer.max_iter 3 --model.schedule null",
    "groups": '--model.optimizer_groups {"head":{"lr":0.1}} --trainer.gradient_clip_val 1',
    "schedule-free": "--trust schedulefree --model.optimizer schedulefree.AdamWScheduleFree",
    "schedule-free sgd": "--trust schedulefree --model.optimizer schedulefree.SGDScheduleFree",
}
WORDS = """fit --trust faults --data faults.Waves --data.batch_size 16 --model LitMLP --model.hidden [8,8]
--model.dropout 0.2 --trainer.max_epochs 2 --seed_everything 3 --experiment e --run one --figures false
--trainer.callbacks+ faults.Pause --save_every_n_steps 2"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "schedule-free sgd" else ()) for name in OPTIMIZERS],
)
def test_a_killed_run_ends_as_the_uninterrupted_one(name: str, forks: Server, tmp_path: Path) -> None:
    if name.startswith("schedule-free") and find_spec("schedulefree") is None:
        pytest.skip("this test needs the package schedulefree")
    words, ends = [*WORDS.split(), *OPTIMIZERS[name].split()], []
    for moments in ([], ["validation 0", "step 13"]):
        folder = tmp_path / str(len(moments))
        folder.mkdir()
        for moment in moments:
            child = forks.start(words, folder, PAUSE_AT=moment)
            child.wait_for(folder / "reached")
            child.kill()
            (folder / "reached").unlink()
        child = forks.start(words, folder)
        assert child.wait() == 0, child.output.read_text()
        ends.append(state(folder / "runs/e/one"))
    assert_equal(ends[1], ends[0])
