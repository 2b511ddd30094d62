"""Data sets as LightningDataModules: load, split, normalize, batch; imports no model.

The names of ``__init__.pyi`` are imported at first use, so that raw rows become a model's inputs without Lightning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
