"""Architectures as LightningModules, with their losses, schedules and tasks; imports no data module.

The names of ``__init__.pyi`` are imported at first use, so that ``lit_models.networks`` imports without Lightning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
