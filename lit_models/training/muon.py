"""Muon for the matrices of hidden layers and AdamW for all else, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn, optim
from torch.optim import AdamW, Optimizer
from typing_extensions import override

from lit_models.errors import ConfigError


class Muon(Optimizer):
    """torch's Muon (Jordan et al. 2024) for matrices, and AdamW for other parameters, embeddings and the head.

    Muon orthogonalizes the update of a matrix. A kernel of a convolution is no matrix. With ``match_rms_adamw`` (Liu et
    al. 2025, "Muon is scalable for LLM training") both have the usual learning rate and weight decay of AdamW.

    Args:
        params: Parameters, or groups of them; those with ``"matrices": False`` are AdamW's.
        lr: Learning rate of both.
        weight_decay: Decoupled weight decay of both.
        momentum: Momentum of Muon, in [0, 1).
        nesterov: Nesterov momentum of Muon.
        ns_steps: Newton-Schulz iterations of an orthogonalization.
        adjust_lr_fn: Factor of Muon's rate by a matrix's shape: ``match_rms_adamw``, or ``original`` of Jordan et al.
        betas: AdamW's decay of the running means of the gradient and its square.
        eps: Term in AdamW's denominator.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["match_rms_adamw", "original"] = "match_rms_adamw",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not hasattr(optim, "Muon"):
            raise ConfigError(f"Muon needs torch 2.9 or later, and this is {torch.__version__}; take AdamW")
        given = [*params]
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        split = [part for group in groups for part in _split(group)]
        super().__init__(split, {"lr": lr, "weight_decay": weight_decay})
        matrices, others = self._groups(True), self._groups(False)
        if not matrices:
            raise ConfigError(
                "Muon needs a matrix besides embeddings and the head, and this network has none that is trained; "
                "take AdamW"
            )
        # Each fills its groups, which are this optimizer's too, with its own arguments.
        self._muon = optim.Muon(
            matrices, momentum=momentum, nesterov=nesterov, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn
        )
        self._adamw = AdamW(others, betas=betas, eps=eps) if others else None

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step of both; returns what the closure returns."""
        loss: Tensor | None = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer, is_matrix in ((self._muon, True), (self._adamw, False)):
            if optimizer is not None:  # a loaded state has groups and a state of its own
                optimizer.param_groups, optimizer.state = self._groups(is_matrix), self.state
                optimizer.step()  # type: ignore[no-untyped-call]
        return loss

    def _groups(self, matrices: bool) -> list[dict[str, Any]]:
        return [group for group in self.param_groups if group["matrices"] is matrices]


def without_muon(module: nn.Module, num_outputs: int) -> set[str]:
    """Returns the names of matrices that Muon leaves to AdamW: embeddings, and the last with a row for each output."""
    embeddings = {
        f"{owner}.{name}"
        for owner, inner in module.named_modules()
        if isinstance(inner, nn.Embedding | nn.EmbeddingBag)
        for name, _ in inner.named_parameters(recurse=False)
    }
    heads = [name for name, value in module.named_parameters() if value.dim() == 2 and len(value) == num_outputs]
    return embeddings | {*heads[-1:]}


def _split(group: dict[str, Any]) -> list[dict[str, Any]]:
    matrices = [value for value in group["params"] if value.dim() == 2 and group.get("matrices", True)]
    others = [value for value in group["params"] if value.dim() != 2 or not group.get("matrices", True)]
    parts = ((matrices, True), (others, False))
    return [{**group, "params": values, "matrices": is_matrix} for values, is_matrix in parts if values]
