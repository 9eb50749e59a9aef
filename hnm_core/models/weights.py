"""Reads saved weights. Never runs code from a file."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.system import paths
from hnm_core.system.regular_files import open_regular
from hnm_core.system.zip_lists import check_all

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put the weights beside other things."""

PREFIX = "module."
"""What data-parallel training puts before every name."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file written by `torch.save(model.state_dict(), path)`, by name, on the CPU.

    Raises:
        InputError: no such file, no file of weights, or one that holds more than plain tensors.
    """
    place = paths.path_of(str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about formats it may not read: it reads this one, or raises
            with open_regular(place) as file:
                check_all(file)
                loaded = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"There is no file of weights '{path}'.") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"'{path}' holds more than plain tensors, or is damaged; it is not loaded because it could run code. "
            "Save the weights alone: torch.save(model.state_dict(), path)."
        ) from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {paths.why(error)}.") from None
    except MemoryError:
        raise InputError(f"'{path}' does not fit into the memory.") from None
    except Exception as error:  # noqa: BLE001 - a damaged file breaks the unpickler in any way it likes
        raise InputError(f"'{path}' cannot be read as weights: {(str(error).splitlines() or [''])[0]}.") from None
    for key in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"'{path}' holds no weights by name; save them with torch.save(model.state_dict(), path).")
    return {str(name).removeprefix(PREFIX): values for name, values in loaded.items()}
