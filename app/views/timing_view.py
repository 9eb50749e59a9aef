"""Where the time of a step goes: one stacked bar a lane, mining in warm colours, training proper in cool ones."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QToolTip, QVBoxLayout, QWidget

from app.picture.theme import DARK, Rgb, Theme, contrast
from app.plain import plain_tip
from app.style import mix
from app.views.phase_key import PhaseKey
from hnm_core.run.cost import MOST_STEPS, StepCost, step_cost
from hnm_core.run.history import RunHistory
from hnm_core.run.timing import MINING_PHASES, PHASES, Phase
from hnm_core.words import significant

PHASE_COLOURS: dict[Phase, Rgb] = {
    Phase.EMBED: (250, 205, 90),
    Phase.BUILD: (240, 150, 50),
    Phase.SEARCH: (222, 88, 60),
    Phase.SELECT: (196, 74, 132),
    Phase.TRANSFER: (142, 88, 174),
    Phase.FORWARD: (74, 128, 190),
    Phase.LOSS: (96, 178, 214),
    Phase.BACKWARD: (64, 150, 150),
    Phase.STEP: (140, 156, 176),
    Phase.OTHER: (104, 110, 122),
    Phase.BACKGROUND: (176, 136, 84),
}
INKS: tuple[Rgb, ...] = ((15, 17, 22), (255, 255, 255))
MARGIN = 8
DOT = 9
MOST_ROW_PX, MOST_BAR_PX = 90.0, 56.0
"""Rows take the height there is, but a lane alone is no wall."""
WHISKER_ROOM = 1.4
"""The scale makes room for a p95 up to so many times the longest bar; a longer whisker ends in an arrow."""


@dataclass(frozen=True, eq=False)
class Bar:
    """One lane's row."""

    lane: str
    colour: Rgb
    times: StepCost

    @property
    def total(self) -> float:
        """Milliseconds a step, with what is made in the background meanwhile; 0 where none was timed."""
        return float(self.times.phase_ms.sum())


@dataclass(frozen=True)
class Segment:
    """Where a phase was painted, for the tool tip."""

    box: QRectF
    bar: Bar
    phase: Phase


