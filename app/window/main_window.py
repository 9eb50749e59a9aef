"""The window: makes its parts, puts them in their places and joins them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QMainWindow, QStatusBar, QVBoxLayout, QWidget

from app.panels.experiment_form import ExperimentForm
from app.panels.figures import Figures
from app.panels.notices import About, Banner
from app.picture.theme import Theme
from app.stage.stage import Stage
from app.window import actions, help_actions
from app.window.bridge import RunBridge
from app.window.closing import Closing
from app.window.docks import Docks
from app.window.errors import BugReporter
from app.window.file_actions import FileActions, dropped_files
from app.window.forks import Forks
from app.window.incoming import Incoming
from app.window.jobs import Jobs
from app.window.look import Look
from app.window.messages import Messages
from app.window.preparation import Preparation
from app.window.run_actions import RunActions
from app.window.run_controls import RunControls
from app.window.session import Session
from app.window.settings import Settings
from hnm_core.run.channel import Drained
from hnm_core.run.events import RunState
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.resources import preset_names

LOW_PX = 700
"""Below this height what to look for is one line."""


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
        self.bridge, self.jobs, self.preparation = bridge, jobs, preparation
        self._settings = settings
        self.look = Look(settings, self)
        bar = QStatusBar()
        self.banner, self.about = Banner(), About()
        self.form, self.stage = ExperimentForm(), Stage(self.look.theme, Figures(bar), self)
        form, stage = self.form, self.stage
        messages = self.messages = Messages(bar, self.banner)
        session = self.session = Session(
            config, bridge=bridge, form=form, stage=stage, about=self.about, messages=messages, parent=self
        )
        closing = self.closing = Closing(
            bridge=bridge, stage=stage, jobs=jobs, preparation=preparation, messages=messages, parent=self
        )
        self.files = FileActions(
            self, session=session, form=form, stage=stage, jobs=jobs, look=self.look, messages=messages
        )
        self.run = RunActions(
            session=session,
            closing=closing,
            bridge=bridge,
            form=form,
            stage=stage,
            messages=messages,
            new_folder=new_folder,
        )
        self.forks = Forks(self, bridge=bridge, form=form, stage=stage, messages=messages)
        self.actions_by_key = actions.build(self, self.handlers(), self.look.theme.text)
        self.incoming = Incoming(
            bridge=bridge,
            stage=stage,
            run=self.run,
            forks=self.forks,
            messages=messages,
            orbiting=self.actions_by_key["orbit"].isChecked,
        )
        self._lay_out(bar)
        self._connect(bugs)
        self.look.set(self.look.theme)
        session.set_experiment(config, preset)
        self.show_state()

    def _lay_out(self, bar: QStatusBar) -> None:
        self.setWindowTitle("HNM Lab")
        self.setAcceptDrops(True)
        menus = actions.fill_menus(self, self.actions_by_key)
        self.controls = RunControls(self.actions_by_key, preset_names(), self)
        self.addToolBar(self.controls)
        self.setStatusBar(bar)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget, stretch in ((self.banner, 0), (self.about, 0), (self.stage.panes, 1), (self.stage.timeline, 0)):
            layout.addWidget(widget, stretch)
        self.setCentralWidget(centre)
        centre.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        centre.setFocus()  # else keys meant for a button that waits, as Space while a run starts, open the preset list
        self.docks = Docks(self, menus["View"], self.form, self.stage)
        for shortcut in self.form.shortcuts:
            shortcut.setEnabled(False)  # undo and redo are actions here, with the same keys for the whole window

    def _connect(self, bugs: BugReporter) -> None:
        messages, session, panes = self.messages, self.session, self.stage.panes
        self.bridge.ticked.connect(self._on_tick)
        self.bridge.state_changed.connect(self._on_state)
        bugs.reported.connect(messages.bug)
        self.jobs.started.connect(messages.job_started)
        self.jobs.progressed.connect(messages.job_progressed)
        self.jobs.ended.connect(messages.job_ended)
        self.look.changed.connect(self._on_look)
        session.changed.connect(self._on_session)
        session.preset_changed.connect(self.controls.set_preset)
        self.closing.ended.connect(self._end)
        self.controls.preset_chosen.connect(lambda name: messages.attempt(lambda: session.choose_preset(name)))
        self.controls.rate_chosen.connect(self.bridge.set_rate)
        self.controls.colour_chosen.connect(panes.set_color_by)
        self.form.config_changed.connect(self.run.follow_form)
        self.form.apply_asked.connect(self.actions_by_key["apply"].trigger)
        panes.menu_requested.connect(self.forks.open_menu)
        self.stage.problem.connect(self.banner.show_notice)
        self.stage.timeline.play_toggled.connect(self.show_state)
        if self.preparation is not None:
            panes.set_ready(False)
            self.preparation.renderer_ready.connect(lambda: panes.set_ready(True))

    def handlers(self) -> dict[str, Callable[..., object]]:
        """Every row of the actions table. What a user can get wrong goes through `attempt`."""
        tried: dict[str, Callable[[], None]] = {
            "open_recording": self.files.open_recording,
            "open_data": self.files.open_data,
            "open_config": self.files.open_config,
            "save_config": self.files.save_config,
            "save_recording": self.files.save_recording,
            "render_video": self.files.render_video,
            "screenshot": self.files.screenshot,
            "toggle_run": self.run.toggle,
            "step": self.run.step,
            "apply": self.run.apply_changes,
            "fork": self.forks.ask,
        }
        return {
            **{key: (lambda work=work: self.messages.attempt(work)) for key, work in tried.items()},
            "quit": self.close,
            "reset": self.session.reset,
            "undo": self.session.undo,
            "redo": self.session.redo,
            "orbit": lambda _on: None,
            "edges": self.stage.panes.set_edges,
            "planes": self.stage.panes.set_planes,
            "link": self.stage.panes.set_linked,
            "same_scale": self.stage.panes.set_same_scale,
            "fit": self.stage.panes.follow,
            "live": self.stage.go_live,
            "theme": self.look.toggle,
            "follow_system": self.look.follow_system,
            "palette": lambda: help_actions.open_palette(self, self.actions_by_key.values()),
            "report_folder": help_actions.open_reports,
            "about": lambda: help_actions.show_about(self),
        }

    # What is shown

    def show_state(self) -> None:
        """Say everywhere where the run is, or the recording."""
        state, timeline = self.bridge.state, self.stage.timeline
        self.controls.show_state(
            state,
            self.look.theme,
            replaying=self.stage.replaying,
            playing=timeline.playing,
            closing=self.closing.begun,
        )
        self.form.set_running(self.bridge.active)
        self.run.show_pending()
        if state is RunState.STARTING:
            self.stage.panes.set_hint("Starting ...")
        elif state is RunState.STOPPING:
            self.messages.say("Stopping ...")

    def _on_state(self) -> None:
        self.show_state()
        self.session.finish_stop()

    def _on_session(self) -> None:
        self.setWindowTitle(f"{self.session.title} - HNM Lab")
        self.show_state()

    def _on_look(self, theme: Theme) -> None:
        actions.paint_icons(self.actions_by_key, theme.text)
        self.show_state()
        self.stage.set_theme(theme)

    def _on_tick(self, drained: Drained) -> None:
        self.incoming.take(drained)
        self.closing.go_on()

    def figures_of_run(self) -> dict[str, Any]:
        """The numbers of `--stats`."""
        return self.stage.stats.result(
            threads=self.session.config.threads,
            points=self.stage.points,
            window=(self.width(), self.height()),
            training_mb=self.stage.peak_training_mb,
        )

    # What Qt says

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Files are welcome."""
        if event is not None and dropped_files(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take the first file."""
        if event is not None and (paths := dropped_files(event.mimeData())):
            event.acceptProposedAction()
            self.messages.attempt(lambda: self.files.take(paths[0]))

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Not yet: first everything behind the window ends."""
        if event is None or self.closing.over:
            return
        event.ignore()
        if not self.closing.begun:
            self.session.stay()
            self.docks.keep(self._settings)
            self.closing.begin()
            self.show_state()  # the ticks go on, and one of them closes for good

    def _end(self) -> None:
        self.close()
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """A low window keeps its height for the clouds."""
        super().resizeEvent(event)
        self.about.set_brief(self.height() < LOW_PX)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Start preparing as soon as there is something to look at."""
        super().showEvent(event)
        self.docks.place()
        if self.preparation is not None and not self.preparation.begun:
            QTimer.singleShot(50, self.preparation.start)
