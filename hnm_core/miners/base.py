"""What every miner promises, the tuples it returns, and what it can do beside that.

`DatasetMiner` and `BatchMiner` are all that is asked of a miner. What it can do beside that is a protocol each; a lane
uses what its miner has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol, runtime_checkable

from torch import Generator, Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError, StateUntoldError
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.run.timing import PhaseClock
from hnm_core.seeding import generator

EUCLIDEAN = Distance()


class Triplets(NamedTuple):
    """Three int64 vectors of equal length: rows."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Pairs(NamedTuple):
    """Positive pairs (anchor1, positive), negative pairs (anchor2, negative): rows; the halves may differ in length."""

    anchor1: Tensor
    positive: Tensor
    anchor2: Tensor
    negative: Tensor


class Found(NamedTuple):
    """What a miner had to choose from."""

    anchor: Tensor
    """(Q,) int64 rows of the bank."""
    candidate: Tensor
    """(Q, K) int64 rows of the bank, the nearest first; -1 where there are fewer."""


@dataclass(frozen=True)
class MiningContext:
    """What a miner may know of the run."""

    step: int = 0
    epoch: int = 0
    generator: Generator = None  # type: ignore[assignment]  # never None once it is made
    """The lane's own generator (CPU); the only source of chance. Without one each step has its own, of seed 0."""
    distance: Distance = EUCLIDEAN
    clock: PhaseClock | None = None
    """The harness's clock: a miner may say where search ends and selection begins. None when nobody times."""
    keep_candidates: bool = False
    """Whether somebody is going to ask what the miner chose from, see `TellsCandidates`."""

    def __post_init__(self) -> None:
        if self.generator is None:
            object.__setattr__(self, "generator", generator(0, f"mining, step {self.step}"))


@runtime_checkable
class DatasetMiner(Protocol):
    """Mines from the whole training set, whose embeddings it sees at each refresh."""

    def refresh(self, bank: Bank, context: MiningContext) -> None:
        """New embeddings of the whole training set. The bank is not changed."""

    def mine(self, anchors: Tensor, context: MiningContext) -> Triplets | Pairs:
        """Tuples for the (Q,) int64 anchor rows. An anchor without a positive or a negative gives no tuple."""


class WholeSetMiner:
    """Base of the whole-set miners here: tells whoever calls one like a miner inside the batch what it wants."""

    def __call__(self, *given: object) -> NoReturn:
        """Raises `InputError`."""
        raise InputError(
            "This miner mines the whole set, not a batch: hand it the set with refresh(Bank(embeddings, labels), "
            "context) and ask it with mine(anchors, context), context a hnm_core.miners.base.MiningContext."
        )


class BatchMiner(Protocol):
    """Mines inside one batch; pytorch-metric-learning's contract."""

    def __call__(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> Triplets | Pairs | None:
        """Tuples of rows of `embeddings` (anchors) and `ref_emb` (the rest); None leaves the choice to the loss.

        One whose options say `shares_labels` takes tables (B, L) of 0 and 1 in place of labels, too: positives share
        one.
        """


@runtime_checkable
class Searching(Protocol):
    """A miner over the whole set that draws from what a neighbour search finds, whose recall can be measured."""

    search: NeighborSearch

    @property
    def pool(self) -> int:
        """Nearest negatives that it draws from, at least 1."""


@runtime_checkable
class SaysHowFar(Protocol):
    """A miner over the whole set that says how far down the list of the nearest it may go for a negative."""

    @property
    def reach(self) -> int:
        """So many nearest negatives it draws from when its options are taken at their widest, at least 1."""


@runtime_checkable
class SaysWhetherItLooks(Protocol):
    """A miner over the whole set that says whether it looks at embeddings; one that does not say it does.

    For a miner that looks at labels alone nobody needs to embed the whole set anew.
    """

    @property
    def uses_embeddings(self) -> bool:
        """Whether another bank of the same items would change what it mines."""


@runtime_checkable
class CountsChoices(Protocol):
    """A miner that counts what it did."""

    def counts(self) -> dict[str, int]:
        """Of the last call. `filled` is how many negatives are random ones in place of missing ones, `dropped_...` how
        many candidates each filter removed. Empty before the first."""


@runtime_checkable
class TellsCandidates(Protocol):
    """A miner over the whole set that can tell what it chose from, also what its filters removed of that."""

    def candidates(self) -> Found | None:
        """Of the last `mine`, if its context said `keep_candidates`; else None. Nobody may write to it."""


@runtime_checkable
class TellsBatchCandidates(Protocol):
    """A miner inside a batch that can tell what it chooses from."""

    def candidates(self, labels: Tensor, anchors: Tensor) -> Tensor:
        """(A, B) bool, which rows of a batch with (B,) `labels` can become negatives of its rows `anchors`, (A,)."""


@runtime_checkable
class ExplainsEmptySet(Protocol):
    """A miner over the whole set that knows why it mined nothing."""

    def explain_empty(self) -> tuple[str, str] | None:
        """A code and a sentence, why the last `mine` gave nothing; None where it gave something or cannot tell."""


@runtime_checkable
class ExplainsEmptyBatch(Protocol):
    """A miner inside a batch that knows why it mines nothing."""

    def explain_empty(self, embeddings: Tensor, labels: Tensor) -> tuple[str, str] | None:
        """A code and a sentence, why this batch gives nothing; None where it gives something or cannot tell."""


@runtime_checkable
class TellsState(Protocol):
    """A miner that can tell all that its next calls depend on beside its options, so that a run goes on from a
    checkpoint as if it had never ended. Of a run with a miner that cannot, a checkpoint holds the weights alone."""

    def state(self) -> dict[str, Any]:
        """Numbers, text, None, tensors, and lists and dicts with keys of text of these; empty where each call depends
        on its arguments alone. The bank is told by others."""

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """Be, made anew from the same options, what told `state`.

        Args:
            state: tensors are on the CPU.
            bank: what a miner over the whole set had seen last; None where it sees another one before it is asked.
        """


def state_of(miner: object, name: str) -> dict[str, Any]:
    """What `miner`, called `name` in words, tells of its state. Raises `StateUntoldError` where it does not."""
    if not isinstance(miner, TellsState):
        raise StateUntoldError(f"{name} does not tell its state")
    return miner.state()


def restore_miner(miner: object, state: Mapping[str, Any], bank: Bank | None = None) -> None:
    """Give a miner the state that one like it told, see `TellsState.restore`."""
    assert isinstance(miner, TellsState), "another one like it has told the state"
    miner.restore(state, bank)
