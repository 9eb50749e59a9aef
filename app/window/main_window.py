"""The window: makes its parts, puts them in their places and joins them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QMainWindow, QMenuBar, QStatusBar, QVBoxLayout, QWidget

from app.history.verdict import verdict
from app.panels.experiment_form import ExperimentForm
from app.panels.figures import Figures
from app.panels.job_line import JobLine
from app.panels.notices import About, Banner
from app.panels.outcome import Outcome
from app.panels.tour import Tour
from app.picture.theme import Theme
from app.stage.panes import ROW
from app.stage.stage import Stage
from app.window import actions, first_steps, help_actions
from app.window.bridge import RunBridge
from app.window.camera_path import CameraPath
from app.window.capturing import Capturing
from app.window.closing import Closing
from app.window.desktop import Desktop
from app.window.docks import Docks
from app.window.drops import Drops
from app.window.errors import BugReporter
from app.window.exporting import Exporting
from app.window.file_actions import FileActions
from app.window.forks import Forks
from app.window.incoming import Incoming
from app.window.jobs import Jobs
from app.window.look import Look
from app.window.margins import Margins
from app.window.messages import Messages
from app.window.motion import Motion
from app.window.preparation import Preparation
from app.window.preview_player import PreviewPlayer
from app.window.recent import Recent, RecentMenu
from app.window.reviews import Reviews
from app.window.run_actions import RunActions
from app.window.run_controls import RunControls
from app.window.seeds import Seeds
from app.window.session import Session
from app.window.settings import Settings, data_dir
from app.window.speaker import SpeakerMode
from app.window.studies import Studies
from app.window.tsne import Tsne
from hnm_core.run.channel import Drained
from hnm_core.run.events import RunFinished, RunStarted, RunState
from hnm_core.run.shown import has_several_labels
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.resources import preset_names, retrieval_preset_names

LOW_PX = 700
"""Below this height what to look for is one line."""
MIDDLE_PX = 900
"""And below this one what a run came to, and also what to look for where the clouds stand in two rows."""


class MainWindow(QMainWindow):
    """`closed` is emitted once, when everything behind the window has ended.

    Args:
        config: the experiment to show first.
        bridge: runs it.
        jobs, bugs, preparation, settings: see their modules; without `preparation` everything counts as ready.
        desktop: what tells how much motion the desktop asks for; None asks for nothing.
        new_folder: a folder to record the run titled so into; None records nothing.
        previews: whether a preset that is shown for the first time plays a short recording of itself.
        plug_ins: files of the user's that another process has to load too.
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
        desktop: Desktop | None = None,
        new_folder: Callable[[str], Path] | None = None,
        previews: bool = False,
        plug_ins: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self.bridge, self.jobs, self.preparation = bridge, jobs, preparation
        self._settings = settings
        self._tour: Tour | None = None
        self.look, self.recent = Look(settings, self), Recent(settings, self)
        self.motion = Motion(settings, desktop, self)
        bar = QStatusBar()
        self.banner, self.about, self.outcome = Banner(), About(), Outcome()
        self.job_line = JobLine()
        bar.addPermanentWidget(self.job_line)
        self.form, self.stage = ExperimentForm(config), Stage(self.look.theme, Figures(bar), self)
        form, stage = self.form, self.stage
        messages = self.messages = Messages(bar, self.banner)
        session = self.session = Session(
            config, bridge=bridge, form=form, stage=stage, about=self.about, messages=messages, parent=self
        )
        self.preview = PreviewPlayer(
            session=session,
            bridge=bridge,
            stage=stage,
            wanted=previews,
            still=lambda: self.motion.reduced,
            parent=self,
        )
        self.path = CameraPath(stage=stage, messages=messages, parent=self)
        self.exporting = Exporting(self, stage=stage, jobs=jobs, look=self.look, messages=messages)
        self.capturing = Capturing(self, bridge=bridge, stage=stage, jobs=jobs, messages=messages)
        closing = self.closing = Closing(
            bridge=bridge,
            stage=stage,
            jobs=jobs,
            exporting=self.exporting,
            preparation=preparation,
            messages=messages,
            parent=self,
        )
        self.files = FileActions(
            self,
            session=session,
            form=form,
            stage=stage,
            jobs=jobs,
            messages=messages,
            recent=self.recent,
            exporting=self.exporting,
            capturing=self.capturing,
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
        self.seeds = Seeds(
            bridge=bridge,
            stage=stage,
            jobs=jobs,
            outcome=self.outcome,
            messages=messages,
            root=data_dir() / "seeds",
            plug_ins=plug_ins,
        )
        self.studies = Studies(
            self,
            bridge=bridge,
            stage=stage,
            jobs=jobs,
            messages=messages,
            root=data_dir() / "tuned",
            plug_ins=plug_ins,
        )
        self.reviews = Reviews(
            self,
            session=session,
            bridge=bridge,
            stage=stage,
            run=self.run,
            jobs=jobs,
            messages=messages,
            plug_ins=plug_ins,
        )
        self.margins = Margins(bridge=bridge, form=form, stage=stage, run=self.run)
        self.forks = Forks(self, bridge=bridge, form=form, stage=stage, messages=messages, way_on=self.run.way_on)
        self.tsne = Tsne(bridge=bridge, stage=stage, jobs=jobs, messages=messages, plug_ins=plug_ins, parent=self)
        self.actions_by_key = actions.build(self, self.handlers(), self.look.theme.text)
        self.incoming = Incoming(
            bridge=bridge,
            stage=stage,
            run=self.run,
            forks=self.forks,
            messages=messages,
            orbiting=lambda: self.actions_by_key["orbit"].isChecked() or self.preview.moving,
            offer=self.run.way_on,
        )
        self._lay_out(bar)
        self._connect(bugs)
        self.look.set(self.look.theme)
        self._on_motion()
        session.set_experiment(config)
        self.show_state()

    def _lay_out(self, bar: QStatusBar) -> None:
        self.setWindowTitle("HNM Lab")
        self.setAcceptDrops(True)
        menus = actions.fill_menus(self, self.actions_by_key)
        self.recent_menu = RecentMenu(self.recent, self._take, self.actions_by_key, menus["File"])
        menus["File"].insertMenu(self.actions_by_key["save_config"], self.recent_menu)
        self.controls = RunControls(self.actions_by_key, [*preset_names(), *retrieval_preset_names()], self)
        self.addToolBar(self.controls)
        self.setStatusBar(bar)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.banner, self.about, self.outcome, self.stage.panes, self.stage.timeline):
            layout.addWidget(widget, 1 if widget is self.stage.panes else 0)
        self.setCentralWidget(centre)
        centre.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        centre.setFocus()  # else keys meant for a button that waits, as Space while a run starts, open the preset list
        self.docks = Docks(self, menus["View"], self.form, self.stage, self.reviews.widget)
        self.drops = Drops(
            self,
            take=self._take,
            refuse=self.messages.notice,
            running=lambda: self.bridge.active,
        )
        self.speaker = SpeakerMode(
            self,
            hidden=[bar, self.about, self.outcome, self.controls, *self.findChildren(QMenuBar)],
            enlarged=[self.stage.panes, self.stage.timeline],
            centre=centre,
        )
        self.speaker.left.connect(lambda: self.actions_by_key["speaker"].setChecked(False))
        for shortcut in self.form.shortcuts:
            shortcut.setEnabled(False)  # undo and redo are actions here, with the same keys for the whole window

    def _connect(self, bugs: BugReporter) -> None:
        messages, session, panes = self.messages, self.session, self.stage.panes
        self.bridge.ticked.connect(self._on_tick)
        self.bridge.state_changed.connect(self._on_state)
        bugs.reported.connect(messages.bug)
        self.jobs.started.connect(self.job_line.begin)
        self.jobs.progressed.connect(self.job_line.progress)
        self.jobs.ended.connect(lambda title, _outcome: self.job_line.end(title))
        self.job_line.cancel_asked.connect(self.jobs.cancel)
        self.jobs.ended.connect(messages.job_ended)
        self.look.changed.connect(self._on_look)
        self.motion.changed.connect(self._on_motion)
        session.changed.connect(self._on_session)
        self.reviews.opened.connect(lambda: self.docks.show_review(True, self.reviews.of_pairs))
        self.reviews.closed.connect(self._end_review)
        session.opened.connect(self.run.offer_to_go_on)
        session.opened.connect(lambda: messages.attempt(self.path.follow))
        self.path.changed.connect(self.exporting.redraw)
        self.form.config_changed.connect(self.path.yield_undo)
        self.banner.accepted.connect(self.actions_by_key["go_on"].trigger)
        session.preset_changed.connect(self.controls.set_preset)
        self.closing.ended.connect(self._end)
        self.controls.preset_chosen.connect(lambda name: messages.attempt(lambda: session.choose_preset(name)))
        self.controls.rate_chosen.connect(self.bridge.set_rate)
        self.controls.slow_motion_chosen.connect(panes.set_slow_motion)
        self.controls.colour_chosen.connect(panes.set_color_by)
        self.controls.colour_label_chosen.connect(panes.set_color_label)
        self.stage.begun.connect(self.controls.show_colours)
        self.tsne.changed.connect(self.actions_by_key["tsne"].setChecked)
        self.form.config_changed.connect(self.run.follow_form)
        self.form.apply_asked.connect(self.actions_by_key["apply"].trigger)
        panes.menu_requested.connect(self.forks.open_menu)
        self.outcome.equal_time_asked.connect(lambda: self.actions_by_key["race"].setChecked(True))
        self.outcome.seeds_asked.connect(lambda: self.actions_by_key["seeds"].trigger())
        self.outcome.go_on_asked.connect(self.actions_by_key["go_on"].trigger)
        session.changed.connect(lambda: self.outcome.say(None))
        self.stage.problem.connect(messages.notice)
        ask_margin = self.margins.ask
        self.stage.hardness.margin_asked.connect(lambda *moved: messages.attempt(lambda: ask_margin(*moved)))
        self.stage.inspecting.look_asked.connect(self.bridge.look)
        self.stage.thumbnails.asked.connect(self.bridge.look_at_many)
        self.stage.thumbnails.told.connect(messages.say)
        self.stage.timeline.play_toggled.connect(self.show_state)
        if self.preparation is not None:
            panes.set_preparing(self.preparation.text)
            self.preparation.renderer_progressed.connect(panes.set_preparing)
            self.preparation.renderer_ready.connect(lambda: panes.set_preparing(""))

    def handlers(self) -> dict[str, Callable[..., object]]:
        """Every row of the actions table. What a user can get wrong goes through `attempt`."""
        session = self.session
        tried: dict[str, Callable[[], None]] = {
            "open_recording": self.files.open_recording,
            "open_packed": self.files.open_packed,
            "compare": self.files.compare,
            "open_data": self.files.open_data,
            "open_config": self.files.open_config,
            "save_config": self.files.save_config,
            "save_recording": self.files.save_recording,
            "pack_recording": self.files.pack_recording,
            "report": self.files.report,
            "render_video": self.files.render_video,
            "capture": self.files.film_window,
            "capture_pane": self.files.film_pane,
            "screenshot": self.files.screenshot,
            "toggle_run": self.run.toggle,
            "step": self.run.step,
            "seeds": self.seeds.repeat,
            "evaluate": self.studies.evaluate,
            "evaluate_file": self.studies.evaluate_file,
            "tune": self.studies.tune,
            "review": self.reviews.ask,
            "go_on": self.run.go_on,
            "apply": self.run.apply_changes,
            "fork": self.forks.ask,
            "link_one": self.forks.toggle_link,
            "take_key": self.path.take,
            "drop_key": self.path.remove,
            "undo": lambda: None if self.path.undo() else session.undo(),
            "redo": lambda: None if self.path.redo() else session.redo(),
        }
        return {
            **{key: (lambda work=work: self.messages.attempt(work)) for key, work in tried.items()},
            "gallery": self._open_gallery,
            "clear_recent": self.recent.clear,
            "quit": self.close,
            "call_off": self._call_off,
            "reset": self.session.reset,
            "orbit": lambda _on: None,
            "edges": self.stage.panes.set_edges,
            "planes": self.stage.panes.set_planes,
            "link": self.stage.panes.set_linked,
            "same_scale": self.stage.panes.set_same_scale,
            "race": self.stage.set_equal_time,
            "fit": self.stage.panes.follow,
            "live": self._go_live,
            "speaker": lambda on: self.speaker.set(on),
            "reduced_motion": self.motion.reduce,
            "follow_motion": self.motion.follow,
            "trails": self.stage.inspecting.set_trails,
            "class_names": self.stage.panes.set_class_names,
            "pictures": self.stage.thumbnails.set_shown,
            "tsne": self.tsne.set,
            "find": lambda: self.docks.search(),
            "lasso": self.stage.panes.set_lasso,
            "isolate": self.stage.choice.isolate,
            "hide": self.stage.choice.hide,
            "invert": self.stage.choice.invert,
            "zoom": self.stage.choice.zoom,
            "clear": self.stage.choice.clear,
            "show_all": self.stage.choice.show_all,
            "theme": self.look.toggle,
            "follow_system": self.look.follow_system,
            "reset_layout": lambda: self.docks.reset(),
            "dismiss": self._escape,
            "palette": lambda: help_actions.open_palette(self, self.actions_by_key.values()),
            "tour": self.start_tour,
            "shortcuts": lambda: first_steps.open_shortcuts(self, self.actions_by_key, self.look.theme),
            "report_folder": help_actions.open_reports,
            "about": lambda: help_actions.show_about(self),
        }

    def _open_gallery(self) -> None:
        controls = self.controls
        gallery = first_steps.open_gallery(self, controls.preset.currentData(), self.look.theme, self.recent.paths)
        gallery.chosen.connect(controls.preset_chosen)
        gallery.opened.connect(lambda path: self._take(path, self.recent.labels_of(path)))

    def _take(self, path: Path, labels: Path | None = None) -> None:
        self.messages.attempt(lambda: self.files.take(path, labels))

    def greet(self) -> None:
        """Show a newcomer round, once."""
        if not self._settings.text("tour") and not self.closing.begun:
            self.start_tour()

    def start_tour(self) -> None:
        """Show the user round; nothing happens while that goes on."""
        if self._tour is None:
            self._settings.keep("tour", "seen")
            stops = first_steps.tour_stops(self.form, self.stage, self.controls, self.actions_by_key)
            self._tour = Tour(stops, self.look.theme, still=self.motion.reduced, window=self)
            self._tour.ended.connect(self._end_tour)

    def _end_tour(self) -> None:
        self._tour = None
        if (centre := self.centralWidget()) is not None:
            centre.setFocus()

    def _end_review(self) -> None:
        self.docks.show_review(False)
        if (centre := self.centralWidget()) is not None:
            centre.setFocus()  # else the next key goes to whatever stands next in the tab order

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
        self.messages.attempt(self.path.follow)
        self._share_height()
        self.show_state()

    def _share_height(self) -> None:
        """A low window keeps its height for the clouds."""
        self.about.set_brief(self.height() < (MIDDLE_PX if len(self.stage.panes.lanes) > ROW else LOW_PX))
        self.outcome.set_brief(self.height() < MIDDLE_PX)

    def _on_look(self, theme: Theme) -> None:
        actions.paint_icons(self.actions_by_key, theme.text)
        self.show_state()
        self.stage.set_theme(theme)
        self.reviews.set_theme(theme)
        self.preview.set_theme(theme)
        self.drops.set_theme(theme)
        self.exporting.set_theme(theme)
        if self._tour is not None:
            self._tour.set_theme(theme)

    def _call_off(self) -> None:
        """All that works in the background, videos that wait for it too."""
        self.exporting.renders.cancel_all()
        self.jobs.cancel()

    def _go_live(self) -> None:
        self.tsne.set(False)
        self.stage.go_live()

    def _escape(self) -> None:
        """Out of what covers the rest, one thing after the other."""
        if self.speaker.on:
            self.actions_by_key["speaker"].setChecked(False)
        elif self.banner.text:
            self.banner.dismiss()
        elif self.tsne.on and not len(self.stage.choice.ids):
            self.tsne.set(False)
        else:
            self.stage.choice.clear()

    def _on_motion(self) -> None:
        orbit, reduced = self.actions_by_key["orbit"], self.motion.reduced
        self.actions_by_key["reduced_motion"].setChecked(reduced)
        self.actions_by_key["follow_motion"].setChecked(self.motion.follows)
        orbit.setChecked(orbit.isChecked() and not reduced)
        orbit.setEnabled(not reduced)
        self.stage.set_still(reduced)
        self.preview.follow_stillness()

    def _on_tick(self, drained: Drained) -> None:
        self.incoming.take(drained)
        self.tsne.advance()
        if any(isinstance(event, RunStarted | RunFinished) for event in drained.events):
            self.messages.attempt(self.path.follow)
            self.outcome.say(verdict(self.stage.history), self.run.never_goes_on())
        for event in drained.events:
            if isinstance(event, RunStarted) and has_several_labels(event):
                self.form.know_several(event.config.data)
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

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Not yet: first everything behind the window ends."""
        if event is None or self.closing.over:
            return
        event.ignore()
        if not self.closing.begun:
            self.session.stay()
            self.preview.stop()
            self.capturing.stop()
            self.reviews.close()
            self.speaker.set(False)  # what is remembered is how the window was before
            self.docks.keep(self._settings)
            self.closing.begin()
            self.show_state()  # the ticks go on, and one of them closes for good

    def _end(self) -> None:
        self.close()
        self.closed.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._share_height()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Start preparing as soon as there is something to look at."""
        super().showEvent(event)
        self.docks.place()
        self.drops.watch()
        if self.preparation is not None and not self.preparation.begun:
            QTimer.singleShot(50, self.preparation.start)
