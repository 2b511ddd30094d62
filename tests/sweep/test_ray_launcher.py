"""``evenhand sweep --ray``: a two-node cluster on loopback, one node killed in the middle, ends with the same table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Fit
from in_process_sweep import records
from paths import PYTHONPATH

ray = pytest.importorskip("ray", reason="this test needs ray; pip install '.[ray]' in the checkout")

TINY = ["--trust", "tiny_package", "--data", "Tiny", "--data.batch_size", "10", "--trainer.max_epochs", "150"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_lost_node_changes_no_row(root: Path, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        other = cluster.add_node(**small)
        cluster.wait_for_nodes()
        words = ["--grid", "model.hidden=[4],[8]", "--model", "LitMLP", "--seeds", "0,1", "--experiment", "e"]
        line = ["sweep", *TINY, *words, "--ray", cluster.address, "--trainer.default_root_dir", str(root)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (root / "output.txt").open("wb") as output:
            driver = subprocess.Popen(
                [sys.executable, "-m", "experiments", *line], stdout=output, stderr=output, env=environment
            )
        end = time.monotonic() + 300
        while len(list(root.glob("runs/e/*/checkpoints/last.ckpt"))) < 2:  # one run on each node
            assert driver.poll() is None, (root / "output.txt").read_text()
            assert time.monotonic() < end, (root / "output.txt").read_text()
            time.sleep(0.01)
        cluster.remove_node(other, allow_graceful=False)
        assert driver.wait(600) == 0, (root / "output.txt").read_text()
    finally:
        cluster.shutdown()
    made = records(root, "e")
    assert [record["status"] for record in made.values()] == ["finished"] * 4
    assert sum("resumed" in record for record in made.values()) == 1, "the run of the lost node goes on on the other"
    assert "4 of 4 runs are finished" in (root / "output.txt").read_text()
    for name, record in made.items():
        width, seed = name[-7], name[-1]
        plain = ["--model", "LitMLP", "--model.hidden", f"[{width}]", "--seed_everything", seed, "--experiment", "p"]
        assert fit(*TINY[2:], *plain)["metrics"] == record["metrics"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_on_the_sweep_has_its_runs_save(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        line = ["sweep", *TINY[:-1], "2000", "--model", "LitMLP", "--seeds", "0,1", "--experiment", "e"]
        line += ["--ray", cluster.address, "--trainer.default_root_dir", str(root)]
        with (root / "output.txt").open("wb") as output:
            driver = subprocess.Popen([sys.executable, "-m", "experiments", *line], stdout=output, stderr=output)
        end = time.monotonic() + 300
        while not list(root.glob("runs/e/*/checkpoints/last.ckpt")):
            assert driver.poll() is None, (root / "output.txt").read_text()
            assert time.monotonic() < end, (root / "output.txt").read_text()
            time.sleep(0.01)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(100) == 130, (root / "output.txt").read_text()
        time.sleep(5)  # the task ends before its process has saved
    finally:
        cluster.shutdown()
    made = records(root, "e")
    assert [record["status"] for record in made.values()] == ["interrupted"]


def test_a_cluster_that_is_not_there_is_told_in_one_sentence(root: Path) -> None:
    line = ["sweep", *TINY, "--model", "LitLinear", "--ray", "127.0.0.1:1", "--trainer.default_root_dir", str(root)]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run([sys.executable, "-m", "experiments", *line], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert "error: --ray 127.0.0.1:1: " in done.stderr
    assert not list(root.glob("runs/*/*"))


def test_a_run_of_a_lost_machine_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.sweep import ray_launcher as cluster

    path = root / "one"
    path.mkdir()
    process = {"host": "lost", "pid": 1, "began": "x"}
    (path / "record.json").write_text(json.dumps({"status": "running", "process": process}))
    nodes = [{"NodeManagerHostname": "lost", "NodeID": "1", "Alive": False}]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    cluster.await_other_process(path)
    assert json.loads((path / "record.json").read_text()) == {"status": "interrupted", "process": process}
