"""Loss and retrieval curves of all lanes, side by side, over steps or over the training clock."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QPoint, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtGui import QContextMenuEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QMessageBox,
    QSlider,
    QSplitter,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.history.chance import chance_of
from app.history.markers import markers
from app.picture.theme import DARK, Rgb, Theme
from app.plain import Label
from app.saving import write_picture
from app.style import mix
from app.views.curve_plot import Curve, CurvePlot, Level, VerticalLine
from app.views.layer_key import LayerKey, layer_colour
from app.views.legend import LaneLegend
from hnm_core.run.events import RunStarted
from hnm_core.run.history import Column, LaneHistory, RunHistory
from hnm_core.run.raw import by_name
from hnm_core.run.results import DOCUMENT_NAMES, DOCUMENTS
from hnm_core.run.timing import PHASES
from hnm_core.system.whole_files import whole_file
from hnm_core.words import significant

AXES = {"step": "step", "seconds": "training clock (s)"}
METRIC_NAMES = {
    "map_at_r": "MAP@R",
    "precision_at_1": "precision@1",
    "knn_accuracy": "kNN accuracy",
    "accuracy": "accuracy",
    **DOCUMENT_NAMES,
    "mean_distance": "mean distance",
    "used_recall": "recall of used negatives",
    "used_regret": "regret of used negatives",
    "within_class_distance": "within classes",
    "between_class_distance": "between classes",
    "class_distance_ratio": "within / between",
    "mining_recall": "search recall",
    "predicted_recall": "predicted recall",
    "distance_ratio": "distance ratio",
    "hardness_regret": "hardness regret",
    "no_candidate": "no candidate",
    "bank_age": "bank age (steps)",
    "drift": "drift",
    "temperature": "temperature",
    "entanglement": "entanglement by layer",
}
OF_CLASSES = ("map_at_r", "knn_accuracy")
"""Those of runs over classes alone."""
SHARES = frozenset(
    (
        *("map_at_r", "precision_at_1", "knn_accuracy", "accuracy"),
        *DOCUMENTS,
        *("used_recall", "mining_recall", "predicted_recall", "no_candidate"),
    )
)
"""Metrics that lie in 0..1."""
OF_SOME = {
    **dict.fromkeys(
        ("mining_recall", "distance_ratio", "hardness_regret", "no_candidate"),
        "Measured of approximate searches only; no lane has one at work.",
    ),
    "predicted_recall": "Of approximate searches that expect a recall; no lane has one at work.",
    **dict.fromkeys(
        ("used_recall", "used_regret", "bank_age", "drift"),
        "Measured of lanes that mine a bank of the whole set; none does yet.",
    ),
    **dict.fromkeys(DOCUMENTS, "Measured of runs over queries and documents; this one is over classes."),
    "accuracy": "Measured of lanes whose loss trains a classifier with the embedding; no lane's does.",
    "temperature": "No lane's loss has a temperature.",
    "entanglement": "Measured of lanes whose loss is soft nearest neighbour, 'snnl'; no lane's is.",
}
"""What to say of a metric that only some lanes have."""
CHANCE = " at chance"
"""After a lane's name: the dotted line of what its loss is when every neighbour looks alike."""
SMOOTHING = 57
"""Place of the smoothing slider at first."""
METRIC_LETTERS = 8
"""Of the chosen metric's name there is room for so many at least; the legend beside it needs the rest."""
ARROW_PX = 38
"""Of a box of choices, with its frame."""
NARROW_PX = 520
"""Below this width one plot is shown at a time."""


