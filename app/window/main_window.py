"""The window: puts the parts together and carries what the bridge drains to the views."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QPoint, Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QResizeEvent,
    QShowEvent,
)
from PyQt6.QtWidgets import QApplication, QDockWidget, QMainWindow, QMenu, QMessageBox, QStatusBar, QVBoxLayout, QWidget

import hnm_core
from app import style
from app.history.news import news
from app.history.pending import Pending, pending
from app.history.playback import Past
from app.history.words import changes_in_words
from app.limits import MAX_PANES, check_lanes
from app.panels.command_palette import CommandPalette
from app.panels.experiment_form import ExperimentForm
from app.panels.figures import Figures
from app.panels.fork_dialog import ForkDialog
from app.panels.notices import About, Banner
from app.picture.theme import Theme, theme
from app.stage.stage import Stage
from app.window import actions
from app.window.bridge import RunBridge
from app.window.errors import BugReporter, write_report
from app.window.file_actions import FileActions
from app.window.jobs import Jobs
from app.window.preparation import Preparation
from app.window.run_controls import RunControls, run_text
from app.window.settings import Settings, data_dir
from hnm_core.errors import InputError
from hnm_core.run.channel import Drained
from hnm_core.run.events import Alarm, LaneForked, RunFailed, RunState
from hnm_core.run.history import RunHistory
from hnm_core.spec import compatibility
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.resources import preset_names, preset_path

CURVES_MS = 125
FIGURES_S = 0.25
CLOSE_LIMIT_S = 20.0
FORM_WIDTH = 270
LOW_PX = 700
"""Below this height what to look for is one line."""
MAX_BANNER_LINES = 3
HINT = "Press Space to train"
CURVES_TITLE, AUDIT_TITLE = "Loss and quality", "Audit: what would be mined"


class MainWindow(QMainWindow):
    """`closed` is emitted once, when everything behind the window has ended.

    Args:
        config: the experiment to show first.
        preset: name of the preset it came from, if any.
        bridge: runs it.
        jobs, bugs, preparation, settings: see their modules; without `preparation` everything counts as ready.
        new_folder: a folder to record the run titled so into; None records nothing.
    """

    closed = pyqtSignal()

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        bridge: RunBridge,
        jobs: Jobs,
        bugs: BugReporter,
        settings: Settings,
        preparation: Preparation | None = None,
        preset: str = "",
        new_folder: Callable[[str], Path] | None = None,
    ) -> None:
        super().__init__()
        self.bridge, self.jobs, self.bugs = bridge, jobs, bugs
        self._settings, self._preparation, self._new_folder = settings, preparation, new_folder
        self.config = config
        self.theme: Theme = theme(settings.text("theme") or style.system_theme())
        self._after_stop: Callable[[], None] | None = None
        self._closing_since: float | None = None
        self._may_close = False
        self._last_tick = time.perf_counter()
        self._docks_placed = False
        self._shown = False  # whether the form holds an experiment yet

        self.files = FileActions(self)
        self.actions_by_key = actions.build(self, self._handlers(), self.theme.text)
        self._build(preset)
        self._connect()
        self.set_theme(self.theme)
        self.set_experiment(config, preset)
        self._show_state(bridge.state)

    # Building

    def _build(self, preset: str) -> None:
        self.setWindowTitle("HNM Lab")
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        actions.fill_menus(self, self.actions_by_key)
        self.controls = RunControls(self.actions_by_key, preset_names(), self)
        self.controls.set_preset(preset)
        self.addToolBar(self.controls)

        self.banner, self.about = Banner(), About()
        bar = QStatusBar()
        self.setStatusBar(bar)
        self.stage = Stage(self.theme, Figures(bar), self)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget, stretch in ((self.banner, 0), (self.about, 0), (self.stage.panes, 1), (self.stage.timeline, 0)):
            layout.addWidget(widget, stretch)
        self.setCentralWidget(centre)
        centre.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        centre.setFocus()  # else keys meant for a button that waits, as Space while a run starts, open the preset list

        self.form = ExperimentForm()
        left = self._dock("Experiment", "experiment", self.form, Qt.DockWidgetArea.LeftDockWidgetArea)
        curves = self._dock(CURVES_TITLE, "curves", self.stage.charts, Qt.DockWidgetArea.BottomDockWidgetArea)
        self.stage.charts.currentChanged.connect(
            lambda place: curves.setWindowTitle(AUDIT_TITLE if place else CURVES_TITLE)
        )
        timing = self._dock("Time of a step", "timing", self.stage.timing, Qt.DockWidgetArea.BottomDockWidgetArea)
        self.splitDockWidget(curves, timing, Qt.Orientation.Horizontal)
        self.form.setMinimumWidth(FORM_WIDTH)
        for shortcut in self.form.shortcuts:
            shortcut.setEnabled(False)  # undo and redo are actions here, with the same keys for the whole window
        self._docks = (left, curves, timing)

    def _dock(self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(content)
        self.addDockWidget(area, dock)
        bar = self.menuBar()
        menu = next(action.menu() for action in (bar.actions() if bar else []) if action.text() == "&View")
        if menu is not None:
            menu.addAction(dock.toggleViewAction())
        return dock

    def _connect(self) -> None:
        self.bridge.ticked.connect(self._on_tick)
        self.bridge.state_changed.connect(self._show_state)
        self.bugs.reported.connect(self._on_bug)
        self.jobs.started.connect(lambda title: self.say(f"{title} ..."))
        self.jobs.progressed.connect(self._on_job_progress)
        self.jobs.ended.connect(self._on_job_ended)
        self.controls.preset_chosen.connect(lambda name: self.attempt(lambda: self.choose_preset(name)))
        self.controls.rate_chosen.connect(self.bridge.set_rate)
        self.controls.colour_chosen.connect(self.stage.panes.set_color_by)
        self.form.config_changed.connect(self._on_form)
        self.stage.panes.menu_requested.connect(self._open_lane_menu)
        self.form.apply_asked.connect(self.actions_by_key["apply"].trigger)
        self.stage.problem.connect(self.banner.show_notice)
        self.stage.timeline.play_toggled.connect(lambda _playing: self._show_state(self.bridge.state))
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._on_system_theme)
        if self._preparation is not None:
            self.stage.panes.set_ready(False)
            self._preparation.renderer_ready.connect(lambda: self.stage.panes.set_ready(True))

    def _handlers(self) -> dict[str, Callable[..., None]]:
        """Every row of the actions table. What a user can get wrong goes through `attempt`."""
        tried: dict[str, Callable[[], None]] = {
            "open_recording": self.files.open_recording,
            "open_data": self.files.open_data,
            "open_config": self.files.open_config,
            "save_config": self.files.save_config,
            "save_recording": self.files.save_recording,
            "render_video": self.files.render_video,
            "screenshot": self.files.screenshot,
            "toggle_run": self.toggle_run,
            "step": self.one_step,
            "apply": self.apply_changes,
            "fork": self.fork_lane,
        }
        return {
            **{key: (lambda work=work: self.attempt(work)) for key, work in tried.items()},
            "quit": self.close,
            "reset": self.reset,
            "undo": self.undo,
            "redo": self.redo,
            "orbit": lambda _on: None,
            "edges": lambda on: self.stage.panes.set_edges(on),
            "link": lambda on: self.stage.panes.set_linked(on),
            "fit": lambda: self.stage.panes.follow(),
            "live": lambda: self.stage.go_live(),
            "theme": self.toggle_theme,
            "follow_system": self.follow_system,
            "palette": self.open_palette,
            "report_folder": _open_reports,
            "about": self.show_about,
        }

    # What the user asks for

    def attempt(self, work: Callable[[], None]) -> None:
        """Do something the user may have got wrong; then say so and change nothing."""
        try:
            work()
        except InputError as error:
            self.banner.show_notice(str(error))
        except OSError as error:
            self.banner.show_notice(f"{error.filename or 'The file'} cannot be used: {error.strerror or error}.")

    def choose_preset(self, name: str) -> None:
        """Stop what runs and show a preset."""
        chosen = configuration.load(preset_path(name))
        self.reset(lambda: self.set_experiment(chosen, name))

    def set_experiment(self, config: ExperimentConfig, preset: str = "") -> None:
        """Show another experiment, ready to be trained. Raises `InputError`: too many lanes, or a run is on."""
        check_lanes(config)
        if self.bridge.active:
            raise InputError("A run is on. Press R to reset it, then open the file again.")
        replaces = self._shown and config != self.form.config()
        self.config, self._shown = config, True
        self.form.set_config(config, undoable=replaces)
        if replaces:
            self.say("Undo (Ctrl+Z) brings back the experiment from before.")
        self.controls.set_preset(preset)
        self._clear()

    def toggle_run(self) -> None:
        """Start, pause or go on; of a recording, play or stand still."""
        state = self.bridge.state
        if self.stage.replaying:
            self.stage.timeline.set_playing(not self.stage.timeline.playing)
        elif state is RunState.RUNNING:
            self.bridge.pause()
        elif state is RunState.PAUSED:
            self.bridge.resume()
        elif not self.bridge.active:
            self.start()

    def one_step(self) -> None:
        """One step of every lane, or the next frame of a recording."""
        state = self.bridge.state
        if self.stage.replaying:
            self.stage.next_frame()
        elif state in (RunState.RUNNING, RunState.PAUSED):
            self.bridge.step()
        elif not self.bridge.active:
            self.start(paused=True)
            self.bridge.step()

    def start(self, *, paused: bool = False) -> None:
        """Train what the form says. Raises `InputError` when that cannot be."""
        if self._closing_since is not None:
            return
        if refusal := self.form.refusal():
            raise InputError(refusal)
        self.config = self.form.config()
        check_lanes(self.config)
        compatibility.refuse(compatibility.check(self.config))
        folder = self._new_folder(self.config.title or self.config.data.name) if self._new_folder else None
        self._clear()
        self.stage.folder = folder
        self.bridge.start(self.config, folder, paused=paused)

    def apply_changes(self) -> None:
        """Let the lanes of the run take up what the form says otherwise, as far as that is possible while they train.

        Raises:
            InputError: the form as it stands is no experiment, or its options do not go together.
        """
        if refusal := self.form.refusal():
            raise InputError(refusal)
        found = self._pending(self.form.config())
        if found.problem:
            raise InputError(found.problem)
        self.banner.dismiss_notice()
        if found.changes:
            self.bridge.change(found.changes)
        elif self.bridge.active:
            self.say("The run is as the form says, but for what waits for the next start.")
        else:
            self.say("No run is on: Train starts what the form says.")

    def fork_lane(self, lane: str = "") -> None:
        """Ask how a new lane shall go on from where a lane of the run stands. Raises `InputError` if none can.

        The run stands still meanwhile, so that it does not end, or go far, while its user reads.
        """
        history = self.stage.history
        if self.bridge.state not in (RunState.RUNNING, RunState.PAUSED) or not history.running:
            if history.lanes:
                raise InputError(
                    "The run is over. A new lane goes on from one that trains: train again, and ask earlier."
                )
            raise InputError("A new lane goes on from one that trains, and none does. Start the run first (Space).")
        if len(history.lanes) >= MAX_PANES:
            raise InputError(f"The window shows at most {MAX_PANES} lanes, and there are as many.")
        if lane and lane not in history.running:
            raise InputError(f"Lane '{lane}' has ended, so nothing can go on from it.")
        configs = history.lane_configs()
        lanes = {name: configs[name] for name in history.running}
        dialog = ForkDialog(lanes, list(history.lanes), lane or history.running[0], self)
        dialog.chosen.connect(lambda *wish: self.attempt(lambda: self._fork(*wish)))
        if self.bridge.state is RunState.RUNNING:
            self.bridge.pause()
            dialog.finished.connect(self._go_on)
        dialog.open()

    def _fork(self, lane: str, new_lane: str, changes: Mapping[str, Any]) -> None:
        if not self.bridge.active:
            raise InputError(f"The run has ended, so nothing can go on from '{lane}'.")
        self.bridge.fork(lane, new_lane, changes)

    def _go_on(self) -> None:
        if self.bridge.state is RunState.PAUSED:
            self.bridge.resume()

    def _open_lane_menu(self, lane: str, at: QPoint) -> None:
        """What can be done with one lane."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(f"Continue from '{lane}' as a new lane ...", lambda: self.attempt(lambda: self.fork_lane(lane)))
        menu.popup(at)

    def _on_fork(self, fork: LaneForked) -> None:
        """The new lane has a card in the form, like any other."""
        self.form.add_lane(self.stage.history.lane_configs()[fork.lane])
        self.say(f"'{fork.lane}' goes on from '{fork.parent}' at step {fork.step:,}. Undo takes its card out again.")

    def _pending(self, config: ExperimentConfig) -> Pending:
        started = self.stage.history.started
        if not self.bridge.active or self.stage.replaying or started is None:
            return Pending()
        history = self.stage.history
        return pending(config, started.config, history.lane_configs(), history.running)

    def _show_pending(self) -> None:
        self.form.show_pending(self._pending(self.form.committed))

    def reset(self, then: Callable[[], None] | None = None) -> None:
        """Stop the run and go back to the start; `then` comes after it has ended."""
        self._after_stop = then or self._back_to_form
        if self.bridge.active:
            self.bridge.stop()
        else:
            self._finish_stop()

    def _back_to_form(self) -> None:
        self.config = self.form.config()
        self._clear()

    def undo(self) -> None:
        """Take back the last change of the experiment."""
        if self.form.can_undo:
            self.form.undo()
        else:
            self.say("There is nothing to undo.")

    def redo(self) -> None:
        """Do again what was taken back."""
        if self.form.can_redo:
            self.form.redo()
        else:
            self.say("There is nothing to redo.")

    def set_theme(self, chosen: Theme) -> None:
        """Give everything the look of a theme."""
        self.theme = chosen
        app = QApplication.instance()
        if isinstance(app, QApplication):
            style.apply(app, chosen)
        actions.paint_icons(self.actions_by_key, chosen.text)
        self._show_state(self.bridge.state)
        self.stage.set_theme(chosen)

    def toggle_theme(self) -> None:
        """Light becomes dark, dark becomes light, and stays so."""
        self.set_theme(theme("light" if self.theme.name == "dark" else "dark"))
        self._settings.keep("theme", self.theme.name)

    def follow_system(self) -> None:
        """Take the desktop's look, now and whenever it changes."""
        self._settings.keep("theme", "")
        self.set_theme(theme(style.system_theme()))

    def open_palette(self) -> None:
        """Show the command palette."""
        palette = CommandPalette(list(self.actions_by_key.values()), self)
        palette.move(self.mapToGlobal(self.rect().center()) - palette.rect().center())
        palette.show()

    def show_about(self) -> None:
        """Version, and what the picture means."""
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("About HNM Lab")
        box.setText(
            f"HNM Lab {hnm_core.__version__}\n\nHard negative mining made visible. Every point is an "
            "item in the embedding; lines join anchors to the negatives (red) and the positives (blue) mined for them."
        )
        box.open()

    def say(self, text: str) -> None:
        """A message at the bottom for some seconds."""
        bar = self.statusBar()
        if bar is not None:
            bar.showMessage(text, 8000)

    # What comes in

    def show_past(self, past: Past, history: RunHistory) -> None:
        """Show a recording instead of a run."""
        started = past.recording.started
        check_lanes(started.config)
        self.reset(lambda: self._enter_past(past, history))

    def _enter_past(self, past: Past, history: RunHistory) -> None:
        self._clear()
        config = past.recording.started.config
        self.about.say(config.title, config.about)
        self.stage.play(past, history)
        self._show_state(self.bridge.state)

    def _on_tick(self, drained: Drained) -> None:
        now = time.perf_counter()
        seconds, self._last_tick = now - self._last_tick, now
        training = self.bridge.state is RunState.RUNNING
        self.stage.take(drained, training=training, training_mb=self.bridge.training_mb)
        new = news(drained.events)
        if new.touches_form:
            self._show_pending()
        for event in new.told:
            match event:
                case RunFailed():
                    self._on_failure(event)
                case LaneForked():
                    self._on_fork(event)
                case Alarm():
                    self._on_alarm(event)
        if new.taken_up:
            self.say(changes_in_words(new.taken_up))
        if self.bridge.state is RunState.STARTING and self.bridge.loading:
            self.stage.panes.set_hint(f"Starting: {self.bridge.loading} ...")
        self.stage.advance(seconds, orbiting=self.actions_by_key["orbit"].isChecked())
        if drained.dropped_records:
            self.say(f"{drained.dropped_records:,} steps came too fast to be shown; the recording holds them.")
        if self._closing_since is not None:
            self._go_on_closing(now)

    def _on_alarm(self, alarm: Alarm) -> None:
        """The timeline keeps all of them; only what ends a lane takes room in the window."""
        if alarm.code == "refused":
            self.banner.show_notice(alarm.message)
            return
        if alarm.level == "warning":
            self.say(f"{alarm.lane}: {alarm.message}")
        if not alarm.fatal:
            return
        text = f"Lane '{alarm.lane}' stopped at step {alarm.step:,}: {alarm.message}"
        report = (write_report(text, alarm.traceback) or "") if alarm.traceback else ""
        before = [] if self.banner.text == "" else self.banner.text.splitlines()
        lines = [*before, text][-MAX_BANNER_LINES:]
        self.banner.show_error("\n".join(lines), str(report))

    def _on_failure(self, failure: RunFailed) -> None:
        self.stage.panes.set_hint("The run could not go on: see above")
        if failure.traceback:  # a report for each, also where one run fails like the one before
            title = f"Training stopped: {failure.message}".rstrip(".")
            self._on_bug(title, str(write_report(title, failure.traceback) or ""))
        else:
            self.banner.show_error(failure.message)

    def _on_bug(self, title: str, report: str) -> None:
        self.banner.show_error(f"{title}. This is a fault of the program; you can go on working.", report)

    def _on_form(self, config: ExperimentConfig) -> None:
        if self.bridge.active or self.stage.replaying:
            self._show_pending()
            return
        self.attempt(lambda: check_lanes(config))
        before, self.config = self.config, config
        self.controls.set_preset("")
        lanes = [lane.name for lane in config.lanes]
        about = (config.title, config.about) != (before.title, before.about)
        if (about or self.stage.panes.lanes != lanes) and self.bridge.state is RunState.IDLE:
            self._clear()

    def _on_system_theme(self) -> None:
        if not self._settings.text("theme"):
            self.set_theme(theme(style.system_theme()))

    def _on_job_progress(self, title: str, done: int, total: int) -> None:
        self.say(f"{title}: {100 * done // total} %" if total else f"{title} ...")

    def _on_job_ended(self, title: str, outcome: str) -> None:
        if outcome == "cancelled":
            self.say(f"{title}: called off")
        elif outcome:
            self.banner.show_notice(f"{title}: {outcome}")

    # What is shown

    def _clear(self) -> None:
        """Empty panes that say what to do."""
        self.stage.clear(self.config, HINT)
        self.about.say(self.config.title, self.config.about)
        self.setWindowTitle(f"{self.config.title or self.config.data.name} - HNM Lab")
        self._show_state(self.bridge.state)

    def _show_state(self, state: RunState) -> None:
        text, icon_name = run_text(state, replaying=self.stage.replaying, playing=self.stage.timeline.playing)
        run = self.actions_by_key["toggle_run"]
        run.setText(text)
        run.setIconText(text)  # by itself it would lose the dots of "Starting ..."
        dark = self.theme.name == "dark"
        run.setIcon(style.icon(icon_name, self.theme.cloud_bottom if dark else (255, 255, 255)))
        closing = self._closing_since is not None
        run.setEnabled(not closing and state not in (RunState.STARTING, RunState.STOPPING))
        self.actions_by_key["step"].setEnabled(run.isEnabled())
        self.actions_by_key["reset"].setEnabled(not closing and state is not RunState.STOPPING)
        self.form.set_running(self.bridge.active)
        self._show_pending()
        if state is RunState.STARTING:
            self.stage.panes.set_hint("Starting ...")
        elif state is RunState.STOPPING:
            self.say("Stopping ...")
        if not self.bridge.active and self._after_stop is not None:
            self._finish_stop()

    def _finish_stop(self) -> None:
        then, self._after_stop = self._after_stop, None
        if then is not None:
            self.say("")  # no longer "Stopping ..."
            self.bridge.forget()
            self.attempt(then)

    # Showing and closing

    def restore(self, *, keep_size: bool = False) -> None:
        """Put the window and its docks where they were the last time; the window itself stays with `keep_size`."""
        geometry, state = self._settings.blob("geometry"), self._settings.blob("docks")
        if geometry is not None and not keep_size:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state)
        self._docks_placed = state is not None

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Files are welcome."""
        data = event.mimeData() if event is not None else None
        if event is not None and data is not None and any(url.isLocalFile() for url in data.urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take the first file."""
        data = event.mimeData() if event is not None else None
        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()] if data is not None else []
        if event is not None and paths:
            event.acceptProposedAction()
            self.attempt(lambda: self.files.take(paths[0]))

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Not yet: first everything behind the window ends, in order, while its mailbox is still emptied."""
        if event is None or self._may_close:
            return
        event.ignore()
        if self._closing_since is None:
            self._closing_since = time.perf_counter()
            self._after_stop = None
            self._settings.keep("geometry", self.saveGeometry())
            self._settings.keep("docks", self.saveState())
            self.stage.close()
            self.stage.panes.set_hint("Stopping ...")
            self.say("Stopping ...")
            self.bridge.stop()
            self.jobs.cancel()
            if self._preparation is not None:
                self._preparation.cancel()
            self._show_state(self.bridge.state)  # the ticks go on, and one of them closes for good

    def _go_on_closing(self, now: float) -> None:
        busy = self.bridge.active or self.jobs.busy or (self._preparation is not None and self._preparation.busy)
        if self._closing_since is None or (busy and now - self._closing_since < CLOSE_LIMIT_S):
            return
        self._may_close = True
        self.bridge.close()
        self.close()
        self.closed.emit()

    def _place_docks(self) -> None:
        """The form as wide as it needs, the curves a quarter of the height and wider than the times beside them."""
        form, curves, timing = self._docks
        self.resizeDocks([form], [max(FORM_WIDTH, min(320, self.width() // 4))], Qt.Orientation.Horizontal)
        self.resizeDocks([curves, timing], [self.height() // 4] * 2, Qt.Orientation.Vertical)
        self.resizeDocks([curves, timing], [600, 400], Qt.Orientation.Horizontal)

    def figures_of_run(self) -> dict[str, Any]:
        """The numbers of `--stats`."""
        return self.stage.stats.result(
            threads=self.config.threads,
            points=self.stage.points,
            window=(self.width(), self.height()),
            training_mb=self.stage.peak_training_mb,
        )

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """A low window keeps its height for the clouds."""
        super().resizeEvent(event)
        self.about.set_brief(self.height() < LOW_PX)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Start preparing as soon as there is something to look at."""
        super().showEvent(event)
        if not self._docks_placed:
            self._docks_placed = True
            QTimer.singleShot(0, self._place_docks)
        if self._preparation is not None and not self._preparation.begun:
            QTimer.singleShot(50, self._preparation.start)


def _open_reports() -> None:
    folder = data_dir() / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
