from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.history.finding import Match, matches
from app.history.inspection import Inspection, facts, inspect
from app.history.inspection_words import MOST, sections, signed, so_far, summary
from app.history.tracks import Mentions, Tracks
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Frame, RunFinished, RunStarted, frozen
from hnm_core.run.hardness import Hardness
from tests.app import runs

MARGIN = 0.2
NO_PATHS = np.empty(0, np.int64)


@pytest.fixture
def started() -> RunStarted:
    """60 points, 100 ... 159, of classes red, green and blue in turn; the labels of the first ten are wrong."""
    of = runs.started(runs.config(steps=10))
    truth = of.labels.copy()
    truth[:10] = (truth[:10] + 1) % 3
    return replace(of, true_labels=frozen(truth))


def frames(count: int = 12, seed: int = 3) -> list[Frame]:
    """Frames a step apart, each of what was mined in the last three steps, so that two of three tell the same."""
    rng = np.random.default_rng(seed)
    steps = [
        (rng.integers(100, 112, (20, 3)).astype(np.int32), rng.normal(0.1, 0.3, 20).astype(np.float32))
        for _ in range(count)
    ]
    for _, separation in steps:
        separation[0] = np.nan
    made = []
    for step in range(count):
        told = range(max(0, step - 2), step + 1)
        separation = np.concatenate([steps[number][1] for number in told])
        made.append(
            Frame(
                "one",
                step + 1,
                positions=frozen(rng.normal(size=(60, 3)).astype(np.float32)),
                triplets=frozen(np.concatenate([steps[number][0] for number in told])),
                mined_total=20 * len(told),
                columns={"times_mined": frozen(np.arange(60, dtype=np.float32))},
                separation=frozen(separation),
                age=frozen(np.repeat([step - number for number in told], 20).astype(np.int32)),
                hardness=Hardness(MARGIN, 1, 1, 1, 0.1, -1, np.zeros(64, np.int64)),
            )
        )
    return made


def followed(started: RunStarted, seen: list[Frame], item_id: int) -> Tracks:
    tracks = Tracks(started, item_id, NO_PATHS)
    for frame in seen:
        tracks.take(frame)
    return tracks


def test_that_what_frames_told_is_not_copied_again_with_every_look_however_many_there_were(started):
    seen = frames(300)
    tracks = Tracks(started, 105, np.array([105, 110]))
    for frame in seen:
        tracks.take(frame)
    past, ways = tracks.mentions("one", 200), tracks.paths("one", 200)
    assert np.shares_memory(past.triplets, tracks.mentions("one", 300).triplets)
    assert np.shares_memory(ways, tracks.paths("one", 300)) and not ways.flags.writeable
    places = [np.flatnonzero(started.ids == item)[0] for item in tracks.path_ids]
    np.testing.assert_array_equal(ways, np.stack([frame.positions[places] for frame in seen[:200]]))
    assert tracks.paths("one", 0).shape == (0, 2, 3) and len(tracks.mentions("one", 0).triplets) == 0
    assert tracks.paths("nobody", 9).shape == (0, 2, 3)


def partners_by_hand(triplets: np.ndarray, item_id: int, own: int, other: int) -> Counter[int]:
    return Counter(int(row[other]) for row in triplets if row[own] == item_id)


def test_that_each_mined_tuple_is_counted_once_however_many_frames_tell_of_it(started):
    seen = frames()
    tracks = followed(started, seen, 105)
    for shown in (3, 7, 12):
        distinct = np.concatenate([frame.triplets[frame.age == 0] for frame in seen[:shown]])
        past = tracks.mentions("one", shown)
        assert past.frames == shown
        assert Counter(map(tuple, past.triplets.tolist())) == Counter(
            map(tuple, distinct[(distinct == 105).any(1)].tolist())
        )
        found = inspect(started, seen[shown - 1], past, 105)
        assert found.tuples_so_far == int((distinct[:, 0] == 105).sum())
        for partners, (own, other) in (
            (found.negatives_so_far, (0, 2)),
            (found.positives_so_far, (0, 1)),
            (found.anchors_so_far, (2, 0)),
        ):
            by_hand = partners_by_hand(distinct, 105, own, other)
            assert {one.item_id: one.times for one in partners} == by_hand
            assert [one.times for one in partners] == sorted(by_hand.values(), reverse=True)


def test_that_frames_left_out_leave_out_no_tuple_that_a_later_one_tells(started):
    seen = frames()
    every_third = followed(started, seen[2::3], 105).mentions("one", 12)
    assert len(every_third.triplets) == len(followed(started, seen, 105).mentions("one", 12).triplets)


def test_that_what_a_recording_tells_is_what_was_seen(started, tmp_path: Path):
    seen = frames()
    for _ in record([started, *seen, RunFinished({"one": 12}, 1.0)], tmp_path / "run"):
        pass
    ids = np.array([101, 7, 130])
    live, replayed = Tracks(started, 105, ids), Tracks(started, 105, ids)
    for frame in seen:
        live.take(frame)
    recording = open_recording(tmp_path / "run")
    while replayed.read_on(recording):
        pass
    assert live.path_ids.tolist() == [101, 130], "7 is not shown"
    for step in (0, 1, 6, 12, 99):
        mine, theirs = live.mentions("one", step), replayed.mentions("one", step)
        np.testing.assert_array_equal(mine.triplets, theirs.triplets)
        np.testing.assert_array_equal(mine.separation, theirs.separation)
        assert mine.frames == theirs.frames == min(step, 12)
        np.testing.assert_allclose(live.paths("one", step), replayed.paths("one", step), atol=2e-4)
    np.testing.assert_array_equal(live.paths("one", 12)[5, 1], seen[5].positions[30])


