"""Sets with more items than frames show: what is mined is drawn, recorded and read back all the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.history.chance import chance_of
from app.history.playback import Past
from app.picture.scene import build_scene
from app.picture.theme import DARK
from app.video import template
from app.video.film import Film
from app.video.formats import video_format
from app.video.pictures import Pictures, Wishes
from hnm_core.evaluation.chance import chance_levels
from hnm_core.recording import export, open_recording, record, replay
from hnm_core.run.control import Control
from hnm_core.run.events import Event, Frame, LaneForked, RunFinished, RunStarted, StepRecord
from hnm_core.run.shown import drawn_items
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training import frames
from hnm_core.training.experiment import Experiment
from hnm_core.training.lane_changes import fork
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.families import one_in
from tests.recording import made_up
from tests.training.test_experiment import KNN, RANDOM, config, numbers

SHOWN = 50
LANES: dict[str, dict[str, Any]] = {
    "random": {"miner": "random"},
    "of the whole set": {
        "miner": "knn",
        "miner_options": {"select": "semi-hard", "candidates": 40},
        "refresh_every": 4,
    },
    "triplets in the batch": {"miner": "batch-hard"},
    "pairs in the batch": {"miner": "multi-similarity", "loss": "contrastive", "loss_options": {}},
    "no tuples": {"miner": "none", "loss": "sup-con", "loss_options": {}, "distance": "cosine"},
    "memory": {"miner": "multi-similarity", "loss": "multi-similarity", "loss_options": {}, "memory": 60},
    "audit": {"miner": "knn"},
    "label noise": {"miner": "knn"},
    "more than three dimensions": {"miner": "knn"},
}
FIELDS: dict[str, dict[str, Any]] = {
    "audit": {"model": {"name": "identity"}},
    "label noise": {"data": {"name": "label-noise"}},
    "more than three dimensions": {"model": {"options": {"widths": [16], "embedding": 8}}},
}


def config_of(kind: str, steps: int, frame_every: int, shown: int = SHOWN) -> ExperimentConfig:
    lane = {**LANES[kind], "name": "old"}
    return config(lane, steps=steps, frame_every=frame_every, shown=shown, **FIELDS.get(kind, {}))


def run(kind: str, folder: Path, steps: int = 8, shown: int = SHOWN) -> list[Event]:
    """A recorded run, forked after its fifth step."""
    of = config_of(kind, steps, frame_every=2, shown=shown)
    control, events = Control(), []
    for event in record(Experiment(of).run(control), folder):
        events.append(event)
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("old", 5):
            control.fork("old", "new", {})
    assert isinstance(events[-1], RunFinished), events[-1]
    return events


@pytest.mark.parametrize("kind", one_in(3, [*LANES]))
@pytest.mark.usefixtures("qapp")
def test_that_a_run_of_a_large_set_works_from_end_to_end(kind: str, tmp_path: Path) -> None:
    events = run(kind, tmp_path / "run")
    replayed = list(replay(tmp_path / "run"))
    told, read = ([e for e in all_ if isinstance(e, RunStarted | Frame)] for all_ in (events, replayed))
    for again, event in zip(read, told, strict=True):
        made_up.assert_same_event(again, event)
    for lane in ("old", "new"):
        assert numbers(replayed, lane) == numbers(events, lane)

    started = next(event for event in events if isinstance(event, RunStarted))
    clouds = [event for event in events if isinstance(event, Frame)]
    assert len(started.ids) == SHOWN < started.items_total and {cloud.lane for cloud in clouds} == {"old", "new"}
    for cloud in clouds:
        _check_frame(started, cloud)
    mined = [cloud for cloud in clouds if len(cloud.triplets)]
    assert bool(mined) == (kind != "no tuples") and all(cloud.guests is not None for cloud in mined)
    if kind == "label noise":
        assert any(build_scene(started, cloud, DARK).edges_false for cloud in mined)

    past = Past.of(tmp_path / "run")
    for step in (0, 3, 8):
        for frame in past.frames_at(step):
            _check_frame(past.recording.started, frame)
    _check_video(tmp_path, kind)
    names = {path.name for path in export(tmp_path / "run", "npz")}
    assert ("old.guests.npz" in names) == (kind != "no tuples")
    with np.load(tmp_path / "run" / "export" / "old.positions.npz") as table:
        assert table["id"].tolist() == started.ids.tolist()


def _check_frame(started: RunStarted, frame: Frame) -> None:
    """Every mined item and every candidate is drawn, each item once, and all edges lead to it."""
    guests = [] if frame.guests is None else frame.guests.ids.tolist()
    shown = set(started.ids.tolist())
    mined = set(frame.triplets[frame.triplets >= 0].tolist())
    looked_at = set() if frame.candidates is None else set(frame.candidates.pairs.ravel().tolist()) - {-1}
    assert (mined | looked_at) - shown == set(guests) and guests == sorted(set(guests))
    drawn = drawn_items(started, frame)
    scene = build_scene(started, frame, DARK, max_edges=10_000)
    ends = [
        sorted((anchor, end)) for anchor, *others in frame.triplets.tolist() for end in others if min(anchor, end) >= 0
    ]
    by_id = drawn.ids[scene.edges]
    assert Counter(map(tuple, np.sort(by_id, 1).tolist())) == Counter(map(tuple, ends))
    assert scene.edges_total >= scene.edges_shown == len(ends)
    assert scene.items_text == f"50 of {started.items_total:,} items shown" and scene.guests == len(guests)
    for item in guests:
        assert drawn.ids[scene.place_of(item)] == item
    assert np.isfinite(drawn.positions).all()


def _check_video(folder: Path, kind: str) -> None:
    wishes = Wishes(template.load("orbit"), seconds=0.6)
    for pixels in Pictures(folder / "run", video_format(folder / "out.gif", (320, 200), 5), wishes):
        assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 20
    recording = open_recording(folder / "run")
    film = Film(recording, "old", DARK, edge_steps=1.0)
    middle = film.at(7.0)
    assert (middle.guests > 0) == (kind != "no tuples") and "items shown" in film.note(7.0)
    assert len(middle.positions) == len(middle.radii) == len(middle.ids) == SHOWN + middle.guests


@pytest.mark.parametrize("kind", ["of the whole set", "triplets in the batch", "more than three dimensions"])
def test_that_showing_fewer_items_changes_nothing_but_what_is_shown(kind: str, tmp_path: Path) -> None:
    few = run(kind, tmp_path / "few")
    everything = run(kind, tmp_path / "all", shown=10_000)
    whole = next(event for event in everything if isinstance(event, RunStarted))
    part = next(event for event in few if isinstance(event, RunStarted))
    assert whole.items_total == len(whole.ids) and set(part.ids.tolist()) < set(whole.ids.tolist())
    assert part.chance == whole.chance
    for lane in ("old", "new"):
        assert numbers(few, lane) == numbers(everything, lane)
    at = {int(item): place for place, item in enumerate(whole.ids)}
    pairs = zip(*([e for e in of if isinstance(e, Frame)] for of in (few, everything)), strict=True)
    for frame, full in pairs:
        assert full.guests is None
        np.testing.assert_array_equal(frame.triplets, full.triplets)
        drawn = drawn_items(part, frame)
        place = [at[item] for item in drawn.ids.tolist()]
        for name in ("loss_share", "times_mined", "hardness"):
            np.testing.assert_allclose(drawn.columns[name], full.columns[name][place], rtol=1e-6)
        np.testing.assert_array_equal(drawn.labels, whole.labels[place])
        if not frame.projection:
            np.testing.assert_allclose(drawn.positions, full.positions[place], atol=1e-6)


def test_that_guests_are_projected_by_the_axes_of_the_shown_items() -> None:
    of = config_of("more than three dimensions", steps=4, frame_every=4)
    shared = prepare(of)
    trainer = Trainer(of.lanes[0], shared, frames=True)
    (cloud,) = [event for events in list(trainer.steps())[-1:] for event in events if isinstance(event, Frame)]
    assert cloud.guests is not None and cloud.projection
    with torch.no_grad():
        by_id = dict(zip(shared.ids.tolist(), trainer.embed(shared.x).double().numpy(), strict=True))
    started_ids = shared.ids[shared.shown_row].tolist()
    shown = np.stack([by_id[item] for item in started_ids])
    guests = np.stack([by_id[item] for item in cloud.guests.ids.tolist()])
    middle = shown.mean(0)
    axes, *_ = np.linalg.lstsq(shown - middle, cloud.positions.astype(float), rcond=None)
    np.testing.assert_allclose((guests - middle) @ axes, cloud.guests.positions, atol=1e-3 * np.abs(axes).max())


def test_that_no_more_guests_travel_than_allowed_and_every_kind_of_tuple_keeps_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MAX_GUESTS", 30)
    of = config(
        {**LANES["pairs in the batch"], "miner": "none", "name": "pairs"},
        {"name": "half", "miner": "knn", "hard_share": 0.5},
        steps=4,
        frame_every=4,
        shown=SHOWN,
    )
    clouds = [event for event in Experiment(of).run() if isinstance(event, Frame) and event.step == 4]
    for cloud in clouds:
        assert cloud.guests is None or len(cloud.guests.ids) <= 30
        if len(cloud.triplets):
            assert cloud.guests is not None and len(cloud.triplets) >= 10
            assert cloud.mined_total > len(cloud.triplets)
    assert {cloud.lane for cloud in clouds if len(cloud.triplets)} >= {"half"}


def test_that_of_candidates_that_are_not_shown_the_first_come_where_there_is_no_room_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = {**LANES["of the whole set"], "name": "old"}
    of = config(lane, steps=2, frame_every=2, shown=SHOWN, sampler={"batch": 8})
    *_, full = (event for event in Experiment(of).run() if isinstance(event, Frame))
    assert full.guests is not None and full.candidates is not None
    guests, mined = set(full.guests.ids.tolist()), set(full.triplets.ravel().tolist())
    hidden = [item for item in dict.fromkeys(full.candidates.pairs.ravel().tolist()) if item in guests - mined]
    assert len(hidden) > 5
    monkeypatch.setattr(frames, "MAX_GUESTS", len(guests & mined) + 5)
    *_, cut = (event for event in Experiment(of).run() if isinstance(event, Frame))
    assert cut.guests is not None
    assert set(cut.guests.ids.tolist()) == guests & mined | set(hidden[:5])
    assert cut.guests.ids.tolist() == sorted(cut.guests.ids.tolist())


def test_that_shares_of_the_loss_are_shares_of_all_items_not_of_the_shown_ones() -> None:
    of = config_of("of the whole set", steps=4, frame_every=4)
    events = list(Experiment(of).run())
    cloud = [event for event in events if isinstance(event, Frame)][-1]
    assert 0 < cloud.columns["loss_share"].sum() < 0.9


def test_that_levels_of_chance_are_told_for_what_is_measured() -> None:
    of = config(RANDOM, steps=2, shown=SHOWN, data={"name": "blobs", "options": {"classes": 7}, "held_out": 0.3})
    shared = prepare(of)
    started = next(Experiment(of).run())
    assert isinstance(started, RunStarted) and started.items_total > SHOWN
    assert started.chance == chance_levels(shared.y[shared.evaluated_row].numpy())
    assert chance_of(started) == started.chance


def test_that_lanes_and_forks_share_one_copy_of_the_features() -> None:
    of = config(KNN, shown=SHOWN, data={"name": "blobs", "options": {}, "held_out": 0.25})
    shared = prepare(of)
    assert shared.train_x.data_ptr() == shared.x.data_ptr() and shared.held_out > 0
    trainer = Trainer(of.lanes[0], shared, frames=True)
    for _, _ in zip(range(6), trainer.steps(), strict=False):
        pass
    new = fork(trainer, "new")
    for one in (trainer, new):
        assert one.shared is shared and one.x.data_ptr() == shared.x.data_ptr()
        assert one.frames is not None and one.frames._shared is shared and one.metrics._shared is shared
    assert new.mining._shared is shared


def test_that_rows_are_the_training_set_and_then_what_is_held_out_each_in_the_order_of_ids() -> None:
    of = config(RANDOM, shown=SHOWN, data={"name": "blobs", "options": {}, "held_out": 0.25, "validation": 0.1})
    shared = prepare(of)
    ids, trained = shared.ids, shared.trained
    assert bool((ids[:trained].diff() > 0).all()) and bool((ids[trained:].diff() > 0).all())
    assert sorted(ids.tolist()) == list(range(len(ids))) and trained + shared.held_out == len(ids)
    started = next(Experiment(of).run())
    assert isinstance(started, RunStarted)
    np.testing.assert_array_equal(started.ids, np.sort(started.ids))
    held_out = set(ids[trained:].tolist())
    assert started.held_out.tolist() == [item in held_out for item in started.ids.tolist()]
    label = dict(zip(ids.tolist(), shared.y.tolist(), strict=True))
    assert started.labels.tolist() == [label[item] for item in started.ids.tolist()]


def test_that_a_lane_forked_off_shows_the_cloud_and_the_guests_of_the_one_it_came_from(tmp_path: Path) -> None:
    events = run("triplets in the batch", tmp_path / "run")
    (told,) = [event for event in events if isinstance(event, LaneForked)]
    old, new = (
        [e for e in events if isinstance(e, Frame) and e.lane == lane and e.step > told.step] for lane in ("old", "new")
    )
    old = [e for e in old if e.step > 5]
    assert [e.step for e in new] == [e.step for e in old] == [6, 8]
    for one, other in zip(old, new, strict=True):
        assert one.guests is not None and other.guests is not None
        np.testing.assert_array_equal(one.guests.ids, other.guests.ids)
        np.testing.assert_array_equal(one.guests.positions, other.guests.positions)


def test_that_thirty_thousand_items_are_mined_shown_recorded_and_replayed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(6_000, 16))
    y = np.arange(30_000) // 5
    np.savez(tmp_path / "big.npz", x=(middles[y] + 0.3 * rng.normal(size=(30_000, 16))).astype(np.float32), y=y)
    of = config(
        {"name": "random", "miner": "random"},
        {"name": "batch", "miner": "batch-hard"},
        steps=6,
        frame_every=3,
        eval_every=6,
        data={"name": "file", "options": {"path": str(tmp_path / "big.npz")}},
        sampler={"name": "balanced", "options": {"classes": 125, "per_class": 4}},
    )
    events = list(record(Experiment(of).run(), tmp_path / "run"))
    started = events[0]
    assert isinstance(started, RunStarted) and (len(started.ids), started.items_total) == (20_000, 30_000)
    told, read = ([e for e in all_ if isinstance(e, Frame)] for all_ in (events, replay(tmp_path / "run")))
    for again, event in zip(read, told, strict=True):
        made_up.assert_same_event(again, event)
    for cloud in told:
        if cloud.step == 6:
            scene = build_scene(started, cloud, DARK)
            assert cloud.guests is not None and 0 < len(cloud.guests.ids) <= 3_000
            assert scene.edges_shown >= 999 and scene.items_text == "20,000 of 30,000 items shown"
