"""Learning-rate schedules: any of torch's, wrapped with when to step, what to watch and how to warm up.

Three of torch's schedulers ask for what the run already knows. They stand here once more under their own names with
that argument left open, and ``Schedule`` fills it in: ``CosineAnnealingLR``'s and ``OneCycleLR``'s number of steps, the
peak of ``OneCycleLR``, and ``ReduceLROnPlateau``'s direction. A short name on the command line means these, and a
configuration names them by this package.
"""

from lit_models.schedules.schedule import Schedule, SchedulerFactory
from lit_models.schedules.schedulers import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

__all__ = ["CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "Schedule", "SchedulerFactory"]
