"""The CUDA C++ sources, which lie beside this file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


def names() -> list[str]:
    """The files that are compiled, without `.cu`."""
    return sorted(path.stem for path in FOLDER.glob("*.cu"))


@cache
def source(name: str) -> str:
    """The text of `name`.cu with what it includes in place: one self-contained unit.

    A compiler's cache then sees every change, and needs no search path.
    """
    return _with_includes(f"{name}.cu")


def _with_includes(file: str) -> str:
    return _INCLUDE.sub(lambda found: _with_includes(found[1]), (FOLDER / file).read_text())
