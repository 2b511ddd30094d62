"""Random runs that are killed, moved, and starved of disk at random end as their undisturbed twins."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from disturbed_runs import Disk, Trial, random_twin, table
from fork_server import Server, server

SEED = 27


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    mounted = Disk.mount(tmp_path_factory.mktemp("disturbed"))
    try:
        yield mounted
    finally:
        mounted.unmount()


def try_all(forks: Server, disk: Disk, runs: int, trials: int, most: int, epochs: int) -> Counter[tuple[str, str]]:
    """Returns how many trials of each of a number of runs ended how, after 1 to ``most`` disturbances."""
    draw, outcomes, faults = random.Random(SEED), Counter[tuple[str, str]](), list[str]()
    for _ in range(runs):
        of = random_twin(forks, disk, draw, epochs)
        print(" ".join(of.words))
        for _ in range(trials):
            trial = Trial(forks, disk, of, draw)
            try:
                outcome = trial.run(most)
            except AssertionError as fault:
                faults.append(str(fault))
                outcome = "fault"
                trial.end()
            outcomes.update((kind, outcome) for kind in {*trial.kinds})
            outcomes["trials", outcome] += 1
            print(f"{outcome}: {', '.join(trial.kinds)}", flush=True)
    print(table(outcomes))
    assert not faults, "\n\n".join(faults)
    return outcomes


def test_the_machine_lets_us_disturb(disk: Disk) -> None:
    if disk.missing:
        pytest.skip(f"trials go without what this machine does not allow: {', '.join(disk.missing)}")


@pytest.mark.timeout(300)
def test_twenty_disturbed_runs_end_as_their_twins(forks: Server, disk: Disk) -> None:
    assert try_all(forks, disk, runs=4, trials=5, most=2, epochs=2)["trials", "equal"] == 20


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_three_hundred_disturbed_runs_end_as_their_twins(forks: Server, disk: Disk) -> None:
    outcomes = try_all(forks, disk, runs=60, trials=5, most=3, epochs=3)
    assert sum(count for (kind, _), count in outcomes.items() if kind == "trials") == 300
