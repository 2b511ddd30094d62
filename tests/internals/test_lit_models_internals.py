"""Private parts of torch and Lightning in ``lit_models/internals``: a test per name, which fails by that name."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from paths import REPOSITORY
from private_names import private_names
from torch import nn, optim
from torch.amp import grad_scaler
from torch.nn.modules import batchnorm

from lit_models.cpu.hook_name import quick_hook_name
from lit_models.internals import torch_parts

INTERNALS = REPOSITORY / "lit_models" / "internals"


def fit_loop() -> object:
    return Trainer(logger=False, enable_checkpointing=False, accelerator="cpu").fit_loop


def compile_fx() -> object:
    from torch._inductor.compile_fx import compile_fx

    return compile_fx


PRIVATE: dict[str, Callable[[], bool]] = {
    "_linear_pointwise": lambda: torch_parts.HAS_LINEAR or not torch.backends.mkldnn.is_available(),
    "_is_mkldnn_bf16_supported": lambda: isinstance(torch.ops.mkldnn._is_mkldnn_bf16_supported(), bool),
    "_is_avx512_bf16_supported": lambda: isinstance(torch.cpu._is_avx512_bf16_supported(), bool),
    "_are_functorch_transforms_active": lambda: torch._C._are_functorch_transforms_active() is False,
    "_inductor": lambda: callable(compile_fx()),
    "_BatchNorm": lambda: issubclass(nn.BatchNorm1d, batchnorm._BatchNorm),
    "_check_input_dim": lambda: "_check_input_dim" in inspect.getsource(batchnorm._BatchNorm.forward),
    "_apply": lambda: "module._apply(fn)" in inspect.getsource(nn.Module._apply),
    "_step_supports_amp_scaling": lambda: (
        optim.AdamW([torch.zeros(1, requires_grad=True)], fused=True)._step_supports_amp_scaling
        and "_step_supports_amp_scaling" in inspect.getsource(grad_scaler)
    ),
    "_current_fx_name": lambda: LightningModule()._current_fx_name is None,
    "_data_fetcher": lambda: fit_loop()._data_fetcher is None,
    "_data_source": lambda: hasattr(fit_loop()._data_source, "instance"),
    "_batches_that_stepped": lambda: fit_loop().epoch_loop._batches_that_stepped == 0,
    "_logger_connector": lambda: callable(fit_loop().trainer._logger_connector.on_batch_start),
    "_on_before_batch_transfer": lambda: callable(LightningModule._on_before_batch_transfer),
    "_every_n_train_steps": lambda: ModelCheckpoint(every_n_train_steps=3)._every_n_train_steps == 3,
}


@pytest.mark.parametrize("name", PRIVATE)
def test_the_private_part_is_there(name: str) -> None:
    assert PRIVATE[name](), f"{name} has changed; see lit_models/internals"


def test_each_private_part_has_a_test() -> None:
    used = {
        part
        for path in INTERNALS.glob("*_parts.py")
        for found in private_names(path)
        for part in found.split()[-1].split(".")
        if part.startswith("_") and part != "_C"
    }
    assert used == PRIVATE.keys()


def test_a_new_use_of_a_private_part_is_found(tmp_path: Path) -> None:
    uses = (
        "from torch._inductor import config",
        "import lightning\nlightning._private()",
        "def f(trainer): return trainer.fit_loop._data_fetcher",
        "def f(model): model._current_fx_name = None",
        "import torch\ntorch._C._jit()",
        "class A:\n    def _apply(self, fn): return super()._apply(fn)",
        "def f(optimizer): return getattr(optimizer, '_step_supports_amp_scaling', False)",
        "def f(self): return self._results",
        "def f(frozen): return frozen._trial_id",
    )
    for use in uses:
        (tmp_path / "file.py").write_text(use)
        assert private_names(tmp_path / "file.py"), use
    (tmp_path / "file.py").write_text("class A:\n    def f(self): return self._rows, self._trainers, other._mine")
    assert private_names(tmp_path / "file.py") == []


def test_setting_the_hook_name_is_quick_unless_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick(LightningModule):
        pass

    monkeypatch.setenv("EVENHAND_PLAIN", "1")
    assert quick_hook_name(Quick).__setattr__ is nn.Module.__setattr__
    monkeypatch.setenv("EVENHAND_PLAIN", "0")
    model = quick_hook_name(Quick)()
    model._current_fx_name, model.layer = "on_fit_start", nn.Linear(1, 1)
    assert model._current_fx_name == "on_fit_start"
    assert [name for name, _ in model.named_children()] == ["layer"]
