"""What comes in from the run, thirty times a second: events to the views, and in words what the user must know."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.history.news import news
from app.history.words import changes_in_words
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.errors import write_report
from app.window.forks import Forks
from app.window.messages import Messages
from app.window.run_actions import RunActions
from hnm_core.run.channel import Drained
from hnm_core.run.events import Alarm, LaneForked, RunFailed, RunState
from hnm_core.spec.plug_ins import at_fault

LASTING = ("refused", "recording-stopped", "recording-resumed", "weights-missing", "checkpoint-failed")
"""Codes of alarms that stay until they are dismissed: who looks away for some seconds must not miss them."""
MAX_BANNER_LINES = 3


class Incoming:
    """Hands on what the bridge drains. `orbiting` tells whether the clouds turn by themselves, `offer` what a run that
    failed can be offered; empty for nothing."""

    def __init__(
        self,
        *,
        bridge: RunBridge,
        stage: Stage,
        run: RunActions,
        forks: Forks,
        messages: Messages,
        orbiting: Callable[[], bool],
        offer: Callable[[], str],
    ) -> None:
        self._bridge, self._stage, self._run, self._forks = bridge, stage, run, forks
        self._messages, self._orbiting, self._offer = messages, orbiting, offer
        self._last_tick = time.perf_counter()

    def take(self, drained: Drained) -> None:
        """One tick of the bridge."""
        now = time.perf_counter()
        seconds, self._last_tick = now - self._last_tick, now
        bridge = self._bridge
        training = bridge.state is RunState.RUNNING
        self._stage.take(drained, training=training, training_mb=bridge.training_mb)
        new = news(drained.events)
        if new.touches_form:
            self._run.show_pending()
        for event in new.told:
            match event:
                case RunFailed():
                    self._on_failure(event)
                case LaneForked():
                    self._forks.show(event)
                case Alarm():
                    self._on_alarm(event)
        if new.taken_up:
            self._messages.say(changes_in_words(new.taken_up))
        if bridge.state is RunState.STARTING and bridge.loading:
            self._stage.panes.set_hint(f"Starting: {bridge.loading} ...")
        self._stage.inspecting.take(bridge.looked)
        self._stage.thumbnails.take(bridge.pictured())
        self._stage.advance(seconds, orbiting=self._orbiting())
        if drained.dropped_records:
            self._messages.say(
                f"{drained.dropped_records:,} steps came too fast to be shown; the recording holds them."
            )

    def _on_alarm(self, alarm: Alarm) -> None:
        """The timeline keeps all of them; what ends a lane, or is not on the disk, takes room in the window."""
        banner = self._messages.banner
        if alarm.code in LASTING:
            self._messages.notice(alarm.message)
            return
        if alarm.level == "warning":
            self._messages.say(f"{alarm.lane}: {alarm.message}")
        if not alarm.fatal:
            return
        text = f"Lane '{alarm.lane}' stopped at step {alarm.step:,}: {alarm.message}"
        report = (write_report(text, alarm.traceback) or "") if alarm.traceback else ""
        before = [] if banner.text == "" else banner.text.splitlines()
        lines = [*before, text][-MAX_BANNER_LINES:]
        banner.show_error("\n".join(lines), str(report))

    def _on_failure(self, failure: RunFailed) -> None:
        self._stage.panes.set_hint("The run could not go on: see above")
        if failure.traceback:  # a report for each, also where one run fails like the one before
            lanes = self._stage.history.lanes
            what = f"Lane '{next(iter(lanes))}'" if len(lanes) == 1 else "Training"
            title = f"{what} stopped: {failure.message}".rstrip(".")
            report = write_report(title, failure.traceback) or ""
            self._messages.bug(title, str(report), whose=at_fault(failure.traceback), offer=self._offer())
        else:
            self._messages.banner.show_error(failure.message, offer=self._offer())
