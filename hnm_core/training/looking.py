"""What a step of mining and training showed: how hard its tuples were, and what the alarms look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from hnm_core.distances import Distance
from hnm_core.losses.base import Loss, Terms
from hnm_core.losses.named_pairs import pair_distances
from hnm_core.training.lane_mining import LaneMining
from hnm_core.training.pathologies import Seen


def separation_of(distance: Distance, embeddings: Tensor, triplets: Sequence[Tensor]) -> Tensor:
    """(T,) d_an - d_ap in this distance; `triplets` are three vectors of rows of the embeddings."""
    anchor, positive, negative = triplets
    prepared = distance.prepare(embeddings)
    near, far = pair_distances(distance, prepared, prepared, (anchor, positive), (anchor, negative))
    return far - near


def count_tuples(
    tuples: Sequence[Tensor],
    separation: Tensor | None,
    *,
    margin: float,
    anchors: int,
    items: int,
    truth: Tensor | None = None,
) -> dict[str, int]:
    """See `hnm_core.run.events.TUPLE_COUNTS`. Hard is d_an <= d_ap, semi-hard within the margin beyond it.

    Args:
        tuples: three or four vectors of rows, or none.
        separation: of the triplets that the loss saw, None where they are none.
        margin: up to which a lead is semi-hard.
        anchors: for which there were to be tuples.
        items: that rows count.
        truth: (items,) true classes, where they are known to differ from the labels.
    """
    counts = {"mined": 0}
    if tuples:
        anchor, negative = (tuples[2], tuples[3]) if len(tuples) == 4 else (tuples[0], tuples[2])
        used = torch.zeros(items, dtype=torch.bool, device=anchor.device).index_fill_(0, anchor, True)
        counts = {"mined": len(anchor), "missing": max(0, anchors - int(used.count_nonzero()))}
        if truth is not None:
            counts["false_negative"] = int((truth[negative] == truth[anchor]).sum())
    if separation is not None:
        hard = int((separation <= 0).sum())
        inside = int((separation <= margin).sum())
        counts |= {"hard": hard, "semi_hard": inside - hard, "easy": len(separation) - inside}
    return counts


def seen_in(
    step: int,
    loss: float,
    counts: Mapping[str, int],
    metrics: Mapping[str, float],
    mining: LaneMining,
    parameters: Iterable[nn.Parameter],
    *,
    loss_of: Loss | None = None,
    terms: Terms | None = None,
    embeddings: Tensor | None = None,
    empty_reason: str = "",
) -> Seen:
    """What the alarms of a lane look at.

    Args:
        step: that was done.
        loss: its value.
        counts: of its tuples.
        metrics: what was measured after it.
        mining: what it was mined by.
        parameters: of the network, with the gradients of the step.
        loss_of: what the loss was made by, with its `terms` of these `embeddings`; None where that is not known.
        terms: see there.
        embeddings: see there.
        empty_reason: why nothing was mined.
    """
    plateau = None
    if terms is not None and terms.coinciding is not None and loss_of is not None and embeddings is not None:
        plateau = loss_of.reduce(terms._replace(parts=terms.coinciding()), embeddings).item()
    parts = () if terms is None else terms.parts
    figures = {} if terms is None else terms.figures
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return Seen(
        step,
        loss,
        counts,
        metrics,
        mining=not mining.warming_up,
        gradient_norm=float(nn.utils.get_total_norm(gradients)) if gradients else None,
        terms=sum(part.terms for part in parts),
        nonzero_terms=sum(part.nonzero_terms for part in parts),
        chance=float(figures["chance"]) if "chance" in figures else None,
        wideness=float(figures["wideness"]) if "wideness" in figures else None,
        plateau=plateau,
        empty_reason=empty_reason,
        largest_bucket=mining.largest_bucket() if metrics else None,
    )
