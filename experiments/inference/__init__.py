"""Predictions for raw rows from a checkpoint or an exported model."""

import lazy_loader

# An exported model is read without Lightning.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
