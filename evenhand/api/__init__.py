"""The commands ``fit`` and ``compare`` as functions, and estimators of scikit-learn."""

import lazy_loader

# A comparison needs no torch, and the estimators alone need scikit-learn.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