class Bars(QWidget):
    """The painted part."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 60)
        self.theme = DARK
        self.bars: list[Bar] = []
        self.share = False
        self.message = ""
        self.lit: frozenset[Phase] = frozenset()
        """The phases that stand out, all others step back; none: all look alike"""
        self.segments: list[Segment] = []

    def sizeHint(self) -> QSize:
        return QSize(360, 180)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*self.theme.panel))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.segments = []
        if self.message:
            painter.setPen(QColor(*self.theme.muted))
            inside = self.rect().adjusted(MARGIN, 0, -MARGIN, 0)
            painter.drawText(inside, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.message)
            return
        row = min(MOST_ROW_PX, (self.height() - 4) / len(self.bars))
        scale = self._scale()
        for place, bar in enumerate(self.bars):
            self._paint_row(painter, bar, 4 + place * row, row, scale)

    def _scale(self) -> float:
        """Milliseconds that fill the width."""
        timed = [bar for bar in self.bars if bar.times.steps]
        longest = max((bar.total for bar in timed), default=0.0)
        tallest = max((bar.times.step_p95 for bar in timed), default=0.0)
        return max(min(tallest, WHISKER_ROOM * longest), longest, 1e-9) * 1.02

    def _paint_row(self, painter: QPainter, bar: Bar, top: float, height: float, scale: float) -> None:
        metrics = QFontMetricsF(self.font())
        width = self.width() - 2 * MARGIN
        words = metrics.height() if height > 1.6 * metrics.height() else 0.0
        if words:
            self._paint_words(painter, bar, QRectF(MARGIN, top, width, words))
        indent = 0.0 if words else DOT + 5.0
        box = QRectF(MARGIN + indent, top + words + 1, width - indent, max(5.0, min(MOST_BAR_PX, height - words - 6)))
        if not words:  # no room for the name: its colour says whose bar it is
            self._paint_dot(painter, bar, QPointF(MARGIN + DOT / 2, box.center().y()))
        total = bar.total
        if total <= 0:
            return
        per_ms = box.width() / (total if self.share else scale)
        left, held_up = box.left(), box.left() + max(0.0, bar.times.step_ms) * per_ms
        for phase, ms in zip(PHASES, bar.times.phase_ms.tolist(), strict=True):
            if ms <= 0:
                continue
            piece = QRectF(left, box.top(), ms * per_ms, box.height())
            colour = PHASE_COLOURS[phase]
            colour = colour if not self.lit or phase in self.lit else mix(colour, self.theme.panel, 0.75)
            painter.fillRect(piece.adjusted(0, 0, -0.7 if piece.width() > 3 else 0, 0), QColor(*colour))
            self._label(painter, piece, phase, 100 * ms / total if self.share else ms, colour)
            self.segments.append(Segment(piece, bar, phase))
            left = piece.right()
        if not self.share:
            self._paint_whisker(painter, box, held_up, box.left() + bar.times.step_p95 * per_ms)

    def _paint_words(self, painter: QPainter, bar: Bar, line: QRectF) -> None:
        times = bar.times
        total = f"{significant(times.step_ms)} ms"
        mining = times.mining_ms - times.background_ms
        long = f"mining {significant(mining)} + training {significant(times.step_ms - mining)} = {total}"
        short = f"{total}, mining {100 * mining / times.step_ms if times.step_ms else 0:.0f} %"
        tail = f", p95 {significant(times.step_p95)}"
        if times.background_ms:
            tail += f", background {significant(times.background_ms)}"
        metrics = painter.fontMetrics()
        room = line.width() - DOT - 6
        name_px = min(metrics.horizontalAdvance(bar.lane), 0.45 * room)
        texts = (long + tail, short + tail, short, total) if times.steps else ("not timed yet",)
        text = next((text for text in texts if metrics.horizontalAdvance(text) + 12 + name_px <= room), texts[-1])
        self._paint_dot(painter, bar, QPointF(line.left() + DOT / 2, line.center().y()))
        painter.setPen(QColor(*self.theme.text))
        left = line.adjusted(DOT + 6, 0, 0, 0)
        name_room = int(room - metrics.horizontalAdvance(text) - 12)
        name = metrics.elidedText(bar.lane, Qt.TextElideMode.ElideRight, name_room)
        painter.drawText(left, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), name)
        painter.setPen(QColor(*self.theme.muted))
        painter.drawText(line, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)

    def _paint_dot(self, painter: QPainter, bar: Bar, centre: QPointF) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*bar.colour))
        painter.drawEllipse(centre, DOT / 2, DOT / 2)

    def _label(self, painter: QPainter, piece: QRectF, phase: Phase, value: float, colour: Rgb) -> None:
        """The phase and its number, or the number, or nothing: what fits."""
        painter.save()
        painter.setFont(_smaller(self.font()))
        metrics = painter.fontMetrics()
        if piece.height() >= metrics.height() - 1:  # the line of a font is a little higher than its figures
            figure = f"{value:.0f} %" if self.share else significant(value)
            texts = (f"{phase} {figure}", figure)
            text = next((text for text in texts if metrics.horizontalAdvance(text) + 6 <= piece.width()), "")
            painter.setPen(QColor(*max(INKS, key=lambda ink: contrast(ink, colour))))
            painter.drawText(piece, int(Qt.AlignmentFlag.AlignCenter), text)
        painter.restore()

    def _paint_whisker(self, painter: QPainter, box: QRectF, start: float, end: float) -> None:
        """From the end of the bar to the p95 of whole steps; an arrow where that is out of the picture."""
        if end <= start + 1:
            return
        middle, stop = box.center().y(), min(end, box.right())
        painter.setPen(QPen(QColor(*self.theme.text), 1.2))
        painter.drawLine(QPointF(start, middle), QPointF(stop, middle))
        reach = min(4.0, box.height() / 2)
        if end <= box.right():
            painter.drawLine(QPointF(stop, middle - reach), QPointF(stop, middle + reach))
        else:
            for side in (-reach, reach):
                painter.drawLine(QPointF(stop, middle), QPointF(stop - reach, middle + side))

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip_at(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), plain_tip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def tip_at(self, point: QPointF) -> str:
        """What is under the mouse, in words; empty for the ground."""
        for segment in self.segments:
            if segment.box.adjusted(0, -3, 0, 3).contains(point):
                place = PHASES.index(segment.phase)
                times = segment.bar.times
                kind = "mining" if segment.phase in MINING_PHASES else "training"
                return (
                    f"{segment.bar.lane}, {segment.phase} ({kind}): {significant(times.phase_ms[place])} ms a step\n"
                    f"mining in all: {significant(times.mining_ms)} ms a step, p95 {significant(times.mining_p95)}\n"
                    f"first calls, left out: {times.first_calls:,}, {significant(times.first_ms)} ms in all"
                )
        return ""


class TimingView(QWidget):
    """The bars, under a line that says what they are, with a switch between milliseconds and shares."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars = Bars(self)
        self.key = PhaseKey(PHASE_COLOURS, self)
        self.key.setToolTip(
            "The mean of each phase. What serves several steps, as a bank and its index, is spread over them. Steps "
            "that compiled or set up something are left out. What is made in the background stands last and holds no "
            "step up. The whisker ends at the p95 of whole steps, so spread."
        )
        self.share_button = QToolButton()
        self.share_button.setText("%")
        self.share_button.setCheckable(True)
        self.share_button.setToolTip("Share of a step in place of milliseconds")
        self.share_button.setAccessibleName("Show shares")
        self.share_button.toggled.connect(self._set_share)
        head = QHBoxLayout()
        head.addWidget(self.key, 1)
        head.addWidget(self.share_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.bars, 1)
        self.set_theme(DARK)
        self.show_history(RunHistory())

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.bars.theme = theme
        self.key.set_theme(theme)
        self.bars.bars = [Bar(bar.lane, theme.lane(place), bar.times) for place, bar in enumerate(self.bars.bars)]
        self.bars.update()

    def light(self, phases: frozenset[Phase]) -> None:
        """Let these phases stand out; none: all look alike."""
        if phases != self.bars.lit:
            self.bars.lit = phases
            self.bars.update()

    def show_history(self, history: RunHistory, upto_step: int | None = None) -> None:
        """What steps have cost by `upto_step`, None for now."""
        self.bars.bars = [
            Bar(name, self.bars.theme.lane(place), step_cost(lane, upto_step))
            for place, (name, lane) in enumerate(history.lanes.items())
        ]
        measured = any(bar.times.steps for bar in self.bars.bars)
        self.bars.message = "" if measured else "The time of each phase of a step appears here."
        looked = max((bar.times.steps for bar in self.bars.bars), default=0)
        steps = "1 step" if looked == 1 else f"{'the last ' if looked >= MOST_STEPS else ''}{looked:,} steps"
        used = [
            phase for place, phase in enumerate(PHASES) if any(bar.times.phase_ms[place] > 0 for bar in self.bars.bars)
        ]
        self.key.show_phases(f"mean of {steps}" if measured else "", used)
        self.bars.update()

    def _set_share(self, share: bool) -> None:
        self.bars.share = share
        self.bars.update()


def _smaller(font: QFont) -> QFont:
    small = QFont(font)
    small.setPointSizeF(max(6.5, font.pointSizeF() * 0.85))
    return small
