"""The cross-batch memory against a plain list."""

from __future__ import annotations

import pytest
import torch

from hnm_core import losses
from hnm_core.errors import InputError
from hnm_core.miners.in_batch.memory_bank import MemoryBank, drop_own


def batch(step: int, size: int = 5, dim: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(step)
    embeddings = torch.randn(size, dim, generator=source)
    return (
        embeddings,
        torch.randint(-4, 4, (size,), generator=source),
        torch.randint(12, (size,), generator=source),
    )


@pytest.mark.parametrize("size", [1, 4, 5, 7, 13, 100])
def test_that_the_newest_stay_in_the_order_in_which_they_came(size: int) -> None:
    memory, kept = MemoryBank(size), []
    for step in range(9):
        embeddings, labels, ids = batch(step, 1 + step % 6)
        memory.add(embeddings, labels, ids, step)
        kept += list(zip(embeddings.tolist(), labels.tolist(), ids.tolist(), [step] * len(ids), strict=True))
        kept = kept[-size:]
        found = memory.reference(step)
        assert len(memory) == len(kept)
        got = list(zip(*(part.tolist() for part in found), strict=True))
        assert got == [(e, y, i, step - then) for e, y, i, then in kept]
    own = torch.tensor([3, 7])
    found = memory.reference(8, own)
    assert not set(found.ids.tolist()) & {3, 7}
    assert len(found.ids) == sum(item[2] not in (3, 7) for item in kept)


def test_that_no_gradient_reaches_the_memory_and_later_writes_do_not_change_it() -> None:
    memory = MemoryBank(10)
    embeddings, labels, ids = batch(0)
    tracked = embeddings.clone().requires_grad_()
    memory.add(tracked * 2, labels, ids, 0)
    found = memory.reference(0)
    assert not found.embeddings.requires_grad
    with torch.no_grad():
        tracked.zero_()
    assert torch.equal(memory.reference(0).embeddings, 2 * embeddings)
    before = found.embeddings.clone()
    memory.add(*batch(1, 10), 1)
    assert torch.equal(found.embeddings, before), "what was handed out stays as it is"


def test_that_a_loss_takes_the_memory_as_its_reference_set() -> None:
    memory = MemoryBank(20)
    for step in range(4):
        memory.add(*batch(step), step)
    embeddings, labels, ids = batch(9)
    embeddings.requires_grad_()
    found = memory.reference(9, ids)
    loss = losses.create("triplet-margin", margin=1.0)(embeddings, labels, None, found.embeddings, found.labels)
    loss.backward()
    assert loss > 0 and embeddings.grad is not None and embeddings.grad.abs().sum() > 0


def test_that_pairs_of_an_item_with_its_own_copy_are_dropped() -> None:
    ids, ref_ids = torch.tensor([5, 6]), torch.tensor([5, 8, 6])
    anchor, positive, negative = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), torch.tensor([1, 2, 1, 2])
    assert [v.tolist() for v in drop_own((anchor, positive, negative), ids, ref_ids)] == [[0, 1], [1, 0], [2, 1]]
    pairs = drop_own((anchor, positive, anchor, negative), ids, ref_ids)
    assert [v.tolist() for v in pairs] == [[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 2, 1]]


def test_that_a_memory_is_used_from_its_first_step_on() -> None:
    memory = MemoryBank(10, start=5)
    assert not memory.ready(9)
    memory.add(*batch(0), 0)
    assert not memory.ready(4) and memory.ready(5)
    memory.clear()
    assert not memory.ready(5) and len(memory) == 0
    memory.add(*batch(0, dim=7), 0)
    assert memory.reference(0).embeddings.shape == (5, 7)


def test_that_an_empty_batch_changes_nothing_and_half_precision_stays() -> None:
    memory = MemoryBank(10)
    embeddings, labels, ids = batch(0)
    memory.add(embeddings.half(), labels.to(torch.int16), ids.to(torch.uint8), 0)
    memory.add(embeddings[:0].half(), labels[:0], ids[:0], 1)
    found = memory.reference(3)
    assert found.embeddings.dtype == torch.float16 and found.labels.dtype == found.ids.dtype == torch.int64
    assert found.age.tolist() == [3] * 5


def test_that_what_cannot_be_remembered_is_refused_in_words() -> None:
    embeddings, labels, ids = batch(0)
    with pytest.raises(InputError, match="size = 0"):
        MemoryBank(0)
    with pytest.raises(InputError, match="start = -1"):
        MemoryBank(1, -1)
    memory = MemoryBank(10)
    with pytest.raises(InputError, match="memory is empty"):
        memory.reference(0)
    with pytest.raises(InputError, match="1 of 5 embeddings hold NaN"):
        memory.add(embeddings.clone().index_fill_(0, torch.tensor([2]), torch.nan), labels, ids, 0)
    with pytest.raises(InputError, match=r"labels must have shape \(5,\), not \(4,\)"):
        memory.add(embeddings, labels[:4], ids, 0)
    with pytest.raises(InputError, match=r"ids must be integers, not torch\.float32"):
        memory.add(embeddings, labels, ids.float(), 0)
    memory.add(embeddings, labels, ids, 0)
    with pytest.raises(InputError, match="holds embeddings of 3 dimensions; these have 4"):
        memory.add(*batch(0, dim=4), 1)
    with pytest.raises(InputError, match="three or four vectors, not 2"):
        drop_own((ids, ids), ids, ids)
