"""The one typeface of all films, and its letters as outlines.

Two fonts ship with the program and are the only ones used, so that a film looks the same on every machine. Letters are
their outlines at one size, without hints, which are scaled and filled as any other shape: no system's way to draw text
has a say. Only of letters that the fonts lack (they hold Latin, Greek and Cyrillic) the system's fonts are taken.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QPainterPath, QPainterPathStroker
from PyQt6.QtWidgets import QApplication

from hnm_core.errors import InputError
from hnm_core.spec.resources import resource_dir

FAMILY = "HNM Lab Sans"
FILES = ("film-regular.ttf", "film-bold.ttf")
_REFERENCE_PX = 256
"""Outlines are taken at this size."""
ASCENT = 0.93
"""Of a line of text, as a share of its size; likewise the height of capitals, and from line to line."""
CAPITALS = 0.711
LEADING = 1.24
RIM = 0.2
"""Width of the rim that sets letters off, likewise."""
BOX = "\N{WHITE SQUARE}"
"""Stands for a letter that no font holds."""
NO_BREAK, BETWEEN = "\N{NO-BREAK SPACE}", "·"
"""What keeps words in one line, and what stands between facts."""
_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|%)(?!\w))")


def ensure_text() -> QGuiApplication:
    """Qt's application, without which there is no text; made for Qt's offscreen platform if there is none. Keep it.

    Raises:
        InputError: the fonts that ship with the program are not there.
    """
    app = QGuiApplication.instance()
    if app is None:
        # Never the display: it may be absent, or named in the environment and gone.
        platform = ["-platform", "offscreen"] if sys.platform == "linux" else []
        app = QApplication(["hnm-lab", *platform])
    assert isinstance(app, QGuiApplication)
    if FAMILY not in QFontDatabase.families():
        for name in FILES:
            path = resource_dir() / "fonts" / name
            if QFontDatabase.addApplicationFont(str(path)) < 0:
                raise InputError(f"The font '{path}' that ships with the program cannot be read: install it anew.")
    return app


def _font(bold: bool) -> QFont:
    font = QFont(FAMILY)
    font.setPixelSize(_REFERENCE_PX)
    font.setBold(bold)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font


@lru_cache(4096)
def outline(text: str, bold: bool) -> tuple[QPainterPath, float]:
    """A line of text as its outline, with the beginning of its base line at (0, 0), and its width; for a size of 1 both
    must be divided by `outline_px`."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.WindingFill)
    font = _font(bold)
    text = _shown(text)
    path.addText(0, 0, font, text)
    return path, QFontMetricsF(font).horizontalAdvance(text)


def _shown(text: str) -> str:
    """The text with a box for every letter that no font here holds: there would be a gap else."""
    if text.isascii():
        return text
    return "".join(("" if unicodedata.category(one)[0] in "MC" else BOX) if _is_lacking(one) else one for one in text)


@lru_cache(4096)
def _is_lacking(letter: str) -> bool:
    return not QFontMetricsF(_font(False)).inFontUcs4(ord(letter))


def lacking(texts: Iterable[str]) -> str:
    """The letters of texts that no font of this machine holds, each once; a box stands for each."""
    letters = dict.fromkeys(one for text in texts for one in text if not one.isascii())
    return "".join(one for one in letters if unicodedata.category(one)[0] not in "MC" and _is_lacking(one))


@lru_cache(1024)
def rim(text: str, bold: bool) -> QPainterPath:
    """What lies round the outline of a line of text, to set it off from what is behind it."""
    stroker = QPainterPathStroker()
    stroker.setWidth(RIM * _REFERENCE_PX)
    stroker.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    path = stroker.createStroke(outline(text, bold)[0])
    path.setFillRule(Qt.FillRule.WindingFill)
    return path


def outline_px() -> float:
    """The size at which outlines are."""
    return float(_REFERENCE_PX)


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How many pixels wide a line of text of a size is."""
    return outline(text, bold)[1] * size / _REFERENCE_PX


def shortened(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """As much of the text as there is room for, with dots where something is missing."""
    if width(text, size, bold=bold) <= room:
        return text
    kept = next((end for end in range(len(text) - 1, 0, -1) if width(text[:end] + "…", size, bold=bold) <= room), 0)
    return f"{text[:kept].rstrip()}…" if kept else ""


def wrapped(text: str, size: float, room: float, *, bold: bool = False) -> list[str]:
    """The text in as few lines of at most `room` pixels as it needs, all about as long; a single word may be wider. A
    number stays with its unit and a dot between facts with the one before it; where no more lines come of it, lines
    break at such dots alone."""
    text = _UNIT.sub(NO_BREAK, text).replace(f" {BETWEEN} ", f"{NO_BREAK}{BETWEEN} ")
    lines = _lines(text, size, room, bold)
    whole = text.replace(" ", NO_BREAK).replace(f"{NO_BREAK}{BETWEEN}{NO_BREAK}", f"{NO_BREAK}{BETWEEN} ")
    facts = _lines(whole, size, room, bold)
    if len(facts) == len(lines) and all(width(line, size, bold=bold) <= room for line in facts):
        text = whole
    for share in (0.55, 0.65, 0.75, 0.85, 0.92):
        even = _lines(text, size, share * room, bold)
        if len(even) == len(lines) and all(width(line, size, bold=bold) <= room for line in even):
            return even
    return lines


def _lines(text: str, size: float, room: float, bold: bool) -> list[str]:
    lines: list[str] = []
    for word in text.split(" "):  # never at a space that must not break
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, bold=bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
