"""Levels of chance against every ranking of a small set, and a table of the formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hnm_core.evaluation.chance import chance_levels


def test_that_chance_levels_equal_the_table_of_the_formula():
    # 2,000 balanced points, leave-one-out
    for classes, precision, map_at_r in (
        (2, 0.500, 0.2515),
        (5, 0.200, 0.0424),
        (10, 0.100, 0.0125),
        (100, 0.0095, 0.0018),
    ):
        chance = chance_levels(np.arange(2000) % classes)
        assert chance["precision_at_1"] == pytest.approx(precision, abs=6e-4)
        assert chance["map_at_r"] == pytest.approx(map_at_r, abs=6e-5)
    levels = chance_levels(np.array([0, 0, 0, 1]))
    assert (levels["knn_accuracy"], levels["accuracy"]) == (0.75, 0.75)


def test_that_chance_equals_the_mean_over_every_ranking_of_a_small_set():
    labels = np.array([0, 0, 0, 1, 1])
    map_at_r, precision = [], []
    for query in range(5):
        others = [item for item in range(5) if item != query]
        relevant = sum(labels[item] == labels[query] for item in others)
        for order in itertools.permutations(others):
            rel = np.array([labels[item] == labels[query] for item in order], float)
            precision_at = np.cumsum(rel) / np.arange(1, 5)
            map_at_r.append((precision_at * rel)[:relevant].sum() / relevant)
            precision.append(rel[0])
    chance = chance_levels(labels)
    assert chance["map_at_r"] == pytest.approx(np.mean(map_at_r), rel=1e-12)
    assert chance["precision_at_1"] == pytest.approx(np.mean(precision), rel=1e-12)


def test_that_items_without_a_partner_have_no_chance_level():
    assert chance_levels(np.array([0, 1, 2])) == {}
