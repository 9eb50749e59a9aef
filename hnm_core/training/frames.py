"""Makes the frames of a lane: where every shown item is, what was mined since the last frame, who carries the loss.

Of a set too large to show, a frame also brings the mined items, what the search missed when that was measured last, and
the candidates, as far as they are not among the shown ones, as its guests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.evaluation.projection import AlignedPca
from hnm_core.losses.base import Part, Terms
from hnm_core.run.candidates import Candidates
from hnm_core.run.events import MAX_DRAWN_TRIPLETS, MAX_GUESTS, TRAIL_STEPS, Frame, Guests, Misses, frozen
from hnm_core.run.hardness import Hardness, histogram
from hnm_core.spec.config import LaneConfig

GATHER_STEPS = 64
"""Steps that wait to be counted together: counting costs about the same for one as for many."""

GATHER_ENTRIES = 500_000
"""So many tuples and terms do not wait any longer: a batch may hold that many. Of so many the histogram is made."""


class _Step(NamedTuple):
    """What one step leaves behind; rows of the training set."""

    step: int
    tuples: Sequence[Tensor]
    parts: Sequence[Part]
    embedded_row: Tensor
    separation: Tensor | None
    margin: float


class _Mined(NamedTuple):
    """What one step mined, as far as a frame may tell of it."""

    step: int
    rows: Tensor
    """(M, 3) rows of the training set, at most `MAX_DRAWN_TRIPLETS`"""
    separation: Tensor
    """(M,) of these, NaN where unknown"""
    every: Tensor
    """(T,) separations of all tuples; none where they are unknown, or where later steps had so many"""
    total: int
    bands: tuple[int, int, int]
    """How many of all were hard, semi-hard and easy"""


class FrameItems(Protocol):
    """The items that frames speak of, see `hnm_core.training.setup.Shared`: those that are trained on before the
    others."""

    @property
    def trained(self) -> int:
        """T, rows 0 .. T-1 are trained on."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""

    @property
    def x(self) -> Tensor:
        """(N, ...) what each item is embedded from."""

    @property
    def y(self) -> Tensor:
        """(N,) int64 labels."""

    @property
    def y_true(self) -> Tensor | None:
        """(N,) int64 true classes, where they are known to differ."""

    @property
    def groups(self) -> Tensor | None:
        """(N,) int64 coarser classes, where there are any."""

    @property
    def ids(self) -> Tensor:
        """(N,) int64 dataset ids."""

    @property
    def shown_row(self) -> Tensor:
        """(S,) rows that all frames show, in id order."""


