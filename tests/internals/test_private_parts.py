"""Private parts of libraries are there, each named by its test, and used in ``experiments/internals`` alone."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from paths import REPOSITORY

LIBRARIES = ("jsonargparse", "lightning", "lightning_utilities", "optuna", "tensorboard", "torch", "torchmetrics")
PUBLIC = ("_asdict", "_fields", "_replace", "_exit")
"""Names with an underscore that are documented: those of a namedtuple, and ``os._exit``."""

ATTRIBUTES = {
    "jsonargparse._typehints": (
        "ActionTypeHint",
        "adapt_typehints",
        "discard_init_args_on_class_path_change",
        "get_all_subclass_paths",
        "resolve_class_path_by_name",
    ),
    "jsonargparse._common": ("ImportDenied", "denying_import_path_entry"),
    "jsonargparse._loaders_dumpers": ("get_yaml_default_loader", "load_value", "yaml_default_loader"),
    "jsonargparse._paths": ("Path",),
    "jsonargparse._util": ("NestedArg", "canonical_import_paths", "import_object"),
    "lightning.fabric.plugins.precision.precision": ("_PRECISION_INPUT",),
    "lightning.pytorch.loops.loop": ("_Loop",),
    "lightning.pytorch.strategies.launchers.subprocess_script": ("_launch_process_observer",),
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in ATTRIBUTES.items() for name in names])
def test_a_module_has_its_private_name(module: str, name: str) -> None:
    assert hasattr(import_module(module), name), f"{module} has no {name} any more; see experiments/internals"


def test_a_parser_adds_the_defaults_of_classes() -> None:
    assert isinstance(vars(import_module("jsonargparse._typehints").ActionTypeHint)["add_sub_defaults"], staticmethod)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("fit_loop", "_data_fetcher"),
        ("fit_loop", "_restarting"),
        ("fit_loop", "_resuming_from_checkpoint"),
        ("fit_loop.epoch_loop", "_batches_that_stepped"),
        ("fit_loop.epoch_loop", "_num_ready_batches_reached"),
        ("fit_loop.epoch_loop", "_should_accumulate"),
        ("fit_loop.epoch_loop", "_should_check_val_fx"),
    ],
)
def test_lightnings_loops_have_their_private_name(owner: str, name: str) -> None:
    loop: object = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    for attribute in owner.split("."):
        loop = getattr(loop, attribute)
    assert hasattr(loop, name), (
        f"Trainer.{owner} has no {name} any more; see experiments/internals/lightning_private.py"
    )


def test_lightnings_loop_sets_restarting_by_a_property() -> None:
    from lightning.pytorch.loops.loop import _Loop

    assert isinstance(_Loop.restarting, property)
    assert _Loop.restarting.fset is not None, "_Loop.restarting has no setter any more"


def test_weight_averaging_keeps_its_device_in_a_private_attribute() -> None:
    assert hasattr(WeightAveraging(), "_device"), "WeightAveraging has no _device any more"


def test_the_progress_bar_asks_for_its_title() -> None:
    from lightning.pytorch.callbacks import RichProgressBar

    assert hasattr(RichProgressBar, "_get_train_description"), "RichProgressBar has no _get_train_description any more"


def test_jsonargparse_parsers_have_their_private_names() -> None:
    from jsonargparse import ArgumentParser

    from experiments.internals.jsonargparse_private import option_names

    parser = ArgumentParser()
    parser.add_argument("--rate", type=float)
    outer = ArgumentParser()
    outer.add_subcommands().add_subcommand("fit", parser)
    assert hasattr(parser, "_actions"), "ArgumentParser has no _actions any more"
    assert hasattr(parser, "_subcommands_action"), "ArgumentParser has no _subcommands_action any more"
    assert "rate" in option_names(parser)
    assert "rate" in option_names(outer, "fit")


def test_torchs_schedulers_have_their_private_names() -> None:
    from experiments.internals.torch_private import scale_learning_rates, scheduler_lengths

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    inner = [torch.optim.lr_scheduler.StepLR(optimizer, 1), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)]
    outer = torch.optim.lr_scheduler.SequentialLR(optimizer, inner, milestones=[3])
    for name in ("_schedulers", "_last_lr", "_milestones"):
        assert name in outer.state_dict(), f"SequentialLR has no {name} any more"
    scale_learning_rates(outer, 0.5)
    assert inner[1].base_lrs == [0.5]
    assert scheduler_lengths(outer.state_dict())[0] == [None, None, [3]]
    assert scheduler_lengths(outer.state_dict())[2] == [[9, None, None]]


def test_torchs_operators_have_what_counts_their_flops() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    assert torch.ops.aten._scaled_dot_product_efficient_attention in flop_registry
    assert hasattr(TorchDispatchMode, "__torch_dispatch__"), "TorchDispatchMode has no __torch_dispatch__ any more"
    from experiments.internals.torch_flops_private import FORMULAS, FlopCount

    assert {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::convolution"} <= FORMULAS.keys()
    for query in (torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 4, requires_grad=True)):
        with FlopCount() as count:
            torch.nn.functional.scaled_dot_product_attention(query, query, query)
        assert (count.total, count.uncounted) == (2 * 2 * 2 * 5 * 5 * 4, set())


def test_optuna_trials_have_their_private_id_and_draw_what_they_lack() -> None:
    optuna = pytest.importorskip("optuna")
    from experiments.internals.optuna_private import resume_trial

    study = optuna.create_study()
    study.ask().suggest_float("rate", 0, 1)
    frozen = study.get_trials()[0]
    assert hasattr(frozen, "_trial_id"), "optuna's FrozenTrial has no _trial_id any more"
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in ("rate", "dropout")}
    resumed = resume_trial(study, frozen, space).params
    assert resumed.keys() == space.keys()
    assert resumed["rate"] == frozen.params["rate"]


def own_names(tree: ast.AST) -> set[str]:
    """Returns the names with an underscore that a module defines itself."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node):
            names.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def private_uses(path: Path) -> Iterator[str]:
    """Yields the private names of other modules that a file imports or reads."""
    tree = ast.parse(path.read_text())
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from (f"{node.lineno}: {name}" for name in names if _is_private(name))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            is_own = _is_self(node) and node.attr in own
            if not is_own and not isinstance(node.ctx, ast.Store):
                yield f"{node.lineno}: {ast.unparse(node)}"


HOOKS = {"_parse_ckpt_path", "_set_seed", "_run_subcommand", "_prepare_subcommand_kwargs", "_get_train_description"}
"""Hooks of Lightning that begin with an underscore."""

FOLDERS = ("cli", "compare", "figures", "floor", "inference", "run", "sweep", "verbs")
FILES = [path for folder in FOLDERS for path in sorted((REPOSITORY / "experiments" / folder).rglob("*.py"))]


def test_private_parts_are_used_in_internals_alone() -> None:
    assert {str(path): uses for path in FILES if (uses := list(private_uses(path)))} == {}


def test_private_hooks_are_overridden_in_internals_alone() -> None:
    nodes = [(path.name, node) for path in FILES for node in ast.walk(ast.parse(path.read_text()))]
    assert [(name, node.name) for name, node in nodes if isinstance(node, ast.FunctionDef) and node.name in HOOKS] == []
