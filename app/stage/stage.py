"""What shows a run: the clouds, the timeline, the curves and the bars. It shows events as they come, or the past."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QStackedWidget

from app.history.chips import brief_chip_text, chip, chip_details, chip_text
from app.history.markers import markers
from app.history.playback import Past
from app.history.race import steps_at_equal_time
from app.history.words import title
from app.panels.figures import Figures
from app.picture.missed_edges import MissedPair
from app.picture.theme import Theme
from app.stage.choice import Choice
from app.stage.inspecting import Inspecting
from app.stage.panes import PaneGrid
from app.stage.stats import FrameStats
from app.stage.thumbnails import Thumbnails
from app.views.audit_view import AuditView
from app.views.curves_view import CurvesView
from app.views.hardness_view import HardnessView
from app.views.misses_view import MissesView
from app.views.pairs_view import PairsView
from app.views.timeline_view import TimelineView
from app.views.timing_view import TimingView
from hnm_core.errors import InputError
from hnm_core.recording.lock import Held
from hnm_core.run.channel import Drained
from hnm_core.run.events import Alarm, Frame, LaneForked, Misses, RunStarted, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.item_texts import in_sight
from hnm_core.run.shown import class_name, item_of, item_words, text_of
from hnm_core.spec.config import ExperimentConfig

CURVES_MS = 100
CURVES_TRAINING_S = 0.2
"""While a run trains curves are drawn less often: where cores are few, training waits for what the window takes."""
FIGURES_S = 0.33
LONG_S, RESTED_S, LONGEST_WAIT = 0.03, 0.25, 20
"""What takes longer than this to be worked out waits until the timeline has rested for so long, though for no longer
than so many times what it takes."""
MINED_S, PAIRS_S = 0.2, 0.5
"""Between two looks at what frames tell of how hard the mined are, and of which classes: that is read, not watched."""
LONGEST_TICK_S = 0.1
"""After a longer stall cameras move as if it had been this long, so that they do not jump."""
ARRIVED_S = 60.0
"""After so long a camera is where it was to go."""


class Stage(QObject):
    """One run, live or from its folder. `problem(sentence)` when the past cannot be read.

    While live, the newest frames are shown; the timeline takes it to a step of the past, read from `folder`, while
    the run goes on. A recording is all past: `replaying`. `begun(started)` when another run is shown, or
    None when none is.
    """

    problem = pyqtSignal(str)
    begun = pyqtSignal(object)

    def __init__(self, theme: Theme, figures: Figures, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.panes, self.timeline = PaneGrid(theme), TimelineView()
        self.curves, self.timing, self.audit = CurvesView(), TimingView(), AuditView()
        self.hardness, self.misses, self.pairs = HardnessView(), MissesView(), PairsView()
        self.choice = Choice(self.panes, self)
        self.inspecting = Inspecting(self.panes, self.choice, theme, self._recorded, self)
        self.thumbnails = Thumbnails(self.panes, self.choice, self)
        self.charts = QStackedWidget()
        for chart in (self.curves, self.audit):
            self.charts.addWidget(chart)
        self.stats = FrameStats(self)
        self.history = RunHistory()
        self._held: Held | None = None
        self.folder: Path | None = None
        """Where the run is recorded."""
        self.replaying = False
        self._still = False
        self._held_step: int | None = None
        self._moved_at = self._due_at = self._due_took_s = 0.0
        self.peak_training_mb = 0.0
        self._training_mb = 0.0
        self._figures = figures
        self._started: RunStarted | None = None
        self._latest: dict[str, Frame] = {}
        self._past: Past | None = None
        self._step: int | None = None  # what is shown of the past; None is live
        self._shown_step: int | None = None
        self._missed: MissedPair | None = None
        self._equal_time = False
        self._step_of: dict[str, int] = {}  # at equal time: the step at which each lane is shown
        self._shown_step_of: dict[str, int] = {}
        self._drawn: tuple[int, int | None] | None = None  # what the curves show: rows and step
        self._drawn_at = 0.0
        self._training = False
        self._figures_at = self._mined_at = self._pairs_at = self._raced_at = 0.0  # when each was shown last
        self._due: deque[Callable[[], None]] = deque()
        self._newest = 0  # while live: the step that the figures being worked out are of, the same in all lanes
        self._chips: list[Callable[[], None]] = []  # worked out, and not shown yet
        self._rates = (time.perf_counter(), 0, 0)
        self._curves_timer = QTimer(self)
        self._curves_timer.setInterval(CURVES_MS)
        self._curves_timer.timeout.connect(self._show_curves)
        self._curves_timer.start()
        self.timeline.scrubbed.connect(self._scrub)
        self.timeline.live_requested.connect(self.go_live)
        self.misses.pair_changed.connect(self._show_missed)
        self.misses.chosen.connect(self.choice.pick)
        self.pairs.pair_chosen.connect(self.choice.select_pair)
        self.pairs.cleared.connect(self.choice.clear)
        self.choice.changed.connect(lambda: self.pairs.set_chosen(self.choice.selection.pair))
        self.choice.changed.connect(self._leave_missed)
        self.panes.point_hovered.connect(self._name_point)

    def set_theme(self, theme: Theme) -> None:
        """Recolour everything."""
        charts = self.curves, self.audit, self.timing, self.hardness, self.misses, self.pairs
        for view in (self.panes, *charts, self.timeline, self.inspecting):
            view.set_theme(theme)
        self._drawn = None

    def clear(self, config: ExperimentConfig, hint: str) -> None:
        """Empty panes for the lanes of `config`, saying what to do."""
        self._started, self._past, self.folder, self._held, self._latest = None, None, None, None, {}
        self.replaying = False
        self._step = self._shown_step = self._drawn = None
        self.history = RunHistory()
        self._chips.clear()
        self.misses.forget()
        self.panes.show_lanes(tuple(lane.name for lane in config.lanes), hint)
        self.inspecting.begin(None)
        self.thumbnails.begin(None)
        self._choose_chart(config)
        self.timeline.set_range(0)
        self.timeline.set_live(True)
        self._figures.set_point("")
        self.begun.emit(None)

    def play(self, past: Past, history: RunHistory) -> None:
        """Show a recording from its beginning; call `clear` first."""
        self.history, self._past, self.folder = history, past, past.recording.folder
        self.replaying = True
        self._begin(past.recording.started, "This recording holds no clouds")
        for change in history.changes:
            if isinstance(change, LaneForked):
                self.panes.add_lane(change.lane, change.parent)
        self.timeline.set_range(history.last_step)
        self._seek(0)
        self.timeline.set_playing(True)

    def next_frame(self) -> None:
        """The next recorded frame, then stand still."""
        self.timeline.set_playing(False)
        self._seek(self._past.next_step(self.timeline.step) if self._past is not None else None)

    def go_live(self) -> None:
        """Show the newest frame; of a recording, the last."""
        if self.replaying and self._past is not None:
            self._seek(self._past.last_step)
            return
        self._step = self._shown_step = None
        self.timeline.set_live(True)
        for frame in self._latest.values():
            self.panes.show_frame(frame)

    def set_still(self, still: bool) -> None:
        """Let nothing move by itself: cameras neither turn nor glide, and clouds jump from frame to frame."""
        self._still = still
        self.panes.set_smooth(not still)

    def set_equal_time(self, equal: bool) -> None:
        """Show every lane at the same time spent, so that a slow one falls behind, or at the same step."""
        self._equal_time, self._step_of, self._shown_step_of = equal, {}, {}
        self._shown_step = None
        self.curves.set_axis("seconds" if equal else "step")
        if not equal and self._step is None:
            self.go_live()

    def take(self, drained: Drained, *, training: bool, training_mb: float) -> None:
        """What came in since the last tick, and the memory that training takes."""
        self._training_mb, self.peak_training_mb = training_mb, max(self.peak_training_mb, training_mb)
        for event in drained.events:
            if isinstance(event, RunStarted):
                self._begin(event, "Waiting for the first picture ...")
                self.history.read_misses = self._read_misses if self.folder is not None else None
            self.history.add(event)
            if isinstance(event, LaneForked):
                self.panes.add_lane(event.lane, event.parent)
            if isinstance(event, Alarm) and event.code == "refused":
                self.hardness.plot.forget_asked(event.lane)
            if isinstance(event, StepRecord):
                self.stats.count_step(event.lane)
        self._training = training
        self.stats.tick(self.panes.views, training=training)
        for frame in drained.frames:
            self._latest[frame.lane] = frame
            if self._step is None and frame.lane not in self._step_of:
                self.panes.show_frame(frame)

    def advance(self, seconds: float, *, orbiting: bool) -> None:
        """Bring the panes to where they should be, `seconds` after the last time."""
        now = time.perf_counter()
        if self._equal_time and (self._step is not None or now - self._raced_at >= FIGURES_S):
            self._raced_at = now
            self._step_of = self._steps_at_equal_time()
        self._show_past()
        self._show_one(now)
        self.inspecting.advance()
        self.thumbnails.advance()
        seconds = ARRIVED_S if self._still else min(seconds, LONGEST_TICK_S)
        self.panes.advance(seconds, orbiting=orbiting and not self._still)
        self.timing.light(self.panes.phases)

    def _show_one(self, now: float) -> None:
        """In a tick, so that chips cause no picture of their own; each does one thing at most, so that none is late."""
        mined, figures = (now - self._mined_at) / MINED_S, (now - self._figures_at) / FIGURES_S
        if not self._due and mined >= max(figures, 1):  # what is most overdue, else slow ticks would show nothing else
            self._mined_at = now
            self._due.append(self._show_hardness)
            if now - self._pairs_at >= PAIRS_S:
                self._pairs_at = now
                self._due.append(self._show_pairs)
        elif not self._due and figures >= 1:
            self._figures_at, self._newest = now, self.history.last_step
            lanes = [partial(self._show_lane, name) for name in self.history.lanes]
            # What steps cost is worked out lane by lane, and bars of time then ask for the same again.
            self._due.extend((*lanes, self._show_times, self._show_misses, self._show_rates))
        if self._due and not self._holds_back(now):
            try:
                self._due.popleft()()
            except InputError as error:  # what was missed is read from the recording
                self.problem.emit(str(error))
            self._due_took_s = max(self._due_took_s * 0.9, time.perf_counter() - now)

    def _holds_back(self, now: float) -> bool:
        """Whether figures wait for the timeline to rest: those of a run of a million steps take so long that clouds
        would be late. Where it moves on and on, they come now and then."""
        if self._step != self._held_step:
            self._held_step, self._moved_at = self._step, now
        moving = self._step is not None and now - self._moved_at < RESTED_S
        waited = now - self._due_at
        if moving and self._due_took_s > LONG_S and waited < LONGEST_WAIT * self._due_took_s:
            return True
        self._due_at = now
        return False

    def _show_hardness(self) -> None:
        if self.hardness.isVisible():
            self.hardness.show_run(self.history, self.panes.frames, self._step, replaying=self.replaying)

    def _show_pairs(self) -> None:
        if self.pairs.isVisible():
            self.pairs.show_run(self._started, self.panes.lanes, self.panes.frames)

    @property
    def past_step(self) -> int | None:
        """The step of the past that is shown; None while live."""
        return self._step

    @property
    def points(self) -> int:
        """Points in each pane."""
        return len(self._started.ids) if self._started is not None else 0

    def close(self) -> None:
        """Nothing moves by itself any more."""
        self.timeline.set_playing(False)
        self.stats.close()
        self._curves_timer.stop()

    def _begin(self, started: RunStarted, hint: str) -> None:
        self._started, self._latest = started, {}
        self._held = Held(self.folder) if self.folder is not None else None  # what is shown makes no room for others
        self.panes.begin(started, hint)
        self.begun.emit(started)
        self.inspecting.begin(started)
        self.thumbnails.begin(started)
        self._choose_chart(started.config)
        self._figures.set_device(started.versions.get("device", ""), started.config.threads)

    def _scrub(self, step: int) -> None:
        """The timeline was moved. The picture follows with the next tick, however often it moves until then."""
        if self._started is not None and (self.folder is not None or self._past is not None):
            self._step = step

    def _seek(self, step: int | None) -> None:
        """Move the timeline, and the picture with it."""
        if step is not None:
            self.timeline.set_live(False)
            self.timeline.set_step(step)
            self._scrub(step)

    def _recorded(self) -> Past | None:
        """The past of the run, None where it is not recorded. Raises `InputError` where it cannot be read."""
        if self._past is None and self.folder is not None:
            self._past = Past.of(self.folder)
        return self._past

    def _read_misses(self, lane: str, step: int) -> Misses:
        """What a search missed too long ago for the history to hold it."""
        past = self._recorded()
        assert past is not None, "it is recorded"
        if step not in past.recording.missed_steps(lane):
            past.recording.refresh()
        return past.recording.misses(lane, step)

    def _show_past(self) -> None:
        if self._step is None and not self._step_of:
            return
        if self._step == self._shown_step and self._step_of == self._shown_step_of:
            return
        step = self.history.last_step if self._step is None else self._step
        self._shown_step, self._shown_step_of = self._step, dict(self._step_of)
        try:
            past = self._recorded()
            if past is None:
                return
            if not self.replaying:
                past.recording.refresh()
            for lane, begins in past.later_lanes(step, self._step_of).items():
                if lane in self.panes.lanes:
                    self.panes.empty(lane, f"Begins at step {begins:,}")
            for lane, last in past.lost_lanes(step, self._step_of).items():
                if lane in self.panes.lanes:
                    self.panes.empty(lane, f"Lost: damaged after step {last:,}")
            for frame in past.frames_at(step, self._step_of):
                if self._step is not None or frame.lane in self._step_of:
                    self.panes.show_frame(frame)
        except InputError as error:
            self.problem.emit(str(error))

    def _steps_at_equal_time(self) -> dict[str, int]:
        """While live, of the lanes that are behind alone: the others show their newest frames as they come."""
        steps, lanes = steps_at_equal_time(self.history, self._step), self.history.lanes
        live = self._step is None
        return {name: step for name, step in steps.items() if not live or step < int(lanes[name].steps[-1])}

    def _step_shown(self, lane: str) -> int | None:
        """The step at which a lane is shown; None for its newest."""
        return self._step_of.get(lane, self._step) if self._equal_time else self._step

    def _choose_chart(self, config: ExperimentConfig) -> None:
        """Curves, or the table of an audit where nothing is trained."""
        audits = config.model.name == "identity"
        self.charts.setCurrentWidget(self.audit if audits else self.curves)
        self._drawn = None

    def _show_curves(self) -> None:
        wanted = (sum(len(lane) for lane in self.history.lanes.values()), self._step)
        now = time.perf_counter()
        scrubbing = self._drawn is None or wanted[1] != self._drawn[1]
        if wanted != self._drawn and (scrubbing or not self._training or now - self._drawn_at >= CURVES_TRAINING_S):
            self._drawn, self._drawn_at = wanted, now
            if self.charts.currentWidget() is self.audit:
                self.audit.show_history(self.history, self._step)
            else:
                self.curves.show_history(self.history, self._step, self._step_of)
            self.timeline.set_range(self.history.last_step)

    def _show_times(self) -> None:
        for show in self._chips:  # together, or lanes side by side would seem to be at different steps
            show()
        self._chips.clear()
        self.timing.show_history(self.history, self._newest if self._step is None else self._step)
        self.timeline.set_markers(markers(self.history))

    def _show_misses(self) -> None:
        self.misses.show_history(self.history, self._step, self._step_of if self._equal_time else {})

    def _show_lane(self, name: str) -> None:
        lane = self.history.lanes.get(name)
        if lane is None or name not in self.panes.lanes:
            return  # of a run that was cleared in between
        step = self._step_shown(name)
        now_is = chip(lane, self._newest if step is None and not self._equal_time else step)
        misses = lane.misses_at(step)
        self.panes.show_planes(name, misses.buckets.planes if misses is not None and misses.buckets else None)
        self.panes.set_title(name, title(self.history, name, step))
        texts = [words(now_is, audit=self.history.audits) for words in (chip_text, brief_chip_text)]
        if self._equal_time and lane.rows(step):
            shown = int(lane.steps[-1]) if step is None else step  # the lane that is ahead shows its newest
            texts = [f"{lane.seconds_at(np.array([shown]))[0]:.2f} s · {text}" for text in texts]
        details = chip_details(now_is, self.history.started)
        self._chips.append(partial(self.panes.set_chip, name, texts[0], details, texts[1]))

    def _show_rates(self) -> None:
        now = time.perf_counter()
        then, paints_then, steps_then = self._rates
        if now - then >= 1.0:
            paints = min((view.paint_count for view in self.panes.views), default=0)
            steps = self.history.last_step
            fps, rate = (paints - paints_then) / (now - then), (steps - steps_then) / (now - then)
            self._figures.set_rates(fps if fps > 0 else None, rate if rate > 0 else None, self._training_mb)
            self._rates = (now, paints, steps)

    def _show_missed(self, lane: str, pair: MissedPair | None) -> None:
        """What was chosen among the misses, in the pane of the lane that missed it."""
        self._missed = pair
        self.panes.show_pair(lane, pair)

    def _leave_missed(self) -> None:
        """A miss goes when none of its points is looked at any more."""
        if self._missed is not None and self.choice.item_id not in self._missed.items:
            self.misses.forget()

    def _name_point(self, point: int) -> None:
        """Say in the status bar what lies under the pointer."""
        started = self._started
        known = item_of(started, self.panes.frames, point) if started is not None and point >= 0 else None
        if started is None or known is None:
            self._figures.set_point("")
            return
        told = text_of(started, point)
        if told is not None:
            held_out = "not trained on · " if known.held_out else ""
            name = class_name(started, known.label)
            self._figures.set_point(f"{name} {in_sight(told.name)} · {held_out}{in_sight(told.text)}")
            return
        self._figures.set_point(
            f"point {point} · {item_words(started, point, known.label)}{' · held out' if known.held_out else ''}"
        )
