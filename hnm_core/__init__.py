"""The engine of HNM Lab: hard-negative search, miners, losses, metrics and a trainer that yields events.

Importing the package is free: neither torch nor Qt nor scikit-learn is loaded. Take what you need from its modules:

    from hnm_core import neighbors, miners, losses

`hnm_core.mine` (`hnm_core.negatives.mining.mine`) gives every anchor of a set its hard negatives at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What is offered here by its name, loaded when it is asked for: the rooms below do not stand on it."""
    if name == "mine":
        return importlib.import_module("hnm_core.negatives.mining").mine
    raise AttributeError(f"module 'hnm_core' has no attribute '{name}'")