class FrameMaker:
    """Gathers, step by step, what the next frame shows. Frames speak in dataset ids; nothing in training changes."""

    def __init__(
        self,
        lane: LaneConfig,
        shared: FrameItems,
        distance: Distance,
        embed: Callable[[Tensor], Tensor],
        buckets: Callable[[], Tensor | None] = lambda: None,
    ) -> None:
        """`buckets` tells the bucket of each row of the training set, where the lane's search hashes."""
        self._buckets = buckets
        self.lane, self._shared, self._distance, self._embed = lane.name, shared, distance, embed
        self._project = AlignedPca()
        trained, device = shared.trained, shared.device
        # Counted for every row of the training set; the spare last row stands for shown items that are held out.
        self._loss = torch.zeros(trained + 1, device=device)
        self._mined = torch.zeros(trained + 1, device=device)
        self._hardness = torch.full((trained + 1,), torch.nan, device=device)
        self._shown_row = shared.shown_row.clamp(max=trained)
        self._hidden = torch.ones(trained + 1, dtype=torch.bool, device=device)
        self._hidden[self._shown_row] = False
        self._hidden[trained] = False
        self._hidden_row = self._hidden.nonzero()[:, 0]
        self._waiting: list[_Step] = []
        self._entries = 0
        self._recent: deque[_Mined] = deque(maxlen=GATHER_STEPS)
        self._margin = 0.0
        self._told = 0  # the step of the last frame
        self._missed = shared.ids[:0]

    @property
    def told(self) -> int:
        """The step of the last frame"""
        return self._told

    def add(
        self,
        step: int,
        tuples: Sequence[Tensor],
        terms: Terms,
        embedded_row: Tensor,
        separation: Tensor | None,
        margin: float,
    ) -> None:
        """Remember one step.

        Args:
            step: which one.
            tuples: mined rows of the training set, three vectors or four.
            terms: of the loss.
            embedded_row: (U,) row of the training set of each embedding that the terms' anchors point into.
            separation: (T,) d_an - d_ap of each triplet, if known.
            margin: up to which separation a triplet is semi-hard.
        """
        parts = [Part(part.value.detach(), part.anchor) for part in terms.parts]
        separation = None if separation is None else separation.detach()
        self._waiting.append(_Step(step, tuples, parts, embedded_row, separation, margin))
        self._entries += sum(len(vector) for vector in tuples) + sum(len(part.value) for part in parts)
        if len(self._waiting) == GATHER_STEPS or self._entries > GATHER_ENTRIES:
            self._gather()

    def show_missed(self, misses: Misses | None) -> None:
        """Bring the items of what was missed with every frame, the worst first, until others are told; None for
        none."""
        told = () if misses is None else (misses.anchors, misses.nearest, misses.found)
        items = np.array(told, np.int64).T.ravel()
        self._missed = torch.from_numpy(_distinct(items[items >= 0])).to(self._missed.device)

    def make(self, step: int, candidates: Candidates | None = None) -> Frame:
        """The frame now, with what was mined since the last one, at least in the last `TRAIL_STEPS` steps and at most
        in the last `GATHER_STEPS`, and with the `candidates` of the last step; then start over."""
        self._gather()
        shared = self._shared
        positions, projection = self._project(self._prepared(shared.shown_row))
        since = min(self._told, step - TRAIL_STEPS)
        recent = [mined for mined in self._recent if mined.step > since]
        mined, separation, age, guest_row = self._drawn(recent, step)
        guest_row = self._with_more(guest_row, self._missed)
        if candidates is not None:
            pairs = candidates.pairs[candidates.pairs >= 0]
            guest_row = self._with_more(guest_row, torch.from_numpy(_distinct(pairs)).to(guest_row.device))
        shown_loss, hidden_loss = self._loss[self._shown_row], self._loss[self._hidden_row].sum()
        total = float(torch.cat((shown_loss, hidden_loss[None])).sum())
        frame = Frame(
            self.lane,
            step,
            positions=_array(positions),
            triplets=_array(torch.where(mined < 0, -1, shared.ids[mined]).to(torch.int32)),
            mined_total=sum(mined.total for mined in recent),
            columns=self._columns(self._shown_row, total),
            projection=projection,
            guests=self._guests(guest_row, total) if len(guest_row) else None,
            separation=_array(separation),
            age=_array(age),
            hardness=self._hardness_of(recent),
            candidates=candidates,
        )
        self._told = step
        self._loss.zero_()
        return frame

    def state(self) -> dict[str, Any]:
        """What the next frames depend on, see `hnm_core.training.checkpoint`."""
        self._gather()
        return {
            "loss": self._loss,
            "mined": self._mined,
            "hardness": self._hardness,
            "recent": [{**mined._asdict(), "bands": list(mined.bands)} for mined in self._recent],
            "margin": self._margin,
            "told": self._told,
            "missed": self._missed,
            "projection": self._project.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Make the frames that what told `state` would have made. Raises `RuntimeError` where that was of other
        data."""
        for own, told in ((self._loss, "loss"), (self._mined, "mined"), (self._hardness, "hardness")):
            own.copy_(state[told])
        device = self._loss.device
        for mined in state["recent"]:
            hard, semi_hard, easy = map(int, mined["bands"])
            rows, separation, every = (mined[name].to(device) for name in ("rows", "separation", "every"))
            bands = hard, semi_hard, easy
            self._recent.append(_Mined(int(mined["step"]), rows, separation, every, int(mined["total"]), bands))
        self._margin, self._told = float(state["margin"]), int(state["told"])
        self._project.restore(state["projection"], device)
        if "missed" in state:  # which older checkpoints do not tell
            self._missed = state["missed"].to(device)

    def _drawn(self, recent: Sequence[_Mined], step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(M, 3) rows of mined triplets to draw, hard ones first, their separations and ages; and the (G,) rows in
        them that are not shown."""
        if not recent:
            none = self._shown_row.new_zeros((0, 3))
            return none, self._hardness.new_zeros(0), none[:, 0].int(), self._guest_row(none)
        rows = torch.cat([mined.rows for mined in recent])
        separation = torch.cat([mined.separation for mined in recent])
        age = torch.cat([torch.full_like(mined.rows[:, 0], step - mined.step) for mined in recent]).int()
        chosen = hardest_first(separation, self._margin, MAX_DRAWN_TRIPLETS)
        guest_row = self._guest_row(rows[chosen])
        if len(guest_row) > MAX_GUESTS:
            chosen = hardest_first(separation, self._margin, MAX_GUESTS // 3)  # a triplet brings three guests at most
            guest_row = self._guest_row(rows[chosen])
        return rows[chosen], separation[chosen], age[chosen], guest_row

    def _hardness_of(self, recent: Sequence[_Mined]) -> Hardness | None:
        hard, semi_hard, easy = (sum(mined.bands[band] for mined in recent) for band in range(3))
        if not hard + semi_hard + easy:
            return None
        width, first, bins = histogram(_array(torch.cat([mined.every for mined in recent])))
        return Hardness(self._margin, hard, semi_hard, easy, width, first, frozen(bins))

    def _guest_row(self, mined: Tensor) -> Tensor:
        if not len(self._hidden_row):
            return self._hidden_row
        row: Tensor = torch.unique(mined[mined >= 0])
        return row[self._hidden[row]]

    def _with_more(self, guest_row: Tensor, wanted: Tensor) -> Tensor:
        """(G,) rows of the guests, and of those of the (W,) different ids that are not shown, as long as there is
        room."""
        if not len(wanted) or not len(self._hidden_row):
            return guest_row
        hidden, order = self._shared.ids[self._hidden_row].sort()
        place = torch.searchsorted(hidden, wanted).clamp(max=len(hidden) - 1)
        row = self._hidden_row[order[place[hidden[place] == wanted]]]
        row = row[~torch.isin(row, guest_row)]
        return torch.cat((guest_row, row[: MAX_GUESTS - len(guest_row)])).sort().values

    def _guests(self, row: Tensor, total: float) -> Guests:
        shared = self._shared
        return Guests(
            ids=_array(shared.ids[row]),
            labels=_array(shared.y[row]),
            positions=_array(self._project.further(self._prepared(row))),
            columns=self._columns(row, total),
            groups=None if shared.groups is None else _array(shared.groups[row]),
            true_labels=None if shared.y_true is None else _array(shared.y_true[row]),
        )

    def _prepared(self, row: Tensor) -> Tensor:
        """Embeddings of rows of all items, as the lane's distance sees them."""
        return self._distance.prepare(self._embed(self._shared.x[row]))

    def _columns(self, row: Tensor, total: float) -> dict[str, NDArray[np.float32]]:
        """The point columns of rows of the counters, see `hnm_core.run.events.POINT_COLUMNS`."""
        loss, bucket = self._loss[row], self._buckets()
        columns = {
            "loss_share": _array(loss / total if total > 0 else loss),
            "times_mined": _array(self._mined[row]),
            "hardness": _array(self._hardness[row]),
        }
        if bucket is not None:
            known = torch.full_like(self._hardness, torch.nan)
            known[:-1] = bucket
            columns["bucket"] = _array(known[row])
        return columns

    def _gather(self) -> None:
        """Count the steps that wait."""
        steps, self._waiting, self._entries = self._waiting, [], 0
        if not steps:
            return
        anchor_row = torch.cat([step.embedded_row[part.anchor] for step in steps for part in step.parts])
        value = torch.cat([part.value for step in steps for part in step.parts])
        self._loss.index_add_(0, anchor_row, value.to(self._loss.dtype))
        for step in steps:
            if step.tuples:
                negative_row = step.tuples[-1]
                self._mined.index_add_(0, negative_row, torch.ones_like(negative_row, dtype=self._mined.dtype))
                if step.separation is not None:
                    self._hardness[step.tuples[0]] = -step.separation.to(self._hardness.dtype)
                self._recent.append(self._mined_in(step))
            self._margin = step.margin
        entries = 0
        for place in reversed(range(len(self._recent))):
            mined = self._recent[place]
            entries += len(mined.every)
            if entries > max(GATHER_ENTRIES, len(self._recent[-1].every)):
                self._recent[place] = mined._replace(every=mined.every[:0])

    def _mined_in(self, step: _Step) -> _Mined:
        rows = _as_rows(step.tuples)
        every = self._hardness.new_zeros(0) if step.separation is None else step.separation.to(self._hardness.dtype)
        known = every if len(every) == len(rows) else torch.full_like(rows[:, 0], torch.nan, dtype=every.dtype)
        hard, inside = int((every <= 0).sum()), int((every <= max(step.margin, 0.0)).sum())
        chosen = hardest_first(known, step.margin, MAX_DRAWN_TRIPLETS)
        bands = hard, inside - hard, len(every) - inside
        return _Mined(step.step, rows[chosen], known[chosen], every, len(rows), bands)


def hardest_first(separation: Tensor, margin: float, most: int) -> Tensor:
    """Ascending places of at most `most` of (M,) separations: hard ones before semi-hard ones before the rest, and of
    the band for which there is not enough room a fair part."""
    if len(separation) <= most:
        return torch.arange(len(separation), device=separation.device)
    hard, inside = separation <= 0, separation <= max(margin, 0.0)
    chosen: list[Tensor] = []
    for band in (hard, inside & ~hard, ~inside):
        place = band.nonzero()[:, 0]
        room = most - sum(map(len, chosen))
        if len(place) > room:
            place = place[torch.arange(room, device=place.device) * len(place) // max(1, room)]
        chosen.append(place)
    return torch.cat(chosen).sort().values


def _as_rows(tuples: Sequence[Tensor]) -> Tensor:
    """(M, 3) anchor, positive, negative; of four vectors, each pair as a row with -1 for its missing end."""
    if len(tuples) == 3:
        return torch.stack(tuple(tuples), dim=1)
    anchor1, positive, anchor2, negative = tuples
    pulled = torch.stack((anchor1, positive, torch.full_like(anchor1, -1)), dim=1)
    pushed = torch.stack((anchor2, torch.full_like(anchor2, -1), negative), dim=1)
    return torch.cat((pulled, pushed))


def _distinct(ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The different ones among (W,) ids, in the order in which they come first: those of an anchor stay together."""
    known, first = np.unique(ids.astype(np.int64), return_index=True)
    return known[np.argsort(first)]


def _array(values: Tensor) -> NDArray[Any]:
    return frozen(values.cpu().numpy())
