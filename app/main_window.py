"""The window: puts the parts together and carries what the bridge drains to the views."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices, QDragEnterEvent, QDropEvent, QGuiApplication, QShowEvent
from PyQt6.QtWidgets import QApplication, QDockWidget, QMainWindow, QMessageBox, QStatusBar, QVBoxLayout, QWidget

import hnm_core
from app import actions, style
from app.bridge import RunBridge
from app.errors import BugReporter
from app.file_actions import FileActions
from app.history import RunHistory, chip_text
from app.jobs import Jobs
from app.limits import check_lanes
from app.panels.command_palette import CommandPalette
from app.panels.experiment_form import ExperimentForm
from app.panels.figures import Figures
from app.panels.notices import About, Banner
from app.panels.run_controls import RunControls, run_text
from app.panes import PaneGrid
from app.playback import Past
from app.preparation import Preparation
from app.settings import Settings, data_dir
from app.stats import FrameStats
from app.theme import Theme, theme
from app.views.curves_view import CurvesView
from app.views.timeline_view import TimelineView
from app.views.timing_view import TimingView
from hnm_core import config as configuration
from hnm_core.channel import Drained
from hnm_core.config import ExperimentConfig
from hnm_core.errors import InputError
from hnm_core.events import Frame, RunFailed, RunStarted, RunState, StepRecord
from hnm_core.resources import preset_names, preset_path

CURVES_MS = 125
FIGURES_S = 0.25
CLOSE_LIMIT_S = 20.0
FORM_WIDTH = 270
HINT = "Press Space to train"


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
        self.stats = FrameStats(self)
        self.history = RunHistory()
        self.config = config
        self.theme: Theme = theme(settings.text("theme") or style.system_theme())
        self.run_folder: Path | None = None
        self._started: RunStarted | None = None
        self._latest: dict[str, Frame] = {}
        self._past: Past | None = None
        self._replaying = False
        self._step: int | None = None  # what is shown of the past; None is live
        self._shown_step: int | None = None
        self._after_stop: Callable[[], None] | None = None
        self._closing_since: float | None = None
        self._may_close = False
        self._history_rows = -1
        self._last_tick = time.perf_counter()
        self._rates = (self._last_tick, 0, 0)
        self._figures_at = 0.0
        self._docks_placed = False
        self._curves_timer = QTimer(self, interval=CURVES_MS)

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
        self.panes = PaneGrid(self.theme)
        self.timeline = TimelineView()
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget, stretch in ((self.banner, 0), (self.about, 0), (self.panes, 1), (self.timeline, 0)):
            layout.addWidget(widget, stretch)
        self.setCentralWidget(centre)

        self.form, self.curves, self.timing = ExperimentForm(), CurvesView(), TimingView()
        left = self._dock("Experiment", "experiment", self.form, Qt.DockWidgetArea.LeftDockWidgetArea)
        curves = self._dock("Loss and quality", "curves", self.curves, Qt.DockWidgetArea.BottomDockWidgetArea)
        timing = self._dock("Time of a step", "timing", self.timing, Qt.DockWidgetArea.BottomDockWidgetArea)
        self.splitDockWidget(curves, timing, Qt.Orientation.Horizontal)
        self.form.setMinimumWidth(FORM_WIDTH)
        self._docks = (left, curves, timing)

        bar = QStatusBar()
        self.setStatusBar(bar)
        self.figures = Figures(bar)

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
        self.controls.colour_chosen.connect(self.panes.set_color_by)
        self.form.config_changed.connect(self._on_form)
        self.panes.point_hovered.connect(self._on_hover)
        self.panes.point_clicked.connect(lambda point: self.panes.select(point if point >= 0 else None))
        self.timeline.scrubbed.connect(self.scrub)
        self.timeline.live_requested.connect(self.go_live)
        self.timeline.play_toggled.connect(lambda _playing: self._show_state(self.bridge.state))
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._on_system_theme)
        if self._preparation is not None:
            self.panes.set_ready(False)
            self._preparation.renderer_ready.connect(lambda: self.panes.set_ready(True))
            self._preparation.engine_ready.connect(lambda: self._show_state(self.bridge.state))
        self._curves_timer.timeout.connect(self._show_curves)
        self._curves_timer.start()

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
        }
        return {
            **{key: (lambda work=work: self.attempt(work)) for key, work in tried.items()},
            "quit": self.close,
            "reset": self.reset,
            "orbit": lambda _on: None,
            "edges": lambda on: self.panes.set_edges(on),
            "link": lambda on: self.panes.set_linked(on),
            "fit": lambda: self.panes.follow(),
            "live": self.go_live,
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
        self.config = config
        self.form.set_config(config)
        self.controls.set_preset(preset)
        if preset:
            self._settings.keep("preset", preset)
        self._clear()

    def toggle_run(self) -> None:
        """Start, pause or go on; of a recording, play or stand still."""
        state = self.bridge.state
        if self._replaying:
            self.timeline.set_playing(not self.timeline.playing)
        elif state is RunState.RUNNING:
            self.bridge.pause()
        elif state is RunState.PAUSED:
            self.bridge.resume()
        elif not self.bridge.active:
            self.start()

    def one_step(self) -> None:
        """One step of every lane, or the next frame of a recording."""
        state = self.bridge.state
        if self._replaying:
            self.timeline.set_playing(False)
            self._seek(self._past.next_step(self.timeline.step) if self._past is not None else None)
        elif state in (RunState.RUNNING, RunState.PAUSED):
            self.bridge.step()
        elif not self.bridge.active:
            self.start(paused=True)
            self.bridge.step()

    def start(self, *, paused: bool = False) -> None:
        """Train what the form says. Raises `InputError` when that cannot be."""
        if self._closing_since is not None:
            return
        self.config = self.form.config()
        check_lanes(self.config)
        self.run_folder = self._new_folder(self.config.title or self.config.data.name) if self._new_folder else None
        self._clear(keep_folder=True)
        self.panes.set_hint("Starting ...")
        self.bridge.start(self.config, self.run_folder, paused=paused)

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

    def set_theme(self, chosen: Theme) -> None:
        """Give everything the look of a theme."""
        self.theme = chosen
        app = QApplication.instance()
        if isinstance(app, QApplication):
            style.apply(app, chosen)
        actions.paint_icons(self.actions_by_key, chosen.text)
        self._show_state(self.bridge.state)
        for view in (self.panes, self.curves, self.timing, self.timeline):
            view.set_theme(chosen)
        self._history_rows = -1

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

    # The past

    def scrub(self, step: int) -> None:
        """The timeline was moved: show the run as it was at `step`, with the next tick; training goes on."""
        if self._started is not None and (self.run_folder is not None or self._past is not None):
            self._step = step
            self._history_rows = -1

    def _seek(self, step: int | None) -> None:
        """Move the timeline, and the picture with it."""
        if step is not None:
            self.timeline.set_live(False)
            self.timeline.set_step(step)
            self.scrub(step)

    def go_live(self) -> None:
        """Show the newest frame again."""
        if self._replaying and self._past is not None:
            self._seek(self._past.last_step)
            return
        self._step = self._shown_step = None
        self.timeline.set_live(True)
        for frame in self._latest.values():
            self.panes.show_frame(frame)
        self._history_rows = -1

    def show_past(self, past: Past, history: RunHistory) -> None:
        """Show a recording instead of a run."""
        started = past.recording.started
        check_lanes(started.config)
        self.reset(lambda: self._enter_past(past, history))

    def _enter_past(self, past: Past, history: RunHistory) -> None:
        self._clear()
        self.history, self._past, self.run_folder = history, past, past.recording.folder
        self._replaying = True
        self._begin(past.recording.started, "This recording holds no clouds")
        self.form.set_running(True)
        self.timeline.set_range(history.last_step)
        self._seek(0)
        self.timeline.set_playing(True)

    def _show_the_past(self) -> None:
        """Bring the panes to `_step`, from the files."""
        if self._step is None or self._step == self._shown_step:
            return
        try:
            if self._past is None and self.run_folder is not None:
                self._past = Past.of(self.run_folder)
            if self._past is None:
                return
            if not self._replaying:
                self._past.recording.refresh()
            for frame in self._past.frames_at(self._step):
                self.panes.show_frame(frame)
        except InputError as error:
            self.banner.show_notice(str(error))
        self._shown_step = self._step

    # What comes in

    def _on_tick(self, drained: Drained) -> None:
        now = time.perf_counter()
        seconds, self._last_tick = now - self._last_tick, now
        for event in drained.events:
            if isinstance(event, RunStarted):
                self._begin(event)
            self.history.add(event)
            if isinstance(event, StepRecord):
                self.stats.count_step(event.lane)
            elif isinstance(event, RunFailed):
                self._on_failure(event)
        self.stats.tick(self.panes.views, training=self.bridge.state is RunState.RUNNING)
        for frame in drained.frames:
            self._latest[frame.lane] = frame
            if self._step is None:
                self.panes.show_frame(frame)
        self._show_the_past()
        if now - self._figures_at >= FIGURES_S:  # in a tick, so that chips cause no picture of their own
            self._figures_at = now
            self._show_figures()
        self.panes.advance(min(seconds, 0.1), orbiting=self.actions_by_key["orbit"].isChecked())
        if drained.dropped_records:
            self.say(f"{drained.dropped_records:,} steps came too fast to be shown; the recording holds them.")
        if self._closing_since is not None:
            self._go_on_closing(now)

    def _begin(self, started: RunStarted, hint: str = "Waiting for the first picture ...") -> None:
        self._started = started
        self._latest = {}
        self.panes.begin(started, hint)
        self.about.say(started.config.title, started.config.about)
        self.figures.set_device(started.versions.get("device", ""), started.config.threads)
        self._history_rows = -1

    def _on_failure(self, failure: RunFailed) -> None:
        self.panes.set_hint("The run could not go on: see above")
        if failure.traceback:
            self.bugs.report(f"Training stopped: {failure.message}", failure.traceback)
        else:
            self.banner.show_error(failure.message)

    def _on_bug(self, title: str, report: str) -> None:
        self.banner.show_error(f"{title}. This is a fault of the program; you can go on working.", report)

    def _on_hover(self, point: int) -> None:
        started = self._started
        row = int(started.ids.searchsorted(point)) if started is not None and point >= 0 else -1
        if started is None or row < 0 or row >= len(started.ids) or started.ids[row] != point:
            self.figures.set_point("")
            return
        label = int(started.labels[row])
        name = started.class_names[label] if label < len(started.class_names) else str(label)
        self.figures.set_point(f"point {point} · class {name}{' · held out' if started.held_out[row] else ''}")

    def _on_form(self, config: ExperimentConfig) -> None:
        if self.bridge.active or self._replaying:
            return
        self.attempt(lambda: check_lanes(config))
        self.config = config
        self.controls.set_preset("")
        if self.panes.lanes != [lane.name for lane in config.lanes] and self.bridge.state is RunState.IDLE:
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

    def _clear(self, *, keep_folder: bool = False) -> None:
        """Empty panes that say what to do."""
        self._started, self._past, self._latest = None, None, {}
        self._replaying = False
        self._step = self._shown_step = None
        if not keep_folder:
            self.run_folder = None
        self.history = RunHistory()
        self._history_rows = -1
        self.panes.show_lanes(tuple(lane.name for lane in self.config.lanes), HINT)
        self.about.say(self.config.title, self.config.about)
        self.timeline.set_range(0)
        self.timeline.set_live(True)
        self.setWindowTitle(f"{self.config.title or self.config.data.name} - HNM Lab")
        self.form.set_running(self.bridge.active)
        self._show_state(self.bridge.state)

    def _show_state(self, state: RunState) -> None:
        text, icon_name = run_text(state, replaying=self._replaying, playing=self.timeline.playing)
        run = self.actions_by_key["toggle_run"]
        run.setText(text)
        run.setIconText(text)  # by itself it would lose the dots of "Starting ..."
        dark = self.theme.name == "dark"
        run.setIcon(style.icon(icon_name, self.theme.cloud_bottom if dark else (255, 255, 255)))
        closing = self._closing_since is not None
        run.setEnabled(not closing and state not in (RunState.STARTING, RunState.STOPPING))
        self.actions_by_key["step"].setEnabled(run.isEnabled())
        self.actions_by_key["reset"].setEnabled(not closing and state is not RunState.STOPPING)
        self.form.set_running(self.bridge.active or self._replaying)
        if state is RunState.STARTING:
            self.panes.set_hint("Starting ...")
        elif state is RunState.STOPPING:
            self.say("Stopping ...")
        if not self.bridge.active and self._after_stop is not None:
            self._finish_stop()

    def _finish_stop(self) -> None:
        then, self._after_stop = self._after_stop, None
        if then is not None:
            self.bridge.forget()
            self.attempt(then)

    def _show_curves(self) -> None:
        rows = sum(len(lane) for lane in self.history.lanes.values())
        if rows == self._history_rows:
            return
        self._history_rows = rows
        self.curves.show_history(self.history, self._step)
        self.timeline.set_range(self.history.last_step)

    def _show_figures(self) -> None:
        self.timing.show_history(self.history, self._step)
        self.timeline.set_markers(self.history.markers)
        for name, lane in self.history.lanes.items():
            self.panes.set_chip(name, chip_text(lane.chip(self._step)))
        now, paints = time.perf_counter(), min((view.paint_count for view in self.panes.views), default=0)
        steps = sum(len(lane) for lane in self.history.lanes.values())
        then, paints_then, steps_then = self._rates
        if now - then >= 1.0:
            fps, rate = (paints - paints_then) / (now - then), (steps - steps_then) / (now - then)
            self.figures.set_rates(fps if fps > 0 else None, rate if rate > 0 else None)
            self._rates = (now, paints, steps)

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
            self.timeline.set_playing(False)
            self._settings.keep("geometry", self.saveGeometry())
            self._settings.keep("docks", self.saveState())
            self.stats.close()
            self.panes.set_hint("Stopping ...")
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
        self._curves_timer.stop()
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
        return self.stats.result(
            threads=self.config.threads,
            points=len(self._started.ids) if self._started is not None else 0,
            window=(self.width(), self.height()),
        )

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
