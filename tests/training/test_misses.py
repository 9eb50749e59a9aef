"""What a run tells of missed negatives: exactly those that brute force finds, and nothing of the run changes by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from app.history.missed import missed
from hnm_core import kernels
from hnm_core.recording import open_recording, record, replay
from hnm_core.run.event_json import from_json, to_json
from hnm_core.run.events import MAX_MISSES, Frame, Misses, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.misses import CellUnvisited, CodesDiffer, TablesPart
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.training import metrics
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.recording import made_up
from tests.recording.made_up import assert_same_event

LANES = (
    {"name": "lsh", "miner": "lsh", "miner_options": {"bits": 16, "rescore": 3, "pool": 3}},
    {"name": "buckets", "miner": "lsh-buckets", "miner_options": {"tables": 2, "bits": 5, "probes": 1, "pool": 3}},
    {"name": "routed", "miner": "routed", "miner_options": {"classes": 1, "pool": 3}},
    {"name": "knn", "miner": "knn"},
)
KINDS = {"lsh": CodesDiffer, "buckets": TablesPart, "routed": CellUnvisited}


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


def config(lanes: tuple[dict, ...] = LANES, **fields: object) -> ExperimentConfig:
    base = {
        "device": "cpu",
        "steps": 8,
        "frame_every": 4,
        "eval_every": 4,
        "data": {"name": "near-classes", "options": {"groups": 10, "classes_per_group": 3, "points_per_class": 40}},
        "model": {"options": {"widths": [32], "embedding": 12}},
        "sampler": {"batch": 64},
        "lanes": [{"loss_options": {"margin": 0.5}, **lane} for lane in lanes],
    }
    return from_dict({**base, **fields})


def misses_of(events: list, lane: str) -> list[Misses]:
    return [event for event in events if isinstance(event, Misses) and event.lane == lane]


@pytest.fixture(scope="module")
def events(search_kernels: None) -> list:
    return list(Experiment(config()).run())


def test_that_each_measurement_of_an_approximate_search_is_followed_by_its_misses(events: list) -> None:
    for lane, kind in KINDS.items():
        told = misses_of(events, lane)
        assert [each.step for each in told] == [4, 8]
        for each in told:
            assert 0 < len(each) <= each.total <= each.probed == 512
            assert isinstance(each.reason, kind)
            before = events[events.index(each) - 1]
            assert isinstance(before, StepRecord) and (before.lane, before.step) == (lane, each.step)
            assert each.total >= each.probed * (1 - before.metrics["mining_recall"]) / 3
    assert misses_of(events, "knn") == []


def test_that_the_panel_names_the_class_that_was_not_visited_of_each_negative_that_routing_missed(events: list) -> None:
    history = RunHistory()
    for event in events:
        history.add(event)
    (lane,) = (each for each in missed(history) if each.lane == "routed")
    started = events[0]
    label = dict(zip(started.ids.tolist(), started.labels.tolist(), strict=True))
    assert lane.rows
    for row in lane.rows:
        assert row.why.startswith(f"not visited: {started.class_names[label[row.nearest]]} ("), row.why
        assert row.why.endswith(" nearest, 1 visited)") and "(1st" not in row.why


def test_that_frames_of_a_set_shown_in_part_bring_what_was_missed_last() -> None:
    of = config((LANES[0],), shown=60, frame_every=1, eval_every=3, steps=7)
    events = list(Experiment(of).run())
    shown = set(events[0].ids.tolist())
    for frame in (event for event in events if isinstance(event, Frame) and event.step):
        last = next((told for told in misses_of(events, "lsh")[::-1] if told.step <= frame.step), None)
        guests = set(frame.guests.ids.tolist())
        looked_at = {*frame.triplets.ravel().tolist(), *frame.candidates.pairs.ravel().tolist()} - {-1}
        ends = () if last is None else (last.anchors, last.nearest, last.found)
        absent = {item for items in ends for item in items.tolist()} - {-1}
        assert guests == (looked_at | absent) - shown
        assert last is None or absent - looked_at - shown, "mining alone would not have brought them"
    trainer, other = (Trainer(of.lanes[0], prepare(of), frames=True) for _ in range(2))
    trainer.frames.show_missed(last)
    other.frames.restore(trainer.frames.state())
    assert set(other.frames.make(0).guests.ids.tolist()) == absent - shown, "a run that goes on brings them, too"
    trainer.frames.show_missed(None)
    assert trainer.frames.make(0).guests is None


@pytest.mark.parametrize("lane", list(KINDS))
def test_that_misses_are_those_anchors_of_the_probe_whose_true_nearest_was_not_returned(
    lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple] = []
    compare = metrics.compare

    def overheard(found, true):
        asked.append((found, true))
        return compare(found, true)

    banks: list = []
    bank = metrics.Bank

    def kept(*arguments):
        banks.append(bank(*arguments))
        return banks[-1]

    monkeypatch.setattr(metrics, "compare", overheard)
    monkeypatch.setattr(metrics, "Bank", kept)
    of = config(tuple(each for each in LANES if each["name"] == lane))
    experiment = Experiment(of)
    experiment.prepare()
    shared = experiment._shared
    assert shared is not None
    ids = shared.ids.numpy()
    told = misses_of(list(experiment.run()), lane)[-1]
    found, row_of = asked[-1][0], {int(item): row for row, item in enumerate(ids)}
    points, labels = banks[-1].embeddings.double(), banks[-1].labels
    probe = torch.randperm(shared.trained, generator=metrics.generator(of.seed, "probe"))[:512]
    gaps = torch.cdist(points[probe], points).masked_fill(labels[probe, None] == labels, torch.inf)
    nearest = gaps.argmin(1)
    tied = found.distance[:, 0] <= gaps.min(1).values * (1 + 1e-4)
    returned = (found.row == nearest[:, None]).any(1) | tied
    lost = {int(ids[row]) for row in probe[~returned]}
    assert told.total == len(lost)
    assert set(told.anchors.tolist()) <= lost and len(set(told.anchors.tolist())) == min(MAX_MISSES, len(lost))

    place_of = {int(ids[row]): place for place, row in enumerate(probe)}
    where = [place_of[item] for item in told.anchors.tolist()]
    assert told.nearest.tolist() == ids[nearest[where]].tolist()
    np.testing.assert_allclose(told.nearest_distance, gaps[where].min(1).values, rtol=1e-4)
    instead = found.row[where, 0]
    assert told.found.tolist() == [int(ids[row]) if row >= 0 else -1 for row in instead.tolist()]
    there = told.found >= 0
    np.testing.assert_allclose(
        told.found_distance[there],
        [float(gaps[place, row_of[item]]) for place, item in zip(where, told.found.tolist(), strict=True) if item >= 0],
        rtol=1e-4,
    )
    assert np.isnan(told.found_distance[~there]).all()
    worst = np.where(there, told.farther, np.inf)
    assert (np.diff(worst[np.isfinite(worst)]) <= 0).all() and (np.diff(there.astype(int)) >= 0).all()
    every = torch.where(found.row[:, 0] >= 0, found.distance[:, 0].double(), torch.inf) - gaps.min(1).values
    assert worst[-1] >= float(every[~returned].sort(descending=True).values[len(told) - 1]) - 1e-4


def test_that_telling_of_misses_changes_no_number_of_a_run(events: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "misses_of", lambda *_arguments: None)
    silent = list(Experiment(config()).run())
    assert not any(isinstance(event, Misses) for event in silent)
    for one, other in zip([e for e in events if not isinstance(e, Misses)], silent, strict=True):
        assert type(one) is type(other)
        if isinstance(one, StepRecord):
            assert (one.lane, one.step, one.loss, one.tuples) == (other.lane, other.step, other.loss, other.tuples)
            assert one.metrics == other.metrics
        if isinstance(one, Frame):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_array_equal(one.triplets, other.triplets)


def test_that_misses_come_back_from_a_recording_and_its_history_has_them_by_step(events: list, tmp_path: Path) -> None:
    for _ in record(iter(events), tmp_path):
        pass
    again = list(replay(tmp_path))
    for lane in KINDS:
        for one, other in zip(misses_of(again, lane), misses_of(events, lane), strict=True):
            assert_same_event(one, other)
    recorded, live = open_recording(tmp_path).history(), RunHistory()
    for event in events:
        live.add(event)
    for history in (recorded, live):
        assert history.told == history.told and not any(isinstance(event, Misses) for event in history.told)
        for lane in KINDS:
            at = history.lane(lane).misses_at
            assert (at(3), at(5).step, at(8).step, at().step) == (None, 4, 8, 8)
            assert history.lane("knn").misses_at() is None


def test_that_lines_of_json_hold_counts_alone_and_a_recording_everything(events: list) -> None:
    told = misses_of(events, "lsh")[0]
    assert to_json(told) == {
        "type": "Misses",
        "lane": "lsh",
        "step": 4,
        "probed": 512,
        "total": told.total,
        "told": len(told),
        "nothing_found": 0,
    }
    whole = json.loads(json.dumps(to_json(told, whole=True), allow_nan=False))
    assert_same_event(from_json(whole), told)
    damaged = (
        {**whole, "anchors": whole["anchors"][1:]},
        {**whole, "anchors": [0.5, *whole["anchors"][1:]]},
        {**whole, "anchors": [10**30, *whole["anchors"][1:]]},
        {**whole, "found_distance": "far"},
        {**whole, "reason": {"type": "Fate"}},
        {**whole, "reason": {"type": "CodesDiffer", "bits": 16}},
        {**whole, "buckets": {"type": "CodesDiffer"}},
        {**whole, "buckets": {**whole["buckets"], "histogram": []}},
        {**whole, "buckets": {**whole["buckets"], "histogram": [-1, 2]}},
        {**whole, "buckets": {**whole["buckets"], "planes": [1.0, 0.0, 0.0]}},
        {**whole, "buckets": {**whole["buckets"], "planes": [1.0, 0.0, 0.0, None]}},
        {**whole, "reason": {**whole["reason"], "mood": 1}},
        {**whole, "reason": {**whole["reason"], "rank": whole["reason"]["rank"][1:]}},
        {**whole, "reason": {**whole["reason"], "mask": ["zz"] * len(told)}},
        {**whole, "reason": {**whole["reason"], "mask": ["ff", *whole["reason"]["mask"][1:]]}},
        {**whole, "reason": {**whole["reason"], "bits": 10**6}},
    )
    for values in damaged:
        with pytest.raises(ValueError, match=r"\w"):
            from_json(values)


def test_that_frames_of_lanes_that_hash_tell_the_bucket_of_each_item_and_others_have_no_such_column(
    events: list,
) -> None:
    started = events[0]
    for event in events:
        if isinstance(event, Frame) and event.step:
            bucket = event.columns.get("bucket")
            assert (bucket is not None) == (event.lane in ("lsh", "buckets"))
            if bucket is not None:
                np.testing.assert_array_equal(np.isnan(bucket), started.held_out)
                assert 1 < len(np.unique(bucket[~started.held_out])) <= 256
        if isinstance(event, Misses):
            filling = event.buckets
            assert (filling is None) == (event.lane == "routed")
            if filling is not None:
                assert filling.histogram.sum() == filling.used and filling.used <= 1 << 8
                assert 2 ** (len(filling.histogram) - 2) < filling.largest <= 2 ** (len(filling.histogram) - 1)
                assert filling.compared_mean > 0 and filling.compared_mean <= 900
    scan = misses_of(events, "lsh")[0].buckets
    assert (scan.compared_mean, scan.compared_p95) == (3, 3)


def test_that_the_buckets_of_a_frame_are_those_of_the_bank_that_is_mined() -> None:
    of = config(LANES[1:2], steps=4)
    experiment = Experiment(of)
    experiment.prepare()
    trainer = Trainer(of.lanes[0], experiment._shared, frames=True)
    last = [event for step in trainer.steps() for event in step if isinstance(event, Frame)][-1]
    wanted = trainer.mining.searching.search.bucket_of_row(0).numpy()
    row = experiment._shared.shown_row.numpy()
    trained = row < experiment._shared.trained
    np.testing.assert_array_equal(last.columns["bucket"][trained], wanted[row[trained]])


def test_that_recordings_with_fewer_and_with_more_point_columns_are_read(events: list, tmp_path: Path) -> None:
    for change in ("fewer", "more"):
        folder = tmp_path / change
        for _ in record(iter(events), folder):
            pass
        made_up.as_schema_4(folder)  # which has no checksums
        path = folder / "run.json"
        content = json.loads(path.read_text())
        names = content["point_columns"]
        old = np.dtype(content["frame_dtype"])
        kept = names[:-1] if change == "fewer" else [*names, "mood"]
        points = len(events[0].ids)
        new = np.dtype([("positions", "<u2", (points, 3)), *((name, "<f4", (points,)) for name in kept)])
        content["point_columns"] = kept
        content["frame_dtype"] = {
            "names": ["positions", *kept],
            "formats": [f"({points},3)<u2", *[f"({points},)<f4"] * len(kept)],
        }
        guests = content["guest_dtype"]
        places = [at for at, name in enumerate(guests["names"]) if name not in names or name in kept]
        added = [name for name in kept if name not in names]
        content["guest_dtype"] = {
            "names": [*(guests["names"][at] for at in places), *added],
            "formats": [*(guests["formats"][at] for at in places), *["<f4"] * len(added)],
        }
        for lane in content["lanes"]:
            frames, index = folder / lane["folder"] / "frames.bin", folder / lane["folder"] / "frames.idx"
            before = np.fromfile(frames, old)
            after = np.zeros(len(before), new)
            for name in ("positions", *set(names) & set(kept)):
                after[name] = before[name]
            after.tofile(frames)
            entries = np.fromfile(index, np.dtype(content["index_dtype"]))
            entries["offset"] = np.arange(len(entries)) * new.itemsize
            entries["columns"] &= (1 << len(set(names) & set(kept))) - 1
            entries["columns"] |= (1 << names.index("hardness")) + (1 << len(names) if change == "more" else 0)
            entries.tofile(index)
        path.write_text(json.dumps(content))
        frame = open_recording(folder).frame("lsh", -1)
        original = [event for event in events if isinstance(event, Frame) and event.lane == "lsh"][-1]
        np.testing.assert_array_equal(frame.columns["hardness"], original.columns["hardness"])
        assert ("bucket" in frame.columns) == (change == "more") == ("mood" in frame.columns)


@pytest.mark.parametrize(("lane", "distance"), [("lsh", "euclidean"), ("lsh", "cosine"), ("buckets", "euclidean")])
def test_that_the_planes_of_a_3d_lane_part_its_cloud_as_the_first_bits_do(lane: str, distance: str) -> None:
    own = next(each for each in LANES if each["name"] == lane)
    model = {"options": {"widths": [16], "embedding": 3}}
    of = config(({**own, "distance": distance, "refresh_every": 1},), model=model, steps=4, optimizer={"lr": 1e-9})
    events = list(Experiment(of).run())
    frame = [event for event in events if isinstance(event, Frame)][-1]
    told = misses_of(events, lane)[-1].buckets
    planes = told.planes.reshape(-1, 4)
    assert len(planes) == (8 if lane == "lsh" else 5) and not frame.projection
    np.testing.assert_allclose(np.linalg.norm(planes[:, :3], axis=1), 1)
    above = frame.positions.astype(float) @ planes[:, :3].T > planes[:, 3]
    keys = (above * 2 ** np.arange(len(planes))).sum(1)
    trained = ~events[0].held_out
    assert len(np.unique(keys[trained])) == pytest.approx(told.used, abs=3), "points on a plane lie on either side"
    bucket = frame.columns["bucket"]
    together = [len(np.unique(keys[trained & (bucket == each)])) for each in np.unique(bucket[trained])]
    assert np.mean(np.array(together) == 1) > 0.8


def test_that_other_dimensions_have_no_planes(events: list) -> None:
    assert all(not len(event.buckets.planes) for event in events if isinstance(event, Misses) and event.buckets)
