"""A whole run: lanes take turns on the calling thread and everything that happens comes out as events."""

from __future__ import annotations

import datetime
import platform
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import hnm_core
from hnm_core import devices
from hnm_core.data.base import Dataset, LoadCancelled, Progress
from hnm_core.errors import InputError, unknown_name
from hnm_core.evaluation.chance import chance_levels, chance_of_partners
from hnm_core.evaluation.sought import OfLabels
from hnm_core.run.control import ChangeRequest, Control, Embedded, EmbedRequest, ForkRequest, Request, Turn
from hnm_core.run.events import Alarm, Event, LaneForked, RunFailed, RunFinished, RunStarted, StepRecord, frozen
from hnm_core.run.raw import RawScore
from hnm_core.run.told_labels import ToldLabels, told_labels
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.config import MAX_LANES, ExperimentConfig
from hnm_core.spec.plug_ins import at_fault
from hnm_core.system import memory
from hnm_core.training import room
from hnm_core.training.checkpoint import Checkpoints, restored
from hnm_core.training.compiling import await_kernels
from hnm_core.training.lane_changes import change, fork
from hnm_core.training.raw import raw_scores
from hnm_core.training.setup import Shared, prepare
from hnm_core.training.trainer import Trainer


@dataclass(frozen=True)
class Before:
    """What a run was before it was broken off, or ended, for one that goes on from there."""

    step: int
    """Of the lane that is farthest."""
    state: Mapping[str, Any]
    """Of a `Checkpoint`."""
    events: Iterable[Event]
    """What was told up to it, without the first event and the last."""
    words: str
    """Where it goes on from, in a sentence."""


