"""Why a miner came back with nothing: a code for programs and a sentence for people."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hnm_core.bank import Bank
from hnm_core.relevance import AnyQuery, JudgedQuery


class Reason(NamedTuple):
    """Why there is no tuple."""

    code: str
    """no_anchors, no_positives, no_negatives, none_found, all_filtered, none_in_range, all_easy or collapsed"""
    words: str


def without_partner(query: AnyQuery) -> Reason | None:
    """The reason that lies in the labels alone; None where some anchor has both a positive and a negative."""
    if not len(query):
        return Reason("no_anchors", "No triplets: no anchors were given.")
    if int(query.negatives.max()) < 1:
        why = "any two items share a label" if isinstance(query, JudgedQuery) else "all items are of one class"
        return Reason("no_negatives", f"No triplets: {why}, so there are no negatives.")
    if int(query.positives.max()) < 1:
        what = "that shares a label with it" if isinstance(query, JudgedQuery) else "of its class"
        return Reason("no_positives", f"No triplets: no anchor has another item {what}.")
    return None


def collapsed(bank: Bank) -> bool:
    """Whether all embeddings are one point, as far as float32 can tell."""
    spread = (bank.embeddings - bank.embeddings[0]).abs().max()
    size = bank.embeddings.abs().max()
    return bool(spread <= 4 * torch.finfo(torch.float32).eps * size)
