"""The commands ``fit`` and ``compare`` as functions."""

import lazy_loader

# A comparison needs no torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
