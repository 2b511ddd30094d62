"""The fuzzer notices what a reader may not do; otherwise its tests would pass for every reader."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import Fuzzer, fuzzer, mutate_bytes, mutate_tree


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzzer]:
    with fuzzer("misbehaving_doors") as started:
        yield started


@pytest.mark.parametrize(
    ("door", "fault"),
    [
        ("run_command", "it ran code"),
        ("start_process", "it ran code"),
        ("run_source", "it ran code"),
        ("connect", "it ran code"),
        ("write", "it ran code, or wrote"),
        ("swallow", "it ran code"),
        ("hang", "it hung"),
        ("eat_memory", "it printed a traceback"),
        ("exit_with_one", "exit code 1"),
    ],
)
def test_a_fault_is_found(fuzz: Fuzzer, tmp_path: Path, door: str, fault: str) -> None:
    (found,) = fuzz.run([0], tmp_path, lambda folder, chance: f"misbehaving_doors:{door}")
    assert fault in found


def test_a_reader_that_behaves_has_no_fault(fuzz: Fuzzer, tmp_path: Path) -> None:
    def prepare(folder: Path, chance: random.Random) -> str:
        (folder / "input").write_bytes(mutate_bytes(b"a: 1", chance))
        return "misbehaving_doors:behave"

    assert fuzz.run(range(3), tmp_path, prepare) == []
    assert not [*tmp_path.iterdir()]
    assert fuzz.run([0], tmp_path, lambda *_: "misbehaving_doors:write", writes=True) == []
    (found,) = fuzz.run([0], tmp_path, lambda *_: "misbehaving_doors:remove_elsewhere", writes=True)
    assert "it ran code, or wrote" in found


def test_mutations_follow_from_the_seed_and_change_the_input() -> None:
    content, tree = bytes(range(256)), {"a": [1, {"b": "c"}], "d": None}
    mutated = [mutate_bytes(content, random.Random(seed)) for seed in range(200)]
    trees = [repr(mutate_tree(tree, random.Random(seed))) for seed in range(200)]
    assert mutated == [mutate_bytes(content, random.Random(seed)) for seed in range(200)]
    assert len({*mutated}) > 150
    assert len({*trees}) > 150
    assert tree == {"a": [1, {"b": "c"}], "d": None}
