"""`weights.npz`: the network of a lane, whole or not at all."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hnm_core.errors import InputError
from hnm_core.recording.disk import whole_file
from hnm_core.recording.layout import WEIGHTS_IMAGE, WEIGHTS_INPUT, WEIGHTS_STEP
from hnm_core.run.events import Weights, frozen
from hnm_core.system.regular_files import open_regular
from hnm_core.system.zip_lists import check_list


def write_weights(path: Path, weights: Weights) -> None:
    """Put a network into a file, for good when this returns. Raises `OSError`."""
    arrays: dict[str, Any] = {
        WEIGHTS_STEP: np.int64(weights.step),
        WEIGHTS_INPUT: np.int64(weights.in_features),
        WEIGHTS_IMAGE: np.array(weights.image_shape or (), np.int64),
        **weights.arrays,
    }
    with whole_file(path) as file:
        np.savez(file, **arrays)


def read_weights(path: Path, lane: str) -> Weights | None:
    """The network in a file; None where there is none. Raises `InputError` where it is damaged or claims to hold more
    than the file is long."""
    try:
        with open_regular(path) as file:
            with zipfile.ZipFile(file) as parts:
                check_list(parts)
                total = sum(part.file_size for part in parts.infolist())
                if total > os.fstat(file.fileno()).st_size or any(part.compress_type for part in parts.infolist()):
                    raise ValueError("it holds other things than arrays as they are")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: frozen(stored[name]) for name in stored.files}
        step, width = int(arrays.pop(WEIGHTS_STEP)), int(arrays.pop(WEIGHTS_INPUT))
        shape = arrays.pop(WEIGHTS_IMAGE).astype(int).tolist()
        return Weights(lane, step, arrays, width, (shape[0], shape[1], shape[2]) if shape else None)
    except FileNotFoundError:
        return None
    except (
        OSError,
        MemoryError,
        RuntimeError,  # of zip files: encrypted, or packed in a way that nobody knows
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
    ) as error:
        raise InputError(f"'{path}' is damaged: {error}.") from error
