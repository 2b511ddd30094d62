"""A sample of rows on disk, for a look at them that needs some in memory."""

import numpy
import torch

from datamodules.loaders import Batch
from datamodules.streaming.dealing import sampled
from datamodules.streaming.dealt import DealtRows

LOOK_ROWS = 10_000
"""A look at the data is one at about so many rows."""


def look(rows: DealtRows) -> tuple[Batch, list[str]]:
    """A sample of all rows, with the ``part`` of each, and a note where it is not all of them."""
    share, drawn = min(1.0, LOOK_ROWS / len(rows)), []
    for start, some in rows.scan():
        stop = start + len(some["row"])
        some["part"] = rows.dealing.parts(start, stop)
        mine = torch.from_numpy(numpy.flatnonzero(sampled(start, stop, share)))
        drawn.append({name: column[mine] for name, column in some.items()})
    notes = [f"a look at the data is one at a sample of 1 row in {1 / share:,.1f}"] if share < 1 else []
    return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}, notes