@pytest.mark.parametrize("item_id", [101, 105, 110])
def test_that_partners_of_now_have_their_times_their_least_separation_and_its_band(started, item_id):
    frame = frames()[-1]
    found = inspect(started, frame, Mentions(frame.triplets[:0], frame.separation[:0]), item_id)
    truth = started.true_labels
    assert truth is not None
    rows = np.flatnonzero(frame.triplets[:, 0] == item_id)
    assert {one.item_id: one.times for one in found.negatives} == partners_by_hand(frame.triplets, item_id, 0, 2)
    for one in found.negatives:
        least = np.nanmin([frame.separation[row] for row in rows if frame.triplets[row, 2] == one.item_id] + [9.0])
        if least == 9.0:
            assert np.isnan(one.separation)
            continue
        assert one.separation == pytest.approx(least)
        if truth[one.item_id - 100] == truth[item_id - 100]:
            assert one.band == "false"
        else:
            assert one.band == ("hard" if least <= 0 else "semi_hard" if least <= MARGIN else "easy")
        assert one.class_name == ("red", "green", "blue")[(one.item_id - 100) % 3]
    known = [one.separation for one in found.negatives if not np.isnan(one.separation)]
    assert known == sorted(known)
    assert found.columns == {"times_mined": item_id - 100}


@pytest.mark.parametrize("item_id", [100, 137, 159])
def test_that_neighbours_are_the_nearest_of_the_shown_positions(started, item_id):
    frame = frames()[4]
    positions = frame.positions.copy()
    positions[20] = np.nan
    frame = replace(frame, positions=frozen(positions))
    found = inspect(started, frame, Mentions(frame.triplets[:0], frame.separation[:0]), item_id).neighbours
    away = np.linalg.norm(positions.astype(float) - positions[item_id - 100], axis=1)
    away[item_id - 100] = np.inf
    away[20] = np.inf
    order = np.argsort(away)[: len(found)]
    assert [one.item_id for one in found] == (order + 100).tolist() and len(found) == 6
    np.testing.assert_allclose([one.distance for one in found], away[order])
    assert [not one.other_class for one in found] == [(place - item_id + 100) % 3 == 0 for place in order]


def test_that_facts_tell_class_truth_and_whether_a_point_is_held_out(started):
    wrong = facts(started, [], 103)
    assert wrong is not None and (wrong.class_name, wrong.true_class, wrong.held_out) == ("red", "green", True)
    right = facts(started, [], 120)
    assert right is not None and (right.class_name, right.true_class, right.held_out) == ("blue", "blue", False)
    plain = facts(replace(started, true_labels=None), [], 103)
    assert plain is not None and plain.true_class == ""
    assert facts(started, [], 7) is None


def test_that_an_id_a_class_or_the_beginning_of_an_id_is_found(started):
    assert matches(started, [], "105")[0] == Match("105 · blue", item_id=105)
    assert [match.item_id for match in matches(started, [], "15")] == list(range(150, 160))
    green = matches(started, [], "Green")
    assert green[0] == Match("class green: 20 points, isolate", label=1)
    assert [match.item_id for match in green[1:4]] == [101, 104, 107]
    assert matches(started, [], "class green")[0].label == 1
    assert [match.label for match in matches(started, [], "re") if match.label >= 0] == [0, 1]
    assert matches(started, [], "  ") == [] == matches(started, [], "purple")


def test_that_lists_are_cut_and_say_how_much_more_there_is(started):
    frame = frames()[-1]
    found = inspect(started, frame, followed(started, frames(), 105).mentions("one", 12), 105)
    assert len(found.negatives_so_far) > MOST
    made = {section.title: section.columns[0] for section in sections([found])}
    so_far_cells = made["Negatives so far"]
    assert so_far_cells[0].note == f"of {found.tuples_so_far} tuples"
    assert [cell.item_id for cell in so_far_cells[1:-1]] == [one.item_id for one in found.negatives_so_far[:MOST]]
    assert so_far_cells[-1].note == f"and {len(found.negatives_so_far) - MOST} more"
    most = found.negatives_so_far[0]
    assert so_far(found) == (
        f"anchor of {found.tuples_so_far} tuples in 12 frames; most often against {most.item_id} "
        f"({most.class_name}), {most.times} time{'s' if most.times != 1 else ''}"
    )
    assert made["Nearest in the embedding"][0].item_id == found.neighbours[0].item_id
    assert "Nearest in the picture (PCA of 16-D)" in {
        section.title for section in sections([replace(found, projection="PCA of 16-D")])
    }


def test_that_the_line_of_a_lane_says_what_is_known_and_nothing_else():
    known = Inspection("one", 3, True, {"times_mined": 14.0, "loss_share": 0.0312, "hardness": -0.256})
    assert summary(known) == ("14 ×", "3.12 %", "−0.26")
    assert summary(Inspection("one", 3, False, {})) == ("", "", "")
    assert (signed(0.125), signed(float("nan"))) == ("+0.12", "")


def test_that_a_frame_of_a_damaged_step_is_taken_like_any_other(started):
    seen, huge = frames(2), 1 << 60  # a step of an index file, which may hold anything
    tracks = followed(started, [seen[0], replace(seen[1], step=huge)], 105)
    assert tracks.mentions("one", huge).frames == 2
