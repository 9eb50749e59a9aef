from __future__ import annotations

import numpy as np
import pytest

from app.picture.edges import EDGE_KINDS
from app.picture.outline import inside
from app.picture.scene import build_scene
from app.picture.selection import Selection
from app.picture.theme import DARK
from tests.app import runs

IDS = np.arange(100, 160)
LABELS = np.arange(60) % 3


def drawn(selection: Selection) -> list[int]:
    return IDS[selection.drawn(IDS, LABELS)].tolist()


def test_that_what_is_isolated_or_hidden_or_of_other_classes_is_left_out():
    some = np.array([105, 103, 103])
    assert drawn(Selection()) == IDS.tolist()
    assert drawn(Selection().isolate(some)) == [103, 105]
    assert drawn(Selection().hide(some)) == [item for item in IDS.tolist() if item not in (103, 105)]
    assert drawn(Selection().isolate(some).hide(np.array([105]))) == [103]
    red = Selection().isolate_class(0)
    assert drawn(red) == IDS[LABELS == 0].tolist()
    both = red.isolate_class(2, add=True)
    assert drawn(both) == IDS[LABELS != 1].tolist()
    assert drawn(both.isolate_class(0, add=True)) == IDS[LABELS == 2].tolist()
    assert drawn(red.isolate_class(0)) == drawn(both.show_all()) == IDS.tolist()


def test_that_the_others_of_those_that_are_drawn_are_selected():
    chosen = Selection().isolate_class(1).select(np.array([101, 104]))
    others = chosen.invert(IDS, LABELS)
    assert others.ids.tolist() == [item for item in IDS[LABELS == 1].tolist() if item not in (101, 104)]
    assert others.invert(IDS, LABELS).ids.tolist() == [101, 104]
    assert chosen.select(np.array([107]), add=True).ids.tolist() == [101, 104, 107]


def test_that_the_caption_counts_what_is_isolated_or_hidden():
    assert Selection().text(60, 60) == ""
    assert Selection().isolate_class(0).text(312, 2000) == "312 of 2,000 points isolated"
    gone = "none of the points to be drawn is in this frame; Shift+H draws all"
    assert Selection().isolate(np.array([7])).text(0, 2000) == gone and Selection().text(0, 0) == ""
    assert Selection().hide(np.array([1])).text(1999, 2000) == "1 of 2,000 points hidden"


@pytest.mark.parametrize("selected", [None, 100])
def test_that_points_left_out_are_not_drawn_nor_edges_to_them(selected):
    of = runs.config()
    frame = runs.frame("one", 10)
    whole = build_scene(runs.started(of), frame, DARK, selected_id=selected)
    ends = lambda scene: {tuple(scene.ids[pair]) for pair in scene.edges}  # noqa: E731
    assert ends(whole) == {(100, 103), (100, 101), (104, 107), (104, 102)}
    scene = build_scene(
        runs.started(of), frame, DARK, selected_id=selected, selection=Selection().hide(np.array([103, 104]))
    )
    assert ends(scene) == {(100, 101)}
    assert scene.ids[scene.radii == 0].tolist() == [103, 104]
    assert scene.filter_text == "2 of 60 points hidden"
    np.testing.assert_array_equal(scene.positions, whole.positions)


def test_that_selected_points_are_ringed_unless_they_are_not_drawn():
    selection = Selection().hide(np.array([103])).select(np.array([101, 103, 7]))
    scene = build_scene(runs.started(runs.config()), runs.frame("one", 10), DARK, selection=selection)
    ringed = scene.ids[scene.halos[(scene.halo_colors[:, :3] == DARK.accent).all(1)]]
    assert ringed.tolist() == [101]
    assert len(EDGE_KINDS) == 6


def test_that_points_inside_an_outline_are_told_from_those_outside():
    corner = np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 2.0), (0.0, 10.0)])  # a box with a notch from below
    rng = np.random.default_rng(0)
    xs, ys = rng.uniform(-2, 12, (2, 4000))
    lowest = np.where(xs < 5, 10 - 1.6 * xs, 2 + 1.6 * (xs - 5))
    by_hand = (xs > 0) & (xs < 10) & (ys > 0) & (ys < lowest)
    np.testing.assert_array_equal(inside(corner, xs, ys), by_hand)
    np.testing.assert_array_equal(inside(corner[::-1], xs, ys), by_hand)
    assert not inside(corner, np.array([np.nan]), np.array([1.0]))[0]


def test_that_a_pair_of_classes_lasts_until_something_else_is_selected_or_all_is_shown():
    two = IDS[LABELS < 2]
    chosen = Selection().hide(np.array([107])).select_pair(IDS, LABELS, (0, 1))
    assert chosen.pair == (0, 1) and chosen.ids.tolist() == two.tolist() and 107 not in drawn(chosen)
    assert chosen.isolate(chosen.ids).pair == (0, 1) and chosen.hide(np.array([100])).pair == (0, 1)
    for other in (
        chosen.select(np.array([101])),
        chosen.select(np.array([101]), add=True),
        chosen.invert(IDS, LABELS),
        chosen.isolate_class(2),
        chosen.show_all(),
    ):
        assert other.pair is None
