"""How hard the mined tuples of each lane are: histograms under a line that says what they are."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.history.hardness import Moment, lane_hardness
from app.picture.theme import DARK, Theme
from app.plain import Label
from app.views.band_key import BandKey
from app.views.hardness_plot import HardnessPlot
from hnm_core.run.events import Frame
from hnm_core.run.history import RunHistory
from hnm_core.spec.config import ExperimentConfig

TITLE = "d(a,n) − d(a,p)"
EMPTY = "How hard the mined tuples of each lane are appears here."


class HardnessView(QWidget):
    """`margin_asked(lane, float)` when the user moved a margin line."""

    margin_asked = pyqtSignal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = HardnessPlot(self)
        self.plot.margin_asked.connect(self.margin_asked)
        self.title = Label(TITLE)
        self.title.setMinimumWidth(20)
        self.key = BandKey(self)
        self.title.setToolTip(
            "How much farther the negative is than the positive. Hard: it is not farther at all; semi-hard: by no more "
            "than the margin; easy: by more. The area of a bar is its share of the tuples, and the axis is straight "
            "round 0 and ever closer together farther off, so that the bands are seen beside tuples many margins away."
        )
        self.key.setToolTip(f"{self.title.toolTip()}\n\n{self.key.toolTip()}")
        self.axis_box = QCheckBox("own axes")
        self.axis_box.setToolTip("Each lane over an axis of its own; else all over one, so that they can be compared")
        self.axis_box.setAccessibleName("An axis of its own for each lane")
        self.axis_box.toggled.connect(lambda own: self.plot.set_shared_axis(not own))
        head = QHBoxLayout()
        head.setContentsMargins(2, 0, 2, 0)
        head.addWidget(self.title)
        head.addWidget(self.key, 1)
        head.addWidget(self.axis_box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)
        self._key: tuple[object, ...] = ()
        self._configs: dict[str, ExperimentConfig] = {}
        self._configs_of: tuple[object, ...] = ()
        self.set_theme(DARK)
        self.show_run(RunHistory(), (), None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        spacing = 3 * self.fontMetrics().averageCharWidth()
        wanted = sum(part.sizeHint().width() + spacing for part in (self.title, self.key, self.axis_box))
        self.title.setVisible(wanted <= self.width())  # what the colours mean comes before what the axis is

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.title.setStyleSheet(f"color: rgb{theme.muted};")
        self.key.set_theme(theme)
        self.plot.set_theme(theme)

    def show_run(
        self, history: RunHistory, frames: Sequence[Frame], upto_step: int | None, *, replaying: bool = False
    ) -> None:
        """What was mined in the steps that `frames` tell of; a picture that is the same costs nothing.

        Args:
            history: of the run.
            frames: the ones that are shown, at most one a lane.
            upto_step: the moment of the past they are of; None is live.
            replaying: whether it is a recording.
        """
        running = history.running
        key = (
            history.started,
            len(history.lanes),
            tuple(map(id, frames)),
            len(history.told),
            running,
            upto_step is None,
        )
        if key == self._key:
            return
        self._key = key
        self._frames = tuple(frames)  # held, so that no other frame can have the id of one of them
        moment = Moment(running, live=upto_step is None, replaying=replaying)
        configs, by_lane = self._lane_configs(history, upto_step), {frame.lane: frame for frame in frames}
        lanes = [
            lane_hardness(lane, by_lane.get(name), configs.get(name), moment) for name, lane in history.lanes.items()
        ]
        any_told = any(shown.hardness is not None or by_lane.get(shown.lane) is not None for shown in lanes)
        self.plot.show_lanes(lanes, "" if any_told else EMPTY)

    def _lane_configs(self, history: RunHistory, upto_step: int | None) -> dict[str, ExperimentConfig]:
        """Lanes alone as they were at the step; made anew only after a change."""
        past = sum(upto_step is None or change.step <= upto_step for change in history.changes)
        if (history.started, past) != self._configs_of:
            self._configs_of, self._configs = (history.started, past), history.lane_configs(upto_step)
        return self._configs
