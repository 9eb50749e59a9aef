"""A miner inside a batch: a rule with its options, how it is called, and why it found nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Generator, Tensor, nn

from hnm_core import seeding
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.isolation import isolated
from hnm_core.labels import share_a_label
from hnm_core.miners.base import Pairs, Triplets
from hnm_core.miners.in_batch.batch import Batch, NonFiniteError
from hnm_core.miners.in_batch.buffer import Buffer
from hnm_core.miners.in_batch.options import BatchOptions
from hnm_core.miners.in_batch.reasons import explain

UNIT_EUCLIDEAN = Distance("euclidean", normalized=True)
"""pytorch-metric-learning's default distance."""


class Mined(NamedTuple):
    """What a rule found in a batch."""

    tuples: Triplets | Pairs
    found: int
    """how many there were before any cap"""


OptionsT = TypeVar("OptionsT", bound=BatchOptions)


class InBatchMiner(nn.Module, Generic[OptionsT]):
    """A rule, its options, a distance and a source of chance, called as pytorch-metric-learning calls its miners. A
    module without weights, as these are.

    Attributes:
        found: tuples that the last call found before any cap, of pairs both halves together.
        kept: tuples that the last call returned.
    """

    scope = "batch"

    def __init__(
        self,
        rule: Callable[[Batch, OptionsT, Generator], Mined],
        options: OptionsT,
        generator: Generator | None,
        distance: Distance | None,
        default: Distance = UNIT_EUCLIDEAN,
    ) -> None:
        """
        Args:
            rule: what to mine from a batch by the options; a function of a module, so that a miner can be pickled.
            options: of the rule.
            generator: of the rule's draws; None is one of our own.
            distance: what near means.
            default: the distance where none is given.
        """
        super().__init__()
        self.rule = rule
        self.options = options
        self.generator = generator if generator is not None else seeding.generator(0, "in-batch miner")
        self.distance = distance if distance is not None else default
        self.found = 0
        self.kept = 0
        self._buffer = Buffer()

    @isolated
    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
    ) -> Triplets | Pairs:
        """Mine.

        Args:
            embeddings: (B, D) floating point, finite. Half precision is mined in single.
            labels: (B,) integers of any value; or (B, L) of 0 and 1, which of L labels each row has.
            ref_emb, ref_labels: (R, D), (R,): where positives and negatives come from; None is the batch itself, whose
                rows are then no partners of themselves.
            ids, ref_ids: (B,), (R,) dataset ids: rows of one id are never in a tuple together. None: all differ.

        Returns:
            int64 rows on the embeddings' device, sorted by anchor; vectors of length 0 where there is nothing.

        Raises:
            InputError: wrong shapes or types, NaN, infinity, or coordinates beyond 1e18.
        """
        mined = self.rule(
            self._batch(embeddings, labels, ref_emb, ref_labels, ids, ref_ids), self.options, self.generator
        )
        self.found = mined.found
        vectors = mined.tuples
        self.kept = len(vectors[0]) + (len(vectors[3]) if len(vectors) == 4 else 0)
        return vectors

    @isolated
    def explain_empty(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        *,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
    ) -> tuple[str, str]:
        """Why a call with these arguments finds nothing: a code and a sentence.

        Codes: `nonfinite`, `no_positives`, `no_negatives`, `collapsed`, `all_easy`, `none_in_range`; `found` where the
        call does find something. Chance is left alone: the next call draws as if this had not been asked.
        """
        try:
            batch = self._batch(embeddings, labels, ref_emb, ref_labels, ids, ref_ids)
        except NonFiniteError as error:
            return "nonfinite", str(error)
        # Whether a rule finds anything never depends on chance.
        mined = self.rule(batch, self.options, seeding.generator(0, "explain"))
        return explain(batch, self.options, mined.found)

    def candidates(self, labels: Tensor, anchors: Tensor) -> Tensor:
        """All rows of other classes, or that share no label. See `hnm_core.miners.base.TellsBatchCandidates`."""
        if labels.ndim == 1:
            return labels != labels[anchors][:, None]
        return ~share_a_label(labels, labels, same_set=True)[anchors]

    def state(self) -> dict[str, Any]:
        """See `hnm_core.miners.base.TellsState`."""
        return {"generator": self.generator.get_state()}

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
        self.generator.set_state(state["generator"])

    def _batch(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        ids: Tensor | None,
        ref_ids: Tensor | None,
    ) -> Batch:
        return Batch(
            embeddings,
            labels,
            ref_emb,
            ref_labels,
            self.distance,
            ids=ids,
            ref_ids=ref_ids,
            buffer=self._buffer,
        )
