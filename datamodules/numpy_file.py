"""Reader of numpy's files; nothing is unpickled."""

import io
from collections.abc import Collection
from typing import Any

import numpy
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.preprocessing.json_rows import reason_of


def read_numpy(content: bytes, name: str, keys: Collection[str] = ()) -> dict[str, NDArray[Any]]:
    """Returns the arrays of an .npz file, all or some ``keys``, or that of an .npy file as ``x``.

    Raises:
        DataError: For a damaged file, and for Python objects.
    """
    try:
        loaded = numpy.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return {"x": loaded}
        with loaded as file:
            arrays = {key: file[key] for key in file.files if not keys or key in keys}
            return {key: array for key, array in arrays.items() if isinstance(array, numpy.ndarray)}
    except Exception as error:  # numpy parses a header as Python, which fails in every way there is
        reason = reason_of(error)
        objects = "it holds Python objects: " * ("allow_pickle" in reason)
        raise DataError(f"{name} cannot be read as numpy arrays: {objects}{reason}; save it anew") from error
