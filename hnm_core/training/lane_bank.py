"""The bank that a lane's miners see: when it is made anew, with which weights, on which thread, and how stale it is."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hnm_core.bank import Bank
from hnm_core.devices import start_thread_on
from hnm_core.distances import Distance
from hnm_core.miners.base import (
    DatasetMiner,
    MiningContext,
    SaysWhetherItLooks,
    TellsState,
    restore_miner,
    state_of,
)
from hnm_core.miners.whole_set.drift import PROBE, drift
from hnm_core.miners.whole_set.refresh import Snapshot, policy_of
from hnm_core.run.timing import Phase, PhaseClock
from hnm_core.seeding import generator
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.config import LaneConfig

Embed = Callable[[nn.Module, Tensor], Tensor]
"""(N, E) embeddings of (N, D) features by a network, without gradient."""

EMBED_ROWS = 8192
"""Rows embedded at once outside of training steps."""


class MinedSet(Protocol):
    """The items that are trained on and mined."""

    @property
    def train_x(self) -> Tensor:
        """(T, D) features"""

    @property
    def train_y(self) -> Tensor:
        """(T,) labels"""

    @property
    def train_labels(self) -> Tensor | SeveralLabels:
        """what a bank of them is made with: these, or where items have several labels those of each"""

    @property
    def seed(self) -> int:
        """of all chance"""

    @property
    def last_step(self) -> int | None:
        """after which nobody mines; None where that is not known"""


class LaneBank:
    """Keeps the bank of one lane.

    With `refresh = "background"` a bank is embedded with the weights of step s and built on another thread while
    training goes on with the bank before (ANCE: Xiong et al., 2021). It takes effect exactly at step s + lag: a step
    that comes too early waits. So the numbers do not depend on how fast anything is. The miner that is asked is never
    the one that is being built: there are two, and they change places.

    Attributes:
        bank: what the miners see; None before the first step.
        embedded: whether it holds embeddings. Where nobody looks at more than labels the set is not embedded, so that
            random pairs cost what they cost; zeros stand in.
    """

    def __init__(
        self,
        lane: LaneConfig,
        shared: MinedSet,
        distance: Distance,
        model: nn.Module,
        embed: Embed,
        clock: PhaseClock,
        twin: Callable[[], DatasetMiner],
    ) -> None:
        """`twin` makes a second miner like the lane's own, for builds in the background."""
        self.bank: Bank | None = None
        self.embedded = True
        self._distance, self._model, self._embed, self._clock = distance, model, embed, clock
        self._shared = shared
        probe_row = torch.randperm(len(shared.train_y), generator=generator(shared.seed, "probe"))
        self._probe_row = probe_row[:PROBE].to(shared.train_y.device)
        self._seed = shared.seed
        self._last_step = math.inf if shared.last_step is None else shared.last_step
        self._twin = twin
        self._policy, self._lag = policy_of(lane), _lag_of(lane)
        self._spare = twin() if self._lag else None
        self._newest = Snapshot(0, 0)
        self._coming: _Build | None = None

    def forget(self) -> None:
        """Start over with the weights of the next step, as at the end of a warm-up."""
        self.bank = None

    def change(self, lane: LaneConfig, *, anew: bool) -> None:
        """Follow the changed options of the lane; start over if `anew`, as for another miner. A bank that is being
        built for the miners of before is given up."""
        background = self._lag > 0
        self._policy, self._lag = policy_of(lane), _lag_of(lane)
        if anew or (self._lag > 0) != background:
            self._call_off()
            self._spare = self._twin() if self._lag else None
        if anew:
            self.forget()

    def refresh(
        self, own: DatasetMiner | None, others: Sequence[DatasetMiner], context: MiningContext
    ) -> DatasetMiner | None:
        """Show the miners the bank of this step.

        Args:
            own: the lane's own miner, None where it does not mine in this step.
            others: the other miners in use, cheap to refresh.
            context: of this step.

        Returns:
            The miner to ask in place of `own`: itself, or its twin that was built meanwhile.
        """
        if self.bank is None:
            self._call_off()
            self._make_now(own, others, context)
            return own
        if self._coming is not None and context.step >= self._coming.effective:
            own = self._take(own, others, context)
        matters = any(_looks(miner) for miner in _all(own, others))
        if matters and self._coming is None and self._policy.due(self._newest, context, self.drift):
            if not self._lag:
                self._make_now(own, others, context)
            elif context.step + self._lag <= self._last_step:
                self._make_later(own, context)
        return own

    def drift(self) -> float:
        """How far the network has moved since the bank's weights, see `hnm_core.miners.whole_set.drift`; 1 means stale.
        Infinite where the network gives no finite numbers, 0 where there is no bank of embeddings."""
        if self.bank is None or not self.embedded:
            return 0.0
        now = self._embed(self._model, self._shared.train_x[self._probe_row])
        if not bool(torch.isfinite(now).all()):
            return math.inf
        then = self.bank.embeddings[self._probe_row]
        return drift(then, now, self._shared.train_y[self._probe_row], self._distance).of_limit

    def metrics(self, step: int) -> dict[str, float]:
        """`bank_age` in steps and `drift`; empty where there is no bank of embeddings."""
        return (
            {}
            if self.bank is None or not self.embedded
            else {"bank_age": float(step - self.bank.step), "drift": self.drift()}
        )

    def state(self, name: str) -> dict[str, Any]:
        """The bank and what is known of the next ones, see `hnm_core.training.checkpoint`. A build in the background is
        told by what it began with: nobody waits for it.

        Raises:
            StateUntoldError: the miner, called `name` in words, does not tell its state.
        """
        coming = self._coming
        if coming is not None and coming.miner is not None:
            spare = coming.miner_before
        else:
            spare = None if self._spare is None else state_of(self._spare, name)
        return {
            "bank": None if self.bank is None else {"step": self.bank.step, "embeddings": fixed(self.bank.embeddings)},
            "embedded": self.embedded,
            "newest": [self._newest.step, self._newest.epoch],
            "spare": spare,
            "coming": None
            if coming is None
            else {
                "model": {name: fixed(value) for name, value in coming.model.state_dict().items()},
                "mines": coming.miner is not None,
                "effective": coming.effective,
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Hold the bank that what told `state` held; a build that was under way begins anew, from the same weights.
        Raises `InputError` where the bank is none of this lane's data."""
        if state["bank"] is not None:
            embeddings = state["bank"]["embeddings"].to(self._shared.train_y.device)
            self.bank = self._bank_of(embeddings, int(state["bank"]["step"]))
            self.embedded = bool(state.get("embedded", True))  # earlier versions embedded every set
        step, epoch = map(int, state["newest"])
        self._newest = Snapshot(step, epoch)
        if self._spare is not None and state["spare"] is not None:
            restore_miner(self._spare, state["spare"])
        if (coming := state["coming"]) is not None:
            model = copy.deepcopy(self._model)
            model.load_state_dict(coming["model"])
            context = MiningContext(step, epoch, generator(self._seed, ""), self._distance)
            self._build_aside(model, self._spare if coming["mines"] else None, context, int(coming["effective"]))

    def _make_now(self, own: DatasetMiner | None, others: Sequence[DatasetMiner], context: MiningContext) -> None:
        self._newest = Snapshot(context.step, context.epoch)
        self.embedded = any(_looks(miner) for miner in _all(own, others))
        with self._clock(Phase.EMBED):
            embeddings = (
                self._embed(self._model, self._shared.train_x)
                if self.embedded
                else torch.zeros((len(self._shared.train_y), 1), device=self._shared.train_y.device)
            )
        with self._clock(Phase.BUILD):
            self.bank = self._bank_of(embeddings, context.step)
            for miner in _all(own, others):
                miner.refresh(self.bank, context)

    def _make_later(self, own: DatasetMiner | None, context: MiningContext) -> None:
        self._newest = Snapshot(context.step, context.epoch)
        with self._clock(Phase.EMBED):
            model = copy.deepcopy(self._model)
        self._build_aside(model, None if own is None else self._spare, context, context.step + self._lag)

    def _build_aside(
        self, model: nn.Module, miner: DatasetMiner | None, context: MiningContext, effective: int
    ) -> None:
        def make() -> Bank:
            start_thread_on(self._shared.train_y.device)
            return self._bank_of(self._embed(model, self._shared.train_x), context.step)

        source = generator(self._seed, f"background build of step {context.step}")  # the lane's own is in use meanwhile
        aside = replace(context, generator=source, clock=None)
        self._coming = _Build(make, model, miner, aside, effective)

    def _bank_of(self, embeddings: Tensor, step: int) -> Bank:
        return Bank(embeddings, self._shared.train_labels, step=step)

    def _take(
        self, own: DatasetMiner | None, others: Sequence[DatasetMiner], context: MiningContext
    ) -> DatasetMiner | None:
        """Put the bank that was built meanwhile to use."""
        assert self._coming is not None
        ready, self._coming = self._coming, None
        with self._clock(Phase.BUILD):
            self.bank = ready.wait()
            for miner in others:
                miner.refresh(self.bank, context)
        self._clock.add(Phase.BACKGROUND, ready.ms)
        if ready.miner is None:
            return own
        self._spare = own
        return ready.miner

    def _call_off(self) -> None:
        """Let a build that nobody wants any more come to its end, whichever it is."""
        if self._coming is not None:
            self._coming.join()
            self._coming = None


class _Build:
    """A bank, and a miner that has seen it, made on a thread of their own. Nobody else touches that miner meanwhile.

    The generator of `context` is its own and there is no clock: those of the lane belong to the training thread.
    """

    def __init__(
        self,
        make: Callable[[], Bank],
        model: nn.Module,
        miner: DatasetMiner | None,
        context: MiningContext,
        effective: int,
    ) -> None:
        self.model = model
        """The network that is embedded with; nobody changes it."""
        self.effective = effective
        self.miner = miner
        self.miner_before = miner.state() if isinstance(miner, TellsState) else None
        """What the miner told of itself before the build; None where it tells nothing."""
        self._make = make
        self._context = context
        self._bank: Bank | None = None
        self._error: BaseException | None = None
        self.ms = 0.0
        """How long the thread worked; not before it has ended."""
        self._thread = threading.Thread(target=self._run, name="hnm-refresh")
        self._thread.start()

    def _run(self) -> None:
        start = time.perf_counter()
        try:
            bank = self._make()
            if self.miner is not None:
                self.miner.refresh(bank, self._context)
                # Searches put work off until they are first asked: let it be done here, not in the step that waits.
                self.miner.mine(torch.zeros(1, dtype=torch.int64, device=bank.device), self._context)
            self._bank = bank
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
        self.ms = (time.perf_counter() - start) * 1e3

    def __deepcopy__(self, memo: dict[int, Any]) -> _Build:
        """For a lane that goes on from the same state: the same bank, and a miner of its own that has seen it."""
        self.join()
        twin = copy.copy(self)
        twin.miner = copy.deepcopy(self.miner, memo)
        return twin

    def join(self) -> None:
        """Wait for the thread."""
        self._thread.join()

    def wait(self) -> Bank:
        """The bank. Raises what the thread raised."""
        self.join()
        if self._error is not None:
            raise self._error
        assert self._bank is not None
        return self._bank


def embed_with(model: nn.Module, features: Tensor) -> Tensor:
    """(N, E) embeddings of (N, D) features, without gradient, as a network that is not being trained gives them."""
    training = model.training
    model.eval()
    with torch.no_grad():
        parts = [model(part) for part in features.split(EMBED_ROWS)]
    model.train(training)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def fixed(tensor: Tensor) -> NDArray[Any]:
    """The numbers of a tensor that nobody will write to, so that they need not be copied."""
    array = tensor.detach().cpu().numpy()
    view = array.view()
    view.flags.writeable = False
    return view


def _lag_of(lane: LaneConfig) -> int:
    """Steps from a bank's weights to its use; 0 where it is made at once."""
    return (lane.refresh_lag or lane.refresh_every) if lane.refresh == "background" else 0


def _looks(miner: DatasetMiner) -> bool:
    """Whether another bank changes what the miner finds."""
    return not isinstance(miner, SaysWhetherItLooks) or miner.uses_embeddings


def _all(own: DatasetMiner | None, others: Sequence[DatasetMiner]) -> list[DatasetMiner]:
    return [*([] if own is None else [own]), *others]
