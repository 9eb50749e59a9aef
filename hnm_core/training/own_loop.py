"""Mining in a training loop of one's own: hard share, warm-up, bank and alarms, by what the lanes of a run use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hnm_core.devices import phase_clock
from hnm_core.distances import Distance, check_distance
from hnm_core.errors import InputError, described
from hnm_core.labels import INTEGERS, asked_for, check_labels
from hnm_core.losses.base import HasMargin, Loss, LossContext, Terms
from hnm_core.losses.checks import checked_tuples
from hnm_core.miners.base import Pairs, Triplets
from hnm_core.run.events import Alarm
from hnm_core.spec.config import LaneConfig
from hnm_core.spec.explaining import explain
from hnm_core.training.lane_bank import Embed, embed_with
from hnm_core.training.lane_mining import LaneMining
from hnm_core.training.looking import count_tuples, seen_in, separation_of
from hnm_core.training.pathologies import LOOK_EVERY, Watch

DRIFT_EVERY = 50
"""Steps between two looks at how far the network has moved since its bank: each embeds a part of the set."""

NAME = "mining"
"""What its alarms call the loop."""


class MiningWarning(UserWarning):
    """Something goes wrong in a training loop, in words; see `Mining`."""


@dataclass(frozen=True, eq=False)
class OwnSet:
    """The items of a loop of one's own, see `hnm_core.training.lane_bank.MinedSet`."""

    train_x: Tensor
    train_y: Tensor
    seed: int
    last_step: int | None = None

    @property
    def train_labels(self) -> Tensor:
        """See `MinedSet`."""
        return self.train_y


