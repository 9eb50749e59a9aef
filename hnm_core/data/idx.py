"""Reads idx files, the format of MNIST and its kin, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.system import memory, paths
from hnm_core.system.regular_files import open_regular

UNSIGNED_BYTE = 0x08
GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 1 << 31
"""No set of this format is near that; more means a damaged header."""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes.

    Header: two zero bytes, the type, the number of dimensions, then each dimension as a big-endian 32-bit number.

    Raises:
        InputError: no idx file, another type, or another length than its header says.
    """
    try:
        with open_regular(path) as raw:
            zipped = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if zipped else raw
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[3] == 0:
                raise InputError(f"'{path}' is no idx file: it begins with {magic.hex() or 'nothing'}, not 0000.")
            if magic[2] != UNSIGNED_BYTE:
                raise InputError(f"'{path}' holds numbers of type 0x{magic[2]:02x}; only bytes (0x08) can be read.")
            sizes = file.read(4 * magic[3])
            if len(sizes) < 4 * magic[3]:
                raise InputError(f"'{path}' ends inside its header; it was cut off.")
            shape = struct.unpack(f">{magic[3]}I", sizes)
            expected = math.prod(shape)
            if expected > MAX_BYTES:
                raise InputError(f"'{path}' claims the shape {shape}, which is too large; its header is damaged.")
            memory.require(expected, f"'{path}'", "take a smaller set, or the file is damaged")
            data = file.read(expected + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"'{path}' is damaged or cut off: {error}.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {paths.why(error)}.") from None
    if len(data) != expected:
        problem = f"only {len(data):,}" if len(data) < expected else "more"
        raise InputError(f"'{path}' should hold {expected:,} bytes for the shape {shape}, but holds {problem}.")
    return np.frombuffer(data, np.uint8).reshape(shape)
