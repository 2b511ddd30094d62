"""The figure of a learning-rate search: smoothed loss over the rates that were tried."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from typing_extensions import override

from experiments.figures.drawing import COLORS, GREY, pixels, sheet
from experiments.figures.tensorboard_figures import GROUP


class RateFigure(Callback):
    """Draws a search for a learning rate into the TensorBoard of the run that follows.

    Args:
        rates: Learning rates that were tried.
        losses: Smoothed loss at each of them.
        chosen: The rate that was found.
    """

    def __init__(self, rates: Sequence[float], losses: Sequence[float], chosen: float) -> None:
        self.search = rates, losses, chosen

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero and find_spec("matplotlib"):
                picture = pixels(draw_rates(*self.search))
                logger.experiment.add_image(f"{GROUP}/learning_rates", picture, 0, dataformats="HWC")


def draw_rates(rates: Sequence[float], losses: Sequence[float], chosen: float) -> Any:
    """Draws the loss over the learning rate, on a log axis, up to where it diverges, and marks the chosen rate."""
    figure, (axes,) = sheet()
    axes.plot(rates, losses, color=COLORS[0])
    axes.axvline(chosen, color=GREY, linestyle="--")
    top = max(losses[0], min(losses)) * 1.5
    axes.set(
        xscale="log", ylim=(min(losses) - 0.05 * abs(top), top), xlabel="learning rate", ylabel="train/loss, smoothed"
    )
    axes.set_title(f"learning rate search: {chosen:.2g}")
    return figure