class CurvesView(QWidget):
    """Two linked plots. `lane_toggled(name, shown)` when a legend entry is clicked."""

    lane_toggled = pyqtSignal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._history = RunHistory()
        self._started: RunStarted | None = None
        self._chance: dict[str, float] = {}
        self._raw: dict[str, Mapping[str, float]] = {}
        self._upto: int | None = None
        self._upto_of: Mapping[str, int] = {}
        self._steps: dict[LaneHistory, Column] = {}  # steps of lanes as positions, as far as they were drawn
        self._hidden: frozenset[str] = frozenset()
        self._hover = float("nan")
        self.loss_plot, self.metric_plot = CurvePlot(self), CurvePlot(self)
        self.loss_legend, self.metric_legend = LaneLegend(self), LaneLegend(self)
        self.layer_key = LayerKey(self)
        self._build_controls()
        self._sides = QSplitter(Qt.Orientation.Horizontal, self)
        self._sides.setChildrenCollapsible(False)
        self._sides.setHandleWidth(1)
        for title, legend, plot in (
            (Label("Loss"), self.loss_legend, self.loss_plot),
            (self.metric_box, self.metric_legend, self.metric_plot),
        ):
            self._sides.addWidget(_side(title, legend, plot, self.layer_key if plot is self.metric_plot else None))
            legend.toggled.connect(self._toggle)
            legend.pointed.connect(self._point_at)
            plot.hovered.connect(self._hovered)
            plot.zoomed.connect(self._zoom_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        layout.addLayout(self._controls)
        layout.addWidget(self._sides, 1)
        self.setMinimumSize(220, 120)
        for widget in (*self._side_widgets(), self.readout, self.smoothing):
            widget.setMinimumWidth(24)
        self._arrange()
        self.set_theme(DARK)

    def _build_controls(self) -> None:
        self.axis_box = _compact_box(AXES, "What runs from left to right")
        self.axis_box.setMinimumWidth(self.fontMetrics().horizontalAdvance("wall") + ARROW_PX)
        self.axis_box.currentIndexChanged.connect(self._axis_changed)
        self.metric_box = _compact_box(METRIC_NAMES, "Measured every few steps; retrieval on held-out items")
        self.metric_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.metric_box.setMinimumContentsLength(METRIC_LETTERS)
        self.metric_box.currentIndexChanged.connect(self._metric_changed)
        self.log_box = QCheckBox("log")
        self.log_box.setToolTip("Logarithmic loss axis")
        self.log_box.toggled.connect(self._log_changed)
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0, 100)
        self.smoothing.setValue(SMOOTHING)
        self.smoothing.setMinimumWidth(40)
        self.smoothing.setMaximumWidth(110)
        self.smoothing.setToolTip(
            "Smoothing: debiased moving average over every step; the middle half of the raw losses lies faint behind. "
            "0 is none: the raw loss itself."
        )
        self.smoothing.setAccessibleName("Smoothing")
        self.smoothing.valueChanged.connect(self._smoothing_changed)
        self.smoothing_label = Label()
        self.smoothing_label.setMinimumWidth(self.fontMetrics().horizontalAdvance("smooth 0.999"))
        self.readout = Label()
        self.fit_button = _button("Fit", "Bring everything back into view (double click does too)")
        self.fit_button.clicked.connect(self._follow)
        self.fit_button.hide()
        self.menu_button = _button("Export", "Save what the curves show")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setMenu(self._menu())
        self.tabs = QTabBar(self)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.addTab("Loss")
        self.tabs.addTab("Retrieval")
        self.tabs.currentChanged.connect(lambda _: self._arrange())
        self._controls = QHBoxLayout()
        self._controls.setSpacing(8)
        for widget in (self.tabs, self.axis_box, self.smoothing_label, self.smoothing, self.log_box):
            self._controls.addWidget(widget)
        self._controls.addWidget(self.readout, 1)
        self._controls.addWidget(self.fit_button)
        self._controls.addWidget(self.menu_button)
        self._smoothing_text()

    def _side_widgets(self) -> list[QWidget]:
        return [side for place in range(self._sides.count()) if (side := self._sides.widget(place)) is not None]

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        for plot in (self.loss_plot, self.metric_plot):
            plot.set_theme(theme)
        for legend in (self.loss_legend, self.metric_legend):
            legend.set_theme(theme)
        self.layer_key.set_theme(theme)
        for label in (self.readout, self.smoothing_label):
            label.setStyleSheet(f"color: rgb{theme.muted};")
        self._redraw()

    def set_axis(self, axis: str) -> None:
        """What curves run over, see `AXES`."""
        self.axis_box.setCurrentIndex(self.axis_box.findData(axis))

    def show_history(
        self, history: RunHistory, upto_step: int | None = None, upto_of: Mapping[str, int] | None = None
    ) -> None:
        """Draw a run; a cursor stands at `upto_step`, none while live. `upto_of`: lanes whose cursor is elsewhere."""
        self._upto_of = upto_of or {}
        self._steps = {lane: steps for lane, steps in self._steps.items() if lane in history.lanes.values()}
        if history.started is not self._started:  # the history may be the same, and its run have begun meanwhile
            self._started, self._chance = history.started, chance_of(history.started)
            self._raw = by_name(history.started.raw) if history.started is not None else {}
            evaluated = history.started.evaluated if history.started is not None else None
            measured_on = f"on {evaluated.text}" if evaluated is not None else "on held-out items"
            self.metric_box.setToolTip(f"Measured every few steps; retrieval {measured_on}")
            self._take_metric_of(history.started)
        self._history, self._upto = history, upto_step
        self._redraw()

    def _take_metric_of(self, started: RunStarted | None) -> None:
        """Where runs of this kind do not have the chosen metric, the first that they have."""
        over_documents = started is not None and DOCUMENTS[0] in (started.chance or {})
        absent, instead = (OF_CLASSES, DOCUMENTS) if over_documents else (DOCUMENTS, OF_CLASSES)
        if started is not None and self.metric_box.currentData() in absent:
            self.metric_box.setCurrentIndex(self.metric_box.findData(instead[0]))

    def export_csv(self, path: Path) -> None:
        """One row for each lane and step: loss, times and counts, and metrics where they were measured."""
        metrics = sorted({name for lane in self._history.lanes.values() for name in lane.metrics})
        with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            smooth = f"loss_smoothed_{self._factor:.3f}"
            phases = [f"{phase}_ms" for phase in PHASES]
            table.writerow(["lane", "step", "training_seconds", "loss", smooth, *phases, *metrics])
            for lane in self._history.lanes.values():
                measured = {
                    name: dict(zip(*map(np.ndarray.tolist, lane.metric(name)), strict=True)) for name in metrics
                }
                columns = (lane.steps, lane.seconds, lane.loss, lane.smoothed_loss(self._factor), lane.phase_ms)
                for step, seconds, loss, smoothed, ms in zip(*(column.tolist() for column in columns), strict=True):
                    values = [measured[name].get(step, "") for name in metrics]
                    table.writerow([lane.name, step, seconds, loss, smoothed, *ms, *values])

    def export_png(self, path: Path) -> None:
        """A picture of the view. Raises OSError when it cannot be written."""
        write_picture(self.grab(), path, "PNG")

    @property
    def _factor(self) -> float:
        return 1 - 10 ** (-3 * self.smoothing.value() / 100)  # 0 to 0.999, finer towards the end

    def _redraw(self) -> None:
        history, names = self._history, list(self._history.lanes)
        for legend in (self.loss_legend, self.metric_legend):
            legend.set_lanes(names, self._hidden)
        verticals = self._verticals()
        metric = self.metric_box.currentData()
        losses, measures = [], []
        for place, (name, lane) in enumerate(history.lanes.items()):
            if name in self._hidden:
                continue
            colour, cursor = self._theme.lane(place), self._cursor_of(lane)
            x = self._all_of(lane)
            if self._factor > 0:
                losses.append(
                    Curve(name, colour, x, lane.smoothed_loss(self._factor), lane.loss, cursor, lane=name, label=name)
                )
            else:
                losses.append(Curve(name, colour, x, lane.loss, None, cursor, lane=name, label=name))
            levels_at, levels = lane.metric("chance")
            if len(levels):
                x = self._clock(lane, levels_at)
                paler = mix(colour, self._theme.muted, 0.5)
                losses.append(Curve(f"{name}{CHANCE}", paler, x, levels, dotted=True, lane=name))
            measures += self._measures(lane, metric, colour, cursor)
        shown = [lane for name, lane in history.lanes.items() if name not in self._hidden]
        chances = self._chances(shown, metric)
        measures += chances
        self.layer_key.show_layers(
            max((lane.layers(metric) for lane in shown), key=len, default=()), chance=bool(chances)
        )
        measured = any(len(curve.x) for curve in measures)
        self.loss_plot.draw(losses, verticals)
        self.metric_plot.draw(measures, verticals, self._levels(metric) if measured else ())
        self.loss_plot.say("" if history.last_step else "The loss of every lane appears here.")
        self.metric_plot.say(self._metric_message(metric))
        self._write_values()

    def _measures(self, lane: LaneHistory, metric: str, colour: Rgb, cursor: float | None) -> list[Curve]:
        """The line of a metric, or one for each layer, stronger from layer to layer."""
        lines = []
        layers = lane.layers(metric)
        for place, layer in enumerate(layers):
            steps, values = lane.metric(f"{metric}/{layer}")
            own = layer_colour(colour, place, len(layers), self._theme)
            x = self._clock(lane, steps)
            lines.append(Curve(f"{lane.name}/{layer}", own, x, values, None, cursor, lane=lane.name))
        if not layers:
            steps, values = lane.metric(metric)
            name, x = lane.name, self._clock(lane, steps)
            lines.append(Curve(name, colour, x, values, None, cursor, lane=name, label=name))
        return lines

    def _chances(self, lanes: list[LaneHistory], metric: str) -> list[Curve]:
        """The level of chance of each lane, once where lanes see the same batches."""
        found: list[Curve] = []
        for lane in lanes:
            steps, values = lane.metric(f"{metric}_chance")
            line = Curve(f"{lane.name}/{CHANCE}", self._theme.muted, self._clock(lane, steps), values, dotted=True)
            if len(values) and not any(_same_line(line, other) for other in found):
                found.append(line)
        return found

    def _levels(self, metric: str) -> tuple[Level, ...]:
        """What a metric is compared with: chance, and what the features score as they are."""
        raw = {name: scored[metric] for name, scored in self._raw.items() if metric in scored}
        chance = {"chance": self._chance[metric]} if metric in self._chance else {}
        levels = (chance | raw).items()
        return tuple(Level(f"{name} {_share_text(value)}", value, name in raw) for name, value in levels)

    def _all_of(self, lane: LaneHistory) -> np.ndarray:
        """Where the steps of a lane are, all of them; new ones cost only themselves."""
        if self.axis_box.currentData() == "seconds":
            return lane.seconds
        known = self._steps.setdefault(lane, Column(np.float64))
        known.extend(lane.steps[len(known) :])
        return known.values

    def _clock(self, lane: LaneHistory, steps: np.ndarray) -> np.ndarray:
        if self.axis_box.currentData() == "step":
            return steps.astype(np.float64)
        return lane.seconds if len(steps) == len(lane) else lane.seconds_at(steps)

    def _cursor_of(self, lane: LaneHistory) -> float | None:
        upto = self._upto_of.get(lane.name, self._upto)
        if upto is None:
            return None
        return float(self._clock(lane, np.array([upto]))[0]) if len(lane) else 0.0

    def _verticals(self) -> list[VerticalLine]:
        """What happened, and the cursor: one for all lanes over steps, one a lane over their own clocks."""
        theme, lanes = self._theme, self._history.lanes
        by_step = self.axis_box.currentData() == "step"
        marks = []
        for marker in markers(self._history):
            lane = lanes.get(marker.lane)
            if lane is None or marker.lane in self._hidden:
                continue
            own = theme.lane(list(lanes).index(marker.lane))
            colour = {"warning": theme.warning, "fatal": theme.error, "option": theme.muted}.get(marker.kind, own)
            x = float(marker.step if by_step else lane.seconds_at(np.array([marker.step]))[0])
            marks.append(VerticalLine(x, colour, True, f"{marker.lane}, step {marker.step:,}: {marker.text}"))
        if self._upto is not None and by_step:
            marks.append(VerticalLine(float(self._upto), theme.text, False))
        elif self._upto is not None or self._upto_of:
            for place, (name, lane) in enumerate(lanes.items()):
                if name not in self._hidden and len(lane):
                    marks.append(VerticalLine(self._cursor_of(lane) or 0.0, theme.lane(place), False))
        return marks

    def _metric_message(self, metric: str) -> str:
        history = self._history
        measured = [lane.metric(metric)[1] for lane in history.lanes.values()]
        if any(np.isfinite(values).any() for values in measured) or any(
            lane.layers(metric) for lane in history.lanes.values()
        ):
            return ""
        if any(len(values) for values in measured):
            evaluated = history.started.evaluated if history.started is not None else None
            missing = evaluated.missing if evaluated is not None else ""
            return missing or "Not defined here: it takes held-out items of which some share a class."
        if metric in OF_SOME and history.last_step:
            return OF_SOME[metric]
        if history.started is not None:
            return f"Nothing measured yet: every {history.started.config.eval_every:,} steps."
        return "Held-out metrics appear here."

    def _write_values(self) -> None:
        """Values in the legends: under the mouse, else at the cursor, else the newest; of layers all, or the last."""
        metric = self.metric_box.currentData()
        hovering = bool(np.isfinite(self._hover))
        losses, measures, brief = {}, {}, {}
        for name, lane in self._history.lanes.items():
            at = self._hover if hovering else self._cursor_of(lane)
            x = self._all_of(lane)
            row = len(x) - 1 if at is None else int(np.searchsorted(x, at, side="right")) - 1
            losses[name] = significant(lane.smoothed_loss(self._factor)[row]) if row >= 0 else ""
            step = int(lane.steps[row]) if row >= 0 else 0
            names = [f"{metric}/{layer}" for layer in lane.layers(metric)] or [metric]
            values = [lane.latest(layer, step) for layer in names]
            shown = [
                f"{value:.3f}" if metric in SHARES else significant(value) for value in values if np.isfinite(value)
            ]
            measures[name], brief[name] = ", ".join(shown), "".join(shown[-1:])
        self.loss_legend.set_values(losses)
        self.metric_legend.set_values(measures, brief)
        self.readout.setText(self._position_text())

    def _position_text(self) -> str:
        if np.isfinite(self._hover):
            mark = self.loss_plot.vertical_near(self._hover)
            if mark is not None:
                return mark.text
            by_step = self.axis_box.currentData() == "step"
            here = f"step {max(0, int(self._hover)):,}" if by_step else f"{max(0.0, self._hover):.3g} s"
            return " · ".join((here, *(level.text for level in self.metric_plot.levels if level.dashed)))
        if self._upto is not None:
            return f"step {self._upto:,}"
        return ""

    def _hovered(self, x: float) -> None:
        self._hover = x
        for plot in (self.loss_plot, self.metric_plot):
            plot.show_crosshair(x)
        self._write_values()

    def _point_at(self, lane: str) -> None:
        """Bring a lane forward in both plots; none for the empty name."""
        for plot in (self.loss_plot, self.metric_plot):
            plot.bring_forward("" if lane in self._hidden else lane)

    def _toggle(self, name: str, shown: bool) -> None:
        self._hidden = self._hidden - {name} if shown else self._hidden | {name}
        self._redraw()
        self.lane_toggled.emit(name, shown)

    def _axis_changed(self) -> None:
        self._follow()
        self._redraw()

    def _metric_changed(self) -> None:
        shares = self.metric_box.currentData() in SHARES
        self.metric_plot.set_bounds(0.0, 1.0 if shares else float("inf"))
        self._follow()
        self._redraw()

    def _log_changed(self, log: bool) -> None:
        self.loss_plot.set_log(log)
        self._redraw()

    def _smoothing_changed(self) -> None:
        self._smoothing_text()
        self._redraw()

    def _smoothing_text(self) -> None:
        self.smoothing_label.setText(f"smooth {self._factor:.3f}")

    def _follow(self) -> None:
        for plot in (self.loss_plot, self.metric_plot):
            plot.follow()

    def _zoom_changed(self) -> None:
        self.fit_button.setVisible(not (self.loss_plot.follows and self.metric_plot.follows))

    def _arrange(self) -> None:
        """Both plots where there is room, else the one of the chosen tab."""
        narrow = self.width() < NARROW_PX
        self.tabs.setVisible(narrow)
        for place, side in enumerate(self._side_widgets()):
            side.setVisible(not narrow or self.tabs.currentIndex() == place)
        for widget in (self.smoothing_label, self.smoothing, self.readout):
            widget.setVisible(not narrow)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction("Save numbers as CSV ...", lambda: self._save("CSV table (*.csv)", ".csv", self.export_csv))
        menu.addAction("Save picture as PNG ...", lambda: self._save("Picture (*.png)", ".png", self.export_png))
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        menu = self.menu_button.menu()
        if event is not None and menu is not None:
            menu.popup(QPoint(event.globalPos()))

    def _save(self, kind: str, ending: str, write: Callable[[Path], None]) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save", f"curves{ending}", kind)
        if not name:
            return
        path = Path(name)
        try:
            write(path if path.suffix else path.with_suffix(ending))
        except OSError as error:
            QMessageBox.warning(self, "Not saved", f"'{path}' cannot be written: {error.strerror or error}.")


def _same_line(one: Curve, other: Curve) -> bool:
    return np.array_equal(one.x, other.x) and np.allclose(one.y, other.y)


def _side(title: QWidget, legend: LaneLegend, plot: CurvePlot, key: QWidget | None) -> QWidget:
    side = QWidget()
    head = QHBoxLayout()
    head.setSpacing(8)
    legend.setMinimumHeight(QComboBox().sizeHint().height())  # so that both plots begin at one height
    head.addWidget(title)
    head.addWidget(legend, 1)
    layout = QVBoxLayout(side)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    layout.addLayout(head)
    if key is not None:
        layout.addWidget(key)
    layout.addWidget(plot, 1)
    return side


def _compact_box(items: dict[str, str], tip: str) -> QComboBox:
    box = QComboBox()
    for key, text in items.items():
        box.addItem(text, key)
    box.setToolTip(tip)
    box.setAccessibleName(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    with QSignalBlocker(box):
        box.setCurrentIndex(0)
    return box


def _button(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setAutoRaise(True)
    return button


def _share_text(value: float) -> str:
    """In three places; chance among thousands of classes is small and yet not nothing."""
    return "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"
