"""The batch that every step takes."""

from torch import Tensor

Batch = dict[str, Tensor]
"""``x``: inputs, ``y``: targets, ``row``: the rows' ids; where there are any, ``categories`` and ``lengths``; in a
last training batch that does not divide evenly, ``share``, what its loss is multiplied with."""
