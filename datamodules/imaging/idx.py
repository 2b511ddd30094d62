"""Reader of IDX, the format of MNIST's files (LeCun, Cortes & Burges): a header of sizes, then big-endian numbers."""

import gzip
import math
import struct
import zlib
from typing import Any

import numpy
from numpy.typing import NDArray

from datamodules.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Types of numbers by the header's third byte."""

GZIP = b"\x1f\x8b"


def unpacked(content: bytes, name: str) -> bytes:
    """Decompresses a file's bytes if they are gzip; raises ``DataError`` if it is broken."""
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{name} is a broken gzip file: {error}; fetch or pack it again") from error


def is_idx(content: bytes) -> bool:
    """Returns True if uncompressed bytes begin like an IDX file."""
    return len(content) >= 4 and content[:2] == b"\0\0" and content[2] in TYPES and content[3] > 0


def parse_idx(content: bytes, name: str) -> NDArray[Any]:
    """Returns the array in uncompressed bytes, in the machine's byte order; raises ``DataError`` for other content."""
    if not is_idx(content):
        raise DataError(f"{name} is no IDX file, whose header begins with two zero bytes and a type; choose another")
    dtype, dims = numpy.dtype(TYPES[content[2]]), content[3]
    start = 4 + 4 * dims
    if len(content) < start:
        raise DataError(f"{name} ends inside its IDX header; fetch it again")
    shape = struct.unpack(f">{dims}I", content[4:start])
    expected, actual = math.prod(shape) * dtype.itemsize, len(content) - start
    if expected != actual or dims > 32:  # numpy has no more than 64 dimensions, and images have four
        raise DataError(f"{name} has {actual:,} bytes behind its IDX header, which says {expected:,}; fetch it again")
    return numpy.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
