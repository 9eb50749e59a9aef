"""Rows as products need them, against the same in torch, float64 and one step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from hnm_core import kernels
from hnm_core.launching import launching
from hnm_core.neighbors.machine import matrix_units

needs_kernels = pytest.mark.skipif(not kernels.ready(kernels.SEARCH_KERNELS), reason="kernels are not compiled yet")


def as_tiles(rows: Tensor, *, points: bool) -> NDArray[Any]:
    """(R, D) bfloat16 in the layout of the matrix units."""
    rows = pad(rows, (0, -rows.shape[1] % 32, 0, -len(rows) % 32))
    count, dim = rows.shape
    if points:
        tiles = rows.view(count // 32, 2, 16, dim // 32, 16, 2).permute(0, 3, 1, 4, 2, 5)
    else:
        tiles = rows.view(count // 32, 2, 16, dim // 32, 32).permute(0, 3, 1, 2, 4)
    bits: NDArray[Any] = tiles.contiguous().view(torch.int16).numpy().reshape(-1)
    return bits


def as_columns(rows: Tensor) -> NDArray[Any]:
    """(R, D) float32, 32 rows of a coordinate side by side."""
    rows = pad(rows, (0, 0, 0, -len(rows) % 32))
    packed: NDArray[Any] = rows.view(-1, 32, rows.shape[1]).transpose(1, 2).reshape(-1).numpy()
    return packed


@needs_kernels
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize(("count", "dim"), [(1, 1), (70, 33), (64, 64), (95, 100)])
def test_that_rows_are_packed_about_the_mean_and_what_rounding_takes_is_told(coarse, points, count, dim):
    if coarse and not matrix_units():
        pytest.skip("no matrix units")
    from hnm_core.neighbors.cpu import blocks
    from hnm_core.neighbors.cpu.center_kernels import center_rows, no_sums

    source = np.random.default_rng(count)
    rows = np.zeros((count, dim + 3 + -(dim + 3) % 16), np.float32)
    rows[:, : dim + 1] = source.standard_normal((count, dim + 1), np.float32) + 2
    center, uneven = rows[:, :dim].mean(0, dtype=np.float64), np.sqrt(np.arange(1.0, dim + 1))
    which = source.permutation(np.append(np.arange(count), [-1, 0]))
    packed, sums = blocks.room(len(which), dim, coarse=coarse), no_sums(len(which))
    sign = 1.0 if points else -1.0
    with launching():
        center_rows(rows, which, dim, center, uneven, np.float32(sign), points, packed, sums)

    there = torch.from_numpy(which >= 0)[:, None]
    chosen = torch.from_numpy(rows)[which.clip(0)].double() * there
    about = (chosen[:, :dim] - torch.from_numpy(center)) * there
    kept = about.float().to(torch.bfloat16 if coarse else torch.float32)
    expected = as_tiles(kept * sign, points=points) if coarse else as_columns(kept * sign)
    np.testing.assert_array_equal(
        packed & 0x7FFF if coarse else abs(packed), expected & 0x7FFF if coarse else abs(expected)
    )
    np.testing.assert_array_equal(packed[packed != 0], expected[packed != 0])  # a 0 that is negated is one
    for name, value in {
        "norm": about.norm(dim=1),
        "lost": (about - kept.double()).norm(dim=1),
        "term": about @ torch.from_numpy(center),
        "rest": chosen[:, dim:].square().sum(1),
        "key": about @ torch.from_numpy(uneven),
    }.items():
        np.testing.assert_allclose(getattr(sums, name), value.numpy(), rtol=1e-12, atol=1e-12, err_msg=name)


@needs_kernels
def test_that_a_row_differs_from_the_one_before_wherever_the_difference_is():
    from hnm_core.neighbors.cpu.center_kernels import differing

    rows = np.ones((6, 40), np.float32)
    rows[2:, 39], rows[4:, 0] = 2, 3
    found = np.empty(6, np.bool_)
    with launching():
        differing(rows, found)
    assert found.tolist() == [False, False, True, False, True, False]


@needs_kernels
def test_that_equal_rows_have_equal_keys_wherever_they_stand():
    from hnm_core.neighbors.cpu.center_kernels import center_rows, no_sums

    source = np.random.default_rng(0)
    rows = np.tile(source.standard_normal((1, 48), np.float32), (75, 1))
    sums = no_sums(75)
    none = np.empty(0, np.float32)
    with launching():
        center_rows(rows, np.arange(75), 41, np.zeros(41), np.sqrt(np.arange(1.0, 42)), np.float32(1), True, none, sums)
    assert len(set(sums.key.tolist())) == 1
