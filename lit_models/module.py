"""Any network of PyTorch as an architecture: torchvision's, timm's, transformers', or your own nn.Module."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from typing_extensions import override

from lit_models.any_network.adapter import Adapter
from lit_models.any_network.fact_arguments import facts_of_row
from lit_models.any_network.frozen_features import FrozenFeatures
from lit_models.any_network.image_input import ImageInput
from lit_models.any_network.network_factory import NetworkFactory, make
from lit_models.any_network.network_output import described
from lit_models.any_network.trial import evaluating, example_rows, try_network
from lit_models.base import LitModel
from lit_models.errors import ConfigError
from lit_models.stems.stem import to_rows
from lit_models.training.batch import Batch
from lit_models.training.loss_precision import at_least_float32
from lit_models.training.safe_hparams import is_plain


class LitModule(LitModel):
    """Trains any ``nn.Module``, which a class or function of a package makes.

    Facts of the data fill arguments of usual names, such as ``in_channels`` and ``num_classes``; typed ones win. The
    network gets images (N, C, H, W), series (N, C, T), tables as a vector (N, F) and texts as ids (N, T), and masks of
    padded rows by usual names of arguments of ``forward``. It is tried on one batch before anything is trained.

    Args:
        network: Import path of a subclass of ``nn.Module``, or of a class or function of a package that ``--trust``
            names; its arguments are below it.
        head: Linear head on the mean of the network's features over their positions, in place of its own outputs.
        repeat_channels: Repeat the one channel of grey images to three, for networks of RGB images.
        image_size: Side in pixels that images are resized to in the network, such as the one it was pretrained with; 0
            for their own.
        image_mean: Mean of each channel in the pretraining, a fraction of white such as .485, in place of the
            train rows'; with ``--data.normalize none``.
        image_std: Standard deviation of each channel in the pretraining, a fraction of white such as .229.
    """

    def __init__(
        self,
        network: NetworkFactory,
        head: Literal["none", "linear"] = "none",
        repeat_channels: bool = False,
        image_size: int = 0,
        image_mean: Sequence[float] = (),
        image_std: Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, NetworkFactory):
            raise ConfigError(
                f"network is {str(network)[:60]!r}; give --model.network PATH, or in Python NetworkFactory.of(class)"
            )
        if isinstance(network.function, type) and issubclass(network.function, LitModel):
            raise ConfigError(f"{network.path} is an architecture itself; write --model {network.path}")
        stem, has_head = to_rows(*self.row_facts), head == "linear"
        prepares = repeat_channels or image_size or image_mean or image_std
        options = (repeat_channels, image_size, image_mean, image_std)
        images = ImageInput(stem.shape, *options) if prepares else None
        self.image_mean, self.frozen_features = tuple(image_mean), FrozenFeatures()
        facts = facts_of_row(
            stem.shape if images is None else images.shape, self.num_outputs, self.vocab_size, has_head
        )
        made, network, filled = make(network, facts, "--model.network")
        if not isinstance(made, nn.Module):
            raise ConfigError(f"{network.path} returns {described(made)}, and a network is an nn.Module; name another")
        if is_plain(network.plain()):  # else a checkpoint could not be loaded without running code
            self.hparams["network"] = network.plain()
        has_steps = self.vocab_size > 0 or len(self.input_shape) == 2
        self.network = adapter = Adapter(stem, made, has_steps, images)
        example = example_rows(self.input_shape, len(self.cardinalities), self.vocab_size)
        try_network(adapter, example, self.num_outputs, has_head, network.path)
        self.notes = [f"arguments of {network.path} from the data: {', '.join(filled)}"] if filled else []
        if self.vocab_size and not adapter.masks:
            self.notes.append(
                f"{network.path} takes no mask or lengths of texts: each is padded to {adapter.steps:,} tokens with 0"
            )

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        normalize = getattr(getattr(self.trainer, "datamodule", None), "normalize", "none")
        if self.image_mean and normalize != "none":
            raise ConfigError(
                f"--model.image_mean normalizes pixels as they are, and the data are normalized already ({normalize}); "
                "add --data.normalize none"
            )

    @override
    def on_fit_start(self) -> None:
        if not self._has_frozen_body():
            return

        def features(batch: Batch) -> Tensor:
            with evaluating(self._adapter), self.trainer.precision_plugin.forward_context():
                return self._adapter.features(batch["x"], batch.get("categories"), batch.get("lengths"))

        reason = "mixtures of rows are new at each step" if self.mixup else "it is compiled" if self.compiles else ""
        if not (reason := reason or self.frozen_features.obstacle(self.trainer)):
            print("computes the features of the frozen network, once for all epochs", flush=True)
        if reason := reason or self.frozen_features.fill(self.trainer, features):
            print(f"the features of the frozen network are computed at every step: {reason}", flush=True)

    @override
    def on_train_epoch_start(self) -> None:
        if self._has_frozen_body():
            self._adapter.body.eval()  # its features are those of evaluation, whether they are kept or not

    @override
    def on_fit_end(self) -> None:
        self.frozen_features.clear()

    @property
    def _adapter(self) -> Adapter:
        assert isinstance(self.network, Adapter)
        return self.network

    def _has_frozen_body(self) -> bool:
        """Returns True if the head alone is trained, in all epochs."""
        modules = (self._adapter.stem, self._adapter.body)
        trains = any(weight.requires_grad for module in modules for weight in module.parameters())
        return self._adapter.head is not None and not trains and self.fine_tuning.unfreeze_epoch is None

    @override
    def _outputs(self, batch: Batch) -> Tensor:
        features, head = self.frozen_features.of(batch), self._adapter.head
        return super()._outputs(batch) if features is None or head is None else at_least_float32(head(features))
