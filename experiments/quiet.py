"""What Lightning and torch say on every run, and nobody can act on."""

import logging
import warnings

SAID_EVERY_TIME = (
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own use of torch's pytree
    ".*is smaller than the logging interval.*",  # nothing is logged by step
    ".*does not have many workers.*",  # batches are sliced in memory
    ".*It is recommended to use .self.log.*sync_dist=True.*",  # every process logs the metric of all rows already
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # testing needs none of them
    ".*Total length of `list` across ranks is zero.*",  # no row validates, as somebody asked
    r".*barrier\(\): using the device under current context.*",  # torchmetrics', on several GPUs
    ".*GPU available but not used.*",  # somebody typed so, or no float64
    ".*The dirpath has changed from.*",  # a run that goes on from another run's checkpoint has a folder of its own
)


def quieten() -> None:
    """Leave Lightning's warnings that matter."""
    for pattern in SAID_EVERY_TIME:
        warnings.filterwarnings("ignore", message=pattern)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
