"""Exported models: writing, verifying and loading them."""

import lazy_loader

# Parts of this package need neither polars nor onnxruntime.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
