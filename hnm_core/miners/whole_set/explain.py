"""Why a miner came back with nothing: a code for programs and a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hnm_core.bank import Bank
from hnm_core.relevance import Query


class Reason(NamedTuple):
    """Why there is no tuple."""

    code: str
    """no_anchors, no_positives, no_negatives, none_found, all_filtered, none_in_range, all_easy or collapsed"""
    words: str


def without_partner(query: Query) -> Reason | None:
    """The reason that lies in the labels alone; None where some anchor has both a positive and a negative."""
    if not len(query):
        return Reason("no_anchors", "No triplets: no anchors were given.")
    if int(query.negatives.max()) < 1:
        return Reason("no_negatives", "No triplets: all items are of one class, so there are no negatives.")
    if int(query.positives.max()) < 1:
        return Reason("no_positives", "No triplets: no anchor has another item of its class.")
    return None


def collapsed(bank: Bank) -> bool:
    """Whether all embeddings are one point, as far as float32 can tell."""
    spread = (bank.embeddings - bank.embeddings[0]).abs().max()
    size = bank.embeddings.abs().max()
    return bool(spread <= 4 * torch.finfo(torch.float32).eps * size)
