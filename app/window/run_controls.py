"""The toolbar: which preset, run, pause, step, how fast, what colours mean, and the actions of the table."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QFont, QFontMetrics
from PyQt6.QtWidgets import QComboBox, QToolBar, QToolButton, QWidget

from app.picture.slow_motion import SECONDS
from app.picture.theme import Theme
from app.plain import Label, plain_tip
from app.style import icon
from app.window.actions import TOOLBAR
from hnm_core.run.events import POINT_COLUMNS, RunStarted, RunState
from hnm_core.run.shown import has_several_labels
from hnm_core.spec.data_files import WITHOUT

OWN = "own settings"
TIP = int(Qt.ItemDataRole.ToolTipRole)
NAME = int(Qt.ItemDataRole.UserRole) + 1
"""Of an entry that is a label its whole name."""
BUTTON_PADDING_PX = 44
"""Beside the icon and the text of the button that starts: what the style sheet and the style add."""

PHASE_BY_PHASE = "slow motion"
PAUSE_S = 0.6
"""Between two steps that are shown phase by phase."""

SPEEDS: tuple[tuple[str, float | None], ...] = (
    ("full speed", None),
    ("100 steps/s", 100.0),
    ("20 steps/s", 20.0),
    ("5 steps/s", 5.0),
    ("1 step/s", 1.0),
    (PHASE_BY_PHASE, 1 / (SECONDS + PAUSE_S)),
)

COLOURS = (("class", "class"), ("label", "label"), *((name.replace("_", " "), name) for name in POINT_COLUMNS))
COLOURS_OF_LABELS = (("rarest label", "class"), *COLOURS[2:])
"""Where items have several labels each; beside these each label can be chosen."""
LABEL_LETTERS = 16
"""Of a label in the list of colours: the toolbar has no room for more."""
COLOURS_SEEN = 24
"""Without scrolling."""


class RunControls(QToolBar):
    """`preset_chosen(name)`, `rate_chosen(float | None)` in rounds a second, `slow_motion_chosen(bool)`: whether a step
    is to be shown phase by phase, `colour_chosen(name)`, `colour_label_chosen(label)` by which alone points are to be
    coloured."""

    preset_chosen = pyqtSignal(str)
    rate_chosen = pyqtSignal(object)
    slow_motion_chosen = pyqtSignal(bool)
    colour_chosen = pyqtSignal(str)
    colour_label_chosen = pyqtSignal(int)

    def __init__(self, actions: Mapping[str, QAction], presets: list[str], parent: QWidget | None = None) -> None:
        super().__init__("Controls", parent)
        self.setObjectName("controls")
        self.setMovable(False)
        self.setIconSize(QSize(18, 18))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self._run, self._step, self._reset = actions["toggle_run"], actions["step"], actions["reset"]

        self.preset = _combo(
            "Preset: an experiment that shows something", [(OWN, ""), *((name, name) for name in presets)]
        )
        self.preset.activated.connect(self._on_preset)
        self.addWidget(self.preset)
        self.addAction(actions["gallery"])
        for group in TOOLBAR:
            for key in group:
                self.addAction(actions[key])
            if group[0] == "toggle_run":
                self.speed = _combo("Speed of training; slow enough to watch single steps", SPEEDS)
                self.speed.activated.connect(self._on_speed)
                self.addWidget(self.speed)
            if group[0] == "edges":
                self.addWidget(Label("  Colour "))
                self.colour = _combo("What the colours of the points mean", COLOURS)
                self.colour.setMaxVisibleItems(COLOURS_SEEN)
                self.colour.activated.connect(self._on_colour)
                self._label = ""
                self.addWidget(self.colour)
            if group is not TOOLBAR[-1]:
                self.addSeparator()
        button = self.widgetForAction(self._run)
        assert isinstance(button, QToolButton)
        button.setObjectName("primary")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFixedWidth(_widest(button) + self.iconSize().width() + BUTTON_PADDING_PX)  # else the rest would jump

    def set_preset(self, name: str) -> None:
        """Show which preset the experiment came from; empty for settings of the user's own."""
        self.preset.setCurrentIndex(max(self.preset.findData(name), 0))

    def show_colours(self, started: RunStarted | None) -> None:
        """What the points of a run can be coloured by, which begins; the choice stays what it was where it can."""
        of_labels = started is not None and has_several_labels(started)
        before = self.colour.currentData()
        self.colour.clear()
        for text, name in COLOURS_OF_LABELS if of_labels else COLOURS:
            self.colour.addItem(text, name)
        if started is not None and started.several is not None:
            self.colour.insertSeparator(self.colour.count())
            for label, name in enumerate(started.class_names):
                if name != WITHOUT:
                    self._add_label(label, name)
        if started is None:
            self.colour.setCurrentIndex(max(self.colour.findData(before), 0))
        elif self._label:
            names = started.class_names if started.several is not None else ()
            label = names.index(self._label) if self._label in names else -1
            self.colour.setCurrentIndex(max(self.colour.findData(label), 0))
            self._on_colour(self.colour.currentIndex())
        else:
            self.colour.setCurrentIndex(max(self.colour.findData(before), 0))

    def _add_label(self, label: int, name: str) -> None:
        short = name if len(name) <= LABEL_LETTERS else f"{name[: LABEL_LETTERS - 1]}…"
        self.colour.addItem(short, label)
        self.colour.setItemData(self.colour.count() - 1, plain_tip(f"Which points have the label {name}"), TIP)
        self.colour.setItemData(self.colour.count() - 1, name, NAME)

    def show_state(self, state: RunState, theme: Theme, *, replaying: bool, playing: bool, closing: bool) -> None:
        """What the button that starts and pauses says, and what can be pressed."""
        text, icon_name = run_text(state, replaying=replaying, playing=playing)
        self._run.setText(text)
        self._run.setIconText(text)  # by itself it would lose the dots of "Starting ..."
        self._run.setIcon(icon(icon_name, theme.cloud_bottom if theme.name == "dark" else (255, 255, 255)))
        self._run.setEnabled(not closing and state not in (RunState.STARTING, RunState.STOPPING))
        self._step.setEnabled(self._run.isEnabled())
        self._reset.setEnabled(not closing and state is not RunState.STOPPING)

    def _on_colour(self, place: int) -> None:
        chosen = self.colour.itemData(place)
        self._label = self.colour.itemData(place, NAME) or ""
        if isinstance(chosen, int):
            self.colour_label_chosen.emit(chosen)
        else:
            self.colour_chosen.emit(chosen)

    def _on_speed(self, place: int) -> None:
        name, rate = SPEEDS[place]
        self.slow_motion_chosen.emit(name == PHASE_BY_PHASE)
        self.rate_chosen.emit(rate)

    def _on_preset(self, place: int) -> None:
        name = self.preset.itemData(place)
        if name:
            self.preset_chosen.emit(name)


def _widest(button: QToolButton) -> int:
    """Of all that the button ever says, in the weight the style sheet gives it."""
    bold = QFont(button.font())
    bold.setWeight(QFont.Weight.DemiBold)
    metrics = QFontMetrics(bold)
    texts = [run_text(state, replaying=False, playing=False)[0] for state in RunState]
    return max(metrics.horizontalAdvance(text) for text in texts)


def run_text(state: RunState, *, replaying: bool, playing: bool) -> tuple[str, str]:
    """Text and icon of the one button that starts, pauses and goes on."""
    if replaying:
        return ("Pause", "pause") if playing else ("Play", "play")
    return {
        RunState.STARTING: ("Starting ...", "pause"),
        RunState.RUNNING: ("Pause", "pause"),
        RunState.PAUSED: ("Go on", "play"),
        RunState.STOPPING: ("Stopping ...", "pause"),
        RunState.FINISHED: ("Train again", "play"),
        RunState.FAILED: ("Train again", "play"),
    }.get(state, ("Train", "play"))


def _combo(tip: str, items: list[tuple[str, str]] | tuple[tuple[str, object], ...]) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    for text, data in items:
        combo.addItem(text, data)
    return combo
