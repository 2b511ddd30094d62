"""Runs that differ in an option of the optimizer are groups of their own; runs that differ in the seed are one."""

from typing import Any

from conftest import Fit

ADAMW, SGD = "--model.optimizer AdamW", "--model.optimizer SGD"
OPTIONS = {
    ADAMW: ["--model.optimizer.weight_decay 0.3", "--model.optimizer.betas [0.8,0.9]"],
    SGD: ["--model.optimizer.momentum 0.9"],
}


def test_each_option_makes_a_group(fit: Fit, root: Any, compare_json: Any) -> None:
    words = "--data Tiny --model LitLinear --trainer.max_epochs 1 --experiment e"
    expected = {}
    for optimizer, options in OPTIONS.items():
        seeds = (0, 1) if optimizer == ADAMW else (0,)
        start = f"{words} {optimizer} --model.optimizer.lr 0.01"
        base = {fit(*f"{start} --seed_everything {seed}".split())["path"].name for seed in seeds}
        expected[frozenset(base)] = None
        for option in options:
            name, value = option.removeprefix("--").split()
            run = fit(*f"{start} {option} --seed_everything 0".split())
            expected[frozenset({run["path"].name})] = (name, value.replace(",", ", "))
    groups = {}
    for block in compare_json(root / "runs")["blocks"]:
        for group in block["groups"]:
            groups[frozenset(run["run"].rpartition("/")[2] for run in group["runs"])] = group["settings"]
    assert groups.keys() == expected.keys()
    for runs, option in expected.items():
        assert option is None or str(groups[runs][option[0]]) == option[1]
