"""One plot of curves over a shared x-axis: lane curves, their raw ghosts, a chance line, markers and cursors.

It is told what to draw in data coordinates and knows nothing of runs. Pens are one pixel wide, which Qt's raster
engine draws many times faster than wider ones; emphasis is by colour and brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QFont, QMouseEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QGraphicsItem, QLabel, QWidget

from app.picture.theme import DARK, Rgb, Theme
from app.style import mix
from hnm_core.run.series import Floats, decimate

GHOST, FUTURE = 0.76, 0.5
"""How far the raw curve, and what lies after the cursor, are mixed with the ground. Opaque pens draw faster."""
MAX_MARKERS = 40
DRAWN_RANGE = 1000
"""Points of the raw curve that its part of the y-range is taken from."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One lane's line. `raw`, if any, lies faint behind `y`; what lies right of `cursor` is drawn paler; a dotted one
    is a level to compare with and has no dot at its end."""

    name: str
    colour: Rgb
    x: Floats
    y: Floats
    raw: Floats | None = None
    cursor: float | None = None
    dotted: bool = False


@dataclass(frozen=True)
class VerticalLine:
    """A mark at x."""

    x: float
    colour: Rgb
    dashed: bool
    text: str = ""


class CurvePlot(pg.PlotWidget):
    """A plot that keeps all data in view until the user zooms; a double click brings that back.

    `hovered(x)` follows the mouse in data coordinates, NaN when it leaves.
    """

    hovered = pyqtSignal(float)
    zoomed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumSize(80, 60)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.disableAutoRange()
        item.showGrid(x=True, y=True, alpha=0.35)
        item.setContentsMargins(0, 4, 6, 0)
        self._log = False
        self._auto = True
        self._curves: tuple[Curve, ...] = ()
        self._lines: dict[str, tuple[pg.PlotCurveItem, pg.PlotCurveItem, pg.PlotCurveItem]] = {}
        self._ends = pg.ScatterPlotItem(size=6, pxMode=True)
        self.addItem(self._ends)
        self._verticals: list[pg.InfiniteLine] = []
        self._drawn_verticals: tuple[VerticalLine, ...] = ()
        self._chance = pg.InfiniteLine(
            angle=0,
            movable=False,
            label="chance {value:.3f}",
            labelOpts={"position": 0.98, "anchors": [(1, 1), (1, 1)], "movable": False},
        )
        self._crosshair = pg.InfiniteLine(angle=90, movable=False)
        for line in (self._chance, self._crosshair):
            line.hide()
            self.addItem(line, ignoreBounds=True)
        self._message = QLabel(self)
        self._message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._message.setWordWrap(True)
        self._message.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.chance: float | None = None
        self._bounds: tuple[float, float] | None = None
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        item.vb.sigRangeChangedManually.connect(self._zoomed)
        item.vb.sigXRangeChanged.connect(self._thin)
        item.vb.sigYRangeChanged.connect(self._log_ticks)
        self.viewport().installEventFilter(self)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Recolour all but the curves, which carry their colours."""
        self._theme = theme
        self.setBackground(theme.panel)
        small = QFont(self.font())
        small.setPointSizeF(max(7.0, small.pointSizeF() * 0.85))
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(theme.grid)
            axis.setTextPen(theme.muted)
            axis.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
            axis.setStyle(tickFont=small, tickLength=-3, tickTextOffset=3, maxTickLevel=1)
        self._chance.setPen(pg.mkPen(theme.muted, style=Qt.PenStyle.DotLine))
        self._chance.label.setColor(theme.muted)
        self._chance.label.textItem.setFont(small)
        self._crosshair.setPen(pg.mkPen(theme.muted))
        self._message.setStyleSheet(f"color: rgb{theme.muted}; background: transparent;")
        self._drawn_verticals = ()

    def set_log(self, log: bool) -> None:
        """Logarithmic y-axis; values that are not above 0 leave a gap there."""
        self._log = log
        axis = self.getPlotItem().getAxis("left")
        axis.setLogMode(y=log)
        axis.setTicks(None)
        self._log_ticks()
        self._auto = True

    def set_bounds(self, low: float, high: float) -> None:
        """The y-range never goes beyond these when it follows the data."""
        self._bounds = (low, high)

    @property
    def follows(self) -> bool:
        """Whether the ranges follow the data, that is, the user has not zoomed."""
        return self._auto

    def follow(self) -> None:
        """Bring everything back into view."""
        self._auto = True
        self._fit()
        self._thin()
        self.zoomed.emit()

    def say(self, message: str) -> None:
        """Words in place of curves; none for the empty text."""
        self._message.setText(message)
        self._message.setVisible(bool(message))

    def draw(self, curves: Sequence[Curve], verticals: Sequence[VerticalLine], chance: float | None) -> None:
        """Show these and nothing else."""
        self._curves = tuple(curves)
        self.chance = chance
        for name in set(self._lines) - {curve.name for curve in curves}:
            for line in self._lines.pop(name):
                self.removeItem(line)
        for curve in curves:
            if curve.name not in self._lines:
                made = tuple(pg.PlotCurveItem(antialias=True, connect="finite") for _ in range(3))
                for line in made:
                    self.addItem(line, ignoreBounds=True)
                made[0].setZValue(-1)
                self._lines[curve.name] = made
        self._chance.setVisible(chance is not None)
        if chance is not None:
            self._chance.setValue(self._scaled(np.array([chance]))[0])
        self._draw_verticals(tuple(verticals)[-MAX_MARKERS:])
        before = self.getPlotItem().vb.viewRange()
        self._fit()
        if self.getPlotItem().vb.viewRange()[0] == before[0]:
            self._thin()  # else the change of range has done it
        self._draw_ends()

    def show_crosshair(self, x: float) -> None:
        """A vertical line at x; none for NaN."""
        self._crosshair.setVisible(bool(np.isfinite(x)))
        if np.isfinite(x):
            self._crosshair.setValue(x)

    def vertical_near(self, x: float, pixels: float = 5) -> VerticalLine | None:
        """The mark under the mouse, if any."""
        reach = pixels * self.getPlotItem().vb.viewPixelSize()[0]
        near = [line for line in self._drawn_verticals if line.text and abs(line.x - x) <= reach]
        return min(near, key=lambda line: abs(line.x - x), default=None)

    def _pen(self, colour: Rgb, faded: float, *, dotted: bool = False) -> QPen:
        style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.SolidLine
        pen: QPen = pg.mkPen(mix(colour, self._theme.panel, faded), style=style)
        return pen

    def _scaled(self, y: Floats) -> Floats:
        if not self._log:
            return y
        return np.log10(y, out=np.full(len(y), np.nan), where=y > 0)

    def _thin(self, *_: object) -> None:
        """Hand each line at most two points for every pixel of what is in view."""
        low, high = self.getPlotItem().vb.viewRange()[0]
        pixels = max(50, int(self.getPlotItem().vb.width()))
        for curve in self._curves:
            ghost, line, future = self._lines[curve.name]
            inside = slice(
                max(0, int(np.searchsorted(curve.x, low)) - 1), int(np.searchsorted(curve.x, high, side="right")) + 1
            )
            x = curve.x[inside]
            if curve.raw is not None:
                raw_x, raw_y = decimate(x, curve.raw[inside], pixels)
                ghost.setPen(self._pen(curve.colour, GHOST))
                ghost.setData(raw_x, self._scaled(raw_y))
            ghost.setVisible(curve.raw is not None)
            x, y = decimate(x, curve.y[inside], pixels)
            y = self._scaled(y)
            line.setPen(self._pen(curve.colour, 0.0, dotted=curve.dotted))
            cut = len(x) if curve.cursor is None else int(np.searchsorted(x, curve.cursor, side="right"))
            line.setData(x[:cut], y[:cut])
            future.setVisible(cut < len(x))
            if cut < len(x):
                future.setPen(self._pen(curve.colour, FUTURE))
                future.setData(x[max(0, cut - 1) :], y[max(0, cut - 1) :])

    def _log_ticks(self, *_: object) -> None:
        """1, 2 and 5 of every decade in view, as far apart as there is room; the stock ticks lie over each other."""
        if not self._log:
            return
        low, high = self.getPlotItem().vb.viewRange()[1]
        decades = np.arange(np.floor(low), np.ceil(high) + 1)
        room = max(2, int(self.getPlotItem().vb.height() / 22))
        for leading in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            places = (decades[:, None] + np.log10(leading)).ravel()
            places = places[(places >= low) & (places <= high)]
            if len(places) <= room:
                break
        places = places[:: 1 + len(places) // room]
        self.getPlotItem().getAxis("left").setTicks([[(place, f"{10**place:.4g}") for place in places], []])

    def _draw_ends(self) -> None:
        """A dot where each curve stands: its last point, or the one at the cursor."""
        x, y, brushes = [], [], []
        for curve in self._curves:
            if curve.dotted:
                continue
            row = len(curve.x) - 1
            if curve.cursor is not None:
                row = int(np.searchsorted(curve.x, curve.cursor, side="right")) - 1
            if row >= 0 and np.isfinite(value := self._scaled(curve.y[row : row + 1])[0]):
                x.append(curve.x[row])
                y.append(value)
                brushes.append(pg.mkBrush(curve.colour))
        self._ends.setData(x=x, y=y, brush=brushes, pen=pg.mkPen(self._theme.panel))

    def _draw_verticals(self, verticals: tuple[VerticalLine, ...]) -> None:
        if verticals == self._drawn_verticals:
            return
        while len(self._verticals) < len(verticals):
            line = pg.InfiniteLine(angle=90, movable=False)
            line.setZValue(-2)
            self.addItem(line, ignoreBounds=True)
            self._verticals.append(line)
        for place, line in enumerate(self._verticals):
            line.setVisible(place < len(verticals))
            if place < len(verticals):
                wanted = verticals[place]
                style = Qt.PenStyle.DashLine if wanted.dashed else Qt.PenStyle.SolidLine
                line.setPen(pg.mkPen(wanted.colour, style=style))
                line.setValue(wanted.x)
        self._drawn_verticals = verticals

    def _fit(self) -> None:
        if not self._auto:
            return
        ends = [curve.x[-1] for curve in self._curves if len(curve.x)]
        right = max(ends, default=0.0) or 1.0
        tops = [range_ for curve in self._curves if (range_ := _range_of(curve)) is not None]
        if self._log:
            positive = [curve.y[curve.y > 0] for curve in self._curves]
            tops = [(float(y.min()), float(y.max())) for y in positive if len(y)]
        if self.chance is not None:
            tops.append((self.chance, self.chance))
        if not tops:
            tops = [(0.0, 1.0)] if not self._log else [(0.1, 1.0)]
        low, high = min(low for low, _ in tops), max(high for _, high in tops)
        if self._bounds is not None and not self._log:
            low, high = max(low, self._bounds[0]), min(high, self._bounds[1])
        low, high = self._scaled(np.array([low, high]))
        # A constant series gets room around it: without it, rounding errors would be blown up to spikes.
        room = max(0.05 * (high - low), 1e-3 * max(abs(low), abs(high)), 1e-9)
        vb = self.getPlotItem().vb
        (left, shown_right), (shown_low, shown_high) = vb.viewRange()
        # Axes are what costs most to draw, so ranges stay while they fit and grow in steps when they do not.
        x_fits = left == 0 and right <= shown_right <= 1.25 * right
        y_fits = shown_low <= low and high <= shown_high and shown_high - shown_low <= 1.6 * (high - low + 2 * room)
        if not x_fits:
            grows = 0 < shown_right < right < 1.3 * shown_right
            vb.setXRange(0.0, right * (1.12 if grows else 1.01), padding=0)
        if not y_fits:
            vb.setYRange(low - room, high + room, padding=0)

    def _mouse_moved(self, position: object) -> None:
        vb = self.getPlotItem().vb
        inside = vb.sceneBoundingRect().contains(position)
        self.hovered.emit(vb.mapSceneToView(position).x() if inside else float("nan"))

    def _zoomed(self, *_: object) -> None:
        self._auto = False
        self.zoomed.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.follow()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if hasattr(self, "_message"):
            self._message.setGeometry(self.rect().adjusted(40, 8, -12, -24))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Leave:
            self.hovered.emit(float("nan"))
        return bool(super().eventFilter(watched, event))


def _range_of(curve: Curve) -> tuple[float, float] | None:
    """Lowest and highest of the line, and of all but the outermost percents of its ghost."""
    y = curve.y[np.isfinite(curve.y)]
    if not len(y):
        return None
    low, high = float(y.min()), float(y.max())
    if curve.raw is not None:
        raw = curve.raw[:: max(1, len(curve.raw) // DRAWN_RANGE)]
        raw = raw[np.isfinite(raw)]
        if len(raw):
            first, last = np.percentile(raw, (1, 99))
            low, high = min(low, float(first)), max(high, float(last))
    return low, high
