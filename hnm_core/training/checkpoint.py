"""The whole state of a run between two steps, told and taken up again; on the CPU all that follows is the same.

Every part tells its own (`state`, `restore`): what its next steps depend on beside its options and the data. It is made
of plain values, nested, with tensors; a `Checkpoint` holds copies of these as arrays that nobody writes to.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hnm_core.errors import InputError, StateUntoldError
from hnm_core.losses.base import loss_state, restore_loss
from hnm_core.run.events import Alarm, Checkpoint, Event, Weights, frozen
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.training.setup import Shared
from hnm_core.training.trainer import Trainer

State = Mapping[str, Any]


class Checkpoints:
    """Makes a checkpoint of a run every so many seconds."""

    def __init__(self, every: float, shared: Shared) -> None:
        """`every`: seconds; 0 makes none."""
        self._every, self._shared = every, shared
        self._last = time.monotonic()
        self._step = 0
        self._fingerprint: int | None = None
        self._said = False

    def begin(self, trainers: Mapping[str, Trainer]) -> Iterator[Event]:
        """Count from now; says at once where checkpoints will hold the weights alone."""
        self._last = time.monotonic()
        if not self._every:
            return
        try:
            for trainer in trainers.values():
                _told(trainer)
        except StateUntoldError as error:
            yield from self._weights_alone(trainers, error)

    def due(self) -> bool:
        """Whether so many seconds have passed since the last."""
        return bool(self._every) and time.monotonic() - self._last >= self._every

    def make(self, trainers: Mapping[str, Trainer], over: Collection[str], seconds: float) -> Iterator[Event]:
        """The checkpoint now, unless nothing was trained since the last.

        Args:
            trainers: of all lanes, between two steps.
            over: names of those that failed.
            seconds: that the run has taken so far.
        """
        step = _farthest(trainers)
        if not self._every or step == self._step:
            return
        arrays = {name: trainer.arrays() for name, trainer in trainers.items()}
        state: State | None = None
        try:
            if not self._said:
                lanes = [
                    {**_told(trainer), "model": arrays[name], "over": name in over}
                    for name, trainer in trainers.items()
                ]
                state = _frozen({"data": self._data(), "seconds": seconds, "lanes": lanes})
        except StateUntoldError as error:
            yield from self._weights_alone(trainers, error)
        weights = tuple(trainer.weights_of(arrays[name]) for name, trainer in trainers.items())
        yield Checkpoint(step, weights, state)
        self._last, self._step = time.monotonic(), step

    def _data(self) -> int:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._shared)
        return self._fingerprint

    def _weights_alone(self, trainers: Mapping[str, Trainer], error: StateUntoldError) -> Iterator[Event]:
        self._said = True
        message = f"Checkpoints of this run hold its weights alone, so training cannot go on from them: {error}."
        yield Alarm(next(iter(trainers)), _farthest(trainers), "weights-alone", message, "hint")


class Restored(NamedTuple):
    """What a checkpoint's state says."""

    trainers: dict[str, Trainer]
    """The lanes as they stood, by name"""
    over: list[str]
    """Names of those that had failed"""
    seconds: float
    """That the run had taken"""


def restored(state: State, shared: Shared, *, frames: bool) -> Restored:
    """The lanes of a checkpoint's state, and what else is in it.

    Raises:
        InputError: the state is of other data, of another version, or damaged.
    """
    try:
        if state["data"] != fingerprint(shared):
            raise InputError("The data are others than those that the run was trained on, so it cannot go on.")
        seconds = float(state["seconds"])
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds = {seconds:g}")
        lanes = [_restored(_tensors(lane), shared, frames) for lane in state["lanes"]]
        over = [trainer.lane.name for trainer, lane in zip(lanes, state["lanes"], strict=True) if lane["over"]]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"The checkpoint does not fit this version, or is damaged: {reason}.") from error
    return Restored({trainer.lane.name: trainer for trainer in lanes}, over, seconds)


def fingerprint(shared: Shared) -> int:
    """Tells data from others."""
    found = 0
    for part in (shared.x, shared.y, shared.ids):
        found = zlib.crc32(part.cpu().contiguous().numpy().reshape(-1).view(np.uint8).data, found)
    return found


