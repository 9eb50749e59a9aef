from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from app.picture import preview
from app.picture.preview import LEVELS, Preview
from app.presets import cards, gallery_dir, preview_path
from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.run.control import Control
from hnm_core.spec import config as configuration
from hnm_core.spec.request import Request
from hnm_core.spec.resources import preset_names, preset_path
from hnm_core.training import retrieval_request
from tests.app import runs


@pytest.fixture
def recording(tmp_path):
    config = runs.config(steps=60)
    for _event in record(runs.source(seconds_a_round=0)(config, Control()), tmp_path / "run"):
        pass
    return open_recording(tmp_path / "run")


def test_that_thinning_keeps_first_and_last_moments_and_the_same_share_of_every_class(recording):
    thinned = preview.thin(recording, moments=4, points=30)
    assert [frame.step for frame in thinned.lanes["one"]] == [0, 20, 40, 60]
    assert list(thinned.lanes) == ["one", "two"]
    started = thinned.started
    assert_array_equal(np.bincount(started.labels), [10, 10, 10])
    assert started.items_total == runs.POINTS
    whole, part = recording.frame("one", -1), thinned.lanes["one"][-1]
    assert_array_equal(part.positions, whole.positions[np.searchsorted(recording.started.ids, started.ids)])


def test_that_triplets_stay_whole_or_go_and_their_true_number_is_kept(recording):
    thinned = preview.thin(recording, moments=2, points=45)
    ids = set(thinned.started.ids.tolist())
    before = {tuple(triplet) for triplet in recording.frame("one", -1).triplets.tolist()}
    kept = {tuple(triplet) for triplet in thinned.lanes["one"][-1].triplets.tolist()}
    assert kept == {triplet for triplet in before if set(triplet) <= ids}
    assert thinned.lanes["one"][-1].mined_total == 2


def test_that_a_saved_preview_comes_back_to_half_a_level_of_each_frames_box(recording, tmp_path):
    thinned = preview.thin(recording, moments=5, points=60)
    preview.save(thinned, tmp_path / "a.npz")
    back = preview.load(tmp_path / "a.npz")
    assert back.shows(recording.config)
    assert not back.shows(configuration.with_settings(recording.config, ["seed=9"]))
    for name in ("labels", "ids", "held_out"):
        assert_array_equal(getattr(back.started, name), getattr(thinned.started, name))
    assert back.started.class_names == ("red", "green", "blue")
    for one, other in zip(thinned.lanes["two"], back.lanes["two"], strict=True):
        level = np.ptp(one.positions, axis=0) / LEVELS
        assert np.all(np.abs(one.positions - other.positions) <= 0.51 * level)
        assert_array_equal(one.triplets, other.triplets)
        assert (one.step, one.mined_total, one.projection) == (other.step, other.mined_total, other.projection)


def test_that_between_two_moments_clouds_are_on_a_straight_line(recording):
    thinned = preview.thin(recording, moments=4, points=60)
    first, second = thinned.lanes["one"][:2]
    assert thinned.at(0.0)[0] is first
    assert thinned.at(1.0)[0] is second
    assert thinned.at(99.0)[0] is thinned.lanes["one"][-1]
    between = thinned.at(0.25)[0]
    assert_allclose(between.positions, 0.75 * first.positions + 0.25 * second.positions, atol=1e-6)
    assert between.triplets is first.triplets


def test_that_a_single_moment_is_shown_as_it_is(recording):
    thinned = preview.thin(recording, moments=1, points=60)
    assert thinned.length == 1
    assert thinned.at(0.7)[1] is thinned.lanes["two"][0]


def test_that_of_queries_and_documents_the_ends_of_the_hardest_are_kept_frame_by_frame():
    ids = np.array([2, 3, 5, 7, 11, 13, 17])
    easy, hard, gone = [2, 3, 5], [7, 11, 13], [2, 3, 4]
    frames = [
        SimpleNamespace(triplets=np.array([easy, gone, hard]), separation=np.array([0.5, -0.9, -0.1])),
        SimpleNamespace(triplets=np.array([[17, 11, 13]]), separation=None),
    ]
    assert preview._ends_of_hardest(frames, ids, 4) == [3, 4, 5, 6], "the first frame's second has no room"
    assert preview._ends_of_hardest(frames, ids, 7) == list(range(7))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn"])
def test_that_a_damaged_file_is_told_in_one_sentence(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"The preview '.*a\.npz' cannot be read"):
        preview.load(tmp_path / "a.npz")


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.name)
def test_that_every_preset_ships_with_a_recording_of_just_itself(card, monkeypatch):
    """`make gallery` makes them anew when a preset has changed."""
    monkeypatch.setattr(retrieval_request.importlib.util, "find_spec", lambda _name: True)  # no lane is left out
    shipped: Preview = preview.load(preview_path(card.name))
    if card.name in preset_names():
        config = configuration.load(preset_path(card.name))
    else:
        config = retrieval_request.told_of(Request(preset=card.name))[0]
        assert all(len(frame.triplets) for frames in shipped.lanes.values() for frame in frames), "edges are seen"
    assert shipped.shows(config)
    assert list(shipped.lanes) == [lane.name for lane in config.lanes]
    assert all(np.isfinite(frame.positions).all() for frames in shipped.lanes.values() for frame in frames)
    assert {frames[-1].step for frames in shipped.lanes.values()} == {config.steps}
    assert set(card.lanes) <= set(shipped.lanes)


def test_that_what_the_gallery_ships_stays_small():
    sizes = {suffix: sum(path.stat().st_size for path in gallery_dir().glob(suffix)) for suffix in ("*.webp", "*.npz")}
    assert sizes["*.webp"] < 600_000
    assert sizes["*.npz"] < 1_500_000
