"""What of the window and the video works on this machine; the engine's report comes first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial

from hnm_core.cli import doctor
from hnm_core.cli.doctor import Check, Finding, attempt, kernels_ready

CODECS = {"libx264": ".mp4", "libvpx-vp9": ".webm", "gif": ".gif"}
"""Encoders of the video formats."""


def examine() -> Iterator[Check]:
    """All checks, one after the other. None of them raises."""
    yield from doctor.examine()
    yield attempt("window", _window)
    yield attempt("display", _display)
    yield attempt("raster kernels", partial(kernels_ready, "app.picture.raster"))
    for codec in CODECS:
        yield attempt(codec, partial(_codec, codec))


def _window() -> Finding:
    try:
        from PyQt6 import QtCore, QtWidgets  # noqa: F401  the import itself is the check
    except ImportError as error:
        return False, f"Qt cannot be loaded: {error}. On Debian, `make run` as root installs what it needs"
    return True, f"Qt {QtCore.QT_VERSION_STR}, PyQt {QtCore.PYQT_VERSION_STR}"


def _display() -> Finding:
    if sys.platform in ("win32", "darwin"):
        return True, "the system's own"
    for variable in ("WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(variable):
            return True, f"{variable}={os.environ[variable]}"
    return False, "neither DISPLAY nor WAYLAND_DISPLAY is set; run, render and demo need none"


def _codec(name: str) -> Finding:
    import av

    if name in av.codecs_available:
        return True, f"writes {CODECS[name]}"
    return False, f"this PyAV has no such encoder, so no {CODECS[name]}"
