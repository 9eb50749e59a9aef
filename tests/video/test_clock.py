"""How the run passes in a film, what is said when, and how the camera goes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from app.history.moments import Moment
from app.picture.camera import Camera
from app.picture.camera_keys import key_frame
from app.video import clock, path
from app.video.template import Key


def moment(kind: str, step: int, text: str = "Step: something happens.") -> Moment:
    return Moment(kind, step, ("a",), text, {"step": str(step), "lane": "a"})


def test_that_the_run_never_goes_back_and_is_slower_round_a_moment() -> None:
    even = clock.clock(0, 1000, 10)
    slow = clock.clock(0, 1000, 10, slow_at=[500], slow=4)
    places = [slow.at(share) for share in np.linspace(0, 1, 500).tolist()]
    assert places[0] == 0 and places[-1] == 1000 and all(a <= b for a, b in itertools.pairwise(places))
    for place in (100, 500, 900):
        assert slow.at(slow.share_of(place)) == pytest.approx(place)

    def pace(one: clock.Clock, place: float) -> float:
        return 10 / (one.share_of(place + 5) - one.share_of(place - 5))

    assert pace(slow, 500) < 0.3 * pace(slow, 800)
    assert pace(even, 500) == pytest.approx(pace(even, 800), rel=0.01)


def test_that_steps_that_look_alike_are_passed_over_quickly_and_holds_stand_still() -> None:
    quick = clock.clock(0, 1000, 10, alike=400, alike_pace=0.25)
    assert quick.share_of(400) < 0.7 * clock.clock(0, 1000, 10).share_of(400)
    held = clock.clock(0, 1000, 10, holds=[(300, 2.0)])
    begin = held.share_of(299.5)
    assert [round(held.at(begin + late / 10)) for late in (0.5, 1.0, 1.9)] == [300, 300, 300]
    assert held.at(begin + 0.25) > 305
    crowded = clock.clock(0, 1000, 2, holds=[(300, 2.0), (600, 2.0)])  # no more than there is time for
    assert crowded.at(1) == 1000 and crowded.share_of(1000) <= 1


def test_that_the_run_waits_at_its_very_end_where_its_last_measurement_is() -> None:
    for first, last, holds in ((0.0, 1000.0, ()), (0.05, 31.2, ()), (0.0, 1000.0, [(990, 2.0)])):
        one = clock.clock(first, last, 10, holds=holds)
        arrived = one.share_of(last)
        assert arrived < 1 - 0.5 / 10, "half a second at least"
        assert one.at(arrived) == one.at((1 + arrived) / 2) == one.at(1) == last


def test_that_the_weightier_of_two_moments_is_told_and_each_has_time_to_be_read() -> None:
    found = [moment("goal", 10), moment("collapse", 11), moment("apart", 90)]
    seconds = {id(one): one.step / 10 for one in found}
    told = clock.chosen(found, ("goal", "collapse", "apart"), seconds, 12)
    assert [one.kind for one in told] == ["collapse", "apart"]
    assert [one.kind for one in clock.chosen(found, ("goal",), seconds, 12)] == ["goal"]
    said = clock.captions(told, seconds, {"apart": "At {step}, {lane}.", "collapse": "{seconds} s"}, ["Look here."], 14)
    assert [(one.kind, one.text) for one in said] == [
        ("collapse", "Step: something happens."),  # it does not know its seconds
        ("look", "Look here."),
        ("apart", "At 90, a."),
    ]
    for a, b in itertools.pairwise(said):
        assert a.end <= b.start
    assert all(one.end - one.start >= clock.READING_S for one in said)
    assert said[0].opacity(said[0].start) == 0 < said[0].opacity(said[0].start + 1) == 1


def test_that_what_to_look_for_is_said_sentence_by_sentence_unless_it_is_long() -> None:
    about = f"Watch the classes. They part! {'Long ' * 40}. In 2.5 s."
    assert clock.look_sentences(about) == ["Watch the classes.", "They part!", "In 2.5 s."]


def test_that_a_camera_eases_from_key_to_key_and_meets_each() -> None:
    keys = (Key(at=0), Key(at=0.5, turn=90, zoom=4, near=1), Key(at=1, turn=100, rise=10, ease="linear"))
    assert path.pose(keys, 0) == path.Pose() and path.pose(keys, 0.5) == path.Pose(90, 0, 4, 1)
    assert path.pose(keys, 0.25).turn == 45 and path.pose(keys, 0.25).zoom == pytest.approx(2)
    turns = [path.pose(keys, share).turn for share in np.linspace(0, 0.5, 100).tolist()]
    steps = np.diff(turns)
    assert max(steps[0], steps[-1]) < 0.1 * steps[50]
    assert path.pose(keys, 0.75).turn == 95 and path.pose(keys, 2).rise == 10
    for how in path.EASES:
        assert (path.ease(0, how), path.ease(1, how)) == (0, 1)


def test_that_a_pose_turns_zooms_and_looks_at_what_it_is_told_to() -> None:
    framed = Camera(target=(0, 0, 0), distance=8, azimuth=350, elevation=22)
    pose = path.Pose(turn=20, rise=80, zoom=2, near=0.5)
    assert (pose.turned(framed).azimuth, pose.turned(framed).elevation) == (10, 89)
    seen = pose.applied(framed, (2.0, 4.0, 0.0))
    assert seen.target == (1, 2, 0) and seen.distance == 4
    assert pose.applied(framed, None).target == (0, 0, 0)


def test_that_a_recorded_path_is_followed_from_key_to_key() -> None:
    framed = Camera(distance=8, azimuth=10)
    keys = [key_frame(framed, 100), key_frame(framed.orbited(60, 0).zoomed(2), 200)]
    assert path.recorded(keys, 0, framed) == framed
    half = path.recorded(keys, 150, framed)
    assert half.azimuth == pytest.approx(40) and half.distance == pytest.approx(8 / 2**0.5)
    assert path.recorded(keys, 999, framed).distance == 4


def test_that_one_sentence_is_said_at_a_time() -> None:
    late, early, short = (clock.Caption(*times, "", "look") for times in ((4.0, 8.0), (0.0, 6.0), (1.0, 2.0)))
    assert [(one.start, one.end) for one in clock.in_turn([late, early, short])] == [(0.0, 1.0), (1.0, 2.0), (4.0, 8.0)]
    assert clock.in_turn([]) == []
    every = clock.in_turn([late, early, short])
    for now in np.linspace(0, 8, 81).tolist():
        assert sum(one.opacity(now) > 0 for one in every) <= 1
