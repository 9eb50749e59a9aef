"""What frames tell of the candidates that negatives were chosen from, against searches that are asked again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hnm_core import miners
from hnm_core.miners.base import MiningContext, TellsCandidates
from hnm_core.run.candidates import MAX_ANCHORS, MAX_CANDIDATES, MAX_OF_AN_ANCHOR, Candidates
from hnm_core.run.events import Frame, RunStarted
from hnm_core.training.candidates import Looked, candidates_of, even_part
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import Shared, prepare
from hnm_core.training.trainer import Trainer
from tests.miners.whole_set.test_miners import bank, context
from tests.training.test_experiment import KNN, config

WIDE = {"select": "semi-hard", "candidates": 12, "fill": False}


def frame_of(lane: dict, steps: int = 5, **fields: object) -> tuple[Trainer, Shared, Frame]:
    of = config(lane, steps=steps, **fields)
    trainer = Trainer(of.lanes[0], prepare(of), frames=True)
    frames = [event for events in trainer.steps() for event in events if isinstance(event, Frame)]
    return trainer, trainer.shared, frames[-1]


def lists_of(told: Candidates) -> dict[int, list[int]]:
    """The candidates of each anchor."""
    return {
        anchor: told.pairs[(told.pairs[:, 0] == anchor) & told.found, 1].tolist()
        for anchor in np.unique(told.pairs[:, 0]).tolist()
    }


def chosen_of(told: Candidates) -> set[tuple[int, int]]:
    return {(int(anchor), int(candidate)) for anchor, candidate in told.pairs[told.chosen]}


def mined_in_last_step(frame: Frame) -> set[tuple[int, int]]:
    return {(int(anchor), int(negative)) for anchor, _, negative in frame.triplets[frame.age == 0]}


@pytest.mark.parametrize(
    ("miner", "scope"),
    [("knn", "nearest"), ("lsh", "approximate"), ("lsh-buckets", "approximate"), ("routed", "approximate")],
)
def test_that_candidates_are_what_the_search_answers_and_hold_the_chosen_negatives(miner: str, scope: str) -> None:
    lane = {"name": "a", "miner": miner, "miner_options": WIDE, "refresh_every": 4, "hard_share": 1.0}
    trainer, shared, frame = frame_of(lane)
    told, ids = frame.candidates, shared.ids.numpy()
    assert (told.asked, told.most, told.scope) == (64, 12, scope)
    lists = lists_of(told)
    assert 50 < len(lists) <= MAX_ANCHORS
    rows = shared.rows_of(np.array(list(lists)))
    again = trainer.mining.searching.search.nearest_negatives(rows, 12).row.numpy()
    assert list(lists.values()) == [ids[row[row >= 0]].tolist() for row in again]
    assert chosen_of(told) == {pair for pair in mined_in_last_step(frame) if pair[0] in lists}
    assert len(chosen_of(told)) > 40


def test_that_those_of_an_exact_search_are_the_nearest_in_the_cloud() -> None:
    """Of an identity in 3-D, whose cloud is what is searched."""
    audit = config(
        {**KNN, "warmup": 0, "miner_options": WIDE, "hard_share": 0.5}, steps=2, frame_every=2,
        model={"name": "identity"}, data={"name": "blobs", "options": {"dim": 3}},
    )  # fmt: skip
    events = list(Experiment(audit).run())
    started, frame = events[0], [event for event in events if isinstance(event, Frame)][-1]
    assert isinstance(started, RunStarted)
    place = {item: at for at, item in enumerate(started.ids.tolist())}
    searched = lists_of(frame.candidates)
    for anchor, candidates in searched.items():
        far = np.linalg.norm(frame.positions - frame.positions[place[anchor]], axis=1)
        far[started.held_out | (started.labels == started.labels[place[anchor]])] = np.inf
        assert candidates == started.ids[np.argsort(far, kind="stable")[:12]].tolist()
    assert len(searched) == frame.candidates.asked < 64, "half of the anchors are given random pairs"


def test_that_a_miner_inside_a_batch_chooses_among_all_of_other_classes_in_it() -> None:
    _, shared, frame = frame_of({**KNN, "miner": "batch-hard", "warmup": 0}, sampler={"batch": 30})
    told, label = frame.candidates, dict(zip(shared.ids.tolist(), shared.y.tolist(), strict=True))
    assert told.scope == "batch" and told.asked == told.most == 30
    lists = lists_of(told)
    assert len(lists) == 30
    for anchor, candidates in lists.items():
        assert candidates == [other for other in sorted(lists) if label[other] != label[anchor]]
    assert chosen_of(told) == mined_in_last_step(frame) != set()


def test_that_nothing_is_told_where_nothing_was_searched_or_nobody_asked() -> None:
    assert frame_of({"name": "a", "miner": "random"})[2].candidates is None
    assert frame_of(KNN, steps=3)[2].candidates is None, "it still warms up"
    assert frame_of({**KNN, "miner": "none"})[2].candidates is None
    where, miner = bank(), miners.create("knn")
    miner.refresh(where, context())
    assert isinstance(miner, TellsCandidates)
    asked = MiningContext(1, 0, torch.Generator(), context().distance, keep_candidates=True)
    miner.mine(torch.arange(9), asked)
    assert miner.candidates().anchor.tolist() == list(range(9)) and miner.candidates().candidate.shape == (9, 3)
    miner.mine(torch.arange(9), context())
    assert miner.candidates() is None


def test_that_of_very_many_candidates_the_chosen_and_the_nearest_or_an_even_part_are_told() -> None:
    points = {"groups": 4, "classes_per_group": 3, "points_per_class": 100}
    shared = prepare(config(KNN, data={"name": "near-classes", "options": points}))
    rows, many = shared.trained, MAX_OF_AN_ANCHOR + 150
    generator = torch.Generator().manual_seed(1)
    some = even_part(5000, many, torch.device("cpu"))
    assert len(some) == MAX_CANDIDATES // MAX_OF_AN_ANCHOR and some.tolist() == [0, 2500]
    assert len(even_part(5000, 3, torch.device("cpu"))) == MAX_ANCHORS
    assert even_part(3, 3, torch.device("cpu")).tolist() == [0, 1, 2]
    anchor = torch.tensor([0, 1, 2, 1])
    found = torch.stack([torch.randperm(rows, generator=generator) for _ in anchor])[:, :many]
    found[2] = -1
    negative = torch.tensor([int(found[0, many - 10]), int(found[1, 7]), 5])
    for scope in ("nearest", "batch"):
        tuples = (torch.tensor([0, 1, 9]), torch.tensor([3, 3, 3]), negative)
        told = candidates_of(Looked(anchor, found, 5000, scope), tuples, shared)
        lists = lists_of(told)
        ids = shared.ids
        assert list(lists) == sorted(ids[:3].tolist()), "an anchor that was drawn twice is told of once"
        assert lists[int(ids[2])] == [] and (told.asked, told.most) == (5000, many)
        assert [len(lists[int(ids[row])]) for row in (0, 1)] == [MAX_OF_AN_ANCHOR] * 2
        assert {(int(ids[0]), int(ids[negative[0]])), (int(ids[1]), int(ids[negative[1]]))} <= chosen_of(told)
        whole = ids[found[1]].tolist()
        if scope == "nearest":
            assert lists[int(ids[1])] == whole[:MAX_OF_AN_ANCHOR]
        else:
            assert len(set(whole[-40:]) & set(lists[int(ids[1])][-40:])) > 15
    pairs = candidates_of(
        Looked(anchor, found[:, :4], 9, "nearest"), (anchor, anchor, anchor[:0], negative[:0]), shared
    )
    assert not pairs.chosen.any() and len(pairs.pairs) == 4 + 4 + 1
