"""The batch that every step gets."""

from torch import Tensor

Batch = dict[str, Tensor]
"""``x``: inputs, ``y``: targets, ``row``: row ids; ``categories`` and ``lengths`` if the data have them; ``share``:
factor of the loss in a last training batch that does not divide evenly over devices."""