class Experiment:
    """Runs a configuration once.

    for event in Experiment(config).run():
        ...
    """

    def __init__(
        self,
        config: ExperimentConfig,
        before: Before | None = None,
        *,
        on_data: Callable[[Dataset], None] | None = None,
    ) -> None:
        """
        Args:
            config: what to train.
            before: go on from there; all that was told before is told again first.
            on_data: called once with the data, as soon as they are loaded; it must not write to them.
        """
        self.config, self._before, self._on_data = config, before, on_data
        self._shared: Shared | None = None

    def prepare(self, progress: Progress | None = None) -> str:
        """Load the data and build the network ahead of `run`. Returns what the data are, in words.

        Raises:
            InputError: that cannot be done.
        """
        if self._shared is None:
            self._shared = prepare(self.config, progress, self._on_data)
        return self._shared.in_words

    def run(
        self,
        control: Control | None = None,
        *,
        frames: bool = True,
        checkpoints: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[Event]:
        """Train every lane, a step each in turn. `RunStarted` comes first, `RunFinished` or `RunFailed` last, always.

        Args:
            control: how somebody else pauses or stops the run; None runs to the end.
            frames: whether clouds are computed; they cost time and never change the numbers.
            checkpoints: whether there is a `Checkpoint` every `checkpoint_every` seconds and at the end.
            progress: called while data are read or fetched, before `RunStarted`; returning False cancels.
        """
        control = control or Control()
        threads_before = torch.get_num_threads()
        done: dict[str, int] = {}
        try:
            torch.set_num_threads(self.config.threads)
            yield from self._run(control, frames, checkpoints, done, progress)
        except LoadCancelled:
            yield RunFinished({}, 0.0, stopped=True)
        except InputError as error:
            yield RunFailed(str(error), steps=dict(done))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever watches the run has to learn of it
            if memory.ran_out(error):
                yield RunFailed(memory.RAN_OUT, steps=dict(done))
            else:
                yield RunFailed(f"{type(error).__name__}: {error}", traceback.format_exc(), dict(done))
        finally:
            torch.set_num_threads(threads_before)

    def _run(
        self, control: Control, frames: bool, checkpoints: bool, done: dict[str, int], progress: Progress | None
    ) -> Iterator[Event]:
        start = time.monotonic()
        devices.start_thread_on(devices.resolve(self.config.device))
        watched = watched_by(control, progress)
        self.prepare(watched)
        assert self._shared is not None
        shared, self._shared = self._shared, None
        await_kernels(self.config, shared.device.type, watched)
        room.require(shared, frames=frames)
        raw = raw_scores(shared)
        lanes, saved = _Lanes(done), Checkpoints(self.config.checkpoint_every if checkpoints else 0, shared)
        if self._before is None:
            yield _started(shared, raw.scores)
            if raw.skipped:
                yield Alarm(self.config.lanes[0].name, 0, "raw-not-measured", raw.skipped, "hint")
            yield from self._begin(lanes, shared, frames)
        else:
            before = restored(self._before.state, shared, frames=frames)
            start -= before.seconds
            yield _started(shared, raw.scores)
            lanes.trainers = before.trainers
            yield from lanes.catch_up(self._before, before.over, control)
        yield from saved.begin(lanes.trainers)
        yield from saved.make(lanes.trainers, lanes.failed, time.monotonic() - start)
        turn: Turn = "step"  # the first one: clouds before any step
        while turn != "stop":
            if turn == "obey":
                for request in control.requests():
                    yield from lanes.obey(request)
            elif turn == "look":
                for name in list(lanes.running):
                    yield from lanes.look(name)
            else:
                for name in list(lanes.running):
                    lanes.trainers[name].frame_each_step = control.unhurried
                    yield from lanes.step(name)
                if saved.due():
                    yield from saved.make(lanes.trainers, lanes.failed, time.monotonic() - start)
            turn = control.next_turn(looks=True) if lanes.running else "stop"
        for request in control.requests():
            if isinstance(request, EmbedRequest):
                request.answer(lanes.embedded(request.ids))
            else:
                yield lanes.refusal(request, "The run has ended.")
        yield from saved.make(lanes.trainers, lanes.failed, time.monotonic() - start)
        for trainer in lanes.trainers.values():
            yield trainer.weights()
        names = {*lanes.trainers, *lanes.failed}
        finished = all(name in lanes.failed or lanes.trainers[name].ends for name in names)
        yield RunFinished(dict(done), time.monotonic() - start, stopped=not finished, failed_lanes=tuple(lanes.failed))

    def _begin(self, lanes: _Lanes, shared: Shared, frames: bool) -> Iterator[Event]:
        """Make the lanes, and say what there is to know of them before the first step."""
        for finding in shared.findings:
            concerned = finding.lane or self.config.lanes[0].name
            yield Alarm(concerned, 0, finding.rule, finding.sentence, finding.alarm_level)
        for lane in self.config.lanes:
            try:
                lanes.trainers[lane.name] = Trainer(lane, shared, frames=frames)
            except InputError:
                raise
            except Exception as error:
                if len(self.config.lanes) == 1:
                    raise
                lanes.failed.append(lane.name)
                yield _bug(lane.name, 0, error)
        noted: set[str] = set()
        for name, trainer in lanes.trainers.items():
            alarms = (
                *(Alarm(name, 0, "sampler", note) for note in trainer.sampler.notes),
                *(Alarm(name, 0, "usual-lead", note, "hint") for note in trainer.notes),
            )
            for alarm in alarms:
                if alarm.message not in noted:
                    yield alarm
                noted.add(alarm.message)
        lanes.running = {name: trainer.steps() for name, trainer in lanes.trainers.items()}


class _Lanes:
    """The lanes of a run."""

    def __init__(self, done: dict[str, int]) -> None:
        self.trainers: dict[str, Trainer] = {}
        self.running: dict[str, Iterator[tuple[Event, ...]]] = {}
        self.failed: list[str] = []
        self.done = done
        """Steps, by lane."""

    def catch_up(self, before: Before, over: Collection[str], control: Control) -> Iterator[Event]:
        """Tell again what was told before, then be ready to go on with the lanes that are not `over`."""
        for event in before.events:
            self._note(event)
            yield event
            if control.stopped:
                break
        self.failed += [name for name in over if name not in self.failed]  # where that was not told to the end
        known, lanes = dict(self.done), self.trainers
        first, farthest = next(iter(lanes)), max(trainer.step for trainer in lanes.values())
        yield Alarm(first, farthest, "went-on", before.words, "hint")
        for name, trainer in lanes.items():
            if (told := known.get(name, 0)) < trainer.trained and not control.stopped:
                gone = f"Steps {told + 1:,} to {trainer.trained:,} were trained, but are not in the recording before."
                yield Alarm(name, trainer.step, "steps-missing", gone)
        self.done.update({name: trainer.trained for name, trainer in lanes.items()})
        self.running = {
            name: trainer.steps() for name, trainer in lanes.items() if name not in self.failed and not trainer.ends
        }

    def _note(self, event: Event) -> None:
        if isinstance(event, StepRecord):
            self.done[event.lane] = event.step
        if isinstance(event, Alarm) and event.fatal:
            self.failed.append(event.lane)

    def step(self, name: str) -> Iterator[Event]:
        """The next step of a lane, or what comes before its first."""
        return self._told(name, lambda: next(self.running[name]))

    def look(self, name: str) -> Iterator[Event]:
        """How a lane stands now, so that those side by side are seen at one step."""
        return self._told(name, self.trainers[name].frame_of_now)

    def _told(self, name: str, tell: Callable[[], tuple[Event, ...]]) -> Iterator[Event]:
        trainer = self.trainers[name]
        try:
            events = tell()
        except Exception as error:
            if len(self.trainers) + len(self.failed) == 1:
                raise
            events = (_bug(name, trainer.step, error),)
        for event in events:
            self._note(event)
            yield event
        if name in self.failed or trainer.ends:
            del self.running[name]

    def obey(self, request: Request) -> Iterator[Event]:
        """Change or fork a lane before its next step; or say in an alarm why not, and everything goes on as it was. Or
        tell the embeddings, which is no event."""
        if isinstance(request, EmbedRequest):
            request.answer(self.embedded(request.ids))
            return
        try:
            trainer = self._trainer(request.lane)
            if isinstance(request, ChangeRequest):
                yield from change(trainer, request.changes)
            else:
                yield from self._fork(trainer, request)
        except InputError as error:
            yield self.refusal(request, str(error))
        except Exception as error:  # noqa: BLE001 - of a plug-in, for instance: no reason to lose the run
            bug = _bug(request.lane, 0, error)
            yield self.refusal(request, bug.message, bug.traceback)

    def embedded(self, ids: NDArray[np.int64]) -> dict[str, Embedded]:
        """Where every lane has the items with these dataset ids now."""
        told = {}
        for name, trainer in self.trainers.items():
            try:
                told[name] = Embedded(trainer.step, trainer.embeddings_of(ids))
            except Exception as error:  # noqa: BLE001 - of a plug-in, or of memory: a look must not end the run
                nothing = np.empty((0, 0), np.float32)
                told[name] = Embedded(trainer.step, nothing, f"{type(error).__name__}: {error}")
        return told

    def _trainer(self, name: str) -> Trainer:
        if name not in (*self.trainers, *self.failed):
            raise unknown_name("lane", name, self.trainers)
        if name not in self.running:
            raise InputError(f"Lane '{name}' has ended.")
        return self.trainers[name]

    def _fork(self, trainer: Trainer, request: ForkRequest) -> Iterator[Event]:
        name = request.new_lane
        known = {*self.trainers, *self.failed}  # a lane that broke off in training is in both
        if name in known:
            raise InputError(f"There is a lane called '{name}' already; lane names must differ.")
        if len(known) >= MAX_LANES:
            raise InputError(f"A run has at most {MAX_LANES} lanes, and there are as many.")
        forked = fork(trainer, name)
        changes = change(forked, request.changes)
        self.trainers[name], self.running[name] = forked, forked.steps()
        self.done[name] = forked.step
        yield LaneForked(name, forked.step, trainer.lane.name)
        yield from changes
        yield from self.step(name)

    def refusal(self, request: ChangeRequest | ForkRequest, reason: str, traceback: str = "") -> Alarm:
        """Says that a request was not obeyed."""
        lane = request.lane if request.lane in self.trainers else next(iter(self.trainers), request.lane)
        what = f"No new lane '{request.new_lane}'." if isinstance(request, ForkRequest) else "Not changed."
        return Alarm(lane, self.done.get(lane, 0), "refused", f"{what} {reason}", traceback=traceback)


def _bug(lane: str, step: int, error: Exception) -> Alarm:
    """What ends one of several lanes when a fault of ours shows in it; the others go on."""
    if memory.ran_out(error):
        return Alarm(lane, step, "memory", memory.RAN_OUT, "fatal")
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    text = "".join(traceback.format_exception(error))
    return Alarm(lane, step, "bug", f"A fault of {at_fault(text)}, {reason}", "fatal", text)


def watched_by(control: Control, progress: Progress | None) -> Progress:
    """A progress callback that tells `control` what is loaded, and cancels when a stop was asked for."""

    def report(done: int, total: int, what: str) -> bool | None:
        control.loading = f"{what}, {100 * done // total} %" if total else what
        return not control.stopped and (progress is None or progress(done, total, what))

    return report


def _started(shared: Shared, raw: tuple[RawScore, ...]) -> RunStarted:
    measured, querying = shared.evaluated_labels, shared.query_place
    if isinstance(measured, SeveralLabels):
        partners = OfLabels(measured, shared.device).partners(querying)
        chance = chance_of_partners(partners.cpu().numpy(), len(measured) - 1)
    else:
        chance = chance_levels(measured.cpu().numpy(), querying.cpu().numpy())

    def shown(of_all: Tensor) -> NDArray[np.int64]:
        return frozen(of_all[shared.shown_row].cpu().numpy())

    return RunStarted(
        config=shared.config,
        labels=shown(shared.y),
        ids=shown(shared.ids),
        held_out=frozen((shared.shown_row >= shared.trained).cpu().numpy()),
        class_names=shared.class_names,
        groups=None if shared.groups is None else shown(shared.groups),
        items_total=len(shared.ids),
        versions=versions(shared.device),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        true_labels=None if shared.y_true is None else shown(shared.y_true),
        chance=chance,
        evaluated=shared.evaluated,
        raw=raw,
        several=_told(shared),
    )


def _told(shared: Shared) -> ToldLabels | None:
    """All labels of the items, where these have several each."""
    if shared.several is None:
        return None
    lists, ids = shared.several.lists, shared.ids
    pairs = (side.cpu().numpy() for side in (ids[lists.anchor], lists.row, ids[shared.shown_row]))
    return told_labels(*pairs)


def versions(device: torch.device) -> Mapping[str, str]:
    """Versions of what computes, and the device in words."""
    return {
        "hnm-lab": hnm_core.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),  # a class of its own, which needs torch to be read back in another process
        "device": devices.describe(device),
    }
