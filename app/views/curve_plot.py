"""One plot of curves over a shared x-axis: lane curves, how far their raw values scatter, levels to compare with,
markers and cursors, and names at the ends of lines.

It is told what to draw in data coordinates and knows nothing of runs. Lines of lanes are two pixels wide and have a
seam in the colour of the ground, so that they are told apart where they cross; both are drawn segment by segment, which
Qt's raster engine does many times faster than wide paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QFont, QFontMetrics, QMouseEvent, QPainter, QPen, QResizeEvent
from PyQt6.QtWidgets import QGraphicsEllipseItem, QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from app.history.outline import Outline, goes_on
from app.history.spread import kept_apart, spread
from app.picture.theme import DARK, Rgb, Theme
from app.plain import Label
from app.style import mix
from hnm_core.run.series import Floats, decimate

FUTURE, BACK = 0.5, 0.8
"""How far what lies after the cursor, and lanes that step back, are mixed with the ground. Opaque pens draw faster."""
GHOST_ALPHA = 40
"""Of 255, of the band of raw values."""
LINE_PX, SEAM_PX = 2.0, 4.5
MOST_LENGTH = 4
"""A line that is more than so many times as long as the plot is wide goes up and down so often that it would be a wall
if it were wide, and takes long to draw: it is thin."""
PIECE_PX, LEAST_PIECES = 4, 12
"""Width of a piece of the band. The line is smoothed, and losses fall fast at first: a band of fewer lies beside it."""
END_PX = 7.0
"""Of the dot where a curve stands"""
LABEL_PX = 90
"""Names at the ends of lines are cut beyond this."""
MOST_LABELS = 0.2
"""Share of the width that they may take."""
LABELS_FROM_PX, LABEL_GAP = 260, 12
"""Narrower plots have no room for them; pixels beside them."""
LINE_SHARE = 0.95
"""Of the height of a line, how far names stay apart."""
MAX_MARKERS = 40
LEVEL_LEFT, LEVEL_MIDDLE = 0.02, 0.5
"""Where names of levels stand, as shares of the width; those of lanes stand at the right."""
LEVEL_Z, LEVEL_FILL = 900.0, 190
"""Levels lie above the curves, and their names on a ground that lets little through."""
RANGE_PIECES = 100
"""Pieces of the band that its part of the y-range is taken from."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One lane's line. How far `raw`, if any, scatters lies faint behind `y`; what lies right of `cursor` is drawn
    paler; a dotted one is a level to compare with and has no dot at its end."""

    name: str
    colour: Rgb
    x: Floats
    y: Floats
    raw: Floats | None = None
    cursor: float | None = None
    dotted: bool = False
    lane: str = ""
    """Whose it is, where others shall step back behind it"""
    label: str = ""
    """What it is called at its end, where there is room"""


class Dot(QGraphicsEllipseItem):
    """A round dot of `END_PX` pixels, however the plot is scaled."""

    def __init__(self) -> None:
        super().__init__(-END_PX / 2, -END_PX / 2, END_PX, END_PX)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIgnoresTransformations)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionGraphicsItem | None, widget: QWidget | None = None
    ) -> None:
        assert painter is not None
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        super().paint(painter, option, widget)


@dataclass(frozen=True)
class Items:
    """What a curve is drawn by."""

    ghost: pg.PlotCurveItem
    seam: pg.PlotCurveItem
    line: pg.PlotCurveItem
    future: pg.PlotCurveItem
    end: Dot
    label: pg.TextItem
    outline: Outline
    """Of the line, as far as it was drawn"""

    @property
    def all(self) -> tuple[QGraphicsItem, ...]:
        """In the order in which they lie on each other."""
        return self.ghost, self.seam, self.line, self.future, self.end, self.label


@dataclass(frozen=True, eq=False)
class Thinned:
    """The points that draw a line over the pixels there are."""

    x: Floats
    y: Floats
    """As high as it is drawn, of logarithmic axes the logarithm"""
    has_seam: bool


@dataclass(frozen=True)
class VerticalLine:
    """A mark at x."""

    x: float
    colour: Rgb
    dashed: bool
    text: str = ""


@dataclass(frozen=True)
class Level:
    """A value that curves are compared with, all the way across. Two kinds, so that one is told from the other."""

    text: str
    value: float
    dashed: bool = False
    """Dashed with its name at the left, or dotted with its name at the right"""


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
        self._small = QFont(self.font())
        self._small.setPointSizeF(max(7.0, self._small.pointSizeF() * 0.85))
        self._log = False
        self._auto = True
        self._curves: tuple[Curve, ...] = ()
        self._current = False
        """Whether what is drawn is what `draw` was told last"""
        self._lines: dict[str, Items] = {}
        self._thinned: dict[str, Thinned] = {}
        self._cuts: dict[str, int] = {}
        """Points of each thinned line before its cursor"""
        self._front = ""
        self._verticals: list[pg.InfiniteLine] = []
        self._drawn_verticals: tuple[VerticalLine, ...] = ()
        self.level_lines: list[pg.InfiniteLine] = []
        self._crosshair = pg.InfiniteLine(angle=90, movable=False)
        self._crosshair.hide()
        self.addItem(self._crosshair, ignoreBounds=True)
        self._message = Label(parent=self)
        self._message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._message.setWordWrap(True)
        self._message.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.levels: tuple[Level, ...] = ()
        self._bounds: tuple[float, float] | None = None
        self.scene().sigMouseMoved.connect(self._mouse_moved)
        item.vb.sigRangeChangedManually.connect(self._zoomed)
        item.vb.sigXRangeChanged.connect(self._thin)
        item.vb.sigYRangeChanged.connect(self._log_ticks)
        item.vb.sigRangeChanged.connect(self._put_labels)
        item.vb.sigResized.connect(self._resized)
        self.viewport().installEventFilter(self)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Recolour all but the curves, which carry their colours."""
        self._theme = theme
        self.setBackground(theme.panel)
        small = self._small
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(theme.grid)
            axis.setTextPen(theme.muted)
            axis.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
            axis.setStyle(tickFont=small, tickLength=-3, tickTextOffset=3, maxTickLevel=1)
        self._draw_levels(self.levels, anew=True)
        self._crosshair.setPen(pg.mkPen(theme.muted))
        self._message.setStyleSheet(f"color: rgb{theme.muted}; background: transparent;")
        self._drawn_verticals, self._current = (), False

    def set_log(self, log: bool) -> None:
        """Logarithmic y-axis; values that are not above 0 leave a gap there."""
        self._log = log
        axis = self.getPlotItem().getAxis("left")
        axis.setLogMode(y=log)
        axis.setTicks(None)
        self._log_ticks()
        self._draw_levels(self.levels, anew=True)
        self._auto, self._current = True, False

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

    def draw(self, curves: Sequence[Curve], verticals: Sequence[VerticalLine], levels: Sequence[Level] = ()) -> None:
        """Show these and nothing else. Where they are the same as before, nothing is done: painting is what costs.
        Where cursors have moved, lines are cut anew, and nothing else."""
        told = tuple(verticals)[-MAX_MARKERS:], tuple(levels)
        same = self._current and told[1] == self.levels and len(curves) == len(self._curves)
        if same and all(map(_alike, curves, self._curves)):
            moved = any(one.cursor != other.cursor for one, other in zip(curves, self._curves, strict=True))
            self._curves = tuple(curves)
            self._draw_verticals(told[0])
            if moved:
                self._cut_lines()
                self._draw_ends()
            return
        self._curves, self._current = tuple(curves), True
        for name in set(self._lines) - {curve.name for curve in curves}:
            self._thinned.pop(name, None)
            for item in self._lines.pop(name).all:
                self.removeItem(item)
        for curve in curves:
            if curve.name not in self._lines:
                self._lines[curve.name] = self._made()
            self._lines[curve.name].outline.follow(curve.y)
        self._draw_levels(told[1])
        self._draw_verticals(told[0])
        before = self.getPlotItem().vb.viewRange()
        self._fit()
        if self.getPlotItem().vb.viewRange()[0] == before[0]:
            self._thin()  # else the change of range has done it
        self._draw_ends()
        self._put_labels()

    def _made(self) -> Items:
        def line(**options: object) -> pg.PlotCurveItem:
            return pg.PlotCurveItem(antialias=True, connect="finite", **options)

        wide = {"segmentedLineMode": "on"}
        ghost = line(fillLevel="enclosed", pen=None)
        items = Items(ghost, line(**wide), line(**wide), line(), Dot(), pg.TextItem(), Outline())
        items.label.setAnchor((0, 0.5))
        items.label.textItem.setFont(self._small)
        items.label.textItem.document().setDocumentMargin(0)
        for item in items.all:
            self.addItem(item, ignoreBounds=True)
        return items

    def bring_forward(self, lane: str) -> None:
        """Let the other lanes step back; none for the empty name."""
        if lane != self._front:
            self._front = lane
            self._thin()
            self._draw_ends()
            self._put_labels()

    def _back(self, curve: Curve) -> bool:
        """Whether it steps back behind another."""
        return bool(self._front) and curve.lane != self._front

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

    def _pen(self, colour: Rgb, faded: float, *, width: float = 1.0, dotted: bool = False) -> QPen:
        style = Qt.PenStyle.DotLine if dotted else Qt.PenStyle.SolidLine
        pen: QPen = pg.mkPen(mix(colour, self._theme.panel, faded), width=width, style=style)
        return pen

    def _scaled(self, y: Floats) -> Floats:
        if not self._log:
            return y
        return np.log10(y, out=np.full(len(y), np.nan), where=y > 0)

    def _thin(self, *_: object) -> None:
        """Hand each line at most two points for every pixel of what is in view."""
        low, high = self.getPlotItem().vb.viewRange()[0]
        pixels = max(50, int(self.getPlotItem().vb.width()))
        for place, curve in enumerate(self._curves):
            items, back = self._lines[curve.name], self._back(curve)
            for item, level in zip(items.all, (-1.0, 0.0, 0.4, 0.4, 900.0, 901.0), strict=True):
                item.setZValue(level + (place + (0 if back else 100) if 0 <= level < 900 else 0))
            inside = slice(
                max(0, int(np.searchsorted(curve.x, low)) - 1), int(np.searchsorted(curve.x, high, side="right")) + 1
            )
            x = curve.x[inside]
            band = spread(x, curve.raw[inside], pixels // PIECE_PX) if curve.raw is not None and not back else None
            items.ghost.setVisible(band is not None and len(band[0]) >= LEAST_PIECES)
            if band is not None and items.ghost.isVisible():
                self._draw_ghost(items.ghost, curve.colour, *band)
            rows = items.outline.rows(inside, pixels)
            x, y = decimate(curve.x[rows], curve.y[rows], pixels)
            y = self._scaled(y)
            thin = curve.dotted or back or self._px_long(x, y) > MOST_LENGTH * pixels
            faded, width = BACK if back else 0.0, 1.0 if thin else LINE_PX
            items.line.setPen(self._pen(curve.colour, faded, width=width, dotted=curve.dotted))
            items.line.opts["segmentedLineMode"] = "off" if thin else "on"
            items.seam.setVisible(not thin)
            if not thin:
                items.seam.setPen(self._pen(self._theme.panel, 0.0, width=SEAM_PX))
            items.future.setPen(self._pen(curve.colour, BACK if back else FUTURE))
            self._thinned[curve.name] = Thinned(x, y, has_seam=not thin)
        self._cut_lines(anew=True)

    def _cut_lines(self, *, anew: bool = False) -> None:
        """What lies after a cursor is paler; only lines of which another point is the last before it are touched,
        unless all are to be cut `anew`."""
        for curve in self._curves:
            items, line = self._lines[curve.name], self._thinned[curve.name]
            x, y = line.x, line.y
            cut = len(x) if curve.cursor is None else int(np.searchsorted(x, curve.cursor, side="right"))
            if cut == self._cuts.get(curve.name) and not anew:
                continue
            self._cuts[curve.name] = cut
            items.line.setData(x[:cut], y[:cut])
            if line.has_seam:
                items.seam.setData(x[:cut], y[:cut])
            items.future.setVisible(cut < len(x))
            if cut < len(x):
                items.future.setData(x[max(0, cut - 1) :], y[max(0, cut - 1) :])

    def _px_long(self, x: Floats, y: Floats) -> float:
        """Pixels along a line, but for gaps."""
        per_px, per_py = self.getPlotItem().vb.viewPixelSize()
        return float(np.nansum(np.hypot(np.diff(x) / per_px, np.diff(y) / per_py)))

    def _draw_ghost(self, ghost: pg.PlotCurveItem, colour: Rgb, x: Floats, lower: Floats, upper: Floats) -> None:
        """The band between two lines."""
        lower, upper = self._scaled(lower), self._scaled(upper)
        known = np.isfinite(lower) & np.isfinite(upper)
        x, lower, upper = x[known], lower[known], upper[known]
        ghost.setPen(None)
        ghost.setBrush(pg.mkBrush(*colour, GHOST_ALPHA))
        ghost.setData(np.concatenate((x, x[::-1])), np.concatenate((upper, lower[::-1])))

    @property
    def _label_room(self) -> int:
        """Pixels right of the curves for their names."""
        names = [curve.label for curve in self._curves if curve.label]
        vb, metrics = self.getPlotItem().vb, QFontMetrics(self._small)
        if not names or vb.width() < LABELS_FROM_PX or vb.height() < len(names) * LINE_SHARE * metrics.height():
            return 0
        widest = max(metrics.horizontalAdvance(name) for name in names)
        return int(min(LABEL_PX, widest, MOST_LABELS * vb.width())) + LABEL_GAP

    def _put_labels(self, *_: object) -> None:
        """The name of each lane beside the end of its line, apart from each other."""
        vb, room = self.getPlotItem().vb, self._label_room
        (left, right), (low, high) = vb.viewRange()
        per_px, per_py = vb.viewPixelSize()
        metrics = QFontMetrics(self._small)
        ends: dict[str, tuple[float, float]] = {}
        for curve in self._curves:
            if curve.label and room and len(curve.x):
                y = float(self._scaled(curve.y[-1:])[0])
                x = float(curve.x[-1]) + 8 * per_px
                if np.isfinite(y) and low <= y <= high and left <= x <= right - (room - LABEL_GAP) * per_px * 0.9:
                    ends[curve.name] = (x, y)
        half = metrics.height() / 2 * per_py
        places = kept_apart([y for _, y in ends.values()], LINE_SHARE * 2 * half, low + half, high - half)
        placed = dict(zip(ends, places or (), strict=False))
        for curve in self._curves:
            label = self._lines[curve.name].label
            label.setVisible(curve.name in placed)
            if curve.name in placed:
                colour = mix(curve.colour, self._theme.panel, BACK if self._back(curve) else 0.0)
                px = int((right - ends[curve.name][0]) / per_px) - 2
                label.setText(metrics.elidedText(curve.label, Qt.TextElideMode.ElideRight, px), colour)
                label.setPos(ends[curve.name][0], placed[curve.name])

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
        seam = pg.mkPen(self._theme.panel)
        for curve in self._curves:
            end, row = self._lines[curve.name].end, len(curve.x) - 1
            if curve.cursor is not None:
                row = int(np.searchsorted(curve.x, curve.cursor, side="right")) - 1
            value = self._scaled(curve.y[row : row + 1]) if row >= 0 and not curve.dotted else np.empty(0)
            end.setVisible(bool(np.isfinite(value).any()))
            if end.isVisible():
                end.setPos(curve.x[row], value[0])
                end.setPen(seam)
                end.setBrush(pg.mkBrush(mix(curve.colour, self._theme.panel, BACK if self._back(curve) else 0.0)))

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
            wanted = verticals[place] if place < len(verticals) else None
            if wanted is not None and self._drawn_verticals[place : place + 1] != (wanted,):
                style = Qt.PenStyle.DashLine if wanted.dashed else Qt.PenStyle.SolidLine
                line.setPen(pg.mkPen(wanted.colour, style=style))
                line.setValue(wanted.x)
        self._drawn_verticals = verticals

    def _draw_levels(self, levels: tuple[Level, ...], *, anew: bool = False) -> None:
        """A line for each, with its name; only where they have changed, or are to be drawn `anew`."""
        if levels == self.levels and not anew:
            return
        for line in self.level_lines:
            self.removeItem(line)
        theme, lowest = self._theme, min((level.value for level in levels if level.dashed), default=0.0)
        several = sum(level.dashed for level in levels) > 1
        self.levels, self.level_lines = levels, []
        for level in levels:
            below = several and level.value == lowest  # so that names of lines close to each other can be read
            place, side = (LEVEL_LEFT, 0.0) if level.dashed else (LEVEL_MIDDLE, 0.5)
            above_or_below = (0, 0) if below else (0, 1) if level.dashed and not several else (1, 1)
            anchors = [(side, end) for end in above_or_below]  # in the upper half of the plot, and in the lower one
            style = Qt.PenStyle.DashLine if level.dashed else Qt.PenStyle.DotLine
            line = pg.InfiniteLine(
                pos=self._scaled(np.array([level.value]))[0],
                angle=0,
                movable=False,
                pen=pg.mkPen(theme.muted, style=style),
                label=level.text,
                labelOpts={
                    "position": place,
                    "anchors": anchors,
                    "movable": False,
                    "color": theme.muted,
                    "fill": (*theme.panel, LEVEL_FILL),
                },
            )
            line.setZValue(LEVEL_Z)
            line.label.textItem.setFont(self._small)
            self.addItem(line, ignoreBounds=True)
            self.level_lines.append(line)

    def _fit(self) -> None:
        if not self._auto:
            return
        ends = [curve.x[-1] for curve in self._curves if len(curve.x)]
        right = max(ends, default=0.0) or 1.0
        outlines = [self._lines[curve.name].outline for curve in self._curves]
        tops = [
            range_
            for curve, outline in zip(self._curves, outlines, strict=True)
            if (range_ := _range_of(curve, outline)) is not None
        ]
        if self._log:
            positive = [outline for outline in outlines if np.isfinite(outline.least_positive)]
            tops = [(outline.least_positive, outline.highest) for outline in positive]
        tops += [(level.value, level.value) for level in self.levels]
        if not tops:
            tops = [(0.0, 1.0)] if not self._log else [(0.1, 1.0)]
        low, high = min(low for low, _ in tops), max(high for _, high in tops)
        if self._bounds is not None and not self._log:
            low, high = max(low, self._bounds[0]), min(high, self._bounds[1])
        if low == high == 0:  # of nothing but zeros no digit is worth a look
            high = 1.0
        low, high = self._scaled(np.array([low, high]))
        # A constant series gets room around it: without it, rounding errors would be blown up to spikes.
        room = max(0.05 * (high - low), 1e-3 * max(abs(low), abs(high)), 1e-9)
        vb = self.getPlotItem().vb
        (left, shown_right), (shown_low, shown_high) = vb.viewRange()
        # Axes are what costs most to draw, so ranges stay while they fit and grow in steps when they do not.
        px = max(vb.width(), 1.0)
        right *= 1 + self._label_room / max(px - self._label_room, 1.0)
        x_fits = left == 0 and right <= shown_right * (1 + 1e-9) and shown_right <= 1.25 * right
        y_fits = shown_low <= low and high <= shown_high and shown_high - shown_low <= 1.6 * (high - low + 2 * room)
        if not x_fits:
            grows = 0 < shown_right < right < 1.3 * shown_right
            vb.setXRange(0.0, right * (1.12 if grows else 1.01), padding=0)
        if not y_fits:
            vb.setYRange(low - room, high + room, padding=0)

    def _resized(self, *_: object) -> None:
        """There is more or less room for names, and for points of lines."""
        self._current = False
        self._fit()
        self._put_labels()

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


def _alike(one: Curve, other: Curve) -> bool:
    """Whether two lines are drawn alike, wherever their cursors are."""
    arrays = (one.x, other.x), (one.y, other.y), (one.raw, other.raw)
    return _words(one) == _words(other) and all(
        a is b
        or (
            (a is not None and b is not None and len(a) == len(b))
            and (goes_on(a, b) or np.array_equal(a, b, equal_nan=True))
        )
        for a, b in arrays
    )


def _words(curve: Curve) -> tuple[object, ...]:
    return curve.name, curve.colour, curve.dotted, curve.lane, curve.label


def _range_of(curve: Curve, outline: Outline) -> tuple[float, float] | None:
    """Lowest and highest of the line and of the band behind it."""
    low, high = outline.lowest, outline.highest
    if low > high:
        return None
    if curve.raw is not None:
        _, lower, upper = spread(curve.x, curve.raw, RANGE_PIECES)
        if len(lower):
            low, high = min(low, float(lower.min())), max(high, float(upper.max()))
    return low, high
