"""Learning-rate schedules: any scheduler of torch, with its interval, monitored metric and warm-up.

Three of torch's schedulers need an argument that the run determines, which ``Schedule`` fills into subclasses of the
same names. A short name on the command line means these, and a configuration names them by this package.
"""

from lit_models.schedules.schedule import Schedule, SchedulerFactory
from lit_models.schedules.schedulers import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

__all__ = ["CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau", "Schedule", "SchedulerFactory"]
