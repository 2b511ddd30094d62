"""Networks of other packages: made with the facts of the data, tried on one batch, and their outputs read."""

from lit_models.any_network.network_factory import NetworkFactory

__all__ = ["NetworkFactory"]
