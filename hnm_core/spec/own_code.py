"""Code of the user's that is named as `module:attribute`: modules in the current folder are found, too."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def importable_here() -> Iterator[None]:
    """While this lasts, modules in the current folder can be imported; what is installed comes first."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def attribute_of(name: str) -> Any:
    """What `module:attribute` names. Raises whatever the module does, and `AttributeError`."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def said(error: BaseException) -> str:
    """Kind and first line of an error in somebody else's code, without a full stop."""
    first = next(iter(str(error).splitlines()), "").rstrip(". ")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def hint(name: str, error: BaseException) -> str:
    """What helps where a file was named instead of a module; empty otherwise."""
    module = name.partition(":")[0]
    if isinstance(error, ModuleNotFoundError) and (module.endswith(".py") or "/" in module):
        return f" Name the module, not its file: run it in the folder of the file, as {Path(module).stem}:callable."
    return ""
