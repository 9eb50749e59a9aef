"""Memory that lists of tuples lie in again and again: it must never be taken from somebody who still reads it."""

from __future__ import annotations

import copy

import pytest
import torch

from hnm_core import miners
from hnm_core.miners.in_batch import buffer as buffers
from hnm_core.miners.in_batch.buffer import Buffer

COUNT = buffers.WORTH


def test_that_memory_is_used_again_once_nobody_holds_any_part_of_it() -> None:
    buffer = Buffer()
    first = buffer.take(2, COUNT)
    place = first.data_ptr()
    part = first[1, 5:9].view(2, 2).numpy()
    del first
    second = buffer.take(2, COUNT)
    assert second.data_ptr() != place, "a part is still held"
    other = second.data_ptr()
    del second
    assert buffer.take(2, COUNT - 100).data_ptr() == other
    assert buffer.take(2, COUNT + 100).data_ptr() == other, "there is room for somewhat more"
    assert part.shape == (2, 2)


def test_that_a_copy_of_a_buffer_hands_out_memory_of_its_own() -> None:
    buffer = Buffer()
    held = buffer.take(2, COUNT)
    place = held.data_ptr()
    del held
    assert copy.deepcopy(buffer).take(2, COUNT).data_ptr() != place
    assert buffer.take(2, COUNT).data_ptr() == place


def test_that_small_and_huge_lists_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "MOST_BYTES", 8 * COUNT)
    buffer = Buffer()
    for columns in (COUNT // 4, COUNT):
        held = buffer.take(3, columns)
        assert held.shape == (3, columns)
        assert buffer._kept is None


@pytest.mark.parametrize("name", ["triplet-margin", "angular"])
def test_that_triplets_stay_what_they_were_when_the_next_batch_is_mined(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    miner, labels = miners.create(name), torch.arange(160) % 8
    batches = [torch.randn(160, 4, generator=source) for _ in range(4)]
    alone = [miners.create(name)(batch, labels) for batch in batches]
    assert len(alone[0][0]) > COUNT
    held = [miner(batch, labels) for batch in batches]
    anchors = [miner(batch, labels)[0] for batch in batches]  # one vector of three keeps all of it
    for expected, found, anchor in zip(alone, held, anchors, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(expected, found, strict=True))
        assert torch.equal(expected[0], anchor)
