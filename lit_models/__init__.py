"""Architectures as LightningModules, with their losses, schedules and tasks; imports no data module.

The names stand in ``__init__.pyi``, one line each, and are imported at first use (SPEC 1 of Scientific Python), so that
``lit_models.networks`` imports without Lightning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