def _told(trainer: Trainer) -> dict[str, Any]:
    """All of a lane but its network, with tensors as they are. Raises `StateUntoldError`."""
    good = trainer.good_weights
    batches = trainer.batches
    optimizer = {} if trainer.optimizer is None else trainer.optimizer.state_dict()["state"]
    return {
        "config": trainer.config.to_dict(),
        "step": trainer.step,
        "trained": trainer.trained,
        "epoch": trainer.epoch,
        "spent": trainer.spent,
        "ends": trainer.ends,
        "alpha": trainer.alpha,
        "margin": trainer.margin,
        "batches": {
            "rows": np.concatenate(batches) if batches else np.zeros(0, np.int64),
            "sizes": list(map(len, batches)),
        },
        "optimizer": optimizer,
        "loss": loss_state(trainer.loss, f"the loss '{trainer.lane.loss}'"),
        "loss_source": trainer.loss_source.get_state(),
        "mining": trainer.mining.state(),
        "watch": trainer.watch.state(),
        "frames": None if trainer.frames is None else trainer.frames.state(),
        "good_weights": None if good is None else {"step": good.step, "arrays": good.arrays},
    }


def _restored(state: State, shared: Shared, frames: bool) -> Trainer:
    told = from_dict(state["config"], "checkpoint")
    lane = told.lanes[0]
    config = _alone(shared.config, told)
    trainer = Trainer(lane, shared, frames=frames, config=config)
    trainer.notes = []  # they were told when it began
    trainer.model.load_state_dict(state["model"])
    if trainer.optimizer is not None:
        groups = trainer.optimizer.state_dict()["param_groups"]
        values = {int(place): value for place, value in state["optimizer"].items()}
        trainer.optimizer.load_state_dict({"state": values, "param_groups": groups})
    restore_loss(trainer.loss, state["loss"])
    trainer.loss_source.set_state(state["loss_source"])
    trainer.mining.restore(state["mining"])
    trainer.watch.restore(state["watch"])
    if trainer.frames is not None and state["frames"] is not None:
        trainer.frames.restore(state["frames"])
    rows = state["batches"]["rows"].numpy()
    trainer.batches = np.split(rows, np.cumsum(state["batches"]["sizes"], dtype=np.int64)[:-1]) if len(rows) else []
    trainer.step, trainer.trained, trainer.epoch = (_count(state[name]) for name in ("step", "trained", "epoch"))
    trainer.spent = float(state.get("spent", 0.0))  # earlier versions had no limit to compare it with
    timed_out = bool(state.get("ends", False)) and trainer.spent >= (config.seconds or math.inf)
    trainer.ends = timed_out or trainer.step >= config.steps
    trainer.alpha = None if state["alpha"] is None else float(state["alpha"])
    trainer.margin = float(state["margin"])
    if (good := state["good_weights"]) is not None:
        arrays = {name: frozen(value.numpy()) for name, value in good["arrays"].items()}
        trainer.good_weights = Weights(lane.name, int(good["step"]), arrays, shared.x.shape[1], shared.image_shape)
    trainer.resumed = True
    return trainer


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value


def _alone(config: ExperimentConfig, told: ExperimentConfig) -> ExperimentConfig:
    """A lane alone as it was, in the experiment as it is now."""
    return config.model_copy(update={"sampler": told.sampler, "optimizer": told.optimizer, "lanes": (told.lanes[0],)})


def _farthest(trainers: Mapping[str, Trainer]) -> int:
    return max((trainer.step for trainer in trainers.values()), default=0)


def _frozen(value: Any) -> Any:
    """A copy as plain values and arrays that nobody writes to. Raises `StateUntoldError` for anything else."""
    match value:
        case Tensor():
            try:
                return frozen(value.detach().cpu().numpy())
            except TypeError as error:  # a kind of number that numpy does not know
                raise StateUntoldError(f"a part of it is told in {value.dtype}") from error
        case np.ndarray():
            return value if not value.flags.writeable else frozen(value)
        case Mapping():
            return {str(key): _frozen(item) for key, item in value.items()}
        case list() | tuple():
            return [_frozen(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case _:
            raise StateUntoldError(f"a part of it is told as a {type(value).__name__}")


def _tensors(value: Any) -> Any:
    """The same with tensors in place of arrays, which may be written to."""
    match value:
        case np.ndarray():
            return torch.from_numpy(np.array(value))
        case Mapping():
            return {key: _tensors(item) for key, item in value.items()}
        case list():
            return [_tensors(item) for item in value]
        case _:
            return value