class Mining:
    """Mines for a loop that somebody else writes, step by step, as a lane of a run does.

    Asked once a step with the step's anchors, it gives tuples: random pairs while it warms up, then of its miner for
    `hard_share` of the anchors and random ones for the rest. The whole set is embedded anew when the refresh policy
    says so. Told what came of a step, it raises alarms: each in words, once, with one thing to try.

        mining = Mining("knn", net, features, labels, warmup=200, loss=loss_of)
        for step in range(1000):
            rows = mining(torch.randint(len(labels), (128,)))
            batch, place = torch.cat(rows).unique(return_inverse=True)
            embeddings, triplets = net(features[batch]), place.chunk(3)
            loss = loss_of(embeddings, labels[batch], triplets)
            ...
            mining.saw(loss, embeddings, triplets)

    Attributes:
        step: how often it was asked.
        figures: what the last step showed, by name: see `hnm_core.run.events.TUPLE_COUNTS` and `METRICS`.
        ms: milliseconds that the last call took, by phase, see `hnm_core.run.timing.Phase`.
        alarms: all so far.
    """

    def __init__(
        self,
        miner: str,
        model: nn.Module,
        features: Tensor,
        labels: Tensor,
        *,
        miner_options: Mapping[str, Any] | None = None,
        hard_share: float = 0.5,
        warmup: int = 0,
        warmup_below: float | None = None,
        refresh: Literal["steps", "epoch", "drift", "background"] = "steps",
        refresh_every: int = 10,
        refresh_lag: int | None = None,
        drift_threshold: float = 1.0,
        distance: Distance | None = None,
        loss: Loss | None = None,
        seed: int = 0,
        embed: Embed = embed_with,
        on_alarm: Callable[[Alarm], None] | None = None,
    ) -> None:
        """
        Args:
            miner: the name of one over the whole set, of `hnm_core.miners`.
            model: what is trained.
            features: (N, ...) what it embeds, a row for each item.
            labels: (N,) integers.
            miner_options: of the miner, by name.
            hard_share: share of the anchors whose negatives are mined, 0..1.
            warmup: steps on random negatives before mining starts.
            warmup_below: mining starts only once the mean loss of the last 100 steps is below this.
            refresh: when the whole set is embedded anew, see `hnm_core.config.LaneConfig`, as the next three.
            refresh_every: steps between two embeddings.
            refresh_lag: with refresh = background, steps from the weights' snapshot to its use.
            drift_threshold: with refresh = drift, how far the network may move.
            distance: what near means; None is Euclidean on embeddings as they are.
            loss: one of `hnm_core.losses`; it tells its margin and its plateau, without which some alarms cannot be.
            seed: of all chance here.
            embed: gives the embeddings of rows of features, without gradient.
            on_alarm: called with each alarm; None raises a `MiningWarning` by `warnings.warn`.

        Raises:
            InputError: an option that is not allowed, labels that do not fit, or a miner inside a batch.
        """
        check_distance(distance)
        if not isinstance(features, Tensor) or not features.ndim:
            raise InputError(f"features must be a tensor (N, ...), a row for each item, not {described(features)}.")
        check_labels(labels, len(features), "labels")
        self._distance = distance or Distance()
        values = {
            "name": NAME,
            "miner": miner,
            "miner_options": dict(miner_options or {}),
            "distance": self._distance.metric,
            "normalize": self._distance.normalized,
            "hard_share": hard_share,
            "warmup": warmup,
            "warmup_below": warmup_below,
            "refresh": refresh,
            "refresh_every": refresh_every,
            "refresh_lag": refresh_lag,
            "drift_threshold": drift_threshold,
        }
        try:
            lane = LaneConfig.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, "Mining", LaneConfig, values)) from None
        if lane.in_batch:
            raise InputError(
                f"'{miner}' mines inside a batch: make it by hnm_core.miners.create and call it with embeddings and "
                "labels. Mining is for miners over the whole set."
            )
        self._set = OwnSet(features, labels.to(features.device), seed)
        self._clock = phase_clock(features.device)
        self._mining = LaneMining(lane, self._set, self._distance, model, embed, self._clock)
        self._parameters, self._loss, self._on_alarm = tuple(model.parameters()), loss, on_alarm
        self._margin = float(loss.margin) if isinstance(loss, HasMargin) else 0.0
        self._watch = Watch(NAME)
        self._asked, self._epoch = 0, 0
        self._rows: tuple[Tensor, ...] = ()
        self.step = 0
        self.figures: dict[str, float] = {}
        self.ms: dict[str, float] = {}
        self.alarms: list[Alarm] = []

    @property
    def warming_up(self) -> bool:
        """Whether random pairs still stand in for the miner."""
        return self._mining.warming_up

    def __call__(self, anchors: Tensor, *, epoch: int = 0) -> Triplets | Pairs:
        """Tuples for the anchors of the next step.

        Args:
            anchors: (Q,) int64 rows of the features.
            epoch: for refresh = epoch, and for miners that go by it.

        Returns:
            Rows of the features: what the miner gives. An anchor without a positive or a negative gives none.

        Raises:
            InputError: rows that are not there.
        """
        whole = isinstance(anchors, Tensor) and anchors.dtype in (*INTEGERS, torch.bool)  # a mask is refused as one
        if not isinstance(anchors, Tensor) or anchors.ndim != 1 or not whole:
            raise InputError(f"anchors must be a tensor (Q,) of {asked_for(anchors)}, not {described(anchors)}.")
        items = len(self._set.train_y)
        if len(anchors) and not 0 <= int(anchors.min()) <= int(anchors.max()) < items:
            raise InputError(f"anchors must be rows of the {items:,} items, 0 or more.")
        self.step += 1
        self._asked, self._epoch = len(anchors), epoch
        self._mining.warmup_ends(self.step)
        self._rows = self._mining.of_the_set(anchors.to(self._set.train_y.device), self.step, epoch)
        self.ms = {str(phase): ms for phase, ms in self._clock.take().items()}
        return Pairs(*self._rows) if len(self._rows) == 4 else Triplets(*self._rows)

    def saw(
        self,
        loss: Tensor | float,
        embeddings: Tensor | None = None,
        tuples: Sequence[Tensor] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> list[Alarm]:
        """Tell what came of the step, after its backward. Changes nothing of what is mined, but for `warmup_below`.

        Args:
            loss: its value.
            embeddings: (B, E) what the loss was given.
            tuples: the tuples of the step as rows of `embeddings`, as the loss was given them. With these two it is
                known how hard they were, whether the points collapse, and how far the loss is from its plateau.
            metrics: what else was measured after this step, by name; `map_at_r` is watched.

        Returns:
            The alarms of this step, which `on_alarm` was called with.

        Raises:
            InputError: before the first call, a loss that is no number, or tuples that are not those of the step.
        """
        value = _number(loss)
        if not self._rows:
            raise InputError("Mining saw a step that it was not asked for: call it with the step's anchors first.")
        tuples = self._checked(embeddings, tuples)
        self._mining.saw_loss(value)
        measured = dict(metrics or {})
        empty = "" if len(self._rows[0]) else self._mining.why_empty(self._set.train_x, self._set.train_y)
        if not (measured or empty or self.step % LOOK_EVERY == 0):
            return []
        if self.step % DRIFT_EVERY == 0:
            measured |= self._mining.metrics(self.step)
        rows = None if embeddings is None else embeddings.detach()
        separation = terms = None
        if rows is not None:
            measured["mean_distance"] = float((2 * rows.double().var(0, unbiased=False).sum()).sqrt())
        if rows is not None and tuples is not None:
            separation = separation_of(self._distance, rows, tuples) if len(tuples) == 3 else None
            terms = self._terms(rows, tuples)
        counts = count_tuples(
            self._rows, separation, margin=self._margin, anchors=self._asked, items=len(self._set.train_y)
        )
        counts |= self._mining.choices()
        self.figures = {**counts, **measured}
        seen = seen_in(
            self.step,
            value,
            counts,
            measured,
            self._mining,
            self._parameters,
            loss_of=self._loss,
            terms=terms,
            embeddings=rows,
            empty_reason=empty,
        )
        alarms = self._watch.see(seen)
        self.alarms += alarms
        for alarm in alarms:
            if self._on_alarm is not None:
                self._on_alarm(alarm)
            else:
                warnings.warn(f"step {alarm.step:,}: {alarm.message}", MiningWarning, stacklevel=2)
        return alarms

    def _checked(self, embeddings: Tensor | None, tuples: Sequence[Tensor] | None) -> tuple[Tensor, ...] | None:
        if embeddings is None:
            return None
        if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
            raise InputError(
                f"embeddings must be a floating-point tensor of shape (B, E), not {described(embeddings)}."
            )
        told = checked_tuples(tuples, len(embeddings), len(embeddings), embeddings.device, "tuples")
        if told is not None and [*map(len, told)] != [*map(len, self._rows)]:
            raise InputError(
                f"tuples must be all that this step gave, {len(self._rows)} vectors of {len(self._rows[0]):,}, as rows "
                f"of embeddings; these are {len(told)} of {len(told[0]):,}."
            )
        return told

    def _terms(self, embeddings: Tensor, tuples: Sequence[Tensor]) -> Terms | None:
        """The terms of the loss once more, without a gradient; None where it is not known, or wants more than is."""
        if self._loss is None or self._loss.uses_hidden:
            return None
        labels = self._set.train_y.new_zeros(len(embeddings))
        for place, row in zip(tuples, self._rows, strict=True):
            labels[place] = self._set.train_y[row]
        return self._loss.terms(embeddings, labels, tuple(tuples), context=LossContext(self.step, self._epoch))


def _number(loss: Any) -> float:
    try:
        if not isinstance(loss, str):
            return float(loss.detach() if isinstance(loss, Tensor) else loss)
    except (TypeError, ValueError, RuntimeError):
        pass  # of several numbers, of complex ones, of something else
    raise InputError(f"The loss of a step must be one number, not {described(loss)}.")
